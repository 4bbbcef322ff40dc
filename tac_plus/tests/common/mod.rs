//! A real `tac_plus` on a port of its own, and a client that says exactly what a test wants.
#![allow(
    dead_code,
    unreachable_pub,
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking, and not every test uses everything"
)]

pub mod certificates;
pub mod site;
pub mod watch;

use std::cell::RefCell;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use socket2::{Domain, Protocol, Socket, Type};
use tacacs_common::obfuscate::Protection;
use tacacs_common::packet::{
    AcctReply, AcctRequest, Action, ArgumentsBuf, AuthenContinue, AuthenMethod, AuthenReply,
    AuthenService, AuthenStart, AuthenType, AuthorReply, AuthorRequest, Body, Flags, HEADER_LEN,
    Header, PacketType, PrivLvl, Version,
};
use tacacs_common::secret::Secret;

pub const SECRET: &str = "Kat-Secret-0123456789-abcdefghij";
/// Longer than anything here takes on a busy machine, shorter than a person's patience.
pub const PATIENCE: Duration = Duration::from_secs(20);

pub const V0: Version = Version::DEFAULT;
pub const V1: Version = Version::ONE;

/// A configuration with users for every test.
pub const CONFIGURATION: &str = r#"
host = 127.0.0.1 { key = "Kat-Secret-0123456789-abcdefghij" prompt = "Who? " }
host = 127.0.0.2 { key = "another-secret-of-32-characters!" }
user = alice {
    login = cleartext "alice-login"
    pap = cleartext "alice-pap"
    chap = cleartext "alice-chap"
    ms-chap = cleartext "alice-mschap"
    enable = cleartext "alice-enable"
    service = exec { priv-lvl = 15 optional idletime = 10 }
    cmd = show { permit ^version }
}
"#;

pub struct Server {
    child: Child,
    pub address: SocketAddr,
    lines: Receiver<String>,
    unread: Arc<AtomicBool>,
    seen: Vec<String>,
    pub folder: tempfile::TempDir,
}

impl Server {
    /// Starts on a free port; records go to `acct` in its folder.
    pub fn start(configuration: &str) -> Self {
        Self::start_under("-c 0", configuration)
    }

    /// As [`Server::start`], under a limit as the shell's `ulimit` takes it.
    pub fn start_under(limit: &str, configuration: &str) -> Self {
        Self::launch(&["sh"], &format!("ulimit {limit}"), configuration)
    }

    /// As [`Server::start`], with mounts of its own, changed by this shell line first.
    pub fn start_with_mounts(setup: &str, configuration: &str) -> Self {
        Self::launch(&["unshare", "-rm", "sh"], setup, configuration)
    }

