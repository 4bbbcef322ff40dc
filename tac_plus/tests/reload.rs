//! A new configuration for a server that has work to do.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

mod common;

use std::net::{SocketAddr, TcpStream};
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread;

use common::certificates::{Authority, Secured};
use common::{CONFIGURATION, Over, Server, V0, V1, acct, arguments, author, pap};

const RELOADS: u32 = 1000;

fn write(server: &Server, text: &str) {
    let accounting = server.accounting_path();
    let text = format!("accounting file = {}\n{text}", accounting.display());
    // As editors and deployment tools do: whole, or not at all.
    let path = server.configuration_path();
    let new = path.with_extension("new");
    std::fs::write(&new, text).unwrap();
    std::fs::rename(new, path).unwrap();
}

#[test]
fn a_thousand_reloads_half_of_them_broken_lose_no_request() {
    let mut server = Server::start(CONFIGURATION);
    let (over, answered) = (AtomicBool::new(false), AtomicU32::new(0));
    let address = server.address;
    let connect = || common::Wire::new(TcpStream::connect(address).unwrap());
    thread::scope(|scope| {
        // One connection for all its requests, and one for each.
        scope.spawn(|| {
            let mut wire = connect();
            let args = arguments(&["service=shell", "cmd=show", "cmd-arg=version"]);
            let record = arguments(&["task_id=1"]);
            while !over.load(Ordering::Relaxed) {
                let login = wire.ask(1, 1, V1, true, &pap("alice", "alice-pap"));
                assert_eq!(login.status(), "PASS");
                let command = wire.ask(2, 1, V0, true, &author("alice", &args));
                assert_eq!(command.status(), "PASS_ADD");
                let record = wire.ask(3, 1, V0, true, &acct(4, &record));
                assert_eq!(record.status(), "SUCCESS");
                answered.fetch_add(3, Ordering::Relaxed);
            }
        });
        scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                let reply = connect().ask(1, 1, V1, false, &pap("alice", "alice-pap"));
                assert_eq!(reply.status(), "PASS");
                answered.fetch_add(1, Ordering::Relaxed);
            }
        });
        let _over = Over(&over);
        for number in 0..RELOADS {
            let broken = number % 2 == 0;
            let signal = if number % 4 < 2 { "HUP" } else { "USR1" };
            let end = if broken { "user = alice {" } else { "" };
            write(&server, &format!("{CONFIGURATION}# {number}\n{end}"));
            server.signal(signal);
            let said = server.wait_for_line("configuration ");
            assert_eq!(said.contains("not reloaded"), broken, "{said}");
        }
    });
    assert!(answered.into_inner() > RELOADS, "there was a load");
}

#[test]
fn listeners_come_and_go_and_connections_stay() {
    let mut server = Server::start(CONFIGURATION);
    let mut old = server.connect();
    let login = pap("alice", "alice-pap");
    assert_eq!(old.ask(1, 1, V1, true, &login).status(), "PASS");
    write(&server, &format!("listen = 127.0.0.3:0\n{CONFIGURATION}"));
    server.signal("HUP");
    let line = server.wait_for_line("listening on");
    let address: SocketAddr = line.rsplit(' ').next().unwrap().parse().unwrap();
    assert_ne!(address, server.address);
    let mut new = common::Wire::new(TcpStream::connect(address).unwrap());
    assert_eq!(new.ask(1, 1, V1, true, &login).status(), "PASS");
    server.wait_for_line("configuration reloaded");
    write(&server, CONFIGURATION);
    server.signal("HUP");
    server.wait_for_line("configuration reloaded");
    assert!(TcpStream::connect(address).is_err());
    for wire in [&mut old, &mut new] {
        assert_eq!(wire.ask(2, 1, V1, true, &login).status(), "PASS");
    }
}

