//! What libpam makes of an auth stack in which our module passes somebody over.
//!
//! Owns a model of libpam: how answers and controls become one answer. It errs to the
//! side of success, for it looks for stacks that let anybody in.

use std::collections::BTreeSet;

use super::lines::{Control, Step};

/// Codes of security/_pam_types.h.
pub(super) const USER_UNKNOWN: usize = 10;
const AUTH_ERR: usize = 7;
const AUTHINFO_UNAVAIL: usize = 9;

/// One line of a stack with its includes in place.
#[derive(Clone, Debug)]
pub(super) struct Call {
    /// How many substacks it is in.
    pub(super) level: usize,
    /// `None`: libpam takes the line for a refusal.
    pub(super) module: Option<Module>,
    /// Where it stands.
    pub(super) place: String,
}

#[derive(Clone, Debug)]
pub(super) struct Module {
    pub(super) control: Control,
    pub(super) role: Role,
}

impl Module {
    /// What stands for the line that begins a substack.
    pub(super) fn head() -> Self {
        Self {
            control: Control::nothing(),
            role: Role::Head,
        }
    }
}

impl Call {
    /// Whether it is our line.
    pub(super) fn is_ours(&self) -> bool {
        self.role() == Some(Role::Ours)
    }

    pub(super) fn role(&self) -> Option<Role> {
        self.module.as_ref().map(|module| module.role)
    }
}

/// What a module has to say about whoever does not know the password.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// This one: it passes the user over.
    Ours,
    /// It looks at the password, knows every local user, and refuses.
    Checks,
    /// It looks at the password, may not know the user, may have no server.
    Asks,
    /// It refuses, or lets in for another reason than a password, as pam_rootok does.
    Refuses,
    /// It has nothing to do with passwords, and may answer anything.
    Elsewhere,
    /// Not known here.
    Unknown,
    /// The head of a substack: no module.
    Head,
}

/// By the name of the file, without `pam_` and `.so`.
const CHECKS: [&str; 6] = ["unix", "unix2", "pwdfile", "userdb", "pwdb", "systemd_home"];
const ASKS: [&str; 14] = [
    "sss",
    "ldap",
    "krb5",
    "winbind",
    "radius",
    "radius_auth",
    "mysql",
    "pgsql",
    "himmelblau",
    "aad",
    "kanidm",
    "vas3",
    "lsass",
    "centrifydc",
];
const REFUSES: [&str; 6] = ["deny", "rootok", "wheel", "timestamp", "rhosts", "fprintd"];
/// Second factors are among them: a code is not the password.
const ELSEWHERE: [&str; 52] = [
    "access",
    "cap",
    "debug",
    "duo",
    "echo",
    "ecryptfs",
    "env",
    "exec",
    "fail_delay",
    "faildelay",
    "faillock",
    "ftp",
    "gnome_keyring",
    "google_authenticator",
    "group",
    "gdm",
    "issue",
    "keyinit",
    "kwallet",
    "kwallet5",
    "lastlog",
    "limits",
    "listfile",
    "localuser",
    "loginuid",
    "mail",
    "mkhomedir",
    "motd",
    "mount",
    "namespace",
    "nologin",
    "oath",
    "permit",
    "securetty",
    "selinux",
    "sepermit",
    "setquota",
    "shells",
    "stress",
    "succeed_if",
    "systemd",
    "tally",
    "tally2",
    "time",
    "tmpdir",
    "tty_audit",
    "umask",
    "usertype",
    "warn",
    "xauth",
    "yubico",
    "abl",
];

impl Role {
    pub(super) fn of(file: &str, words: &[String]) -> Self {
        let name = file.strip_suffix(".so").unwrap_or(file);
        let name = name.strip_prefix("pam_").unwrap_or(name);
        if name == "tacplus" {
            Self::Ours
        } else if name == "u2f" {
            match words.iter().any(|word| word == "nouserok") {
                true => Self::Elsewhere,
                false => Self::Refuses,
            }
        } else if name == "exec" && words.iter().any(|word| word == "expose_authtok") {
            Self::Unknown
        } else if CHECKS.contains(&name) {
            Self::Checks
        } else if ASKS.contains(&name) {
            Self::Asks
        } else if REFUSES.contains(&name) {
            Self::Refuses
        } else if ELSEWHERE.contains(&name) {
            Self::Elsewhere
        } else {
            Self::Unknown
        }
    }

