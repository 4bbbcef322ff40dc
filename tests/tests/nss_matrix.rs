//! What real programs show of a user whom only a server knows: for each mode of mapping
//! and each setting of `unknown`, before and after a first login, with the server up
//! and down. The transcripts are in `tests/golden/nss`; with `TACPLUS_GOLDEN=write` they
//! are written and not compared.

use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use e2e::artefacts::workspace;
use e2e::scene::{PASSWORD, STACK};
use e2e::{Daemon, Result, Stage, peer, users, wait};

const SERVER: &str = "127.0.0.1:49";

/// alice may do everything, carol may log in and nothing else; nobody else is known.
fn server_conf() -> String {
    format!(
        "key = {secret}
accounting file = /var/log/tac_plus.acct
user = alice {{
    global = cleartext {PASSWORD}
    service = exec {{ priv-lvl = 15 }}
}}
user = carol {{ global = cleartext {PASSWORD} }}
",
        secret = peer::SECRET
    )
}

fn stage(mode: &str, unknown: &str) -> Result<Stage> {
    let mapping = format!("mode = {mode}\nunknown = {unknown}\ngroups.15 = sudo");
    let builder = users::host(&[SERVER], "skip_services = cron", &mapping)
        .pam("su", &format!("auth sufficient pam_rootok.so\n{STACK}"))
        .pam("sudo", STACK)
        .pam("cron", STACK)
        .file("/etc/sudoers", 0o440, "%sudo ALL=(ALL) NOPASSWD: ALL\n");
    if mode == "local" {
        builder.user("alice", 2001).start()
    } else {
        builder.start()
    }
}

/// A key for everybody, in homes that belong to root where nobody has a uid yet.
const KEYS: &str = "ssh-keygen -q -t ed25519 -N '' -f /root/key && \
     install -d -o alice -m 700 ~alice/.ssh && \
     install -o alice -m 600 /root/key.pub ~alice/.ssh/authorized_keys && \
     for user in carol nosuchuser; do \
       install -d /home/$user/.ssh && \
       install -m 644 /root/key.pub /home/$user/.ssh/authorized_keys || exit 1; done";

/// What sudo gives to alice, by her own word.
const SUDO: &str = "sudo -n -l -U alice | grep -v '^Matching\\|env_reset'; sudo -n whoami";

/// What was run, and what came of it.
struct Transcript<'s> {
    stage: &'s Stage,
    text: String,
}

impl Transcript<'_> {
    fn title(&mut self, title: &str) {
        self.text += &format!("\n== {title}\n");
    }

    fn note(&mut self, line: &str, stdout: &str, code: i32) {
        self.text += &format!("$ {line}\n{stdout}");
        if code != 0 {
            self.text += &format!("[exit {code}]\n");
        }
    }

    fn run(&mut self, line: &str) -> Result {
        let begun = Instant::now();
        let output = self.stage.sh(line)?;
        self.note(line, &output.stdout, output.code);
        if begun.elapsed() > Duration::from_secs(4) {
            self.text += "[slow]\n";
        }
        Ok(())
    }

    fn password(&mut self, user: &str, line: &str) -> Result {
        let output = self.stage.ssh(user).password(PASSWORD, line)?;
        self.note(&format!("ssh {user}: {line}"), &output.stdout, output.code);
        Ok(())
    }

    fn keyboard_interactive(&mut self, user: &str) -> Result {
        let dialog = self.stage.ssh(user).keyboard_interactive("whoami");
        let output = dialog.answer("assword:", PASSWORD).run()?;
        let line = format!("ssh {user}, keyboard-interactive: whoami");
        self.note(&line, &output.stdout, output.code);
        Ok(())
    }

    /// With the key of [`KEYS`].
    fn key(&mut self, user: &str, line: &str) -> Result {
        let ssh = self.stage.ssh(user).option("IdentityFile=/root/key");
        let output = ssh.dialog("publickey", line).run()?;
        self.note(
            &format!("ssh {user}, key: {line}"),
            &output.stdout,
            output.code,
        );
        Ok(())
    }

    /// Every way in, and what sudo gives to whom, while no server answers.
    fn outage(&mut self) -> Result {
        self.password("alice", "whoami")?;
        self.keyboard_interactive("alice")?;
        self.key("alice", &format!("whoami; id; {SUDO}"))?;
        self.run("sudo -n -l -U alice | grep -v '^Matching\\|env_reset'")?;
        for user in ["carol", "nosuchuser"] {
            self.password(user, "whoami")?;
            self.key(user, "whoami")?;
        }
        Ok(())
    }

    fn lookups(&mut self, user: &str) -> Result {
        self.run(&format!("getent passwd {user}"))?;
        self.run(&format!("id {user} 2>&1"))?;
        self.run(&format!(
            "setpriv --reuid=bob --regid=bob --clear-groups getent passwd {user}"
        ))
    }

    /// Everything that a user who is known can do.
    fn known(&mut self) -> Result {
        self.lookups("alice")?;
        self.run("getent group \"$(id -g alice 2>&1)\"")?;
        self.run("ls -l ~alice/file | cut -d' ' -f1,3,4")?;
        self.run("su alice -s /bin/sh -c 'whoami; id -Gn'")
    }

    /// A job of hers that `cron` finds when it starts.
    fn cron(&mut self) -> Result {
        let prepare = "rm -f /run/crond.reboot /tmp/cron; \
                       echo '@reboot (whoami; id -Gn) >/tmp/cron.new; mv /tmp/cron.new /tmp/cron' \
                       | crontab -u alice - 2>&1";
        let output = self.stage.sh(prepare)?;
        self.note("crontab -u alice", &output.stdout, output.code);
        if output.code == 0 {
            let _cron: Daemon = self.stage.spawn("cron", "cron", &["-f"])?;
            let ran = wait::until("the job", || {
                Some(self.stage.read("/tmp/cron")).filter(|text| !text.is_empty())
            });
            self.note("cron", &ran.map_err(|error| self.stage.failure(error))?, 0);
        }
        Ok(())
    }
}

