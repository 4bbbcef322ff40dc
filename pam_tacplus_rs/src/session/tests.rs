use std::time::Duration;

use tacacs_common::packet::AcctStatus::{Error, Success};
use tacacs_common::packet::{
    AcctRecord, AuthenMethod, AuthenStatus, AuthenType, AuthorStatus, PrivLvl,
};
use tacacs_common::spool::{Limits, Spool};

use super::{Session, abandon, close, open};
use crate::account::authorize;
use crate::call::Now;
use crate::handle::Memory;
use crate::login::authenticate;
use crate::outcome::{End, Phase};
use crate::testing::{Host, Say, Seen, Server};

const START: u8 = 2;
const STOP: u8 = 4;

fn begin(host: &mut Host) -> End {
    host.run(Phase::Session, open)
}

fn end(host: &mut Host) -> End {
    host.run(Phase::Session, close)
}

/// `seconds` pass, while somebody sets the clock back an hour.
fn wait(host: &mut Host, seconds: u64) {
    let now = host.site.now;
    host.site.now = Now {
        unix: now.unix + seconds - 3600,
        boot: now.boot + Duration::from_secs(seconds),
    };
}

/// Flags and arguments of the records a server saw.
fn records(server: &Server) -> Vec<(u8, Vec<String>)> {
    let records = server.seen().into_iter().map(|seen| match seen {
        Seen::Acct { flags, args, user } => {
            assert_eq!(user, "alice");
            (flags, args)
        }
        other => panic!("no record: {other:?}"),
    });
    records.collect()
}

fn pending(host: &Host) -> u64 {
    match Spool::open_existing(&host.site.spool, Limits::default()).unwrap() {
        Some(spool) => spool.status().unwrap().pending,
        None => 0,
    }
}

#[test]
fn start_and_stop_tell_one_story() {
    let server = Server::start(&[Say::Acct(Success), Say::Acct(Success)]);
    let mut host = Host::new(&[server.address], "");
    assert_eq!(begin(&mut host), End::Pass, "{}", host.log());
    wait(&mut host, 75);
    assert_eq!(end(&mut host), End::Pass, "{}", host.log());
    let records = records(&server);
    let task_id = &records[0].1[0];
    assert!(
        task_id.starts_with("task_id=") && task_id.len() == 24,
        "{task_id}"
    );
    let start = [task_id, "start_time=1700000000", "service=shell", "cmd="];
    let stop = [
        task_id,
        "start_time=1700000000",
        "stop_time=1699996475",
        "elapsed_time=75",
        "service=shell",
        "cmd=",
    ];
    assert_eq!(records[0], (START, start.map(str::to_owned).to_vec()));
    assert_eq!(records[1], (STOP, stop.map(str::to_owned).to_vec()));
    assert_eq!(pending(&host), 0);
    assert!(host.memory.session.is_none());
}

#[test]
fn a_login_uses_one_connection_which_is_closed_when_the_session_is_open() {
    let server = Server::single_connect(&[
        Say::Authen(AuthenStatus::Pass, ""),
        Say::Author(AuthorStatus::PassAdd, &["priv-lvl=7"]),
        Say::Acct(Success),
        Say::Acct(Success),
    ]);
    let mut host = Host::new(&[server.address], "").answers(&["pw"]);
    assert_eq!(host.run(Phase::Authenticate, authenticate), End::Pass);
    assert_eq!(host.run(Phase::Account, authorize), End::Pass);
    assert_eq!(begin(&mut host), End::Pass);
    assert_eq!(server.connections(), 1);
    assert!(host.memory.connection.is_none());
    assert_eq!(host.memory.session.as_ref().unwrap().priv_lvl.level(), 7);
    assert_eq!(end(&mut host), End::Pass);
    assert_eq!(server.connections(), 2);
}

