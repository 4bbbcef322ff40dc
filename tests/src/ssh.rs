//! The real `sshd` of the stage and the three ways to log in to it.

use crate::{Daemon, Dialog, Output, Result, Stage};

const CONFIG: &str = "\
Port 22
HostKey /etc/ssh/stage_host_key
UsePAM yes
PermitRootLogin yes
PasswordAuthentication yes
KbdInteractiveAuthentication yes
PubkeyAuthentication yes
AuthorizedKeysFile .ssh/authorized_keys
PrintMotd no
PrintLastLog no
UseDNS no
LogLevel VERBOSE
";

/// The options that make `ssh` ask nothing but the password.
const OPTIONS: &[&str] = &[
    "-F",
    "none",
    "-o",
    "StrictHostKeyChecking=no",
    "-o",
    "UserKnownHostsFile=/dev/null",
    "-o",
    "LogLevel=ERROR",
    "-o",
    "NumberOfPasswordPrompts=1",
];

/// Starts `sshd` on port 22 of every address and waits until it listens.
pub(crate) fn serve(stage: &Stage) -> Result<Daemon> {
    stage.write("/etc/ssh/stage_sshd_config", 0o644, CONFIG)?;
    let keygen = "ssh-keygen -q -t ed25519 -N '' -f /etc/ssh/stage_host_key";
    stage.sh(keygen)?.success()?;
    let arguments = ["-D", "-f", "/etc/ssh/stage_sshd_config"];
    let daemon = stage.spawn("sshd", "/usr/sbin/sshd", &arguments)?;
    stage.wait_for_listener(22)?;
    Ok(daemon)
}

/// One login with `ssh`. The way in is chosen with [`Ssh::password`],
/// [`Ssh::keyboard_interactive`] or [`Ssh::public_key`].
#[must_use]
pub struct Ssh<'a> {
    stage: &'a Stage,
    user: String,
    host: String,
    options: Vec<String>,
}

impl<'a> Ssh<'a> {
    pub(crate) fn new(stage: &'a Stage, user: &str) -> Self {
        Self {
            stage,
            user: user.into(),
            host: "127.0.0.1".into(),
            options: Vec::new(),
        }
    }

    /// Connects to another address of the stage.
    pub fn host(mut self, host: &str) -> Self {
        self.host = host.into();
        self
    }

    /// One more option of `ssh`, as for its `-o`.
    pub fn option(mut self, option: &str) -> Self {
        self.options.extend(["-o".to_owned(), option.to_owned()]);
        self
    }

    /// Logs in with the `password` method and runs `command`.
    pub fn password(self, password: &str, command: &str) -> Result<Output> {
        self.dialog("password", command)
            .answer("password:", password)
            .run()
    }

    /// The conversation of a login with the `keyboard-interactive` method: the
    /// caller adds the answers.
    pub fn keyboard_interactive(self, command: &str) -> Dialog<'a> {
        self.dialog("keyboard-interactive", command)
    }

    /// Logs in with a key made for the user on the first call.
    pub fn public_key(self, command: &str) -> Result<Output> {
        let user = &self.user;
        let key = format!("/root/{user}.key");
        let make = format!(
            "[ -e {key} ] || ssh-keygen -q -t ed25519 -N '' -f {key}; \
             install -d -o {user} -g {user} -m 700 ~{user}/.ssh && \
             install -o {user} -g {user} -m 600 {key}.pub ~{user}/.ssh/authorized_keys"
        );
        self.stage.sh(&make)?.success()?;
        self.option(&format!("IdentityFile={key}"))
            .dialog("publickey", command)
            .run()
    }

    /// The conversation of a login with this method only.
    pub fn dialog(self, method: &str, command: &str) -> Dialog<'a> {
        let preferred = format!("PreferredAuthentications={method}");
        let target = format!("{}@{}", self.user, self.host);
        let mut words = vec!["ssh"];
        words.extend(OPTIONS);
        words.extend(["-o", &preferred]);
        words.extend(self.options.iter().map(String::as_str));
        words.extend([target.as_str(), command]);
        Dialog::new(self.stage, &words)
    }
}
