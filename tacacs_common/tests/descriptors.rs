//! Descriptors of the client. In a file of its own: a test beside it would open
//! and close others meanwhile.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener};
use std::thread;

use rustix::process::{Resource, getrlimit, setrlimit};
use tacacs_common::client::{Client, Way};
use tacacs_common::config::{Address, Config, SecretSource, Server};
use tacacs_common::exchange::authen::Who;
use tacacs_common::obfuscate::Protection;
use tacacs_common::packet::{AuthenService, HEADER_LEN, Header, PrivLvl};
use tacacs_common::secret::Secret;

const KEY: &[u8] = b"a-shared-secret-of-32-characters";

/// Passes one login and agrees to keep the connection.
fn pass_one(listener: &TcpListener) {
    let (mut stream, _) = listener.accept().unwrap();
    let mut head = [0; HEADER_LEN];
    stream.read_exact(&mut head).unwrap();
    let header = Header::decode(&head).unwrap();
    stream
        .read_exact(&mut vec![0; header.length.try_into().unwrap()])
        .unwrap();
    let reply = Header {
        seq_no: 2,
        length: 6,
        ..header
    };
    let mut body = [1, 0, 0, 0, 0, 0];
    Protection::Obfuscated(&Secret::from_slice(KEY)).apply(&reply, &mut body);
    stream
        .write_all(&[&reply.encode()[..], &body].concat())
        .unwrap();
    // Until the client closes.
    stream.read_to_end(&mut Vec::new()).unwrap();
}

fn open_descriptors() -> BTreeSet<u32> {
    let entries = fs::read_dir("/proc/self/fd").unwrap().flatten();
    let names: Vec<_> = entries.map(|entry| entry.file_name()).collect();
    let numbers = names.iter().map(|name| name.to_str().unwrap());
    // The one that read the folder is closed by now.
    let open = numbers.filter(|number| fs::exists(format!("/proc/self/fdinfo/{number}")).unwrap());
    open.map(|number| number.parse().unwrap()).collect()
}

#[test]
fn a_descriptor_above_1024_works_and_does_not_outlive_an_exec() {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    setrlimit(Resource::Nofile, limit).unwrap();
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let mut config = Config::default();
    let secret = SecretSource::inline(Secret::from_slice(KEY));
    let address = Address::Ip(listener.local_addr().unwrap());
    config
        .servers
        .push(Server::new("s1", address, Some(secret)));
    let many: Vec<File> = (0..1100)
        .map(|_| File::open("/dev/null").unwrap())
        .collect();
    let before = open_descriptors();
    // Not earlier: a waiting accept() has its number already.
    let peer = thread::spawn(move || pass_one(&listener));

    let who = Who {
        user: "alice",
        port: "ssh",
        rem_addr: "192.0.2.7",
        priv_lvl: PrivLvl::USER,
        service: AuthenService::Login,
    };
    let password = Secret::from_slice(b"pw");
    let mut client = Client::new(&config);
    assert!(
        client
            .authenticate(&who, Way::Pap(&password), &mut |_| None)
            .is_pass()
    );
    let kept = client.into_connection().unwrap();

    let after = open_descriptors();
    let new: Vec<_> = after.difference(&before).collect();
    assert_eq!(new.len(), 2, "the two ends of the connection: {new:?}");
    for number in new {
        assert!(*number >= 1024, "{number}");
        let info = fs::read_to_string(format!("/proc/self/fdinfo/{number}")).unwrap();
        let flags = info.lines().find_map(|line| line.strip_prefix("flags:"));
        let flags = u32::from_str_radix(flags.unwrap().trim(), 8).unwrap();
        assert_ne!(flags & 0o2_000_000, 0, "{number} would outlive an exec");
    }
    drop((kept, many));
    peer.join().unwrap();
}
