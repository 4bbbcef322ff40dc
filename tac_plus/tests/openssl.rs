//! `openssl s_client` as a client of TACACS+ over TLS 1.3 (RFC 9887): another
//! implementation of TLS, to which packets are given as they go over the wire.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

mod common;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::{Command, Stdio};

use common::certificates::{Secured, clear};
use common::site::Site;
use common::{Packet, V0, V1, acct, arguments, author, pap, say, start};
use tacacs_common::packet::{
    AuthenService, AuthenStart, AuthenType, Body, HEADER_LEN, Header, PrivLvl, Version,
};

/// Gives these packets to `openssl s_client`, each once the one before is answered, and
/// waits until the server closes. What came back, and what openssl says besides.
fn openssl(site: &Site, arguments: &[&str], packets: &[Vec<u8>]) -> (Vec<Packet>, String) {
    site.router().write(site.folder.path(), "client");
    openssl_as("client", site, arguments, packets)
}

/// As the holder of the certificate and key in the files of this name.
fn openssl_as(
    holder: &str,
    site: &Site,
    arguments: &[&str],
    packets: &[Vec<u8>],
) -> (Vec<Packet>, String) {
    let mut child = Command::new("openssl")
        .args(["s_client", "-quiet", "-connect"])
        .arg(site.address.to_string())
        .arg("-CAfile")
        .arg(site.path("ca.pem"))
        .arg("-cert")
        .arg(site.path(&format!("{holder}.pem")))
        .arg("-key")
        .arg(site.path(&format!("{holder}.key")))
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("openssl is installed");
    let mut input = child.stdin.take().unwrap();
    let mut output = child.stdout.take().unwrap();
    let mut replies = Vec::new();
    for packet in packets {
        // It may have given up already.
        let _ = input.write_all(packet);
        let Some(reply) = receive(&mut output) else {
            break;
        };
        replies.push(reply);
    }
    drop(input);
    let mut rest = Vec::new();
    output.read_to_end(&mut rest).unwrap();
    assert_eq!(rest, [], "more than was asked for");
    let said = child.wait_with_output().unwrap().stderr;
    (replies, String::from_utf8_lossy(&said).into_owned())
}

fn receive(output: &mut impl Read) -> Option<Packet> {
    let mut head = [0; HEADER_LEN];
    output.read_exact(&mut head).ok()?;
    let header = Header::decode(&head).unwrap();
    let mut body = vec![0; header.length.try_into().unwrap()];
    output.read_exact(&mut body).unwrap();
    Some(Packet { header, body })
}

/// The first packet of a session.
fn first<'b, B: Body<'b>>(version: Version, body: &B) -> Vec<u8> {
    clear(1, version, true, false, body)
}

/// What somebody types, in the packet with this number.
fn typed(seq_no: u8, text: &str) -> Vec<u8> {
    let mut packet = first(V0, &say(text));
    packet[2] = seq_no;
    packet
}

fn login() -> Vec<Vec<u8>> {
    vec![first(V1, &pap("alice", "alice-pap"))]
}

#[test]
fn openssl_s_client_logs_in_enables_authorizes_and_accounts() {
    let site = Site::start();
    let ask_name = || first(V0, &start(AuthenType::Ascii, "", b""));
    let enable = || {
        let enable = AuthenStart {
            authen_service: AuthenService::Enable,
            priv_lvl: PrivLvl::ROOT,
            ..start(AuthenType::Ascii, "alice", b"")
        };
        first(V0, &enable)
    };
    let command = |args: &[&str]| first(V0, &author("alice", &arguments(args)));
    let record = |flags, task: &str| first(V0, &acct(flags, &arguments(&[task])));
    let wrong = first(V1, &pap("alice", "wrong"));
    for (packets, expected) in [
        (login(), &["PASS"][..]),
        (vec![wrong], &["FAIL"]),
        (
            vec![ask_name(), typed(3, "alice"), typed(5, "alice-login")],
            &["GETUSER", "GETPASS", "PASS"],
        ),
        (
            vec![ask_name(), typed(3, "alice"), typed(5, "wrong")],
            &["GETUSER", "GETPASS", "FAIL"],
        ),
        (
            vec![enable(), typed(3, "alice-enable")],
            &["GETPASS", "PASS"],
        ),
        (
            vec![enable(), typed(3, "alice-login")],
            &["GETPASS", "FAIL"],
        ),
        (vec![command(&["service=shell", "cmd="])], &["PASS_ADD"]),
        (
            vec![command(&["service=shell", "cmd=show", "cmd-arg=run"])],
            &["FAIL"],
        ),
        (vec![record(2, "task_id=1")], &["SUCCESS"]),
        (vec![record(4, "task_id=1")], &["SUCCESS"]),
    ] {
        let (replies, said) = openssl(&site, &[], &packets);
        let statuses: Vec<String> = replies.iter().map(Packet::status).collect();
        assert_eq!(statuses, expected, "{said}");
        let clear = |reply: &Packet| reply.header.flags.unencrypted;
        assert!(replies.iter().all(clear), "RFC 9887 section 4");
    }
    let fields = "127.0.0.1\talice\ttty1\t10.9.8.7";
    let expected = ["start", "stop"].map(|kind| format!("{fields}\t{kind}\ttask_id=1"));
    assert_eq!(site.server.records(), expected);
}

