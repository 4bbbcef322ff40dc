//! The keys of an old `/etc/tacplus_servers`, and the words of a PAM line.
//!
//! Owns what they mean here. A secret given once is for every server before
//! it that has none, and for those after it up to the next one; a server that
//! ends without a secret is an error, never plain text on the wire.

use std::path::Path;
use std::sync::Arc;

use super::draft::{Here, ServerDraft, Shared};
use super::error::{Place, nearest};
use super::keys::Section;
use super::parse::Parser;
use super::types::{Address, FirstPass};
use super::values::{number, switch};
use crate::secret::Secret;

/// Keys that are good only outside of every section, with their help. The
/// others of an old file are those of `[global]`.
pub(super) static KEYS: &[(&str, &str)] = &[
    (
        "server",
        "address of a server, as address in [server NAME]. Servers are asked in the order of their lines",
    ),
    (
        "secret",
        "secret of every server before it that has none, and of those after it up to the next secret",
    ),
    (
        "weak_secret",
        "yes: those secrets may be shorter than 16 characters",
    ),
    (
        "user_homedir",
        "accepted without effect: home in [mapping] says where homes are",
    ),
    (
        "prefer_ip_version",
        "accepted without effect: the addresses of a name are tried in the resolver's order",
    ),
];

/// What a PAM line may say, with help.
pub(super) static PAM_WORDS: &[(&str, &str)] = &[
    (
        "conf=",
        "path of the configuration file, instead of /etc/tacplus.conf",
    ),
    (
        "include=",
        "a file that is read as if it were included at the end of the configuration file",
    ),
    (
        "server=",
        "a server; the servers of the file are not used then, nor is the agent. May be repeated",
    ),
    (
        "secret=",
        "secret of the servers on the line, as in an old file; without such servers, of every plain \
        server of the file. Everybody who can read the PAM line can read it: each login logs a warning",
    ),
    (
        "weak_secret",
        "that secret may be shorter than 16 characters",
    ),
    ("timeout=", "as in [global]"),
    ("login=", "as in [global]"),
    ("service=", "as in [global]"),
    ("protocol=", "as in [global]"),
    ("source_ip=", "as in [global]"),
    ("vrf=", "as in [global]"),
    ("acct_all", "as in [global]"),
    ("debug", "as in [global]"),
    (
        "prompt=",
        "what to ask for a password with; _ stands for a blank",
    ),
    (
        "try_first_pass",
        "use the password that an earlier module asked for, and ask if there is none",
    ),
    (
        "use_first_pass",
        "use the password that an earlier module asked for, and never ask",
    ),
    (
        "nodelay",
        "do not have libpam wait two seconds, give or take one, before a refusal",
    ),
];

