//! The grammar of users and groups, which share one body.
//!
//! Owns what may stand in it: passwords, services, commands. Must never resolve
//! a name; groups may be used before they are defined.

use super::lexer::{Expect, Kind, Token};
use super::parser::{Parser, permission, set, unsupported};
use crate::policy::draft::{
    At, Attribute, Command, Date, Permission, Place, Problem, Profile, Rule, Service, ServiceName,
};

const BODY: &[&str] = &[
    "acl",
    "chap",
    "cmd",
    "default",
    "enable",
    "enableacl",
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
    /// `= NAME { ... }` of a user or group.
    pub(super) fn profile(&mut self) -> Result<Profile, Problem> {
        let mut profile = Profile {
            name: self.named_block()?,
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
        set(slot, credential, keyword, &what)
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
            b"member" => set(
                &mut profile.member,
                self.assignment("a group's name")?,
                keyword,
                &what,
            ),
            b"acl" => set(
                &mut profile.acl,
                self.assignment("the name of an acl")?,
                keyword,
                &what,
            ),
            b"enableacl" => set(
                &mut profile.enable_acl,
                self.assignment("the name of an acl")?,
                keyword,
                &what,
            ),
            b"name" => set(
                &mut profile.full_name,
                self.assignment("a name")?,
                keyword,
                &what,
            ),
            b"message" | b"msg" => {
                let message = self.assignment("a message")?;
                let problem = Problem::new(keyword.place, "a message is shown to nobody yet");
                self.warnings.push(problem);
                set(&mut profile.message, message, keyword, &what)
            }
            b"arap" | b"opap" => {
                self.credential(&what, false)?;
                let problem =
                    Problem::new(keyword.place, format!("'{what}' is read and never used"))
                        .hint("RFC 8907 removed what it was for");
                self.warnings.push(problem);
                Ok(())
            }
            b"expires" => {
                let text = self.optional_assignment("a day")?;
                let value = Date::parse(&text.value).unwrap_or(Date::NEVER);
                let place = text.place;
                set(&mut profile.expires, At { value, place }, keyword, &what)
            }
            b"maxsess" => Err(unsupported(keyword.place, &what)),
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
                set(slot, line, keyword, &format!("{what} authorization"))
            }
            _ => Err(self.unknown(keyword, "directive", BODY)),
        }
    }

    fn default_service(&mut self, keyword: &Token, profile: &mut Profile) -> Result<(), Problem> {
        let what = self.next(Expect::Name)?;
        if what.text != b"service" {
            return Err(self.unexpected(&what, "'service' after 'default'"));
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
        let value = match token.text.as_slice() {
            b"exec" | b"shell" => ServiceName::Exec,
            b"slip" => ServiceName::Slip,
            b"arap" => ServiceName::Arap,
            b"ppp" => {
                let keyword = self.next(Expect::Name)?;
                if keyword.text != b"protocol" {
                    return Err(self
                        .unexpected(&keyword, "'protocol' after 'ppp'")
                        .hint("service = ppp protocol = ip {"));
                }
                self.equals()?;
                let protocol = self.next(Expect::Name)?;
                if !matches!(protocol.kind, Kind::Word | Kind::Quoted) {
                    return Err(self.unexpected(&protocol, "a protocol"));
                }
                ServiceName::Ppp(protocol.text.into())
            }
            name => ServiceName::Named(name.into()),
        };
        self.open()?;
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
        let value = self.assignment("an argument's value")?;
        let place = Place {
            start: name.place.start,
            end: value.place.end,
        };
        check_attribute(&name.text, &value.value, place)?;
        service.attributes.push(Attribute {
            name: At {
                value: name.text,
                place,
            },
            value: value.value,
            optional,
        });
        Ok(())
    }

    fn command(&mut self) -> Result<Command, Problem> {
        let name = self.named_block()?;
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
}

/// What can never be sent is an error here, not at the first request.
fn check_attribute(name: &[u8], value: &[u8], place: Place) -> Result<(), Problem> {
    if name.iter().any(|byte| matches!(byte, b'=' | b'*')) {
        return Err(
            Problem::new(place, "an argument's name cannot hold '=' or '*'")
                .hint("write 'optional NAME = VALUE' for an optional argument"),
        );
    }
    // RFC 8907 section 6.1: the length of an argument is one byte.
    if name.len() + 1 + value.len() > 255 {
        return Err(Problem::new(
            place,
            "an argument with its value is at most 255 bytes long",
        ));
    }
    if name
        .iter()
        .chain(value)
        .any(|byte| !(b' '..=b'~').contains(byte))
    {
        return Err(Problem::new(place, "an argument is printable US-ASCII"));
    }
    Ok(())
}
