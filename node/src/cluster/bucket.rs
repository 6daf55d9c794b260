//! Where a cluster keeps everything: a bucket, or a directory that stands for one.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use aws_sdk_s3::config::{ProvideCredentials, SharedCredentialsProvider};
use object_store::aws::{AmazonS3Builder, AwsCredential, S3ConditionalPut};
use object_store::local::LocalFileSystem;
use object_store::prefix::PrefixStore;
use object_store::{ClientOptions, CredentialProvider, ObjectStore, RetryConfig};
use parking_lot::Mutex;

use super::ClusterError;
use crate::blob::{BlobsConfig, S3Config, s3_settings};
use crate::config::NodeConfig;
use crate::time::{Clock as _, SystemClock};

/// How long the server may take to be reached, and to answer one request.
const CONNECT_LIMIT: Duration = Duration::from_secs(3);
const REQUEST_LIMIT: Duration = Duration::from_secs(10);
/// Whoever uses the objects tries again for longer; this is for what passes in a moment.
const RETRIES: usize = 2;
/// Credentials are asked for again this long before they run out, in milliseconds; and this often if they never do.
const CREDENTIALS_MARGIN_MS: u64 = 5 * 60 * 1000;
const CREDENTIALS_KEPT_MS: u64 = 3600 * 1000;

/// Where a cluster keeps everything.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Bucket {
    /// Below the prefix of a bucket, beside the segments.
    S3(S3Config),
    /// In a directory; for one node, and for tests.
    Directory(PathBuf),
}

impl Bucket {
    /// The bucket that a node is configured for.
    ///
    /// # Errors
    /// [`ClusterError::Unusable`] when there is none, or two.
    pub fn of(config: &NodeConfig) -> Result<Self, ClusterError> {
        let unusable = |reason: &str| Err(ClusterError::Unusable { reason: reason.to_owned() });
        match (&config.blobs, &config.cluster.directory) {
            (BlobsConfig::S3(bucket), None) => Ok(Self::S3(bucket.clone())),
            (BlobsConfig::Directory, Some(directory)) => Ok(Self::Directory(directory.clone())),
            (BlobsConfig::S3(_), Some(_)) => unusable("segments are in S3, so everything is; leave cluster.directory out"),
            (BlobsConfig::Directory, None) => {
                unusable("the store `slate` needs a bucket (--s3-bucket, or blobs in the file) or cluster.directory")
            }
        }
    }

    /// The directory of segments, where they are files.
    pub fn blob_directory(&self) -> Option<&Path> {
        match self {
            Self::S3(_) => None,
            Self::Directory(directory) => Some(directory),
        }
    }

    /// Whether an object can be replaced on condition that it is the one that was read.
    pub fn has_conditional_updates(&self) -> bool {
        matches!(self, Self::S3(_))
    }

    /// The objects in it, without the prefix in their names.
    ///
    /// # Errors
    /// [`ClusterError::Unusable`], [`ClusterError::Directory`]. That it answers is not tried here.
    pub async fn objects(&self) -> Result<Arc<dyn ObjectStore>, ClusterError> {
        match self {
            Self::S3(config) => s3(config).await,
            Self::Directory(directory) => {
                let failed = |source| ClusterError::Directory { path: directory.clone(), source };
                std::fs::create_dir_all(directory).map_err(failed)?;
                Ok(Arc::new(LocalFileSystem::new_with_prefix(directory)?.with_fsync(true)))
            }
        }
    }
}

