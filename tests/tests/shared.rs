//! Mode `shared`: several people behind one account, each with their own name in their
//! sessions and in the accounting.

use std::thread::ScopedJoinHandle;

use e2e::scene::{PASSWORD, STACK};
use e2e::users;
use e2e::{Output, Peer, Result, Script, Seen, Stage, Step, wait};

const SERVER: &str = "127.0.0.1:49";

/// Who is logged in, whom they become by sudo and whom by su: all with one uid.
const PEOPLE: [[&str; 3]; 2] = [["alice", "erin", "gina"], ["carol", "frank", "henry"]];

/// Who somebody is, by every way to find out, and whose the login is.
const WHO: &str = "#!/bin/sh
whoami
id -un
id
login=$(cat /proc/self/loginuid)
echo login $login $(id -un $login)
";

/// What each of them does. Both are logged in from the second line to the last, and
/// leave something behind that runs longer than they are logged in.
const SESSION: &str = "\
both() { touch /tmp/$1.NAME; until [ -e /tmp/$1.alice ] && [ -e /tmp/$1.carol ]; do sleep .02; done; }
both here
who
echo == nohup; nohup who 2>/dev/null
echo == sudo; sudo -n who; sudo -n printenv SUDO_USER
echo == sudo -u; sudo -n -u SUDO who
echo == su; sudo -n su SU -c 'who; nohup who' 2>/dev/null
echo == after; who
nohup sh -c 'until [ -e /tmp/gone ]; do sleep .02; done; who >/tmp/new.NAME; mv /tmp/new.NAME /tmp/left.NAME' >/dev/null 2>&1 </dev/null &
both done
";

fn host() -> Result<Stage> {
    let mapping = "mode = shared\nunknown = authorize\ngroups.15 = sudo";
    let everything = "%sudo ALL=(ALL) NOPASSWD: ALL\n";
    users::host(&[SERVER], "", mapping)
        .pam("su", &format!("auth sufficient pam_rootok.so\n{STACK}"))
        .pam("sudo", STACK)
        .file("/etc/sudoers.d/sudo", 0o440, everything)
        .file("/usr/local/bin/who", 0o755, WHO)
        .start()
}

/// Both do what is in [`SESSION`], at the same time.
fn both(stage: &Stage) -> Result<[Output; 2]> {
    let end = |login: ScopedJoinHandle<'_, Result<Output>>| {
        login.join().unwrap_or_else(|_| Err("panicked".into()))
    };
    std::thread::scope(|scope| {
        let [first, second] = PEOPLE.map(|[name, sudo, su]| {
            let command = SESSION.replace("NAME", name);
            let command = command.replace("SUDO ", &format!("{sudo} "));
            let command = command.replace("SU ", &format!("{su} "));
            scope.spawn(move || stage.ssh(name).password(PASSWORD, &command))
        });
        Ok([end(first)?, end(second)?])
    })
}

/// Who somebody with the account's uid is who logged in as `name`.
fn person(name: &str, account: &str) -> String {
    let group = format!("{account}(tacacs15)");
    format!(
        "{name}\n{name}\nuid={account}({name}) gid={group} groups={group},27(sudo)\n\
         login {account} {name}\n"
    )
}

/// The two records of somebody's only session, and where they are among all.
fn session<'s>(records: &'s [Seen], user: &str) -> Result<(usize, usize, &'s Seen)> {
    let own: Vec<_> = records
        .iter()
        .enumerate()
        .filter(|(_, seen)| seen.user == user)
        .collect();
    let [(start, first), (stop, last)] = own[..] else {
        return Err(format!("not one session of {user}: {records:?}").into());
    };
    assert_eq!([&*first.action, &*last.action], ["START", "STOP"]);
    assert!(first.arg("task_id").is_some(), "{first:?}");
    assert_eq!(first.arg("task_id"), last.arg("task_id"));
    assert_eq!(first.port, last.port);
    Ok((start, stop, first))
}

/// Each session has its own START and STOP, with the name of the user whose it is:
/// those of su and sudo too, within the login that they were started in.
fn assert_accounting(peer: &Peer<'_>) -> Result {
    let records = peer.wait_for("acct", 12)?;
    assert_eq!(records.len(), 12, "{records:?}");
    let mut tasks = Vec::new();
    for [name, sudo, su] in PEOPLE {
        let (start, stop, login) = session(&records, name)?;
        assert_eq!(login.port, "ssh", "{records:?}");
        tasks.push(login.arg("task_id"));
        let mut before = start;
        for other in [sudo, su] {
            let (first, last, session) = session(&records, other)?;
            assert!(before < first && last < stop, "{other}: {records:?}");
            assert_ne!(session.port, "ssh", "{records:?}");
            tasks.push(session.arg("task_id"));
            before = last;
        }
    }
    tasks.sort();
    tasks.dedup();
    assert_eq!(tasks.len(), 6, "{records:?}");
    Ok(())
}

#[test]
fn two_logins_of_one_account_at_once_are_told_apart_in_su_sudo_and_nohup_too() -> Result {
    let stage = host()?;
    let peer = stage.peer(SERVER, &Script::authen([Step::pass()]))?;
    for name in PEOPLE.as_flattened() {
        let add = ["identity", "add", name];
        stage.run("tacplus", &add)?.success()?;
    }
    let account = users::uid("tacacs15").to_string();
    let root = |name| {
        format!("root\nroot\nuid=0(root) gid=0(root) groups=0(root)\nlogin {account} {name}\n")
    };
    let logins = both(&stage)?;
    for ([name, ..], login) in PEOPLE.iter().zip(&logins) {
        let (who, root) = (person(name, &account), root(name));
        let expected = format!(
            "{who}== nohup\n{who}== sudo\n{root}{name}\n== sudo -u\n{who}\
             == su\n{who}{who}== after\n{who}"
        );
        assert_eq!(login.stdout, expected, "{login}{}", stage.logs());
    }
    assert_accounting(&peer)?;

    // Both logins have ended; what they left behind has not.
    stage.write("/tmp/gone", 0o644, "")?;
    for [name, ..] in PEOPLE {
        let left = wait::until("what was left behind", || {
            Some(stage.read(&format!("/tmp/left.{name}"))).filter(|text| !text.is_empty())
        });
        let left = left.map_err(|error| stage.failure(error))?;
        assert_eq!(left, person(name, &account), "{}", stage.logs());
    }
    Ok(())
}
