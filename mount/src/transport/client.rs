use std::time::Duration;

use super::Trust;
use crate::error::MountError;

/// The client for segments. Its requests have no limit of their own in time: who asks knows how long the session
/// may wait.
///
/// # Errors
/// When TLS cannot be set up.
pub(crate) fn http_client(trust: &Trust) -> Result<reqwest::Client, MountError> {
    reqwest::Client::builder()
        .tls_backend_preconfigured(trust.config().as_ref().clone())
        .no_proxy()
        .http1_only()
        .tcp_nodelay(true)
        .connect_timeout(Duration::from_secs(3))
        .read_timeout(Duration::from_secs(10))
        .pool_max_idle_per_host(8)
        .redirect(reqwest::redirect::Policy::none())
        .build()
        .map_err(|error| MountError::system("cannot set up the HTTP client", error))
}
