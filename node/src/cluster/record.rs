use artifacts_core::Timestamp;
use artifacts_core::cluster::{Region, Regions, ShardMap};
use object_store::path::Path;
use object_store::{Error, ObjectStore, ObjectStoreExt as _, PutMode, PutOptions, PutPayload};
use serde::{Deserialize, Serialize};

use super::ClusterError;

/// The object's name below the cluster's prefix.
const NAME: &str = "cluster.json";
/// What this code writes and reads.
const VERSION: u32 = 1;

/// What is decided when a cluster is made, once and for all. Lies in the bucket beside its data, so that a node which
/// knows the bucket knows the cluster.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClusterRecord {
    /// The layout of the bucket.
    pub version: u32,
    /// Tells this cluster from every other.
    pub id: String,
    /// How many shards there are.
    pub shards: ShardMap,
    /// When it was made.
    pub created_at: Timestamp,
    /// The region whose this is, and the first one of the cluster, if it was made as one of several. What was made when there was
    /// one region is the first one's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub regions: Option<RecordedRegions>,
}

/// Which of a cluster's regions a bucket is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordedRegions {
    /// This one.
    pub here: Region,
    /// The one that keeps the handles of all.
    pub first: Region,
}

impl ClusterRecord {
    /// The record of a cluster to be made.
    pub fn new(id: String, shards: ShardMap, created_at: Timestamp, regions: &Regions) -> Self {
        let recorded = || RecordedRegions { here: regions.here().clone(), first: regions.first().clone() };
        Self { version: VERSION, id, shards, created_at, regions: regions.is_listed().then(recorded) }
    }

    /// Refuses a node that takes the bucket for that of another region: what is made there would be looked for elsewhere.
    ///
    /// # Errors
    /// [`ClusterError::Unusable`].
    pub fn check_region(&self, regions: &Regions) -> Result<(), ClusterError> {
        let (here, first) = (regions.here(), regions.first());
        let reason = match &self.regions {
            Some(recorded) if recorded.here == *here && recorded.first == *first => return Ok(()),
            // A cluster of one region may go by another name.
            Some(recorded) if recorded.here == recorded.first && !regions.is_listed() => return Ok(()),
            None if here == first => return Ok(()),
            Some(RecordedRegions { here, first }) => {
                format!(
                    "the bucket is that of region `{here}` in a cluster whose first region is `{first}`; set `region` and `ring.regions` so"
                )
            }
            None => format!(
                "the bucket was made before there were several regions, so it is the first one's; list `{here}` first, or use another"
            ),
        };
        Err(ClusterError::Unusable { reason })
    }

    /// Makes the cluster if there is none in the bucket, and gives the record of the one that is there: of several nodes that
    /// come at once to an empty bucket, one makes it and all get the same.
    ///
    /// # Errors
    /// [`ClusterError::Objects`], or [`ClusterError::Record`] for one that this version does not understand.
    pub async fn join_or_make(objects: &dyn ObjectStore, wanted: &Self) -> Result<Self, ClusterError> {
        let name = Path::from(NAME);
        match objects.get(&name).await {
            Ok(found) => return Self::parse(&found.bytes().await?),
            Err(Error::NotFound { .. }) => {}
            Err(error) => return Err(error.into()),
        }
        let text = serde_json::to_vec_pretty(wanted).map_err(|error| ClusterError::Record(error.to_string()))?;
        let create = PutOptions { mode: PutMode::Create, ..PutOptions::default() };
        match objects.put_opts(&name, PutPayload::from(text), create).await {
            // Another node's, or the trace of an attempt of ours whose answer was lost.
            Ok(_) | Err(Error::AlreadyExists { .. } | Error::Precondition { .. }) => {}
            Err(error) => return Err(error.into()),
        }
        Self::parse(&objects.get(&name).await?.bytes().await?)
    }

