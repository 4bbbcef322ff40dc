//! What an authorization reply means for the request (RFC 8907 sections 6.1, 6.2
//! and 10.5.4): merge or replace, and refuse what nobody here can act on.

use core::fmt;

use crate::packet::{Argument, Arguments, ArgumentsBuf, AuthorStatus, Error, PrivLvl};

/// Arguments that may stand once: the RFC is silent about repeats, and "the last
/// one wins" would let a second `priv-lvl` decide.
const SINGLE: [&str; 14] = [
    "service",
    "protocol",
    "cmd",
    "priv-lvl",
    "timeout",
    "idletime",
    "acl",
    "inacl",
    "outacl",
    "addr",
    "addr-pool",
    "autocmd",
    "noescape",
    "nohangup",
];

/// Arguments that a caller finds in [`Granted`] and acts on without being told so.
const HANDLED: [&str; 3] = ["priv-lvl", "timeout", "idletime"];

/// A pass, taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Granted {
    /// The arguments that count now: the request's and the reply's for PASS_ADD,
    /// the reply's for PASS_REPL.
    pub args: ArgumentsBuf,
    /// The level in the reply, if it names one. Never the request's own.
    pub priv_lvl: Option<PrivLvl>,
    /// Whether what was asked for still stands: false if the reply puts another
    /// service, command or command argument in its place.
    pub as_asked: bool,
    /// How long the session may last, if not for ever. Whoever opens one sees to it, or
    /// refuses where it is mandatory.
    pub timeout: Option<Limit>,
    /// How long it may be idle, likewise.
    pub idletime: Option<Limit>,
}

/// A limit of a session (RFC 8907 section 8.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limit {
    /// How long: at least one minute.
    pub minutes: u32,
    /// A host that cannot keep to it must not open the session.
    pub mandatory: bool,
}

/// Why an approval cannot be acted on, which makes it a denial.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Refusal {
    /// An argument that is not well formed.
    Malformed(Error),
    /// A mandatory argument that nothing here handles.
    UnknownMandatory(String),
    /// A value that cannot be used, such as `priv-lvl=16`.
    BadValue(String),
    /// An argument that may stand once stands twice.
    Repeated(String),
    /// The reply contradicts a mandatory argument of the request.
    Contradicts(String),
    /// Not a pass at all.
    NotAPass,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed(error) => write!(f, "the reply's {error}"),
            Self::UnknownMandatory(name) => write!(
                f,
                "the server demands '{name}', which this host does not handle; if it may be ignored, list it in [mapping] handled"
            ),
            Self::BadValue(name) => {
                write!(f, "the server's '{name}' has a value that cannot be used")
            }
            Self::Repeated(name) => write!(f, "the server sent '{name}' more than once"),
            Self::Contradicts(name) => {
                write!(f, "the server's '{name}' contradicts the request")
            }
            Self::NotAPass => f.write_str("the server did not approve"),
        }
    }
}

impl std::error::Error for Refusal {}

/// What a login asks an authorization for, and what its records are about.
///
/// # Errors
/// A value that does not fit an argument.
pub fn login_arguments(service: &str, protocol: Option<&str>) -> Result<ArgumentsBuf, Error> {
    let mut args = ArgumentsBuf::new();
    append_service(&mut args, service, protocol)?;
    Ok(args)
}

/// Adds the arguments that name the service. `cmd` belongs to the service `shell` alone,
/// and empty it means the shell itself (RFC 8907 section 8.2).
///
/// # Errors
/// A value that does not fit an argument.
pub fn append_service(
    args: &mut ArgumentsBuf,
    service: &str,
    protocol: Option<&str>,
) -> Result<(), Error> {
    args.mandatory("service", service.as_bytes())?;
    if let Some(protocol) = protocol {
        args.mandatory("protocol", protocol.as_bytes())?;
    }
    if service == "shell" {
        args.mandatory("cmd", b"")?;
    }
    Ok(())
}

