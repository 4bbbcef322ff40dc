//! TACACS+ over TLS 1.3 (RFC 9887), against the real program.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

mod common;

use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use common::certificates::{Authority, Secured, params};
use common::site::{ROUTER, Site, configuration};
use common::{V0, V1, acct, arguments, author, pap};
use rcgen::{
    BasicConstraints, CertificateParams, GeneralSubtree, IsCa, NameConstraints, SerialNumber,
    date_time_ymd,
};

const CRL: &str = "tls crl = FOLDER/crl.pem\n";

#[test]
fn every_kind_of_request_is_answered_clear_and_flagged_within_tls() {
    let site = Site::start();
    let mut wire = site.connect(&site.router());
    let reply = wire.ask(1, V1, true, &pap("alice", "alice-pap")).unwrap();
    assert_eq!(reply.status(), "PASS");
    assert!(reply.header.flags.unencrypted && reply.header.flags.single_connect);
    let args = arguments(&["service=shell", "cmd="]);
    let reply = wire.ask(2, V0, true, &author("alice", &args)).unwrap();
    assert_eq!(reply.author(), "PASS_ADD [priv-lvl=15]");
    let args = arguments(&["task_id=1"]);
    let reply = wire.ask(3, V0, true, &acct(2, &args)).unwrap();
    assert_eq!(reply.acct(), "SUCCESS");
    assert_eq!(site.server.records().len(), 1);
}

#[test]
fn without_single_connection_mode_the_server_says_goodbye_after_the_session() {
    let site = Site::start();
    let mut wire = site.connect(&site.router());
    let reply = wire.ask(1, V1, false, &pap("alice", "alice-pap")).unwrap();
    assert_eq!(reply.status(), "PASS");
    assert!(wire.is_closed(), "with a close_notify");
}

#[test]
fn a_certificate_is_good_for_the_names_of_its_client_only() {
    let site = Site::start();
    let holder = |names: &[&str]| site.authority.client(names);
    for (names, admitted) in [
        (&["r1.example.net"][..], true),
        (&["other.example.net", "R1.EXAMPLE.NET"], true),
        (&["192.0.2.7"], true),
        (&["r2.example.net"], true),
        (&["*.example.net"], true),
        (&["r3.example.net"], false),
        (&["192.0.2.8"], false),
        (&["*.net"], false),
        (&["r*.example.net"], false),
        (&["*.*.net"], false),
        (&["a.r1.example.net"], false),
        (&["r1.example.net.evil.example"], false),
    ] {
        assert_eq!(site.admits(&holder(names)), admitted, "{names:?}");
    }
    let mut common_name = params(&[]);
    common_name
        .distinguished_name
        .push(rcgen::DnType::CommonName, "r1.example.net");
    assert!(!site.admits(&site.authority.sign(&common_name)));
}

#[test]
fn a_certificate_that_is_not_valid_admits_nobody() {
    let site = Site::start();
    let named = || params(&["r1.example.net"]);
    let changed = |change: fn(&mut CertificateParams)| {
        let mut params = named();
        change(&mut params);
        site.authority.sign(&params)
    };
    let expired = changed(|params| params.not_after = date_time_ymd(2024, 1, 1));
    let early = changed(|params| params.not_before = date_time_ymd(2099, 1, 1));
    let for_servers = changed(|params| {
        params.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ServerAuth];
    });
    let for_secrets = changed(|params| {
        params.key_usages = vec![rcgen::KeyUsagePurpose::KeyEncipherment];
    });
    let foreign = Authority::new("foreign authority").sign(&named());
    let same_name = Authority::new("test authority").sign(&named());
    // Signed by one that may sign nothing.
    let mut by_leaf = site
        .authority
        .intermediate(|params| params.is_ca = IsCa::ExplicitNoCa);
    let mut under_leaf = by_leaf.sign(&named());
    under_leaf.chain.push(by_leaf.certificate());
    // And by one below one that allows none below it.
    let short = site.authority.intermediate(|params| {
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    });
    by_leaf = short.intermediate(|_| {});
    let mut too_deep = by_leaf.sign(&named());
    too_deep
        .chain
        .extend([by_leaf.certificate(), short.certificate()]);
    let elsewhere = site.authority.intermediate(|params| {
        let permitted = vec![GeneralSubtree::DnsName("example.org".to_owned())];
        params.name_constraints = Some(NameConstraints {
            permitted_subtrees: permitted,
            excluded_subtrees: Vec::new(),
        });
    });
    let mut out_of_bounds = elsewhere.sign(&named());
    out_of_bounds.chain.push(elsewhere.certificate());
    for (what, holder) in [
        ("expired", &expired),
        ("with a key that may not sign", &for_secrets),
        ("self-signed", &Authority::self_signed(&named())),
        ("signed by one for other names", &out_of_bounds),
        ("not yet valid", &early),
        ("for servers", &for_servers),
        ("foreign", &foreign),
        ("another authority of the same name", &same_name),
        ("signed by a leaf", &under_leaf),
        ("path too long", &too_deep),
    ] {
        assert!(!site.admits(holder), "{what}");
    }
    let good = site.authority.intermediate(|_| {});
    let mut below = good.sign(&named());
    assert!(!site.admits(&below), "the intermediate is nowhere");
    below.chain.push(good.certificate());
    assert!(site.admits(&below), "the client sends the intermediate");
    below.chain.truncate(1);
    let both = format!("{}{}", site.authority.pem(), good.certificate().pem());
    fs::write(site.path("ca.pem"), both).unwrap();
    let mut site = site;
    site.reload(ROUTER, "");
    assert!(site.admits(&below), "the server has the intermediate");
}

