use serde::{Deserialize, Serialize};

use super::Incarnation;
use crate::cluster::ShardMap;
use crate::protocol::VersionRange;

const API: &str = "api";
const STREAM: &str = "stream";
const REGION: &str = "region";
const PROTOCOL: &str = "protocol";
const RELEASE: &str = "release";
const CALLS: &str = "calls";
const PHASE: &str = "phase";
const REGIONS: &str = "regions";
const SHARDS: &str = "shards";

const URL_MAX_BYTES: usize = 512;
const TEXT_MAX_BYTES: usize = 64;
const REGIONS_MAX_BYTES: usize = 512;

/// What a node says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Facts {
    /// Where other nodes reach its calls, `http(s)://…`.
    pub api: String,
    /// Where agents connect to, `http(s)://…`.
    pub stream: String,
    /// Its region.
    pub region: String,
    /// The versions of the session protocol that it speaks.
    pub protocol: VersionRange,
    /// The version of its program.
    pub release: String,
    /// The life to which calls are addressed; it does not end when gossip begins anew.
    pub calls: Incarnation,
    /// Whether it can be given work.
    pub phase: NodePhase,
    /// The regions of the cluster as it was told them, see [`Regions::told`](crate::cluster::Regions::told).
    #[serde(default)]
    pub regions: String,
    /// How many shards its region has; absent if it has none, or does not say so.
    #[serde(default)]
    pub shards: Option<ShardMap>,
}

/// How far a node is in its stay in the ring.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NodePhase {
    /// It has just come and may not know everybody yet, or the others do not hear it. It takes over nothing: it would take it from
    /// others.
    Joining,
    /// It does its share.
    Serving,
    /// It does not reach the bucket: it takes over nothing, and others take over what it has.
    Stranded,
    /// It takes over nothing any more and will be gone soon.
    Leaving,
}

impl NodePhase {
    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Joining => "joining",
            Self::Serving => "serving",
            Self::Stranded => "stranded",
            Self::Leaving => "leaving",
        }
    }
}

/// A node's own words make no sense.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is missing or malformed")]
pub struct FactsError(&'static str);

impl Facts {
    /// As keys and values of gossip.
    pub fn pairs(&self) -> Vec<(String, String)> {
        let salt: String = self.calls.salt.iter().map(|byte| format!("{byte:02x}")).collect();
        let mut pairs = vec![
            (API.to_owned(), self.api.clone()),
            (STREAM.to_owned(), self.stream.clone()),
            (REGION.to_owned(), self.region.clone()),
            (PROTOCOL.to_owned(), format!("{}-{}", self.protocol.min, self.protocol.max)),
            (RELEASE.to_owned(), self.release.clone()),
            (CALLS.to_owned(), format!("{}-{salt}", self.calls.generation)),
            (PHASE.to_owned(), self.phase.as_str().to_owned()),
        ];
        if !self.regions.is_empty() {
            pairs.push((REGIONS.to_owned(), self.regions.clone()));
        }
        if let Some(shards) = self.shards {
            pairs.push((SHARDS.to_owned(), shards.len().to_string()));
        }
        pairs
    }

    /// Whether others will be able to read them.
    ///
    /// # Errors
    /// [`FactsError`] names the first that they will not.
    pub fn check(&self) -> Result<(), FactsError> {
        let pairs = self.pairs();
        Self::read(|key| pairs.iter().find(|(name, _)| name == key).map(|(_, value)| value.as_str())).map(|_| ())
    }

    /// From keys and values of gossip.
    ///
    /// # Errors
    /// [`FactsError`] names the first that is missing or malformed.
    pub fn read<'a>(get: impl Fn(&str) -> Option<&'a str>) -> Result<Self, FactsError> {
        let url = |key| text(get(key), URL_MAX_BYTES).filter(|url| url.starts_with("http://") || url.starts_with("https://"));
        Ok(Self {
            api: url(API).ok_or(FactsError(API))?,
            stream: url(STREAM).ok_or(FactsError(STREAM))?,
            region: text(get(REGION), TEXT_MAX_BYTES).ok_or(FactsError(REGION))?,
            protocol: get(PROTOCOL).and_then(protocol).ok_or(FactsError(PROTOCOL))?,
            release: text(get(RELEASE), TEXT_MAX_BYTES).ok_or(FactsError(RELEASE))?,
            calls: get(CALLS).and_then(incarnation).ok_or(FactsError(CALLS))?,
            phase: get(PHASE).and_then(phase).ok_or(FactsError(PHASE))?,
            regions: optional(REGIONS, &get, |list| text(Some(list), REGIONS_MAX_BYTES))?.unwrap_or_default(),
            shards: optional(SHARDS, &get, |count| ShardMap::new(count.parse().ok()?))?,
        })
    }
}

/// What a node of an earlier version does not say.
fn optional<'a, T>(
    key: &'static str,
    get: impl Fn(&str) -> Option<&'a str>,
    read: impl FnOnce(&'a str) -> Option<T>,
) -> Result<Option<T>, FactsError> {
    get(key).map(|value| read(value).ok_or(FactsError(key))).transpose()
}

fn text(value: Option<&str>, longest: usize) -> Option<String> {
    value.filter(|text| !text.is_empty() && text.len() <= longest && text.bytes().all(|byte| byte.is_ascii_graphic())).map(str::to_owned)
}

fn phase(value: &str) -> Option<NodePhase> {
    [NodePhase::Joining, NodePhase::Serving, NodePhase::Stranded, NodePhase::Leaving].into_iter().find(|phase| phase.as_str() == value)
}

fn protocol(value: &str) -> Option<VersionRange> {
    let (min, max) = value.split_once('-')?;
    let range = VersionRange { min: min.parse().ok()?, max: max.parse().ok()? };
    (range.min <= range.max).then_some(range)
}

fn incarnation(value: &str) -> Option<Incarnation> {
    let (generation, salt) = value.split_once('-')?;
    if salt.len() != 32 || !salt.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    let salt = u128::from_str_radix(salt, 16).ok()?.to_be_bytes();
    Some(Incarnation { generation: generation.parse().ok()?, salt })
}
