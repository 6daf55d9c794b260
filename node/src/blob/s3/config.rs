use serde::{Deserialize, Serialize};

use crate::blob::BlobError;
use crate::secret::Secret;

/// Where the bucket is and how to reach it. What is not given comes from the environment, as for any program of
/// the AWS SDK: `AWS_ACCESS_KEY_ID`, `AWS_REGION`, the shared files, the role of the machine or the container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct S3Config {
    /// The bucket. It must exist.
    pub bucket: String,
    /// What the names of all objects of this cluster begin with, `/` after it implied. No two clusters share one.
    #[serde(default)]
    pub prefix: String,
    /// The server's address, `http(s)://host[:port]`; absent for AWS.
    #[serde(default)]
    pub endpoint: Option<String>,
    /// The address under which agents reach the server, where it differs from `endpoint`.
    #[serde(default)]
    pub public_endpoint: Option<String>,
    /// The region of the bucket.
    #[serde(default)]
    pub region: Option<String>,
    /// Whether the bucket is named in the path and not in the host name, as most servers other than AWS want it.
    #[serde(default)]
    pub path_style: bool,
    /// With `secret_access_key`: the credentials, instead of those of the environment.
    #[serde(default)]
    pub access_key_id: Option<String>,
    /// See `access_key_id`.
    #[serde(default, skip_serializing)]
    pub secret_access_key: Option<Secret>,
    /// Comes with temporary credentials.
    #[serde(default, skip_serializing)]
    pub session_token: Option<Secret>,
}

impl S3Config {
    /// A bucket at AWS, with what the environment gives.
    pub fn new(bucket: impl Into<String>) -> Self {
        Self {
            bucket: bucket.into(),
            prefix: String::new(),
            endpoint: None,
            public_endpoint: None,
            region: None,
            path_style: false,
            access_key_id: None,
            secret_access_key: None,
            session_token: None,
        }
    }

    /// Whether it makes sense.
    ///
    /// # Errors
    /// [`BlobError::Unusable`], with what to change.
    pub(super) fn check(&self) -> Result<(), BlobError> {
        let unusable = |reason: String| Err(BlobError::Unusable { reason });
        let is_name = |text: &str| text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte));
        if self.bucket.is_empty() || !is_name(&self.bucket) {
            return unusable(format!("`{}` is no name of a bucket", self.bucket));
        }
        let prefix = self.prefix.trim_matches('/');
        if !prefix.is_empty() && !prefix.split('/').all(|part| !part.is_empty() && is_name(part)) {
            return unusable(format!("the prefix `{}` may hold letters, digits and `-_.`, with single slashes between", self.prefix));
        }
        for address in self.endpoint.iter().chain(&self.public_endpoint) {
            let host = address.strip_prefix("http://").or_else(|| address.strip_prefix("https://"));
            if host.is_none_or(|host| host.trim_end_matches('/').is_empty()) {
                return unusable(format!("`{address}` is no address of a server: expected http(s)://host[:port]"));
            }
        }
        if self.access_key_id.is_some() != self.secret_access_key.is_some() {
            return unusable("access_key_id and secret_access_key go together; without both, those of the environment are used".to_owned());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_makes_no_sense_is_refused() {
        let good = S3Config::new("bucket-1");
        assert!(good.check().is_ok());
        assert!(S3Config { prefix: "/a/b.c/".to_owned(), ..good.clone() }.check().is_ok());
        let key = Some("k".to_owned());
        for bad in [
            S3Config::new(""),
            S3Config::new("a/b"),
            S3Config { prefix: "a//b".to_owned(), ..good.clone() },
            S3Config { prefix: "a b".to_owned(), ..good.clone() },
            S3Config { endpoint: Some("host:1".to_owned()), ..good.clone() },
            S3Config { public_endpoint: Some("https://".to_owned()), ..good.clone() },
            S3Config { access_key_id: key, ..good },
        ] {
            assert!(bad.check().is_err(), "{bad:?}");
        }
    }
}
