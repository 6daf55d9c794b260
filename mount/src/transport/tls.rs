use std::path::Path;
use std::sync::Arc;

use rustls::crypto::ring;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;

use crate::error::MountError;

/// The variable that names a PEM file of further authorities when the options name none.
const CA_CERT_VARIABLE: &str = "TONBO_CA_CERT";

/// Whom to trust when connecting.
#[derive(Debug, Clone)]
pub(crate) struct Trust {
    config: Arc<ClientConfig>,
}

impl Trust {
    /// The machine's authorities and those in `ca_cert`.
    ///
    /// # Errors
    /// When a PEM file was named and holds no usable certificate.
    pub(crate) fn load(ca_cert: Option<&Path>) -> Result<Self, MountError> {
        let mut roots = RootCertStore::empty();
        // A machine without a certificate store still reaches nodes over plain HTTP or with a CA file.
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        let named = std::env::var_os(CA_CERT_VARIABLE).map(Into::into);
        if let Some(path) = ca_cert.map(Path::to_owned).or(named) {
            let what = || format!("cannot use the CA certificates in {}", path.display());
            let certificates = CertificateDer::pem_file_iter(&path).map_err(|error| MountError::system(what(), error))?;
            let mut count = 0;
            for certificate in certificates {
                let certificate = certificate.map_err(|error| MountError::system(what(), error))?;
                roots.add(certificate).map_err(|error| MountError::system(what(), error))?;
                count += 1;
            }
            if count == 0 {
                return Err(MountError::system(what(), "the file holds no certificate"));
            }
        }
        let provider = Arc::new(ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| MountError::system("cannot set up TLS", error))?;
        Ok(Self { config: Arc::new(builder.with_root_certificates(roots).with_no_client_auth()) })
    }

    /// The configuration for a connection of our own.
    pub(crate) fn config(&self) -> Arc<ClientConfig> {
        Arc::clone(&self.config)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_ca_file_without_a_certificate_is_refused_by_name() {
        let dir = tempfile::tempdir().unwrap();
        let empty = dir.path().join("empty.pem");
        std::fs::write(&empty, "").unwrap();
        for path in [empty, dir.path().join("missing.pem")] {
            let error = Trust::load(Some(&path)).unwrap_err().to_string();
            assert!(error.contains(path.to_str().unwrap()), "{error}");
        }
        assert!(Trust::load(None).is_ok());
    }
}
