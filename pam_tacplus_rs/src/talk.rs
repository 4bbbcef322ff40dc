//! Talking with the person: passwords, the server's questions, its messages.
//!
//! Owns what may be shown and what may be sent. Text of a server is escaped and
//! bounded before a terminal sees it; a password that is none never leaves.

use tacacs_common::config::{FirstPass, Global};
use tacacs_common::escape;
use tacacs_common::exchange::authen::Ask;
use tacacs_common::secret::Secret;

use crate::call::Call;
use crate::handle::{Note, Token};
use crate::outcome::End;

/// What sshd gives to PAM in the place of the password when the user may not log
/// in, repeated and cut to the length of what was typed.
const FAKE: &[u8] = b"\x08\n\r\x7fINCORRECT";

/// Longest text of a server that is shown. The protocol allows 64 KiB; no prompt
/// needs them and some applications have short buffers.
const MAX_TEXT: usize = 4096;

/// What to ask for a password with where nobody says.
pub(crate) const PROMPT: &str = "Password: ";

/// Whether an answer is sshd's substitute and not something a person typed.
pub(crate) fn is_fake(answer: &[u8]) -> bool {
    !answer.is_empty() && answer.iter().zip(FAKE.iter().cycle()).all(|(a, b)| a == b)
}

/// Whether a password can be one. An empty password is never asked about: some
/// directories behind servers take it for an anonymous login, which always works.
fn refuse(call: &Call<'_>, password: &Secret) -> Result<(), End> {
    let why = if password.is_empty() {
        "the password is empty"
    } else if is_fake(password.expose()) {
        "sshd has already refused this user"
    } else {
        return Ok(());
    };
    call.debug(|| format!("nothing is sent to a server: {why}"));
    Err(End::Refused)
}

/// The password that an earlier module asked for, as far as this line of the stack
/// wants it.
pub(crate) fn first_pass(call: &Call<'_>, global: &Global) -> Result<Option<Secret>, End> {
    let token = match global.pass {
        FirstPass::None => None,
        FirstPass::Try | FirstPass::Use => call
            .handle
            .token(Token::Password)
            .filter(|token| !token.is_empty()),
    };
    if token.is_none() && global.pass == FirstPass::Use {
        call.debug(|| "use_first_pass, and no earlier module asked for a password".to_owned());
        return Err(End::Refused);
    }
    Ok(token)
}

/// The password for a way of authenticating that sends it at once.
pub(crate) fn password(call: &mut Call<'_>, global: &Global) -> Result<Secret, End> {
    if let Some(token) = first_pass(call, global)? {
        refuse(call, &token)?;
        return Ok(token);
    }
    ask_password(call, global.prompt.as_deref().unwrap_or(PROMPT))
}

/// Asks for a password, and hands it to the modules that follow.
pub(crate) fn ask_password(call: &mut Call<'_>, prompt: &str) -> Result<Secret, End> {
    let password = call.handle.ask(false, prompt).ok_or(End::NoAnswer)?;
    call.handle.set_token(Token::Password, &password);
    refuse(call, &password)?;
    Ok(password)
}

/// Checks a password from the stack or from the person before it is sent.
pub(crate) fn checked(call: &Call<'_>, password: Secret) -> Result<Secret, End> {
    refuse(call, &password).map(|()| password)
}

/// Puts a question of the server to the person. An empty answer is an answer (RFC
/// 8907 section 5.4): the caller knows where it is not.
pub(crate) fn ask(call: &mut Call<'_>, question: &Ask<'_>, default: &str) -> Result<Secret, End> {
    let prompt = prompt(question, default);
    let answer = call
        .handle
        .ask(question.echo, &prompt)
        .ok_or(End::NoAnswer)?;
    if is_fake(answer.expose()) {
        return Err(End::Refused);
    }
    Ok(answer)
}

/// The words of a question.
pub(crate) fn prompt(question: &Ask<'_>, default: &str) -> String {
    if question.prompt.is_empty() {
        default.to_owned()
    } else {
        shown(question.prompt)
    }
}

/// Passes a message of the server on.
pub(crate) fn tell(call: &mut Call<'_>, note: Note, server_msg: &[u8]) {
    let text = shown(server_msg);
    // The application ends the line itself.
    let text = text.trim_end();
    if !call.is_silent() && !text.is_empty() {
        call.handle.tell(note, text);
    }
}

/// Text of a server as a person may see it.
fn shown(bytes: &[u8]) -> String {
    let mut text = escape::text(bytes.get(..MAX_TEXT).unwrap_or(bytes));
    while text.len() > MAX_TEXT {
        text.pop();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sshds_fake_password_is_known_at_every_length() {
        let whole: Vec<u8> = FAKE.iter().copied().cycle().take(60).collect();
        for len in 1..=whole.len() {
            assert!(is_fake(&whole[..len]), "{len} bytes");
        }
        for real in [
            &b""[..],
            b"INCORRECT",
            b"secret",
            b"\x08",
            b"\x08\n\r\x7fINCORRECt",
            b"\x08secret",
            b"\n",
        ] {
            assert_eq!(is_fake(real), real == b"\x08", "{real:?}");
        }
    }

    #[test]
    fn a_servers_text_is_escaped_and_bounded() {
        assert_eq!(shown(b"\x1b]0;x\x07Code:\n "), "\\x1b]0;x\\x07Code:\n ");
        let long = shown(&[0x1b; 65535]);
        assert!(long.len() <= MAX_TEXT, "{}", long.len());
        assert_eq!(shown("é".repeat(4000).as_bytes()).len(), MAX_TEXT);
    }
}
