//! What we send, as Wireshark dissects it.

use e2e::scene::{self, PASSWORD, server_conf};
use e2e::{Capture, Result, interop, peer::SECRET};

const AUTHEN: u8 = 1;
const AUTHOR: u8 = 2;
const ACCT: u8 = 3;

#[test]
fn wireshark_dissects_every_packet_of_a_login_without_complaint() -> Result {
    let stage = scene::host(&["127.0.0.1:49"], "login = ascii")
        .server_conf(&server_conf())
        .start()?;
    let capture = Capture::start(&stage)?;

    let login = stage.ssh("alice").password(PASSWORD, "whoami")?;
    assert_eq!(login.stdout, "alice\n", "{login}{}", stage.logs());
    let refused = stage.ssh("alice").password("wrong", "whoami")?;
    assert_eq!(refused.code, 255, "{refused}");
    let chap = interop::pypi(
        &stage,
        "127.0.0.1",
        "chap",
        &["authenticate", "-p", PASSWORD],
    )?;
    assert_eq!(chap.code, 0, "{chap}");

    capture.wait_for(AUTHEN, 1, 3)?;
    capture.wait_for(AUTHEN, 2, 3)?;
    capture.wait_for(AUTHEN, 3, 2)?;
    capture.wait_for(AUTHEN, 4, 2)?;
    capture.wait_for(AUTHOR, 1, 1)?;
    capture.wait_for(AUTHOR, 2, 1)?;
    capture.wait_for(ACCT, 1, 2)?;
    capture.wait_for(ACCT, 2, 2)?;

    capture.assert_clean(SECRET)?;
    let text = capture.tshark(SECRET, &["-O", "tacplus"])?.stdout;
    for expected in [
        "Action: Inbound Login (1)",
        "User: alice",
        "Remote Address: 127.0.0.1",
        "Service: Login",
        "Arg[0] value: service=shell",
        "priv-lvl=15",
    ] {
        assert!(text.contains(expected), "'{expected}' is missing:\n{text}");
    }
    Ok(())
}
