//! Every kind of password, proved to the real server: hashes, files, the host's users,
//! PAM; and changes of one.

#![allow(
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

mod common;

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use common::{Server, pap, start};
use tacacs_common::packet::{Action, AuthenService, AuthenStart, AuthenType, PrivLvl};

const HOST: &str = "host = 127.0.0.1 { key = \"Kat-Secret-0123456789-abcdefghij\" }\n";

/// Hashes of `a password`, one of each format.
const HASHES: [(&str, &str); 6] = [
    ("des", "abws3YimNi/io"),
    ("md5", "$1$saltsalt$stoYjH/9M8w1dr62o05Hz."),
    (
        "blowfish",
        "$2y$05$abcdefghijklmnopqrstuu2sM.EEHj4jPcCa5rwqJGg1PNBllkZXy",
    ),
    (
        "sha256",
        "$5$saltsalt$1/hLNbYXXAwh9TyUmVyUKV9YI4mlJD2A1HCRQrK34S/",
    ),
    (
        "sha512",
        "$6$saltsalt$sf.aCPsRRapNR1G5rTzY78df.KdUQqMQQzVCyMoM4FlnOxuRq9mRc.jW/1pK6qbEVcZ0U5.MSQkhdX1AsdktA1",
    ),
    (
        "yescrypt",
        "$y$j9T$F5Jx5fExrKuPp53xLKQ..1$Za3pfITVacI/LLzVtk3DEk9Aal68F.BRMACAWOEacg4",
    ),
];

fn first_word(answer: &str) -> &str {
    answer.split(' ').next().unwrap()
}

/// The answer to an ASCII login.
fn ascii(server: &Server, user: &str, password: &str) -> String {
    let mut wire = server.connect();
    let asked = wire.start(&start(AuthenType::Ascii, user, b""));
    assert_eq!(asked, "GETPASS NOECHO \"Password: \"", "{user}");
    wire.say(3, password)
}

fn by_pap(server: &Server, user: &str, password: &str) -> String {
    server.connect().start(&pap(user, password))
}

#[test]
fn every_hash_of_the_system_logs_in_and_a_wrong_password_does_not() {
    let users = HASHES.map(|(name, hash)| {
        format!("user = {name} {{ login = des {hash} pap = des {hash} enable = des {hash} }}\n")
    });
    let server = Server::start(&format!("throttle = 0\n{HOST}{}", users.concat()));
    for (name, _) in HASHES {
        assert_eq!(ascii(&server, name, "a password"), "PASS \"\"", "{name}");
        assert_eq!(ascii(&server, name, "another"), "FAIL \"\"", "{name}");
        assert_eq!(by_pap(&server, name, "a password"), "PASS \"\"", "{name}");
        assert_eq!(by_pap(&server, name, ""), "FAIL \"\"", "{name}");
        let mut wire = server.connect();
        wire.start(&AuthenStart {
            authen_service: AuthenService::Enable,
            priv_lvl: PrivLvl::new(15).unwrap(),
            ..start(AuthenType::Ascii, name, b"")
        });
        assert_eq!(wire.say(3, "a password"), "PASS \"\"", "{name}");
    }
    assert_eq!(by_pap(&server, "nobody", "a password"), "FAIL \"\"");
}

