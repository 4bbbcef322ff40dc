//! A server made for one test, and a client of it.

#![allow(dead_code, reason = "each test file uses its part")]

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use tacacs_common::client::{Accepted, Client, Way};
use tacacs_common::config::{Address, Config, SecretSource, Server};
use tacacs_common::exchange::authen::Who;
use tacacs_common::hold_down::{self, HoldDown};
use tacacs_common::obfuscate::Protection;
use tacacs_common::outcome::Outcome;
use tacacs_common::packet::{
    AcctRecord, AcctRequest, Arguments, ArgumentsBuf, AuthenMethod, AuthenService, AuthenType,
    AuthorRequest, Body, HEADER_LEN, Header, PrivLvl,
};
use tacacs_common::secret::Secret;

pub(crate) const KEY: &[u8] = b"a-shared-secret-of-32-characters";
pub(crate) const PASS: &[u8] = &[1, 0, 0, 0, 0, 0];
pub(crate) const FAIL: &[u8] = &[2, 0, 0, 0, 0, 0];
pub(crate) const ERROR: &[u8] = &[7, 0, 0, 0, 0, 0];
pub(crate) const GETPASS: &[u8] = &[5, 1, 0, 0, 0, 0];
pub(crate) const ACCT_SUCCESS: &[u8] = &[0, 0, 0, 0, 1];

/// A server made for one test: what it received, and where it listens.
pub(crate) struct Peer {
    pub(crate) address: std::net::SocketAddr,
    /// One entry a connection: the clear bodies received on it.
    pub(crate) seen: Arc<Mutex<Vec<Vec<Vec<u8>>>>>,
}

/// One connection of a [`Peer`].
pub(crate) struct Conn {
    pub(crate) stream: TcpStream,
    pub(crate) last: Option<Header>,
    pub(crate) seen: Arc<Mutex<Vec<Vec<Vec<u8>>>>>,
    pub(crate) index: usize,
}

impl Peer {
    pub(crate) fn new(script: impl Fn(&mut Conn) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let shared = Arc::clone(&seen);
        let script = Arc::new(script);
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let seen = Arc::clone(&shared);
                let index = seen.lock().unwrap().len();
                seen.lock().unwrap().push(Vec::new());
                let script = Arc::clone(&script);
                thread::spawn(move || {
                    script(&mut Conn {
                        stream,
                        last: None,
                        seen,
                        index,
                    })
                });
            }
        });
        Self { address, seen }
    }

    pub(crate) fn connections(&self) -> usize {
        self.seen.lock().unwrap().len()
    }

    pub(crate) fn packets(&self) -> Vec<Vec<u8>> {
        self.seen.lock().unwrap().concat()
    }
}

impl Conn {
    /// The next packet's clear body; `None` at the end of the connection.
    pub(crate) fn receive(&mut self) -> Option<Vec<u8>> {
        let mut head = [0; HEADER_LEN];
        self.stream.read_exact(&mut head).ok()?;
        let header = Header::decode(&head).unwrap();
        let mut body = vec![0; header.length as usize];
        self.stream.read_exact(&mut body).ok()?;
        let key = Secret::from_slice(KEY);
        Protection::Obfuscated(&key).apply(&header, &mut body);
        self.last = Some(header);
        self.seen.lock().unwrap()[self.index].push(body.clone());
        Some(body)
    }

    pub(crate) fn reply_header(&self, body: &[u8]) -> Header {
        let last = self.last.unwrap();
        Header {
            seq_no: last.seq_no + 1,
            length: body.len() as u32,
            ..last
        }
    }

    /// Sends a reply, with the header bent by `bend`.
    pub(crate) fn reply_bent(&mut self, body: &[u8], bend: impl Fn(&mut Header)) {
        let mut header = self.reply_header(body);
        bend(&mut header);
        let key = Secret::from_slice(KEY);
        let mut wire = header.encode().to_vec();
        let mut body = body.to_vec();
        if !header.flags.unencrypted {
            Protection::Obfuscated(&key).apply(&header, &mut body);
        }
        wire.extend_from_slice(&body);
        let _ = self.stream.write_all(&wire);
    }

    /// Sends a reply that accepts single connection mode when it was offered.
    pub(crate) fn reply(&mut self, body: &[u8]) {
        self.reply_bent(body, |_| {});
    }

    /// Waits for the client to close.
    pub(crate) fn drain(&mut self) {
        let _ = self.stream.read_to_end(&mut Vec::new());
    }
}

pub(crate) struct Setup {
    pub(crate) config: Config,
    pub(crate) folder: tempfile::TempDir,
}

impl Setup {
    pub(crate) fn new(peers: &[&Peer]) -> Self {
        let mut config = Config::default();
        for (index, peer) in peers.iter().enumerate() {
            let secret = SecretSource::inline(Secret::from_slice(KEY));
            let name = format!("s{}", index + 1);
            let mut server = Server::new(&name, Address::Ip(peer.address), Some(secret));
            server.timeout = Duration::from_millis(300);
            config.servers.push(server);
        }
        config.global.deadline = Duration::from_secs(2);
        config.global.authen_timeout = Duration::from_millis(300);
        Self {
            config,
            folder: tempfile::tempdir().unwrap(),
        }
    }

    pub(crate) fn hold_file(&self) -> PathBuf {
        self.folder.path().join("servers")
    }

    pub(crate) fn is_held(&self, peer: std::net::SocketAddr) -> bool {
        HoldDown::new(self.hold_file(), Duration::from_secs(30))
            .held(hold_down::boottime())
            .is_held(&peer.to_string())
    }

    pub(crate) fn client(&self) -> Client<'_> {
        Client::new(&self.config).with_hold_down(&self.hold_file(), Duration::from_secs(30))
    }

    pub(crate) fn pap(&self) -> Outcome<Accepted> {
        pap(&mut self.client())
    }
}

pub(crate) const ALICE: Who<'_> = Who {
    user: "alice",
    port: "ssh",
    rem_addr: "192.0.2.7",
    priv_lvl: PrivLvl::USER,
    service: AuthenService::Login,
};

pub(crate) fn pap(client: &mut Client<'_>) -> Outcome<Accepted> {
    let password = Secret::from_slice(b"pw");
    client.authenticate(&ALICE, Way::Pap(&password), &mut |_| {
        panic!("PAP asks nothing")
    })
}

pub(crate) fn authorize(client: &mut Client<'_>) -> Outcome<tacacs_common::client::Authorized> {
    let mut args = ArgumentsBuf::new();
    args.mandatory("service", b"shell").unwrap();
    args.mandatory("cmd", b"").unwrap();
    client.authorize(&about(args.as_arguments()))
}

pub(crate) fn about(args: Arguments<'_>) -> AuthorRequest<'_> {
    AuthorRequest {
        authen_method: AuthenMethod::TacacsPlus,
        priv_lvl: PrivLvl::USER,
        authen_type: AuthenType::Ascii,
        authen_service: AuthenService::Login,
        user: b"alice",
        port: b"ssh",
        rem_addr: b"192.0.2.7",
        args,
    }
}

pub(crate) fn answering(reply: &'static [u8]) -> Peer {
    Peer::new(move |conn| {
        while conn.receive().is_some() {
            conn.reply(reply);
        }
    })
}

/// A START record of accounting.
pub(crate) fn record() -> Vec<u8> {
    let mut args = ArgumentsBuf::new();
    args.mandatory("task_id", b"1").unwrap();
    let mut record = Vec::new();
    AcctRequest {
        flags: AcctRecord::Start.to_wire(),
        about: about(args.as_arguments()),
    }
    .encode(&mut record)
    .unwrap();
    record
}
