//! The grammar of passwords: `= cleartext S`, `= des S`, `= file S` and so on.
//!
//! Owns which kind of password may stand where. Must never let a word that may be
//! one into a message.

use std::sync::Arc;

use tacacs_common::secret::Secret;

use super::lexer::{Expect, Kind, Token};
use super::parser::{Parser, file_name};
use crate::policy::draft::{At, Credential, Place, Problem};
use crate::policy::is_des;

/// The kinds of password that may stand here, and which of them a word of other servers
/// means.
fn kinds(what: &str, no_password: bool, word: &[u8]) -> String {
    let mut known = vec!["cleartext \"...\""];
    if !matches!(what, "chap" | "ms-chap" | "arap" | "opap") {
        known.extend(["des \"$6$...\"", "file PATH"]);
        if what != "enable" {
            known.push("PAM");
        }
    }
    if no_password {
        known.push("nopassword");
    }
    let known = format!("{what} = {}", known.join(" | "));
    match word.to_ascii_lowercase().as_slice() {
        b"pam" => format!("{known}; PAM in capitals"),
        b"crypt" | b"md5" | b"sha256" | b"sha512" => {
            format!("{known}; 'des' takes every format of crypt(3)")
        }
        b"mavis" => format!("{known}; mavis belongs to tac_plus-ng, another language"),
        _ => known,
    }
}

/// A string that crypt(3) gives for no password.
const NOBODYS: &[u8] = b"*";

impl Parser<'_> {
    /// What stands after a password's name; `nopassword` only where that is allowed.
    pub(super) fn credential(
        &mut self,
        what: &str,
        no_password: bool,
    ) -> Result<At<Arc<Credential>>, Problem> {
        self.secret_equals()?;
        let kind = self.next(Expect::Name)?;
        let (credential, place) = match (kind.kind, kind.text.as_slice()) {
            (Kind::Word, b"cleartext") => self.cleartext()?,
            (Kind::Word, b"des") => {
                self.refuse_for_challenges(what, &kind)?;
                self.hash()?
            }
            (Kind::Word, b"file") => {
                self.refuse_for_challenges(what, &kind)?;
                let path = self.string("a file name")?;
                let place = path.place;
                (Credential::File(file_name(path)), place)
            }
            (Kind::Word, b"PAM") if what != "enable" => {
                self.refuse_for_challenges(what, &kind)?;
                (Credential::Pam, kind.place)
            }
            (Kind::Word, b"PAM") => {
                return Err(Problem::new(
                    kind.place,
                    "PAM cannot raise privileges: it knows users, not levels",
                )
                .hint("enable = cleartext, des, file or nopassword"));
            }
            (Kind::Word, b"nopassword") if no_password => (Credential::NoPassword, kind.place),
            (Kind::Word, b"nopassword") => {
                return Err(Problem::new(
                    kind.place,
                    "'nopassword' is for login and enable only",
                ));
            }
            (Kind::Word, b"skey" | b"aceclnt") => {
                let name = String::from_utf8_lossy(&kind.text).into_owned();
                return Err(Problem::new(
                    kind.place,
                    format!(
                        "'{name}' passwords are not supported: there is no such library any more"
                    ),
                )
                .hint(format!(
                    "{what} = PAM, with a module for one-time passwords"
                )));
            }
            // Whoever forgets 'cleartext' has the password here.
            _ => {
                self.source.hide(kind.place);
                return Err(Problem::new(
                    kind.place,
                    format!("'{what} =' must be followed by the kind of password"),
                )
                .hint(kinds(what, no_password, &kind.text)));
            }
        };
        Ok(At {
            value: Arc::new(credential),
            place,
        })
    }

    /// Whoever checks the answer to a challenge needs the password itself.
    fn refuse_for_challenges(&self, what: &str, kind: &Token) -> Result<(), Problem> {
        if !matches!(what, "chap" | "ms-chap" | "arap" | "opap") {
            return Ok(());
        }
        let kind_name = String::from_utf8_lossy(&kind.text);
        Err(Problem::new(
            kind.place,
            format!("'{what}' needs the password itself, which '{kind_name}' does not have"),
        )
        .hint(format!("{what} = cleartext \"...\"")))
    }

    fn cleartext(&mut self) -> Result<(Credential, Place), Problem> {
        let token = self.next(Expect::Secret)?;
        let place = token.place;
        let secret = self.secret(token, "a password")?;
        if !secret.is_empty() {
            return Ok((Credential::Clear(secret), place));
        }
        self.warnings.push(
            Problem::new(place, "an empty password lets nobody in")
                .hint("'nopassword' asks for none"),
        );
        Ok((Credential::Hash(Secret::from_slice(NOBODYS)), place))
    }

    /// What crypt(3) made of a password.
    fn hash(&mut self) -> Result<(Credential, Place), Problem> {
        let token = self.next(Expect::Secret)?;
        let place = token.place;
        let hash = self.secret(token, "what crypt(3) made of a password")?;
        if is_des(&hash) {
            self.warnings.push(
                Problem::new(
                    place,
                    "DES reads eight characters of a password and is soon guessed",
                )
                .hint("tac_pwd makes better ones"),
            );
        } else if !hash.expose().starts_with(b"$") && hash.expose() != NOBODYS {
            self.warnings.push(
                Problem::new(
                    place,
                    "this is nothing that crypt(3) makes: it lets nobody in",
                )
                .hint("tac_pwd makes what belongs here"),
            );
        }
        Ok((Credential::Hash(hash), place))
    }
}
