//! The grammar of `host`: a client, or a network of clients.
//!
//! Owns what may stand in it. Words that the original does not have are keywords
//! inside this block only.

use std::net::IpAddr;

use super::lexer::Token;
use super::parser::{Parser, set};
use crate::policy::draft::{At, Date, Host, Key, Lenient, Network, Place, Problem, TlsName};

pub(super) const BODY: &[&str] = &[
    "enable", "key", "lenient", "name", "nameless", "prompt", "tls", "warn",
];

impl Parser<'_> {
    /// `= ADDRESS { ... }`; only the place of a host by name, which is no client here.
    pub(super) fn host(&mut self) -> Result<Result<Host, Place>, Problem> {
        let name = self.named_block("host")?;
        let text = String::from_utf8_lossy(&name.value).into_owned();
        let network = network(&text).map_err(|error| {
            Problem::new(name.place, error).hint("192.0.2.1, 192.0.2.0/24 or 2001:db8::/32")
        })?;
        let mut host = Host {
            network: At {
                value: network.unwrap_or(Network::host(IpAddr::from([0, 0, 0, 0]))),
                place: name.place,
            },
            name: None,
            keys: Vec::new(),
            prompt: None,
            enable: None,
            ask_enable_name: false,
            lenient: Lenient::default(),
            tls_names: Vec::new(),
        };
        while let Some(keyword) = self.statement()? {
            self.host_statement(&keyword, &mut host)?;
        }
        if network.is_none() {
            let text = text.escape_debug();
            self.warnings.push(
                Problem::new(
                    name.place,
                    format!("host '{text}' is no address: no client is known by a name, so it is never used"),
                )
                .hint("write its address: whoever answers for the name service could pose as it"),
            );
        }
        Ok(network.map(|_| host).ok_or(name.place))
    }

    fn host_statement(&mut self, keyword: &Token, host: &mut Host) -> Result<(), Problem> {
        match keyword.text.as_slice() {
            b"key" => {
                let secret = self.secret_assignment()?;
                host.keys.push(Key { secret, warn: None });
                Ok(())
            }
            b"warn" => {
                let day = self.assignment("a day")?;
                let date = Date::parse(&day.value).ok_or_else(|| {
                    Problem::new(day.place, "this is no day").hint("warn = 2026-12-31")
                })?;
                let Some(key) = host.keys.last_mut() else {
                    return Err(Problem::new(
                        keyword.place,
                        "'warn' belongs to the 'key' before it, and there is none",
                    ));
                };
                set(&mut key.warn, date, keyword, "warn")
            }
            b"prompt" => {
                let prompt = self.assignment("a prompt")?;
                let prompt = self.prompt(prompt);
                set(&mut host.prompt, prompt, keyword, "prompt")
            }
            b"name" => {
                let name = self.client_name()?;
                set(&mut host.name, name, keyword, "name")
            }
            b"enable" => {
                let enable = self.credential("enable", true)?;
                set(&mut host.enable, enable, keyword, "enable")
            }
            b"lenient" => {
                host.lenient.forgive(self.choice(&Lenient::WORDS)?);
                Ok(())
            }
            b"nameless" => {
                self.second(keyword, &["enable"])?;
                host.ask_enable_name = self.choice(&["ask", "allow"])? == "ask";
                Ok(())
            }
            b"tls" => {
                let name = self.tls_name()?;
                host.tls_names.push(name);
                Ok(())
            }
            b"acl" | b"enableacl" => {
                let problem = self.unknown(keyword, "word in a host", BODY);
                Err(match self.missing_brace(keyword) {
                    Some(_) => problem,
                    None => problem.hint("an acl is named by users and groups: it says from which hosts they may ask"),
                })
            }
            _ => Err(self.unknown(keyword, "word in a host", BODY)),
        }
    }

    /// What can never be sent is taken out here, not at the first login (RFC 8907 section 3.7).
    fn prompt(&mut self, prompt: At<Vec<u8>>) -> At<Vec<u8>> {
        let is_bad = |c: char| c.is_control() && !matches!(c, '\n' | '\r' | '\t');
        let text = String::from_utf8_lossy(&prompt.value);
        if text.as_bytes() == prompt.value && !text.contains(is_bad) {
            return prompt;
        }
        self.warnings.push(Problem::new(
            prompt.place,
            "a prompt is UTF-8 text without control characters: what is not is left out",
        ));
        let text = text.replace(|c| is_bad(c) || c == '\u{fffd}', "");
        At {
            value: text.into_bytes(),
            place: prompt.place,
        }
    }

    /// What programs and log lines may call the client.
    fn client_name(&mut self) -> Result<String, Problem> {
        let name = self.assignment("a name")?;
        let text = String::from_utf8_lossy(&name.value).into_owned();
        if is_dns_name(&text.to_ascii_lowercase()) {
            Ok(text)
        } else {
            Err(Problem::new(
                name.place,
                "a client's name is made of letters, digits, '.', '-' and '_'",
            ))
        }
    }

    /// `name = DNS-NAME-OR-ADDRESS` after `tls`.
    fn tls_name(&mut self) -> Result<At<TlsName>, Problem> {
        let word = self.next(super::lexer::Expect::Name)?;
        if word.text != b"name" {
            return Err(self.unexpected(&word, "'name' after 'tls'"));
        }
        let name = self.assignment("a name")?;
        let text = String::from_utf8_lossy(&name.value).to_ascii_lowercase();
        let value = match text.parse() {
            Ok(address) => Some(TlsName::Address(IpAddr::to_canonical(&address))),
            Err(_) => is_dns_name(&text).then_some(TlsName::Dns(text)),
        };
        value
            .map(|value| At {
                value,
                place: name.place,
            })
            .ok_or_else(|| {
                Problem::new(
                    name.place,
                    "this can be neither a dNSName nor an iPAddress of a certificate",
                )
                .hint("tls name = router1.example.net")
            })
    }
}

/// The network of an address with or without a prefix length; `None` for a name.
fn network(text: &str) -> Result<Option<Network>, String> {
    let (address, prefix) = match text.split_once('/') {
        Some((address, prefix)) => (address, Some(prefix)),
        None => (text, None),
    };
    let Ok(address) = address.parse::<IpAddr>() else {
        // Whatever it is, the original takes it for a name.
        return match prefix {
            None => Ok(None),
            Some(_) => {
                let text = text.escape_debug();
                Err(format!("'{text}' is neither an address nor a network"))
            }
        };
    };
    let Some(prefix) = prefix else {
        return Ok(Some(Network::host(address)));
    };
    let network = prefix
        .parse()
        .ok()
        .and_then(|prefix| Network::of(address, prefix));
    let network =
        network.ok_or_else(|| format!("'/{}' is no prefix length of it", prefix.escape_debug()))?;
    if network.address() != address.to_canonical() {
        return Err(format!(
            "the network is {network}: '{address}' is an address in it"
        ));
    }
    Ok(Some(network))
}

/// Lower-case labels of letters, digits, `-` and `_` between dots.
fn is_dns_name(text: &str) -> bool {
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && label
                .bytes()
                .all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_'))
    };
    text.len() <= 253 && text.split('.').all(is_label)
}
