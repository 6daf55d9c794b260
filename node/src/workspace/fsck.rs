//! Proves that a workspace's metadata and data agree, while it is in use.
//!
//! Metadata is that of one [snapshot](super::snapshot); while it is open no object is deleted, so every object that the snapshot
//! names must be there. What is put right is only what loses nothing: counts, marks of orphans, objects that nothing
//! has named for a long time. Amendments say by how much a count is off, so ops that came since do not spoil them.

use std::collections::{BTreeMap, BTreeSet};

use artifacts_core::SegmentId;
use artifacts_core::namespace::check::{Check, FINDINGS_MAX};
use artifacts_core::namespace::{Amendment, Key, Record, Source};
use ractor::ActorRef;
use serde::{Deserialize, Serialize};

use super::collection::segment_of_object;
use super::errand::decode;
use super::keys::WorkspaceKeys;
use super::message::WorkspaceMessage;
use super::segment_reader::{SegmentReader, Unreadable};
use super::sharing;
use super::snapshot::{Opened, Snapshot};
use super::upkeep::UpkeepMessage;
use crate::context::SharedContext;
use crate::sessions::ask;
use crate::store::{Store, StoreError};

/// How many records one step reads.
const PAGE: usize = 128;
/// How many objects one step lists.
const OBJECTS_PAGE: usize = 512;

/// What a check is to do.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckOptions {
    /// Put right what can be without losing anything.
    pub repair: bool,
    /// Read every block and compare it with its checksum.
    pub data: bool,
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckFinding {
    /// What, for people.
    pub text: String,
    /// Whether `repair` can put it right.
    pub repairable: bool,
    /// Whether it was.
    pub repaired: bool,
}

/// What a check has seen.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckReport {
    /// What is wrong: the first thousand of what cannot be repaired, and all that can.
    pub findings: Vec<CheckFinding>,
    /// How many more there are.
    pub untold: u64,
    /// Inodes, counted.
    pub inodes: u64,
    /// Bytes of files, counted.
    pub bytes: u64,
    /// Segments that extents lie in.
    pub segments: u64,
    /// Objects in the workspace's place.
    pub objects: u64,
    /// Those of them that only forks and snapshots need.
    #[serde(default)]
    pub lent_objects: u64,
    /// Objects that nothing names, of whatever age.
    pub unnamed_objects: u64,
    /// Bytes of data that were read and compared.
    pub verified_bytes: u64,
}

/// Checks a workspace.
///
/// # Errors
/// The store's; nothing was found out then, and what was repaired is repaired.
pub(crate) async fn check(
    context: &SharedContext,
    workspace: artifacts_core::WorkspaceId,
    actor: &ActorRef<WorkspaceMessage>,
    options: CheckOptions,
) -> Result<CheckReport, StoreError> {
    let snapshot = ask(actor, |reply| WorkspaceMessage::Upkeep(UpkeepMessage::OpenSnapshot(reply))).await??;
    let opened = Opened::new(actor.clone(), snapshot);
    let keys = WorkspaceKeys(workspace);
    let mut fsck = Fsck { context, keys, actor, options, report: CheckReport::default(), segments: BTreeMap::new() };
    let amendments = fsck.metadata(&opened.snapshot).await?;
    fsck.objects().await?;
    let overdue = fsck.unnamed().await?;
    // An actor that began anew meanwhile kept nothing for the snapshot.
    ask(actor, WorkspaceMessage::Usage).await??;
    // Objects are deleted only without a snapshot.
    drop(opened);
    if options.repair {
        fsck.repair(amendments, overdue).await?;
    }
    Ok(fsck.report)
}

struct Fsck<'a> {
    context: &'a SharedContext,
    keys: WorkspaceKeys,
    actor: &'a ActorRef<WorkspaceMessage>,
    options: CheckOptions,
    report: CheckReport,
    /// Every segment on record, and its length.
    segments: BTreeMap<SegmentId, u64>,
}

