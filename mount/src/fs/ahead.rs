//! Reading ahead of a program that reads a file in order.

use std::sync::Arc;

use artifacts_core::namespace::{Errno, Piece};
use artifacts_core::protocol::{Answer, Request};

use crate::agent::Agent;
use crate::data::{Ahead, Plan, Wanted};

/// Fetches what a reader will want next, in the background. The pieces are asked for as any read does, and the reader
/// asks for them again: what is brought here is only blocks, which never change, so a file that changes meanwhile costs
/// a needless fetch and nothing else.
pub(super) fn fetch_ahead(agent: &Arc<Agent>, ahead: Ahead) {
    let agent = Arc::clone(agent);
    agent.work.clone().spawn(async move {
        // The reader will meet what goes wrong here, if it lasts.
        let _ = fetch(&agent, ahead).await;
    });
}

async fn fetch(agent: &Agent, ahead: Ahead) -> Result<(), Errno> {
    let still_wanted = || agent.read_ahead.still_wanted(&ahead);
    let end = ahead.offset.saturating_add(ahead.len);
    let mut from = ahead.offset;
    while from < end && still_wanted() {
        let request = Request::Pieces { ino: ahead.ino, offset: from, len: end - from };
        let Answer::Pieces { attr, pieces, more } = agent.session.answer(request).await? else { return Err(Errno::EIO) };
        let next = pieces.last().filter(|_| more).map(end_of);
        let mut plan = Plan::new(from, end - from, attr.size);
        let is_inline = !pieces.is_empty();
        plan.add(from, pieces)?;
        let mut blocks: Vec<_> = plan.blocks().iter().map(Wanted::block).collect();
        blocks.dedup();
        if blocks.is_empty() && is_inline {
            // The bytes have come with the answer, for nobody.
            agent.read_ahead.useless(&ahead);
            return Ok(());
        }
        agent.blocks.prefetch(blocks, still_wanted).await;
        match next {
            Some(next) if next > from => from = next,
            _ => break,
        }
    }
    Ok(())
}

fn end_of(piece: &Piece) -> u64 {
    piece.offset.saturating_add(u64::from(piece.extent.len))
}
