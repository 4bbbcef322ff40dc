//! The client library in a process that does not ignore SIGPIPE, as a PAM module's
//! host may be. Here and not beside the library because tokio can tell a signal
//! without unsafe code. In a file of its own: a handler is for the whole process.

#![allow(
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener};
use std::sync::mpsc::channel;
use std::thread;
use std::time::Duration;

use tacacs_common::client::{Client, Way};
use tacacs_common::config::{Address, Config, SecretSource, Server};
use tacacs_common::exchange::authen::Who;
use tacacs_common::obfuscate::Protection;
use tacacs_common::outcome::{DenyReason, Outcome};
use tacacs_common::packet::{AuthenService, HEADER_LEN, Header, PrivLvl};
use tacacs_common::secret::Secret;
use tokio::signal::unix::{Signal, SignalKind, signal};

const SECRET: &[u8] = b"Kat-Secret-0123456789-abcdefghij";

/// Asks for the password of one login and is gone before the answer. What it has
/// not read makes its end a reset, so the next write finds a broken pipe.
fn ask_and_go(listener: &TcpListener) {
    let (mut stream, _) = listener.accept().unwrap();
    let mut head = [0; HEADER_LEN];
    stream.read_exact(&mut head).unwrap();
    let reply = Header {
        seq_no: 2,
        length: 6,
        ..Header::decode(&head).unwrap()
    };
    let mut body = [5, 1, 0, 0, 0, 0];
    Protection::Obfuscated(&Secret::from_slice(SECRET)).apply(&reply, &mut body);
    let packet = [&reply.encode()[..], &body].concat();
    stream.write_all(&packet).unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
}

async fn was_raised(signal: &mut Signal) -> bool {
    let moment = Duration::from_millis(100);
    tokio::time::timeout(moment, signal.recv()).await.is_ok()
}

#[tokio::test]
async fn a_server_that_is_gone_raises_no_sigpipe_in_the_host_process() {
    let mut sigpipe = signal(SignalKind::pipe()).unwrap();
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let mut config = Config::default();
    let source = SecretSource::inline(Secret::from_slice(SECRET));
    let address = Address::Ip(listener.local_addr().unwrap());
    config
        .servers
        .push(Server::new("s1", address, Some(source)));
    config.global.hold_down = Duration::ZERO;
    let (sender, gone) = channel();
    thread::spawn(move || {
        ask_and_go(&listener);
        sender.send(()).unwrap();
    });

    let who = Who {
        user: "alice",
        port: "ssh",
        rem_addr: "192.0.2.7",
        priv_lvl: PrivLvl::USER,
        service: AuthenService::Login,
    };
    let outcome = Client::new(&config).authenticate(&who, Way::Ascii, &mut |_| {
        gone.recv().unwrap();
        Some(Secret::from_slice(b"pw"))
    });

    let Outcome::Deny(denial) = outcome else {
        panic!("{outcome:?}")
    };
    assert!(
        matches!(&denial.reason, DenyReason::BrokenOff(why) if why.contains("Broken pipe")),
        "{denial:?}"
    );
    assert!(!was_raised(&mut sigpipe).await);
    // Whoever does not ask for silence is told by the signal.
    let (reader, mut writer) = std::io::pipe().unwrap();
    drop(reader);
    assert!(writer.write_all(b"x").is_err());
    assert!(was_raised(&mut sigpipe).await, "the test itself sees none");
}
