use tacacs_common::packet::Action;
use tacacs_common::packet::AuthenStatus::{Fail, GetData, GetPass, Pass};

use super::{prelim, update};
use crate::handle::Note;
use crate::outcome::{End, Phase, code};
use crate::testing::{Host, Say, Seen, Server};

const AUTHTOK_ERR: i32 = 20;
const TRY_AGAIN: i32 = 24;

fn change() -> Server {
    Server::start(&[
        Say::Hidden(GetData, ""),
        Say::Hidden(GetPass, "New: "),
        Say::Authen(Pass, "Changed"),
    ])
}

/// The first answers that the server got.
fn said(server: &Server, count: usize) -> Vec<String> {
    let answers = server
        .wait_for(count + 1)
        .into_iter()
        .skip(1)
        .map(|seen| match seen {
            Seen::Continue {
                user_msg,
                abort: false,
            } => user_msg,
            Seen::Continue { abort: true, .. } => "(abort)".to_owned(),
            other => panic!("{other:?}"),
        });
    answers.collect()
}

#[test]
fn the_first_round_asks_nobody() {
    let server = change();
    let mut host = Host::new(&[server.address], "");
    assert_eq!(host.run(Phase::Prelim, prelim), End::Pass);
    assert_eq!((server.connections(), host.handle.asked.len()), (0, 0));

    let mut host = Host::new(&[], "");
    host.conf("[mapping]\nmode = local\n");
    let end = host.run(Phase::Prelim, prelim);
    let answer = code(Phase::Prelim, end);
    assert!([TRY_AGAIN, 3].contains(&answer), "{end:?}");
}

#[test]
fn the_second_round_changes_the_password_in_one_dialogue() {
    let server = change();
    let mut host = Host::new(&[server.address], "").answers(&["old", "new", "new"]);
    assert_eq!(host.run(Phase::Update, update), End::Pass, "{}", host.log());
    assert!(
        matches!(&server.seen()[0], Seen::Start { action: Action::ChangePass, data, .. }
        if data.is_empty())
    );
    assert_eq!(said(&server, 2), ["old", "new"]);
    assert_eq!(
        host.handle.asked,
        [
            (false, "Current password: ".to_owned()),
            (false, "New: ".to_owned()),
            (false, "Retype new password: ".to_owned()),
        ]
    );
    assert_eq!(host.handle.old_password.as_deref(), Some(&b"old"[..]));
    assert_eq!(host.handle.password.as_deref(), Some(&b"new"[..]));
    assert_eq!(host.handle.told, [(Note::Info, "Changed".to_owned())]);
    assert!(
        !host.log().contains("old") && !host.log().contains("'new'"),
        "{}",
        host.log()
    );
}

#[test]
fn passwords_that_the_stack_has_are_not_asked_for_again() {
    let server = change();
    let mut host = Host::new(&[server.address], "").words(&["use_first_pass"]);
    host.handle.old_password = Some(b"old".to_vec());
    host.handle.password = Some(b"new".to_vec());
    assert_eq!(host.run(Phase::Update, update), End::Pass, "{}", host.log());
    assert_eq!(said(&server, 2), ["old", "new"]);
    assert_eq!(host.handle.asked, []);
}

#[test]
fn without_a_new_password_in_the_stack_use_first_pass_gives_up() {
    let server = change();
    let mut host = Host::new(&[server.address], "")
        .words(&["use_first_pass"])
        .answers(&["old"]);
    let end = host.run(Phase::Update, update);
    assert_eq!(code(Phase::Update, end), AUTHTOK_ERR);
    assert_eq!(said(&server, 2), ["old", "(abort)"]);
}

#[test]
fn two_entries_that_differ_are_asked_for_again_but_not_for_ever() {
    let server = change();
    let mut host = Host::new(&[server.address], "").answers(&["old", "new", "neu", "new", "new"]);
    assert_eq!(host.run(Phase::Update, update), End::Pass);
    assert_eq!(said(&server, 2), ["old", "new"]);

    let server = change();
    let mut host =
        Host::new(&[server.address], "").answers(&["old", "a", "b", "a", "b", "a", "b", "a", "a"]);
    assert_eq!(host.run(Phase::Update, update), End::TooManyRounds);
    assert_eq!(said(&server, 2), ["old", "(abort)"]);
    assert_eq!(host.handle.password, None);
}

