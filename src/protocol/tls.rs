//! TLS for the doors: certificate and key from files, and a stream that may or may not be encrypted.
//!
//! Invariant: TLS that is configured and can't be set up is an error, never plain text.

use std::{
    io,
    path::{Path, PathBuf},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use rustls::{
    RootCertStore, ServerConfig,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, pem, pem::PemObject},
    server::{NoClientAuth, WebPkiClientVerifier, danger::ClientCertVerifier},
};
use sha2::{Digest, Sha256, Sha384, Sha512};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};

use crate::{
    auth::private_file,
    error::{Error, ErrorKind, Result},
};

/// Where the parts of a door's TLS are, in PEM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFiles {
    /// The server's certificate first, then those that lead to the root.
    pub certificate: PathBuf,
    pub key: PathBuf,
    /// When set, every client must show a certificate of this authority.
    pub client_ca: Option<PathBuf>,
}

/// TLS 1.2 and 1.3 for one door.
#[derive(Debug, Clone)]
pub struct ServerTls {
    config: Arc<ServerConfig>,
    endpoint: Option<Arc<[u8]>>,
    requires_client_certificate: bool,
}

impl ServerTls {
    /// Reads the files. `alpn` lists the protocols of the door, such as `postgresql` or `h2`.
    pub fn load(files: &TlsFiles, alpn: &[&str]) -> Result<Self> {
        let certificates = read_certificates(&files.certificate)?;
        let key = read_key(&files.key)?;
        let endpoint = certificates.first().and_then(|leaf| endpoint_hash(leaf)).map(Arc::from);

        let provider = Arc::new(ring::default_provider());
        let clients: Arc<dyn ClientCertVerifier> = match &files.client_ca {
            Some(path) => {
                WebPkiClientVerifier::builder_with_provider(read_roots(path)?, provider.clone())
                    .build()
                    .map_err(|error| invalid(path, &error.to_string()))?
            }
            None => Arc::new(NoClientAuth),
        };
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(Error::internal)?
            .with_client_cert_verifier(clients)
            .with_single_cert(certificates, key)
            .map_err(|error| match error {
                rustls::Error::InconsistentKeys(_) => invalid(
                    &files.key,
                    &format!("the key does not belong to the certificate {:?}", files.certificate),
                ),
                rustls::Error::InvalidCertificate(_) => {
                    invalid(&files.certificate, &error.to_string())
                }
                other => invalid(&files.key, &other.to_string()),
            })?;
        config.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
        Ok(Self {
            config: Arc::new(config),
            endpoint,
            requires_client_certificate: files.client_ca.is_some(),
        })
    }

    pub fn config(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.config)
    }

    /// The certificate's `tls-server-end-point` hash (RFC 5929), for channel binding. None for a
    /// signature without a hash of its own (Ed25519, RSA-PSS), which can't be bound to.
    pub fn endpoint(&self) -> Option<Arc<[u8]>> {
        self.endpoint.clone()
    }

    pub fn requires_client_certificate(&self) -> bool {
        self.requires_client_certificate
    }
}

fn read_certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>> {
    let bytes = std::fs::read(path)
        .map_err(|error| private_file::io_error("could not read", path, error))?;
    let certificates = CertificateDer::pem_slice_iter(&bytes)
        .collect::<Result<Vec<_>, pem::Error>>()
        .map_err(|error| invalid(path, &error.to_string()))?;
    if certificates.is_empty() {
        return Err(invalid(path, "it holds no CERTIFICATE section in PEM"));
    }
    Ok(certificates)
}

fn read_key(path: &Path) -> Result<PrivateKeyDer<'static>> {
    PrivateKeyDer::from_pem_slice(&private_file::read(path)?).map_err(|error| match error {
        pem::Error::NoItemsFound => invalid(
            path,
            "it holds no PRIVATE KEY section in PEM; a key with a password is not supported",
        ),
        other => invalid(path, &other.to_string()),
    })
}

fn read_roots(path: &Path) -> Result<Arc<RootCertStore>> {
    let mut roots = RootCertStore::empty();
    for certificate in read_certificates(path)? {
        roots.add(certificate).map_err(|error| invalid(path, &error.to_string()))?;
    }
    Ok(Arc::new(roots))
}

fn invalid(path: &Path, what: &str) -> Error {
    Error::new(ErrorKind::Config, format!("invalid TLS file {path:?}: {what}"))
}