    /// Whether the line can be what finds out that a password is wrong.
    pub(super) fn checks_a_password(self) -> bool {
        matches!(self, Self::Checks | Self::Asks | Self::Unknown)
    }
}

/// What has been decided so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Impression {
    Nothing,
    Success,
    /// The answer is a code that is not success, which `ok` has let stand.
    Other,
    Failure,
}

/// A moment of the play. Equal moments go on in the same way.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Moment {
    next: usize,
    level: usize,
    impression: Impression,
    /// The impressions at the beginnings of the substacks.
    kept: Vec<Impression>,
    /// Our line has passed the user over, and libpam has gone on.
    passed: bool,
}

/// Whether somebody who knows no password can get in past the line at `ours`, which
/// passes the user over. `trusting` takes unknown modules for ones that check it.
pub(super) fn lets_anybody_in(calls: &[Call], ours: usize, trusting: bool) -> bool {
    let mut open = vec![Moment {
        next: 0,
        level: 0,
        impression: Impression::Nothing,
        kept: vec![Impression::Nothing],
        passed: false,
    }];
    let mut seen = BTreeSet::new();
    while let Some(mut moment) = open.pop() {
        let Some(call) = calls.get(moment.next) else {
            if moment.passed && moment.impression == Impression::Success {
                return true;
            }
            continue;
        };
        if !seen.insert(moment.clone()) {
            continue;
        }
        if call.level > moment.level {
            moment.kept.truncate(call.level);
            moment.kept.resize(call.level + 1, moment.impression);
        }
        moment.level = call.level;
        if call.role() == Some(Role::Head) {
            open.push(Moment {
                next: moment.next + 1,
                ..moment
            });
            continue;
        }
        for (is_success, step) in answers(call, trusting) {
            let mut after = moment.clone();
            after.passed |= moment.next == ours;
            after.take(calls, is_success, step);
            open.push(after);
        }
    }
    false
}

/// What a line may answer, and the steps that follow.
fn answers(call: &Call, trusting: bool) -> Vec<(bool, Step)> {
    let Some(Module { control, role }) = &call.module else {
        return vec![(false, Step::Bad)];
    };
    let codes: &[usize] = match role {
        Role::Ours => &[USER_UNKNOWN],
        Role::Checks | Role::Refuses => &[AUTH_ERR],
        Role::Unknown if trusting => &[AUTH_ERR],
        Role::Asks => &[AUTH_ERR, USER_UNKNOWN, AUTHINFO_UNAVAIL],
        Role::Elsewhere | Role::Unknown | Role::Head => return control.steps(),
    };
    codes
        .iter()
        .map(|code| (false, control.step(*code)))
        .collect()
}

impl Moment {
    /// Goes on as libpam does.
    fn take(&mut self, calls: &[Call], is_success: bool, step: Step) {
        match step {
            Step::Ignore => {}
            Step::Reset => {
                let kept = self.kept.get(self.level).copied();
                self.impression = kept.unwrap_or(Impression::Nothing);
            }
            Step::Ok | Step::Done => {
                if matches!(self.impression, Impression::Nothing | Impression::Success) {
                    self.impression = if is_success {
                        Impression::Success
                    } else {
                        Impression::Other
                    };
                }
                if step == Step::Done && self.impression != Impression::Failure {
                    return self.leave(calls);
                }
            }
            Step::Bad => self.impression = Impression::Failure,
            Step::Die => {
                self.impression = Impression::Failure;
                return self.leave(calls);
            }
            Step::Jump(count) => return self.jump(calls, count),
        }
        self.next += 1;
    }

    /// The rest of this stack, and of the substacks in it, is not asked.
    fn leave(&mut self, calls: &[Call]) {
        self.next += 1;
        while calls
            .get(self.next)
            .is_some_and(|call| call.level >= self.level)
        {
            self.next += 1;
        }
    }

    /// A substack is one line to a jump. One past the end is a failure.
    fn jump(&mut self, calls: &[Call], count: u16) {
        let inside = |at: usize| calls.get(at).is_some_and(|call| call.level >= self.level);
        let deeper = |at: usize| calls.get(at).is_some_and(|call| call.level > self.level);
        let mut next = self.next + 1;
        for _ in 0..count {
            if !inside(next) {
                self.impression = Impression::Failure;
                break;
            }
            next += 1;
            while deeper(next) {
                next += 1;
            }
        }
        self.next = next;
    }
}

#[cfg(test)]
mod tests {
    use super::super::lines::{What, parse};
    use super::*;