/// The transcript, and what the daemons logged meanwhile.
fn transcript(mode: &str, unknown: &str) -> Result<(String, String)> {
    let stage = stage(mode, unknown)?;
    let mut server = stage.tac_plus(&server_conf(), &[])?;
    let mut t = Transcript {
        stage: &stage,
        text: format!("mode = {mode}, unknown = {unknown}\n"),
    };
    t.title("a user of the server, before the first login");
    t.lookups("alice")?;
    t.title("a user whom the server permits nothing, and nobody at all");
    t.lookups("carol")?;
    t.lookups("nosuchuser")?;
    t.title("the first logins");
    t.password("alice", "whoami; id; pwd; touch file")?;
    t.password("alice", "whoami; id; pwd; touch file")?;
    t.password("carol", "whoami")?;
    t.password("nosuchuser", "whoami")?;
    if unknown == "never" {
        t.title("after 'tacplus identity add alice'");
        t.run("tacplus identity add alice")?;
        t.password("alice", "whoami; id; pwd; touch file")?;
    } else {
        t.title("after a login");
    }
    t.known()?;
    t.password("alice", SUDO)?;
    t.keyboard_interactive("alice")?;
    if stage.sh("id alice")?.code == 0 {
        stage.sh(KEYS)?.success()?;
        for user in ["alice", "carol", "nosuchuser"] {
            t.key(user, "whoami")?;
        }
    }
    t.cron()?;
    server.kill()?;
    t.title("with the server down");
    t.known()?;
    t.outage()?;
    t.cron()?;
    t.lookups("carol")?;
    t.lookups("nosuchuser")?;
    t.title("with the server down and 'offline_hours = 1', 'unreachable = ignore'");
    let offline =
        "sed -i 's/^\\[global\\]$/&\\noffline_hours = 1\\nunreachable = ignore/' /etc/tacplus.conf";
    stage.sh(offline)?.success()?;
    t.run("su alice -s /bin/sh -c 'whoami; id -Gn'")?;
    t.outage()?;
    Ok((t.text, stage.logs()))
}

/// Compares a transcript with the one that is kept.
fn golden(mode: &str, unknown: &str) -> Result {
    let (text, logs) = transcript(mode, unknown)?;
    let file: PathBuf = workspace().join(format!("tests/golden/nss/{mode}-{unknown}.txt"));
    if std::env::var_os("TACPLUS_GOLDEN").is_some_and(|what| what == "write") {
        return Ok(fs::write(file, text)?);
    }
    let kept = fs::read_to_string(&file)?;
    let first = text
        .lines()
        .zip(kept.lines())
        .find(|(now, then)| now != then);
    assert!(
        text == kept,
        "{}: first difference {first:?}\n{text}{logs}",
        file.display()
    );
    Ok(())
}

#[test]
fn unique_authorize() -> Result {
    golden("unique", "authorize")
}

#[test]
fn unique_allocate() -> Result {
    golden("unique", "allocate")
}

#[test]
fn unique_never() -> Result {
    golden("unique", "never")
}

#[test]
fn shared_authorize() -> Result {
    golden("shared", "authorize")
}

#[test]
fn shared_allocate() -> Result {
    golden("shared", "allocate")
}

#[test]
fn shared_never() -> Result {
    golden("shared", "never")
}

#[test]
fn local_authorize() -> Result {
    golden("local", "authorize")
}

#[test]
fn local_allocate() -> Result {
    golden("local", "allocate")
}

#[test]
fn local_never() -> Result {
    golden("local", "never")
}
