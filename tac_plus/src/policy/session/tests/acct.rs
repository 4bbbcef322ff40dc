//! Records: what is stored of them, and what that makes of the answer.

use super::*;

fn record(flags: u8, args: &[&str]) -> String {
    let mut buf = ArgumentsBuf::new();
    for arg in args {
        buf.push_raw(arg.as_bytes()).unwrap();
    }
    let about = AuthorRequest {
        authen_method: AuthenMethod::TacacsPlus,
        priv_lvl: PrivLvl::USER,
        authen_type: AuthenType::Ascii,
        authen_service: AuthenService::Login,
        user: b"alice",
        port: b"tty1\nforged",
        rem_addr: b"",
        args: buf.as_arguments(),
    };
    Talk::from(ONE).step(Input::Acct(AcctRequest { flags, about }, Version::DEFAULT))
}

#[test]
fn a_record_is_one_line_in_the_originals_format() {
    let args = ["task_id=1", "service=shell", "cmd=show version <cr>"];
    let fields = "192.0.2.1\talice\ttty1\\012forged\tunknown";
    let shown = args.join("\t");
    assert_eq!(record(0x02, &args), format!("{fields}\tstart\t{shown}\n"));
    assert_eq!(record(0x04, &args), format!("{fields}\tstop\t{shown}\n"));
    assert_eq!(record(0x0A, &args), format!("{fields}\tupdate\t{shown}\n"));
    assert_eq!(
        record(0x08, &args),
        format!("{fields}\tupdate\ttask_id=1\tservice=shell\n"),
        "of a watchdog's arguments those that name its task are kept"
    );
}

#[test]
fn invalid_accounting_flags_are_errors() {
    for flags in [0x00, 0x01, 0x06, 0x0C, 0x0E] {
        assert!(
            record(flags, &["task_id=1"]).starts_with("ERROR | accounting error: user="),
            "{flags:#x}"
        );
    }
}

#[test]
fn a_record_is_answered_once_it_is_known_whether_it_is_stored() {
    for (stored, expected) in [(Done::Stored, "SUCCESS"), (Done::Failed, "ERROR")] {
        let mut talk = Talk::from(ONE);
        talk.session.state = State::Storing;
        assert_eq!(talk.step(Input::Done(stored)), expected);
    }
}
