use std::sync::Arc;

use tokio::sync::{OwnedMutexGuard, mpsc};

use crate::context::SharedContext;
use crate::control::durable;
use crate::store::Batch;

/// So many commits become one write at the most.
const TOGETHER: usize = 256;

/// Hears whether what came before it is durable.
pub(super) type Answer = Box<dyn FnOnce(bool) + Send>;

/// What has to be durable together, and who waits for that.
#[derive(Default)]
pub(super) struct Commit {
    pub(super) batch: Batch,
    pub(super) answers: Vec<Answer>,
}

impl Commit {
    fn is_empty(&self) -> bool {
        self.batch.is_empty() && self.answers.is_empty()
    }
}

/// Writes one workspace's commits in their order, those that have come together as one.
pub(super) struct Journal {
    commits: mpsc::UnboundedSender<Commit>,
}

impl Journal {
    /// `writer` is held until everything is written, so that the actor's successor begins after that.
    pub(super) fn start(context: SharedContext, writer: OwnedMutexGuard<()>) -> Self {
        let (commits, waiting) = mpsc::unbounded_channel();
        tokio::spawn(write(context, waiting, writer));
        Self { commits }
    }

    /// Writes this after everything before.
    pub(super) fn append(&self, commit: Commit) {
        if !commit.is_empty() {
            let _ = self.commits.send(commit);
        }
    }
}

async fn write(context: SharedContext, mut commits: mpsc::UnboundedReceiver<Commit>, _writer: OwnedMutexGuard<()>) {
    while let Some(Commit { mut batch, mut answers }) = commits.recv().await {
        for _ in 1..TOGETHER {
            let Ok(next) = commits.try_recv() else { break };
            batch.append(next.batch);
            answers.extend(next.answers);
        }
        let written = if batch.is_empty() { Ok(()) } else { durable::write(&context, batch).await };
        if let Err(error) = &written {
            tracing::warn!(%error, "locks were not put on record");
        }
        for answer in answers {
            answer(written.is_ok());
        }
    }
}

/// Who may write the locks of a workspace.
pub(super) type Writer = Arc<tokio::sync::Mutex<()>>;