#[test]
fn records_survive_an_outage_in_their_order() {
    let mut host = Host::new(&[Server::nowhere()], "");
    assert_eq!(begin(&mut host), End::Pass, "{}", host.log());
    assert!(
        host.log().contains("spooled, to be delivered later"),
        "{}",
        host.log()
    );
    assert!(
        host.log().contains("Warning: server s0: cannot connect"),
        "{}",
        host.log()
    );
    assert_eq!(pending(&host), 1);
    wait(&mut host, 10);
    // A server is back for the first record, and gone again for the second.
    let server = Server::start(&[Say::Acct(Success), Say::Acct(Error)]);
    let conf = |server: &Server| {
        format!(
            "[mapping]\nmode = local\n[server a]\naddress = {}\nsecret = a secret for tests only\n",
            server.address
        )
    };
    host.conf(&conf(&server));
    assert_eq!(end(&mut host), End::Pass, "{}", host.log());
    assert_eq!(pending(&host), 1);
    assert_eq!(
        records(&server)
            .iter()
            .map(|record| record.0)
            .collect::<Vec<_>>(),
        [START, STOP]
    );

    let server = Server::start(&[Say::Acct(Success), Say::Acct(Success)]);
    host.conf(&conf(&server));
    assert_eq!(begin(&mut host), End::Pass);
    let records = records(&server);
    assert_eq!(
        records.iter().map(|record| record.0).collect::<Vec<_>>(),
        [STOP, START]
    );
    assert_eq!(records[0].1[3], "elapsed_time=10");
    assert_eq!(pending(&host), 0);
}

#[test]
fn who_may_be_stopped_by_its_user_leaves_it_to_a_login_to_deliver_what_waits() {
    let mut host = Host::new(&[Server::nowhere()], "");
    assert_eq!(begin(&mut host), End::Pass, "{}", host.log());
    assert_eq!(pending(&host), 1);
    let server = Server::start(&[Say::Acct(Success), Say::Acct(Success), Say::Acct(Success)]);
    host.conf(&format!(
        "[mapping]\nmode = local\n[server a]\naddress = {}\nsecret = a secret for tests only\n",
        server.address
    ));
    host.site.setuid = true;
    host.memory = Memory::default();
    assert_eq!(begin(&mut host), End::Pass, "{}", host.log());
    let told = "spooled, to be delivered later: a login delivers what waits";
    assert!(host.log().contains(told), "{}", host.log());
    assert_eq!((pending(&host), server.connections()), (2, 0));

    host.site.setuid = false;
    assert_eq!(end(&mut host), End::Pass, "{}", host.log());
    let kinds = records(&server);
    let kinds: Vec<u8> = kinds.iter().map(|record| record.0).collect();
    assert_eq!(kinds, [START, START, STOP]);
    assert_eq!(pending(&host), 0);
}

#[test]
fn a_start_that_is_nowhere_refuses_the_session_only_if_it_has_to_be_somewhere() {
    for (required, ended) in [
        ("no", End::Lost { refused: false }),
        ("yes", End::Lost { refused: true }),
    ] {
        let mut host = Host::new(&[Server::nowhere()], &format!("acct_required = {required}"));
        // A spool that cannot be: its place is taken by a file.
        std::fs::write(host.site.spool.parent().unwrap(), "").unwrap();
        assert_eq!(begin(&mut host), ended);
        assert!(
            host.log()
                .contains("Error: START of 'alice' from 192.0.2.7 is lost"),
            "{}",
            host.log()
        );
        assert_eq!(host.memory.session.is_some(), required == "no");
    }
}

#[test]
fn a_session_that_nobody_closes_is_closed_with_its_handle() {
    let server = Server::start(&[Say::Acct(Success)]);
    let mut host = Host::new(&[server.address], "");
    assert_eq!(begin(&mut host), End::Pass);
    let line = abandon(std::mem::take(&mut host.memory), &host.site).unwrap();
    assert!(line.contains("its STOP is spooled"), "{line}");
    assert_eq!(pending(&host), 1);
}

#[test]
fn a_forked_copy_does_not_end_the_session() {
    let server = Server::start(&[Say::Acct(Success)]);
    let mut host = Host::new(&[server.address], "");
    assert_eq!(begin(&mut host), End::Pass);
    // As a process would see it whose parent opened the session.
    host.memory.session.as_mut().unwrap().pid -= 1;
    assert_eq!(abandon(std::mem::take(&mut host.memory), &host.site), None);
    assert_eq!(pending(&host), 0);
}

