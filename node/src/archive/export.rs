use std::fs::{File, OpenOptions};
use std::io::{BufWriter, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use super::ArchiveError;
use super::frame::{Frame, Summary};
use super::writer::Writer;
use crate::blob::{BlobStore, BlobsConfig};
use crate::catalog::layout::{self, LayoutState};
use crate::config::NodeConfig;
use crate::opening;
use crate::store::{KeyRange, Store};

/// How many rows lie in one part, and how many segments are looked up at once.
const PAGE: usize = 256;

/// Writes all that a stopped node keeps into a new file, which only its owner can read: it holds what tickets are signed with. The
/// file has its name once it is complete.
///
/// # Errors
/// [`ArchiveError`]; the store's when the node runs.
pub async fn export(config: &NodeConfig, file: &Path) -> Result<Summary, ArchiveError> {
    let opened = opening::open_alone(config).await?;
    let mut draft = file.as_os_str().to_owned();
    draft.push(".part");
    let draft = Path::new(&draft);
    let to = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(draft)?;
    let with_segments = config.blobs == BlobsConfig::Directory;
    if layout::bring_up_to_date(&*opened.store).await? == LayoutState::Importing {
        return Err(ArchiveError::Unfit("an import into this store has not ended; there is nothing to export".to_owned()));
    }
    let written = write(BufWriter::new(to), &*opened.store, with_segments.then_some(&*opened.blobs), config.blobs.home()).await;
    opened.store.close().await?;
    let (to, summary) = written?;
    to.into_inner().map_err(|error| error.into_error())?.sync_all()?;
    std::fs::rename(draft, file)?;
    let directory = file.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(directory)?.sync_all()?;
    Ok(summary)
}

/// Writes a stream.
pub(super) async fn write<W: Write>(
    to: W,
    store: &dyn Store,
    segments: Option<&dyn BlobStore>,
    blobs: String,
) -> Result<(W, Summary), ArchiveError> {
    let mut writer = Writer::start(to)?;
    writer.put(&Frame::Header { blobs })?;
    let mut range = KeyRange::all();
    loop {
        let rows = store.scan(range.clone(), PAGE).await?;
        let Some((last, _)) = rows.last() else { break };
        range = range.after(last);
        writer.put(&Frame::Rows(rows.into_iter().filter(|(key, _)| !layout::is_note(key)).collect()))?;
    }
    if let Some(segments) = segments {
        let mut after = None;
        loop {
            let page = segments.list("", after.as_ref(), PAGE).await?;
            for key in &page {
                // One that was deleted meanwhile by nobody is none.
                let Some(len_bytes) = segments.len(key).await? else { continue };
                let data = segments.get(key, 0..len_bytes).await?;
                writer.put(&Frame::Segment { key: key.as_str().to_owned(), data })?;
            }
            match page.into_iter().next_back() {
                Some(last) => after = Some(last),
                None => break,
            }
        }
    }
    Ok(writer.finish()?)
}
