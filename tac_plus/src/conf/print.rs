//! The normalised form of a configuration: `tac_plus -P`.
//!
//! Owns its layout. Must never print a secret: keys and passwords show as `***`.

use std::fmt::{Display, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::time::Duration;

use crate::policy::draft::{
    AccountingFormat, At, Credential, Credentials, Draft, Host, Limits, Permission, Profile, Rule,
    Service, ServiceName, Settings, Tls,
};

/// Everything the draft says, one directive a line.
pub(super) fn normalised(draft: &Draft) -> String {
    let mut out = Out(String::new());
    if draft.key.is_some() {
        out.line(0, "key = ***");
    }
    if let Some(credential) = draft.default_authentication.as_deref_credential() {
        out.credential(0, "default authentication", Some(credential));
    }
    for word in draft.lenient.words() {
        out.value("lenient", word);
    }
    out.settings(&draft.settings);
    out.tls(&draft.settings.tls);
    for acl in &draft.acls {
        out.line(0, &format!("acl = {} {{", quoted(&acl.name.value)));
        out.rules(1, &acl.rules, " = ");
        out.line(0, "}");
    }
    for host in &draft.hosts {
        out.host(host);
    }
    for (kind, profiles) in [("group", &draft.groups), ("user", &draft.users)] {
        for profile in profiles {
            out.profile(kind, profile);
        }
    }
    out.0
}

struct Out(String);

impl Out {
    fn line(&mut self, depth: usize, text: &str) {
        // Writing to a String cannot fail.
        let _ = writeln!(self.0, "{:width$}{text}", "", width = depth * 4);
    }

    fn text(&mut self, name: &str, value: Option<&At<Vec<u8>>>) {
        if let Some(value) = value {
            self.line(1, &format!("{name} = {}", quoted(&value.value)));
        }
    }

    fn value(&mut self, name: &str, value: impl Display) {
        self.line(0, &format!("{name} = {value}"));
    }

    fn path(&mut self, name: &str, path: Option<&PathBuf>) {
        if let Some(path) = path {
            self.value(name, quoted(path.as_os_str().as_bytes()));
        }
    }

    fn seconds(&mut self, name: &str, value: Option<Duration>) {
        if let Some(value) = value {
            self.value(name, value.as_secs());
        }
    }

    /// What is as it would be without a word is not said.
    fn settings(&mut self, settings: &Settings) {
        let usual = Settings::default();
        self.path("accounting file", settings.accounting_file.as_ref());
        for (said, line) in [
            (settings.accounting_syslog, "accounting syslog"),
            (settings.accounting_sync, "accounting sync = yes"),
            (
                settings.accounting_format == AccountingFormat::Json,
                "accounting format = json",
            ),
            (settings.log_authorization, "logauthor"),
            (settings.log_json, "log format = json"),
            (settings.callout_shell, "callout shell = yes"),
            (settings.password_change, "password change = yes"),
            (settings.refuse_weak_keys, "weak keys = refuse"),
        ] {
            if said {
                self.line(0, line);
            }
        }
        if let Some(facility) = &settings.facility {
            self.value("logging", facility);
        }
        if settings.callout_timeout != usual.callout_timeout {
            self.seconds("callout timeout", Some(settings.callout_timeout));
        }
        if settings.throttle != usual.throttle {
            self.seconds("throttle", Some(settings.throttle));
        }
        if settings.pam_service != usual.pam_service {
            self.value("pam service", quoted(settings.pam_service.as_bytes()));
        }
        for address in &settings.listen {
            self.value("listen", address);
        }
        self.limits(&settings.limits);
    }

    fn limits(&mut self, limits: &Limits) {
        for (name, number) in [
            ("limit body", limits.body),
            ("limit rounds", limits.rounds),
            ("limit sessions", limits.sessions),
            ("limit connections", limits.connections),
            (
                "limit connections-per-client",
                limits.connections_per_client,
            ),
        ] {
            if let Some(number) = number {
                self.value(name, number);
            }
        }
        self.seconds("limit first-packet", limits.first_packet);
        self.seconds("limit packet", limits.packet);
        self.seconds("limit answer", limits.answer);
        self.seconds("limit idle", limits.idle);
    }

    fn tls(&mut self, tls: &Tls) {
        for address in &tls.listen {
            self.value("tls listen", address);
        }
        self.path("tls certificate", tls.certificate.as_ref());
        self.path("tls key", tls.key.as_ref());
        self.path("tls ca", tls.ca.as_ref());
        for path in &tls.crl {
            self.path("tls crl", Some(path));
        }
        self.seconds("tls ticket-lifetime", tls.ticket_lifetime);
    }

    fn host(&mut self, host: &Host) {
        self.line(0, &format!("host = {} {{", host.network.value));
        if let Some(name) = &host.name {
            self.line(1, &format!("name = {name}"));
        }
        for key in &host.keys {
            self.line(1, "key = ***");
            if let Some(date) = key.warn {
                self.line(1, &format!("warn = {date}"));
            }
        }
        for name in &host.tls_names {
            self.line(1, &format!("tls name = {}", name.value));
        }
        for word in host.lenient.words() {
            self.line(1, &format!("lenient = {word}"));
        }
        if host.ask_enable_name {
            self.line(1, "nameless enable = ask");
        }
        self.text("prompt", host.prompt.as_ref());
        self.credential(1, "enable", host.enable.as_deref_credential());
        self.line(0, "}");
    }

    fn credential(&mut self, depth: usize, name: &str, credential: Option<&Credential>) {
        let kind = match credential {
            None => return,
            Some(Credential::Clear(_)) => "cleartext ***".to_owned(),
            Some(Credential::Hash(_)) => "des ***".to_owned(),
            Some(Credential::File(path)) => {
                format!("file {}", quoted(path.as_os_str().as_bytes()))
            }
            Some(Credential::Pam) => "PAM".to_owned(),
            Some(Credential::NoPassword) => "nopassword".to_owned(),
        };
        self.line(depth, &format!("{name} = {kind}"));
    }

    fn rules(&mut self, depth: usize, rules: &[Rule], separator: &str) {
        for rule in rules {
            let pattern = quoted(&rule.pattern.value);
            self.line(
                depth,
                &format!("{}{separator}{pattern}", word(rule.permission)),
            );
        }
    }

    fn profile(&mut self, kind: &str, profile: &Profile) {
        self.line(0, &format!("{kind} = {} {{", quoted(&profile.name.value)));
        if let Some(permission) = &profile.default_service {
            self.line(1, &format!("default service = {}", word(permission.value)));
        }
        self.text("member", profile.member.as_ref());
        self.text("name", profile.full_name.as_ref());
        self.text("message", profile.message.as_ref());
        let Credentials {
            login,
            pap,
            chap,
            mschap,
            global,
            enable,
        } = &profile.credentials;
        for (name, credential) in [
            ("login", login),
            ("pap", pap),
            ("chap", chap),
            ("ms-chap", mschap),
            ("global", global),
            ("enable", enable),
        ] {
            self.credential(1, name, credential.as_deref_credential());
        }
        if let Some(date) = &profile.expires {
            self.line(1, &format!("expires = {}", date.value));
        }
        self.text("acl", profile.acl.as_ref());
        self.text("enableacl", profile.enable_acl.as_ref());
        self.text("before authorization", profile.before.as_ref());
        self.text("after authorization", profile.after.as_ref());
        for service in &profile.services {
            self.service(service);
        }
        for command in &profile.commands {
            self.line(1, &format!("cmd = {} {{", quoted(&command.name.value)));
            self.rules(2, &command.rules, " ");
            self.line(1, "}");
        }
        self.line(0, "}");
    }

    fn service(&mut self, service: &Service) {
        let name = match &service.name.value {
            ServiceName::Exec => "exec".to_owned(),
            ServiceName::Slip => "slip".to_owned(),
            ServiceName::Arap => "arap".to_owned(),
            ServiceName::Ppp(protocol) => format!("ppp protocol = {}", quoted(protocol)),
            ServiceName::Named(name) => quoted(name),
        };
        self.line(1, &format!("service = {name} {{"));
        if let Some(permission) = &service.default_attribute {
            self.line(
                2,
                &format!("default attribute = {}", word(permission.value)),
            );
        }
        for attribute in &service.attributes {
            let optional = if attribute.optional { "optional " } else { "" };
            self.line(
                2,
                &format!(
                    "{optional}{} = {}",
                    quoted(&attribute.name.value),
                    quoted(&attribute.value)
                ),
            );
        }
        self.line(1, "}");
    }
}

/// Looks through the place and the shared pointer.
trait AsCredential {
    fn as_deref_credential(&self) -> Option<&Credential>;
}

impl AsCredential for Option<At<std::sync::Arc<Credential>>> {
    fn as_deref_credential(&self) -> Option<&Credential> {
        self.as_ref().map(|credential| credential.value.as_ref())
    }
}

fn word(permission: Permission) -> &'static str {
    match permission {
        Permission::Permit => "permit",
        Permission::Deny => "deny",
    }
}

fn quoted(text: &[u8]) -> String {
    let text = String::from_utf8_lossy(text);
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}
