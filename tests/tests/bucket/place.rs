use anyhow::Result;
use artifacts_tests::{S3Server, Scratch};
use serde_json::{Value, json};

/// Where a cluster keeps everything.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Place {
    /// A bucket of the tests' S3 server.
    Bucket,
    /// A directory beside the node's.
    Directory,
}

impl Place {
    /// The configuration of a node with an empty place; `None` where the server cannot be had.
    pub(crate) fn configuration(self, scratch: &Scratch) -> Result<Option<Value>> {
        let place = match self {
            Self::Directory => json!({ "cluster": { "directory": scratch.join("bucket") } }),
            Self::Bucket => match S3Server::shared()? {
                Some(server) => json!({ "blobs": server.bucket()? }),
                None => return Ok(None),
            },
        };
        Ok(Some(with(&place, &json!({ "store": "slate" }))))
    }
}

/// A configuration and more settings.
pub(crate) fn with(config: &Value, more: &Value) -> Value {
    let mut config = config.clone();
    if let (Some(config), Some(more)) = (config.as_object_mut(), more.as_object()) {
        config.extend(more.clone());
    }
    config
}
