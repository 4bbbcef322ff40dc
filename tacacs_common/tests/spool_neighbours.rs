//! What the accounting spool promises its users against each other: nobody fills it,
//! blocks it or holds it up for the rest, whatever he does and whatever a server does.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use std::fs;
use std::io;
use std::path::PathBuf;
use std::sync::Barrier;
use std::time::{Duration, Instant};

use tacacs_common::client::Trouble;
use tacacs_common::outcome::{Outcome, Unreachable};
use tacacs_common::packet::{
    AcctRecord, AcctRequest, ArgumentsBuf, AuthenMethod, AuthenService, AuthenType, AuthorRequest,
    Body, PrivLvl,
};
use tacacs_common::spool::{
    Delivery, End, Error, Excess, Limits, Listed, Place, Record, Report, Spool,
};
use tacacs_common::statefile;

struct Stage {
    root: tempfile::TempDir,
}

impl Stage {
    fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        Self { root }
    }

    fn path(&self) -> PathBuf {
        self.root.path().join("tacplus/pam")
    }

    /// As a process of its own opens it.
    fn spool(&self) -> Spool {
        self.limited(Limits::default())
    }

    fn limited(&self, limits: Limits) -> Spool {
        Spool::open(&self.path(), limits).unwrap()
    }

    fn append(&self, user: &str, word: &str) {
        self.spool().append(&body(user, word), 1).unwrap();
    }

    /// The names in the folder, sorted.
    fn names(&self, folder: &str) -> Vec<String> {
        let entries = fs::read_dir(self.path().join(folder)).into_iter().flatten();
        let mut names: Vec<_> = entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    fn waiting(&self) -> Vec<Listed> {
        let mut all = self.spool().list().unwrap();
        all.retain(|listed| listed.place == Place::Waiting);
        all
    }
}

const HUNDRED: Limits = Limits {
    records: 100,
    bytes: 1 << 20,
};

/// A record about this user with this word in it.
fn body(user: &str, word: &str) -> Vec<u8> {
    let mut args = ArgumentsBuf::new();
    args.mandatory("task_id", word.as_bytes()).unwrap();
    let mut body = Vec::new();
    AcctRequest {
        flags: AcctRecord::Start.to_wire(),
        about: AuthorRequest {
            authen_method: AuthenMethod::TacacsPlus,
            priv_lvl: PrivLvl::USER,
            authen_type: AuthenType::Pap,
            authen_service: AuthenService::Login,
            user: user.as_bytes(),
            port: b"ssh",
            rem_addr: b"192.0.2.7",
            args: args.as_arguments(),
        },
    }
    .encode(&mut body)
    .unwrap();
    body
}

/// The user and the word of a record.
fn told(record: &Record) -> (String, String) {
    let request = AcctRequest::decode(&record.body).unwrap();
    let user = String::from_utf8(request.about.user.to_vec()).unwrap();
    let word = request.about.args.raw().next().unwrap();
    let word = String::from_utf8(word.to_vec()).unwrap();
    (user, word.strip_prefix("task_id=").unwrap().to_owned())
}

/// One delivery, to servers that answer by what is in a record; the words they took.
fn deliver(stage: &Stage, answer: impl Fn(&str, &str) -> Delivery) -> (Vec<String>, usize, Report) {
    let (mut taken, mut sent) = (Vec::new(), 0);
    let report = stage.spool().deliver(20, &mut |record| {
        sent += 1;
        let (user, word) = told(record);
        let answer = answer(&user, &word);
        if matches!(answer, Delivery::Stored(_)) {
            taken.push(word);
        }
        answer
    });
    (taken, sent, report)
}

fn stored() -> Delivery {
    Delivery::Stored("s1".to_owned())
}

fn error() -> Delivery {
    Delivery::Failed(vec!["s1".to_owned()])
}

/// A server that answers ERROR to the records of some users.
fn all_but(bad: impl Fn(&str) -> bool) -> impl Fn(&str, &str) -> Delivery {
    move |_, word| if bad(word) { error() } else { stored() }
}

