//! The grammar of tac_plus.conf(5) at its top level.
//!
//! Owns which directive may stand outside every block, among them all that the
//! original does not have: they are keywords here and nowhere else, so that files of
//! the original may use those words as names. Nothing is silently ignored.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use super::block::Blocks;
use super::lexer::{Braces, Expect, Kind, Token};
use super::parser::{Parser, file_name, permission, set};
use super::source::Source;
use crate::policy::draft::{AccountingFormat, Acl, At, Credential, Draft, Lenient, Problem, Rule};
use crate::policy::throttle;

pub(super) const TOP_LEVEL: &[&str] = &[
    "accounting",
    "acl",
    "callout",
    "default",
    "group",
    "host",
    "key",
    "lenient",
    "limit",
    "listen",
    "log",
    "logauthor",
    "logging",
    "pam",
    "password",
    "throttle",
    "tls",
    "user",
    "weak",
];
/// Parsed by the original and without effect there too.
pub(super) const WITHOUT_EFFECT: &[&str] = &[
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
pub(super) const LIMITS: &[&str] = &[
    "answer",
    "body",
    "connections",
    "connections-per-client",
    "first-packet",
    "idle",
    "packet",
    "rounds",
    "sessions",
];
pub(super) const TLS: &[&str] = &[
    "ca",
    "certificate",
    "crl",
    "key",
    "listen",
    "ticket-lifetime",
];

/// Reads a whole file and gives back what it says, and the warnings: as the original
/// would, if it can be read so. What is wrong is told by whichever reading got further.
pub(super) fn parse(source: &mut Source) -> Result<(Draft, Vec<Problem>), Problem> {
    let first = match parse_with(source, Braces::Within) {
        Ok(read) => return Ok(read),
        Err(problem) => problem,
    };
    let hidden = source.show_all();
    parse_with(source, Braces::Apart).map_err(|second| {
        if first.place.start <= second.place.start {
            return second;
        }
        source.hide_again(hidden);
        first
    })
}

fn parse_with(source: &mut Source, braces: Braces) -> Result<(Draft, Vec<Problem>), Problem> {
    let mut draft = Draft::default();
    // Editors elsewhere put a mark before the first word.
    let at = if source.text().starts_with(b"\xef\xbb\xbf") {
        3
    } else {
        0
    };
    let mut parser = Parser {
        source,
        at,
        braces,
        blocks: Blocks::default(),
        warnings: Vec::new(),
    };
    loop {
        let token = parser.next(Expect::Name)?;
        match token.kind {
            Kind::End => return Ok((draft, parser.warnings)),
            Kind::Word => parser.directive(&token, &mut draft)?,
            _ => return Err(parser.unexpected(&token, "a directive")),
        }
    }
}

impl Parser<'_> {
    fn directive(&mut self, keyword: &Token, draft: &mut Draft) -> Result<(), Problem> {
        match keyword.text.as_slice() {
            b"user" => {
                let user = self.profile("user")?;
                draft.users.push(user);
                Ok(())
            }
            b"group" => {
                let group = self.profile("group")?;
                draft.groups.push(group);
                Ok(())
            }
            b"host" => {
                match self.host()? {
                    Ok(host) => draft.hosts.push(host),
                    Err(place) => draft.named_host = Some(place),
                }
                Ok(())
            }
            b"acl" => {
                let acl = self.acl()?;
                draft.acls.push(acl);
                Ok(())
            }
            b"key" => {
                let key = self.secret_assignment()?;
                set(&mut draft.key, key, keyword, "key")
            }
            b"default" => self.default_authentication(keyword, draft),
            b"accounting" => self.accounting(draft),
            b"logging" => {
                let facility = self.facility()?;
                draft.settings.facility = facility.or(draft.settings.facility.take());
                Ok(())
            }
            b"logauthor" => {
                draft.settings.log_authorization = true;
                Ok(())
            }
            word if WITHOUT_EFFECT.iter().any(|known| known.as_bytes() == word) => {
                self.number_without_effect(keyword)
            }
            _ => self.new_directive(keyword, draft),
        }
    }

    /// Those that the original does not have.
    fn new_directive(&mut self, keyword: &Token, draft: &mut Draft) -> Result<(), Problem> {
        let settings = &mut draft.settings;
        match keyword.text.as_slice() {
            b"callout" => {
                let what = self.second(keyword, &["shell", "timeout"])?;
                match what {
                    "shell" => settings.callout_shell = self.yes_or_no()?,
                    _ => settings.callout_timeout = self.seconds()?,
                }
            }
            b"lenient" => draft.lenient.forgive(self.choice(&Lenient::WORDS)?),
            b"listen" => settings.listen.push(self.socket_address(49)?),
            b"limit" => self.limit(keyword, draft)?,
            b"log" => {
                self.second(keyword, &["format"])?;
                settings.log_json = self.choice(&["text", "json"])? == "json";
            }
            b"pam" => {
                self.second(keyword, &["service"])?;
                settings.pam_service = self.pam_service()?;
            }
            b"password" => {
                self.second(keyword, &["change"])?;
                settings.password_change = self.yes_or_no()?;
            }
            b"throttle" => {
                settings.throttle = self.seconds()?;
                if settings.throttle > throttle::LIMIT {
                    let most = throttle::LIMIT.as_secs();
                    self.warnings.push(
                        Problem::new(
                            keyword.place,
                            format!("no answer is delayed by more than {most} seconds"),
                        )
                        .hint(format!(
                            "throttle = {most}: clients give up after five, and may then do without this server"
                        )),
                    );
                }
            }
            b"tls" => self.tls(keyword, draft)?,
            b"weak" => {
                self.second(keyword, &["keys"])?;
                settings.refuse_weak_keys = self.choice(&["warn", "refuse"])? == "refuse";
            }
            _ => return Err(self.unknown(keyword, "directive", TOP_LEVEL)),
        }
        Ok(())
    }

    fn default_authentication(
        &mut self,
        keyword: &Token,
        draft: &mut Draft,
    ) -> Result<(), Problem> {
        let what = "default authentication";
        let authentication = self.next(Expect::Name)?;
        if authentication.text != b"authentication" {
            return Err(self.unexpected(&authentication, "'authentication' after 'default'"));
        }
        let credential = self.default_credential(what)?;
        if !matches!(*credential.value, Credential::File(_)) {
            return Err(
                Problem::new(credential.place, format!("'{what}' is by file only"))
                    .hint("default authentication = file /etc/passwd"),
            );
        }
        set(&mut draft.default_authentication, credential, keyword, what)
    }

    /// Only a file stands for everybody; whoever means PAM has `DEFAULT` for it.
    fn default_credential(
        &mut self,
        what: &str,
    ) -> Result<At<std::sync::Arc<Credential>>, Problem> {
        self.credential(what, false).map_err(|problem| {
            problem.hint(
                "default authentication = file /etc/passwd; for PAM: user = DEFAULT { login = PAM pap = PAM }",
            )
        })
    }

    fn accounting(&mut self, draft: &mut Draft) -> Result<(), Problem> {
        let settings = &mut draft.settings;
        let what = self.next(Expect::Name)?;
        match what.text.as_slice() {
            b"file" => {
                let path = file_name(self.assignment("a file name")?);
                self.set_last(
                    &mut settings.accounting_file,
                    path,
                    &what,
                    "accounting file",
                );
            }
            // The manual page ends it with a semicolon.
            b"syslog" | b"syslog;" => settings.accounting_syslog = true,
            b"sync" => settings.accounting_sync = self.yes_or_no()?,
            b"format" => {
                settings.accounting_format = match self.choice(&["text", "json"])? {
                    "json" => AccountingFormat::Json,
                    _ => AccountingFormat::Text,
                };
            }
            _ => {
                let known = ["file", "syslog", "sync", "format"];
                return Err(self.unknown(&what, "word after 'accounting'", &known));
            }
        }
        Ok(())
    }

    /// The original goes on without one that it does not know.
    fn facility(&mut self) -> Result<Option<String>, Problem> {
        let facility = self.assignment("a syslog facility")?;
        let name = String::from_utf8_lossy(&facility.value).to_ascii_lowercase();
        if FACILITIES.contains(&name.as_str()) {
            return Ok(Some(name));
        }
        let name = name.escape_debug();
        self.warnings.push(
            Problem::new(facility.place, format!("unknown syslog facility '{name}'"))
                .hint(format!("one of {}", FACILITIES.join(" "))),
        );
        Ok(None)
    }

    fn number_without_effect(&mut self, keyword: &Token) -> Result<(), Problem> {
        self.number()?;
        let name = String::from_utf8_lossy(&keyword.text).into_owned();
        self.warnings.push(
            Problem::new(keyword.place, format!("'{name}' has no effect"))
                .hint("it has none in the original either; see 'limit'"),
        );
        Ok(())
    }

    fn acl(&mut self) -> Result<Acl, Problem> {
        let name = self.named_block("acl")?;
        let mut rules = Vec::new();
        while let Some(keyword) = self.statement()? {
            let Some(permission) = permission(&keyword.text) else {
                return Err(self.unknown(&keyword, "word in an acl", &["permit", "deny"]));
            };
            let pattern = self.assignment("a regular expression")?;
            self.mind_address(&pattern);
            rules.push(Rule {
                permission,
                pattern,
            });
        }
        Ok(Acl { name, rules })
    }

    /// Warns where an address or a network stands for an expression.
    fn mind_address(&mut self, pattern: &At<Vec<u8>>) {
        let text = String::from_utf8_lossy(&pattern.value);
        let (address, prefix) = match text.split_once('/') {
            Some((address, _)) => (address, true),
            None => (&*text, false),
        };
        if address.parse::<IpAddr>().is_err() {
            return;
        }
        let escaped = address.replace('.', "\\.");
        let problem = if prefix {
            Problem::new(
                pattern.place,
                "this is no network but an expression, and no address matches it",
            )
            .hint("as '^192\\.0\\.2\\.' for 192.0.2.0/24")
        } else {
            Problem::new(
                pattern.place,
                "this expression matches other addresses too, that only hold it",
            )
            .hint(format!("^{escaped}$"))
        };
        self.warnings.push(problem);
    }

    fn limit(&mut self, keyword: &Token, draft: &mut Draft) -> Result<(), Problem> {
        let limits = &mut draft.settings.limits;
        match self.second(keyword, LIMITS)? {
            "answer" => limits.answer = Some(self.seconds()?),
            "body" => limits.body = Some(self.positive()?),
            "connections" => limits.connections = Some(self.positive()?),
            "connections-per-client" => limits.connections_per_client = Some(self.positive()?),
            "first-packet" => limits.first_packet = Some(self.seconds()?),
            "idle" => limits.idle = Some(self.seconds()?),
            "packet" => limits.packet = Some(self.seconds()?),
            "rounds" => limits.rounds = Some(self.positive()?),
            _ => limits.sessions = Some(self.positive()?),
        }
        Ok(())
    }

    fn tls(&mut self, keyword: &Token, draft: &mut Draft) -> Result<(), Problem> {
        let tls = &mut draft.settings.tls;
        let what = self.second(keyword, TLS)?;
        let slot = match what {
            "listen" => {
                tls.listen.push(self.socket_address(300)?);
                return Ok(());
            }
            "crl" => {
                tls.crl.push(file_name(self.assignment("a file name")?));
                return Ok(());
            }
            "ticket-lifetime" => {
                tls.ticket_lifetime = Some(self.seconds()?);
                return Ok(());
            }
            "ca" => &mut tls.ca,
            "certificate" => &mut tls.certificate,
            _ => &mut tls.key,
        };
        let path = file_name(self.assignment("a file name")?);
        set(slot, path, keyword, &format!("tls {what}"))
    }

    /// The word after a new directive's first one.
    pub(super) fn second(
        &mut self,
        keyword: &Token,
        known: &'static [&'static str],
    ) -> Result<&'static str, Problem> {
        let token = self.next(Expect::Name)?;
        let found = known.iter().find(|word| word.as_bytes() == token.text);
        found.copied().ok_or_else(|| {
            let after = format!("word after '{}'", String::from_utf8_lossy(&keyword.text));
            self.unknown(&token, &after, known)
        })
    }

    fn yes_or_no(&mut self) -> Result<bool, Problem> {
        Ok(self.choice(&["yes", "no"])? == "yes")
    }

    /// `= ` one of these.
    pub(super) fn choice(
        &mut self,
        known: &'static [&'static str],
    ) -> Result<&'static str, Problem> {
        self.equals()?;
        let token = self.next(Expect::Value)?;
        let found = known.iter().find(|word| word.as_bytes() == token.text);
        found
            .copied()
            .ok_or_else(|| self.unexpected(&token, &format!("one of {}", known.join(", "))))
    }

    pub(super) fn number(&mut self) -> Result<At<u32>, Problem> {
        let number = self.assignment("a number")?;
        let digits = std::str::from_utf8(&number.value).ok();
        match digits.and_then(|digits| digits.parse().ok()) {
            Some(value) => Ok(At {
                value,
                place: number.place,
            }),
            None => Err(Problem::new(number.place, "this must be a whole number")),
        }
    }

    fn positive(&mut self) -> Result<u32, Problem> {
        let number = self.number()?;
        if number.value == 0 {
            return Err(Problem::new(
                number.place,
                "a limit of 0 would refuse everybody",
            ));
        }
        Ok(number.value)
    }

    fn seconds(&mut self) -> Result<Duration, Problem> {
        Ok(Duration::from_secs(self.number()?.value.into()))
    }

    /// `= ADDRESS`, `= ADDRESS:PORT`, `= [ADDRESS]:PORT`.
    fn socket_address(&mut self, port: u16) -> Result<SocketAddr, Problem> {
        let text = self.assignment("an address")?;
        let address = std::str::from_utf8(&text.value).ok().and_then(|text| {
            let bare = text.trim_matches(['[', ']']).parse::<IpAddr>().ok();
            bare.map(|address| SocketAddr::new(address, port))
                .or_else(|| text.parse().ok())
        });
        address.ok_or_else(|| {
            Problem::new(text.place, "this is no address to listen on")
                .hint("192.0.2.1, 192.0.2.1:49, 2001:db8::1 or [2001:db8::1]:49")
        })
    }

    /// PAM reads the file of this name in its own folder, and no other.
    fn pam_service(&mut self) -> Result<String, Problem> {
        let name = self.assignment("a service name")?;
        let is_plain =
            |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.');
        match String::from_utf8(name.value) {
            Ok(text)
                if !text.is_empty()
                    && !text.starts_with('.')
                    && text.bytes().all(|byte| is_plain(&byte)) =>
            {
                Ok(text)
            }
            _ => Err(Problem::new(
                name.place,
                "a PAM service is a name of letters, digits, '_', '-' and '.'",
            )),
        }
    }
}