#[test]
fn a_password_that_the_servers_policy_refuses_is_asked_for_again() {
    let server = Server::start(&[
        Say::Hidden(GetData, ""),
        Say::Hidden(GetPass, "New: "),
        Say::Hidden(GetPass, "Too short. New: "),
        Say::Authen(Pass, ""),
    ]);
    let mut host = Host::new(&[server.address], "").answers(&["old", "abc", "abc", "longer"]);
    assert_eq!(host.run(Phase::Update, update), End::Pass);
    assert_eq!(said(&server, 3), ["old", "abc", "longer"]);
    assert_eq!(host.handle.password.as_deref(), Some(&b"longer"[..]));
}

#[test]
fn a_server_that_wants_the_new_password_again_gets_it_and_the_person_types_it_twice() {
    let again = |prompt: &'static str| {
        Server::start(&[
            Say::Hidden(GetData, ""),
            Say::Hidden(GetPass, "New password: "),
            Say::Hidden(GetPass, prompt),
            Say::Authen(Pass, ""),
        ])
    };
    for prompt in [
        "New password again: ",
        "Re-enter new password:",
        "12 characters, good.\nConfirm the PASSWORD: ",
    ] {
        let server = again(prompt);
        let mut host = Host::new(&[server.address], "").answers(&["old", "new", "new"]);
        assert_eq!(host.run(Phase::Update, update), End::Pass, "{}", host.log());
        assert_eq!(said(&server, 3), ["old", "new", "new"]);
        assert_eq!(host.handle.asked.len(), 3);
    }
    // Another question is the person's, and so is a complaint.
    for prompt in [
        "Too short, try again. New password: ",
        "Try again.\nNew password: ",
        "Confirm with your code: ",
    ] {
        let server = again(prompt);
        let mut host = Host::new(&[server.address], "").answers(&["old", "new", "new", "other"]);
        assert_eq!(host.run(Phase::Update, update), End::Pass, "{}", host.log());
        assert_eq!(said(&server, 3), ["old", "new", "other"]);
    }
}

#[test]
fn a_server_that_asks_for_it_again_and_again_gets_a_new_answer() {
    let server = Server::start(&[
        Say::Hidden(GetData, ""),
        Say::Hidden(GetPass, "New password: "),
        Say::Hidden(GetPass, "New password again: "),
        Say::Hidden(GetPass, "Weak. New password again: "),
        Say::Authen(Pass, ""),
    ]);
    let mut host = Host::new(&[server.address], "").answers(&["old", "new", "new", "better"]);
    assert_eq!(host.run(Phase::Update, update), End::Pass, "{}", host.log());
    assert_eq!(said(&server, 4), ["old", "new", "new", "better"]);
    assert_eq!(host.handle.password.as_deref(), Some(&b"better"[..]));
}

#[test]
fn a_refused_change_leaves_the_stacks_passwords_as_they_were() {
    let server = Server::start(&[
        Say::Hidden(GetData, ""),
        Say::Hidden(GetPass, ""),
        Say::Authen(Fail, "Not today"),
    ]);
    let mut host = Host::new(&[server.address], "").answers(&["old", "new", "new"]);
    let end = host.run(Phase::Update, update);
    assert_eq!(code(Phase::Update, end), AUTHTOK_ERR);
    assert_eq!(
        (host.handle.password, host.handle.old_password),
        (None, None)
    );
    assert_eq!(host.handle.told, [(Note::Error, "Not today".to_owned())]);
}

#[test]
fn no_server_is_an_error_and_not_a_change() {
    let mut host = Host::new(&[Server::nowhere()], "").answers(&["old", "new", "new"]);
    let end = host.run(Phase::Update, update);
    assert_eq!(code(Phase::Update, end), AUTHTOK_ERR);
    assert!(
        host.log().contains("the password is as it was"),
        "{}",
        host.log()
    );
}