#[test]
fn what_cannot_be_served_is_not_reloaded() {
    let mut server = Server::start(CONFIGURATION);
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let folder = server.folder.path().display().to_string();
    let authority = Authority::new("test authority");
    std::fs::write(server.folder.path().join("ca.pem"), authority.pem()).unwrap();
    for (line, error) in [
        (
            format!("listen = {}", taken.local_addr().unwrap()),
            "cannot listen on",
        ),
        (
            format!(
                "tls listen = 127.0.0.1:0\ntls ca = {folder}/nothing\ntls certificate = x\ntls key = x"
            ),
            "nothing",
        ),
        (
            format!(
                "tls listen = 127.0.0.1:0\ntls ca = {folder}/ca.pem\ntls crl = {folder}/no-list\n\
                 tls certificate = x\ntls key = x"
            ),
            "no-list",
        ),
        (
            "tls listen = 127.0.0.1:0".to_owned(),
            "needs 'tls ca = FILE' too",
        ),
    ] {
        write(&server, &format!("{line}\n{CONFIGURATION}"));
        server.signal("HUP");
        server.wait_for_line(error);
        server.wait_for_line("configuration not reloaded");
        let mut wire = server.connect();
        assert_eq!(wire.start(&pap("alice", "alice-pap")), "PASS \"\"");
    }
}

