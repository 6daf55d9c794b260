use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;

use super::ArchiveError;
use super::frame::{Frame, Summary};
use super::reader::Reader;
use crate::blob::{BlobKey, BlobStore};
use crate::catalog::layout::{self, LayoutState};
use crate::config::NodeConfig;
use crate::opening;
use crate::store::{Batch, Durability, KeyRange, Store, shard_of};

/// Brings what was exported into the store and the segments that `config` names, and compares. The store has to be empty, or to hold
/// what an import of the same file has left that did not end.
///
/// # Errors
/// [`ArchiveError`]. It can be called again with the same file.
pub async fn import(config: &NodeConfig, file: &Path) -> Result<Summary, ArchiveError> {
    let read = || -> Result<_, ArchiveError> { Reader::start(BufReader::new(File::open(file)?)) };
    // All of it, before anything is written.
    let home = check(read()?)?;
    let opened = opening::open_alone(config).await?;
    let done = async {
        let (store, blobs) = (&*opened.store, &*opened.blobs);
        fits(store, &home, &config.blobs.home()).await?;
        layout::begin_import(store).await?;
        write(read()?, store, blobs).await?;
        let summary = compare(read()?, store, blobs).await?;
        layout::finish(store).await?;
        Ok::<Summary, ArchiveError>(summary)
    }
    .await;
    let closed = opened.store.close().await;
    let summary = done?;
    closed?;
    Ok(summary)
}

/// Reads a stream to its end. Answers where its segments are.
fn check<R: Read>(mut reader: Reader<R>) -> Result<String, ArchiveError> {
    let Some(Frame::Header { blobs }) = reader.next()? else {
        return Err(ArchiveError::Damaged("it does not begin as an export does".to_owned()));
    };
    while reader.next()?.is_some() {}
    Ok(blobs)
}

async fn fits(store: &dyn Store, home: &str, configured: &str) -> Result<(), ArchiveError> {
    if home != crate::blob::BlobsConfig::Directory.home() && home != configured {
        let message = format!("the segments of the exported node are in `{home}` and stay there, the configuration says `{configured}`");
        return Err(ArchiveError::Unfit(message));
    }
    let found = store.scan(KeyRange::all(), 2).await?;
    let is_empty = found.iter().all(|(key, _)| layout::is_note(key));
    if is_empty || layout::bring_up_to_date(store).await? == LayoutState::Importing {
        return Ok(());
    }
    Err(ArchiveError::Unfit("there is data already; an import needs an empty bucket or prefix".to_owned()))
}

async fn write<R: Read>(mut reader: Reader<R>, store: &dyn Store, blobs: &dyn BlobStore) -> Result<(), ArchiveError> {
    let map = store.shards();
    while let Some(frame) = reader.next()? {
        match frame {
            Frame::Rows(rows) => {
                // Neighbours mostly lie in one shard: they are written together.
                for together in rows.chunk_by(|(one, _), (next, _)| shard_of(map, one) == shard_of(map, next)) {
                    let mut batch = Batch::new();
                    for (key, value) in together {
                        batch.put(key.clone(), value.clone());
                    }
                    store.write(batch, Durability::Visible).await?;
                }
            }
            Frame::Segment { key, data } => blobs.put(&blob_key(&key)?, data).await?,
            Frame::Header { .. } | Frame::End { .. } => {}
        }
    }
    Ok(store.write(Batch::new(), Durability::Durable).await?)
}

/// Reads everything back that was written, and that there is no more.
async fn compare<R: Read>(mut reader: Reader<R>, store: &dyn Store, blobs: &dyn BlobStore) -> Result<Summary, ArchiveError> {
    let differs = |what: &str| {
        Err(ArchiveError::Unfit(format!("{what}: the store does not hold what was written; import again into an empty place")))
    };
    let mut range = KeyRange::all();
    while let Some(frame) = reader.next()? {
        match frame {
            Frame::Rows(rows) => {
                // One more: the note of the import may lie between.
                let mut found = store.scan(range.clone(), rows.len() + 1).await?;
                found.retain(|(key, _)| !layout::is_note(key));
                found.truncate(rows.len());
                if found != rows {
                    return differs("a row");
                }
                if let Some((last, _)) = rows.last() {
                    range = range.after(last);
                }
            }
            Frame::Segment { key, data } => {
                if blobs.get(&blob_key(&key)?, 0..data.len() as u64).await? != data {
                    return differs("a segment");
                }
            }
            Frame::Header { .. } | Frame::End { .. } => {}
        }
    }
    let more = store.scan(range, 2).await?;
    if more.iter().any(|(key, _)| !layout::is_note(key)) {
        return differs("there is a row more");
    }
    Ok(reader.summary())
}

fn blob_key(key: &str) -> Result<BlobKey, ArchiveError> {
    BlobKey::new(key).map_err(|error| ArchiveError::Damaged(error.to_string()))
}

#[cfg(test)]
mod tests;
