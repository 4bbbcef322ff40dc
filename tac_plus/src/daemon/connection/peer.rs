//! Who is at the other end of a connection.
//!
//! Owns how a client is known (its address, and a shared secret or a certificate), and
//! what is said about those who are not. Must never read a packet.

use std::net::IpAddr;
use std::sync::Arc;

use tacacs_common::exchange::server::Connection;
use tacacs_common::obfuscate::Protection;
use tacacs_common::secret::Secret;
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::{Instant, timeout};

use super::Talk;
use crate::daemon::Shared;
use crate::daemon::memory::Lease;
use crate::daemon::places::{Place, Progress};
use crate::daemon::setup::Current;
use crate::daemon::tls::{self, Certificate};
use crate::policy::Client;
use crate::policy::values::Date;
use crate::trust::Tag;

/// What shows that the client is who it says.
pub(super) enum Proof<'k> {
    /// It knows one of these.
    Secrets(&'k [Arc<Secret>]),
    Certificate(Certificate),
}

/// Who is at the other end.
pub(super) struct Peer<'k> {
    pub(super) address: IpAddr,
    pub(super) client: Arc<Client>,
    pub(super) proof: Proof<'k>,
    pub(super) place: &'k Place,
    /// Of its secrets.
    pub(super) tags: Box<[Tag]>,
}

/// Serves a connection in plain TCP from its first byte to its last.
pub(in crate::daemon) async fn plain(
    shared: &Shared,
    place: &Place,
    stream: TcpStream,
    address: IpAddr,
    stop: watch::Receiver<bool>,
) {
    let current = shared.current();
    let Some(client) = known(shared, &current, address) else {
        return;
    };
    let keys = client.keys.iter().map(|key| Arc::clone(&key.secret));
    let secrets: Vec<Arc<Secret>> = keys.collect();
    let Some((first, others)) = secrets.split_first() else {
        shared.refuse(address, "TLS only", || {
            format!("connection from {address} refused: this client uses TLS only")
        });
        return;
    };
    let connection = Connection::with_secrets(first, others, current.limits.connection);
    let proof = Proof::Secrets(&secrets);
    let tags = {
        let trust = shared.trust();
        let tags = secrets.iter().map(|secret| trust.tag(secret.expose()));
        tags.collect()
    };
    let peer = Peer {
        address,
        client,
        proof,
        place,
        tags,
    };
    let talk = Talk::new(shared, &current, stream, peer, connection);
    // A connection may outlive a configuration by long.
    drop(current);
    talk.serve(stop).await;
}

/// Serves a connection over TLS, handshake included.
pub(in crate::daemon) async fn secured(
    shared: &Shared,
    place: &Place,
    stream: TcpStream,
    address: IpAddr,
    stop: watch::Receiver<bool>,
) {
    let current = shared.current();
    let Some(client) = known(shared, &current, address) else {
        return;
    };
    let refuse = |why: &dyn std::fmt::Display| {
        let line = || format!("TLS connection from {address} refused: {why}");
        shared.refuse(address, "TLS", line);
    };
    let Some(tls) = current
        .tls
        .as_ref()
        .filter(|_| !client.tls_names.is_empty())
    else {
        return refuse(&"this client has no 'tls name'");
    };
    let mut guest = Guest {
        shared,
        place,
        lease: shared.memory.lease(),
    };
    let handshake = tls.accept(stream, &shared.turns, address, &mut guest);
    let handshake = timeout(current.limits.first_packet, handshake).await;
    drop(guest);
    let (stream, certificate) = match handshake {
        Ok(Ok(accepted)) => accepted,
        Ok(Err(error)) => return refuse(&error),
        Err(_) => return refuse(&"the handshake takes too long"),
    };
    if !certificate.is_one_of(&client.tls_names) {
        return refuse(&"its certificate has none of the names of this client");
    }
    place.keep();
    let connection = Connection::new(Protection::Clear, current.limits.connection);
    let proof = Proof::Certificate(certificate);
    let peer = Peer {
        address,
        client,
        proof,
        place,
        tags: Box::default(),
    };
    let talk = Talk::new(shared, &current, stream, peer, connection);
    // A connection may outlive a configuration by long.
    drop(current);
    talk.serve(stop).await;
}

/// A stranger in the middle of a handshake.
struct Guest<'s> {
    shared: &'s Shared,
    place: &'s Place,
    lease: Lease<'s>,
}

impl tls::Guest for Guest<'_> {
    fn may_keep(&mut self, bytes: usize) -> bool {
        self.shared.may_keep(&mut self.lease, bytes)
    }

    fn has_come(&mut self, progress: Progress) {
        self.place.advance(progress);
    }
}

fn known(shared: &Shared, current: &Current, address: IpAddr) -> Option<Arc<Client>> {
    let client = current.policy.client(address).cloned();
    if client.is_none() {
        shared.refuse(address, "unknown", || {
            format!("connection from {address} refused: not a known client")
        });
    }
    client
}

impl Peer<'_> {
    /// When what the client has shown runs out.
    pub(super) fn proven_until(&self) -> Option<Instant> {
        match &self.proof {
            Proof::Secrets(_) => None,
            Proof::Certificate(certificate) => certificate.end().map(Instant::from_std),
        }
    }

    /// Whether what the client has shown is still good, or if it has shown nothing yet,
    /// all that it may.
    pub(super) fn is_still<S>(
        &self,
        client: &Client,
        current: &Current,
        connection: &Connection<'_, S>,
    ) -> bool {
        match &self.proof {
            Proof::Secrets(secrets) => {
                let known = connection.knows_its_secret();
                let mut usable = secrets
                    .iter()
                    .filter(|secret| !known || connection.uses(secret));
                usable.all(|secret| {
                    let keys = &mut client.keys.iter();
                    keys.any(|key| key.secret.expose() == secret.expose())
                })
            }
            Proof::Certificate(certificate) => {
                let tls = current.tls.as_ref();
                tls.is_some_and(|tls| tls.verify(certificate).is_ok())
                    && certificate.is_one_of(&client.tls_names)
            }
        }
    }

    /// Tells once a day who still uses a secret that is to be replaced.
    pub(super) fn mind_old_secret<S>(
        &self,
        shared: &Shared,
        connection: &Connection<'_, S>,
        today: Date,
    ) {
        let address = self.address;
        let keys = &mut self.client.keys.iter();
        let used = keys.find(|key| connection.uses(&key.secret));
        if let Some(warn) = used.and_then(|key| key.warn)
            && warn <= today
            && shared.secrets.is_news(address, today)
        {
            shared.log.line(format!(
                "client {address} uses an old key: device={address} warn={warn}"
            ));
        }
    }
}