async fn s3(config: &S3Config) -> Result<Arc<dyn ObjectStore>, ClusterError> {
    // The HTTP client takes the one of the process, if it speaks TLS. Another may have chosen it before.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let settings = s3_settings(config).await.map_err(|error| ClusterError::Unusable { reason: error.to_string() })?;
    let credentials = settings.credentials_provider().ok_or_else(|| ClusterError::Unusable {
        reason: "there are no credentials for the bucket: neither in the configuration nor in the environment".to_owned(),
    })?;
    let options = ClientOptions::new().with_allow_http(true).with_connect_timeout(CONNECT_LIMIT).with_timeout(REQUEST_LIMIT);
    let mut builder = AmazonS3Builder::new()
        .with_bucket_name(&config.bucket)
        .with_virtual_hosted_style_request(!config.path_style)
        .with_conditional_put(S3ConditionalPut::ETagMatch)
        .with_credentials(Arc::new(Credentials::new(credentials)))
        .with_client_options(options)
        .with_retry(RetryConfig { max_retries: RETRIES, retry_timeout: REQUEST_LIMIT, ..RetryConfig::default() });
    if let Some(region) = settings.region() {
        builder = builder.with_region(region.as_ref());
    }
    if let Some(endpoint) = config.endpoint.as_deref().or(settings.endpoint_url()) {
        builder = builder.with_endpoint(if config.path_style { endpoint.to_owned() } else { in_host(endpoint, &config.bucket) });
    }
    let objects = builder.build()?;
    let prefix = config.prefix.trim_matches('/');
    Ok(if prefix.is_empty() { Arc::new(objects) } else { Arc::new(PrefixStore::new(objects, prefix)) })
}

/// The address under which a server answers for one bucket.
fn in_host(endpoint: &str, bucket: &str) -> String {
    match endpoint.split_once("://") {
        Some((scheme, host)) => format!("{scheme}://{bucket}.{host}"),
        None => endpoint.to_owned(),
    }
}

/// The credentials that the node has for its bucket, kept until shortly before they run out.
#[derive(Debug)]
struct Credentials {
    provider: SharedCredentialsProvider,
    kept: Mutex<Option<(u64, Arc<AwsCredential>)>>,
}

impl Credentials {
    fn new(provider: SharedCredentialsProvider) -> Self {
        Self { provider, kept: Mutex::new(None) }
    }
}

#[async_trait]
impl CredentialProvider for Credentials {
    type Credential = AwsCredential;

    async fn get_credential(&self) -> object_store::Result<Arc<AwsCredential>> {
        let now_ms = SystemClock.wall().unix_ms();
        if let Some((until_ms, credential)) = &*self.kept.lock()
            && now_ms < *until_ms
        {
            return Ok(credential.clone());
        }
        let found = self.provider.provide_credentials().await;
        let found = found.map_err(|error| object_store::Error::Generic { store: "S3", source: Box::new(error) })?;
        let credential = Arc::new(AwsCredential {
            key_id: found.access_key_id().to_owned(),
            secret_key: found.secret_access_key().to_owned(),
            token: found.session_token().map(str::to_owned),
        });
        let end = found.expiry().and_then(|at| at.duration_since(std::time::UNIX_EPOCH).ok());
        let until_ms = end.map_or(now_ms + CREDENTIALS_KEPT_MS, |end| (end.as_millis() as u64).saturating_sub(CREDENTIALS_MARGIN_MS));
        *self.kept.lock() = Some((until_ms, Arc::clone(&credential)));
        Ok(credential)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_bucket_stands_in_the_host_where_the_server_wants_it() {
        assert_eq!(in_host("https://s3.example.com:9000", "acme"), "https://acme.s3.example.com:9000");
    }

    #[test]
    fn there_is_one_place_and_not_two() {
        let with = |blobs, directory: Option<&str>| {
            let mut config = NodeConfig { blobs, ..NodeConfig::default() };
            config.cluster.directory = directory.map(PathBuf::from);
            Bucket::of(&config)
        };
        let s3 = || BlobsConfig::S3(S3Config::new("acme"));
        assert_eq!(with(s3(), None).unwrap(), Bucket::S3(S3Config::new("acme")));
        assert_eq!(with(BlobsConfig::Directory, Some("/b")).unwrap(), Bucket::Directory("/b".into()));
        assert!(with(s3(), Some("/b")).is_err());
        assert!(with(BlobsConfig::Directory, None).is_err());
    }
}