    fn launch(shell: &[&str], setup: &str, configuration: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let accounting = folder.path().join("acct");
        let text = format!(
            "accounting file = {}\n{configuration}",
            accounting.display()
        );
        let path = folder.path().join("tac_plus.conf");
        std::fs::write(&path, text).unwrap();
        let mut child = Command::new(shell[0])
            .args(&shell[1..])
            .args(["-c", &format!("{setup} && exec \"$0\" \"$@\"")])
            .arg(env!("CARGO_BIN_EXE_tac_plus"))
            .args(["-G", "-p", "0", "-B", "127.0.0.1", "-C"])
            .arg(&path)
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let (sender, lines) = channel();
        let stderr = child.stderr.take().unwrap();
        let unread = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&unread);
        std::thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
                while stopped.load(Ordering::Relaxed) {
                    std::thread::park();
                }
            }
        });
        let address = SocketAddr::from(([127, 0, 0, 1], 0));
        let mut server = Self {
            child,
            address,
            lines,
            unread,
            seen: Vec::new(),
            folder,
        };
        let line = server.wait_for_line("listening on");
        server.address = line.rsplit(' ').next().unwrap().parse().unwrap();
        server
    }

    /// From now on its standard error stays open and nobody reads it.
    pub fn stop_reading_lines(&self) {
        self.unread.store(true, Ordering::Relaxed);
    }

    pub fn configuration_path(&self) -> PathBuf {
        self.folder.path().join("tac_plus.conf")
    }

    pub fn accounting_path(&self) -> PathBuf {
        self.folder.path().join("acct")
    }

    pub fn records(&self) -> Vec<String> {
        let text = std::fs::read_to_string(self.accounting_path()).unwrap_or_default();
        text.lines()
            .map(|line| line.split_once('\t').expect("a time in front").1.to_owned())
            .collect()
    }

    /// The next log line with `part` in it.
    pub fn wait_for_line(&mut self, part: &str) -> String {
        let end = Instant::now() + PATIENCE;
        while let Ok(line) = self
            .lines
            .recv_timeout(end.saturating_duration_since(Instant::now()))
        {
            self.seen.push(line.clone());
            if line.contains(part) {
                return line;
            }
        }
        panic!(
            "no log line with {part:?}; there were:\n{}",
            self.seen.join("\n")
        );
    }

    /// The line that was waited for last.
    pub fn last_line(&self) -> &str {
        self.seen.last().map_or("", String::as_str)
    }

    /// Every line logged so far and until the end of a server that was stopped.
    pub fn all_lines(&mut self) -> String {
        self.seen.extend(self.lines.iter());
        self.seen.join("\n")
    }

    pub fn signal(&self, name: &str) {
        let status = Command::new("kill")
            .args(["-s", name, &self.child.id().to_string()])
            .status()
            .unwrap();
        assert!(status.success());
    }

    pub fn wait(&mut self) -> ExitStatus {
        let end = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(Instant::now() < end, "the server does not end");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Ends it as a power cut would.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// A file as the server sees it, which may have mounts of its own.
    pub fn path_within(&self, path: &str) -> PathBuf {
        PathBuf::from(format!("/proc/{}/root{path}", self.child.id()))
    }

    /// What the kernel tells about the server.
    pub fn process_file(&self, name: &str) -> String {
        let process = Path::new("/proc").join(self.child.id().to_string());
        std::fs::read_to_string(process.join(name)).unwrap()
    }

    pub fn resident_kb(&self) -> u64 {
        self.status_kb("VmRSS:")
    }

    /// The most that was ever resident.
    pub fn peak_resident_kb(&self) -> u64 {
        self.status_kb("VmHWM:")
    }

    fn status_kb(&self, name: &str) -> u64 {
        let status = self.process_file("status");
        let line = status.lines().find(|line| line.starts_with(name)).unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    }

    pub fn process(&self) -> u32 {
        self.child.id()
    }

    pub fn connect(&self) -> Wire {
        Wire::new(TcpStream::connect(self.address).unwrap())
    }

    /// As another host of 127/8: connections of one address are limited in number.
    pub fn connect_from(&self, host: [u8; 4]) -> TcpStream {
        connect_from(host, self.address)
    }
}

/// A connection from this host of 127/8.
pub fn connect_from(host: [u8; 4], address: SocketAddr) -> TcpStream {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, Some(Protocol::TCP)).unwrap();
    socket.bind(&SocketAddr::from((host, 0)).into()).unwrap();
    socket.connect(&address.into()).unwrap();
    socket.into()
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Tells threads that it is over when this goes, also because of a panic: a test that
/// fails must not wait for them for ever.
pub struct Over<'a>(pub &'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// A connection to a server. A test counts its sessions from any number it likes; on the
/// wire each has a session_id of its own, as those of real clients do.
pub struct Wire {
    pub stream: TcpStream,
    secret: Secret,
    /// The test's numbers and those on the wire.
    ids: RefCell<Vec<(u32, u32)>>,
}

/// A session_id that no other session here has.
pub fn fresh_id() -> u32 {
    static LAST: AtomicU32 = AtomicU32::new(1 << 16);
    LAST.fetch_add(0x9e37_79b1, Ordering::Relaxed)
}