#[test]
fn a_revoked_certificate_admits_nobody_and_neither_does_any_under_a_list_that_has_run_out() {
    let mut site = Site::with(CRL);
    let mut numbered = params(&["r1.example.net"]);
    numbered.serial_number = Some(SerialNumber::from(7u64));
    let holder = site.authority.sign(&numbered);
    assert!(site.admits(&holder));
    for (list, what) in [
        (site.authority.crl(&[7], 2099), "revoked"),
        (site.authority.crl(&[], 2025), "the list has run out"),
    ] {
        fs::write(site.path("crl.pem"), list).unwrap();
        site.reload(ROUTER, CRL);
        assert!(!site.admits(&holder), "{what}");
    }
    fs::write(site.path("crl.pem"), site.authority.crl(&[8], 2099)).unwrap();
    site.reload(ROUTER, CRL);
    assert!(site.admits(&holder), "somebody else is revoked");
}

#[test]
fn an_intermediate_that_was_revoked_admits_nobody_wherever_it_comes_from() {
    let mut site = Site::with(CRL);
    let between = site.authority.intermediate(|params| {
        params.serial_number = Some(SerialNumber::from(9u64));
    });
    let stored = between.client(&["r1.example.net"]);
    let mut sent = stored.clone();
    sent.chain.push(between.certificate());
    let both = format!("{}{}", site.authority.pem(), between.pem());
    let root_alone = site.authority.pem();
    for (authorities, holder) in [(&root_alone, &sent), (&both, &stored), (&both, &sent)] {
        fs::write(site.path("ca.pem"), authorities).unwrap();
        for (revoked, below, admitted) in [
            (&[][..], &[][..], true),
            (&[9], &[], false),
            (&[], &[7], true),
        ] {
            let lists = site.authority.crl(revoked, 2099) + &between.crl(below, 2099);
            fs::write(site.path("crl.pem"), lists).unwrap();
            site.reload(ROUTER, CRL);
            assert_eq!(site.admits(holder), admitted, "{revoked:?}");
        }
        // Nothing says whether those below it are revoked.
        fs::write(site.path("crl.pem"), site.authority.crl(&[], 2099)).unwrap();
        site.reload(ROUTER, CRL);
        assert!(!site.admits(holder));
    }
}

#[test]
fn a_client_whose_certificate_was_revoked_begins_no_session_on_an_old_connection() {
    let mut site = Site::with(CRL);
    let numbered = |number: u64| {
        let mut numbered = params(&["r1.example.net"]);
        numbered.serial_number = Some(SerialNumber::from(number));
        numbered
    };
    let mut wires = [7, 8].map(|number| site.connect(&site.authority.sign(&numbered(number))));
    let login = pap("alice", "alice-pap");
    for wire in &mut wires {
        assert_eq!(wire.ask(1, V1, true, &login).unwrap().status(), "PASS");
    }
    fs::write(site.path("crl.pem"), site.authority.crl(&[7], 2099)).unwrap();
    site.reload(ROUTER, CRL);
    let [revoked, good] = &mut wires;
    assert!(revoked.ask(2, V1, true, &login).is_err());
    assert_eq!(good.ask(2, V1, true, &login).unwrap().status(), "PASS");
}

