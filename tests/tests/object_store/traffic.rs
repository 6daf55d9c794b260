use anyhow::{Context as _, Result};
use artifacts_tests::Lab;

/// How much data has gone through the node, and how many requests it has signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Traffic {
    pub(crate) written_bytes: u64,
    pub(crate) read_bytes: u64,
    pub(crate) get_urls: u64,
    pub(crate) put_urls: u64,
}

impl Traffic {
    pub(crate) fn of(lab: &Lab) -> Result<Self> {
        let metrics = lab.api.without_token().send("GET", "/metrics", None)?.text;
        let value = |name: &str| -> Result<u64> {
            let Some(line) = metrics.lines().find(|line| line.starts_with(&format!("{name} "))) else { return Ok(0) };
            Ok(line.rsplit(' ').next().unwrap_or_default().parse::<f64>().with_context(|| line.to_owned())? as u64)
        };
        Ok(Self {
            written_bytes: value("artifacts_segment_bytes_written_total")?,
            read_bytes: value("artifacts_segment_bytes_read_total")?,
            get_urls: value(r#"artifacts_segment_urls_total{op="get"}"#)?,
            put_urls: value(r#"artifacts_segment_urls_total{op="put"}"#)?,
        })
    }
}
