//! Certificates made for one test, and a client that shows them.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::sync::Arc;

use rcgen::{
    BasicConstraints, Certificate, CertificateParams, CertificateRevocationListParams, DnType,
    ExtendedKeyUsagePurpose, IsCa, Issuer, KeyIdMethod, KeyPair, KeyUsagePurpose,
    RevokedCertParams, SerialNumber, date_time_ymd,
};
use rustls::client::Resumption;
use rustls::crypto::ring::default_provider;
use rustls::pki_types::{PrivateKeyDer, ServerName};
use rustls::version::TLS13;
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use tacacs_common::packet::{Body, Flags, HEADER_LEN, Header, Version};

use super::{PATIENCE, Packet};

/// A certification authority.
pub struct Authority {
    certificate: Certificate,
    issuer: Issuer<'static, KeyPair>,
    key_pem: String,
}

/// A certificate with its key, and its issuer where that is not the root.
#[derive(Clone)]
pub struct Holder {
    pub chain: Vec<Certificate>,
    key: Vec<u8>,
    key_pem: String,
}

pub fn params(names: &[&str]) -> CertificateParams {
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let mut params = CertificateParams::new(names).unwrap();
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    params
}

fn authority(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
}

impl Authority {
    pub fn new(name: &str) -> Self {
        let (params, key) = (authority(name), KeyPair::generate().unwrap());
        Self {
            certificate: params.self_signed(&key).unwrap(),
            key_pem: key.serialize_pem(),
            issuer: Issuer::new(params, key),
        }
    }

    /// One that this one has signed.
    pub fn intermediate(&self, params: impl FnOnce(&mut CertificateParams)) -> Self {
        let (mut own, key) = (authority("intermediate"), KeyPair::generate().unwrap());
        params(&mut own);
        Self {
            certificate: own.signed_by(&key, &self.issuer).unwrap(),
            key_pem: key.serialize_pem(),
            issuer: Issuer::new(own, key),
        }
    }

    /// One that nobody else vouches for.
    pub fn self_signed(params: &CertificateParams) -> Holder {
        let key = KeyPair::generate().unwrap();
        Holder {
            chain: vec![params.self_signed(&key).unwrap()],
            key: key.serialize_der(),
            key_pem: key.serialize_pem(),
        }
    }

    pub fn sign(&self, params: &CertificateParams) -> Holder {
        let key = KeyPair::generate().unwrap();
        Holder {
            chain: vec![params.signed_by(&key, &self.issuer).unwrap()],
            key: key.serialize_der(),
            key_pem: key.serialize_pem(),
        }
    }

    /// A certificate for these names.
    pub fn client(&self, names: &[&str]) -> Holder {
        self.sign(&params(names))
    }

    pub fn server(&self) -> Holder {
        let mut params = params(&["aaa.example.net"]);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        self.sign(&params)
    }

    /// Its private key, for another program to sign with.
    pub fn key_pem(&self) -> &str {
        &self.key_pem
    }

    pub fn pem(&self) -> String {
        self.certificate.pem()
    }

    pub fn certificate(&self) -> Certificate {
        self.certificate.clone()
    }

    /// A list with these serial numbers, good until that year.
    pub fn crl(&self, revoked: &[u64], until: i32) -> String {
        let revoked = revoked.iter().map(|serial| RevokedCertParams {
            serial_number: SerialNumber::from(*serial),
            revocation_time: date_time_ymd(2024, 1, 1),
            reason_code: None,
            invalidity_date: None,
        });
        let params = CertificateRevocationListParams {
            this_update: date_time_ymd(2024, 1, 1),
            next_update: date_time_ymd(until, 1, 1),
            crl_number: SerialNumber::from(1u64),
            issuing_distribution_point: None,
            revoked_certs: revoked.collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        params.signed_by(&self.issuer).unwrap().pem().unwrap()
    }
}

impl Holder {
    pub fn write(&self, folder: &Path, name: &str) {
        let chain: String = self.chain.iter().map(Certificate::pem).collect();
        std::fs::write(folder.join(format!("{name}.pem")), chain).unwrap();
        std::fs::write(folder.join(format!("{name}.key")), &self.key_pem).unwrap();
    }

    /// A client that shows this certificate; its sessions may be resumed.
    pub fn config(&self, authority: &Authority) -> Arc<ClientConfig> {
        let mut roots = RootCertStore::empty();
        roots.add(authority.certificate.der().clone()).unwrap();
        let chain = self.chain.iter().map(|one| one.der().clone()).collect();
        let key = PrivateKeyDer::try_from(self.key.clone()).unwrap();
        let mut config = ClientConfig::builder_with_provider(Arc::new(default_provider()))
            .with_protocol_versions(&[&TLS13])
            .unwrap()
            .with_root_certificates(roots)
            .with_client_auth_cert(chain, key)
            .unwrap();
        config.resumption = Resumption::in_memory_sessions(8);
        Arc::new(config)
    }
}

/// A client's connection over TLS.
pub struct Secured {
    pub stream: StreamOwned<ClientConnection, TcpStream>,
}

impl Secured {
    pub fn connect(address: SocketAddr, config: &Arc<ClientConfig>) -> Self {
        Self::over(TcpStream::connect(address).unwrap(), config)
    }

    pub fn over(stream: TcpStream, config: &Arc<ClientConfig>) -> Self {
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let name = ServerName::try_from("aaa.example.net").unwrap();
        let connection = ClientConnection::new(Arc::clone(config), name).unwrap();
        let stream = StreamOwned::new(connection, stream);
        Self { stream }
    }

    /// A request as it goes over TLS, and the reply; an error where there is none.
    pub fn ask<'b, B: Body<'b>>(
        &mut self,
        id: u32,
        version: Version,
        single: bool,
        body: &B,
    ) -> std::io::Result<Packet> {
        self.send(id, version, true, single, body)?;
        self.receive()
    }

    pub fn send<'b, B: Body<'b>>(
        &mut self,
        id: u32,
        version: Version,
        unencrypted: bool,
        single: bool,
        body: &B,
    ) -> std::io::Result<()> {
        let packet = clear(id, version, unencrypted, single, body);
        self.stream.write_all(&packet)
    }

    pub fn receive(&mut self) -> std::io::Result<Packet> {
        let mut head = [0; HEADER_LEN];
        self.stream.read_exact(&mut head)?;
        let header = Header::decode(&head).unwrap();
        let mut body = vec![0; header.length.try_into().unwrap()];
        self.stream.read_exact(&mut body)?;
        Ok(Packet { header, body })
    }

    /// Whether the server has said goodbye and sent nothing else.
    pub fn is_closed(&mut self) -> bool {
        matches!(self.stream.read(&mut [0]), Ok(0))
    }

    pub fn was_resumed(&self) -> bool {
        self.stream.conn.handshake_kind() == Some(rustls::HandshakeKind::Resumed)
    }
}

/// A first packet as it goes over TLS.
pub fn clear<'b, B: Body<'b>>(
    id: u32,
    version: Version,
    unencrypted: bool,
    single: bool,
    body: &B,
) -> Vec<u8> {
    let mut clear = Vec::new();
    body.encode(&mut clear).unwrap();
    let header = Header {
        version,
        packet_type: B::TYPE,
        seq_no: 1,
        flags: Flags {
            unencrypted,
            single_connect: single,
        },
        session_id: id,
        length: clear.len().try_into().unwrap(),
    };
    [&header.encode()[..], &clear].concat()
}
