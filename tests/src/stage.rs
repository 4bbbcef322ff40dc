//! The private host a test plays on.
//!
//! Owns the namespaces and everything in them: dropping a [`Stage`] ends every
//! process of it. Must never write to a path of the host. Several stages may
//! exist at once, all with the same ports and addresses.

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::{IpAddr, Ipv6Addr};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use crate::artefacts::{self, BUILT, MODULES};
use crate::command::{Daemon, Output};
use crate::dialog::Dialog;
use crate::peer::{Peer, Script};
use crate::ssh::{self, Ssh};
use crate::{Failure, Result, leaks, wait};

/// Where PAM modules live on the stage.
pub const MODULE: &str = "/lib/x86_64-linux-gnu/security/pam_tacplus.so";

/// Where the C library looks for the NSS module on the stage.
pub const NSS_MODULE: &str = "/lib/x86_64-linux-gnu/libnss_tacplus.so.2";

/// What the documentation recommends for `/etc/nsswitch.conf`, and nothing else.
pub const NSSWITCH: &str = "\
passwd: files tacplus
group:  files tacplus
shadow: files
hosts:  files
";

/// Every file that was written outside `/run`, `/home`, `/var/log` and `/dev`.
pub const WRITTEN: &str = "/run/e2e/written";

/// The stack the documentation recommends for `sshd`: a denial stays a denial,
/// and a local user gets in with the local password when no server answers. With
/// `nodelay`, for tests have no time to wait after refusals.
pub const SSHD_STACK: &str = "\
auth     [success=done user_unknown=ignore authinfo_unavail=ignore service_err=ignore ignore=ignore default=die] pam_tacplus.so nodelay
auth     required  pam_unix.so try_first_pass nodelay
account  [success=ok ignore=ignore default=die] pam_tacplus.so
account  required  pam_unix.so
session  required  pam_loginuid.so
session  required  pam_tacplus.so
password required  pam_tacplus.so
";

/// What a stage will be made of. Every part is optional.
#[derive(Default)]
pub struct Builder {
    users: Vec<(String, u32, Option<String>)>,
    files: Vec<(String, u32, String)>,
    addresses: Vec<IpAddr>,
    server: Option<String>,
    sshd: bool,
    nss: bool,
}

impl Builder {
    /// A local user without a usable password, with a home folder.
    #[must_use]
    pub fn user(mut self, name: &str, uid: u32) -> Self {
        self.users.push((name.into(), uid, None));
        self
    }

    /// A local user with a password in `/etc/shadow`.
    #[must_use]
    pub fn user_with_password(mut self, name: &str, uid: u32, password: &str) -> Self {
        self.users.push((name.into(), uid, Some(password.into())));
        self
    }

    /// A file owned by root; its folder is made.
    #[must_use]
    pub fn file(mut self, path: &str, mode: u32, text: &str) -> Self {
        self.files.push((path.into(), mode, text.into()));
        self
    }

    /// `/etc/tacplus.conf`, mode 0600 because tests keep the secret in it.
    #[must_use]
    pub fn tacplus_conf(self, text: &str) -> Self {
        self.file("/etc/tacplus.conf", 0o600, text)
    }

    /// `/etc/pam.d/<service>`. For `sshd`, a real one is started on port 22.
    #[must_use]
    pub fn pam(mut self, service: &str, stack: &str) -> Self {
        self.sshd |= service == "sshd";
        self.file(&format!("/etc/pam.d/{service}"), 0o644, stack)
    }

    /// Users that are not in `/etc/passwd`: the NSS module, and an nsswitch.conf that
    /// names it.
    #[must_use]
    pub fn nss(mut self) -> Self {
        self.nss = true;
        self.file("/etc/nsswitch.conf", 0o644, NSSWITCH)
    }

    /// One more address of the stage, IPv4 or IPv6. It answers at once: nobody
    /// listens there until a daemon is started on it.
    #[must_use]
    pub fn address(mut self, address: IpAddr) -> Self {
        self.addresses.push(address);
        self
    }