    /// A stack without includes; an indented line is in a substack.
    fn calls(text: &str) -> Vec<Call> {
        let calls = text
            .lines()
            .flat_map(|line| parse(line, false).into_iter().zip([line]));
        calls
            .map(|(parsed, line)| Call {
                level: usize::from(line.starts_with(' ')),
                module: match parsed.what {
                    What::Module {
                        control,
                        file,
                        words,
                    } => {
                        let role = Role::of(&file, &words);
                        Some(Module { control, role })
                    }
                    What::Include { .. } => Some(Module::head()),
                    What::Broken => None,
                },
                place: String::new(),
            })
            .collect()
    }

    fn is_open(text: &str) -> bool {
        let calls = calls(text);
        let ours = calls.iter().position(Call::is_ours).unwrap();
        lets_anybody_in(&calls, ours, true)
    }

    #[test]
    fn a_stack_is_open_if_libpam_could_end_it_in_success() {
        let ours = "auth [success=done user_unknown=ignore default=die] pam_tacplus.so\n";
        for (behind, open) in [
            ("", false),
            ("auth required pam_unix.so", false),
            ("auth sufficient pam_unix.so", false),
            ("auth required pam_permit.so", true),
            ("auth optional pam_permit.so", true),
            (
                "auth optional pam_unix.so\nauth required pam_permit.so",
                true,
            ),
            (
                "auth sufficient pam_unix.so\nauth required pam_deny.so",
                false,
            ),
            ("auth sufficient pam_exec.so /bin/true", true),
            (
                "auth [success=1 default=ignore] pam_unix.so\nauth requisite pam_deny.so\nauth required pam_permit.so",
                false,
            ),
            (
                "auth [success=1 default=ignore] pam_unix.so\nauth required pam_permit.so",
                true,
            ),
            (
                "auth [success=1 auth_err=1 default=ignore] pam_unix.so\nauth requisite pam_deny.so\nauth required pam_permit.so",
                true,
            ),
            (
                "auth [success=9 default=ignore] pam_permit.so\nauth required pam_unix.so",
                false,
            ),
            (
                "auth [success=1 default=ignore] pam_succeed_if.so uid >= 1000\nauth required pam_unix.so",
                false,
            ),
            (
                "auth [default=1 success=ok] pam_localuser.so\nauth required pam_unix.so",
                false,
            ),
            (
                "auth sufficient pam_sss.so\nauth required pam_deny.so",
                false,
            ),
            (
                "auth [success=ok user_unknown=ignore default=die] pam_sss.so\nauth optional pam_permit.so",
                true,
            ),
            (
                "auth substack x\n auth sufficient pam_unix.so\n auth requisite pam_deny.so\nauth optional pam_permit.so",
                false,
            ),
            (
                "auth substack x\n auth required pam_unix.so\n auth [default=reset] pam_env.so\nauth optional pam_permit.so",
                true,
            ),
            (
                "auth substack x\n auth sufficient pam_permit.so\n auth required pam_deny.so\nauth required pam_unix.so",
                false,
            ),
            (
                "auth [success=1 default=ignore] pam_permit.so\nauth substack x\n auth required pam_deny.so\nauth optional pam_permit.so",
                true,
            ),
            ("auth sufficient pam_rootok.so", false),
            ("auth required pam_oath.so", true),
            ("auth nonsense pam_permit.so", false),
        ] {
            assert_eq!(is_open(&format!("{ours}{behind}")), open, "{behind}");
        }
    }

    #[test]
    fn what_stands_before_our_line_counts_and_what_ends_before_it_does_not() {
        let behind = "auth sufficient pam_tacplus.so\n";
        for (before, open) in [
            ("auth required pam_faillock.so preauth", true),
            ("auth sufficient pam_rootok.so", false),
            ("auth sufficient pam_permit.so", false),
            ("auth required pam_unix.so\nauth required pam_env.so", false),
            (
                "auth required pam_env.so\nauth requisite pam_unix.so",
                false,
            ),
        ] {
            assert_eq!(is_open(&format!("{before}\n{behind}")), open, "{before}");
        }
    }

    #[test]
    fn a_module_that_is_not_known_is_trusted_or_not() {
        let calls = calls("auth sufficient pam_tacplus.so\nauth required pam_ourown.so");
        assert!(!lets_anybody_in(&calls, 0, true));
        assert!(lets_anybody_in(&calls, 0, false));
    }
}
