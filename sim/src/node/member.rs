use artifacts_core::namespace::Ino;
use artifacts_core::session::{Inbox, Lifecycle, Progress};

/// A session, as its node knows it.
#[derive(Debug)]
pub(crate) struct Member {
    pub(crate) inbox: Inbox,
    /// The last op that is durable.
    pub(crate) durable: u64,
    /// Inodes that lost their last link by ops which are sent again, until all of these are there.
    pub(crate) resending: Option<Vec<Ino>>,
    pub(crate) lifecycle: Lifecycle,
    /// It has attached in this life of the node.
    pub(crate) is_back: bool,
    /// It was away while others were served.
    pub(crate) is_outlived: bool,
}

impl Member {
    pub(crate) fn new(progress: Option<Progress>, resumes: bool, lifecycle: Lifecycle) -> Self {
        let inbox = progress.map_or_else(Inbox::default, Inbox::resume);
        let (durable, resending) = (inbox.applied(), resumes.then(Vec::new));
        Self { inbox, durable, resending, lifecycle, is_back: !resumes, is_outlived: false }
    }
}
