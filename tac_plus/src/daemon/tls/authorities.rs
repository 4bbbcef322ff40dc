//! Who signs clients' certificates, and which of those are revoked.
//!
//! Owns what the certificates of `tls ca` are: one whose issuer is not among them is
//! trusted; any other leads to its issuer only, as if the client had sent it. Must
//! never trust one of those by itself: its revocation would then count for nothing
//! (RFC 9887 section 3.4.1).

use std::path::Path;
use std::sync::Arc;

use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{ClientCertVerifierBuilder, WebPkiClientVerifier};
use rustls::{DigitallySignedStruct, DistinguishedName, Error, RootCertStore, SignatureScheme};

use super::x509::Fields;
use super::{all, broken, required};
use crate::policy::settings;

/// Reads authorities and lists.
pub(super) fn verifier(
    settings: &settings::Tls,
    provider: &Arc<CryptoProvider>,
) -> Result<Arc<dyn ClientCertVerifier>, String> {
    let path = required(settings.ca.as_ref(), "ca")?;
    let certificates = all(path, "certificate", CertificateDer::pem_file_iter(path))?;
    let names = certificates.iter().map(|certificate| {
        Names::of(certificate).ok_or_else(|| broken(path, &"not a certificate of X.509"))
    });
    let names = names.collect::<Result<Vec<_>, _>>()?;
    let mut roots = RootCertStore::empty();
    let mut intermediates = Vec::new();
    for (certificate, name) in certificates.iter().zip(&names) {
        if names.iter().any(|other| other.issued(name)) {
            intermediates.push(certificate.clone());
        } else {
            roots
                .add(certificate.clone())
                .map_err(|error| broken(path, &error))?;
        }
    }
    // Clients that choose a certificate by what they are told know the issuer of their
    // own perhaps, and not the root.
    let hints = names
        .iter()
        .map(|name| DistinguishedName::in_sequence(name.subject));
    let mut builder =
        WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider))
            .clear_root_hint_subjects()
            .add_root_hint_subjects(hints);
    // Built after every list, so that an error names the one it is in.
    let build = |builder: &ClientCertVerifierBuilder, path: &Path| {
        let built = builder.clone().build();
        built.map_err(|error| broken(path, &error))
    };
    let mut verifier = build(&builder, path)?;
    for path in &settings.crl {
        let lists = CertificateRevocationListDer::pem_file_iter(path);
        let lists = all(path, "revocation list", lists)?;
        // A list that has run out revokes everything: who withholds a new one must not
        // keep a stolen certificate alive.
        builder = builder.with_crls(lists).enforce_revocation_expiration();
        verifier = build(&builder, path)?;
    }
    Ok(if intermediates.is_empty() {
        verifier
    } else {
        Arc::new(Stored {
            verifier,
            intermediates,
        })
    })
}

/// Whose a certificate is and who signed it, as their bytes within their SEQUENCE.
#[derive(PartialEq, Eq)]
struct Names<'a> {
    issuer: &'a [u8],
    subject: &'a [u8],
}

impl<'a> Names<'a> {
    fn of(certificate: &'a CertificateDer<'_>) -> Option<Self> {
        let Fields {
            issuer, subject, ..
        } = Fields::of(certificate)?;
        Some(Self { issuer, subject })
    }

    fn issued(&self, other: &Self) -> bool {
        self.subject == other.issuer && other.subject != other.issuer
    }
}

/// Takes these besides those that a client sends.
#[derive(Debug)]
struct Stored {
    verifier: Arc<dyn ClientCertVerifier>,
    intermediates: Vec<CertificateDer<'static>>,
}

impl ClientCertVerifier for Stored {
    fn verify_client_cert(
        &self,
        own: &CertificateDer<'_>,
        sent: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let all = [sent, &self.intermediates].concat();
        self.verifier.verify_client_cert(own, &all, now)
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.verifier.root_hint_subjects()
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        (self.verifier).verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        (self.verifier).verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.verifier.supported_verify_schemes()
    }
}