#[test]
fn a_session_is_resumed_once_and_not_after_a_reload() {
    let mut site = Site::with(CRL);
    let config = site.router().config(&site.authority);
    let log_in = |site: &Site| {
        let mut wire = Secured::connect(site.address, &config);
        let reply = wire.ask(1, V1, false, &pap("alice", "alice-pap")).unwrap();
        assert_eq!(reply.status(), "PASS");
        let resumed = wire.was_resumed();
        assert!(wire.is_closed());
        resumed
    };
    assert!(!log_in(&site));
    assert!(log_in(&site));
    assert!(log_in(&site));
    site.reload(ROUTER, CRL);
    assert!(!log_in(&site), "tickets are gone with the configuration");
    assert!(log_in(&site));
}

/// Passes on what one client and the server say; what the client says can be changed,
/// and is kept.
struct Relay {
    address: SocketAddr,
    changes: Arc<AtomicBool>,
    taken: Arc<Mutex<Vec<u8>>>,
}

impl Relay {
    fn start(server: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let relay = Self {
            address: listener.local_addr().unwrap(),
            changes: Arc::default(),
            taken: Arc::default(),
        };
        let (changes, taken) = (Arc::clone(&relay.changes), Arc::clone(&relay.taken));
        thread::spawn(move || {
            let (mut client, _) = listener.accept().unwrap();
            let mut server = TcpStream::connect(server).unwrap();
            let (mut down, mut back) = (server.try_clone().unwrap(), client.try_clone().unwrap());
            thread::spawn(move || {
                // A connection that ends in any way ends the other.
                let _ = std::io::copy(&mut down, &mut back);
                let _ = back.shutdown(Shutdown::Both);
            });
            let mut buffer = [0; 16 * 1024];
            while let Ok(count @ 1..) = client.read(&mut buffer) {
                let bytes = &mut buffer[..count];
                taken.lock().unwrap().extend_from_slice(bytes);
                if changes.load(Ordering::Relaxed) {
                    bytes[count - 1] ^= 1;
                }
                if server.write_all(bytes).is_err() {
                    break;
                }
            }
        });
        relay
    }
}

#[test]
fn nobody_on_the_way_can_change_a_request_or_send_it_again() {
    let site = Site::start();
    let relay = Relay::start(site.address);
    let config = site.router().config(&site.authority);
    let mut wire = Secured::over(TcpStream::connect(relay.address).unwrap(), &config);
    let ask = |wire: &mut Secured, id: u32| {
        let args = arguments(&[&format!("task_id={id}")]);
        wire.ask(id, V0, true, &acct(2, &args))
    };
    assert_eq!(ask(&mut wire, 1).unwrap().acct(), "SUCCESS");
    relay.changes.store(true, Ordering::Relaxed);
    assert!(ask(&mut wire, 2).is_err());

    let taken = relay.taken.lock().unwrap().clone();
    let mut again = TcpStream::connect(site.address).unwrap();
    again.set_read_timeout(Some(common::PATIENCE)).unwrap();
    again.write_all(&taken).unwrap();
    // Its half of a handshake, until it sees that nobody has the keys.
    match again.read_to_end(&mut Vec::new()) {
        Ok(_) => {}
        Err(error) => assert_eq!(error.kind(), ErrorKind::ConnectionReset),
    }
    let records = site.server.records();
    assert_eq!(records.len(), 1, "{records:?}");
    assert!(records[0].ends_with("task_id=1"), "{records:?}");
    assert!(site.admits(&site.router()));
}

#[test]
fn a_ticket_lifetime_of_zero_gives_no_tickets() {
    let site = Site::with("tls ticket-lifetime = 0\n");
    let config = site.router().config(&site.authority);
    for _ in 0..2 {
        let mut wire = Secured::connect(site.address, &config);
        wire.ask(1, V1, false, &pap("alice", "alice-pap")).unwrap();
        assert!(!wire.was_resumed());
        assert!(wire.is_closed());
    }
}

#[test]
fn a_client_whose_names_changed_begins_no_session_on_an_old_connection() {
    let mut site = Site::start();
    let mut wire = site.connect(&site.router());
    let login = pap("alice", "alice-pap");
    assert_eq!(wire.ask(1, V1, true, &login).unwrap().status(), "PASS");
    site.reload("host = 127.0.0.1 { tls name = r9.example.net }\n", "");
    assert!(wire.ask(2, V1, true, &login).is_err());
    assert!(!site.admits(&site.router()));
}

