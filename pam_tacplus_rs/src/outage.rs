//! What it means for one person that no server answered.
//!
//! Owns the policy `unreachable`. An outage and an attack cannot be told apart: must never take
//! either for a reason to let anybody in whom neither `fallback_users` nor `ignore` covers.

use tacacs_common::config::{Config, UnreachablePolicy};
use tacacs_common::escape;
use tacacs_common::outcome::Unreachable;
use tacacs_common::packet::AuthenMethod;

use crate::call::{Call, Person};
use crate::handle::Level;
use crate::outcome::{End, Phase, Verdict};

/// How a phase ends that no server answered, and the log's words for it.
pub(crate) struct Ruling {
    pub(crate) end: End,
    pub(crate) words: &'static str,
}

/// Says why no server could answer, and what that means now.
pub(crate) fn end(
    call: &Call<'_>,
    config: &Config,
    person: &Person,
    what: &str,
    why: &Unreachable,
) -> End {
    let ruling = rule(call, config, person, why);
    log(call, person, what, why, &ruling)
}

/// The same, for a ruling that there is already.
pub(crate) fn log(
    call: &Call<'_>,
    person: &Person,
    what: &str,
    why: &Unreachable,
    ruling: &Ruling,
) -> End {
    let reason = call.log_unreachable(why);
    let words = match call.phase {
        Phase::Prelim | Phase::Update => "the password is as it was",
        _ => ruling.words,
    };
    call.log(
        Level::Error,
        &format!("{what} of {}: {reason}; {words}", person.name()),
    );
    ruling.end
}

/// What the configuration says of this person.
pub(crate) fn rule(call: &Call<'_>, config: &Config, person: &Person, why: &Unreachable) -> Ruling {
    let local = person.local;
    let ruling = |verdict, words| Ruling {
        end: End::Unreachable { verdict, local },
        words,
    };
    match config.global.unreachable {
        // Whoever provokes it wins nothing: the person is named, whatever keeps the servers away.
        UnreachablePolicy::Users if is_named(call, config, person) => ruling(
            Verdict::Named,
            "the host decides, for fallback_users names the user",
        ),
        _ if why.provoked && matches!(call.phase, Phase::Authenticate | Phase::Account) => Ruling {
            end: End::Refused,
            words: "refused, for this may be the doing of a user of this host",
        },
        UnreachablePolicy::Users => ruling(
            Verdict::Refused,
            "refused (unreachable = users, and fallback_users does not name the user)",
        ),
        UnreachablePolicy::Deny => ruling(Verdict::Refused, "refused (unreachable = deny)"),
        UnreachablePolicy::Ignore => ruling(
            Verdict::Ignored,
            "the rest of the stack decides (unreachable = ignore): whoever can make a server slow, \
             full or silent has an old local password count",
        ),
    }
}

/// The same for a user whom neither `/etc/passwd` nor an approved entry has: who is named
/// needs an account of the host to go on with.
pub(crate) const fn without_entry(ruling: Ruling) -> Ruling {
    match ruling.end {
        End::Unreachable {
            verdict: Verdict::Named,
            local: false,
        } => Ruling {
            end: End::Unreachable {
                verdict: Verdict::Refused,
                local: false,
            },
            words: "refused, though fallback_users names the user: no server approved an account here last",
        },
        _ => ruling,
    }
}

/// What the log says of a session that begins while no server takes its START.
pub(crate) fn alone(
    call: &Call<'_>,
    config: &Config,
    person: &Person,
    method: AuthenMethod,
) -> Option<String> {
    let granted = call.memory.granted.as_ref();
    let approved = granted.is_some_and(|grant| grant.fresh && grant.user == person.user);
    let alone = !approved
        && config.global.unreachable == UnreachablePolicy::Users
        && is_named(call, config, person);
    alone.then(|| {
        format!(
            "session of {} opened by fallback_users: no server is known to have approved it \
             (authen_method {method})",
            person.name()
        )
    })
}

/// Whether `fallback_users` names the person; a file that cannot be read names nobody.
fn is_named(call: &Call<'_>, config: &Config, person: &Person) -> bool {
    let group = &call.site.group;
    let named = config.global.fallback_users.name(&person.user, group);
    named.unwrap_or_else(|error| {
        let (path, error) = (group.display(), escape::line(error.to_string().as_bytes()));
        let name = person.name();
        call.log(
            Level::Error,
            &format!("cannot tell whether a group of fallback_users lists {name}: {path}: {error}"),
        );
        false
    })
}

#[cfg(test)]
mod tests;