#[test]
fn one_users_records_are_at_most_a_tenth_of_the_spool() {
    let stage = Stage::new();
    let spool = stage.limited(HUNDRED);
    for n in 0..10 {
        spool.append(&body("alice", &n.to_string()), 1).unwrap();
    }
    let refused = spool.append(&body("alice", "more"), 1).unwrap_err();
    assert!(matches!(refused, Error::Full(Excess::User)), "{refused:?}");
    spool.append(&body("bob", "0"), 1).unwrap();
    assert_eq!(spool.status().unwrap().dropped, 1);

    let long = "x".repeat(200);
    let bytes = 10 * body("alice", &long).len() as u64;
    let stage = Stage::new();
    let spool = stage.limited(Limits {
        records: 100,
        bytes,
    });
    spool.append(&body("alice", &long), 1).unwrap();
    let refused = spool.append(&body("alice", &long), 1).unwrap_err();
    assert!(matches!(refused, Error::Full(Excess::User)), "{refused:?}");
    spool.append(&body("bob", &long), 1).unwrap();
}

#[test]
fn who_calls_su_in_a_loop_uses_up_nobodys_share() {
    let stage = Stage::new();
    let su = stage.limited(HUNDRED).called_by(Some(1000));
    for n in 0..5 {
        su.append(&body("alice", &n.to_string()), 1).unwrap();
    }
    for target in ["alice", "bob"] {
        let refused = su.append(&body(target, "more"), 1).unwrap_err();
        assert!(
            matches!(refused, Error::Full(Excess::Caller)),
            "{refused:?}"
        );
        assert!(refused.may_be_provoked());
    }
    // Alice's own logins find as much room again.
    let login = stage.limited(HUNDRED);
    for n in 0..5 {
        login.append(&body("alice", &n.to_string()), 1).unwrap();
    }
    let other = stage.limited(HUNDRED).called_by(Some(1001));
    other.append(&body("bob", "1"), 1).unwrap();
}

#[test]
fn of_processes_that_go_on_at_once_no_more_append_than_fit() {
    const TEN: Limits = Limits {
        records: 10,
        bytes: 1 << 20,
    };
    for _ in 0..20 {
        let stage = Stage::new();
        drop(stage.spool());
        let together = Barrier::new(16);
        std::thread::scope(|scope| {
            for writer in 0..16 {
                let (stage, together) = (&stage, &together);
                scope.spawn(move || {
                    let spool = stage.limited(TEN);
                    together.wait();
                    let _ = spool.append(&body("alice", &writer.to_string()), 1);
                });
            }
        });
        let waiting = stage.waiting().len();
        assert!(waiting <= 1, "{waiting}");
        // Of those that met each other all may have stepped back.
        stage
            .limited(HUNDRED)
            .append(&body("alice", "later"), 1)
            .unwrap();
    }
}

#[test]
fn a_record_that_a_server_does_not_take_holds_up_nobody_else_and_is_set_aside() {
    let stage = Stage::new();
    stage.append("mallory", "bad");
    stage.append("mallory", "after it");
    for round in 1..=2 {
        let good = format!("good {round}");
        stage.append("alice", &good);
        let (taken, _, report) = deliver(&stage, all_but(|word| word == "bad"));
        assert_eq!(taken, [good], "the order of one user's records is kept");
        assert!(matches!(report.end, End::Retry), "{report:?}");
        assert_eq!((stage.waiting()[0].errors, report.refused), (round, 0));
    }
    stage.append("alice", "good 3");
    let (taken, _, report) = deliver(&stage, all_but(|word| word == "bad"));
    assert_eq!((taken, report.refused), (vec!["good 3".to_owned()], 1));
    assert_eq!(stage.names("refused").len(), 1);

    let (taken, _, report) = deliver(&stage, all_but(|word| word == "bad"));
    assert_eq!(taken, ["after it"]);
    assert!(matches!(report.end, End::Done), "{report:?}");
}