impl Fsck<'_> {
    fn find(&mut self, text: String, repairable: bool) -> usize {
        if self.report.findings.len() >= FINDINGS_MAX && !repairable {
            self.report.untold += 1;
        } else {
            self.report.findings.push(CheckFinding { text, repairable, repaired: false });
        }
        self.report.findings.len() - 1
    }

    /// Reads all records, and with them all data if asked. Answers what can be amended, by the finding it mends.
    async fn metadata(&mut self, snapshot: &Snapshot) -> Result<Vec<(usize, Amendment)>, StoreError> {
        let store: &dyn Store = &*self.context.store;
        let before = self.keys.all().len();
        let mut check = Check::default();
        let mut reader = SegmentReader::new(self.keys, self.context.clone());
        loop {
            let (records, more) = snapshot.page(store, PAGE).await?;
            for (stored, value) in records {
                match (Key::decode(&stored[before..]), decode(&value)) {
                    (Some(key), Ok(record)) => {
                        check.see(&key, &record);
                        self.see(&key, &record, &mut reader).await?;
                    }
                    (key, _) => drop(self.find(format!("{key:?}: a record that cannot be read"), false)),
                }
            }
            if !more {
                break;
            }
        }
        let found = check.finish();
        self.report.inodes = found.counted.inodes;
        self.report.bytes = found.counted.bytes;
        self.report.untold += found.untold;
        let mut amendments = Vec::new();
        for finding in found.findings {
            let at = self.find(finding.text, finding.amendment.is_some());
            amendments.extend(finding.amendment.map(|amendment| (at, amendment)));
        }
        Ok(amendments)
    }

    async fn see(&mut self, key: &Key, record: &Record, reader: &mut SegmentReader) -> Result<(), StoreError> {
        match (key, record) {
            (Key::Segment(id), Record::Segment(segment)) => {
                self.segments.insert(*id, segment.len);
            }
            (Key::Extent(ino, at), Record::Extent(extent)) if self.options.data => match reader.read(extent).await {
                Ok(data) => self.report.verified_bytes += data.len() as u64,
                Err(Unreadable::Failed(error)) => return Err(error),
                Err(problem) => {
                    let place = match &extent.source {
                        Source::Inline { .. } => "in the store".to_owned(),
                        Source::Block { segment, block_offset, .. } => format!("in {segment} at {block_offset}"),
                    };
                    let what = match problem {
                        Unreadable::Rotten => "does not match its checksum",
                        _ => "is missing",
                    };
                    self.find(format!("{ino:?}: the data at {at}, {place}, {what}"), false);
                }
            },
            _ => {}
        }
        Ok(())
    }

    /// Each segment on record has its object, of its length.
    async fn objects(&mut self) -> Result<(), StoreError> {
        self.report.segments = self.segments.len() as u64;
        for (id, recorded) in self.segments.clone() {
            let key = self.context.homes.key(&*self.context.store, self.keys.0, id).await?;
            match self.context.blobs.len(&key).await.map_err(unavailable)? {
                Some(len) if len == recorded => {}
                Some(len) => drop(self.find(format!("{id}: its object has {len} bytes, recorded {recorded}"), false)),
                None => drop(self.find(format!("{id}: its object is missing"), false)),
            }
        }
        Ok(())
    }

    /// Lists the objects. Answers those that have been named by nothing for so long that they may go, by their finding.
    async fn unnamed(&mut self) -> Result<BTreeMap<SegmentId, usize>, StoreError> {
        let mut overdue = BTreeMap::new();
        let mut after = None;
        loop {
            let listed = self.context.blobs.list(&format!("{}/", self.keys.0), after.as_ref(), OBJECTS_PAGE).await;
            let page = listed.map_err(unavailable)?;
            self.report.objects += page.len() as u64;
            let mut unnamed = Vec::new();
            for key in &page {
                match segment_of_object(key) {
                    Some(id) if self.segments.contains_key(&id) => {}
                    Some(id) if sharing::is_shared(self.context, self.keys.0, id).await? => self.report.lent_objects += 1,
                    Some(id) => unnamed.push(id),
                    None => drop(self.find(format!("{key}: an object that is no segment"), false)),
                }
            }
            self.report.unnamed_objects += unnamed.len() as u64;
            for id in ask(self.actor, |reply| WorkspaceMessage::Upkeep(UpkeepMessage::Overdue(unnamed, reply))).await? {
                overdue.insert(id, self.find(format!("{id}: an object that nothing names"), true));
            }
            match page.last().filter(|_| page.len() == OBJECTS_PAGE) {
                Some(last) => after = Some(last.clone()),
                None => return Ok(overdue),
            }
        }
    }

    async fn repair(&mut self, amendments: Vec<(usize, Amendment)>, overdue: BTreeMap<SegmentId, usize>) -> Result<(), StoreError> {
        for (at, amendment) in amendments {
            self.report.findings[at].repaired =
                ask(self.actor, |reply| WorkspaceMessage::Upkeep(UpkeepMessage::Amend(amendment, reply))).await??;
        }
        ask(self.actor, WorkspaceMessage::Drain).await??;
        let ids: Vec<SegmentId> = overdue.keys().copied().collect();
        let going: BTreeSet<SegmentId> =
            ask(self.actor, |reply| WorkspaceMessage::Upkeep(UpkeepMessage::Collect(ids, reply))).await?.into_iter().collect();
        for (id, at) in overdue {
            self.report.findings[at].repaired = going.contains(&id);
        }
        Ok(())
    }
}

fn unavailable(error: crate::blob::BlobError) -> StoreError {
    StoreError::Unavailable { reason: error.to_string() }
}
