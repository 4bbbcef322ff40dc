//! A server under load: started on a core of its own, and what the kernel says
//! that it used.

use std::io::{self, BufRead, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use super::load::{PASSWORD, SECRET};

/// The core of the servers; the load has the other one.
const CORE: &str = "1";

pub(crate) struct Subject {
    child: Child,
    pub(crate) address: SocketAddr,
    folder: tempfile::TempDir,
}

impl Subject {
    pub(crate) fn null() -> io::Result<Self> {
        let folder = tempfile::tempdir()?;
        let mut child = pinned(env!("CARGO_BIN_EXE_null_server"))
            .arg(SECRET)
            .stdout(Stdio::piped())
            .spawn()?;
        let mut line = String::new();
        let out = child.stdout.take().ok_or(io::ErrorKind::BrokenPipe)?;
        BufReader::new(out).read_line(&mut line)?;
        Self::new(child, line.trim(), folder)
    }

    /// `extra` goes into the configuration.
    pub(crate) fn tac_plus(program: &Path, extra: &str) -> io::Result<Self> {
        let folder = tempfile::tempdir()?;
        let configuration = folder.path().join("tac_plus.conf");
        let text = format!(
            "key = {SECRET}\naccounting file = {}/acct\n\
             user = bench {{\n pap = cleartext {PASSWORD}\n cmd = show {{ permit ^version }}\n}}\n{extra}",
            folder.path().display()
        );
        std::fs::write(&configuration, text)?;
        let log = folder.path().join("log");
        let child = pinned(program)
            .args(["-G", "-B", "127.0.0.1", "-p", "0", "-C"])
            .arg(&configuration)
            .stderr(std::fs::File::create(&log)?)
            .spawn()?;
        let mut subject = Self::new(child, "127.0.0.1:0", folder)?;
        subject.address = subject.listens("listening on")?;
        Ok(subject)
    }

    /// The address that the log names after these words.
    pub(crate) fn listens(&self, words: &str) -> io::Result<SocketAddr> {
        let log = self.folder.path().join("log");
        for _ in 0..1000 {
            let text = std::fs::read_to_string(&log)?;
            if let Some(line) = text.lines().find(|line| line.contains(words)) {
                let address = line.rsplit(' ').next().unwrap_or_default();
                return address.parse().map_err(io::Error::other);
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        Err(io::Error::other(std::fs::read_to_string(&log)?))
    }

    fn new(child: Child, address: &str, folder: tempfile::TempDir) -> io::Result<Self> {
        let address = address.parse().map_err(io::Error::other)?;
        Ok(Self {
            child,
            address,
            folder,
        })
    }

    /// Processor time of all its threads.
    pub(crate) fn processor_time(&self) -> io::Result<Duration> {
        let tasks = format!("/proc/{}/task", self.child.id());
        let mut total = 0;
        for task in std::fs::read_dir(tasks)? {
            let text = std::fs::read_to_string(task?.path().join("schedstat"))?;
            let first = text.split(' ').next().unwrap_or_default();
            total += first.parse::<u64>().map_err(io::Error::other)?;
        }
        Ok(Duration::from_nanos(total))
    }

    pub(crate) fn resident_kb(&self) -> io::Result<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status.lines().find(|line| line.starts_with("VmRSS:"));
        let number = line.and_then(|line| line.split_whitespace().nth(1));
        number.unwrap_or_default().parse().map_err(io::Error::other)
    }
}

impl Drop for Subject {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn pinned(program: impl AsRef<std::ffi::OsStr>) -> Command {
    let mut command = Command::new("taskset");
    command.args(["-c", CORE]).arg(program);
    command
}