    /// Looks for the record, and not into it: whether the bucket answers.
    ///
    /// # Errors
    /// [`ClusterError::Objects`].
    pub async fn look(objects: &dyn ObjectStore) -> Result<(), ClusterError> {
        objects.head(&Path::from(NAME)).await?;
        Ok(())
    }

    fn parse(text: &[u8]) -> Result<Self, ClusterError> {
        let record: Self = serde_json::from_slice(text).map_err(|error| ClusterError::Record(error.to_string()))?;
        if record.version != VERSION || ShardMap::new(record.shards.len()).is_none() {
            let (version, shards) = (record.version, record.shards.len());
            return Err(ClusterError::Record(format!("it is of version {version} with {shards} shards, which this node does not know")));
        }
        Ok(record)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use futures_util::future::join_all;
    use object_store::memory::InMemory;

    fn wanted(id: &str, shards: u16) -> ClusterRecord {
        ClusterRecord::new(id.to_owned(), ShardMap::new(shards).unwrap(), Timestamp::from_unix_ms(1), &Regions::one("local"))
    }

    #[test]
    fn a_bucket_is_used_as_the_region_that_it_is() {
        let regions =
            |here: &str, all: &[&str]| Regions::new(here, &all.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>()).unwrap();
        let record = |regions: &Regions| ClusterRecord {
            regions: None,
            ..ClusterRecord::new("a".into(), ShardMap::SINGLE, Timestamp::from_unix_ms(1), regions)
        };
        let made = |regions: &Regions| ClusterRecord::new("a".into(), ShardMap::SINGLE, Timestamp::from_unix_ms(1), regions);
        let (one, other) = (Regions::one("eu"), Regions::one("cellar"));
        let (eu, us) = (regions("eu", &["eu", "us"]), regions("us", &["eu", "us"]));
        assert_eq!(made(&one), record(&one), "one region leaves no trace");
        for (recorded, used, good) in [
            (made(&one), &other, true),
            (made(&one), &eu, true),
            (made(&one), &us, false),
            (made(&eu), &eu, true),
            (made(&eu), &regions("eu", &["eu", "us", "ap"]), true),
            (made(&eu), &one, true),
            (made(&eu), &us, false),
            (made(&us), &us, true),
            (made(&us), &eu, false),
            (made(&us), &Regions::one("us"), false),
            (made(&us), &regions("us", &["us", "eu"]), false),
        ] {
            assert_eq!(recorded.check_region(used).is_ok(), good, "{recorded:?} {used:?}");
        }
        assert!(serde_json::to_string(&made(&us)).unwrap().contains(r#""regions":{"here":"us","first":"eu"}"#));
    }

    #[tokio::test]
    async fn the_first_node_decides_and_the_others_follow() {
        let objects = InMemory::new();
        let records: Vec<_> = (1..20).map(|number| wanted(&format!("cl_{number}"), number)).collect();
        let joined = join_all(records.iter().map(|wanted| ClusterRecord::join_or_make(&objects, wanted))).await;
        let first = joined[0].as_ref().unwrap();
        assert!(records.contains(first));
        assert!(joined.iter().all(|record| record.as_ref().unwrap() == first));
        assert_eq!(&ClusterRecord::join_or_make(&objects, &wanted("late", 3)).await.unwrap(), first);
    }

    #[tokio::test]
    async fn a_record_that_is_not_understood_is_refused() {
        for text in [
            "{",
            r#"{"version":2,"id":"a","shards":16,"created_at":"2026-01-01T00:00:00Z"}"#,
            r#"{"version":1,"id":"a","shards":0,"created_at":"2026-01-01T00:00:00Z"}"#,
            r#"{"version":1,"id":"a","shards":9999,"created_at":"2026-01-01T00:00:00Z"}"#,
        ] {
            let objects = InMemory::new();
            objects.put(&Path::from(NAME), PutPayload::from(text)).await.unwrap();
            let outcome = ClusterRecord::join_or_make(&objects, &wanted("mine", 16)).await;
            assert!(matches!(outcome, Err(ClusterError::Record(_))), "{text}");
        }
    }
}
