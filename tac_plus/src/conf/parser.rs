//! The grammar of tac_plus.conf(5): the top level, hosts and access lists.
//!
//! Owns which directive may stand where. Every directive is either supported,
//! or an error that says so: nothing is silently ignored. A word that may be a
//! secret is never repeated in an error.

use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;

use tacacs_common::secret::Secret;

use super::lexer::{self, Expect, Kind, Token};
use super::source::Source;
use crate::policy::draft::{
    Acl, At, Credential, Draft, Host, Key, Lenient, Network, Permission, Place, Problem, Rule,
};

const TOP_LEVEL: &[&str] = &[
    "accounting",
    "acl",
    "default",
    "group",
    "host",
    "key",
    "logauthor",
    "logging",
    "user",
];
/// Parsed by the original and without effect there too.
const WITHOUT_EFFECT: &[&str] = &[
    "maxprocs",
    "maxprocsperclt",
    "readtimeout",
    "writetimeout",
    "accepttimeout",
];
const FACILITIES: &[&str] = &[
    "auth", "cron", "daemon", "ftp", "kern", "local0", "local1", "local2", "local3", "local4",
    "local5", "local6", "local7", "lpr", "mail", "news", "syslog", "user", "uucp",
];

pub(super) struct Parser<'a> {
    pub(super) source: &'a mut Source,
    at: usize,
    pub(super) warnings: Vec<Problem>,
}

/// Reads a whole file into `draft` and gives back the warnings.
pub(super) fn parse(source: &mut Source, draft: &mut Draft) -> Result<Vec<Problem>, Problem> {
    let mut parser = Parser {
        source,
        at: 0,
        warnings: Vec::new(),
    };
    loop {
        let token = parser.next(Expect::Name)?;
        match token.kind {
            Kind::End => return Ok(parser.warnings),
            Kind::Word => parser.directive(&token, draft)?,
            _ => return Err(parser.unexpected(&token, "a directive")),
        }
    }
}