#[test]
fn a_password_file_proves_users_until_their_last_day() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("users");
    let (_, hash) = HASHES[1];
    let text = format!(
        "alice:{hash}:1:1::/:/bin/sh\nbob:{hash}:1:1::/:Jan 1 2037\nold:{hash}:1:1::/:Jan 1 1997\n\
         #gone:{hash}:1:1::/:\n-gone:{hash}:1:1::/:\n"
    );
    std::fs::write(&path, text).unwrap();
    let file = path.display();
    let server = Server::start(&format!(
        "throttle = 0\n{HOST}default authentication = file {file}\nuser = carol {{ login = file {file} }}\n"
    ));
    assert_eq!(ascii(&server, "alice", "a password"), "PASS \"\"");
    assert_eq!(ascii(&server, "bob", "a password"), "PASS \"\"");
    let expired = "FAIL \"Password has expired\"";
    assert_eq!(ascii(&server, "old", "a password"), expired);
    assert_eq!(by_pap(&server, "alice", "a password"), "PASS \"\"");
    for (user, password) in [
        ("alice", "another"),
        ("carol", "a password"),
        ("#gone", "a password"),
        ("-gone", "a password"),
        (&format!("alice:{hash}"), "a password"),
        ("nobody", "x"),
    ] {
        assert_eq!(ascii(&server, user, password), "FAIL \"\"", "{user}");
    }
    std::fs::remove_file(&path).unwrap();
    assert_eq!(ascii(&server, "alice", "a password"), "ERROR \"\"");
}

#[test]
fn a_password_file_that_goes_away_leaves_a_denial_of_everybody_else_a_denial() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("users");
    std::fs::write(&path, "alice:*:1:1::/:\n").unwrap();
    let file = path.display();
    let server = Server::start(&format!(
        "throttle = 0\n{HOST}user = alice {{ login = file {file} }}\n\
         user = bob {{ login = cleartext \"bob login\" }}\n"
    ));
    std::fs::remove_file(&path).unwrap();
    assert_eq!(ascii(&server, "bob", "bob login"), "PASS \"\"");
    assert_eq!(ascii(&server, "bob", "wrong"), "FAIL \"\"");
    assert_eq!(ascii(&server, "nobody", "wrong"), "FAIL \"\"");
    let unknown = ascii(&server, "alice", "wrong");
    assert_eq!(
        unknown, "ERROR \"\"",
        "nobody can tell whether this is right"
    );
}

#[test]
fn users_of_the_host_are_proved_by_its_shadow_file() {
    let folder = tempfile::tempdir().unwrap();
    let (_, hash) = HASHES[4];
    let put = |name: &str, text: String| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    };
    let passwd = put(
        "passwd",
        "root:x:0:0::/:/bin/sh\nalice:x:1:1::/:/bin/sh\nold:x:2:2::/:/bin/sh\nlocked:x:3:3::/:/bin/sh\n"
            .to_owned(),
    );
    let shadow = put(
        "shadow",
        format!(
            "root:*:::::::\nalice:{hash}:19000:0:99999:7:::\nold:{hash}:19000:0:99999:7::19500:\nlocked:!{hash}:::::::\n"
        ),
    );
    let server = Server::start_with_mounts(
        &format!("mount --bind {passwd} /etc/passwd && mount --bind {shadow} /etc/shadow"),
        &format!("throttle = 0\n{HOST}default authentication = file /etc/passwd\n"),
    );
    assert_eq!(ascii(&server, "alice", "a password"), "PASS \"\"");
    let expired = "FAIL \"Password has expired\"";
    assert_eq!(ascii(&server, "old", "a password"), expired);
    for (user, password) in [
        ("alice", "b"),
        ("locked", "a password"),
        ("root", "*"),
        ("x", ""),
    ] {
        assert_eq!(ascii(&server, user, password), "FAIL \"\"", "{user}");
    }
}

#[test]
fn a_password_in_a_file_is_changed_in_a_dialogue() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("users");
    let (_, hash) = HASHES[0];
    std::fs::write(
        &path,
        format!("bob:x:2:2:::\nalice:{hash}:1:1:Alice:/:Jan 1 2037\n"),
    )
    .unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    let file = path.display();
    let configuration = format!(
        "throttle = 0\npassword change = yes\n{HOST}user = alice {{ login = file {file} }}\n"
    );
    let mut server = Server::start(&configuration);
    let mut wire = server.connect();
    let change = AuthenStart {
        action: Action::ChangePass,
        ..start(AuthenType::Ascii, "alice", b"")
    };
    assert_eq!(wire.start(&change), "GETDATA NOECHO \"Old password: \"");
    assert_eq!(
        wire.say(3, "a password"),
        "GETPASS NOECHO \"New password: \""
    );
    assert_eq!(
        wire.say(5, "a better one"),
        "GETPASS NOECHO \"New password again: \""
    );
    assert_eq!(wire.say(7, "a better one"), "PASS \"Password changed\"");
    server.wait_for_line("password change success: user=alice device=127.0.0.1");
    assert_eq!(ascii(&server, "alice", "a better one"), "PASS \"\"");
    assert_eq!(ascii(&server, "alice", "a password"), "FAIL \"\"");
    let mode = std::fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let text = std::fs::read_to_string(&path).unwrap();
    assert!(text.starts_with("bob:x:2:2:::\nalice:$"), "{text}");
    assert!(text.ends_with(":1:1:Alice:/:Jan 1 2037\n"), "{text}");
}

