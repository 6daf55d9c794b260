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
}

impl Member {
    pub(crate) fn new(progress: Option<Progress>, resumes: bool, lifecycle: Lifecycle) -> Self {
        let inbox = progress.map_or_else(Inbox::default, Inbox::resume);
        Self { durable: inbox.applied(), inbox, resending: resumes.then(Vec::new), lifecycle }
    }
}
