//! Public stacks, everybody who may log in, every way to do it: nobody gets in whom the C
//! module would not let in with the same password, unless the stack's row says why.
//!
//! `tests/golden/stacks.txt` has the table: who gets in with our module, and with the C
//! module. `TACPLUS_PEER_PAM` names a built `pam_tacplus.so` of the C module, with its
//! `libtac.so` beside it: then its half is checked too. `TACPLUS_GOLDEN=write` writes
//! what was found.

mod public;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::{env, fs};

use e2e::artefacts::workspace;
use e2e::logins::{self, Login, Refusals, Verdict, Way};
use e2e::scene::{LOCAL_PASSWORD, PASSWORD};
use e2e::{Result, Stage, peer, users};
use public::{PART, Public, STACKS};

const GOLDEN: &str = "tests/golden/stacks.txt";

const SERVER: &str = "127.0.0.1:49";

/// Where the C module is on the stage.
const PEER: &str = "pam_tacplus_c.so";

const MODES: [&str; 2] = ["local", "unique"];

/// Who, in each mode, and whose password is the right one.
const USERS: [(&str, [&str; 2], bool); 4] = [
    ("root", ["root", "root"], false),
    ("local", ["agent", "bob"], false),
    ("excluded", ["guest", "guest"], false),
    ("tacacs", ["alice", "carol"], true),
];

/// The ways of the table, in the order of its letters: the right password, a wrong one, an
/// empty one, a key, root's su, and the password that the other side would take.
const WAYS: [char; 6] = ['r', 'w', 'e', 'k', 's', 'o'];

/// An unprivileged caller of su.
const CALLER: u32 = 2002;

/// `/etc/tacplus.conf` of this mode, for a line with `conf=`.
fn conf(mode: &str) -> String {
    let mapping = format!("mode = {mode}");
    users::conf(&[SERVER], "exclude_users = guest", &mapping)
}

fn stage() -> Result<Stage> {
    // Ours asks for a shell, the C module for what its line says.
    let rights = "service = exec { priv-lvl = 1 } service = ppp protocol = ip { }";
    let user = |name| format!("user = {name} {{ global = cleartext {PASSWORD} {rights} }}\n");
    let server = format!(
        "key = {}\nthrottle = 0\n{}{}",
        peer::SECRET,
        user("alice"),
        user("carol")
    );
    let stage = users::host(&[SERVER], "exclude_users = guest", "mode = unique")
        .user_with_password("agent", 300, LOCAL_PASSWORD)
        .user_with_password("guest", 2003, LOCAL_PASSWORD)
        .user_with_password("alice", 2004, LOCAL_PASSWORD)
        .file("/etc/ftpusers", 0o644, "daemon\n")
        .file(
            "/etc/allowed",
            0o644,
            "root\nagent\nbob\nguest\nalice\ncarol\n",
        )
        .file("/etc/security/faillock.conf", 0o644, "deny = 100000\n")
        .server_conf(&server)
        .start()?;
    stage.set_password("root", LOCAL_PASSWORD)?;
    users::store(&stage, &[users::entry("carol", 1, &[])])?;
    for mode in MODES {
        stage.write(&format!("/etc/tacplus-{mode}.conf"), 0o600, &conf(mode))?;
    }
    logins::put_pam_host(&stage)?;
    Ok(stage)
}

/// One login of the table.
struct Case {
    service: String,
    user: &'static str,
    is_tacacs: bool,
    /// Of [`WAYS`].
    way: char,
}

impl Case {
    fn login(&self, is_su: bool) -> Login<'_> {
        let (right, other) = if self.is_tacacs {
            (PASSWORD, LOCAL_PASSWORD)
        } else {
            (LOCAL_PASSWORD, PASSWORD)
        };
        let is_roots = !is_su || self.way == 'k' || self.way == 's';
        Login {
            service: &self.service,
            user: self.user,
            caller: if is_roots { 0 } else { CALLER },
            way: match self.way {
                'r' => Way::Password(right),
                'o' => Way::Password(other),
                'w' => Way::Password("wrong"),
                'e' => Way::Password(""),
                'k' => Way::Key,
                _ => Way::NoAnswer,
            },
        }
    }
}

/// Who gets in by one stack with one module: a line of letters for each user of each mode.
fn found(stage: &Stage, stack: &Public, module: &dyn Fn(&str) -> String) -> Result<Vec<String>> {
    let mut cases = Vec::new();
    for (number, mode) in MODES.iter().enumerate() {
        let (service, part) = (format!("stack-{mode}"), format!("part-{mode}"));
        let put = |name: &str, text: &str| {
            let text = text.replace("TACPLUS", &module(mode));
            stage.write(&format!("/etc/pam.d/{name}"), 0o644, &text)
        };
        put(&part, PART)?;
        let auth = stack.auth.replace("tacplus-part", &part);
        put(&service, &format!("{auth}\n{}\n", stack.account))?;
        for (_, names, is_tacacs) in USERS {
            cases.extend(WAYS.map(|way| Case {
                service: service.clone(),
                user: names[number],
                is_tacacs,
                way,
            }));
        }
    }
    let is_su = stack.auth.contains("pam_rootok");
    let logins: Vec<Login<'_>> = cases.iter().map(|case| case.login(is_su)).collect();
    let verdicts = logins::run(stage, &logins, 4, Refusals::Noted)?;
    let letter = |(case, verdict): (&Case, Verdict)| if verdict.gets_in() { case.way } else { '-' };
    let letters: Vec<char> = cases.iter().zip(verdicts).map(letter).collect();
    Ok(letters.chunks(WAYS.len()).map(String::from_iter).collect())
}

