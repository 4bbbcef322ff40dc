//! The stage itself, with modules of the operating system: what the other tests
//! of this folder stand on.

use e2e::{Result, Stage};

const PAM_UNIX: &str = "\
auth     required pam_unix.so
account  required pam_unix.so
session  required pam_loginuid.so
session  required pam_permit.so
";

#[test]
fn a_user_logs_in_to_a_real_sshd_with_each_of_its_three_ways() -> Result {
    let stage = Stage::builder()
        .user_with_password("alice", 2001, "local-1")
        .pam("sshd", PAM_UNIX)
        .start()?;

    let by_password = stage
        .ssh("alice")
        .password("local-1", "whoami; cat /proc/self/loginuid")?;
    assert_eq!(by_password.stdout, "alice\n2001", "{by_password}");

    let dialog = stage.ssh("alice").keyboard_interactive("whoami");
    let by_questions = dialog.answer("Password:", "local-1").run()?;
    assert_eq!(by_questions.stdout, "alice\n", "{by_questions}");

    let by_key = stage.ssh("alice").public_key("whoami")?;
    assert_eq!(by_key.stdout, "alice\n", "{by_key}");

    let refused = stage.ssh("alice").password("wrong", "whoami")?;
    assert_eq!(
        (refused.code, refused.stdout.as_str()),
        (255, ""),
        "{refused}"
    );
    stage.wait_for_log("Failed password for alice")?;
    Ok(())
}