/// A PAM module: the password is `secret`; `two` needs a code too, `gone` has no
/// account any more, `empty` has no password, and `lost` is asked about elsewhere, where
/// nobody answers.
const MODULE: &str = r#"
#include <stdlib.h>
#include <string.h>
typedef struct pam_handle pam_handle_t;
struct pam_message { int msg_style; const char *msg; };
struct pam_response { char *resp; int resp_retcode; };
struct pam_conv { int (*conv)(int, const struct pam_message **, struct pam_response **, void *); void *data; };
int pam_get_item(const pam_handle_t *, int, const void **);
int pam_get_user(pam_handle_t *, const char **, const char *);
static int ask(pam_handle_t *h, int style, const char *text, const char *right) {
    const struct pam_conv *conv; struct pam_response *r = 0;
    struct pam_message m = { style, text }; const struct pam_message *p = &m;
    if (pam_get_item(h, 5, (const void **)&conv) || conv->conv(1, &p, &r, conv->data)) return 19;
    int same = !right || (r && r->resp && !strcmp(r->resp, right));
    if (r) { free(r->resp); free(r); }
    return same ? 0 : 7;
}
int pam_sm_authenticate(pam_handle_t *h, int f, int c, const char **v) {
    const char *user, *item; int status;
    if (pam_get_user(h, &user, 0)) return 10;
    if (!strcmp(user, "empty") && !(f & 1)) return 0;
    if (!strcmp(user, "lost")) return 9;
    if (pam_get_item(h, 4, (const void **)&item) || !item || strcmp(item, "10.9.8.7")) return 7;
    if ((status = ask(h, 1, "Password: ", "secret"))) return status;
    if (strcmp(user, "two")) return 0;
    if ((status = ask(h, 4, "Your token, please", 0))) return status;
    if ((status = ask(h, 2, "Code: ", "123456"))) return status;
    return ask(h, 1, "PIN: ", "42");
}
int pam_sm_setcred(pam_handle_t *h, int f, int c, const char **v) { return 0; }
int pam_sm_acct_mgmt(pam_handle_t *h, int f, int c, const char **v) {
    const char *user;
    if (pam_get_user(h, &user, 0)) return 10;
    if (strcmp(user, "gone")) return 0;
    ask(h, 3, "Your account is closed", 0);
    return 13;
}
"#;

fn build_module(folder: &Path) -> String {
    let (source, module) = (folder.join("module.c"), folder.join("module.so"));
    std::fs::write(&source, MODULE).unwrap();
    let built = Command::new("cc")
        .args(["-shared", "-fPIC", "-o"])
        .args([&module, &source])
        .status();
    assert!(built.unwrap().success(), "a C compiler is needed");
    module.display().to_string()
}

