//! The text of a session record, `/run/tacplus/sessions/<audit session>`, by which every
//! program of the host tells whose session it is.
//!
//! Owns the format: a field a line, `NAME=VALUE`. Must never write a value that could be
//! read as another field. Who makes a record, and when, is the PAM module's business.

use std::time::Duration;

use crate::packet::{AuthenMethod, AuthenType, PrivLvl};

/// The longest record that is read.
pub const MAX_BYTES: usize = 4096;

/// A session whose START was recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionRecord {
    /// The TACACS+ user.
    pub user: String,
    /// The level that was granted.
    pub priv_lvl: PrivLvl,
    /// Where the user came from.
    pub rem_addr: String,
    /// Where the user came in.
    pub port: String,
    /// What START and STOP have in common.
    pub task_id: String,
    /// When it began, in seconds since 1970.
    pub start: u64,
    /// The same moment since boot, in whole milliseconds.
    pub start_boot: Duration,
    /// The service of its records.
    pub service: String,
    /// The protocol of its records.
    pub protocol: Option<String>,
    /// How the user was authenticated.
    pub authen_method: AuthenMethod,
    /// By which type of authentication.
    pub authen_type: AuthenType,
    /// When it ended, in seconds since 1970.
    pub closed: Option<u64>,
}

impl SessionRecord {
    /// The text of the record; `None` if a value would not be read back as it is, or all
    /// of it would be too long.
    pub fn text(&self) -> Option<String> {
        let protocol = self.protocol.as_deref().unwrap_or_default();
        let mut text = format!(
            "user={}\npriv_lvl={}\nrem_addr={}\nport={}\ntask_id={}\nstart={}\nstart_boot_ms={}\n\
             service={}\nprotocol={protocol}\nauthen_method={}\nauthen_type={}\n",
            self.user,
            self.priv_lvl,
            self.rem_addr,
            self.port,
            self.task_id,
            self.start,
            u64::try_from(self.start_boot.as_millis()).unwrap_or(u64::MAX),
            self.service,
            self.authen_method.to_wire(),
            self.authen_type.to_wire(),
        );
        if let Some(closed) = self.closed {
            text += &format!("closed={closed}\n");
        }
        let is_whole = text.len() <= MAX_BYTES && Self::parse(&text).as_ref() == Some(self);
        is_whole.then_some(text)
    }

    /// Reads a record.
    pub fn parse(text: &str) -> Option<Self> {
        let field = |name| value(text, name);
        let protocol = field("protocol")?;
        Some(Self {
            user: field("user")?.to_owned(),
            priv_lvl: PrivLvl::from_decimal(field("priv_lvl")?.as_bytes())?,
            rem_addr: field("rem_addr")?.to_owned(),
            port: field("port")?.to_owned(),
            task_id: field("task_id")?.to_owned(),
            start: field("start")?.parse().ok()?,
            start_boot: Duration::from_millis(field("start_boot_ms")?.parse().ok()?),
            service: field("service")?.to_owned(),
            protocol: (!protocol.is_empty()).then(|| protocol.to_owned()),
            authen_method: AuthenMethod::from_wire(field("authen_method")?.parse().ok()?),
            authen_type: AuthenType::from_wire(field("authen_type")?.parse().ok()?),
            closed: field("closed").map(|closed| closed.parse().unwrap_or(0)),
        })
    }
}

fn value<'t>(text: &'t str, name: &str) -> Option<&'t str> {
    text.lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix('='))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record() -> SessionRecord {
        SessionRecord {
            user: "alice".to_owned(),
            priv_lvl: PrivLvl::ROOT,
            rem_addr: "2001:db8::7".to_owned(),
            port: "ssh".to_owned(),
            task_id: "0123456789abcdef".to_owned(),
            start: 1_700_000_000,
            start_boot: Duration::from_millis(5_500),
            service: "shell".to_owned(),
            protocol: None,
            authen_method: AuthenMethod::TacacsPlus,
            authen_type: AuthenType::Pap,
            closed: None,
        }
    }

    #[test]
    fn a_session_record_is_read_as_it_was_written() {
        let closed = SessionRecord {
            protocol: Some("ip".to_owned()),
            closed: Some(1_700_000_100),
            ..record()
        };
        for record in [record(), closed] {
            let text = record.text().unwrap();
            assert_eq!(SessionRecord::parse(&text), Some(record));
        }
    }

    #[test]
    fn a_value_that_would_be_read_as_another_field_is_not_written() {
        for evil in ["ssh\nuser=root", "ssh\rx\n", "a\nclosed=1", "\n"] {
            let record = SessionRecord {
                port: evil.to_owned(),
                ..record()
            };
            assert_eq!(record.text(), None, "{evil:?}");
        }
        let long = SessionRecord {
            user: "x".repeat(MAX_BYTES),
            ..record()
        };
        assert_eq!(long.text(), None);
    }

    #[test]
    fn half_a_session_record_is_none() {
        let text = record().text().unwrap();
        let (half, _) = text.split_at(text.len() / 2);
        assert_eq!(SessionRecord::parse(half), None);
    }

    #[test]
    fn a_record_that_was_closed_somehow_is_closed() {
        let text = record().text().unwrap() + "closed=yesterday\n";
        assert_eq!(SessionRecord::parse(&text).unwrap().closed, Some(0));
    }
}
