use anyhow::{Result, bail};
use serde_json::{Value, json};

use crate::S3Server;

/// Chooses where the nodes of tests keep segments: `directory`, `s3`, or `s3-proxied`, where agents go through the node; or
/// `slate`, where metadata is in the bucket too.
const VARIABLE: &str = "ARTIFACTS_TEST_BLOBS";

/// Where a node keeps segments, and how agents get at them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Backend {
    /// The data directory.
    Directory,
    /// A bucket of the tests' own server, which agents use as well.
    S3,
    /// A bucket that agents do not reach.
    S3Proxied,
    /// A bucket, and in it all that the node keeps.
    Slate,
}

impl Backend {
    /// The one that the environment names; the directory if it names none.
    ///
    /// # Errors
    /// If the name is not known.
    pub fn of_environment() -> Result<Self> {
        match std::env::var(VARIABLE).as_deref() {
            Err(_) | Ok("" | "directory") => Ok(Self::Directory),
            Ok("s3") => Ok(Self::S3),
            Ok("s3-proxied") => Ok(Self::S3Proxied),
            Ok("slate") => Ok(Self::Slate),
            Ok(other) => bail!("{VARIABLE}={other}: expected directory, s3, s3-proxied or slate"),
        }
    }

    /// Whether it can be had here; if not, a notice has been printed.
    ///
    /// # Errors
    /// If its server does not start, or must be there and is not.
    pub fn is_available(self) -> Result<bool> {
        Ok(self == Self::Directory || S3Server::shared()?.is_some())
    }

    /// A node's configuration with it; `blobs` in `config` wins.
    ///
    /// # Errors
    /// If it cannot be had.
    pub fn configure(self, config: &Value) -> Result<Value> {
        let mut config = config.clone();
        if self == Self::Directory || config.get("blobs").is_some() {
            return Ok(config);
        }
        let Some(server) = S3Server::shared()? else { bail!("there is no S3 server") };
        config["blobs"] = server.bucket()?;
        if self == Self::S3Proxied {
            config["data_path"] = json!("proxied");
        }
        if self == Self::Slate {
            config["store"] = json!("slate");
            // Tests have short leases, which have to outlast it.
            config["cluster"] = json!({ "ownership_ttl_ms": 800 });
        }
        Ok(config)
    }
}