impl Parser<'_> {
    fn directive(&mut self, keyword: &Token, draft: &mut Draft) -> Result<(), Problem> {
        match keyword.text.as_slice() {
            b"key" => {
                let key = self.secret_assignment()?;
                set(&mut draft.key, key, keyword, "key")
            }
            b"accounting" => self.accounting(draft),
            b"acl" => {
                let acl = self.acl()?;
                draft.acls.push(acl);
                Ok(())
            }
            b"host" => {
                let host = self.host()?;
                draft.hosts.push(host);
                Ok(())
            }
            b"user" => {
                let user = self.profile()?;
                draft.users.push(user);
                Ok(())
            }
            b"group" => {
                let group = self.profile()?;
                draft.groups.push(group);
                Ok(())
            }
            b"logging" => {
                let facility = self.logging()?;
                set(&mut draft.settings.facility, facility, keyword, "logging")
            }
            b"logauthor" => {
                draft.settings.log_authorization = true;
                Ok(())
            }
            b"default" => {
                let what = self.next(Expect::Name)?;
                match what.text.as_slice() {
                    b"authentication" => {
                        let credential = self.credential("default authentication", false)?;
                        let is_file = matches!(*credential.value, Credential::File(_));
                        if !is_file {
                            return Err(Problem::new(
                                credential.place,
                                "default authentication is by file",
                            )
                            .hint("default authentication = file /etc/tac_plus.passwd"));
                        }
                        set(
                            &mut draft.default_authentication,
                            credential,
                            keyword,
                            "default authentication",
                        )
                    }
                    _ => Err(self.unexpected(&what, "'authentication' after 'default'")),
                }
            }
            word if WITHOUT_EFFECT.iter().any(|known| known.as_bytes() == word) => {
                self.number_without_effect(keyword)
            }
            _ => Err(self.unknown(keyword, "directive", TOP_LEVEL)),
        }
    }

    fn accounting(&mut self, draft: &mut Draft) -> Result<(), Problem> {
        let what = self.next(Expect::Name)?;
        match what.text.as_slice() {
            b"file" => {
                let path = self.assignment("a file name")?;
                let path = file_name(&path)?;
                set(
                    &mut draft.settings.accounting_file,
                    path,
                    &what,
                    "accounting file",
                )
            }
            b"syslog" | b"syslog;" => Err(unsupported(what.place, "accounting syslog")),
            _ => Err(self.unexpected(&what, "'file' or 'syslog' after 'accounting'")),
        }
    }

    fn logging(&mut self) -> Result<String, Problem> {
        let facility = self.assignment("a syslog facility")?;
        let name = String::from_utf8_lossy(&facility.value).to_ascii_lowercase();
        if !FACILITIES.contains(&name.as_str()) {
            return Err(
                Problem::new(facility.place, format!("unknown syslog facility '{name}'"))
                    .hint(format!("one of {}", FACILITIES.join(" "))),
            );
        }
        self.warnings.push(
            Problem::new(
                facility.place,
                "'logging' has no effect: log lines go to standard error",
            )
            .hint("the service manager passes them on"),
        );
        Ok(name)
    }

    fn number_without_effect(&mut self, keyword: &Token) -> Result<(), Problem> {
        let number = self.assignment("a number")?;
        if !number.value.iter().all(u8::is_ascii_digit) {
            return Err(Problem::new(number.place, "this must be a number"));
        }
        let name = String::from_utf8_lossy(&keyword.text).into_owned();
        self.warnings.push(Problem::new(
            keyword.place,
            format!("'{name}' has no effect: limits are built in"),
        ));
        Ok(())
    }

    fn acl(&mut self) -> Result<Acl, Problem> {
        let name = self.named_block()?;
        let mut rules = Vec::new();
        while let Some(keyword) = self.statement()? {
            let Some(permission) = permission(&keyword.text) else {
                return Err(self.unknown(&keyword, "word in an acl", &["permit", "deny"]));
            };
            rules.push(Rule {
                permission,
                pattern: self.assignment("a regular expression")?,
            });
        }
        Ok(Acl { name, rules })
    }

    fn host(&mut self) -> Result<Host, Problem> {
        let name = self.named_block()?;
        let text = String::from_utf8_lossy(&name.value).into_owned();
        let address: IpAddr = text.parse().map_err(|_| {
            Problem::new(
                name.place,
                format!("'{text}' is not an IPv4 or IPv6 address"),
            )
            .hint("host names and networks are not supported yet: write each client's address")
        })?;
        let mut host = Host {
            network: At {
                value: Network::host(address),
                place: name.place,
            },
            keys: Vec::new(),
            prompt: None,
            enable: None,
            lenient: Lenient::default(),
            tls_names: Vec::new(),
        };
        while let Some(keyword) = self.statement()? {
            match keyword.text.as_slice() {
                b"key" => {
                    let secret = self.secret_assignment()?;
                    host.keys.push(Key { secret, warn: None });
                }
                b"prompt" => {
                    let prompt = self.assignment("a prompt")?;
                    check_prompt(&prompt)?;
                    set(&mut host.prompt, prompt, &keyword, "prompt")?;
                }
                b"enable" => {
                    let enable = self.credential("enable", true)?;
                    set(&mut host.enable, enable, &keyword, "enable")?;
                }
                _ => {
                    return Err(self.unknown(
                        &keyword,
                        "word in a host",
                        &["key", "prompt", "enable"],
                    ));
                }
            }
        }
        Ok(host)
    }

    /// `= cleartext S`, and `= nopassword` where that is allowed.
    pub(super) fn credential(
        &mut self,
        what: &str,
        no_password: bool,
    ) -> Result<At<Arc<Credential>>, Problem> {
        self.secret_equals()?;
        let kind = self.next(Expect::Name)?;
        match (kind.kind, kind.text.as_slice()) {
            (Kind::Word, b"cleartext") => {
                let secret = self.next(Expect::Value)?;
                let place = secret.place;
                let secret = self.secret(secret, "a password")?;
                Ok(At {
                    value: Arc::new(Credential::Clear(secret)),
                    place,
                })
            }
            (Kind::Word, b"nopassword") if no_password => Ok(At {
                value: Arc::new(Credential::NoPassword),
                place: kind.place,
            }),
            (Kind::Word, b"nopassword") => Err(Problem::new(
                kind.place,
                "'nopassword' is for login and enable only",
            )),
            (Kind::Word, b"des") => {
                let hash = self.next(Expect::Value)?;
                let place = hash.place;
                let hash = self.secret(hash, "a password's hash")?;
                Ok(At {
                    value: Arc::new(Credential::Hash(hash)),
                    place,
                })
            }
            (Kind::Word, b"file") => {
                let path = self.string("a file name")?;
                Ok(At {
                    value: Arc::new(Credential::File(file_name(&path)?)),
                    place: path.place,
                })
            }
            (Kind::Word, b"PAM") => Ok(At {
                value: Arc::new(Credential::Pam),
                place: kind.place,
            }),
            (Kind::Word, known @ (b"skey" | b"aceclnt")) => {
                let known = String::from_utf8_lossy(known).into_owned();
                Err(unsupported(kind.place, &format!("{what} = {known}"))
                    .hint("supported here: cleartext \"...\""))
            }
            // Whoever forgets 'cleartext' has the password here.
            (_, _) => {
                self.source.hide(kind.place);
                Err(Problem::new(
                    kind.place,
                    format!("'{what} =' must be followed by the kind of password"),
                )
                .hint(format!("{what} = cleartext \"...\"")))
            }
        }
    }

    /// `= S` where S is a secret.
    pub(super) fn secret_assignment(&mut self) -> Result<At<Arc<Secret>>, Problem> {
        self.secret_equals()?;
        let token = self.next(Expect::Value)?;
        let place = token.place;
        let secret = self.secret(token, "a secret")?;
        Ok(At {
            value: Arc::new(secret),
            place,
        })
    }

    /// `=` before a secret: whoever forgets it has the secret here.
    fn secret_equals(&mut self) -> Result<(), Problem> {
        let token = self.next(Expect::Name)?;
        if token.kind == Kind::Equals {
            return Ok(());
        }
        self.source.hide(token.place);
        Err(Problem::new(token.place, "'=' expected"))
    }

    fn secret(&mut self, token: Token, what: &str) -> Result<Secret, Problem> {
        if !matches!(token.kind, Kind::Word | Kind::Quoted) {
            return Err(self.unexpected(&token, what));
        }
        self.source.hide(token.place);
        if token.text.is_empty() {
            return Err(Problem::new(token.place, format!("{what} cannot be empty")));
        }
        Ok(Secret::new(token.text))
    }

    /// `= S`.
    pub(super) fn assignment(&mut self, what: &str) -> Result<At<Vec<u8>>, Problem> {
        self.equals()?;
        self.string(what)
    }

    /// `S` or `= S`: the manual page writes both.
    pub(super) fn optional_assignment(&mut self, what: &str) -> Result<At<Vec<u8>>, Problem> {
        if self.peek(Expect::Name)?.kind == Kind::Equals {
            self.equals()?;
        }
        self.string(what)
    }

    /// A word or a string.
    pub(super) fn string(&mut self, what: &str) -> Result<At<Vec<u8>>, Problem> {
        let token = self.next(Expect::Value)?;
        match token.kind {
            Kind::Word | Kind::Quoted => Ok(At {
                value: token.text,
                place: token.place,
            }),
            _ => Err(self.unexpected(&token, what)),
        }
    }

    /// `= NAME {`.
    pub(super) fn named_block(&mut self) -> Result<At<Vec<u8>>, Problem> {
        self.equals()?;
        let name = self.next(Expect::Name)?;
        if !matches!(name.kind, Kind::Word | Kind::Quoted) || name.text.is_empty() {
            return Err(self.unexpected(&name, "a name"));
        }
        self.open()?;
        Ok(At {
            value: name.text,
            place: name.place,
        })
    }

    /// The first word of a statement inside a block, or nothing where the block closes.
    pub(super) fn statement(&mut self) -> Result<Option<Token>, Problem> {
        let token = self.next(Expect::Name)?;
        match token.kind {
            Kind::Close => Ok(None),
            Kind::Word | Kind::Quoted => Ok(Some(token)),
            Kind::End => Err(self.unexpected(&token, "'}'").hint("a block is not closed")),
            Kind::Equals | Kind::Open => Err(self.unexpected(&token, "a directive or '}'")),
        }
    }

    pub(super) fn equals(&mut self) -> Result<(), Problem> {
        self.one(Kind::Equals, "'='")
    }

    pub(super) fn open(&mut self) -> Result<(), Problem> {
        self.one(Kind::Open, "'{'")
    }

    fn one(&mut self, kind: Kind, what: &str) -> Result<(), Problem> {
        let token = self.next(Expect::Name)?;
        if token.kind == kind {
            Ok(())
        } else {
            Err(self.unexpected(&token, what))
        }
    }

    pub(super) fn next(&mut self, expect: Expect) -> Result<Token, Problem> {
        let token = self.peek(expect)?;
        self.at = token.place.end;
        Ok(token)
    }

    pub(super) fn peek(&mut self, expect: Expect) -> Result<Token, Problem> {
        match lexer::token(self.source.text(), self.at, expect) {
            Ok(token) => Ok(token),
            Err(lexer::Unterminated(start)) => Err(Problem::new(
                Place {
                    start,
                    end: start + 1,
                },
                "this string is never closed",
            )
            .hint("'\"' is missing")),
        }
    }

    pub(super) fn unexpected(&mut self, token: &Token, expected: &str) -> Problem {
        match self.shown(token) {
            Some(found) => Problem::new(token.place, format!("{expected} expected, found {found}")),
            None => after_secret(token.place),
        }
    }

    pub(super) fn unknown(&mut self, token: &Token, what: &str, known: &[&str]) -> Problem {
        let Some(found) = self.shown(token) else {
            return after_secret(token.place);
        };
        let word = String::from_utf8_lossy(&token.text).into_owned();
        let hint = match nearest(&word, known) {
            Some(near) => format!("did you mean '{near}'?"),
            None => format!("known here: {}", known.join(" ")),
        };
        Problem::new(token.place, format!("unknown {what} {found}")).hint(hint)
    }

    /// The token as a message may show it: not at all where it may be a secret. A
    /// string out of place always may.
    fn shown(&mut self, token: &Token) -> Option<String> {
        let is_text = matches!(token.kind, Kind::Word | Kind::Quoted);
        if token.kind == Kind::Quoted {
            self.source.hide(token.place);
        }
        if is_text && self.source.follows_secret(token.place.start) {
            self.source.hide(token.place);
            return None;
        }
        Some(match token.kind {
            Kind::Word => format!("'{}'", String::from_utf8_lossy(&token.text).escape_debug()),
            Kind::Quoted => "a string".to_owned(),
            Kind::Equals => "'='".to_owned(),
            Kind::Open => "'{'".to_owned(),
            Kind::Close => "'}'".to_owned(),
            Kind::End => "the end of the file".to_owned(),
        })
    }
}

