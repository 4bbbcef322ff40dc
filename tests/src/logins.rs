//! Many logins through libpam itself, without a terminal and without waiting: what a table
//! of stacks asks for.

use std::time::Duration;

use crate::artefacts::workspace;
use crate::{Result, Stage};

/// One login of an application of PAM.
#[derive(Clone, Debug)]
pub struct Login<'a> {
    /// Its file in `/etc/pam.d`.
    pub service: &'a str,
    /// Who is logged in.
    pub user: &'a str,
    /// The real uid: who started the application.
    pub caller: u32,
    /// How.
    pub way: Way<'a>,
}

/// How somebody is authenticated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way<'a> {
    /// This answer to each hidden question.
    Password(&'a str),
    /// Nobody answers questions.
    NoAnswer,
    /// The application has checked a key, and asks for the account alone.
    Key,
}

/// What libpam said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// The code of authenticate; `None` if it was not asked.
    pub auth: Option<i32>,
    /// The code of acct_mgmt; `None` if it was not asked.
    pub acct: Option<i32>,
    /// The wait that it made of what modules had asked for, if it was not to wait itself.
    pub delay: Duration,
    /// How long it all took.
    pub took: Duration,
}

impl Verdict {
    /// Whether a session would be opened.
    #[must_use]
    pub fn gets_in(&self) -> bool {
        self.auth.is_none_or(|code| code == 0) && self.acct == Some(0)
    }
}

/// How a refusal is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusals {
    /// At once, with the wait noted.
    Noted,
    /// After the wait.
    Waited,
}

/// Makes the application. Needed once a stage.
pub fn put_pam_host(stage: &Stage) -> Result {
    let source = workspace().join("tests/src/pam_host.c");
    let compile = "gcc -Wall -Wextra -Werror -D_GNU_SOURCE -O2 -o /usr/bin/pam_host";
    stage
        .sh(&format!("{compile} {} -lpam", source.display()))?
        .success()
}

/// Logs in, `at_once` at a time; the verdicts are in the order of the logins.
pub fn run(
    stage: &Stage,
    logins: &[Login<'_>],
    at_once: usize,
    refusals: Refusals,
) -> Result<Vec<Verdict>> {
    const INPUT: &str = "/run/e2e/logins";
    let lines: Vec<String> = logins.iter().map(line).collect();
    stage.write(INPUT, 0o600, &lines.concat())?;
    let waits = if refusals == Refusals::Waited {
        "wait"
    } else {
        ""
    };
    let output = stage.sh(&format!("pam_host {at_once} {waits} <{INPUT}"))?;
    output.success()?;
    let verdicts: Option<Vec<Verdict>> = output.stdout.lines().map(verdict).collect();
    let verdicts = verdicts.filter(|verdicts| verdicts.len() == logins.len());
    verdicts.ok_or_else(|| stage.failure(output))
}

fn line(login: &Login<'_>) -> String {
    let (way, answer) = match login.way {
        Way::Password(password) => ("auth", password),
        Way::NoAnswer => ("auth", "-"),
        Way::Key => ("key", "-"),
    };
    let Login {
        service,
        user,
        caller,
        ..
    } = login;
    format!("{service}\t{user}\t{caller}\t{way}\t{answer}\n")
}

fn verdict(line: &str) -> Option<Verdict> {
    let numbers: Option<Vec<i64>> = line.split(' ').map(|word| word.parse().ok()).collect();
    let [auth, acct, delay, took] = numbers?.try_into().ok()?;
    let code = |number: i64| i32::try_from(number).ok().filter(|code| *code >= 0);
    Some(Verdict {
        auth: code(auth),
        acct: code(acct),
        delay: Duration::from_micros(delay.try_into().ok()?),
        took: Duration::from_millis(took.try_into().ok()?),
    })
}
