//! The one question to a server: may this name have a shell here, and at which level?
//!
//! Owns its time limit and what its outcomes mean for a lookup. Must never resolve a
//! name, which is a lookup itself and knows no limit, and never speak TLS: the agent
//! does both.

use std::time::Duration;

use tacacs_common::client::{Authorized, Client, Trouble};
use tacacs_common::config::{Address, Config};
use tacacs_common::exchange::author::{Granted, grant};
use tacacs_common::outcome::{Outcome, Unreachable};
use tacacs_common::packet::{
    ArgumentsBuf, AuthenMethod, AuthenService, AuthenType, AuthorRequest, PrivLvl,
};

use crate::answer::{Answer, Failure};
use crate::site::{Site, unreadable};

/// For all servers together. What is left of the second that a lookup may take is for
/// files, and for a machine that is busy.
const LIMIT: Duration = Duration::from_millis(850);

/// Asks about a name.
pub(crate) fn about(site: &Site<'_>, config: &Config, name: &str) -> Answer<Granted> {
    let args = question(config).ok_or(Failure::NotFound)?;
    let request = AuthorRequest {
        // Nobody has shown who they are, and nobody is at a terminal.
        authen_method: AuthenMethod::None,
        priv_lvl: PrivLvl::USER,
        authen_type: AuthenType::NotSet,
        authen_service: AuthenService::Login,
        user: name.as_bytes(),
        port: b"",
        rem_addr: b"",
        args: args.as_arguments(),
    };
    let mut config = config.clone();
    // TLS servers stay: the client passes them over, and beside them it asks no plain
    // one in the agent's stead.
    config
        .servers
        .retain(|server| server.tls.is_some() || !matches!(server.address, Address::Name { .. }));
    // su and sudo ask here too, and whoever started them may stop them in the middle.
    let mut client = Client::new(&config)
        .with_hold_down(site.hold_down, config.global.hold_down)
        .distrusting_its_caller(true)
        .within(LIMIT);
    match client.authorize(&request) {
        Outcome::Pass(answer) => granted(&config, &request, &answer),
        Outcome::Deny(_) => Err(Failure::NotFound),
        Outcome::Unreachable(why) if was_asked(&why) => Err(Failure::Unreachable),
        Outcome::Unreachable(_) => Err(unreadable()),
    }
}

/// An approval that this host cannot act on is none.
fn granted(config: &Config, request: &AuthorRequest<'_>, answer: &Authorized) -> Answer<Granted> {
    let reply = answer.args.as_arguments();
    grant(
        request.args,
        answer.status,
        reply,
        &config.mapping.all_handled(),
    )
    .ok()
    .filter(|granted| granted.as_asked)
    .ok_or(Failure::NotFound)
}

/// The same words as in a login: another question might have another answer.
fn question(config: &Config) -> Option<ArgumentsBuf> {
    let global = &config.global;
    let mut args = ArgumentsBuf::new();
    args.mandatory("service", global.service.as_bytes()).ok()?;
    if let Some(protocol) = &global.protocol {
        args.mandatory("protocol", protocol.as_bytes()).ok()?;
    }
    // An empty command is the shell itself (RFC 8907 section 8.2).
    if global.service == "shell" {
        args.mandatory("cmd", b"").ok()?;
    }
    Some(args)
}

/// Whether any server was tried, and not just passed over for a reason of this host.
fn was_asked(why: &Unreachable) -> bool {
    why.tried.iter().any(|(_, trouble)| {
        !matches!(
            trouble,
            Trouble::Local(..)
                | Trouble::NoPort(_)
                | Trouble::Peer { .. }
                | Trouble::Config(_)
                | Trouble::NoSecret
                | Trouble::NoTlsHere
                | Trouble::Resolve(_)
                | Trouble::HeldDown
                | Trouble::NoTime
        )
    })
}
