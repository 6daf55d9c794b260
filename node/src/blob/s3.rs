//! Objects in a bucket of any server that speaks S3.
//!
//! A put says `If-None-Match: *`, so of two puts of one key one wins, whoever makes them; a server that ignores this is
//! refused at the start (`check.rs`). A put that finds its object there compares the content, so a put whose answer was
//! lost succeeds when it is made again. An object is put in one request: at 8 MiB at most, parts would save nothing, and
//! an upload in parts that is abandoned would have to be found and ended.
//!
//! What may pass (no answer, a busy server, an answer that is cut short) is tried again here, within the bounds of
//! `attempts.rs`; what comes through is [`BlobError::Unavailable`]. The SDK's own attempts are switched off, so there is
//! one bound. `names.rs` says how keys become names of objects.

mod attempts;
mod check;
mod client;
mod config;
mod failure;
mod names;

#[cfg(test)]
mod double;
#[cfg(test)]
mod tests;

use std::ops::Range;
use std::time::Duration;

use artifacts_core::protocol::DirectUrl;
use aws_sdk_s3::Client;
use aws_sdk_s3::operation::get_object::GetObjectOutput;
use aws_sdk_s3::presigning::PresigningConfig;
use aws_sdk_s3::primitives::ByteStream;
use bytes::Bytes;
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;

use self::attempts::Attempts;
pub use self::config::S3Config;
use self::failure::Failure;
use self::names::Names;
use super::{BlobError, BlobKey, BlobStore, DirectOp, whole};
use crate::random::SharedEntropy;

/// What S3 gives in one answer of a list.
const PAGE_MAX: usize = 1_000;
/// No object is longer, whatever a request says: above, a server may take the number for nonsense.
const OBJECT_MAX_BYTES: u64 = 5 << 40;

/// Objects in a bucket.
pub struct S3Blobs {
    client: Client,
    /// Signs what others are to send: it knows the server by the address that they use.
    signer: Client,
    bucket: String,
    names: Names,
    attempts: Attempts,
}

/// What the configuration of a bucket and the environment say together, for others that use the same bucket.
///
/// # Errors
/// [`BlobError::Unusable`], with what to change.
pub(crate) async fn settings(config: &S3Config) -> Result<aws_config::SdkConfig, BlobError> {
    config.check()?;
    // Boxed: what looks for credentials has a future that is too large to lie in that of every caller.
    Box::pin(client::settings(config)).await
}

impl S3Blobs {
    /// Reaches for the bucket and checks that the server keeps what this store relies on.
    ///
    /// # Errors
    /// [`BlobError::Unusable`], with what to change.
    pub async fn open(config: &S3Config, entropy: SharedEntropy) -> Result<Self, BlobError> {
        let blobs = Self::unchecked(config, entropy).await?;
        Box::pin(check::check(&blobs, config)).await?;
        Ok(blobs)
    }

    async fn unchecked(config: &S3Config, entropy: SharedEntropy) -> Result<Self, BlobError> {
        config.check()?;
        // Boxed: what looks for credentials has a future that is too large to lie in that of every caller.
        let (client, signer) = Box::pin(client::clients(config)).await?;
        let names = Names::new(&config.prefix);
        Ok(Self { client, signer, bucket: config.bucket.clone(), names, attempts: Attempts::new(entropy) })
    }

    /// Creates an object, or finds that it is there with the same content.
    async fn create(&self, name: &str, data: &Bytes) -> Result<(), Failure> {
        let put = self.client.put_object().bucket(&self.bucket).key(name).if_none_match("*").body(ByteStream::from(data.clone()));
        match put.send().await.map_err(|error| Failure::of(&error)) {
            Ok(_) => Ok(()),
            // This may be the trace of an earlier attempt of the same put.
            Err(Failure::Exists) => self.compare(name, data).await,
            Err(failure) => Err(failure),
        }
    }