/// A reply's header and clear body.
pub struct Packet {
    pub header: Header,
    pub body: Vec<u8>,
}

impl Packet {
    pub fn authen(&self) -> String {
        let reply = AuthenReply::decode(&self.body).unwrap();
        let no_echo = if reply.no_echo { " NOECHO" } else { "" };
        format!(
            "{}{no_echo} {:?}",
            reply.status,
            String::from_utf8_lossy(reply.server_msg)
        )
    }

    pub fn author(&self) -> String {
        let reply = AuthorReply::decode(&self.body).unwrap();
        let args: Vec<_> = reply.args.raw().map(String::from_utf8_lossy).collect();
        format!("{} [{}]", reply.status, args.join(", "))
    }

    pub fn acct(&self) -> String {
        AcctReply::decode(&self.body).unwrap().status.to_string()
    }

    /// The status of whatever this answers.
    pub fn status(&self) -> String {
        match self.header.packet_type {
            PacketType::Authen => AuthenReply::decode(&self.body).unwrap().status.to_string(),
            PacketType::Author => AuthorReply::decode(&self.body).unwrap().status.to_string(),
            PacketType::Acct => self.acct(),
            PacketType::Unknown(_) => "header only".to_owned(),
        }
    }
}

impl Wire {
    pub fn new(stream: TcpStream) -> Self {
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_nodelay(true).unwrap();
        Self {
            stream,
            secret: Secret::from_slice(SECRET.as_bytes()),
            ids: RefCell::default(),
        }
    }

    pub fn with_secret(mut self, secret: &str) -> Self {
        self.secret = Secret::from_slice(secret.as_bytes());
        self
    }

    pub fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).unwrap();
    }

    /// The next packet, or `None` where the server closed.
    pub fn receive(&mut self) -> Option<Packet> {
        let mut head = [0; HEADER_LEN];
        match self.stream.read_exact(&mut head) {
            Ok(()) => {}
            Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => return None,
            Err(error) => panic!("no reply: {error}"),
        }
        let mut header = Header::decode(&head).unwrap();
        let mut body = vec![0; header.length.try_into().unwrap()];
        self.stream.read_exact(&mut body).unwrap();
        Protection::Obfuscated(&self.secret).apply(&header, &mut body);
        let ids = self.ids.borrow();
        let known = ids.iter().rev().find(|(_, id)| *id == header.session_id);
        header.session_id = known.map_or(header.session_id, |(number, _)| *number);
        drop(ids);
        Some(Packet { header, body })
    }

    pub fn reply(&mut self) -> Packet {
        self.receive()
            .expect("a reply, not the end of the connection")
    }

    pub fn is_closed(&mut self) -> bool {
        self.receive().is_none()
    }

    /// A request in its own packet.
    pub fn packet<'b, B: Body<'b>>(
        &self,
        id: u32,
        seq_no: u8,
        version: Version,
        single: bool,
        body: &B,
    ) -> Vec<u8> {
        let mut ids = self.ids.borrow_mut();
        if seq_no == 1 {
            ids.push((id, fresh_id()));
        }
        let known = ids.iter().rev().find(|(number, _)| *number == id);
        let id = known.map_or(id, |(_, id)| *id);
        packet(self.secret.expose(), id, seq_no, version, single, body)
    }

    /// The session_id that a session of this test has on the wire.
    pub fn wire_id(&self, number: u32) -> u32 {
        let ids = self.ids.borrow();
        ids.iter().rev().find(|(one, _)| *one == number).unwrap().1
    }

    /// Asks and gives the reply.
    pub fn ask<'b, B: Body<'b>>(
        &mut self,
        id: u32,
        seq_no: u8,
        version: Version,
        single: bool,
        body: &B,
    ) -> Packet {
        let bytes = self.packet(id, seq_no, version, single, body);
        self.send(&bytes);
        let reply = self.reply();
        assert_eq!(reply.header.session_id, id, "the session's own reply");
        assert_eq!(reply.header.seq_no, seq_no + 1);
        assert_eq!(reply.header.version, version);
        reply
    }

    /// A single START.
    pub fn start(&mut self, start: &AuthenStart<'_>) -> String {
        self.ask(7, 1, start.version(), false, start).authen()
    }

    /// The session's next CONTINUE.
    pub fn say(&mut self, seq_no: u8, user_msg: &str) -> String {
        self.ask(7, seq_no, Version::DEFAULT, false, &say(user_msg))
            .authen()
    }

    pub fn author(&mut self, user: &str, args: &[&str]) -> String {
        let args = arguments(args);
        self.ask(7, 1, Version::DEFAULT, false, &author(user, &args))
            .author()
    }

    pub fn acct(&mut self, flags: u8, args: &[&str]) -> String {
        let args = arguments(args);
        self.ask(7, 1, Version::DEFAULT, false, &acct(flags, &args))
            .acct()
    }
}