#[test]
fn a_server_that_takes_nothing_sets_nothing_aside_and_is_not_asked_for_ever() {
    let stage = Stage::new();
    for n in 0..30 {
        stage.append(&format!("user{n}"), "x");
    }
    for _ in 0..10 {
        let (_, sent, report) = deliver(&stage, |_, _| error());
        assert!(matches!(report.end, End::Retry), "{report:?}");
        assert!(sent <= 4, "{sent} records were sent in vain");
    }
    assert_eq!(stage.waiting().len(), 30);
    assert!(stage.waiting().iter().all(|listed| listed.errors == 0));
    let all: Vec<_> = (0..2)
        .map(|_| deliver(&stage, |_, _| stored()).0.len())
        .collect();
    assert_eq!(all, [20, 10]);
}

#[test]
fn many_bad_records_of_many_users_keep_no_good_one_on_the_host() {
    let stage = Stage::new();
    for n in 0..30 {
        stage.append(&format!("mallory{n}"), "bad");
    }
    let mut logins = 0;
    while stage.names("refused").len() < 30 {
        logins += 1;
        assert!(logins < 40, "{:?}", stage.waiting());
        let good = format!("good {logins}");
        stage.append("alice", &good);
        let (taken, _, _) = deliver(&stage, all_but(|word| word == "bad"));
        assert_eq!(taken, [good], "each login's own record arrives");
        if logins == 3 {
            // From now on there is something else to prove that the server works.
            for n in 0..60 {
                stage.append(&format!("user{n}"), "late");
            }
            while deliver(&stage, all_but(|word| word == "bad")).0.len() > 1 {}
        }
    }
    assert!(stage.waiting().is_empty());
}

#[test]
fn only_the_same_servers_success_shows_that_a_record_is_at_fault() {
    let stage = Stage::new();
    stage.append("mallory", "bad");
    for round in 0..6 {
        stage.append("alice", &round.to_string());
        // The second server has not seen the record: it was away.
        deliver(&stage, |user, _| match user {
            "mallory" => error(),
            _ => Delivery::Stored("s2".to_owned()),
        });
    }
    assert_eq!(stage.waiting().len(), 1);
    assert_eq!(stage.waiting()[0].errors, 0);
}

#[test]
fn a_users_own_success_shows_nothing() {
    let stage = Stage::new();
    stage.append("alice", "good");
    stage.append("alice", "bad");
    for _ in 0..6 {
        stage.append("alice", "later");
        deliver(&stage, all_but(|word| word == "bad"));
    }
    let waiting = stage.waiting();
    assert_eq!((waiting.len(), waiting[0].errors), (7, 0));
}

#[test]
fn one_users_records_push_nobody_elses_out_of_those_set_aside() {
    let stage = Stage::new();
    let spool = stage.limited(Limits {
        records: 100_000,
        bytes: 1 << 30,
    });
    spool.append(&body("alice", "hers"), 1).unwrap();
    for n in 0..110 {
        spool.append(&body("mallory", &n.to_string()), 1).unwrap();
    }
    let report = spool.deliver(usize::MAX, &mut |_| Delivery::Refused);
    assert_eq!(report.refused, 111);
    let left: Vec<_> = spool.list().unwrap();
    assert_eq!(left.len(), 101);
    let first = spool.read(&left[0]).unwrap().unwrap();
    assert_eq!(told(&first).1, "hers");
}

#[test]
fn whatever_number_is_there_the_next_record_is_found_again_behind_it() {
    for number in [
        (1 << 63) - 2,
        (1 << 63) - 1,
        1 << 63,
        u64::MAX - 1,
        u64::MAX,
    ] {
        let stage = Stage::new();
        stage.append("alice", "planted");
        let name = stage.waiting()[0].name.clone();
        let planted = format!("{number:020}{}", &name[20..]);
        fs::rename(stage.path().join(&name), stage.path().join(planted)).unwrap();
        for (created, word) in [(1, "start"), (1, "later"), (2, "stop")] {
            stage.spool().append(&body("alice", word), created).unwrap();
        }
        let (mut taken, _, report) = deliver(&stage, |_, _| stored());
        assert!(matches!(report.end, End::Done), "{number}: {report:?}");
        let mut expected = ["planted", "start", "later", "stop"];
        if number >= u64::MAX - 1 {
            // Too few are left that would tell the order.
            expected.sort_unstable();
            taken.sort_unstable();
        }
        assert_eq!(taken, expected, "{number}");
        stage.append("alice", "next");
        let (taken, _, _) = deliver(&stage, |_, _| stored());
        assert_eq!(taken, ["next"], "{number}");
    }
}

