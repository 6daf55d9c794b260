use std::sync::Arc;

use rustls::crypto::ring;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;

use crate::options::TraceError;

/// Names a PEM file of authorities to trust besides the machine's, here as everywhere.
const CA_CERT_VARIABLE: &str = "TONBO_CA_CERT";

/// Whom to trust who says to be the collector. A machine without a certificate store still reaches one over plain HTTP.
///
/// # Errors
/// [`TraceError::System`] for a file that cannot be used.
pub(crate) fn trust() -> Result<ClientConfig, TraceError> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if let Some(path) = std::env::var_os(CA_CERT_VARIABLE).filter(|path| !path.is_empty()) {
        let refused = |error: &dyn std::fmt::Display| {
            TraceError::System(format!("cannot use the CA certificates in {}: {error}", std::path::Path::new(&path).display()))
        };
        for certificate in CertificateDer::pem_file_iter(&path).map_err(|error| refused(&error))? {
            roots.add(certificate.map_err(|error| refused(&error))?).map_err(|error| refused(&error))?;
        }
    }
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider())).with_safe_default_protocol_versions();
    let builder = builder.map_err(|error| TraceError::System(error.to_string()))?;
    Ok(builder.with_root_certificates(roots).with_no_client_auth())
}
