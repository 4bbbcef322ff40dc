//! The grammar of users and groups, which share one body.
//!
//! Owns what may stand in it: passwords, services, commands. Must never resolve
//! a name; groups may be used before they are defined.

use tacacs_common::packet::Argument;

use super::lexer::{Expect, Kind, Token};
use super::parser::{Parser, permission, set};
use crate::policy::draft::{
    At, Attribute, Command, Date, Permission, Place, Problem, Profile, Rule, Service, ServiceName,
};

pub(super) const BODY: &[&str] = &[
    "acl",
    "after",
    "before",
    "chap",
    "cmd",
    "default",
    "enable",
    "enableacl",
    "expires",
    "global",
    "login",
    "member",
    "message",
    "ms-chap",
    "name",
    "pap",
    "service",
];

impl Parser<'_> {
    /// `= NAME { ... }` of a user or group, whichever this is.
    pub(super) fn profile(&mut self, what: &'static str) -> Result<Profile, Problem> {
        let mut profile = Profile {
            name: self.named_block(what)?,
            ..Profile::default()
        };
        while let Some(keyword) = self.statement()? {
            self.profile_statement(&keyword, &mut profile)?;
        }
        Ok(profile)
    }

    fn profile_statement(&mut self, keyword: &Token, profile: &mut Profile) -> Result<(), Problem> {
        if keyword.kind == Kind::Quoted {
            return Err(self.unexpected(keyword, "a directive"));
        }
        let credentials = &mut profile.credentials;
        let (slot, no_password) = match keyword.text.as_slice() {
            b"login" => (&mut credentials.login, true),
            b"enable" => (&mut credentials.enable, true),
            b"pap" => (&mut credentials.pap, false),
            b"chap" => (&mut credentials.chap, false),
            b"ms-chap" => (&mut credentials.mschap, false),
            b"global" => (&mut credentials.global, false),
            _ => return self.other_statement(keyword, profile),
        };
        let what = String::from_utf8_lossy(&keyword.text);
        let credential = self.credential(&what, no_password)?;
        if what != "enable" {
            return set(slot, credential, keyword, &what);
        }
        self.set_last(slot, credential, keyword, &what);
        Ok(())
    }

    /// Stores what the original lets a file say twice: the last counts.
    pub(super) fn set_last<T>(
        &mut self,
        slot: &mut Option<T>,
        value: T,
        keyword: &Token,
        what: &str,
    ) {
        if slot.replace(value).is_some() {
            let message = format!("'{what}' is given twice: the last one counts");
            self.warnings.push(Problem::new(keyword.place, message));
        }
    }

    fn other_statement(&mut self, keyword: &Token, profile: &mut Profile) -> Result<(), Problem> {
        let what = String::from_utf8_lossy(&keyword.text).into_owned();
        match keyword.text.as_slice() {
            b"default" => self.default_service(keyword, profile),
            b"service" => {
                let service = self.service()?;
                profile.services.push(service);
                Ok(())
            }
            b"cmd" => {
                let command = self.command()?;
                profile.commands.push(command);
                Ok(())
            }
            b"arap" | b"opap" => {
                self.credential(&what, false)?;
                let problem =
                    Problem::new(keyword.place, format!("'{what}' is read and never used"))
                        .hint("RFC 8907 removed what it was for");
                self.warnings.push(problem);
                Ok(())
            }
            b"expires" => self.expires(keyword, profile),
            b"maxsess" => {
                self.number()?;
                self.warnings.push(
                    Problem::new(
                        keyword.place,
                        "'maxsess' has no effect: sessions are not counted",
                    )
                    .hint("let the devices limit them"),
                );
                Ok(())
            }
            b"before" | b"after" => {
                let authorization = self.next(Expect::Name)?;
                if authorization.text != b"authorization" {
                    return Err(self.unexpected(&authorization, "'authorization'"));
                }
                let line = self.optional_assignment("a command line")?;
                let slot = if what == "before" {
                    &mut profile.before
                } else {
                    &mut profile.after
                };
                self.set_last(slot, line, keyword, &format!("{what} authorization"));
                Ok(())
            }
            _ => self.text_statement(keyword, profile),
        }
    }

    /// Those that are `NAME = S`.
    fn text_statement(&mut self, keyword: &Token, profile: &mut Profile) -> Result<(), Problem> {
        let (slot, expected) = match keyword.text.as_slice() {
            b"acl" => (&mut profile.acl, "the name of an acl"),
            b"enableacl" => (&mut profile.enable_acl, "the name of an acl"),
            b"member" => (&mut profile.member, "a group's name"),
            b"message" | b"msg" => (&mut profile.message, "a message"),
            b"name" => (&mut profile.full_name, "a name"),
            _ => return Err(self.unknown(keyword, "directive", BODY)),
        };
        let value = self.assignment(expected)?;
        set(
            slot,
            value,
            keyword,
            &String::from_utf8_lossy(&keyword.text),
        )
    }

    fn expires(&mut self, keyword: &Token, profile: &mut Profile) -> Result<(), Problem> {
        let text = self.optional_assignment("a day")?;
        let place = text.place;
        let value = Date::parse(&text.value).unwrap_or_else(|| {
            self.warnings.push(
                Problem::new(place, "this is no day: nobody gets in by it")
                    .hint("expires = \"May 23 2027\""),
            );
            Date::NEVER
        });
        set(
            &mut profile.expires,
            At { value, place },
            keyword,
            "expires",
        )
    }

    fn default_service(&mut self, keyword: &Token, profile: &mut Profile) -> Result<(), Problem> {
        let what = self.next(Expect::Name)?;
        if what.text != b"service" {
            let problem = self.unexpected(&what, "'service' after 'default'");
            let hint = self.missing_brace(keyword).unwrap_or_else(|| {
                "'default service = permit' is about services and commands alike".to_owned()
            });
            return Err(problem.hint(hint));
        }
        let value = self.permission_assignment()?;
        set(
            &mut profile.default_service,
            value,
            keyword,
            "default service",
        )
    }

    fn permission_assignment(&mut self) -> Result<At<Permission>, Problem> {
        self.equals()?;
        let token = self.next(Expect::Name)?;
        match permission(&token.text) {
            Some(value) => Ok(At {
                value,
                place: token.place,
            }),
            None => Err(self.unexpected(&token, "'permit' or 'deny'")),
        }
    }

    /// `= exec|ppp protocol = X|NAME { ... }`.
    fn service(&mut self) -> Result<Service, Problem> {
        self.equals()?;
        let token = self.next(Expect::Name)?;
        if !matches!(token.kind, Kind::Word | Kind::Quoted) || token.text.is_empty() {
            return Err(self.unexpected(&token, "a service"));
        }
        // As in the original, a string in quotes is a name, whatever it says.
        let bare = token.kind == Kind::Word;
        let value = match token.text.as_slice() {
            b"exec" if bare => ServiceName::Exec,
            b"slip" if bare => ServiceName::Slip,
            b"arap" if bare => ServiceName::Arap,
            b"ppp" if bare => {
                let keyword = self.next(Expect::Name)?;
                if keyword.text != b"protocol" {
                    return Err(self
                        .unexpected(&keyword, "'protocol' after 'ppp'")
                        .hint("service = ppp protocol = ip {"));
                }
                self.equals()?;
                let protocol = self.next(Expect::Name)?;
                if !matches!(protocol.kind, Kind::Word | Kind::Quoted) || protocol.text.is_empty() {
                    return Err(self.unexpected(&protocol, "a protocol"));
                }
                ServiceName::Ppp(protocol.text.into())
            }
            name => ServiceName::Named(name.into()),
        };
        if token.text == b"shell" {
            self.warnings.push(
                Problem::new(
                    token.place,
                    "'shell' is called 'exec' in this file: this is never used",
                )
                .hint("service = exec"),
            );
        }
        if !bare && matches!(token.text.as_slice(), b"exec" | b"slip" | b"arap" | b"ppp") {
            let name = String::from_utf8_lossy(&token.text).into_owned();
            self.warnings.push(
                Problem::new(
                    token.place,
                    format!("in quotes this is another service than {name}"),
                )
                .hint(format!("service = {name}")),
            );
        }
        self.open()?;
        self.enter("service", token.place);
        let mut service = Service {
            name: At {
                value,
                place: token.place,
            },
            default_attribute: None,
            attributes: Vec::new(),
        };
        while let Some(word) = self.statement()? {
            self.service_statement(word, &mut service)?;
        }
        Ok(service)
    }

    fn service_statement(&mut self, word: Token, service: &mut Service) -> Result<(), Problem> {
        let bare = word.kind == Kind::Word;
        let next = self.peek(Expect::Name)?;
        if bare && word.text == b"default" && next.text == b"attribute" {
            self.next(Expect::Name)?;
            let value = self.permission_assignment()?;
            return set(
                &mut service.default_attribute,
                value,
                &word,
                "default attribute",
            );
        }
        let optional = bare && word.text == b"optional" && next.kind != Kind::Equals;
        let name = if optional {
            self.next(Expect::Name)?
        } else {
            word
        };
        if !matches!(name.kind, Kind::Word | Kind::Quoted) || name.text.is_empty() {
            return Err(self.unexpected(&name, "an argument's name"));
        }
        if self.peek(Expect::Name)?.kind != Kind::Equals {
            let problem = self.unexpected(&name, "an argument or '}'");
            if let Some(hint) = self.missing_brace(&name) {
                return Err(problem.hint(hint));
            }
            if name.text == b"default" {
                return Err(problem.hint(
                    "'default attribute = permit' here, 'default service = permit' outside, for commands too",
                ));
            }
        }
        let value = self.assignment("an argument's value")?;
        let place = Place {
            start: name.place.start,
            end: value.place.end,
        };
        let attribute = self.attribute(name.text, optional, value.value, place);
        service.attributes.extend(attribute);
        Ok(())
    }

    fn command(&mut self) -> Result<Command, Problem> {
        let name = self.named_block("cmd")?;
        if matches!(name.value.as_slice(), b"*" | b".*") {
            self.warnings.push(
                Problem::new(
                    name.place,
                    "the name of a command is no expression: this block is about one called so",
                )
                .hint("'default service = permit' is about all commands that have no block"),
            );
        }
        let mut rules = Vec::new();
        while let Some(keyword) = self.statement()? {
            let Some(permission) = permission(&keyword.text) else {
                return Err(self.unknown(&keyword, "word in a command", &["permit", "deny"]));
            };
            rules.push(Rule {
                permission,
                pattern: self.command_pattern(&keyword)?,
            });
        }
        Ok(Command { name, rules })
    }

    /// A regular expression, or nothing: the manual page writes a bare `deny` last, which matches everything.
    fn command_pattern(&mut self, keyword: &Token) -> Result<At<Vec<u8>>, Problem> {
        let next = self.peek(Expect::Value)?;
        let other_line = !self.source.same_line(keyword.place.start, next.place.start);
        let is_statement =
            other_line && next.kind == Kind::Word && permission(&next.text).is_some();
        if next.kind == Kind::Close || is_statement {
            return Ok(At {
                value: Vec::new(),
                place: keyword.place,
            });
        }
        self.string("a regular expression")
    }

    /// An argument as it goes on the wire, where its first separator decides whatever
    /// the name was meant to be; nothing of one that has no name there.
    fn attribute(
        &mut self,
        name: Vec<u8>,
        optional: bool,
        value: Vec<u8>,
        place: Place,
    ) -> Option<Attribute> {
        let mut wire = [name, b"=".to_vec(), value].concat();
        // Of a name that holds one, the original turns this.
        if optional && let Some(separator) = wire.iter_mut().find(|byte| **byte == b'=') {
            *separator = b'*';
        }
        let Some(argument) = Argument::parse(&wire) else {
            self.warnings.push(
                Problem::new(place, "an argument without a name is never sent")
                    .hint("NAME = VALUE, where the name holds neither '=' nor '*'"),
            );
            return None;
        };
        // RFC 8907 sections 3.7 and 6.1.
        let is_printable = wire.iter().all(|byte| (b' '..=b'~').contains(byte));
        if wire.len() > 255 || !is_printable {
            self.warnings.push(
                Problem::new(
                    place,
                    "this argument can never be sent: whoever gets it gets an ERROR",
                )
                .hint("an argument with its value is at most 255 bytes of printable US-ASCII"),
            );
        }
        Some(Attribute {
            name: At {
                value: argument.name.to_vec(),
                place,
            },
            value: argument.value.to_vec(),
            optional: !argument.mandatory,
        })
    }
}
