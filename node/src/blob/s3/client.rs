use std::time::Duration;

use aws_config::environment::EnvironmentVariableRegionProvider;
use aws_config::meta::region::RegionProviderChain;
use aws_config::{BehaviorVersion, SdkConfig};
use aws_sdk_s3::Client;
use aws_sdk_s3::config::retry::RetryConfig;
use aws_sdk_s3::config::timeout::TimeoutConfig;
use aws_sdk_s3::config::{Credentials, Region, RequestChecksumCalculation, ResponseChecksumValidation};
use aws_smithy_http_client::tls::{Provider, rustls_provider::CryptoMode};

use super::S3Config;
use crate::blob::BlobError;
use crate::secret::Secret;

/// How long the server may take to be reached.
const CONNECT_LIMIT: Duration = Duration::from_secs(3);
/// How long one exchange may take, the body of a put included.
const ATTEMPT_LIMIT: Duration = Duration::from_secs(10);
/// What servers other than AWS expect where nobody has named a region.
const DEFAULT_REGION: &str = "us-east-1";

/// What the configuration and the environment say together: the region, and who gives credentials.
///
/// # Errors
/// [`BlobError::Unusable`], with what to change.
pub(super) async fn settings(config: &S3Config) -> Result<SdkConfig, BlobError> {
    let http = aws_smithy_http_client::Builder::new().tls_provider(Provider::Rustls(CryptoMode::Ring)).build_https();
    let limits = TimeoutConfig::builder().connect_timeout(CONNECT_LIMIT).operation_attempt_timeout(ATTEMPT_LIMIT).build();
    let mut loader = aws_config::defaults(BehaviorVersion::latest())
        .http_client(http)
        // The attempts are ours, so that there is one bound on them.
        .retry_config(RetryConfig::disabled())
        .timeout_config(limits)
        // Servers that are not AWS often know no other checksum than that of the signature. Readers check each block.
        .request_checksum_calculation(RequestChecksumCalculation::WhenRequired)
        .response_checksum_validation(ResponseChecksumValidation::WhenRequired);
    if let Some(region) = &config.region {
        loader = loader.region(Region::new(region.clone()));
    } else if config.endpoint.is_some() {
        let given = RegionProviderChain::first_try(EnvironmentVariableRegionProvider::new());
        loader = loader.region(given.or_else(DEFAULT_REGION));
    }
    if let (Some(id), Some(secret)) = (&config.access_key_id, &config.secret_access_key) {
        let token = config.session_token.as_ref().map(|token| Secret::expose(token).to_owned());
        loader = loader.credentials_provider(Credentials::new(id, secret.expose(), token, None, "configuration of the node"));
    }
    let shared = loader.load().await;
    if shared.region().is_none() {
        let reason = "the region of the bucket is not known; name it with --s3-region, or in AWS_REGION".to_owned();
        return Err(BlobError::Unusable { reason });
    }
    Ok(shared)
}

/// The client, and the one that signs for agents.
pub(super) async fn clients(config: &S3Config) -> Result<(Client, Client), BlobError> {
    let shared = settings(config).await?;
    let at = |endpoint: Option<&String>| {
        let mut builder = aws_sdk_s3::config::Builder::from(&shared).force_path_style(config.path_style);
        builder.set_endpoint_url(endpoint.cloned().or_else(|| shared.endpoint_url().map(str::to_owned)));
        Client::from_conf(builder.build())
    };
    let client = at(config.endpoint.as_ref());
    let signer = match &config.public_endpoint {
        Some(public) => at(Some(public)),
        None => client.clone(),
    };
    Ok((client, signer))
}
