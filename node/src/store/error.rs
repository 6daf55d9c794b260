//! Why a store did not do what it was asked; coarse, and each message says what to do.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use artifacts_core::cluster::Region;

/// An error of a [`super::Store`]. It can be cloned because one failed commit answers every writer that was part of it.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    /// The store did not answer. A write may or may not have taken effect.
    #[error("the store is unavailable ({reason}); try again, a write may already have taken effect")]
    Unavailable {
        /// What is known of the cause.
        reason: String,
    },
    /// There is no room. Nothing was written.
    #[error("the store is full ({reason}); free some space and try again, nothing was written")]
    Full {
        /// How much room is left and how much is needed.
        reason: String,
    },
    /// A key or a value is longer than any store takes. Nothing was written.
    #[error("{what} of {bytes} bytes is too large for the store; at most {max_bytes} bytes are allowed")]
    TooLarge {
        /// Which part is too large.
        what: &'static str,
        /// Its size.
        bytes: usize,
        /// The largest size allowed.
        max_bytes: usize,
    },
    /// Another process holds the data directory.
    #[error("another node is using this data directory ({}); stop it or choose another directory", directory.display())]
    Locked {
        /// The directory.
        directory: PathBuf,
    },
    /// What is stored cannot be read.
    #[error("the store is damaged ({reason}); keep its files and restore a backup")]
    Corrupt {
        /// What is known of the damage.
        reason: String,
    },
    /// The disk failed. The store takes no more writes, because what the failed one left behind is unknown; what had
    /// been durable still is.
    #[error("the disk failed under the store ({0}); check the disk, then restart the node")]
    Io(#[source] Arc<io::Error>),
    /// The keys of a batch lie in different shards, in which nothing can be written together. Nothing was written.
    #[error("the batch spans shards of the store; this is a mistake of the node")]
    Scattered,
    /// Another process has opened the store and owns it now. A write may have taken effect before that. This is final: whoever
    /// acted as the owner must stop.
    #[error("another node has taken over this part of the store; ask that one")]
    Fenced,
    /// What is asked for lies in a region of which no node is heard.
    #[error("the region `{region}`, where this has its home, is out of reach; try again when it is back")]
    OutOfReach {
        /// Which.
        region: Region,
    },
    /// The store was closed. Nothing was written.
    #[error("the store is closed; open it again")]
    Closed,
}

impl StoreError {
    pub(crate) fn unavailable(reason: impl Into<String>) -> Self {
        Self::Unavailable { reason: reason.into() }
    }

    pub(super) fn io(error: io::Error) -> Self {
        Self::Io(Arc::new(error))
    }
}
