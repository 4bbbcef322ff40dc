use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, SystemTime};

use tacacs_common::packet::{AuthenMethod, AuthenType, PrivLvl};

use super::{MANY, close, create, find};
use crate::call::Now;
use crate::session::Session;
use crate::testing::Host;

fn session() -> Session {
    Session {
        task_id: "0123456789abcdef".to_owned(),
        user: "alice".to_owned(),
        port: "ssh".to_owned(),
        rem_addr: "2001:db8::7".to_owned(),
        service: "shell".to_owned(),
        protocol: None,
        authen_method: AuthenMethod::TacacsPlus,
        authen_type: AuthenType::Pap,
        priv_lvl: PrivLvl::ROOT,
        start: Now {
            unix: 1_700_000_000,
            boot: Duration::from_millis(5_500),
        },
        audit: None,
        pid: 7,
    }
}

fn host(audit: &str, login_uid: &str) -> Host {
    let host = Host::new(&[], "");
    host.audit(audit, login_uid);
    host
}

#[test]
fn a_record_is_found_as_it_was_made() {
    let host = host("42\n", "1001\n");
    assert_eq!(
        create(&host.site, &session(), Some(1001)).unwrap(),
        Some(42)
    );
    assert_eq!(
        find(&host.site, "alice"),
        Some(Session {
            audit: Some(42),
            ..session()
        })
    );
    assert_eq!(find(&host.site, "bob"), None);
    let file = fs::metadata(host.site.sessions.join("42")).unwrap();
    let folder = fs::metadata(&host.site.sessions).unwrap();
    let modes = [file, folder].map(|entry| entry.permissions().mode() & 0o777);
    assert_eq!(modes, [0o644, 0o755]);
}

#[test]
fn only_a_login_of_ones_own_has_a_record() {
    for (audit, login_uid, uid) in [
        ("4294967295", "4294967295", Some(1001)),
        ("4294967295", "1001", Some(1001)),
        ("42", "4294967295", Some(1001)),
        ("42", "1002", Some(1001)),
        ("42", "1001", None),
        ("", "", Some(1001)),
    ] {
        let host = host(audit, login_uid);
        assert_eq!(
            create(&host.site, &session(), uid).unwrap(),
            None,
            "{audit} {login_uid}"
        );
        assert!(!host.site.sessions.join("42").exists());
    }
}

#[test]
fn a_login_within_a_session_leaves_its_record_alone() {
    let host = host("42", "1001");
    create(&host.site, &session(), Some(1001)).unwrap();
    let inner = Session {
        task_id: "another".to_owned(),
        ..session()
    };
    assert_eq!(create(&host.site, &inner, Some(1001)).unwrap(), None);
    // Not even closing it by mistake changes the record.
    close(
        &host.site,
        &Session {
            audit: Some(42),
            ..inner
        },
    );
    assert!(find(&host.site, "alice").is_some());
}

#[test]
fn a_closed_session_says_when_and_is_not_found_again() {
    let host = host("42", "1001");
    let audit = create(&host.site, &session(), Some(1001)).unwrap();
    close(&host.site, &Session { audit, ..session() });
    assert_eq!(find(&host.site, "alice"), None);
    let text = fs::read_to_string(host.site.sessions.join("42")).unwrap();
    assert!(text.ends_with("\nclosed=1700000000\n"), "{text}");
    assert!(
        text.starts_with("user=alice\npriv_lvl=15\nrem_addr=2001:db8::7\n"),
        "{text}"
    );
}

#[test]
fn a_record_that_others_could_have_written_is_none() {
    let host = host("42", "1001");
    create(&host.site, &session(), Some(1001)).unwrap();
    let file = host.site.sessions.join("42");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o666)).unwrap();
    assert_eq!(find(&host.site, "alice"), None);
}

#[test]
fn old_records_of_sessions_without_a_process_go_when_there_are_many() {
    let host = host("42", "1001");
    let old = SystemTime::now() - Duration::from_secs(600);
    create(&host.site, &session(), Some(1001)).unwrap();
    let processes = host.site.proc.parent().unwrap();
    fs::create_dir(processes.join("7000")).unwrap();
    fs::write(processes.join("7000/sessionid"), "1").unwrap();
    for audit in 1..=u32::try_from(MANY).unwrap() {
        let file = fs::File::create(host.site.sessions.join(audit.to_string())).unwrap();
        // The second is young.
        if audit != 2 {
            file.set_modified(old).unwrap();
        }
    }
    fs::write(host.site.sessions.join("notes"), "").unwrap();
    host.audit("100", "1001");
    assert_eq!(
        create(&host.site, &session(), Some(1001)).unwrap(),
        Some(100)
    );
    let mut left: Vec<_> = fs::read_dir(&host.site.sessions)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    left.sort_unstable();
    assert_eq!(left, ["1", "100", "2", "notes"]);
}

#[test]
fn notes_for_processes_that_are_gone_go_with_the_old_records() {
    let host = host("100", "1001");
    let processes = host.site.proc.parent().unwrap();
    fs::create_dir(processes.join("7000")).unwrap();
    fs::create_dir_all(&host.site.sessions).unwrap();
    fs::set_permissions(
        host.site.sessions.parent().unwrap(),
        fs::Permissions::from_mode(0o755),
    )
    .unwrap();
    fs::set_permissions(&host.site.sessions, fs::Permissions::from_mode(0o755)).unwrap();
    for pid in 7000..7000 + MANY {
        fs::write(host.site.sessions.join(format!("closed.{pid}.ab")), "").unwrap();
    }
    create(&host.site, &session(), Some(1001)).unwrap();
    let mut left: Vec<_> = fs::read_dir(&host.site.sessions)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    left.sort_unstable();
    assert_eq!(left, ["100", "closed.7000.ab"]);
}

#[test]
fn what_a_killed_login_left_half_written_goes_with_the_next_record() {
    let host = host("42", "1001");
    create(&host.site, &session(), Some(1001)).unwrap();
    let half = host.site.sessions.join(".41.0123456789abcdef");
    fs::write(&half, "user=al").unwrap();
    host.audit("43", "1001");
    create(&host.site, &session(), Some(1001)).unwrap();
    assert!(!half.exists());
}
