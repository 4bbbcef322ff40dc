//! What connections cost that nobody uses at the moment: each has logged one user in
//! and is kept.

use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream};
use std::path::Path;
use std::sync::Arc;

use rcgen::{CertificateParams, CertifiedIssuer, ExtendedKeyUsagePurpose, IsCa, KeyPair};
use rustls::crypto::ring::default_provider;
use rustls::pki_types::{PrivateKeyDer, ServerName};
use rustls::version::TLS13;
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use socket2::{Domain, Protocol, Socket, Type};

use super::load::{ADDRESSES, Work, exchange};
use super::subject::Subject;

const NAME: &str = "bench.example.net";
pub(crate) const CONNECTIONS: u32 = 10_000;

/// Opens connections in plain TCP; they stay open.
pub(crate) fn plain(server: SocketAddr, count: u32) -> io::Result<Vec<TcpStream>> {
    let mut exchange = exchange(Work::Pap, true, true);
    let open = |number: u32| {
        exchange.renew(0x5eed_0000 | number);
        let mut stream = connect(server, number)?;
        stream.write_all(&exchange.request)?;
        expect(&mut stream, &exchange.reply)?;
        Ok(stream)
    };
    (0..count).map(open).collect()
}

type Secured = StreamOwned<ClientConnection, TcpStream>;

/// A server with TLS, certificates and all, and what its clients show.
pub(crate) fn tls_subject(program: &Path) -> io::Result<(Subject, Arc<ClientConfig>)> {
    let folder = tempfile::tempdir()?;
    let failed = io::Error::other::<rcgen::Error>;
    let mut authority = CertificateParams::default();
    authority.is_ca = IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let key = KeyPair::generate().map_err(failed)?;
    let authority = CertifiedIssuer::self_signed(authority, key).map_err(failed)?;
    let mut params = CertificateParams::new([NAME.to_owned()]).map_err(failed)?;
    params.extended_key_usages = vec![
        ExtendedKeyUsagePurpose::ServerAuth,
        ExtendedKeyUsagePurpose::ClientAuth,
    ];
    let key = KeyPair::generate().map_err(failed)?;
    let certificate = params.signed_by(&key, &authority).map_err(failed)?;
    let at = |name: &str| folder.path().join(name);
    std::fs::write(at("ca.pem"), authority.pem())?;
    std::fs::write(at("own.pem"), certificate.pem())?;
    std::fs::write(at("own.key"), key.serialize_pem())?;
    let here = folder.path().display();
    let subject = Subject::tac_plus(
        program,
        &format!(
            "tls listen = 127.0.0.1:0\ntls ca = {here}/ca.pem\ntls certificate = {here}/own.pem\n\
             tls key = {here}/own.key\nhost = 127.0.0.0/8 {{ tls name = {NAME} }}\n"
        ),
    )?;
    let mut roots = RootCertStore::empty();
    roots
        .add(authority.der().clone())
        .map_err(io::Error::other)?;
    let key = PrivateKeyDer::try_from(key.serialize_der()).map_err(io::Error::other)?;
    let config = ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_protocol_versions(&[&TLS13])
        .map_err(io::Error::other)?
        .with_root_certificates(roots)
        .with_client_auth_cert(vec![certificate.der().clone()], key)
        .map_err(io::Error::other)?;
    Ok((subject, Arc::new(config)))
}

/// Opens connections over TLS; they stay open.
pub(crate) fn secured(
    server: SocketAddr,
    config: &Arc<ClientConfig>,
    count: u32,
) -> io::Result<Vec<Secured>> {
    let exchange = exchange(Work::Pap, true, false);
    let name = ServerName::try_from(NAME).map_err(io::Error::other)?;
    let open = |number| {
        let stream = connect(server, number)?;
        let connection = ClientConnection::new(Arc::clone(config), name.clone());
        let mut stream = StreamOwned::new(connection.map_err(io::Error::other)?, stream);
        stream.write_all(&exchange.request)?;
        expect(&mut stream, &exchange.reply)?;
        Ok(stream)
    };
    (0..count).map(open).collect()
}

fn expect(stream: &mut impl Read, reply: &[u8]) -> io::Result<()> {
    let mut found = vec![0; reply.len()];
    stream.read_exact(&mut found)?;
    if found == reply {
        Ok(())
    } else {
        Err(io::Error::other("not the right answer"))
    }
}

fn connect(server: SocketAddr, number: u32) -> io::Result<TcpStream> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, Some(Protocol::TCP))?;
    let from = Ipv4Addr::from(0x7f00_0101 + number % ADDRESSES);
    socket.bind(&SocketAddr::new(IpAddr::V4(from), 0).into())?;
    socket.set_tcp_nodelay(true)?;
    socket.connect(&server.into())?;
    Ok(socket.into())
}
