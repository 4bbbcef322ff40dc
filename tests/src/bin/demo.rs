#![forbid(unsafe_code)]
//! `make demo`: a person logs in to a host with TACACS+, step by step, on a
//! stage of its own. Nothing of this host is changed. Ends with an error as soon
//! as anything is not as it should be.

use std::io::{self, Write};

use e2e::stage::NSSWITCH;
use e2e::{Output, Result, Stage, users};

const SECRET: &str = "demo-secret-known-to-both-a81f93";
const PASSWORD: &str = "correct horse battery";

const SERVER_CONF: &str = r#"
# tac_plus.conf(5): who may log in, with which rights
host = 127.0.0.1 {
    key = "demo-secret-known-to-both-a81f93"
}
accounting file = /var/log/tac_plus.acct

user = alice {
    login = cleartext "correct horse battery"
    pap = cleartext "correct horse battery"
    service = exec {
        priv-lvl = 15
    }
}
"#;

const HOST_CONF: &str = "
# tacplus.conf(5): which server to ask, what its users are on this host
[server demo]
address     = 127.0.0.1:49
secret_file = /etc/tacplus/demo.secret

[mapping]
mode        = unique    ; everybody gets an own uid, the same on every host
groups.15   = sudo      ; and with privilege level 15 this group
";

fn main() -> Result {
    title("A private copy of this host: own files, own network, own log")?;
    let stack = users::stack();
    let stage = Stage::builder()
        .nss()
        .tacplus_conf(HOST_CONF)
        .file("/etc/tacplus/demo.secret", 0o600, &format!("{SECRET}\n"))
        .pam("sshd", &stack)
        .server_conf(SERVER_CONF)
        .start()?;
    let passwd = stage.sh("grep -c ^alice: /etc/passwd /etc/shadow /etc/group")?;
    show("$ grep -c ^alice: /etc/passwd ...", &said(&passwd))?;
    expect(
        !passwd.stdout.contains(":1"),
        "no file of this host knows alice",
        &stage,
    )?;

    title("tac_plus listens on 127.0.0.1:49, with this configuration")?;
    show("/etc/tac_plus.conf", SERVER_CONF.trim())?;

    title("The host asks it who alice is; sshd and its PAM stack, whether it is she")?;
    show("/etc/nsswitch.conf", NSSWITCH.trim())?;
    show("/etc/pam.d/sshd", stack.trim())?;
    show("/etc/tacplus.conf", HOST_CONF.trim())?;

    title("alice logs in with the password only the server knows")?;
    log_in(&stage)?;

    title("From now on every program of the host knows her, and no server is asked")?;
    look_up(&stage)?;

    title("What the server permitted her (service=shell, cmd=)")?;
    authorize(&stage)?;

    title("What the server wrote down")?;
    account(&stage)?;

    title("A wrong password is refused")?;
    refuse(&stage)?;

    title("Done. The stage is taken down; this host is as it was.")
}

fn log_in(stage: &Stage) -> Result {
    let command = "whoami; echo loginuid $(cat /proc/self/loginuid); echo hello >file";
    let login = stage.ssh("alice").password(PASSWORD, command)?;
    show("$ ssh alice@127.0.0.1 whoami", &said(&login))?;
    expect(login.code == 0, "the login succeeds", stage)?;
    let uid = users::uid("alice");
    expect(
        login.stdout == format!("alice\nloginuid {uid}\n"),
        "whoami says alice",
        stage,
    )?;
    show("/var/log/auth.log", &lines_of(&stage.syslog(), "alice"))
}

fn look_up(stage: &Stage) -> Result {
    let uid = users::uid("alice");
    for (line, expected, what) in [
        (
            "getent passwd alice",
            format!("alice:*:{uid}:{uid}::/home/alice:/bin/bash\n"),
            "an account without a password of its own",
        ),
        (
            "id alice",
            format!("uid={uid}(alice) gid={uid}(alice) groups={uid}(alice),27(sudo)\n"),
            "the groups of her level",
        ),
        (
            "ls -l /home/alice/file",
            " alice alice ".to_owned(),
            "her file is hers",
        ),
    ] {
        let output = stage.sh(line)?;
        show(&format!("$ {line}"), &said(&output))?;
        expect(output.stdout.contains(&expected), what, stage)?;
    }
    Ok(())
}

fn authorize(stage: &Stage) -> Result {
    let arguments = ["-v", "-u", "alice", "-H", "127.0.0.1", "--key-file"];
    let request = [
        "/etc/tacplus/demo.secret",
        "authorize",
        "-c",
        "service=shell",
        "cmd=",
    ];
    let answer = stage.run("tacacs_client", &[&arguments[..], &request].concat())?;
    show(
        "$ tacacs_client -v ... authorize -c service=shell cmd=",
        &said(&answer),
    )?;
    expect(
        answer.stdout.contains("status: PASS"),
        "the server permits a shell",
        stage,
    )?;
    expect(
        answer.stdout.contains("priv-lvl=15"),
        "with privilege level 15",
        stage,
    )
}

fn account(stage: &Stage) -> Result {
    const FILE: &str = "/var/log/tac_plus.acct";
    let start = stage.wait_for_line(FILE, "\tstart\t")?;
    let stop = stage.wait_for_line(FILE, "\tstop\t")?;
    show(FILE, &format!("{start}\n{stop}").replace('\t', "  "))?;
    expect(task_id(&start).is_some(), "START carries a task_id", stage)?;
    expect(
        task_id(&start) == task_id(&stop),
        "STOP carries the same one",
        stage,
    )?;
    expect(
        stop.contains("elapsed_time="),
        "and how long it took",
        stage,
    )
}

fn refuse(stage: &Stage) -> Result {
    let login = stage.ssh("alice").password("wrong", "whoami")?;
    show("$ ssh alice@127.0.0.1 whoami", &said(&login))?;
    stage.wait_for_log("authentication of 'alice' from 127.0.0.1 denied")?;
    show("/var/log/auth.log", &lines_of(&stage.syslog(), "denied"))?;
    expect(
        login.code == 255 && login.stdout.is_empty(),
        "no session is opened",
        stage,
    )
}

fn task_id(record: &str) -> Option<&str> {
    record
        .split(['\t', ' '])
        .find(|word| word.starts_with("task_id="))
}

/// What a program wrote, output and terminal.
fn said(output: &Output) -> String {
    let text = format!("{}\n{}", output.stdout.trim(), output.stderr.trim());
    let lines = text
        .lines()
        .map(str::trim_end)
        .filter(|line| !line.is_empty());
    lines.collect::<Vec<_>>().join("\n")
}

/// The lines of the system log that sshd and its modules wrote, without the
/// number that stands for facility and severity.
fn lines_of(log: &str, word: &str) -> String {
    let lines = log
        .lines()
        .filter(|line| line.contains(" sshd[") && line.contains(word));
    let texts = lines.map(|line| line.split_once('>').map_or(line, |(_, text)| text));
    texts.collect::<Vec<_>>().join("\n")
}

fn title(text: &str) -> Result {
    writeln!(io::stdout(), "\n== {text}")?;
    Ok(())
}

fn show(name: &str, text: &str) -> Result {
    let mut out = io::stdout().lock();
    writeln!(out, "   {name}")?;
    for line in text.lines() {
        writeln!(out, "   |  {line}")?;
    }
    Ok(())
}

fn expect(holds: bool, what: &str, stage: &Stage) -> Result {
    if holds {
        writeln!(io::stdout(), "   ok: {what}")?;
        return Ok(());
    }
    Err(format!("not so: {what}\n{}", stage.logs()).into())
}
