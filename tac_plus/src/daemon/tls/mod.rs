//! TACACS+ over TLS 1.3 (RFC 9887).
//!
//! Owns certificates, revocation lists and handshakes. Must never let a client in
//! whose certificate is not good now, resumed session or not, and never speak an
//! older TLS: none is compiled in.
//!
//! | file | owns |
//! |---|---|
//! | `authorities` | who signs clients' certificates |
//! | `hello` | the look for early data |
//! | `tickets` | resumption |
//! | `x509` | names and dates of a certificate |

mod authorities;
mod hello;
mod tickets;
mod x509;

use std::fmt::Display;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::client::verify_server_name;
use rustls::crypto::ring::default_provider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{NoServerSessionStorage, ParsedCertificate};
use rustls::version::TLS13;
use rustls::{HandshakeKind, ServerConfig};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::policy::settings;
use crate::policy::values::TlsName;
use hello::Watched;
use tickets::Tickets;
use x509::Fields;

/// How long a session may be resumed unless the configuration says so.
const TICKET_LIFETIME: Duration = Duration::from_secs(24 * 3600);
/// RFC 8446 section 4.6.1 allows no more.
const LONGEST_LIFETIME: Duration = Duration::from_secs(7 * 24 * 3600);

/// The TLS side of a configuration, with its certificates read. Tickets are part of
/// it, so that a reload, which may have changed any certificate, revocation or
/// client, leaves no session to be resumed.
pub(super) struct Tls {
    config: Arc<ServerConfig>,
    verifier: Arc<dyn ClientCertVerifier>,
}

/// A client's certificate whose path has been validated, and what it came with: a
/// reload may have revoked it since.
pub(super) struct Certificate {
    own: CertificateDer<'static>,
    intermediates: Box<[CertificateDer<'static>]>,
    /// When it runs out, unless that is further away than clocks reach.
    end: Option<Instant>,
}

impl Certificate {
    /// One that was good just now.
    fn new(chain: &[CertificateDer<'static>]) -> Result<Self, &'static str> {
        let (own, intermediates) = chain.split_first().ok_or("the client has no certificate")?;
        let end = Fields::of(own).and_then(|fields| fields.not_after());
        let end = end.ok_or("its certificate does not say when it runs out")?;
        let left = Duration::from_secs(end.saturating_sub(UnixTime::now().as_secs()));
        Ok(Self {
            own: own.clone(),
            intermediates: intermediates.into(),
            end: Instant::now().checked_add(left),
        })
    }

    /// From when on it is no proof any more, if that is to be expected.
    pub(super) fn end(&self) -> Option<Instant> {
        self.end
    }

    /// Whether one of these names is in its subjectAltName (RFC 9887 section 3.4.2,
    /// with the wildcards of RFC 9525). Its common name counts for nothing.
    pub(super) fn is_one_of(&self, names: &[TlsName]) -> bool {
        let Ok(certificate) = ParsedCertificate::try_from(&self.own) else {
            return false;
        };
        names.iter().any(|name| {
            let name = match name {
                TlsName::Dns(name) => ServerName::try_from(name.as_str()).ok(),
                TlsName::Address(address) => Some(ServerName::IpAddress((*address).into())),
            };
            name.is_some_and(|name| verify_server_name(&certificate, &name).is_ok())
        })
    }
}

impl Tls {
    /// Reads everything that the settings name; `None` if they ask for no TLS.
    pub(super) fn load(
        settings: &settings::Tls,
        warnings: &mut Vec<String>,
    ) -> Result<Option<Self>, String> {
        if settings.listen.is_empty() {
            return Ok(None);
        }
        let provider = Arc::new(default_provider());
        let verifier = authorities::verifier(settings, &provider)?;
        let (path, key_path) = (
            required(settings.certificate.as_ref(), "certificate")?,
            required(settings.key.as_ref(), "key")?,
        );
        let chain = all(path, "certificate", CertificateDer::pem_file_iter(path))?;
        let key =
            PrivateKeyDer::from_pem_file(key_path).map_err(|error| broken(key_path, &error))?;
        if std::fs::metadata(key_path).is_ok_and(|file| file.permissions().mode() & 0o007 != 0) {
            let path = key_path.display();
            warnings.push(format!(
                "{path}: warning: everybody on this host can get at this key (chmod o= {path})"
            ));
        }
        let random = provider.secure_random;
        let builder = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&TLS13])
            .map_err(|error| format!("TLS: {error}"))?;
        let mut config = builder
            .with_client_cert_verifier(Arc::clone(&verifier))
            .with_single_cert(chain, key)
            .map_err(|error| {
                let (path, key_path) = (path.display(), key_path.display());
                format!("certificate {path} with key {key_path}: {error}")
            })?;
        config.session_storage = Arc::new(NoServerSessionStorage {});
        let lifetime = settings.ticket_lifetime.unwrap_or(TICKET_LIFETIME);
        if lifetime.is_zero() {
            config.send_tls13_tickets = 0;
        } else {
            config.send_tls13_tickets = 1;
            config.ticketer = Arc::new(Tickets::new(lifetime.min(LONGEST_LIFETIME), random));
        }
        Ok(Some(Self {
            config: Arc::new(config),
            verifier,
        }))
    }

    /// The handshake. Gives the client's certificate, good at this moment.
    pub(super) async fn accept(
        &self,
        stream: TcpStream,
    ) -> io::Result<(TlsStream<Watched>, Certificate)> {
        let acceptor = TlsAcceptor::from(Arc::clone(&self.config));
        let stream = acceptor.accept(Watched::new(stream)).await?;
        let (_, connection) = stream.get_ref();
        let chain = connection.peer_certificates().unwrap_or_default();
        let certificate = Certificate::new(chain).map_err(io::Error::other)?;
        if connection.handshake_kind() == Some(HandshakeKind::Resumed) {
            // The library remembers the certificate; meanwhile it may have run out, or
            // the list of those revoked has.
            self.verify(&certificate).map_err(io::Error::other)?;
        }
        Ok((stream, certificate))
    }

    /// Validates a certificate's path now, revocation included.
    pub(super) fn verify(&self, certificate: &Certificate) -> Result<(), rustls::Error> {
        let Certificate {
            own, intermediates, ..
        } = certificate;
        let verified = (self.verifier).verify_client_cert(own, intermediates, UnixTime::now());
        verified.map(drop)
    }
}

fn required<'a>(path: Option<&'a PathBuf>, name: &str) -> Result<&'a Path, String> {
    let path = path.map(PathBuf::as_path);
    path.ok_or_else(|| format!("'tls listen' needs 'tls {name} = FILE' too"))
}

/// Everything in a PEM file; nothing in it is an error.
fn all<T, E: Display>(
    path: &Path,
    what: &str,
    items: Result<impl Iterator<Item = Result<T, E>>, E>,
) -> Result<Vec<T>, String> {
    let items = items.and_then(Iterator::collect::<Result<Vec<_>, _>>);
    match items {
        Ok(items) if items.is_empty() => Err(broken(
            path,
            &format_args!("no {what} in the file, which has to be PEM"),
        )),
        Ok(items) => Ok(items),
        Err(error) => Err(broken(path, &error)),
    }
}

fn broken(path: &Path, error: &dyn Display) -> String {
    format!("TLS: {}: {error}", path.display())
}