#[test]
fn a_client_without_a_tls_name_is_refused_at_the_tls_port() {
    let mut site = Site::start();
    site.reload(
        "host = 127.0.0.1 { key = Kat-Secret-0123456789-abcdefghij }\n",
        "",
    );
    assert!(!site.admits(&site.router()));
    site.server.wait_for_line("this client has no 'tls name'");
}

#[test]
fn a_packet_without_the_flag_gets_a_flagged_error_and_the_end() {
    let site = Site::start();
    let mut wire = site.connect(&site.router());
    let login = pap("alice", "alice-pap");
    wire.send(1, V1, false, true, &login).unwrap();
    let reply = wire.receive().unwrap();
    assert_eq!(reply.status(), "ERROR");
    assert!(reply.header.flags.unencrypted);
    assert!(wire.is_closed());
}

#[test]
fn a_plain_packet_at_the_tls_port_gets_no_reply_and_leaves_no_record() {
    let site = Site::start();
    let args = arguments(&["task_id=1"]);
    for secret in [common::SECRET.as_bytes(), b""] {
        let mut stream = TcpStream::connect(site.address).unwrap();
        stream.set_read_timeout(Some(common::PATIENCE)).unwrap();
        let packet = common::packet(secret, 1, 1, V0, true, &acct(2, &args));
        stream.write_all(&packet).unwrap();
        let mut answer = Vec::new();
        // A reset is an end too.
        let _ = stream.read_to_end(&mut answer);
        // An alert record at most.
        assert!(matches!(answer.first(), None | Some(21)), "{answer:?}");
    }
    assert_eq!(site.server.records(), [""; 0]);
}

#[test]
fn nothing_is_said_before_the_client_and_a_slow_handshake_ends_while_others_are_served() {
    let site = Site::with("limit first-packet = 1\n");
    let mut slow = TcpStream::connect(site.address).unwrap();
    slow.set_read_timeout(Some(common::PATIENCE)).unwrap();
    slow.write_all(&[22, 3, 1, 2, 0, 1]).unwrap();
    assert!(site.admits(&site.router()));
    let mut answer = Vec::new();
    let _ = slow.read_to_end(&mut answer);
    assert_eq!(answer, [], "closed without a word");
}

#[test]
fn a_port_for_both_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new("test authority");
    authority.server().write(folder.path(), "server");
    fs::write(folder.path().join("ca.pem"), authority.pem()).unwrap();
    let text = configuration(folder.path(), ROUTER, "listen = 127.0.0.2:4999\n")
        .replace("127.0.0.1:0", "127.0.0.1:4999");
    let path = folder.path().join("tac_plus.conf");
    fs::write(&path, text).unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_tac_plus"))
        .arg("-C")
        .arg(path)
        .output()
        .unwrap();
    assert!(!output.status.success());
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(
        error.contains("port 4999 is to speak TLS and plain TCP"),
        "{error}"
    );
}

#[test]
fn a_certificate_that_runs_out_ends_its_resumption_too() {
    let site = Site::start();
    let mut brief = params(&["r1.example.net"]);
    let now = std::time::UNIX_EPOCH.elapsed().unwrap();
    brief.not_after = date_time_ymd(1970, 1, 1) + now + std::time::Duration::from_secs(2);
    let config = site.authority.sign(&brief).config(&site.authority);
    let mut resumed = 0;
    let end = std::time::Instant::now() + common::PATIENCE;
    loop {
        let mut wire = Secured::connect(site.address, &config);
        if wire.ask(1, V1, false, &pap("alice", "alice-pap")).is_err() {
            break;
        }
        resumed += u32::from(wire.was_resumed());
        assert!(wire.is_closed());
        assert!(std::time::Instant::now() < end, "it is good for ever");
    }
    assert!(resumed > 0);
}

#[test]
fn a_certificate_that_runs_out_ends_its_open_connection() {
    let mut site = Site::start();
    let mut brief = params(&["r1.example.net"]);
    let now = std::time::UNIX_EPOCH.elapsed().unwrap();
    brief.not_after = date_time_ymd(1970, 1, 1) + now + std::time::Duration::from_secs(3);
    let mut wire = site.connect(&site.authority.sign(&brief));
    let login = pap("alice", "alice-pap");
    assert_eq!(wire.ask(1, V1, true, &login).unwrap().status(), "PASS");
    assert!(wire.is_closed(), "long before an idle connection is");
    site.server.wait_for_line("its certificate has run out");
}
