//! A configuration as text, as `tacplus check` prints it.
//!
//! Owns the normal form: every key with the value that counts. Must never
//! print a secret, nor its length.

use std::fmt::{Display, Write};
use std::path::PathBuf;
use std::time::Duration;

use super::types::*;

/// Collects lines; writing to a `String` cannot fail.
struct Text(String);

impl Text {
    fn section(&mut self, title: &str) {
        if !self.0.is_empty() {
            self.0.push('\n');
        }
        let _ = writeln!(self.0, "[{title}]");
    }

    fn key(&mut self, name: &str, value: impl Display) {
        let line = format!("{name:<16} = {value}");
        let _ = writeln!(self.0, "{}", line.trim_end());
    }
}

impl Config {
    /// The whole configuration with every default filled in, in the form of
    /// the file. Secrets are left out.
    pub fn show(&self) -> String {
        let mut text = Text(String::new());
        show_global(&mut text, &self.global);
        for server in &self.servers {
            show_server(&mut text, server);
        }
        show_mapping(&mut text, &self.mapping);
        text.section("accounting");
        text.key("commands", switch(self.accounting.commands));
        text.key("users", word(&self.accounting.users));
        text.key("mask", self.accounting.mask.display());
        text.key("local_log", switch(self.accounting.local_log));
        text.0
    }
}

fn show_global(text: &mut Text, global: &Global) {
    text.section("global");
    text.key("timeout", seconds(global.timeout));
    text.key("authen_timeout", seconds(global.authen_timeout));
    text.key("deadline", seconds(global.deadline));
    text.key("hold_down", seconds(global.hold_down));
    text.key("login", word(&global.login));
    text.key("prompt", optional(&global.prompt).replace(' ', "_"));
    text.key("dialogues", global.dialogues);
    text.key("local_ports", switch(global.local_ports));
    text.key("service", &global.service);
    text.key("protocol", optional(&global.protocol));
    text.key("source_ip", source(&global.source));
    text.key("vrf", optional(&global.vrf));
    text.key("agent", optional_path(&global.agent));
    text.key("agent_fallback", word(&global.agent_fallback));
    text.key("acct_all", switch(global.acct_all));
    text.key("acct_required", switch(global.acct_required));
    text.key("exclude_users", global.exclude_users.join(" "));
    text.key("min_uid", global.min_uid);
    text.key("skip_services", global.skip_services.join(" "));
    text.key("unreachable", word(&global.unreachable));
    text.key("fallback_users", &global.fallback_users);
    text.key("offline_hours", global.offline_hours);
    text.key("debug", switch(global.debug));
    text.key("allow_mixed", switch(global.allow_mixed));
}

fn show_server(text: &mut Text, server: &Server) {
    text.section(&format!("server {}", server.name));
    text.key("address", &server.address);
    match &server.secret {
        None => {}
        Some(SecretSource::Inline(_)) => text.key("; secret", "(not shown)"),
        Some(SecretSource::File(file)) => {
            text.key("secret_file", file.path.display());
            text.key("weak_secret", switch(file.weak));
        }
    }
    let roles = [
        ("authentication", server.roles.authentication),
        ("authorization", server.roles.authorization),
        ("accounting", server.roles.accounting),
    ];
    let roles: Vec<&str> = roles
        .iter()
        .filter(|(_, has)| *has)
        .map(|(role, _)| *role)
        .collect();
    text.key("roles", roles.join(" "));
    text.key("single_connect", word(&server.single_connect));
    text.key("timeout", seconds(server.timeout));
    text.key("source_ip", source(&server.source));
    text.key("vrf", optional(&server.vrf));
    text.key("tls", switch(server.tls.is_some()));
    if let Some(tls) = &server.tls {
        text.key("tls_ca", optional_path(&tls.ca));
        text.key("tls_cert", optional_path(&tls.cert));
        text.key("tls_key", optional_path(&tls.key));
        text.key("tls_name", optional(&tls.name));
        text.key("tls_crl", optional_path(&tls.crl));
    }
}

fn show_mapping(text: &mut Text, mapping: &Mapping) {
    text.section("mapping");
    text.key("mode", word(&mapping.mode));
    text.key("unknown", word(&mapping.unknown));
    text.key("login_programs", mapping.login_programs.join(" "));
    text.key("lookup_programs", mapping.lookup_programs.join(" "));
    text.key(
        "uid_range",
        format_args!("{}-{}", mapping.uid_range.start(), mapping.uid_range.end()),
    );
    text.key("uid_key_file", optional_path(&mapping.uid_key_file));
    text.key("user_prefix", &mapping.user_prefix);
    text.key("home", &mapping.home);
    text.key("shell", mapping.shell.display());
    text.key("gecos_attribute", optional(&mapping.gecos_attribute));
    text.key("home_attribute", optional(&mapping.home_attribute));
    text.key("shell_attribute", optional(&mapping.shell_attribute));
    for (level, groups) in &mapping.groups {
        text.key(&format!("groups.{level}"), groups.join(" "));
    }
    text.key("env_allow", mapping.env_allow.join(" "));
    text.key("handled", mapping.handled.join(" "));
    text.key("case", word(&mapping.case));
}

fn seconds(duration: Duration) -> u64 {
    duration.as_secs()
}

fn switch(on: bool) -> &'static str {
    if on { "yes" } else { "no" }
}

fn optional(value: &Option<String>) -> &str {
    value.as_deref().unwrap_or_default()
}

fn optional_path(value: &Option<PathBuf>) -> impl Display {
    value.as_deref().unwrap_or_else(|| "".as_ref()).display()
}

fn source(source: &Source) -> String {
    let addresses = [
        source.v4.map(|ip| ip.to_string()),
        source.v6.map(|ip| ip.to_string()),
    ];
    addresses
        .into_iter()
        .flatten()
        .collect::<Vec<_>>()
        .join(" ")
}

/// The word of a file for a value whose Rust name is that word.
fn word(value: &impl std::fmt::Debug) -> String {
    format!("{value:?}").to_ascii_lowercase()
}