    async fn compare(&self, name: &str, data: &Bytes) -> Result<(), Failure> {
        let deleted = || Failure::Passing("the object was deleted meanwhile".to_owned());
        // The length first, from an answer that has no body to be cut short.
        let len_bytes = self.size(name).await?.ok_or_else(deleted)?;
        if len_bytes != data.len() as u64 {
            return Err(Failure::Taken);
        }
        if data.is_empty() {
            return Ok(());
        }
        match self.read(name, &(0..len_bytes)).await {
            Ok(found) if found == *data => Ok(()),
            Ok(_) => Err(Failure::Taken),
            Err(Failure::Missing | Failure::OutOfRange) => Err(deleted()),
            Err(failure) => Err(failure),
        }
    }

    async fn read(&self, name: &str, range: &Range<u64>) -> Result<Bytes, Failure> {
        let header = format!("bytes={}-{}", range.start, range.end - 1);
        let get = self.client.get_object().bucket(&self.bucket).key(name).range(header);
        let found = get.send().await.map_err(|error| Failure::of(&error))?;
        // `bytes first-last/length`: an object that ends within the range answers with what there is.
        let total = found.content_range().and_then(|text| text.rsplit_once('/')?.1.parse::<u64>().ok());
        if total.is_some_and(|total| total < range.end) {
            return Err(Failure::OutOfRange);
        }
        let wanted = (range.end - range.start) as usize;
        let data = content(found, wanted).await?;
        whole(data, range).map_err(|error| Failure::Passing(error.to_string()))
    }

    async fn size(&self, name: &str) -> Result<Option<u64>, Failure> {
        match self.client.head_object().bucket(&self.bucket).key(name).send().await.map_err(|error| Failure::of(&error)) {
            Ok(found) => match found.content_length().map(u64::try_from) {
                Some(Ok(len_bytes)) => Ok(Some(len_bytes)),
                _ => Err(Failure::Passing("the server does not say how long the object is".to_owned())),
            },
            Err(Failure::Missing) => Ok(None),
            Err(failure) => Err(failure),
        }
    }

    async fn remove(&self, name: &str) -> Result<(), Failure> {
        match self.client.delete_object().bucket(&self.bucket).key(name).send().await.map_err(|error| Failure::of(&error)) {
            Ok(_) | Err(Failure::Missing) => Ok(()),
            Err(failure) => Err(failure),
        }
    }

    async fn page(&self, prefix: &str, after: Option<&str>, limit: usize) -> Result<Page, Failure> {
        let list = self.client.list_objects_v2().bucket(&self.bucket).prefix(prefix).set_start_after(after.map(str::to_owned));
        let found = list.max_keys(limit.min(PAGE_MAX) as i32).send().await.map_err(|error| Failure::of(&error))?;
        let names: Vec<String> = found.contents().iter().filter_map(|object| object.key().map(str::to_owned)).collect();
        let more = found.is_truncated() == Some(true);
        if more && names.is_empty() {
            return Err(Failure::Passing("a page of the list is empty and not the last".to_owned()));
        }
        Ok(Page { names, more })
    }

    /// For a read whose range cannot be asked for, or does not lie within the object.
    async fn out_of_range(&self, key: &BlobKey, range: &Range<u64>) -> Result<Bytes, BlobError> {
        match self.len(key).await? {
            None => Err(BlobError::NotFound { key: key.clone() }),
            Some(len_bytes) if range.start == range.end && range.end <= len_bytes => Ok(Bytes::new()),
            Some(len_bytes) if range.start <= range.end && range.end <= len_bytes => {
                Err(BlobError::unavailable("the server refused a range that lies within the object"))
            }
            Some(len_bytes) => Err(BlobError::OutOfRange { key: key.clone(), len_bytes }),
        }
    }

    fn error(&self, failure: Failure, key: &BlobKey) -> BlobError {
        match failure {
            Failure::Missing => BlobError::NotFound { key: key.clone() },
            Failure::Taken | Failure::Exists => BlobError::AlreadyExists { key: key.clone() },
            failure => unavailable(failure),
        }
    }
}

/// A part of the names in a bucket.
struct Page {
    names: Vec<String>,
    more: bool,
}

/// The bytes of an answer, as long as it says it is and no longer than expected.
async fn content(found: GetObjectOutput, most: usize) -> Result<Bytes, Failure> {
    if found.content_length().is_some_and(|length| length > most as i64) {
        return Err(Failure::Passing("the answer is longer than what was asked for".to_owned()));
    }
    let collected = found.body.collect().await.map_err(|error| Failure::Passing(format!("the answer broke off: {error}")))?;
    Ok(collected.into_bytes())
}