/// Hashes a certificate with the hash of its own signature, where MD5 and SHA-1 become SHA-256
/// (RFC 5929, section 4.1).
fn endpoint_hash(certificate: &[u8]) -> Option<Vec<u8>> {
    // The object identifiers of RFC 3279, 4055 and 5758, as they stand in DER.
    const RSA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01];
    const ECDSA: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04];
    let algorithm = signature_algorithm(certificate)?;
    let hash = match (algorithm.strip_prefix(RSA), algorithm.strip_prefix(ECDSA)) {
        (Some([4 | 5 | 11]), _) | (_, Some([1] | [3, 2])) => Sha256::digest(certificate).to_vec(),
        (Some([12]), _) | (_, Some([3, 3])) => Sha384::digest(certificate).to_vec(),
        (Some([13]), _) | (_, Some([3, 4])) => Sha512::digest(certificate).to_vec(),
        _ => return None,
    };
    Some(hash)
}

/// `Certificate ::= SEQUENCE { tbsCertificate, signatureAlgorithm SEQUENCE { OID, … }, … }`
fn signature_algorithm(certificate: &[u8]) -> Option<&[u8]> {
    const SEQUENCE: u8 = 0x30;
    const OBJECT_IDENTIFIER: u8 = 0x06;
    let (fields, _) = der_value(certificate, SEQUENCE)?;
    let (_, fields) = der_value(fields, SEQUENCE)?;
    let (algorithm, _) = der_value(fields, SEQUENCE)?;
    Some(der_value(algorithm, OBJECT_IDENTIFIER)?.0)
}

/// Splits the value of this tag off the front.
fn der_value(bytes: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (&found, rest) = bytes.split_first()?;
    let (&length, rest) = rest.split_first()?;
    let (length, rest) = match length {
        0..=0x7f => (usize::from(length), rest),
        0x81..=0x84 => {
            let (digits, rest) = rest.split_at_checked(usize::from(length & 0x7f))?;
            (digits.iter().fold(0, |sum, &digit| sum << 8 | usize::from(digit)), rest)
        }
        _ => return None,
    };
    (found == tag).then(|| rest.split_at_checked(length)).flatten()
}

/// One client's bytes, encrypted or not.
#[derive(Debug)]
pub enum Transport {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
    /// The connection broke while it changed to TLS; reads end and writes fail.
    Broken,
}

/// What a TLS session agreed on, as `pg_stat_ssl` shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsInfo {
    pub version: String,
    pub cipher: String,
    /// The ALPN protocol, when the client asked for one.
    pub protocol: Option<Vec<u8>>,
}

impl Transport {
    /// Does the TLS handshake. What the client sent before it began is the caller's to refuse.
    pub async fn accept_tls(&mut self, tls: &ServerTls) -> io::Result<()> {
        let Self::Plain(stream) = std::mem::replace(self, Self::Broken) else {
            return Err(io::Error::other("TLS inside TLS"));
        };
        let stream = TlsAcceptor::from(tls.config()).accept(stream).await?;
        *self = Self::Tls(Box::new(stream));
        Ok(())
    }

    /// The socket, while nothing is encrypted.
    pub fn plain(&self) -> Option<&TcpStream> {
        match self {
            Self::Plain(stream) => Some(stream),
            Self::Tls(_) | Self::Broken => None,
        }
    }

    pub fn tls_info(&self) -> Option<TlsInfo> {
        let Self::Tls(stream) = self else { return None };
        let (_, connection) = stream.get_ref();
        let version = connection.protocol_version().and_then(|version| version.as_str());
        let cipher = connection.negotiated_cipher_suite().and_then(|suite| suite.suite().as_str());
        Some(TlsInfo {
            version: version.unwrap_or("unknown").replace("TLSv1_", "TLSv1."),
            cipher: cipher.unwrap_or("unknown").to_owned(),
            protocol: connection.alpn_protocol().map(<[u8]>::to_vec),
        })
    }
}

impl AsyncRead for Transport {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_read(context, buffer),
            Self::Tls(stream) => Pin::new(stream).poll_read(context, buffer),
            Self::Broken => Poll::Ready(Ok(())),
        }
    }
}

impl AsyncWrite for Transport {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write(context, bytes),
            Self::Tls(stream) => Pin::new(stream).poll_write(context, bytes),
            Self::Broken => Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_flush(context),
            Self::Tls(stream) => Pin::new(stream).poll_flush(context),
            Self::Broken => Poll::Ready(Ok(())),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_shutdown(context),
            Self::Tls(stream) => Pin::new(stream).poll_shutdown(context),
            Self::Broken => Poll::Ready(Ok(())),
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    #![allow(clippy::unwrap_used)]

    use std::{fs, os::unix::fs::PermissionsExt};

    use rcgen::{
        CertificateParams, CertifiedIssuer, KeyPair, PKCS_ECDSA_P256_SHA256,
        PKCS_ECDSA_P384_SHA384, PKCS_ED25519, SignatureAlgorithm,
    };
    use tempfile::TempDir;

    use super::*;