#[test]
fn a_stop_is_not_lost_to_a_configuration_that_broke_meanwhile() {
    let server = Server::start(&[Say::Acct(Success)]);
    let mut host = Host::new(&[server.address], "");
    assert_eq!(begin(&mut host), End::Pass);
    host.conf("tiemout = 5\n");
    assert_eq!(end(&mut host), End::Misconfigured);
    assert!(abandon(std::mem::take(&mut host.memory), &host.site).is_some());
    assert_eq!(pending(&host), 1);
}

#[test]
fn another_process_closes_the_session_by_its_record() {
    let server = Server::start(&[Say::Acct(Success), Say::Acct(Success), Say::Acct(Success)]);
    let mut host = Host::new(&[server.address], "");
    host.audit("42", "1001");
    assert_eq!(begin(&mut host), End::Pass, "{}", host.log());
    let opened = std::mem::take(&mut host.memory).session.unwrap();
    wait(&mut host, 30);
    assert_eq!(end(&mut host), End::Pass, "{}", host.log());
    let records = records(&server);
    assert_eq!(records[1].0, STOP);
    assert_eq!(records[1].1[0], format!("task_id={}", opened.task_id));
    assert_eq!(records[1].1[3], "elapsed_time=30");
    // Closed is closed.
    assert_eq!(end(&mut host), End::Pass);
    assert_eq!(server.seen().len(), 2);
    assert!(host.log().contains("no STOP for 'alice'"), "{}", host.log());
}

#[test]
fn a_su_to_oneself_that_closes_twice_leaves_the_login_open() {
    let server = Server::start(&[Say::Acct(Success), Say::Acct(Success), Say::Acct(Success)]);
    let mut host = Host::new(&[server.address], "");
    host.audit("42", "1001");
    assert_eq!(begin(&mut host), End::Pass, "{}", host.log());
    let login = std::mem::take(&mut host.memory).session.unwrap();
    for phase in [begin, end, end] {
        assert_eq!(phase(&mut host), End::Pass, "{}", host.log());
    }
    assert_eq!(records(&server).len(), 3, "START, START, STOP");
    assert!(!crate::record::is_closed(&host.site, &login));
}

#[test]
fn services_without_accounting_have_none() {
    let server = Server::start(&[Say::Acct(Success)]);
    let mut host = Host::new(&[server.address], "");
    host.handle.service = "cron".to_owned();
    assert_eq!(begin(&mut host), End::Ignored);
    assert_eq!(end(&mut host), End::Ignored);
    assert_eq!(server.connections(), 0);
}

#[test]
fn a_record_that_no_packet_can_hold_is_refused_and_not_cut() {
    let server = Server::start(&[Say::Acct(Success)]);
    let mut host = Host::new(&[server.address], "");
    assert_eq!(begin(&mut host), End::Pass);
    let session = host.memory.session.take().unwrap();
    let long = Session {
        user: "x".repeat(256),
        ..session
    };
    assert!(long.body(AcctRecord::Stop, host.site.now).is_err());
}

#[test]
fn a_session_that_another_process_closed_is_not_closed_twice() {
    let server = Server::start(&[Say::Acct(Success), Say::Acct(Success)]);
    let mut host = Host::new(&[server.address], "");
    host.audit("42", "1001");
    assert_eq!(begin(&mut host), End::Pass, "{}", host.log());
    let ours = host.memory.session.clone();
    assert_eq!(end(&mut host), End::Pass);
    host.memory.session = ours.clone();
    assert_eq!(end(&mut host), End::Pass);
    host.memory.session = ours;
    assert_eq!(abandon(std::mem::take(&mut host.memory), &host.site), None);
    assert_eq!((server.seen().len(), pending(&host)), (2, 0));
}

/// Fills a spool up to this number of records of these users, in turns: one file for
/// each of them has as many names as it takes.
fn fill(host: &Host, caller: Option<u32>, users: &[String], count: u64) {
    let spool = Spool::open(&host.site.spool, Limits::default())
        .unwrap()
        .called_by(caller);
    for user in users {
        spool.append(&about(user), 1_700_000_000).unwrap();
    }
    let names: Vec<String> = spool.list().unwrap().into_iter().map(|l| l.name).collect();
    for number in names.len() as u64 + 1..=count {
        let name = &names[usize::try_from(number - 1).unwrap() % names.len()];
        let more = format!("{number:020}{}", &name[20..]);
        std::fs::hard_link(host.site.spool.join(name), host.site.spool.join(more)).unwrap();
    }
}

