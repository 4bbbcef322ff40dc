//! The stage itself, with modules of the operating system: what the other tests
//! of this folder stand on.

use std::fs;
use std::path::Path;

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

#[test]
fn su_sudo_and_passwd_ask_on_a_terminal_of_their_own() -> Result {
    let stage = Stage::builder()
        .user_with_password("alice", 2001, "local-1")
        .user_with_password("bob", 2002, "local-2")
        .pam("su", PAM_UNIX)
        .pam("sudo", PAM_UNIX)
        .pam("passwd", "password required pam_unix.so\n")
        .file("/etc/sudoers.d/alice", 0o440, "alice ALL=(ALL) ALL\n")
        .start()?;

    let su = stage
        .dialog(&["su", "-", "bob", "-c", "whoami"])
        .as_user("alice");
    let su = su.answer("Password:", "local-2").run()?;
    assert_eq!(su.stdout, "bob\n", "{su}");

    let sudo = stage.dialog(&["sudo", "whoami"]).as_user("alice");
    let sudo = sudo.answer("password for alice:", "local-1").run()?;
    assert_eq!(sudo.stdout, "root\n", "{sudo}");

    let passwd = stage.dialog(&["passwd"]).as_user("alice");
    let passwd = passwd
        .answer("Current password:", "local-1")
        .answer("New password:", "some-longer-3")
        .answer("Retype new password:", "some-longer-3")
        .run()?;
    assert_eq!(passwd.code, 0, "{passwd}");
    let login = stage
        .dialog(&["su", "-", "alice", "-c", "whoami"])
        .as_user("bob");
    let login = login.answer("Password:", "some-longer-3").run()?;
    assert_eq!(login.stdout, "alice\n", "{login}");
    Ok(())
}

#[test]
fn an_address_can_be_a_black_hole_for_a_while() -> Result {
    let address = "192.0.2.49".parse()?;
    let stage = Stage::builder().address(address).start()?;
    let connect = ["2", "bash", "-c", "exec 3<>/dev/tcp/192.0.2.49/49"];

    assert_eq!(
        stage.run("timeout", &connect)?.code,
        1,
        "nobody listens: refused"
    );
    stage.blackhole(address)?;
    assert_eq!(
        stage.run("timeout", &connect)?.code,
        124,
        "no answer at all"
    );
    stage.unblock(address)?;
    assert_eq!(stage.run("timeout", &connect)?.code, 1, "refused again");
    Ok(())
}

#[test]
fn nothing_of_a_stage_is_left_when_it_is_dropped() -> Result {
    let stage = Stage::builder().user("alice", 2001).start()?;
    let daemon = stage.spawn("sleeper", "sleep", &["600"])?;
    let process = format!("/proc/{}", daemon.pid());
    assert!(Path::new(&process).exists());
    assert!(stage.read("/etc/passwd").contains("alice"));

    drop(stage);

    assert!(
        !Path::new(&process).exists(),
        "the daemon outlived its stage"
    );
    assert!(!fs::read_to_string("/etc/passwd")?.contains("/home/alice:"));
    drop(daemon);
    Ok(())
}

#[test]
#[should_panic(expected = "was left in")]
fn a_password_that_is_left_in_a_log_fails_the_test() {
    let stage = Stage::builder().start().expect("a stage");
    let line = format!("the password was {}\n", e2e::scene::PASSWORD);
    stage
        .write("/var/log/chatty.log", 0o600, &line)
        .expect("a log");
}
