use std::sync::Arc;

use artifacts_core::namespace::{Errno, Ino, Piece};
use artifacts_core::protocol::{Answer, Request};
use bytes::Bytes;

use super::{BlockError, Blocks, Plan};
use crate::session::MountSession;
use crate::time::pause;

/// How often a read begins anew because the file was overwritten under it and its old blocks are gone.
const READ_ATTEMPTS: u32 = 5;
/// How long it waits before each, so that what is under way comes to its end.
const GONE_PAUSE_MS: u64 = 20;

/// What a read wants of a file.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ReadRange {
    pub(crate) ino: Ino,
    pub(crate) offset: u64,
    pub(crate) len: u64,
}

impl ReadRange {
    /// Asks for the part of the range that begins at `from`.
    pub(crate) fn request(self, from: u64) -> Request {
        Request::Pieces { ino: self.ino, offset: from, len: self.offset.saturating_add(self.len).saturating_sub(from) }
    }

    /// Begins a plan, and says where to ask for the rest if the answer did not hold all of it.
    ///
    /// # Errors
    /// The answer's, and EIO where it makes no sense.
    pub(crate) fn plan(self, answer: Result<Answer, Errno>) -> Result<(Plan, Option<u64>), Errno> {
        let Answer::Pieces { attr, pieces, more } = answer? else { return Err(Errno::EIO) };
        let mut plan = Plan::new(self.offset, self.len, attr.size);
        let rest = self.rest(self.offset, &pieces, more)?;
        plan.add(self.offset, pieces)?;
        Ok((plan, rest))
    }

    fn rest(self, asked_from: u64, pieces: &[Piece], more: bool) -> Result<Option<u64>, Errno> {
        let Some(last) = pieces.last().filter(|_| more) else { return Ok(None) };
        let end = last.offset.checked_add(u64::from(last.extent.len)).ok_or(Errno::EIO)?;
        // An answer that leads nowhere would be asked for without end.
        if end <= asked_from { Err(Errno::EIO) } else { Ok(Some(end).filter(|&end| end < self.offset.saturating_add(self.len))) }
    }

    /// The bytes, and how they were put together at last.
    pub(crate) async fn fetch(
        self,
        session: &Arc<MountSession>,
        blocks: &Blocks,
        mut plan: Plan,
        rest: Option<u64>,
    ) -> (Result<Bytes, Errno>, Plan) {
        let bytes = self.try_fetch(session, blocks, &mut plan, rest).await;
        (bytes, plan)
    }

    async fn try_fetch(self, session: &Arc<MountSession>, blocks: &Blocks, plan: &mut Plan, mut rest: Option<u64>) -> Result<Bytes, Errno> {
        for _ in 0..READ_ATTEMPTS {
            while let Some(from) = rest {
                let Answer::Pieces { pieces, more, .. } = session.answer(self.request(from)).await? else { return Err(Errno::EIO) };
                rest = self.rest(from, &pieces, more)?;
                plan.add(self.offset, pieces)?;
            }
            match blocks.fill(plan).await {
                Ok(bytes) => return Ok(bytes),
                Err(BlockError::Failed(errno)) => return Err(errno),
                Err(BlockError::Gone) => {
                    pause(GONE_PAUSE_MS).await;
                    session.forget_extents(self.ino);
                    (*plan, rest) = self.plan(session.answer(self.request(self.offset)).await)?;
                }
            }
        }
        tracing::error!(ino = self.ino.0, offset = self.offset, "blocks that the node names cannot be found");
        Err(Errno::EIO)
    }
}
