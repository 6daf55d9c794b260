//! All that a node keeps as one stream, to move it into a cluster or to keep it.
//!
//! The stream is a magic text and frames: length, CRC-32C, content. The first frame says where segments are, the last one how many
//! rows and segments came before and what the hash of all frames before it is, so that a stream that was cut or changed is
//! found out. Rows come in the order of their keys. Only a stopped node's data can be exported, and only an empty store takes
//! an import; until the import is complete and compared, no node starts on that store.

mod error;
mod export;
mod frame;
mod import;
mod reader;
mod writer;

pub use error::ArchiveError;
pub use export::export;
pub use frame::Summary;
pub use import::import;
