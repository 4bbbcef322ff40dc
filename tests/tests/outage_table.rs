//! The table of docs/outages.md, row by row: a user whom the servers refuse, with an old local
//! password, in `sshd` and `su`, under each policy.

use std::time::Duration;

use e2e::artefacts::workspace;
use e2e::provoke::{INETD, wait_for_refused_dialogues, waiting_at_the_prompt, without_ports};
use e2e::scene::{self, LOCAL_PASSWORD, STACK};
use e2e::stage::Builder;
use e2e::{Output, Result, Script, Stage, Step};

const SERVER: &str = "127.0.0.1:49";
const BY_NAME: &str = "aaa1.example.net:49";

/// In the order of the columns.
const POLICIES: [&str; 4] = [
    "fallback_users = bob",
    "unreachable = users",
    "unreachable = deny",
    "unreachable = ignore",
];

/// One case of the table: where its servers are, and what `[global]` says beside the policy.
struct Case<'a> {
    stage: &'a Stage,
    server: &'a str,
    global: &'a str,
    /// How long the person takes at a prompt of the server.
    patience: Option<Duration>,
}

fn host() -> Builder {
    scene::host(&[SERVER], "").pam("su", STACK)
}

impl Case<'_> {
    /// Compares what happens with the row of the table for `sshd`, and with that for `su`.
    fn is_as_documented(&self, sshd: &str, su: &str) -> Result {
        let table = std::fs::read_to_string(workspace().join("docs/outages.md"))?;
        for (program, what) in [("sshd", sshd), ("su", su)] {
            let row =
                row(&table, what, program).ok_or(format!("no row for {what} in {program}"))?;
            for (policy, expected) in POLICIES.iter().zip(row) {
                self.configure(policy)?;
                let login = if program == "su" {
                    self.su()?
                } else {
                    self.ssh()?
                };
                let got = match login.stdout.as_str() {
                    "" => "refused",
                    "bob\n" => "local password",
                    other => other,
                };
                assert_eq!(
                    got,
                    expected,
                    "{what} in {program}, {policy}: {login}{}",
                    self.stage.logs()
                );
            }
        }
        Ok(())
    }

    fn configure(&self, policy: &str) -> Result {
        let global = format!("timeout = 2\nhold_down = 0\n{}\n{policy}", self.global);
        let text = scene::conf(&[self.server], &global);
        self.stage.write("/etc/tacplus.conf", 0o600, &text)
    }

    fn su(&self) -> Result<Output> {
        let su = self
            .stage
            .dialog(&["su", "-", "bob", "-c", "whoami"])
            .as_user("alice");
        let patience = self.patience.unwrap_or_default();
        su.answer_after("assword:", patience, LOCAL_PASSWORD).run()
    }

    fn ssh(&self) -> Result<Output> {
        let ssh = self.stage.ssh("bob").option(INETD);
        match self.patience {
            None => ssh.password(LOCAL_PASSWORD, "whoami"),
            Some(patience) => {
                let dialog = ssh.keyboard_interactive("whoami");
                dialog
                    .answer_after("assword:", patience, LOCAL_PASSWORD)
                    .run()
            }
        }
    }
}

/// What stands in the columns of a row, by its first two.
fn row<'t>(table: &'t str, what: &str, program: &str) -> Option<Vec<&'t str>> {
    let cells = |line: &'t str| -> Option<Vec<&'t str>> {
        let line = line.strip_prefix("| ")?.strip_suffix(" |")?;
        Some(line.split(" | ").collect())
    };
    table
        .lines()
        .filter_map(cells)
        .find_map(|cells| match cells.as_slice() {
            [first, second, rest @ ..] if *first == what && *second == program => {
                Some(rest.to_vec())
            }
            _ => None,
        })
}

#[test]
fn every_local_port_is_taken() -> Result {
    for (global, sshd, su) in [
        (
            "",
            "(a) a local user takes every port to connect from",
            "(a)",
        ),
        (
            "local_ports = no",
            "(a) with `local_ports = no`",
            "(a) with `local_ports = no`",
        ),
    ] {
        let stage = host().start()?;
        let _peer = stage.peer(SERVER, &Script::authen([Step::fail()]))?;
        let _hog = without_ports(&stage, "tcp")?;
        let case = Case {
            stage: &stage,
            server: SERVER,
            global,
            patience: None,
        };
        case.is_as_documented(sshd, su)?;
    }
    Ok(())
}

