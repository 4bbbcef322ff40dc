//! A program to run and a server that follows a script.

#![allow(
    dead_code,
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "each test binary uses a part; a test fails by panicking"
)]

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Command, Output, Stdio};
use std::thread::JoinHandle;

use tacacs_common::obfuscate::Protection;
use tacacs_common::packet::{
    AcctReply, AcctStatus, ArgumentsBuf, AuthenReply, AuthenStatus, AuthorReply, AuthorStatus,
    Body, Flags, HEADER_LEN, Header,
};
use tacacs_common::secret::Secret;

/// The shared secret of these tests.
pub(crate) const KEY: &str = "a-secret-of-the-cli-tests";

/// A request as the server saw it, its body clear.
pub(crate) struct Seen {
    pub(crate) header: Header,
    pub(crate) body: Vec<u8>,
}

/// A server that gives the replies of a script, whatever it is asked.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    thread: JoinHandle<Vec<Seen>>,
}

impl Server {
    /// Answers the requests of one connection with these bodies, in their order.
    pub(crate) fn replying(bodies: Vec<Vec<u8>>) -> Self {
        Self::start(vec![bodies])
    }

    /// Answers one request on each connection.
    pub(crate) fn replying_each(bodies: Vec<Vec<u8>>) -> Self {
        Self::start(bodies.into_iter().map(|body| vec![body]).collect())
    }

    fn start(connections: Vec<Vec<Vec<u8>>>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let thread = std::thread::spawn(move || {
            let mut seen = Vec::new();
            for bodies in connections {
                let (mut stream, _) = listener.accept().unwrap();
                for body in bodies {
                    let request = receive(&mut stream);
                    send(&mut stream, &request.header, &body);
                    seen.push(request);
                }
            }
            seen
        });
        Self { address, thread }
    }

    /// What it was asked, once the script is through.
    pub(crate) fn seen(self) -> Vec<Seen> {
        self.thread.join().expect("the server was asked too little")
    }

    /// What it was asked, when that is one request.
    pub(crate) fn only(self) -> Seen {
        let mut seen = self.seen();
        assert_eq!(seen.len(), 1);
        seen.remove(0)
    }
}

fn protect(header: &Header, body: &mut [u8]) {
    let secret = Secret::from_slice(KEY.as_bytes());
    Protection::Obfuscated(&secret).apply(header, body);
}

/// Reads one request.
pub(crate) fn receive(stream: &mut TcpStream) -> Seen {
    let mut head = [0; HEADER_LEN];
    stream.read_exact(&mut head).unwrap();
    let header = Header::decode(&head).unwrap();
    let mut body = vec![0; header.length as usize];
    stream.read_exact(&mut body).unwrap();
    protect(&header, &mut body);
    Seen { header, body }
}

/// Answers a request.
pub(crate) fn send(stream: &mut TcpStream, request: &Header, clear: &[u8]) {
    let header = Header {
        seq_no: request.seq_no + 1,
        flags: Flags::default(),
        length: clear.len().try_into().unwrap(),
        ..*request
    };
    let mut packet = header.encode().to_vec();
    packet.extend_from_slice(clear);
    protect(&header, &mut packet[HEADER_LEN..]);
    stream.write_all(&packet).unwrap();
}

fn encoded<'a>(body: &impl Body<'a>) -> Vec<u8> {
    let mut out = Vec::new();
    body.encode(&mut out).unwrap();
    out
}

pub(crate) fn authen(status: AuthenStatus, server_msg: &str) -> Vec<u8> {
    encoded(&AuthenReply {
        status,
        no_echo: status != AuthenStatus::GetUser,
        server_msg: server_msg.as_bytes(),
        data: b"",
    })
}

pub(crate) fn author(status: AuthorStatus, pairs: &[&str]) -> Vec<u8> {
    let mut args = ArgumentsBuf::new();
    for pair in pairs {
        args.push_raw(pair.as_bytes()).unwrap();
    }
    encoded(&AuthorReply {
        status,
        server_msg: b"",
        data: b"",
        args: args.as_arguments(),
    })
}

pub(crate) fn acct(status: AcctStatus, data: &str) -> Vec<u8> {
    encoded(&AcctReply {
        status,
        server_msg: b"",
        data: data.as_bytes(),
    })
}

/// A program without terminal, environment secrets and standard input.
pub(crate) fn program(path: &str) -> Command {
    let mut command = Command::new(path);
    command
        .env_remove("TACACS_PLUS_KEY")
        .env_remove("TACACS_PLUS_PWD")
        .stdin(Stdio::null());
    command
}

/// `tacacs_client -u alice -H 127.0.0.1 -p PORT`, with the secret in the environment.
pub(crate) fn client(server: SocketAddr) -> Command {
    let mut command = program(env!("CARGO_BIN_EXE_tacacs_client"));
    let port = server.port().to_string();
    command
        .env("TACACS_PLUS_KEY", KEY)
        .args(["-u", "alice", "-H", "127.0.0.1", "-p", &port]);
    command
}

/// How a program ended.
pub(crate) struct Ended {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl From<Output> for Ended {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code().expect("ended by a signal"),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

/// Runs a program to its end.
pub(crate) fn run(command: &mut Command) -> Ended {
    command.output().unwrap().into()
}

/// Runs a program and gives it something to read.
pub(crate) fn run_with_stdin(command: &mut Command, input: &str) -> Ended {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(input.as_bytes())
        .unwrap();
    child.wait_with_output().unwrap().into()
}