    pub(crate) fn write(folder: &TempDir, name: &str, text: &str) -> PathBuf {
        let path = folder.path().join(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        path
    }

    /// A self-signed certificate for localhost.
    pub(crate) fn self_signed(
        folder: &TempDir,
        algorithm: &'static SignatureAlgorithm,
    ) -> TlsFiles {
        let key = KeyPair::generate_for(algorithm).unwrap();
        let names = ["localhost".to_owned(), "127.0.0.1".to_owned()];
        let certificate = CertificateParams::new(names).unwrap().self_signed(&key).unwrap();
        TlsFiles {
            certificate: write(folder, "server.pem", &certificate.pem()),
            key: write(folder, "server.key", &key.serialize_pem()),
            client_ca: None,
        }
    }

    /// Lets the door ask for client certificates; gives the paths of one and its key.
    pub(crate) fn add_client_ca(folder: &TempDir, files: &mut TlsFiles) -> (PathBuf, PathBuf) {
        let mut params = CertificateParams::new([]).unwrap();
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        files.client_ca = Some(write(folder, "client-ca.pem", &authority.pem()));
        let key = KeyPair::generate().unwrap();
        let certificate = CertificateParams::new([]).unwrap().signed_by(&key, &authority).unwrap();
        (
            write(folder, "client.pem", &certificate.pem()),
            write(folder, "client.key", &key.serialize_pem()),
        )
    }

    #[test]
    fn endpoint_is_hashed_by_the_signature_algorithm() {
        for (algorithm, hash_bytes) in [
            (&PKCS_ECDSA_P256_SHA256, Some(32)),
            (&PKCS_ECDSA_P384_SHA384, Some(48)),
            (&PKCS_ED25519, None),
        ] {
            let folder = tempfile::tempdir().unwrap();
            let tls = ServerTls::load(&self_signed(&folder, algorithm), &["postgresql"]).unwrap();
            assert_eq!(tls.endpoint().map(|hash| hash.len()), hash_bytes);
        }
    }

    #[test]
    fn endpoint_hash_never_panics() {
        let folder = tempfile::tempdir().unwrap();
        let files = self_signed(&folder, &PKCS_ECDSA_P256_SHA256);
        let der = read_certificates(&files.certificate).unwrap()[0].to_vec();
        assert_eq!(endpoint_hash(&der).unwrap(), Sha256::digest(&der).to_vec());
        for length in 0..der.len() {
            endpoint_hash(&der[..length]);
        }
        for position in 0..der.len() {
            for byte in [0, 0x7f, 0x80, 0x84, 0xff] {
                let mut changed = der.clone();
                changed[position] = byte;
                endpoint_hash(&changed);
            }
        }
    }

    #[test]
    fn every_fault_names_its_file() {
        let folder = tempfile::tempdir().unwrap();
        let good = self_signed(&folder, &PKCS_ECDSA_P256_SHA256);
        let other = tempfile::tempdir().unwrap();
        let other_key = self_signed(&other, &PKCS_ECDSA_P256_SHA256).key;
        let open_key = write(&folder, "open.key", &fs::read_to_string(&good.key).unwrap());
        fs::set_permissions(&open_key, fs::Permissions::from_mode(0o644)).unwrap();
        let empty = write(&folder, "empty.pem", "");
        let broken = write(
            &folder,
            "broken.pem",
            "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
        );
        let missing = folder.path().join("missing.pem");

        for (files, file, complaint) in [
            (TlsFiles { certificate: missing.clone(), ..good.clone() }, "missing.pem", "No such"),
            (TlsFiles { key: missing.clone(), ..good.clone() }, "missing.pem", "No such"),
            (TlsFiles { client_ca: Some(missing), ..good.clone() }, "missing.pem", "No such"),
            (TlsFiles { certificate: empty.clone(), ..good.clone() }, "empty.pem", "CERTIFICATE"),
            (TlsFiles { key: empty.clone(), ..good.clone() }, "empty.pem", "PRIVATE KEY"),
            (TlsFiles { client_ca: Some(empty), ..good.clone() }, "empty.pem", "CERTIFICATE"),
            (TlsFiles { certificate: broken.clone(), ..good.clone() }, "broken.pem", "certificate"),
            (TlsFiles { client_ca: Some(broken), ..good.clone() }, "broken.pem", "certificate"),
            (TlsFiles { key: other_key, ..good.clone() }, "server.key", "does not belong"),
            (TlsFiles { key: open_key, ..good.clone() }, "open.key", "others than its owner"),
        ] {
            let error = ServerTls::load(&files, &[]).unwrap_err();
            assert_eq!(error.kind, ErrorKind::Config);
            assert!(error.message.contains(file), "{file}: {error}");
            assert!(error.message.contains(complaint), "{complaint}: {error}");
        }
        assert!(ServerTls::load(&good, &["h2"]).is_ok());
    }
}