impl Parser<'_> {
    /// Takes a key that only an old file has. Answers whether it was one.
    pub(super) fn old_entry(&mut self, key: &str, value: &str, place: &Place) -> bool {
        match key {
            "server" => self.old_server(value, place),
            "secret" => self.old_secret(value, place),
            "weak_secret" => match switch(value) {
                Some(weak) => self.draft.shared_weak = weak,
                None => self.problems.add(
                    place.clone(),
                    "bad value for 'weak_secret': expected yes or no",
                ),
            },
            "user_homedir" | "prefer_ip_version" => {
                let help = KEYS
                    .iter()
                    .find(|(name, _)| *name == key)
                    .map_or("", |(_, help)| help);
                self.draft
                    .warnings
                    .push(format!("{place}: '{key}' is {help}"));
            }
            // Old files count the levels of detail.
            "debug" if number::<u32>(value).is_some_and(|level| level > 1) => {
                self.draft.global.debug = true
            }
            _ => return false,
        }
        true
    }

    fn old_server(&mut self, value: &str, place: &Place) {
        if Address::parse(value, 49).is_none() {
            let expected = "192.0.2.10:49, [2001:db8::10]:49 or a name with or without :port";
            return self.problems.add(
                place.clone(),
                format!("bad value for 'server': expected {expected}"),
            );
        }
        let mut server = ServerDraft::new(value, place.clone());
        server.old = true;
        server.address = Some(value.to_owned());
        if let Some(shared) = &self.draft.shared {
            server.secret = Some(shared.secret.clone());
            server.secret_place = Some(shared.place.clone());
        }
        self.add_server(server);
    }

    fn old_secret(&mut self, value: &str, place: &Place) {
        if value.is_empty() {
            return;
        }
        if value.contains([' ', '\t']) {
            let text = "the secret holds a blank: it is used whole, where the old client cut it at the blank";
            self.draft.warnings.push(format!("{place}: {text}"));
        }
        let shared = Shared {
            secret: Arc::new(Secret::from_slice(value.as_bytes())),
            place: place.clone(),
        };
        for server in self
            .draft
            .servers
            .iter_mut()
            .filter(|server| server.old && server.secret.is_none())
        {
            server.secret = Some(shared.secret.clone());
            server.secret_place = Some(place.clone());
        }
        self.draft.shared = Some(shared);
    }

    /// Lets the words of a PAM line override what the files said.
    pub(super) fn pam_line(&mut self, words: &[&str]) {
        let place = Place::whole("PAM line");
        for path in values_of(words, "include") {
            self.file(Path::new(path), Some(&place), Some(Here::Global));
        }
        let of_files = std::mem::take(&mut self.draft.servers);
        let shared_of_files = self.draft.shared.take();
        for word in words {
            self.pam_word(word, &place);
        }
        if !self.draft.servers.is_empty() {
            self.draft.global.agent = None;
            return;
        }
        self.draft.servers = of_files;
        match self.draft.shared.take() {
            None => self.draft.shared = shared_of_files,
            Some(shared) => self.replace_secrets(&shared),
        }
    }

    fn pam_word(&mut self, word: &str, place: &Place) {
        let (name, value) = match word.split_once('=') {
            Some((name, value)) => (name, Some(value)),
            None => (word, None),
        };
        match (name, value) {
            // The module looks at it before it reads any configuration.
            ("nodelay", None) | ("conf" | "include", Some(_)) => {}
            ("try_first_pass", None) if self.draft.global.pass == FirstPass::None => {
                self.draft.global.pass = FirstPass::Try;
            }
            ("try_first_pass", None) => {}
            ("use_first_pass", None) => self.draft.global.pass = FirstPass::Use,
            ("prompt", Some(prompt)) => self.draft.global.prompt = Some(prompt.replace('_', " ")),
            ("weak_secret", None) => self.draft.shared_weak = true,
            ("server", Some(value)) => self.old_server(value, place),
            ("secret", Some(value)) => {
                let text = "everybody who can read the PAM line can read its secret=: move it to a secret_file";
                let warning = format!("{place}: {text}");
                if !self.draft.warnings.contains(&warning) {
                    self.draft.warnings.push(warning);
                }
                self.old_secret(value, place);
            }
            ("debug" | "acct_all", None) => self.pam_key(name, "yes", place),
            ("debug", Some(value)) if self.old_entry("debug", value, place) => {}
            (
                "timeout" | "login" | "service" | "protocol" | "source_ip" | "vrf" | "debug"
                | "acct_all",
                Some(value),
            ) => self.pam_key(name, value, place),
            _ => {
                let mut known = PAM_WORDS
                    .iter()
                    .map(|(known, _)| known.trim_end_matches('='));
                let text = match nearest(name, &mut known) {
                    Some(meant) if meant == name && value.is_none() => {
                        format!("'{name}' needs a value: {name}=VALUE")
                    }
                    Some(meant) if meant == name => format!("'{name}' takes no value"),
                    Some(meant) => format!("unknown word '{name}', did you mean '{meant}'?"),
                    None => "unknown word: tacplus.conf(5) lists those of a PAM line".to_owned(),
                };
                self.problems.add(place.clone(), text);
            }
        }
    }

    fn pam_key(&mut self, name: &str, value: &str, place: &Place) {
        if let Some(key) = Section::Global.find(name) {
            self.set(key, Here::Global, name, value, place);
        }
    }

    /// A `secret=` without a `server=`: that of every server which needs one.
    fn replace_secrets(&mut self, shared: &Shared) {
        let weak = self.draft.shared_weak;
        let unix = |address: &Option<String>| {
            address
                .as_ref()
                .is_some_and(|text| text.starts_with("unix:"))
        };
        for server in self
            .draft
            .servers
            .iter_mut()
            .filter(|server| !server.tls && !unix(&server.address))
        {
            server.secret = Some(shared.secret.clone());
            server.secret_place = Some(shared.place.clone());
            server.secret_file = None;
            server.weak |= weak;
        }
    }
}

/// The values of `name=` on a PAM line.
pub(super) fn values_of<'a>(words: &[&'a str], name: &str) -> impl Iterator<Item = &'a str> {
    words
        .iter()
        .filter_map(move |word| word.strip_prefix(name)?.strip_prefix('='))
}
