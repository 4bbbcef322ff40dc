//! Directives that the original does not have.

use std::time::Duration;

use super::*;
use crate::policy::draft::{AccountingFormat, Limits, Tls};

const ALL: &str = r#"
key = "a secret of more than sixteen"
accounting file = /var/log/acct
accounting syslog;
accounting sync = yes
accounting format = json
logging = LOCAL6
logauthor
log format = json
callout shell = yes
callout timeout = 3
password change = yes
pam service = network-login
throttle = 0
weak keys = warn
limit body = 4096
limit first-packet = 1
limit packet = 2
limit answer = 3
limit idle = 4
limit rounds = 5
limit sessions = 6
limit connections = 7
limit connections-per-client = 8
listen = 192.0.2.1
listen = [2001:db8::1]:4949
tls listen = ::
tls certificate = /etc/tac/cert.pem
tls key = /etc/tac/key.pem
tls ca = /etc/tac/ca.pem
tls crl = /etc/tac/crl.pem
tls crl = "/etc/tac/other crl.pem"
tls ticket-lifetime = 600
"#;

#[test]
fn every_setting_arrives_where_it_counts() {
    let settings = loaded(ALL).policy.settings;
    assert_eq!(settings.accounting_file, Some("/var/log/acct".into()));
    assert!(settings.accounting_syslog && settings.accounting_sync);
    assert_eq!(settings.accounting_format, AccountingFormat::Json);
    assert_eq!(settings.facility.as_deref(), Some("local6"));
    assert!(settings.log_authorization && settings.log_json);
    assert!(settings.callout_shell && settings.password_change);
    assert_eq!(settings.callout_timeout, Duration::from_secs(3));
    assert_eq!(settings.pam_service, "network-login");
    assert_eq!(settings.throttle, Duration::ZERO);
    let seconds = |seconds| Some(Duration::from_secs(seconds));
    assert_eq!(
        settings.limits,
        Limits {
            body: Some(4096),
            first_packet: seconds(1),
            packet: seconds(2),
            answer: seconds(3),
            idle: seconds(4),
            rounds: Some(5),
            sessions: Some(6),
            connections: Some(7),
            connections_per_client: Some(8),
        }
    );
    let addresses = |list: &[&str]| -> Vec<std::net::SocketAddr> {
        list.iter().map(|text| text.parse().unwrap()).collect()
    };
    assert_eq!(
        settings.listen,
        addresses(&["192.0.2.1:49", "[2001:db8::1]:4949"])
    );
    assert_eq!(
        settings.tls,
        Tls {
            listen: addresses(&["[::]:300"]),
            certificate: Some("/etc/tac/cert.pem".into()),
            key: Some("/etc/tac/key.pem".into()),
            ca: Some("/etc/tac/ca.pem".into()),
            crl: vec!["/etc/tac/crl.pem".into(), "/etc/tac/other crl.pem".into()],
            ticket_lifetime: seconds(600),
        }
    );
}

#[test]
fn the_normalised_form_means_the_same_and_normalises_to_itself() {
    let once = normalised(ALL);
    for line in ALL
        .lines()
        .filter(|line| line.contains("limit") || line.contains("tls"))
    {
        let (name, _) = line.split_once(" = ").unwrap();
        assert!(once.contains(name), "{name} is missing in:\n{once}");
    }
    assert_eq!(normalised(&once), once);
}

#[test]
fn what_is_new_is_a_name_like_any_other_inside_users_and_groups() {
    for word in [
        "callout", "limit", "listen", "log", "pam", "password", "throttle", "tls", "weak", "warn",
        "lenient", "shell", "sync", "format",
    ] {
        loaded(&format!(
            "{KEY}acl = {word} {{ permit = {word} }}\n\
             group = {word} {{ default service = permit }}\n\
             user = {word} {{\n\
             member = {word}\n\
             acl = {word}\n\
             login = cleartext {word}\n\
             service = {word} {{ {word} = {word} optional {word} = 1 }}\n\
             cmd = {word} {{ permit {word} }}\n}}"
        ));
    }
}