    /// Runs `tac_plus` with this configuration on port 49 of every address.
    #[must_use]
    pub fn server_conf(mut self, text: &str) -> Self {
        self.server = Some(text.into());
        self
    }

    /// Builds the namespaces, puts everything in place and waits until the
    /// daemons asked for are listening.
    pub fn start(self) -> Result<Stage> {
        let mut stage = Stage::open()?;
        for address in &self.addresses {
            stage.add_address(*address)?;
        }
        for (path, mode, text) in &self.files {
            stage.write(path, *mode, text)?;
        }
        for (name, uid, password) in &self.users {
            stage.add_user(name, *uid, password.as_deref())?;
        }
        stage.put_module("libpam_tacplus.so", MODULE)?;
        if self.nss {
            stage.put_module("libnss_tacplus.so", NSS_MODULE)?;
        }
        if let Some(conf) = &self.server {
            let server = stage.tac_plus(conf, &[])?;
            stage.daemons.push(server);
        }
        if self.sshd {
            let sshd = ssh::serve(&stage)?;
            stage.daemons.push(sshd);
        }
        Ok(stage)
    }
}

/// A running stage.
pub struct Stage {
    /// Dropped in this order: daemons, then the namespaces, then the folder.
    daemons: Vec<Daemon>,
    unshare: Child,
    /// The holder, pid 1 of the stage, as the host numbers it.
    holder: u32,
    _base: tempfile::TempDir,
}

impl Stage {
    /// A stage to describe.
    #[must_use]
    pub fn builder() -> Builder {
        Builder::default()
    }

    fn open() -> Result<Self> {
        let base = tempfile::Builder::new()
            .prefix("tacplus-stage-")
            .tempdir()?;
        let mut unshare = Command::new("unshare")
            .args([
                "-m",
                "-n",
                "-u",
                "-p",
                "-f",
                "--kill-child",
                "--propagation",
                "private",
            ])
            .args(["sh", "-c", include_str!("stage.sh"), "stage.sh"])
            .args([base.path(), artefacts::workspace()])
            .args([artefacts::built()?, artefacts::modules()?])
            .arg(artefacts::own()?)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let mut pid = String::new();
        if let Some(out) = unshare.stdout.take() {
            BufReader::new(out).read_line(&mut pid)?;
        }
        let holder = pid.trim().parse().map_err(
            |_| "the stage could not be built (root is needed); unshare's message is above",
        )?;
        Ok(Self {
            daemons: Vec::new(),
            unshare,
            holder,
            _base: base,
        })
    }

    /// `path` of the stage as the test process can open it. Only for paths
    /// without absolute symbolic links in them.
    pub fn path(&self, path: &str) -> PathBuf {
        PathBuf::from(format!("/proc/{}/root{path}", self.holder))
    }

    /// The text of a file of the stage; empty when there is none.
    pub fn read(&self, path: &str) -> String {
        fs::read(self.path(path))
            .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
            .unwrap_or_default()
    }

    /// Writes a file of the stage, owned by root, and makes its folder.
    pub fn write(&self, path: &str, mode: u32, text: &str) -> Result {
        let file = self.path(path);
        if let Some(folder) = file.parent() {
            fs::create_dir_all(folder)?;
        }
        fs::write(&file, text)?;
        fs::set_permissions(&file, fs::Permissions::from_mode(mode))?;
        Ok(())
    }

    /// The system log of the stage so far, a message a line.
    pub fn syslog(&self) -> String {
        self.read("/var/log/syslog")
    }

    /// Waits until the system log has a line with `text` in it and gives it.
    pub fn wait_for_log(&self, text: &str) -> Result<String> {
        self.wait_for_line("/var/log/syslog", text)
    }

    /// Waits until the file has a whole line with `text` in it and gives it.
    pub fn wait_for_line(&self, path: &str, text: &str) -> Result<String> {
        let line = wait::until(&format!("'{text}' in {path}"), || {
            let all = self.read(path);
            let whole = all
                .split_inclusive('\n')
                .filter(|line| line.ends_with('\n'));
            whole
                .map(str::trim_end)
                .find(|line| line.contains(text))
                .map(str::to_owned)
        });
        line.map_err(|error| self.failure(&error))
    }

