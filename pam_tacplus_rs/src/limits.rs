//! How long a session may last, where a server says so.
//!
//! Owns who sees to it: systemd, told by pam_systemd, which finds the time in the handle.
//! Nobody here sees to how long a session is idle: `TMOUT` is a shell's, and its user's to
//! unset. What nobody sees to is never let pass where it is mandatory, but by `handled`.

use std::path::Path;

use tacacs_common::config::Config;
use tacacs_common::exchange::author::{Granted, Limit};
use tacacs_common::hostfile;

use crate::call::{Call, Person};
use crate::handle::{Item, Level};
use crate::outcome::End;
use crate::stack;

/// What pam_systemd looks for: a text, seconds where there is no unit.
const RUNTIME: &str = "systemd.runtime_max_sec";

/// Tells the process that opens the session: sshd answers the account phase of a
/// keyboard-interactive login in another one, of which PAM's variables are all that stays.
const VARIABLE: &str = "TACPLUS_TIMEOUT";

/// Why a session must not be opened with what the server has granted.
pub(crate) fn unkept(call: &Call<'_>, config: &Config, granted: &Granted) -> Option<String> {
    let demands = |limit: Option<Limit>, name| {
        limit.is_some_and(|limit| limit.mandatory) && !is_handled(config, name)
    };
    if demands(granted.idletime, "idletime") {
        return Some(refusal(
            "idletime",
            "nothing on this host ends an idle session",
        ));
    }
    if demands(granted.timeout, "timeout") {
        return obstacle(call).map(|why| refusal("timeout", why));
    }
    None
}

/// Whether a session without the server's word may be opened as this approval has it: only
/// the server knows for how long.
pub(crate) fn may_stand_in(config: &Config, granted: &Granted) -> bool {
    let free = |limit: Option<Limit>, name| {
        limit.is_none_or(|limit| !limit.mandatory) || is_handled(config, name)
    };
    free(granted.timeout, "timeout") && free(granted.idletime, "idletime")
}

/// Leaves the time for whoever opens the session, here or in another process.
pub(crate) fn leave(call: &mut Call<'_>, granted: &Granted) {
    if let Some(limit) = granted.timeout
        && !call.handle.set_env(VARIABLE, &text(limit))
    {
        call.log(Level::Warning, "no variable could be set");
    }
}

/// Hands the time to pam_systemd, whose session line comes next.
pub(crate) fn apply(call: &mut Call<'_>, config: &Config, person: &Person) -> Result<(), End> {
    let left = call.handle.env(VARIABLE);
    if left.is_some() {
        // Not for the user's programs.
        call.handle.unset_env(VARIABLE);
    }
    let granted = call.memory.granted.as_ref();
    let limit = match (granted.filter(|grant| grant.user == person.user), left) {
        (Some(grant), _) => grant.timeout,
        (None, Some(text)) => Some(read(&text).unwrap_or(NO_TIME)),
        (None, None) => None,
    };
    let Some(limit) = limit else { return Ok(()) };
    let seconds = u64::from(limit.minutes).saturating_mul(60).to_string();
    let handed_on = limit.minutes > 0 && call.handle.set_data(RUNTIME, &seconds);
    if handed_on || !limit.mandatory || is_handled(config, "timeout") {
        return Ok(());
    }
    let why = refusal("timeout", "its time could not be handed on");
    let line = format!("session of {} refused: {why}", person.name());
    call.log(Level::Error, &line);
    Err(End::Refused)
}

/// What cannot be read leaves no time.
const NO_TIME: Limit = Limit {
    minutes: 0,
    mandatory: true,
};

fn is_handled(config: &Config, name: &str) -> bool {
    config.mapping.handled.iter().any(|handled| handled == name)
}

fn refusal(name: &str, why: &str) -> String {
    format!(
        "the server demands '{name}', and {why}; if it may be ignored, list it in [mapping] handled"
    )
}

/// Why systemd will not end the session that this process opens.
fn obstacle(call: &Call<'_>) -> Option<&'static str> {
    let site = call.site;
    let systemd = &site.systemd;
    // The second is logind's, and where pam_systemd itself looks.
    if !(systemd.join("system").is_dir() && systemd.join("seats").is_dir()) {
        return Some("systemd-logind, which would end the session, does not run here");
    }
    let service = call.handle.item(Item::Service).unwrap_or_default();
    if !stack::is_followed(&site.pam, &service, "pam_tacplus.so", "pam_systemd.so") {
        return Some(
            "no session line of the service asks pam_systemd, which would end the session, behind pam_tacplus",
        );
    }
    // There pam_systemd opens none, and the other one ends when it ends.
    if is_in_a_session(&site.proc) != Some(false) {
        return Some("systemd ends no session within another one");
    }
    None
}

/// Whether systemd counts this process to a session, if that can be told.
fn is_in_a_session(proc: &Path) -> Option<bool> {
    // logind opens none for what runs in a user's slice: in a session, or in what a desktop
    // starts beside it.
    const USERS: &[u8] = b"/user.slice/user-";
    let mut found = false;
    let read = hostfile::lines(&proc.join("cgroup"), &mut |line| {
        found = line.windows(USERS.len()).any(|part| part == USERS);
        !found
    });
    read.ok().map(|()| found)
}

/// As a packet has it.
fn text(limit: Limit) -> String {
    let sign = if limit.mandatory { '=' } else { '*' };
    format!("{sign}{}", limit.minutes)
}

fn read(text: &str) -> Option<Limit> {
    let (mandatory, minutes) = match text.strip_prefix('=') {
        Some(minutes) => (true, minutes),
        None => (false, text.strip_prefix('*')?),
    };
    Some(Limit {
        minutes: minutes.parse().ok()?,
        mandatory,
    })
}

#[cfg(test)]
mod tests;