#[test]
fn only_tls_1_3_is_spoken_and_only_to_who_has_a_certificate() {
    let site = Site::start();
    for (arguments, answered) in [
        (&["-tls1_2"][..], false),
        (&["-ciphersuites", "TLS_AES_128_GCM_SHA256"], true),
        (&["-ciphersuites", "TLS_CHACHA20_POLY1305_SHA256"], true),
    ] {
        let (reply, said) = openssl(&site, arguments, &login());
        assert_eq!(!reply.is_empty(), answered, "{arguments:?}: {said}");
    }
    let config = rustls::ClientConfig::builder_with_provider(
        rustls::crypto::ring::default_provider().into(),
    )
    .with_protocol_versions(&[&rustls::version::TLS13])
    .unwrap();
    let mut roots = rustls::RootCertStore::empty();
    roots
        .add(site.authority.certificate().der().clone())
        .unwrap();
    let config = config.with_root_certificates(roots).with_no_client_auth();
    let mut wire = Secured::connect(site.address, &config.into());
    assert!(wire.ask(1, V1, false, &pap("alice", "alice-pap")).is_err());
}

/// A certificate of the site's authority for an RSA key of so many bits.
fn sign_rsa(site: &Site, bits: u32) {
    std::fs::write(site.path("ca.key"), site.authority.key_pem()).unwrap();
    let extensions = "subjectAltName = DNS:r1.example.net\nextendedKeyUsage = clientAuth\n";
    std::fs::write(site.path("extensions"), extensions).unwrap();
    let script = format!(
        "openssl req -newkey rsa:{bits} -nodes -keyout rsa.key -subj /CN=r1 -out request && \
         openssl x509 -req -in request -CA ca.pem -CAkey ca.key -days 1 -extfile extensions -out rsa.pem"
    );
    let output = Command::new("sh")
        .args(["-c", &script])
        .current_dir(site.folder.path())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
}

#[test]
fn a_certificate_with_a_weak_key_admits_nobody() {
    let site = Site::start();
    for (bits, admitted) in [(2048, true), (1024, false)] {
        sign_rsa(&site, bits);
        // What openssl itself would not use any more.
        let weak_too = &["-cipher", "DEFAULT@SECLEVEL=0"];
        let (replies, said) = openssl_as("rsa", &site, weak_too, &login());
        assert_eq!(!replies.is_empty(), admitted, "{bits}: {said}");
        // It did show the certificate.
        assert!(admitted || said.contains("alert"), "{bits}: {said}");
    }
}

#[test]
fn a_client_that_sends_early_data_is_cut_off_without_a_word() {
    let mut site = Site::start();
    let session = site.path("session");
    let (reply, said) = openssl(&site, &["-sess_out", session.to_str().unwrap()], &login());
    assert!(!reply.is_empty(), "{said}");
    let ticket = Command::new("openssl")
        .args(["sess_id", "-noout", "-text", "-in"])
        .arg(session)
        .output()
        .unwrap();
    let ticket = String::from_utf8(ticket.stdout).unwrap();
    assert!(ticket.contains("Max Early Data: 0"), "{ticket}");
    let mut hello = vec![1, 0, 0, 0, 3, 3];
    hello.extend([7; 32]);
    hello.extend([0, 0, 2, 0x13, 0x01, 1, 0, 0, 4, 0, 42, 0, 0]);
    hello[3] = u8::try_from(hello.len() - 4).unwrap();
    let mut record = vec![22, 3, 1, 0, u8::try_from(hello.len()).unwrap()];
    record.extend(hello);
    let mut stream = TcpStream::connect(site.address).unwrap();
    stream.set_read_timeout(Some(common::PATIENCE)).unwrap();
    stream.write_all(&record).unwrap();
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    assert_eq!(answer, [], "not even an alert");
    site.server.wait_for_line("the client sends early data");
}