fn file_name(name: &At<Vec<u8>>) -> Result<PathBuf, Problem> {
    String::from_utf8(name.value.clone())
        .map(PathBuf::from)
        .map_err(|_| Problem::new(name.place, "a file name must be UTF-8"))
}

/// What can never be sent is an error here, not at the first login (RFC 8907 section 3.7).
fn check_prompt(prompt: &At<Vec<u8>>) -> Result<(), Problem> {
    let is_bad = |c: char| c.is_control() && !matches!(c, '\n' | '\r' | '\t');
    match std::str::from_utf8(&prompt.value) {
        Ok(text) if !text.contains(is_bad) && text.len() <= 1024 => Ok(()),
        _ => Err(Problem::new(
            prompt.place,
            "a prompt is UTF-8 text without control characters, of at most 1024 bytes",
        )),
    }
}

/// Stores what may be given once.
pub(super) fn set<T>(
    slot: &mut Option<T>,
    value: T,
    keyword: &Token,
    what: &str,
) -> Result<(), Problem> {
    if slot.is_some() {
        return Err(Problem::new(
            keyword.place,
            format!("'{what}' is given twice"),
        ));
    }
    *slot = Some(value);
    Ok(())
}

pub(super) fn permission(word: &[u8]) -> Option<Permission> {
    match word {
        b"permit" => Some(Permission::Permit),
        b"deny" => Some(Permission::Deny),
        _ => None,
    }
}

/// A directive of the language that this version does not have.
pub(super) fn unsupported(place: Place, what: &str) -> Problem {
    Problem::new(place, format!("'{what}' is not supported yet"))
        .hint("loading without it would change who may do what, so it is refused")
}

fn after_secret(place: Place) -> Problem {
    Problem::new(place, "unexpected word on the line of a secret")
        .hint("a secret with blanks, '=' or '#' must stand in double quotes")
}

/// The known word at most two edits away.
fn nearest<'a>(word: &str, known: &[&'a str]) -> Option<&'a str> {
    let near = known
        .iter()
        .map(|candidate| (edits(word, candidate), *candidate))
        .min()?;
    (near.0 <= 2 && near.0 < word.chars().count()).then_some(near.1)
}

/// Levenshtein distance.
fn edits(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, a) in a.chars().take(64).enumerate() {
        let mut next = vec![i + 1];
        for ((above, pair), b) in row.iter().skip(1).zip(row.windows(2)).zip(&b) {
            let diagonal = pair.first().copied().unwrap_or_default() + usize::from(a != *b);
            let left = next.last().copied().unwrap_or_default() + 1;
            next.push(diagonal.min(left).min(above + 1));
        }
        row = next;
    }
    row.last().copied().unwrap_or_default()
}
