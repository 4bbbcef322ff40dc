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
//! | `relay` | bytes on their way to the library |
//! | `tickets` | resumption |
//! | `turns` | whose handshake is worked on, and by whom |
//! | `x509` | names and dates of a certificate |

mod authorities;
mod hello;
mod relay;
mod tickets;
mod turns;
mod x509;

use std::fmt::Display;
use std::io;
use std::net::IpAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use rustls::client::verify_server_name;
use rustls::crypto::ring::default_provider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{NoServerSessionStorage, ParsedCertificate};
use rustls::version::TLS13;
use rustls::{HandshakeKind, ServerConfig};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;
use tokio_rustls::{Accept, TlsAcceptor};

use super::places::Progress;
use crate::policy::settings;
use crate::policy::values::TlsName;
use hello::{Hello, Seen};
use relay::{Pipe, Relay};
use tickets::Tickets;
pub(super) use turns::Turns;
use x509::Fields;

/// How long a session may be resumed unless the configuration says so.
const TICKET_LIFETIME: Duration = Duration::from_secs(24 * 3600);
/// RFC 8446 section 4.6.1 allows no more.
const LONGEST_LIFETIME: Duration = Duration::from_secs(7 * 24 * 3600);

/// The TLS side of a configuration, with its certificates read. Tickets are part of
/// it, so that a reload, which may have changed any certificate, revocation or
/// client, leaves no session to be resumed.
#[derive(Clone)]
pub(super) struct Tls {
    config: Arc<ServerConfig>,
    verifier: Arc<dyn ClientCertVerifier>,
}

/// A connection whose client has a certificate, good at this moment.
type Accepted = (TlsStream<Relay>, Certificate);

/// Bytes taken from a socket at once.
const READ: usize = 4096;
/// What the library keeps for a handshake, more or less.
const STATE: usize = 16 * 1024;

/// Why a handshake is given up.
const FULL: &str = "strangers' handshakes take too much memory";

/// Who shakes hands, as whoever does sees it.
pub(super) trait Guest {
    /// Whether so many bytes may be kept for it.
    fn may_keep(&mut self, bytes: usize) -> bool;
    /// It has come so far.
    fn has_come(&mut self, progress: Progress);
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
        let fields = Fields::of(own);
        if !fields.as_ref().is_some_and(Fields::may_sign) {
            return Err("its certificate's keyUsage has no digitalSignature");
        }
        let end = fields.and_then(|fields| fields.not_after());
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

    /// The handshake, in the turns of this client. Gives its certificate, good at this
    /// moment.
    pub(super) async fn accept(
        &self,
        mut stream: TcpStream,
        turns: &Turns,
        client: IpAddr,
        guest: &mut impl Guest,
    ) -> io::Result<Accepted> {
        let pipe = Pipe::default();
        let mut handshake = None;
        let (mut is_clear, mut kept) = (true, 0);
        loop {
            let bytes = match is_clear {
                true => flight(&mut stream, kept, guest).await?,
                false => read(&mut stream).await?,
            };
            // Once the client has more to say than a hello, all of it is encrypted.
            is_clear = handshake.is_none() || bytes.first() == Some(&hello::HANDSHAKE);
            if handshake.is_none() {
                guest.has_come(Progress::Speaking);
                kept = STATE;
            }
            kept += bytes.len();
            if !guest.may_keep(kept) {
                return Err(io::Error::other(FULL));
            }
            pipe.put(bytes);
            let (tls, relay) = (self.clone(), pipe.clone());
            let state = handshake.take();
            let step = turns.run(client, move || tls.step(state, relay)).await;
            let answer = pipe.take();
            if !answer.is_empty() {
                stream.write_all(&answer).await?;
            }
            match step {
                Some(Ok(Stage::Over(accepted))) => {
                    let (mut tls, certificate) = *accepted;
                    tls.get_mut().0.connect(stream);
                    return Ok((tls, certificate));
                }
                Some(Ok(Stage::Going(accept))) => {
                    guest.has_come(Progress::Answered);
                    handshake = Some(accept);
                }
                Some(Err(error)) => return Err(error),
                None => return Err(io::Error::other("nobody could work on the handshake")),
            }
        }
    }

    /// Works on a handshake as far as it goes with what the client has sent.
    fn step(&self, state: Option<Box<Accept<Relay>>>, pipe: Pipe) -> io::Result<Stage> {
        let mut accept = state.unwrap_or_else(|| {
            let acceptor = TlsAcceptor::from(Arc::clone(&self.config));
            Box::new(acceptor.accept(Relay::new(pipe)))
        });
        let mut context = Context::from_waker(Waker::noop());
        let Poll::Ready(stream) = Pin::new(&mut accept).poll(&mut context) else {
            return Ok(Stage::Going(accept));
        };
        let stream = stream?;
        let (_, connection) = stream.get_ref();
        let chain = connection.peer_certificates().unwrap_or_default();
        let certificate = Certificate::new(chain).map_err(io::Error::other)?;
        if connection.handshake_kind() == Some(HandshakeKind::Resumed) {
            // The library remembers the certificate; meanwhile it may have run out, or
            // the list of those revoked has.
            self.verify(&certificate).map_err(io::Error::other)?;
        }
        Ok(Stage::Over(Box::new((stream, certificate))))
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

/// Where a handshake is.
enum Stage {
    Going(Box<Accept<Relay>>),
    Over(Box<Accepted>),
}

/// What a client says until it is the server's turn, as long as that is clear.
async fn flight(
    stream: &mut TcpStream,
    before: usize,
    guest: &mut impl Guest,
) -> io::Result<Vec<u8>> {
    let mut hello = Hello::default();
    loop {
        let bytes = read(stream).await?;
        match hello.look(&bytes) {
            Seen::Whole => return Ok(hello.into_bytes()),
            Seen::Refused(why) => return Err(io::Error::other(why)),
            Seen::Nothing => {}
        }
        if !guest.may_keep(before + hello.len()) {
            return Err(io::Error::other(FULL));
        }
    }
}

/// What there is. The buffer is gone while it waits.
async fn read(stream: &mut TcpStream) -> io::Result<Vec<u8>> {
    stream.readable().await?;
    let mut bytes = vec![0; READ];
    loop {
        match stream.try_read(&mut bytes) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(count) => {
                bytes.truncate(count);
                return Ok(bytes);
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => stream.readable().await?,
            Err(error) => return Err(error),
        }
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