/// Reads an approval of `request`. `handled` names the mandatory arguments that
/// the caller acts on beyond `priv-lvl`, `timeout` and `idletime`.
///
/// # Errors
/// Why the approval has to be treated as a denial.
pub fn grant(
    request: Arguments<'_>,
    status: AuthorStatus,
    reply: Arguments<'_>,
    handled: &[String],
) -> Result<Granted, Refusal> {
    let replace = match status {
        AuthorStatus::PassAdd => false,
        AuthorStatus::PassRepl => true,
        _ => return Err(Refusal::NotAPass),
    };
    let asked = parse(request)?;
    let answered = parse(reply)?;
    // Before anything is merged: in a merge the second would replace the first.
    refuse_repeats(&answered)?;
    let mut priv_lvl = None;
    for argument in &answered {
        judge(argument, &asked, handled)?;
        if argument.name == b"priv-lvl" {
            priv_lvl = PrivLvl::from_decimal(argument.value);
        }
    }
    let merged = if replace {
        answered
    } else {
        add(&asked, &answered)?
    };
    refuse_repeats(&merged)?;
    let mut args = ArgumentsBuf::new();
    for argument in &merged {
        args.push(*argument).map_err(Refusal::Malformed)?;
    }
    Ok(Granted {
        as_asked: same_task(&asked, &merged),
        args,
        priv_lvl,
        timeout: limit(&merged, b"timeout"),
        idletime: limit(&merged, b"idletime"),
    })
}