/// The C module, if it is given, put beside ours.
fn put_peer(stage: &Stage) -> Result<bool> {
    let Some(path) = env::var_os("TACPLUS_PEER_PAM").map(PathBuf::from) else {
        return Ok(false);
    };
    let copy = |from: &Path, to: &str| fs::copy(from, stage.path(to)).map(drop);
    copy(&path, &format!("/lib/x86_64-linux-gnu/security/{PEER}"))?;
    for entry in fs::read_dir(path.parent().unwrap_or(Path::new(".")))? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.starts_with("libtac.so") {
            copy(&entry.path(), &format!("/lib/x86_64-linux-gnu/{name}"))?;
        }
    }
    Ok(true)
}

/// One line of the table.
struct Row {
    stack: &'static Public,
    key: String,
    ours: String,
    peer: String,
}

impl Row {
    fn line(&self) -> String {
        format!("{} ours {} C {}\n", self.key, self.ours, self.peer)
    }
}

fn key(stack: &str, mode: &str, user: &str) -> String {
    format!("{stack:26} {mode:6} {user:8}")
}

/// The letters behind a word, in the line that begins with a key.
fn kept<'a>(golden: &'a str, key: &str, word: &str) -> &'a str {
    let line = golden.lines().find_map(|line| line.strip_prefix(key));
    let mut words = line.unwrap_or_default().split_whitespace();
    words.find(|found| *found == word);
    words.next().unwrap_or_default()
}

fn table(stage: &Stage, golden: &str) -> Result<Vec<Row>> {
    let has_peer = put_peer(stage)?;
    let ours = |mode: &str| format!("pam_tacplus.so conf=/etc/tacplus-{mode}.conf");
    let secret = peer::SECRET;
    let peers = |_: &str| {
        format!("{PEER} server=127.0.0.1 secret={secret} login=pap service=ppp protocol=ip")
    };
    let mut rows = Vec::new();
    for stack in &STACKS {
        let with_ours = found(stage, stack, &ours)?;
        let with_peer = if has_peer {
            found(stage, stack, &peers)?
        } else {
            Vec::new()
        };
        let users = MODES
            .iter()
            .flat_map(|mode| USERS.iter().map(move |user| (*mode, user.0)));
        for (number, (mode, user)) in users.enumerate() {
            let key = key(stack.name, mode, user);
            let peer = with_peer.get(number).cloned();
            rows.push(Row {
                stack,
                ours: with_ours[number].clone(),
                peer: peer.unwrap_or_else(|| kept(golden, &key, "C").to_owned()),
                key,
            });
        }
    }
    Ok(rows)
}

#[test]
fn nobody_gets_in_whom_the_c_module_keeps_out_unless_the_stack_s_row_says_why() -> Result {
    let path = workspace().join(GOLDEN);
    let golden = fs::read_to_string(&path).unwrap_or_default();
    let stage = stage()?;
    let rows = table(&stage, &golden)?;
    let head: String = golden
        .lines()
        .filter(|line| line.starts_with('#'))
        .map(|line| format!("{line}\n"))
        .collect();
    let text: String = rows.iter().map(Row::line).collect();
    if env::var_os("TACPLUS_GOLDEN").is_some_and(|what| what == "write") {
        fs::write(&path, format!("{head}{text}"))?;
    } else {
        let differs = text
            .lines()
            .find(|line| !golden.lines().any(|kept| kept == *line));
        assert_eq!(differs, None, "not what {GOLDEN} has{}", stage.logs());
    }

    for stack in &STACKS {
        let mut needed = BTreeSet::new();
        for row in rows.iter().filter(|row| std::ptr::eq(row.stack, stack)) {
            assert_eq!(
                row.peer.len(),
                WAYS.len(),
                "{}: nothing about the C module",
                row.key
            );
            let more = row
                .ours
                .chars()
                .filter(|way| *way != '-' && !row.peer.contains(*way));
            needed.extend(more);
            for never in ['w', 'e'] {
                assert!(!row.ours.contains(never), "{}", row.line());
            }
        }
        let said: BTreeSet<char> = stack.why.iter().map(|(way, _)| *way).collect();
        assert_eq!(
            needed, said,
            "{}: who gets in for a reason, and the reasons",
            stack.name
        );
    }
    Ok(())
}

#[test]
fn the_table_has_what_is_to_be_seen() {
    assert!(STACKS.len() >= 20);
    let names: BTreeSet<&str> = STACKS.iter().map(|stack| stack.name).collect();
    assert_eq!(names.len(), STACKS.len());
    for stack in &STACKS {
        assert!(stack.why.iter().all(|(_, reason)| !reason.is_empty()));
        assert!(stack.auth.contains("TACPLUS") || stack.auth.contains("tacplus-part"));
    }
}