#[test]
fn damaged_counters_make_no_name_that_is_not_found_again() {
    let half = i64::MAX.unsigned_abs();
    for last in [half - 1, half, half + 1, u64::MAX - 1, u64::MAX] {
        for file in ["counters", "counters.setuid"] {
            let stage = Stage::new();
            drop(stage.spool());
            let text = format!("last {last:020}\ndropped {last:020}\n");
            let path = stage.path().join(file);
            statefile::replace(&path, text.as_bytes(), 0o600).unwrap();
            for caller in [None, Some(1000)] {
                let spool = stage.spool().called_by(caller);
                spool.append(&body("alice", "one"), 1).unwrap();
                let (taken, _, report) = deliver(&stage, |_, _| stored());
                assert!(matches!(report.end, End::Done), "{last}: {report:?}");
                assert_eq!(taken, ["one"], "{last} in {file}");
            }
            let nothing = Limits {
                records: 0,
                bytes: 0,
            };
            let dropped = stage.limited(nothing).append(&body("alice", "two"), 1);
            dropped.unwrap_err();
            stage.spool().status().unwrap();
        }
    }
}

#[test]
fn numbers_of_records_that_left_are_not_given_again() {
    let stage = Stage::new();
    for expected in 1..=3 {
        stage.append("alice", "x");
        assert_eq!(stage.waiting()[0].number, expected);
        deliver(&stage, |_, _| stored());
    }
}

#[test]
fn a_stopped_process_keeps_nobody_waiting_whatever_it_holds() {
    let stage = Stage::new();
    let full = Limits {
        records: 1,
        bytes: 1 << 20,
    };
    stage.append("alice", "first");
    let held = ["counters", "counters.setuid", "deliver"].map(|name| {
        let lock = statefile::lock(&stage.path().join(name), Duration::ZERO);
        lock.unwrap()
    });
    let begun = Instant::now();
    // A START and a STOP, and all that fifteen numbers would have cost a second each.
    let login = stage.limited(full);
    for _ in 0..15 {
        login.append(&body("bob", "lost"), 1).unwrap_err();
        login.status().unwrap();
        let report = login.deliver(20, &mut |_| stored());
        assert!(matches!(report.end, End::Busy), "{report:?}");
    }
    stage.append("bob", "kept");
    let took = begun.elapsed();
    assert!(took < Duration::from_millis(900), "{took:?}");
    drop(held);
    assert_eq!(deliver(&stage, |_, _| stored()).0, ["first", "kept"]);
}

#[test]
fn a_setuid_program_has_numbers_of_its_own_and_never_the_logins_lock() {
    let stage = Stage::new();
    let full = Limits {
        records: 1,
        bytes: 1 << 20,
    };
    let su = stage.limited(full).called_by(Some(1000));
    su.append(&body("alice", "1"), 1).unwrap();
    su.append(&body("bob", "2"), 1).unwrap_err();
    let names = stage.names("");
    assert!(!names.contains(&"counters".to_owned()), "{names:?}");
    assert!(!names.contains(&"deliver".to_owned()), "{names:?}");
    let status = stage.spool().status().unwrap();
    assert_eq!((status.dropped, status.spooled), (1, 1));
}

#[test]
fn what_killed_programs_of_one_caller_left_takes_no_room_from_a_login() {
    let stage = Stage::new();
    let spool = stage.limited(HUNDRED);
    for seq in 1..=100 {
        let torn = format!(".{seq:020}.1.5.-.1000.0");
        fs::write(stage.path().join(torn), b"tacspl1\nxx").unwrap();
    }
    let su = stage.limited(HUNDRED).called_by(Some(1000));
    su.append(&body("alice", "1"), 1).unwrap_err();
    spool.append(&body("alice", "2"), 1).unwrap();
    assert!(!stage.names("").iter().any(|name| name.starts_with('.')));
}