#[test]
fn every_port_of_a_resolver_is_taken() -> Result {
    let resolv_conf = "nameserver 127.0.0.1\noptions timeout:1 attempts:1\n";
    let stage = host()
        .file("/etc/nsswitch.conf", 0o644, "hosts: files dns\n")
        .file("/etc/resolv.conf", 0o644, resolv_conf)
        .start()?;
    let _peer = stage.peer(SERVER, &Script::authen([Step::fail()]))?;
    let _hog = without_ports(&stage, "udp")?;
    let case = Case {
        stage: &stage,
        server: BY_NAME,
        global: "",
        patience: None,
    };
    case.is_as_documented("(b) every port of a resolver, server given by name", "(b)")
}

#[test]
fn a_full_server_closes_what_it_takes() -> Result {
    let stage = host().start()?;
    let _peer = stage.peer(SERVER, &Script::authen([Step::Close]).author([Step::Close]))?;
    let case = Case {
        stage: &stage,
        server: SERVER,
        global: "",
        patience: None,
    };
    let full = "(c) the server takes connections and closes them, being full";
    case.is_as_documented(full, "(c)")
}

#[test]
fn a_firewall_refuses_connections() -> Result {
    let stage = host().start()?;
    let _peer = stage.peer(SERVER, &Script::authen([Step::fail()]))?;
    let reject = "iptables -I INPUT -p tcp --dport 49 -j REJECT --reject-with tcp-reset";
    stage.sh(reject)?.success()?;
    let case = Case {
        stage: &stage,
        server: SERVER,
        global: "",
        patience: None,
    };
    case.is_as_documented("(c) a firewall refuses further connections", "(c) firewall")
}

#[test]
fn prompts_wait_at_a_server_that_takes_no_more() -> Result {
    let stage = host().start()?;
    let limited = format!(
        "{}limit connections-per-client = 20\n",
        scene::server_conf()
    );
    let _server = stage.tac_plus(&limited, &[])?;
    let case = Case {
        stage: &stage,
        server: SERVER,
        global: "login = ascii",
        patience: Some(Duration::ZERO),
    };
    case.configure("unreachable = ignore")?;
    let _waiting = waiting_at_the_prompt(&stage, 20)?;
    wait_for_refused_dialogues(&stage, 10)?;
    case.is_as_documented("(d) twenty prompts wait, the server takes twenty", "(d)")
}

#[test]
fn somebody_waits_until_the_server_hangs_up() -> Result {
    let stage = host().start()?;
    let impatient = format!("{}limit answer = 1\n", scene::server_conf());
    let _server = stage.tac_plus(&impatient, &[])?;
    let case = Case {
        stage: &stage,
        server: SERVER,
        global: "login = ascii\ndeadline = 30",
        patience: Some(Duration::from_secs(3)),
    };
    case.is_as_documented("(e) waiting at the prompt until the server hangs up", "(e)")
}

#[test]
fn connections_get_no_answer() -> Result {
    let stage = host().start()?;
    let _peer = stage.peer(SERVER, &Script::authen([Step::fail()]))?;
    stage
        .sh("iptables -I INPUT -p tcp --dport 49 --syn -j DROP")?
        .success()?;
    let case = Case {
        stage: &stage,
        server: SERVER,
        global: "",
        patience: None,
    };
    case.is_as_documented("conntrack is full: connections get no answer", "conntrack")
}

#[test]
fn the_server_answers_error_under_load() -> Result {
    use tacacs_common::packet::{AcctStatus, AuthenStatus, AuthorStatus};
    let stage = host().start()?;
    let script = Script::authen([Step::authen(AuthenStatus::Error, "too busy")])
        .author([Step::author(AuthorStatus::Error, &[])])
        .acct([Step::acct(AcctStatus::Error)]);
    let _peer = stage.peer(SERVER, &script)?;
    let case = Case {
        stage: &stage,
        server: SERVER,
        global: "",
        patience: None,
    };
    case.is_as_documented("the server answers ERROR under load", "ERROR")
}