fn unavailable(failure: Failure) -> BlobError {
    BlobError::unavailable(match failure {
        Failure::Passing(reason) | Failure::Lasting { reason, .. } => reason,
        Failure::Missing | Failure::Exists | Failure::Taken | Failure::OutOfRange => "an answer that makes no sense".to_owned(),
    })
}

impl BlobStore for S3Blobs {
    fn put(&self, key: &BlobKey, data: Bytes) -> BoxFuture<'_, Result<(), BlobError>> {
        let key = key.clone();
        async move {
            let name = self.names.of(&key);
            self.attempts.run("put", || self.create(&name, &data)).await.map_err(|failure| self.error(failure, &key))
        }
        .boxed()
    }

    fn get(&self, key: &BlobKey, range: Range<u64>) -> BoxFuture<'_, Result<Bytes, BlobError>> {
        let key = key.clone();
        async move {
            if range.start >= range.end || range.end > OBJECT_MAX_BYTES {
                return self.out_of_range(&key, &range).await;
            }
            let name = self.names.of(&key);
            match self.attempts.run("get", || self.read(&name, &range)).await {
                Err(Failure::OutOfRange) => self.out_of_range(&key, &range).await,
                outcome => outcome.map_err(|failure| self.error(failure, &key)),
            }
        }
        .boxed()
    }

    fn len(&self, key: &BlobKey) -> BoxFuture<'_, Result<Option<u64>, BlobError>> {
        let name = self.names.of(key);
        async move { self.attempts.run("head", || self.size(&name)).await.map_err(unavailable) }.boxed()
    }

    fn delete(&self, key: &BlobKey) -> BoxFuture<'_, Result<(), BlobError>> {
        let name = self.names.of(key);
        async move { self.attempts.run("delete", || self.remove(&name)).await.map_err(unavailable) }.boxed()
    }

    fn list(&self, prefix: &str, after: Option<&BlobKey>, limit: usize) -> BoxFuture<'_, Result<Vec<BlobKey>, BlobError>> {
        // A dot in a name is a slash of the key, so a text with a dot of its own begins no key.
        let names_prefix = (!prefix.contains('.')).then(|| self.names.beginning_with(prefix));
        let after = after.filter(|after| after.as_str() >= prefix).map(|after| self.names.of(after));
        async move {
            let (mut keys, mut after) = (Vec::new(), after);
            let Some(prefix) = names_prefix else { return Ok(keys) };
            while keys.len() < limit {
                let page =
                    self.attempts.run("list", || self.page(&prefix, after.as_deref(), limit - keys.len())).await.map_err(unavailable)?;
                keys.extend(page.names.iter().filter_map(|name| self.names.key(name)));
                if !page.more {
                    break;
                }
                after = page.names.into_iter().next_back();
            }
            Ok(keys)
        }
        .boxed()
    }

    fn direct_url(&self, key: &BlobKey, op: DirectOp, valid_for: Duration) -> BoxFuture<'_, Result<Option<DirectUrl>, BlobError>> {
        let name = self.names.of(key);
        async move {
            let terms = PresigningConfig::expires_in(valid_for).map_err(|error| BlobError::unavailable(error.to_string()))?;
            let signed = match op {
                DirectOp::Get => {
                    let get = self.signer.get_object().bucket(&self.bucket).key(name);
                    get.presigned(terms).await.map_err(|error| unavailable(Failure::of(&error)))?
                }
                DirectOp::Put { len_bytes } => {
                    let put = self.signer.put_object().bucket(&self.bucket).key(name).if_none_match("*").content_length(len_bytes as i64);
                    put.presigned(terms).await.map_err(|error| unavailable(Failure::of(&error)))?
                }
            };
            Ok(Some(DirectUrl {
                url: signed.uri().to_owned(),
                method: signed.method().to_owned(),
                headers: signed.headers().map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
                expires_in_ms: valid_for.as_millis() as u64,
            }))
        }
        .boxed()
    }
}