/// A record about this user.
fn about(user: &str) -> Vec<u8> {
    let session = Session {
        task_id: "0123456789abcdef".to_owned(),
        user: user.to_owned(),
        port: "ssh".to_owned(),
        rem_addr: String::new(),
        service: "shell".to_owned(),
        protocol: None,
        authen_method: AuthenMethod::TacacsPlus,
        authen_type: AuthenType::Pap,
        priv_lvl: PrivLvl::USER,
        start: Now {
            unix: 1_700_000_000,
            boot: Duration::ZERO,
        },
        audit: None,
        pid: 7,
    };
    session.body(AcctRecord::Start, session.start).unwrap()
}

fn users(count: u32) -> Vec<String> {
    (0..count).map(|n| format!("user{n}")).collect()
}

#[test]
fn a_full_spool_is_delivered_by_logins_again_and_keeps_its_order() {
    const EACH: usize = 20;
    let server = Server::single_connect(&vec![Say::Acct(Success); 5 * EACH]);
    let mut host = Host::new(&[server.address], "");
    fill(&host, None, &users(20), 10_000);
    for login in 1..=5 {
        host.memory = Memory::default();
        assert_eq!(begin(&mut host), End::Pass, "{}", host.log());
        assert_eq!(server.seen().len(), login * EACH, "{}", host.log());
        assert_eq!(pending(&host), 10_000 - (login * EACH - login) as u64);
    }
    let names: Vec<String> = server
        .seen()
        .into_iter()
        .map(|seen| match seen {
            Seen::Acct { user, .. } => user,
            other => panic!("no record: {other:?}"),
        })
        .collect();
    let in_turns = (0..).map(|turn| format!("user{}", turn % 20));
    assert!(names.iter().cloned().eq(in_turns.take(100)), "{names:?}");
}

#[test]
fn a_setuid_program_whose_caller_has_used_up_a_share_is_refused() {
    let mut host = Host::new(&[Server::nowhere()], "");
    host.site.setuid = true;
    host.site.caller = Some(1000);
    fill(&host, Some(1000), &users(10), 500);
    assert_eq!(begin(&mut host), End::Lost { refused: true });
    let told = "this user's caller started, and no more may; refused, for this may be the doing";
    assert!(host.log().contains(told), "{}", host.log());
    assert!(host.memory.session.is_none());
    // It is nobody else's.
    host.site.caller = Some(1001);
    assert_eq!(begin(&mut host), End::Pass, "{}", host.log());
}

#[test]
fn a_broken_spool_alone_refuses_no_setuid_program() {
    // Who is to repair it may need sudo.
    let mut host = Host::new(&[Server::nowhere()], "");
    host.site.setuid = true;
    std::fs::write(host.site.spool.parent().unwrap(), "").unwrap();
    assert_eq!(begin(&mut host), End::Lost { refused: false });
}

#[test]
fn a_copy_of_the_process_that_closed_the_session_leaves_its_opener_no_second_stop() {
    for closes in [true, false] {
        let server = Server::start(&[Say::Acct(Success), Say::Acct(Success), Say::Acct(Success)]);
        let mut host = Host::new(&[server.address], "");
        assert_eq!(begin(&mut host), End::Pass, "{}", host.log());
        let opened = host.memory.session.clone();

        host.site.pid = 8;
        assert_eq!(end(&mut host), End::Pass, "{}", host.log());
        assert_eq!(server.seen().len(), 2);

        host.site.pid = 7;
        host.memory.session = opened;
        if closes {
            assert_eq!(end(&mut host), End::Pass);
        } else {
            assert_eq!(abandon(std::mem::take(&mut host.memory), &host.site), None);
        }
        assert_eq!((server.seen().len(), pending(&host)), (2, 0));
        let left = std::fs::read_dir(&host.site.sessions).unwrap().count();
        assert_eq!(left, 0, "nothing of it is left");
    }
}