#[test]
fn pam_proves_users_under_its_service_and_its_questions_become_the_dialogues() {
    let folder = tempfile::tempdir().unwrap();
    let module = build_module(folder.path());
    let services = folder.path().join("pam.d");
    std::fs::create_dir(&services).unwrap();
    let stack = format!("auth required {module}\naccount required {module}\n");
    std::fs::write(services.join("devices"), stack).unwrap();
    let setup = format!("mount --bind {} /etc/pam.d", services.display());
    let users =
        "user = DEFAULT { login = PAM pap = PAM }\nuser = shut { login = PAM acl = nowhere }\n";
    let configuration = format!(
        "throttle = 0\npam service = devices\nacl = nowhere {{ deny = .* }}\n{HOST}{users}"
    );
    let mut server = Server::start_with_mounts(&setup, &configuration);
    assert_eq!(ascii(&server, "anybody", "secret"), "PASS \"\"");
    assert_eq!(ascii(&server, "anybody", "wrong"), "FAIL \"\"");
    server.wait_for_line("reason='PAM: authentication: Authentication failure'");
    assert_eq!(ascii(&server, "shut", "secret"), "FAIL \"\"");
    assert_eq!(
        ascii(&server, "gone", "secret"),
        "FAIL \"Your account is closed\""
    );
    server.wait_for_line("user=gone device=127.0.0.1");
    assert!(
        server.last_line().contains("reason='PAM: account: "),
        "{}",
        server.last_line()
    );
    assert_eq!(
        ascii(&server, "empty", ""),
        "FAIL \"\"",
        "no password is none that is right"
    );
    assert_eq!(ascii(&server, "lost", "secret"), "ERROR \"\"");
    server.wait_for_line(
        "PAM: authentication: Authentication service cannot retrieve authentication info",
    );
    assert_eq!(by_pap(&server, "anybody", "secret"), "PASS \"\"");
    assert_eq!(first_word(&by_pap(&server, "two", "secret")), "FAIL");
    server.wait_for_line("a question that this kind of login cannot ask");

    let mut wire = server.connect();
    wire.start(&start(AuthenType::Ascii, "two", b""));
    let code = "GETDATA \"Your token, please\\nCode: \"";
    assert_eq!(wire.say(3, "secret"), code);
    assert_eq!(wire.say(5, "123456"), "GETDATA NOECHO \"PIN: \"");
    assert_eq!(wire.say(7, "42"), "PASS \"\"");
    let mut wire = server.connect();
    wire.start(&start(AuthenType::Ascii, "two", b""));
    assert_eq!(wire.say(3, "secret"), code);
    assert_eq!(wire.say(5, "1"), "FAIL \"\"");
    // Given up in the middle, it leaves nobody behind.
    let mut wire = server.connect();
    wire.start(&start(AuthenType::Ascii, "two", b""));
    assert_eq!(wire.say(3, "secret"), code);
    drop(wire);
    assert_eq!(ascii(&server, "anybody", "secret"), "PASS \"\"");
}

#[test]
fn what_logins_will_need_is_tried_before_a_configuration_counts_and_who_needs_it_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("users");
    std::fs::write(&path, format!("alice:{}:1:1::/:\n", HASHES[0].1)).unwrap();
    let file = path.display();
    let mut server = Server::start(&format!(
        "throttle = 0\npam service = no-such-service\n{HOST}user = alice {{ login = file {file} }}\n\
         user = carol {{ login = PAM }}\n"
    ));
    assert_eq!(ascii(&server, "alice", "a password"), "PASS \"\"");
    let broken = format!(
        "throttle = 0\n{HOST}user = alice {{ login = file {file}.gone }}\n\
         user = bob {{ login = cleartext \"bob login\" }}\n"
    );
    std::fs::write(server.configuration_path(), broken).unwrap();
    server.signal("HUP");
    let line = server.wait_for_line("users.gone cannot be read: No such file");
    assert!(line.contains("tac_plus.conf:3: user 'alice': "), "{line}");
    server.wait_for_line("configuration reloaded");
    assert_eq!(ascii(&server, "bob", "bob login"), "PASS \"\"");
    assert_eq!(ascii(&server, "alice", "a password"), "ERROR \"\"");
    server.signal("TERM");
    let lines = server.all_lines();
    for told in [
        "users can be read by everybody",
        "PAM has no service 'no-such-service'",
    ] {
        assert!(lines.contains(told), "{told}: {lines}");
    }
}