    /// A failure with everything the stage's programs logged.
    pub fn failure(&self, what: impl std::fmt::Display) -> Failure {
        format!("{what}\n{}", self.logs()).into()
    }

    /// Runs a program as root, with nothing to read, until it ends.
    pub fn run(&self, program: &str, args: &[&str]) -> Result<Output> {
        Output::of(
            self.enter(&["timeout", "-k", "1", "60", program])
                .args(args),
        )
    }

    /// Runs a line of shell as root.
    pub fn sh(&self, line: &str) -> Result<Output> {
        self.run("sh", &["-c", line])
    }

    /// The processes of the stage, as the host numbers them, with their names.
    pub fn processes(&self) -> Vec<(u32, String)> {
        let namespace = |pid: u32| fs::read_link(format!("/proc/{pid}/ns/pid")).ok();
        let ours = namespace(self.holder);
        let all = fs::read_dir("/proc").into_iter().flatten().flatten();
        all.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
            .filter(|pid| namespace(*pid) == ours)
            .filter_map(|pid| Some((pid, fs::read_to_string(format!("/proc/{pid}/comm")).ok()?)))
            .map(|(pid, name)| (pid, name.trim().to_owned()))
            .collect()
    }

    /// A program that will ask questions on its terminal, run as root.
    pub fn dialog(&self, command: &[&str]) -> Dialog<'_> {
        Dialog::new(self, command)
    }

    /// An `ssh` login from the stage to the stage.
    pub fn ssh(&self, user: &str) -> Ssh<'_> {
        Ssh::new(self, user)
    }

    /// Starts a program that stays. Its output goes to `/var/log/<name>.out`.
    pub fn spawn(&self, name: &str, program: &str, args: &[&str]) -> Result<Daemon> {
        Daemon::start(self, name, program, args)
    }

    /// Starts `tac_plus` with this configuration on port 49 of every address,
    /// or with other `-p`, `-B` arguments, and waits until it listens.
    pub fn tac_plus(&self, conf: &str, args: &[&str]) -> Result<Daemon> {
        let port = args
            .iter()
            .skip_while(|arg| **arg != "-p")
            .nth(1)
            .unwrap_or(&"49");
        let file = format!("/etc/tac_plus-{port}.conf");
        self.write(&file, 0o600, conf)?;
        let program = format!("{BUILT}/tac_plus");
        if !self.path(&program).is_file() {
            return Err("tac_plus is not built: run `make build`".into());
        }
        let mut all = vec!["-G", "-C", &file];
        all.extend(args);
        let daemon = self.spawn(&format!("tac_plus-{port}"), &program, &all)?;
        self.wait_for_listener(port.parse()?)?;
        Ok(daemon)
    }

    /// Starts a scripted server on `127.0.0.1:49`, `[::1]:49`, `unix:/path` ...
    pub fn peer(&self, address: &str, script: &Script) -> Result<Peer<'_>> {
        Peer::start(self, address, script, "root")
    }

    /// The same, run by another user: the owner of its Unix socket's far end.
    pub fn peer_owned_by(&self, owner: &str, at: &str, script: &Script) -> Result<Peer<'_>> {
        Peer::start(self, at, script, owner)
    }

    /// Waits until somebody listens on this TCP port, without connecting.
    pub fn wait_for_listener(&self, port: u16) -> Result {
        wait::until(&format!("a listener on port {port}"), || {
            self.listens(port).then_some(())
        })
    }

    /// Whether somebody listens on this TCP port of any address of the stage.
    pub fn listens(&self, port: u16) -> bool {
        let ending = format!(":{port:04X}");
        ["tcp", "tcp6"].iter().any(|table| {
            let sockets = fs::read_to_string(format!("/proc/{}/net/{table}", self.holder));
            sockets.unwrap_or_default().lines().skip(1).any(|line| {
                let mut words = line.split_whitespace().skip(1);
                let local = words.next().unwrap_or_default();
                local.ends_with(&ending) && words.nth(1) == Some("0A")
            })
        })
    }

    /// Adds an address to the stage's loopback interface.
    pub fn add_address(&self, address: IpAddr) -> Result {
        let words = match address {
            IpAddr::V4(v4) => format!("ip addr add {v4}/32 dev lo"),
            IpAddr::V6(Ipv6Addr::LOCALHOST) => return Ok(()),
            IpAddr::V6(v6) => format!("ip -6 addr add {v6}/128 dev lo nodad"),
        };
        self.sh(&words)?.success()
    }

    /// Makes an address a black hole: packets to it vanish, connecting times out.
    pub fn blackhole(&self, address: IpAddr) -> Result {
        self.filter("-I", address)
    }

    /// Ends what [`Stage::blackhole`] began.
    pub fn unblock(&self, address: IpAddr) -> Result {
        self.filter("-D", address)
    }

    fn filter(&self, action: &str, address: IpAddr) -> Result {
        let program = if address.is_ipv6() {
            "ip6tables"
        } else {
            "iptables"
        };
        let address = address.to_string();
        self.run(program, &[action, "INPUT", "-d", &address, "-j", "DROP"])?
            .success()
    }

    /// Shows a built module where its host looks for it.
    fn put_module(&self, built: &str, place: &str) -> Result {
        let built = format!("{MODULES}/{built}");
        self.write(place, 0o644, "")?;
        self.run("mount", &["--bind", &built, place])?.success()
    }

    fn add_user(&self, name: &str, uid: u32, password: Option<&str>) -> Result {
        let line =
            format!("groupadd -g {uid} {name} && useradd -u {uid} -g {uid} -m -s /bin/bash {name}");
        self.sh(&line)?.success()?;
        password.map_or(Ok(()), |password| self.set_password(name, password))
    }

    /// Sets a password in `/etc/shadow`.
    pub fn set_password(&self, name: &str, password: &str) -> Result {
        self.write("/run/e2e/password", 0o600, &format!("{name}:{password}\n"))?;
        self.sh("chpasswd -c SHA512 </run/e2e/password && rm /run/e2e/password")?
            .success()
    }

    /// A command that will run inside the stage with a clean environment.
    pub(crate) fn enter(&self, command: &[&str]) -> Command {
        let mut nsenter = Command::new("nsenter");
        nsenter
            .args(["-t", &self.holder.to_string(), "-m", "-n", "-u", "-p", "--"])
            .args(command)
            .env_clear()
            .env(
                "PATH",
                format!("{BUILT}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"),
            )
            .env("HOME", "/root")
            .env("LANG", "C.UTF-8")
            .env("TERM", "dumb")
            .stdin(Stdio::null());
        nsenter
    }

    /// Everything the stage's programs logged, for the report of a failure.
    pub fn logs(&self) -> String {
        let mut text = String::new();
        let files = fs::read_dir(self.path("/var/log"))
            .into_iter()
            .flatten()
            .flatten();
        let mut files: Vec<_> = files.map(|entry| entry.path()).collect();
        files.sort();
        for file in files {
            let name = file
                .file_name()
                .map(Path::new)
                .unwrap_or(&file)
                .display()
                .to_string();
            let content = fs::read(&file).unwrap_or_default();
            if !content.is_empty() && !["btmp", "wtmp", "lastlog"].contains(&name.as_str()) {
                text += &format!("--- {name}\n{}", String::from_utf8_lossy(&content));
            }
        }
        text
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        let leaks = leaks::found(self);
        let panicking = std::thread::panicking();
        if panicking || !leaks.is_empty() {
            let report = self.logs();
            let _ = std::io::Write::write_all(&mut std::io::stderr(), report.as_bytes());
        }
        // End of file tells the holder to go, and the kernel ends its whole
        // process namespace with it.
        drop(self.unshare.stdin.take());
        let _ = self.unshare.wait();
        self.daemons.clear();
        assert!(
            panicking || leaks.is_empty(),
            "a secret, a password or a code was left in {leaks:?}"
        );
    }
}