#[test]
fn an_administrator_sees_drops_and_retries_single_records() {
    let stage = Stage::new();
    for word in ["bad", "unwanted", "good"] {
        stage.append(word, word);
    }
    let spool = stage.spool();
    spool.deliver(1, &mut |_| Delivery::Refused);
    let listed = spool.list().unwrap();
    let places: Vec<_> = listed.iter().map(|listed| listed.place).collect();
    assert_eq!(places, [Place::Waiting, Place::Waiting, Place::Refused]);
    let words: Vec<_> = listed
        .iter()
        .map(|listed| told(&spool.read(listed).unwrap().unwrap()).1)
        .collect();
    assert_eq!(words, ["unwanted", "good", "bad"]);

    assert!(spool.discard(&listed[0]).unwrap());
    assert!(!spool.discard(&listed[0]).unwrap(), "it is gone");
    assert!(spool.retry(&listed[2]).unwrap());
    assert!(!spool.retry(&listed[2]).unwrap(), "it is back");
    let status = spool.status().unwrap();
    assert_eq!(
        (status.spooled, status.refused, status.removed),
        (3, 0, 1),
        "{status:?}"
    );
    assert_eq!(deliver(&stage, |_, _| stored()).0, ["bad", "good"]);
}

#[test]
fn nobody_takes_a_record_away_while_it_is_delivered() {
    let stage = Stage::new();
    stage.append("alice", "one");
    let listed = stage.waiting();
    stage.spool().deliver(20, &mut |_| {
        for error in [
            stage.spool().discard(&listed[0]).unwrap_err(),
            stage.spool().retry(&listed[0]).unwrap_err(),
        ] {
            assert_eq!(error.kind(), io::ErrorKind::TimedOut, "{error}");
        }
        stored()
    });
    assert!(stage.waiting().is_empty());
}

/// What an answer to a record means for it, where `trouble` was the answer.
fn delivery(trouble: Trouble) -> Delivery {
    let tried = vec![("s1".to_owned(), trouble)];
    Delivery::of(&Outcome::Unreachable(Unreachable {
        tried,
        ..Unreachable::default()
    }))
}

#[test]
fn what_only_one_record_does_to_a_server_is_told_from_an_outage() {
    let reset = || io::Error::from(io::ErrorKind::ConnectionReset);
    for trouble in [
        Trouble::ServerError(String::new()),
        Trouble::HeaderOnly,
        Trouble::Status,
        Trouble::Closed,
        Trouble::Io(reset()),
        Trouble::NoReply { late: false },
    ] {
        assert_eq!(delivery(trouble), error());
    }
    for trouble in [
        Trouble::Connect(reset()),
        Trouble::ConnectTimeout { late: false },
        Trouble::NoReply { late: true },
        Trouble::NoTime,
        Trouble::HeldDown,
        Trouble::NoSecret,
        Trouble::Local("socket", reset()),
    ] {
        assert_eq!(delivery(trouble), Delivery::Retry);
    }
}

#[test]
fn a_shortage_is_told_from_a_broken_disk_wherever_it_happened() {
    // Longer than any name: what the system says about it is no shortage.
    let stage = Stage::new();
    let long = stage.root.path().join("x".repeat(300)).join("pam");
    let broken = Spool::open(&long, Limits::default()).err().unwrap();
    assert!(!statefile::is_shortage(&broken), "{broken}");
    for (errno, expected) in [
        (libc::EMFILE, true),
        (libc::ENFILE, true),
        (libc::ENOMEM, true),
        (libc::EFBIG, true),
        (libc::EDQUOT, true),
        (libc::ENOSPC, false),
        (libc::EROFS, false),
        (libc::EIO, false),
        (libc::EACCES, false),
    ] {
        let error = io::Error::from_raw_os_error(errno);
        assert_eq!(statefile::is_shortage(&error), expected, "{error}");
    }
}