/// A packet as it goes on the wire, with any header a test wants.
pub fn packet<'b, B: Body<'b>>(
    secret: &[u8],
    id: u32,
    seq_no: u8,
    version: Version,
    single: bool,
    body: &B,
) -> Vec<u8> {
    let mut clear = Vec::new();
    body.encode(&mut clear).unwrap();
    let header = Header {
        version,
        packet_type: B::TYPE,
        seq_no,
        flags: Flags {
            unencrypted: false,
            single_connect: single,
        },
        session_id: id,
        length: clear.len().try_into().unwrap(),
    };
    tacacs_common::obfuscate::obfuscate(secret, &header, &mut clear);
    [&header.encode()[..], &clear].concat()
}

/// A first packet as it is, but for a session_id of its own: recorded ones share theirs.
pub fn renumbered(packet: &[u8], secret: &str) -> Vec<u8> {
    let Ok(header) = Header::decode(packet) else {
        return packet.to_vec();
    };
    let (_, body) = packet.split_at(HEADER_LEN);
    let mut body = body.to_vec();
    let own = Header {
        session_id: fresh_id(),
        ..header
    };
    for header in [header, own] {
        if !header.flags.unencrypted {
            tacacs_common::obfuscate::obfuscate(secret.as_bytes(), &header, &mut body);
        }
    }
    let id = own.session_id.to_be_bytes();
    [&packet[..4], &id, &packet[8..HEADER_LEN], &body].concat()
}

pub fn start<'a>(authen_type: AuthenType, user: &'a str, data: &'a [u8]) -> AuthenStart<'a> {
    AuthenStart {
        action: Action::Login,
        priv_lvl: PrivLvl::USER,
        authen_type,
        authen_service: AuthenService::Login,
        user: user.as_bytes(),
        port: b"tty1",
        rem_addr: b"10.9.8.7",
        data,
    }
}

pub fn pap<'a>(user: &'a str, password: &'a str) -> AuthenStart<'a> {
    start(AuthenType::Pap, user, password.as_bytes())
}

pub fn say(user_msg: &str) -> AuthenContinue<'_> {
    AuthenContinue {
        user_msg: user_msg.as_bytes(),
        data: b"",
        abort: false,
    }
}

pub fn arguments(args: &[&str]) -> ArgumentsBuf {
    let mut buf = ArgumentsBuf::new();
    for arg in args {
        buf.push_raw(arg.as_bytes()).unwrap();
    }
    buf
}

pub fn author<'a>(user: &'a str, args: &'a ArgumentsBuf) -> AuthorRequest<'a> {
    AuthorRequest {
        authen_method: AuthenMethod::TacacsPlus,
        priv_lvl: PrivLvl::USER,
        authen_type: AuthenType::Ascii,
        authen_service: AuthenService::Login,
        user: user.as_bytes(),
        port: b"tty1",
        rem_addr: b"10.9.8.7",
        args: args.as_arguments(),
    }
}

pub fn acct(flags: u8, args: &ArgumentsBuf) -> AcctRequest<'_> {
    AcctRequest {
        flags,
        about: author("alice", args),
    }
}
