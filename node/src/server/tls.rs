//! The certificate and key of a listener.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::TlsAcceptor;

use super::ServerError;

/// The files of a TLS identity, in PEM.
#[derive(Debug, Clone)]
pub struct TlsFiles {
    /// The server's certificate, followed by those that lead to a root.
    pub certificate_chain: PathBuf,
    /// The private key of the first certificate: PKCS#8, PKCS#1 or SEC1.
    pub private_key: PathBuf,
}

impl TlsFiles {
    /// Reads and checks both files.
    pub(super) fn acceptor(&self) -> Result<TlsAcceptor, ServerError> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| invalid(&self.certificate_chain, error.to_string()))?
            .with_no_client_auth()
            .with_single_cert(self.certificates()?, self.key()?)
            .map_err(|error| self.refused(error))?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(TlsAcceptor::from(Arc::new(config)))
    }

    fn certificates(&self) -> Result<Vec<CertificateDer<'static>>, ServerError> {
        let path = &self.certificate_chain;
        let text = read(path)?;
        let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&text).collect();
        let certificates = certificates.map_err(|error| invalid(path, error.to_string()))?;
        if certificates.is_empty() {
            return Err(invalid(path, "there is no `BEGIN CERTIFICATE` section in it"));
        }
        Ok(certificates)
    }

    fn key(&self) -> Result<PrivateKeyDer<'static>, ServerError> {
        let path = &self.private_key;
        PrivateKeyDer::from_pem_slice(&read(path)?).map_err(|error| match error {
            pem::Error::NoItemsFound => invalid(path, "there is no unencrypted `PRIVATE KEY` section in it"),
            other => invalid(path, other.to_string()),
        })
    }

    fn refused(&self, error: rustls::Error) -> ServerError {
        match error {
            rustls::Error::InconsistentKeys(_) => {
                let certificate = self.certificate_chain.display();
                invalid(&self.private_key, format!("it is not the key of the first certificate in {certificate}"))
            }
            rustls::Error::General(reason) => invalid(&self.private_key, reason),
            other => invalid(&self.certificate_chain, other.to_string()),
        }
    }
}

fn read(path: &Path) -> Result<Vec<u8>, ServerError> {
    fs::read(path).map_err(|source| ServerError::ReadTls { path: path.to_owned(), source })
}

fn invalid(path: &Path, reason: impl Into<String>) -> ServerError {
    ServerError::InvalidTls { path: path.to_owned(), reason: reason.into() }
}
