//! Quotas as people give them: a limit, or `none`.

use std::str::FromStr;

use clap::Args;
use serde_json::{Value, json};

use crate::api::fields;
use crate::size::Size;

/// Quotas that are to be changed; what is not given stays.
#[derive(Debug, Args)]
#[group(required = true, multiple = true)]
pub(crate) struct QuotaArgs {
    /// The most data, such as 10GiB; `none` lifts the limit
    #[arg(long, value_name = "SIZE")]
    quota_bytes: Option<Quota<Size>>,
    /// The most files and directories; `none` lifts the limit
    #[arg(long, value_name = "N")]
    quota_inodes: Option<Quota<u64>>,
}

impl QuotaArgs {
    /// As the API takes it.
    pub(crate) fn body(&self) -> Value {
        fields([
            ("quota_bytes", self.quota_bytes.as_ref().map(|quota| quota.json(|size| json!(size.bytes())))),
            ("quota_inodes", self.quota_inodes.as_ref().map(|quota| quota.json(|inodes| json!(inodes)))),
        ])
    }
}

/// A limit, or none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Quota<T> {
    None,
    At(T),
}

impl<T> Quota<T> {
    fn json(&self, of: impl Fn(&T) -> Value) -> Value {
        match self {
            Self::None => Value::Null,
            Self::At(limit) => of(limit),
        }
    }
}

impl<T: FromStr> FromStr for Quota<T> {
    type Err = T::Err;

    fn from_str(text: &str) -> Result<Self, T::Err> {
        if text == "none" { Ok(Self::None) } else { text.parse().map(Self::At) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_is_given_lifted_or_left() {
        let args = QuotaArgs { quota_bytes: Some("1KiB".parse().unwrap()), quota_inodes: Some("none".parse().unwrap()) };
        assert_eq!(args.body(), json!({ "quota_bytes": 1024, "quota_inodes": null }));
        let args = QuotaArgs { quota_bytes: None, quota_inodes: Some("7".parse().unwrap()) };
        assert_eq!(args.body(), json!({ "quota_inodes": 7 }));
        assert!("much".parse::<Quota<u64>>().is_err());
    }
}
