//! acct_mgmt: may this person log in here, and with which rights?
//!
//! Also for people whom another module authenticated, with a key for instance.

use tacacs_common::client::Authorized;
use tacacs_common::config::Config;
use tacacs_common::escape;
use tacacs_common::exchange::author::{self, Granted, grant};
use tacacs_common::outcome::{Denial, DenyReason, Outcome, Unreachable};
use tacacs_common::packet::{
    AuthenMethod, AuthenService, AuthenType, AuthorRequest, Error, PrivLvl,
};

use crate::call::{Call, Person};
use crate::entry;
use crate::handle::{Grant, Level, Note};
use crate::limits;
use crate::login::log_denial;
use crate::outage::{self, Ruling};
use crate::outcome::{End, Verdict};
use crate::talk;

/// `pam_sm_acct_mgmt`.
pub(crate) fn authorize(call: &mut Call<'_>) -> End {
    call.memory.granted = None;
    run(call).unwrap_or_else(|end| end)
}

fn run(call: &mut Call<'_>) -> Result<End, End> {
    let (config, person) = call.begin()?;
    let args =
        match author::login_arguments(&config.global.service, config.global.protocol.as_deref()) {
            Ok(args) => args,
            Err(error) => return Ok(unsendable(call, &person, error)),
        };
    let (authen_method, authen_type) = authenticated(call, &person);
    let request = AuthorRequest {
        authen_method,
        priv_lvl: PrivLvl::USER,
        authen_type,
        authen_service: AuthenService::Login,
        user: person.user.as_bytes(),
        port: person.port.as_bytes(),
        rem_addr: person.rem_addr.as_bytes(),
        args: args.as_arguments(),
    };
    call.debug(|| {
        let words: Vec<String> = args.as_arguments().raw().map(escape::line).collect();
        format!(
            "authorization of {} ({authen_method}): {}",
            person.name(),
            words.join(" ")
        )
    });
    let mut client = call.client(&config);
    let outcome = client.authorize(&request);
    call.log_passed_over(&mut client);
    Ok(match outcome {
        Outcome::Pass(answer) => {
            call.keep(client);
            answered(call, &config, &person, &request, &answer)
        }
        Outcome::Deny(denial) => {
            // Only FAIL. On plain TCP that is no proof: whoever is on the way can forge one.
            if denial.reason == DenyReason::Fail {
                entry::disable(call, &config, &person);
            }
            denied(call, &person, &denial)
        }
        Outcome::Unreachable(why) => {
            call.keep(client);
            unreachable(call, &config, &person, &why)
        }
    })
}

/// How the person was authenticated, as far as this handle knows: sshd leads its
/// keyboard-interactive dialogue in another process, and checks keys itself.
pub(crate) fn authenticated(call: &Call<'_>, person: &Person) -> (AuthenMethod, AuthenType) {
    match &call.memory.login {
        Some(login) if login.user == person.user => (AuthenMethod::TacacsPlus, login.authen_type),
        _ => (AuthenMethod::Local, AuthenType::NotSet),
    }
}

fn answered(
    call: &mut Call<'_>,
    config: &Config,
    person: &Person,
    request: &AuthorRequest<'_>,
    answer: &Authorized,
) -> End {
    let granted = match grant(
        request.args,
        answer.status,
        answer.args.as_arguments(),
        &config.mapping.all_handled(),
    ) {
        Ok(granted) if granted.as_asked => granted,
        Ok(_) => {
            return refused(
                call,
                person,
                answer,
                "the server approved something else than asked",
            );
        }
        Err(refusal) => return refused(call, person, answer, &refusal.to_string()),
    };
    if let Some(why) = limits::unkept(call, config, &granted) {
        return refused(call, person, answer, &why);
    }
    let level = granted
        .priv_lvl
        .map_or_else(String::new, |level| format!(" with priv-lvl {level}"));
    let server = escape::line(answer.server.as_bytes());
    call.log(
        Level::Info,
        &format!(
            "authorization of {} passed at server {server}{level}",
            person.name()
        ),
    );
    let end = entry::learn(call, config, person, &granted);
    if end != End::Pass {
        return end;
    }
    set_environment(call, config, &granted);
    limits::leave(call, &granted);
    call.memory.granted = Some(Grant {
        user: person.user.clone(),
        priv_lvl: granted.priv_lvl,
        timeout: granted.timeout,
        fresh: true,
    });
    talk::tell(call, Note::Info, &answer.server_msg);
    End::Pass
}