fn parse(arguments: Arguments<'_>) -> Result<Vec<Argument<'_>>, Refusal> {
    arguments
        .parsed()
        .collect::<Result<_, _>>()
        .map_err(Refusal::Malformed)
}

/// Whether one argument of the reply can be acted on.
fn judge(
    argument: &Argument<'_>,
    asked: &[Argument<'_>],
    handled: &[String],
) -> Result<(), Refusal> {
    let name = printable(argument.name);
    let usable = match argument.name {
        b"priv-lvl" => PrivLvl::from_decimal(argument.value).is_some(),
        // Minutes; more than a number can say cannot be handled (section 6.1).
        b"timeout" | b"idletime" => decimal(argument.value).is_some(),
        _ => true,
    };
    if !usable {
        // An optional level that cannot be read is no licence to guess one.
        return if argument.mandatory || argument.name == b"priv-lvl" {
            Err(Refusal::BadValue(name))
        } else {
            Ok(())
        };
    }
    let known = HANDLED.iter().any(|h| h.as_bytes() == argument.name)
        || handled.iter().any(|h| h.as_bytes() == argument.name)
        || asked.iter().any(|a| a.name == argument.name);
    if argument.mandatory && !known {
        return Err(Refusal::UnknownMandatory(name));
    }
    Ok(())
}

/// PASS_ADD: the request stands and the reply is added. The reply's value takes
/// the place of an optional one of the request; against a mandatory one it has to
/// be the same.
fn add<'a>(
    asked: &[Argument<'a>],
    answered: &[Argument<'a>],
) -> Result<Vec<Argument<'a>>, Refusal> {
    let mut merged = asked.to_vec();
    for argument in answered {
        let mine = merged
            .iter_mut()
            .find(|mine| mine.name == argument.name)
            .filter(|_| is_single(argument.name));
        match mine {
            None => merged.push(*argument),
            Some(mine) if mine.value == argument.value => {}
            Some(mine) if !mine.mandatory => *mine = *argument,
            Some(_) => return Err(Refusal::Contradicts(printable(argument.name))),
        }
    }
    Ok(merged)
}

fn is_single(name: &[u8]) -> bool {
    SINGLE.iter().any(|single| single.as_bytes() == name)
}

fn refuse_repeats(arguments: &[Argument<'_>]) -> Result<(), Refusal> {
    for single in SINGLE {
        let named = arguments.iter().filter(|a| a.name == single.as_bytes());
        if named.count() > 1 {
            return Err(Refusal::Repeated(single.to_owned()));
        }
    }
    Ok(())
}

/// Whether what was asked for is what may be done: the same command with the
/// same arguments in the same order, and no other service or protocol. A reply
/// that replaces may leave service and protocol out.
fn same_task(asked: &[Argument<'_>], merged: &[Argument<'_>]) -> bool {
    fn values<'a>(list: &'a [Argument<'_>], name: &[u8]) -> Vec<&'a [u8]> {
        // An empty command is none; an empty command argument is an argument.
        list.iter()
            .filter(|a| a.name == name && (name == b"cmd-arg" || !a.value.is_empty()))
            .map(|a| a.value)
            .collect()
    }
    let same = |name: &[u8]| values(asked, name) == values(merged, name);
    let same_or_silent = |name: &[u8]| values(merged, name).is_empty() || same(name);
    same(b"cmd") && same(b"cmd-arg") && same_or_silent(b"service") && same_or_silent(b"protocol")
}

/// The limit of this name; zero means that there is none.
fn limit(arguments: &[Argument<'_>], name: &[u8]) -> Option<Limit> {
    let argument = arguments.iter().find(|a| a.name == name)?;
    let minutes = decimal(argument.value).filter(|minutes| *minutes > 0)?;
    Some(Limit {
        minutes,
        mandatory: argument.mandatory,
    })
}

fn decimal(value: &[u8]) -> Option<u32> {
    let text = core::str::from_utf8(value).ok()?;
    if text.is_empty() || !text.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    text.parse().ok()
}

/// A name for a log line: what is not printable becomes `?`.
fn printable(name: &[u8]) -> String {
    name.iter()
        .map(|b| {
            if b.is_ascii_graphic() {
                char::from(*b)
            } else {
                '?'
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use AuthorStatus::{PassAdd, PassRepl};

    fn args(list: &[&str]) -> ArgumentsBuf {
        let mut buf = ArgumentsBuf::new();
        for argument in list {
            buf.push_raw(argument.as_bytes()).unwrap();
        }
        buf
    }

    fn decide(
        request: &[&str],
        status: AuthorStatus,
        reply: &[&str],
        handled: &[&str],
    ) -> Result<Granted, Refusal> {
        let handled: Vec<String> = handled.iter().map(|h| (*h).to_owned()).collect();
        grant(
            args(request).as_arguments(),
            status,
            args(reply).as_arguments(),
            &handled,
        )
    }

    const LOGIN: [&str; 2] = ["service=shell", "cmd="];

    #[test]
    fn an_approval_adds_or_replaces() {
        type Row = (
            AuthorStatus,
            &'static [&'static str],
            &'static [&'static str],
            Option<u8>,
        );
        let rows: [Row; 7] = [
            (PassAdd, &[], &["service=shell", "cmd="], None),
            (
                PassAdd,
                &["priv-lvl=15"],
                &["service=shell", "cmd=", "priv-lvl=15"],
                Some(15),
            ),
            (
                PassAdd,
                &["priv-lvl*1"],
                &["service=shell", "cmd=", "priv-lvl*1"],
                Some(1),
            ),
            (
                PassAdd,
                &["service=shell"],
                &["service=shell", "cmd="],
                None,
            ),
            (
                PassAdd,
                &["unknown*x"],
                &["service=shell", "cmd=", "unknown*x"],
                None,
            ),
            (
                PassAdd,
                &["timeout*soon"],
                &["service=shell", "cmd=", "timeout*soon"],
                None,
            ),
            (
                PassRepl,
                &["service=shell", "cmd=", "priv-lvl=7"],
                &["service=shell", "cmd=", "priv-lvl=7"],
                Some(7),
            ),
        ];
        for (status, reply, effective, level) in rows {
            let granted = decide(&LOGIN, status, reply, &[]).unwrap();
            assert_eq!(granted.args, args(effective), "{reply:?}");
            assert_eq!(granted.priv_lvl.map(PrivLvl::level), level, "{reply:?}");
            assert!(granted.as_asked, "{reply:?}");
        }
    }

    #[test]
    fn limits_of_a_session_are_minutes_and_zero_is_none() {
        let limit = |minutes, mandatory| Some(Limit { minutes, mandatory });
        for (reply, timeout, idletime) in [
            (&["timeout=30"][..], limit(30, true), None),
            (
                &["timeout*30", "idletime=5"],
                limit(30, false),
                limit(5, true),
            ),
            (&["timeout=0", "idletime*0"], None, None),
            (&["timeout*soon", "idletime*"], None, None),
            (&[], None, None),
        ] {
            let granted = decide(&LOGIN, PassAdd, reply, &[]).unwrap();
            assert_eq!(
                (granted.timeout, granted.idletime),
                (timeout, idletime),
                "{reply:?}"
            );
        }
    }

    #[test]
    fn what_cannot_be_acted_on_is_a_denial() {
        let name = str::to_owned;
        let rows: [(AuthorStatus, &[&str], Refusal); 14] = [
            (PassAdd, &["acl=5"], Refusal::UnknownMandatory(name("acl"))),
            (
                PassAdd,
                &["priv-lvl=16"],
                Refusal::BadValue(name("priv-lvl")),
            ),
            (
                PassAdd,
                &["priv-lvl=-1"],
                Refusal::BadValue(name("priv-lvl")),
            ),
            (
                PassAdd,
                &["priv-lvl=0x0f"],
                Refusal::BadValue(name("priv-lvl")),
            ),
            (
                PassAdd,
                &["priv-lvl*99"],
                Refusal::BadValue(name("priv-lvl")),
            ),
            (
                PassAdd,
                &["private=15"],
                Refusal::UnknownMandatory(name("private")),
            ),
            (
                PassAdd,
                &["priv-lvl=1", "priv-lvl=15"],
                Refusal::Repeated(name("priv-lvl")),
            ),
            (
                PassAdd,
                &["priv-lvl*1", "priv-lvl*15"],
                Refusal::Repeated(name("priv-lvl")),
            ),
            (
                PassRepl,
                &["priv-lvl=1", "priv-lvl=15"],
                Refusal::Repeated(name("priv-lvl")),
            ),
            (
                PassRepl,
                &["nohangup*true", "nohangup*false"],
                Refusal::Repeated(name("nohangup")),
            ),
            (
                PassAdd,
                &["timeout=99999999999999999999"],
                Refusal::BadValue(name("timeout")),
            ),
            (PassAdd, &["cmd=reboot"], Refusal::Contradicts(name("cmd"))),
            (AuthorStatus::Fail, &[], Refusal::NotAPass),
            (
                AuthorStatus::Unknown(3),
                &["priv-lvl=15"],
                Refusal::NotAPass,
            ),
        ];
        for (status, reply, refusal) in rows {
            assert_eq!(
                decide(&LOGIN, status, reply, &[]),
                Err(refusal),
                "{reply:?}"
            );
        }
        assert!(decide(&LOGIN, PassAdd, &["acl=5"], &["acl"]).is_ok());
    }

    #[test]
    fn a_replaced_command_is_not_what_was_asked() {
        let command = ["service=shell", "cmd=show", "cmd-arg=run"];
        let replaced = decide(
            &command,
            PassRepl,
            &["service=shell", "cmd=show", "cmd-arg=version"],
            &[],
        )
        .unwrap();
        assert!(!replaced.as_asked);
        let shorter = decide(&command, PassRepl, &["service=shell", "cmd=show"], &[]).unwrap();
        assert!(!shorter.as_asked);
        let emptied = decide(
            &["service=shell", "cmd=rm", "cmd-arg=", "cmd-arg=x"],
            PassRepl,
            &["service=shell", "cmd=rm", "cmd-arg=x"],
            &[],
        )
        .unwrap();
        assert!(!emptied.as_asked);
        let session_only = decide(&command[..2], PassRepl, &["priv-lvl=1"], &[]).unwrap();
        assert!(!session_only.as_asked);
        assert!(decide(&command, PassAdd, &[], &[]).unwrap().as_asked);
        let session = decide(&LOGIN, PassRepl, &["service=shell", "cmd=reboot"], &[]).unwrap();
        assert!(!session.as_asked);
    }

    #[test]
    fn an_optional_argument_of_the_request_takes_the_reply_s_value() {
        let granted = decide(
            &["service=shell", "cmd=", "priv-lvl*15"],
            PassAdd,
            &["priv-lvl=1"],
            &[],
        )
        .unwrap();
        assert_eq!(granted.args, args(&["service=shell", "cmd=", "priv-lvl=1"]));
        assert_eq!(granted.priv_lvl, PrivLvl::new(1));
    }
}
