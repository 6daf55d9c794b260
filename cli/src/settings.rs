//! Which node to talk to, and as whom.
//!
//! The environment goes before the stored login, field by field, with one exception: a stored key is sent only to the node it
//! was stored for.

use std::path::PathBuf;

use crate::api::Client;
use crate::credentials::Credentials;
use crate::failure::Failure;
use crate::paths::Paths;

/// Where a node listens unless told otherwise.
pub(crate) const DEFAULT_URL: &str = "http://127.0.0.1:7700";

/// Names a PEM file of authorities to trust besides the system's; mounts honour it too.
const CA_CERT_VARIABLE: &str = "TONBO_CA_CERT";

/// What the environment and the stored login come to.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Settings {
    /// The node's address, without a slash at its end.
    pub(crate) url: String,
    key: Option<String>,
    /// A login is stored, but for this other node.
    stored_elsewhere: Option<String>,
}

impl Settings {
    /// What holds for this process.
    ///
    /// # Errors
    /// The stored login cannot be read.
    pub(crate) fn load() -> anyhow::Result<Self> {
        let variable = |name: &str| std::env::var(name).ok().map(|value| value.trim().to_owned()).filter(|value| !value.is_empty());
        let (key, url) = (variable("TONBO_API_KEY"), variable("TONBO_API_URL"));
        // A container with an API key in its environment needs no home directory.
        let stored = match Paths::of_this_user() {
            Ok(paths) if key.is_none() || url.is_none() => Credentials::read(&paths.credentials())?,
            _ => None,
        };
        Ok(Self::from_sources(key, url, stored))
    }

    /// The node at `url`, and no key.
    pub(crate) fn for_node(url: &str) -> Self {
        Self { url: without_slash(url), key: None, stored_elsewhere: None }
    }

    fn from_sources(key: Option<String>, url: Option<String>, stored: Option<Credentials>) -> Self {
        let url = url.or_else(|| Some(stored.as_ref()?.url.clone())).unwrap_or_else(|| DEFAULT_URL.to_owned());
        let url = without_slash(&url);
        let (same, other): (Option<Credentials>, Option<Credentials>) = match stored {
            Some(login) if without_slash(&login.url) == url => (Some(login), None),
            other => (None, other),
        };
        Self { url, key: key.or_else(|| Some(same?.api_key)), stored_elsewhere: other.map(|login| login.url) }
    }

    /// The API key.
    ///
    /// # Errors
    /// There is none.
    pub(crate) fn key(&self) -> Result<&str, Failure> {
        if let Some(key) = &self.key {
            return Ok(key);
        }
        Err(match &self.stored_elsewhere {
            Some(other) => Failure::not_authorised(format!("no API key for {}: the stored login is for {other}", self.url))
                .hint("set TONBO_API_KEY, or run `artifacts login`"),
            None => Failure::not_authorised("no API key").hint("set TONBO_API_KEY, or run `artifacts login`"),
        })
    }

    /// A client that speaks for the account.
    ///
    /// # Errors
    /// There is no API key, or the address is not one.
    pub(crate) fn client(&self) -> anyhow::Result<Client> {
        self.client_with(self.key()?)
    }

    /// A client that shows something else.
    ///
    /// # Errors
    /// The address is not one, or TLS cannot be set up.
    pub(crate) fn client_with(&self, bearer: &str) -> anyhow::Result<Client> {
        let ca_cert = std::env::var_os(CA_CERT_VARIABLE).map(PathBuf::from);
        Ok(Client::new(&self.url, bearer, ca_cert.as_deref())?)
    }
}

impl std::fmt::Debug for Settings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Settings").field("url", &self.url).finish_non_exhaustive()
    }
}

fn without_slash(url: &str) -> String {
    url.trim_end_matches('/').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn login(url: &str) -> Option<Credentials> {
        Some(Credentials { url: url.to_owned(), api_key: "stored".to_owned(), handle: None })
    }

    fn settings(key: Option<&str>, url: Option<&str>, stored: Option<Credentials>) -> (String, Option<String>) {
        let settings = Settings::from_sources(key.map(str::to_owned), url.map(str::to_owned), stored);
        (settings.url.clone(), settings.key().ok().map(str::to_owned))
    }

    #[test]
    fn the_environment_goes_before_the_login_and_the_login_before_the_default() {
        let expected = |url: &str, key: Option<&str>| (url.to_owned(), key.map(str::to_owned));
        assert_eq!(settings(None, None, None), expected(DEFAULT_URL, None));
        assert_eq!(settings(Some("env"), None, None), expected(DEFAULT_URL, Some("env")));
        assert_eq!(settings(None, None, login("https://n/")), expected("https://n", Some("stored")));
        assert_eq!(settings(Some("env"), Some("http://m/"), login("https://n")), expected("http://m", Some("env")));
        assert_eq!(settings(Some("env"), None, login("https://n")), expected("https://n", Some("env")));
        assert_eq!(settings(None, Some("https://n/"), login("https://n")), expected("https://n", Some("stored")));
    }

    #[test]
    fn a_stored_key_is_never_sent_to_another_node() {
        let settings = Settings::from_sources(None, Some("http://evil".to_owned()), login("https://n"));
        assert!(settings.key().unwrap_err().to_string().contains("https://n"));
    }
}
