//! Whoever is none of the servers' business is not everybody else's: where a line for
//! the module has to succeed, no other line may let root or a local user in instead.

use e2e::artefacts::{BUILT, MODULES, workspace};
use e2e::scene::{self, LOCAL_PASSWORD, PASSWORD};
use e2e::stage::SSHD_STACK;
use e2e::{Output, Result, Script, Stage, Step};

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
fn su_and_sudo_take_no_password_for_root_s_or_a_local_user_s_because_another_line_succeeds()
-> Result {
    let stage = scene::host(&[SERVER], "exclude_users = bob")
        .pam("su", "")
        .file("/etc/sudoers.d/bob", 0o440, "bob ALL=(ALL) ALL\n")
        .start()?;
    stage.set_password("root", LOCAL_PASSWORD)?;
    let _peer = stage.peer(SERVER, &Script::authen([Step::pass()]))?;

    for (before, behind) in BESIDE {
        let stack = stack(before, "required", behind);
        for service in ["su", "sudo"] {
            stage.write(&format!("/etc/pam.d/{service}"), 0o644, &stack)?;
        }
        // The caller is a local user, whose password sudo asks for.
        for command in [
            &["su", "-", "root", "-c", "whoami"][..],
            &["sudo", "whoami"],
        ] {
            let dialog = stage.dialog(command).as_user("bob");
            let refused = dialog.answer("assword", "any password at all").run()?;
            assert!(
                refused.code != 0 && refused.stdout.is_empty(),
                "{stack}{refused}"
            );
        }
        let dialog = stage.dialog(&["su", "-", "alice", "-c", "whoami"]);
        let alice = dialog.as_user("bob").answer("assword", PASSWORD).run()?;
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

/// The documented stack of the version that answered IGNORE.
fn old_stack() -> String {
    let old = SSHD_STACK.replace(" user_unknown=ignore", "");
    assert_ne!(old, SSHD_STACK);
    old
}

#[test]
fn a_line_of_an_earlier_version_refuses_root_and_local_users_and_check_says_so() -> Result {
    let stage = scene::host(&[SERVER], "exclude_users = bob").start()?;
    stage.set_password("root", LOCAL_PASSWORD)?;
    let _peer = stage.peer(SERVER, &Script::authen([Step::pass()]))?;

    for (stack, gets_in) in [(old_stack(), false), (SSHD_STACK.to_owned(), true)] {
        stage.write("/etc/pam.d/sshd", 0o644, &stack)?;
        for user in ["root", "bob"] {
            let login = stage.ssh(user).password(LOCAL_PASSWORD, "whoami")?;
            let session = login.stdout == format!("{user}\n");
            assert_eq!(session, gets_in, "{login}{}", stage.logs());
        }
        let alice = stage.ssh("alice").password(PASSWORD, "whoami")?;
        assert_eq!(alice.stdout, "alice\n", "{alice}{}", stage.logs());

        let check = stage.run("tacplus", &["check"])?;
        assert_eq!(check.code, if gets_in { 0 } else { 2 }, "{check}");
        let named = "tacplus: /etc/pam.d/sshd:1: this line refuses root";
        assert_eq!(check.stderr.contains(named), !gets_in, "{check}");
    }
    Ok(())
}

#[test]
fn make_install_refuses_while_a_line_would_lock_root_out() -> Result {
    let stage = scene::host(&[SERVER], "").start()?;
    let folders = format!(
        "mkdir /run/target && ln -s {BUILT} /run/target/release && ln -s {MODULES} /run/target/module"
    );
    stage.sh(&folders)?.success()?;
    let installed = "/run/new/usr/lib/security/pam_tacplus.so";
    let put =
        |root: &str, stack: &str| stage.write(&format!("{root}/etc/pam.d/sshd"), 0o644, stack);

    // The root of the target counts, not that of the host that builds.
    put("/run/new", &old_stack())?;
    let refused = make_install(&stage, "DESTDIR=/run/new")?;
    assert_ne!(refused.code, 0, "{refused}");
    for said in [
        "/run/new/etc/pam.d/sshd:1: ",
        "user_unknown=ignore",
        "FORCE=1",
    ] {
        assert!(refused.stderr.contains(said), "{said}: {refused}");
    }
    assert!(
        !stage.path("/run/new/usr").exists(),
        "something was installed"
    );
    let forced = make_install(&stage, "DESTDIR=/run/new FORCE=1")?;
    assert_eq!(forced.code, 0, "{forced}");
    assert!(stage.path(installed).is_file());

    stage.sh("rm -r /run/new/usr")?.success()?;
    // A line that says that it refuses on purpose, as with the C module, goes on.
    let meant = "auth [success=ok user_unknown=die default=die] pam_tacplus.so";
    put("/run/new", &format!("{meant}\n{SSHD_STACK}"))?;
    let told = make_install(&stage, "DESTDIR=/run/new")?;
    assert_eq!(told.code, 0, "{told}");
    assert!(stage.path(installed).is_file());

    // The stage looks for secrets in all that is left, which takes its time.
    stage.sh("rm -r /run/new")?.success()?;

    put("", &old_stack())?;
    let here = make_install(&stage, "")?;
    assert!(
        here.code != 0 && here.stderr.contains("tacplus: /etc/pam.d/sshd:1: "),
        "{here}"
    );
    Ok(())
}

/// `make install` on the stage, with what is built already.
fn make_install(stage: &Stage, words: &str) -> Result<Output> {
    let here = workspace().display();
    stage.sh(&format!(
        "make -C {here} -o build install CARGO_TARGET_DIR=/run/target PAMDIR=/usr/lib/security {words}"
    ))
}
