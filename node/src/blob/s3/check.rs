//! Whether the bucket is what the store needs, found out before anything relies on it.
//!
//! Three requests: a list, a conditional put, and the same put with other content, which must be refused. A server
//! that lets the second through would let two writers replace each other's segments, so it is not used at all.

use aws_sdk_s3::primitives::ByteStream;

use super::failure::Failure;
use super::{S3Blobs, S3Config};
use crate::blob::BlobError;

/// Where the documentation says what the credentials must allow.
const PERMISSIONS: &str = "see \"Segments in S3\" in docs/operations.md for what they must allow";

/// Tries the server.
pub(super) async fn check(blobs: &S3Blobs, config: &S3Config) -> Result<(), BlobError> {
    let explained = |doing: &str, failure: Failure| BlobError::Unusable { reason: explain(config, doing, failure) };
    let all = blobs.names.beginning_with("");
    let listed = blobs.attempts.run("list", || blobs.page(&all, None, 1)).await;
    listed.map_err(|failure| explained("listing it", failure))?;

    let name = blobs.names.probe(&blobs.attempts.entropy.secret());
    let put = |content: &'static [u8]| put(blobs, &name, content);
    let first = blobs.attempts.run("put", || put(b"first")).await;
    // An attempt of its own may have come first.
    let first = if matches!(first, Err(Failure::Exists)) { Ok(()) } else { first };
    let second = match &first {
        Ok(()) => blobs.attempts.run("put", || put(b"second")).await,
        Err(_) => Ok(()),
    };
    let removed = blobs.attempts.run("delete", || blobs.remove(&name)).await;
    first.map_err(|failure| explained("creating an object with `If-None-Match: *`", failure))?;
    match second {
        Err(Failure::Exists) => {}
        Ok(()) => {
            let reason = format!(
                "the server of the bucket `{}` ignores `If-None-Match: *` and replaces objects, so data could be lost; \
                 use a server that honours it, such as AWS S3, SeaweedFS or a current MinIO",
                config.bucket
            );
            return Err(BlobError::Unusable { reason });
        }
        Err(failure) => return Err(explained("creating an object that exists", failure)),
    }
    removed.map_err(|failure| explained("deleting an object", failure))
}

async fn put(blobs: &S3Blobs, name: &str, content: &'static [u8]) -> Result<(), Failure> {
    let put = blobs.client.put_object().bucket(&blobs.bucket).key(name).if_none_match("*").body(ByteStream::from_static(content));
    put.send().await.map(drop).map_err(|error| Failure::of(&error))
}

/// What went wrong and what to do about it.
fn explain(config: &S3Config, doing: &str, failure: Failure) -> String {
    let bucket = &config.bucket;
    let server = config.endpoint.as_deref().unwrap_or("AWS");
    match failure {
        Failure::Missing => missing(bucket, server),
        Failure::Lasting { code, .. } if code == "NoSuchBucket" => missing(bucket, server),
        Failure::Lasting { code, reason } => match code.as_str() {
            "NotImplemented" | "501" => {
                format!("{server} cannot do what is needed ({doing}: {code}); use a server that honours `If-None-Match` on PUT")
            }
            "PermanentRedirect" | "301" | "AuthorizationHeaderMalformed" | "IllegalLocationConstraintException" => {
                format!("the bucket `{bucket}` is in another region ({code}); name it with --s3-region")
            }
            "AccessDenied" | "InvalidAccessKeyId" | "SignatureDoesNotMatch" | "ExpiredToken" | "InvalidToken" | "403" | "401" => {
                format!("{server} refuses the credentials for the bucket `{bucket}` ({doing}: {code}); check them, {PERMISSIONS}")
            }
            "RequestTimeTooSkewed" => format!("the clock of this machine and that of {server} differ too much; set it right"),
            _ => format!("{doing} in the bucket `{bucket}` of {server} fails: {reason}"),
        },
        Failure::Passing(reason) => {
            format!(
                "{server} does not serve the bucket `{bucket}` ({doing}: {reason}); check that it runs and that --s3-endpoint is its address"
            )
        }
        Failure::Exists | Failure::Taken | Failure::OutOfRange => format!("{server} gives an answer that makes no sense ({doing})"),
    }
}

fn missing(bucket: &str, server: &str) -> String {
    format!("{server} has no bucket `{bucket}`; create it, or name another with --s3-bucket")
}