/// An approval that this host cannot act on.
fn refused(call: &mut Call<'_>, person: &Person, answer: &Authorized, why: &str) -> End {
    let (server, why) = (
        escape::line(answer.server.as_bytes()),
        escape::line(why.as_bytes()),
    );
    call.log(
        Level::Notice,
        &format!(
            "authorization of {} denied, though server {server} approved: {why}",
            person.name()
        ),
    );
    talk::tell(call, Note::Error, &answer.server_msg);
    End::Refused
}

fn denied(call: &mut Call<'_>, person: &Person, denial: &Denial) -> End {
    log_denial(call, person, "authorization", denial);
    talk::tell(call, Note::Error, &denial.server_msg);
    End::Refused
}

/// No server could say. Where the policy does not refuse, what one said before may do.
fn unreachable(call: &mut Call<'_>, config: &Config, person: &Person, why: &Unreachable) -> End {
    const WHAT: &str = "authorization";
    if call.memory.denied.as_ref() == Some(&person.user) {
        let ruling = Ruling {
            end: End::Refused,
            words: "refused, for this login was refused a moment ago",
        };
        return outage::log(call, person, WHAT, why, &ruling);
    }
    let ruling = outage::rule(call, config, person, why);
    let (entry, words) = match ruling.end {
        End::Unreachable {
            verdict: Verdict::Named,
            local: false,
        } => (
            entry::approved(call, config, person),
            "the stored one stands in, for fallback_users names the user",
        ),
        End::Unreachable {
            verdict: Verdict::Ignored,
            ..
        } => (
            entry::offline(call, config, person),
            "the stored one stands in (unreachable = ignore, offline_hours): whoever can make a \
             server slow, full or silent keeps rights that a server has taken back",
        ),
        _ => (None, ""),
    };
    let Some(entry) = entry else {
        let ruling = outage::without_entry(ruling);
        return outage::log(call, person, WHAT, why, &ruling);
    };
    let reason = call.log_unreachable(why);
    call.log(
        Level::Warning,
        &format!("{WHAT} of {}: {reason}; {words}", person.name()),
    );
    call.memory.granted = Some(Grant {
        user: person.user.clone(),
        priv_lvl: PrivLvl::new(entry.level),
        timeout: None,
        fresh: false,
    });
    End::Pass
}

fn unsendable(call: &mut Call<'_>, person: &Person, error: Error) -> End {
    let denial = Denial {
        server: String::new(),
        reason: DenyReason::Unsendable(error),
        server_msg: Vec::new(),
    };
    denied(call, person, &denial)
}

/// Puts the attributes that the administrator listed into the environment. All
/// others stay out: a server that could set LD_PRELOAD would be root.
fn set_environment(call: &mut Call<'_>, config: &Config, granted: &Granted) {
    let mut seen: Vec<String> = Vec::new();
    for argument in granted.args.as_arguments().parsed().flatten() {
        let allowed = config
            .mapping
            .env_allow
            .iter()
            .find(|name| name.as_bytes() == argument.name);
        let Some(name) = allowed.and_then(|name| variable(name)) else {
            continue;
        };
        // The first one of a name counts, as in the packet's reading.
        if seen.contains(&name) {
            continue;
        }
        let Ok(value) = str::from_utf8(argument.value) else {
            continue;
        };
        if !call.handle.set_env(&name, value) {
            call.log(
                Level::Warning,
                &format!("the variable {name} could not be set"),
            );
        }
        seen.push(name);
    }
}

/// The variable for an attribute: in capitals, `_` for `-`. `None` if that is not a
/// name of a variable.
fn variable(attribute: &str) -> Option<String> {
    let name = attribute.to_ascii_uppercase().replace('-', "_");
    let letters = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_';
    let good = name.bytes().all(letters) && !name.starts_with(|first: char| first.is_ascii_digit());
    (good && !name.is_empty()).then_some(name)
}

#[cfg(test)]
mod tests;
