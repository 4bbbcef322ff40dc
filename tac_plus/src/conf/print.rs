//! The normalised form of a configuration: `tac_plus -P`.
//!
//! Owns its layout. Must never print a secret: keys and passwords show as `***`.

use std::fmt::Write;

use crate::policy::draft::{
    At, Credential, Credentials, Draft, Permission, Profile, Rule, Service, ServiceName,
};

/// Everything the draft says, one directive a line.
pub(super) fn normalised(draft: &Draft) -> String {
    let mut out = Out(String::new());
    if draft.key.is_some() {
        out.line(0, "key = ***");
    }
    if let Some(path) = &draft.settings.accounting_file {
        out.line(
            0,
            &format!(
                "accounting file = {}",
                quoted(path.to_string_lossy().as_bytes())
            ),
        );
    }
    if let Some(facility) = &draft.settings.facility {
        out.line(0, &format!("logging = {}", facility));
    }
    if draft.settings.log_authorization {
        out.line(0, "logauthor");
    }
    for acl in &draft.acls {
        out.line(0, &format!("acl = {} {{", quoted(&acl.name.value)));
        out.rules(1, &acl.rules, " = ");
        out.line(0, "}");
    }
    for host in &draft.hosts {
        out.line(0, &format!("host = {} {{", host.network.value));
        for _ in &host.keys {
            out.line(1, "key = ***");
        }
        out.text("prompt", host.prompt.as_ref());
        out.credential("enable", host.enable.as_deref_credential());
        out.line(0, "}");
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

    fn credential(&mut self, name: &str, credential: Option<&Credential>) {
        match credential {
            Some(Credential::Clear(_)) => self.line(1, &format!("{name} = cleartext ***")),
            Some(Credential::Hash(_)) => self.line(1, &format!("{name} = des ***")),
            Some(Credential::File(path)) => {
                let path = quoted(path.to_string_lossy().as_bytes());
                self.line(1, &format!("{name} = file {path}"));
            }
            Some(Credential::Pam) => self.line(1, &format!("{name} = PAM")),
            Some(Credential::NoPassword) => self.line(1, &format!("{name} = nopassword")),
            None => {}
        }
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
            self.credential(name, credential.as_deref_credential());
        }
        self.text("acl", profile.acl.as_ref());
        self.text("enableacl", profile.enable_acl.as_ref());
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
