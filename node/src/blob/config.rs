use serde::{Deserialize, Serialize};

use super::S3Config;

/// Where segments are kept.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BlobsConfig {
    /// As files below the data directory.
    #[default]
    Directory,
    /// As objects in a bucket.
    S3(S3Config),
}

impl BlobsConfig {
    /// What identifies the place, so that a node is not started on another one than it has its segments in. The
    /// address of the server is no part of it: it may change while the bucket is the same.
    pub fn home(&self) -> String {
        match self {
            Self::Directory => "directory".to_owned(),
            Self::S3(config) => format!("s3://{}/{}", config.bucket, config.prefix.trim_matches('/')),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn parsed(text: &str) -> BlobsConfig {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn both_places_are_written_in_json() {
        assert_eq!(parsed(r#""directory""#), BlobsConfig::Directory);
        let BlobsConfig::S3(config) = parsed(r#"{"s3":{"bucket":"b","prefix":"/p/","path_style":true}}"#) else { panic!() };
        assert_eq!((config.bucket.as_str(), config.path_style, config.endpoint), ("b", true, None));
        assert_eq!(parsed(r#"{"s3":{"bucket":"b","prefix":"/p/"}}"#).home(), "s3://b/p");
        for wrong in [r#"{"s3":{"bucket":"b","pathstyle":true}}"#, r#"{"s4":{}}"#, r#""s3""#] {
            assert!(serde_json::from_str::<BlobsConfig>(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn no_secret_shows() {
        let config = parsed(r#"{"s3":{"bucket":"b","access_key_id":"a","secret_access_key":"hush","session_token":"hush"}}"#);
        assert!(!format!("{config:?}").contains("hush"));
        assert!(!serde_json::to_string(&config).unwrap().contains("hush"));
    }
}