#[test]
fn idle_connections_keep_no_former_configuration_and_its_memory_goes_back() {
    let users: String = (0..8000)
        .map(|n| {
            format!("user = user-{n} {{ login = cleartext \"password {n}\" cmd = show {{ permit ^a{n} }} }}\n")
        })
        .collect();
    let empty = Server::start(CONFIGURATION).resident_kb();
    let large = format!("{CONFIGURATION}{users}");
    let mut server = Server::start(&large);
    let one = server.resident_kb() - empty;
    let login = pap("alice", "alice-pap");
    let mut idle = Vec::new();
    for _ in 0..6 {
        let mut wire = server.connect();
        assert_eq!(wire.ask(1, 1, V1, true, &login).status(), "PASS");
        idle.push(wire);
        write(&server, &large);
        server.signal("HUP");
        server.wait_for_line("configuration reloaded");
    }
    let end = std::time::Instant::now() + common::PATIENCE;
    while server.resident_kb() > empty + 3 * one {
        assert!(
            std::time::Instant::now() < end,
            "{} kB",
            server.resident_kb()
        );
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    for wire in &mut idle {
        assert_eq!(wire.ask(2, 1, V1, true, &login).status(), "PASS");
    }
}

#[test]
fn an_accounting_folder_that_is_not_there_is_told_and_records_wait_for_nothing_else() {
    let mut server = Server::start(CONFIGURATION);
    let folder = server.folder.path().join("no");
    let text = format!(
        "accounting file = {}/acct\n{CONFIGURATION}",
        folder.display()
    );
    std::fs::write(server.configuration_path(), text).unwrap();
    server.signal("HUP");
    server.wait_for_line("/no/acct cannot be written: No such file");
    server.wait_for_line("configuration reloaded");
    assert_eq!(
        server.connect().start(&pap("alice", "alice-pap")),
        "PASS \"\""
    );
    assert_eq!(server.connect().acct(2, &["task_id=1"]), "ERROR");
    std::fs::create_dir(&folder).unwrap();
    assert_eq!(server.connect().acct(2, &["task_id=1"]), "SUCCESS");
}

#[test]
fn a_revocation_list_that_cannot_be_read_is_not_reloaded_and_keeps_a_server_from_starting() {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new("test authority");
    authority.server().write(folder.path(), "server");
    let at = folder.path().display();
    std::fs::write(folder.path().join("ca.pem"), authority.pem()).unwrap();
    std::fs::write(folder.path().join("good.pem"), authority.crl(&[], 2099)).unwrap();
    std::fs::write(folder.path().join("empty.pem"), "").unwrap();
    let no_list = "-----BEGIN X509 CRL-----\nbm8gbGlzdA==\n-----END X509 CRL-----\n";
    std::fs::write(folder.path().join("broken.pem"), no_list).unwrap();
    let with = |list: &str| {
        format!(
            "tls listen = 127.0.0.1:0\ntls certificate = {at}/server.pem\n\
             tls key = {at}/server.key\ntls ca = {at}/ca.pem\ntls crl = {at}/{list}\n\
             tls crl = {at}/good.pem\n{}",
            CONFIGURATION.replace("prompt =", "tls name = r1.example.net prompt =")
        )
    };
    let mut server = Server::start(&with("good.pem"));
    let line = server.wait_for_line("listening for TLS on");
    let address: SocketAddr = line.rsplit(' ').next().unwrap().parse().unwrap();
    let router = authority.client(&["r1.example.net"]).config(&authority);
    let login = pap("alice", "alice-pap");
    for list in ["missing.pem", "empty.pem", "broken.pem"] {
        write(&server, &with(list));
        server.signal("HUP");
        server.wait_for_line(&format!("TLS: {at}/{list}: "));
        server.wait_for_line("configuration not reloaded");
        // Under the lists from before.
        let mut wire = Secured::connect(address, &router);
        assert_eq!(wire.ask(1, V1, false, &login).unwrap().status(), "PASS");

        let output = Command::new(env!("CARGO_BIN_EXE_tac_plus"))
            .args(["-G", "-p", "0", "-B", "127.0.0.1", "-C"])
            .arg(server.configuration_path())
            .output()
            .unwrap();
        assert!(!output.status.success());
        let error = String::from_utf8(output.stderr).unwrap();
        assert!(error.contains(&format!("TLS: {at}/{list}: ")), "{error}");
    }
    write(&server, &with("good.pem"));
    server.signal("HUP");
    server.wait_for_line("configuration reloaded");
}

#[test]
fn limits_are_those_of_the_newest_configuration() {
    let mut server = Server::start(CONFIGURATION);
    let login = pap("alice", "alice-pap");
    let mut first = server.connect();
    assert_eq!(first.ask(1, 1, V1, true, &login).status(), "PASS");
    write(
        &server,
        &format!("limit connections-per-client = 1\nlimit body = 64\n{CONFIGURATION}"),
    );
    server.signal("HUP");
    server.wait_for_line("configuration reloaded");
    assert!(server.connect().is_closed());
    drop(first);
    // The place of a connection that has just ended is free in a moment.
    let end = std::time::Instant::now() + common::PATIENCE;
    let ask = |password: &str| {
        let mut wire = server.connect();
        let request = wire.packet(1, 1, V1, false, &pap("alice", password));
        // A server that refuses the connection may have closed it already.
        let _ = std::io::Write::write_all(&mut wire.stream, &request);
        let mut answer = Vec::new();
        let _ = std::io::Read::read_to_end(&mut wire.stream, &mut answer);
        !answer.is_empty()
    };
    while !ask("alice-pap") {
        assert!(std::time::Instant::now() < end, "never free");
    }
    assert!(!ask(&"x".repeat(64)));
    server.wait_for_line("is over the limit of 64");
}

#[test]
fn a_key_that_was_taken_away_opens_no_connection_that_was_there_before() {
    const OLD: &str = "an-old-secret-0123456789-abcdefg";
    let with_old = CONFIGURATION.replacen("prompt", &format!("key = \"{OLD}\" prompt"), 1);
    let mut server = Server::start(&with_old);
    let login = pap("alice", "alice-pap");
    let mut known = server.connect().with_secret(OLD);
    assert_eq!(known.ask(1, 1, V1, true, &login).status(), "PASS");
    let mut silent = server.connect().with_secret(OLD);
    // Accepted in the order of their coming.
    assert_eq!(server.connect().start(&login), "PASS \"\"");
    write(&server, CONFIGURATION);
    server.signal("HUP");
    server.wait_for_line("configuration reloaded");
    for wire in [&mut known, &mut silent] {
        let request = wire.packet(2, 1, V1, true, &login);
        wire.send(&request);
        assert!(wire.is_closed());
    }
}
