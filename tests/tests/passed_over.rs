//! Whoever is none of the servers' business is not everybody else's: where a line for
//! the module has to succeed, no other line may let root or a local user in instead.

use e2e::scene::{self, LOCAL_PASSWORD, PASSWORD};
use e2e::{Result, Script, Step};

const SERVER: &str = "127.0.0.1:49";

/// Lines beside the module's that succeed without having seen a password.
const BESIDE: [(&str, &str); 5] = [
    ("auth required pam_faillock.so preauth", ""),
    ("", "auth required pam_permit.so"),
    ("auth required pam_succeed_if.so uid >= 0 quiet", ""),
    (
        "auth required pam_listfile.so item=user sense=deny file=/etc/ftpusers onerr=succeed\n\
         auth required pam_shells.so",
        "",
    ),
    ("", "auth sufficient pam_exec.so quiet /bin/true"),
];

fn stack(before: &str, control: &str, behind: &str) -> String {
    format!(
        "{before}\nauth {control} pam_tacplus.so nodelay\n{behind}\n\
         account required pam_permit.so\nsession required pam_permit.so\n"
    )
}

#[test]
fn no_password_opens_a_session_of_root_or_a_local_user_because_another_line_succeeds() -> Result {
    let stage = scene::host(&[SERVER], "exclude_users = bob")
        .file("/etc/ftpusers", 0o644, "daemon\n")
        .start()?;
    stage.set_password("root", LOCAL_PASSWORD)?;
    let _peer = stage.peer(SERVER, &Script::authen([Step::pass()]))?;

    for (before, behind) in BESIDE {
        for control in ["required", "requisite"] {
            let stack = stack(before, control, behind);
            stage.write("/etc/pam.d/sshd", 0o644, &stack)?;
            for user in ["root", "bob"] {
                let login = stage.ssh(user).password("any password at all", "whoami")?;
                assert_eq!(
                    (login.code, login.stdout.as_str()),
                    (255, ""),
                    "{stack}{login}"
                );
            }
        }
        let alice = stage.ssh("alice").password(PASSWORD, "whoami")?;
        assert_eq!(alice.stdout, "alice\n", "{alice}{}", stage.logs());
    }
    Ok(())
}

#[test]
fn the_log_says_who_was_passed_over_and_why_but_never_a_name_that_may_be_a_password() -> Result {
    const MISTYPED: &str = "mistyped-password-for-a-name";
    let stage = scene::host(&[SERVER], "exclude_users = bob").start()?;

    let bob = stage.ssh("bob").password(LOCAL_PASSWORD, "whoami")?;
    assert_eq!(bob.stdout, "bob\n", "{bob}{}", stage.logs());
    let line =
        stage.wait_for_log("passed over: 'bob' from 127.0.0.1 is listed in exclude_users")?;
    assert!(line.contains("(sshd:auth)"), "{line}");
    assert_eq!(stage.syslog().matches("passed over").count(), 1);

    stage.ssh(MISTYPED).password(LOCAL_PASSWORD, "whoami")?;
    stage.wait_for_log("passed over: somebody from 127.0.0.1, whose name is not in /etc/passwd")?;
    let syslog = stage.syslog();
    let ours = syslog.lines().filter(|line| line.contains("pam_tacplus"));
    for line in ours {
        assert!(!line.contains(MISTYPED), "{line}");
    }
    Ok(())
}
