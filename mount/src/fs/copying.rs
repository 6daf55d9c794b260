//! copy_file_range(2): the node lets the copy share the blocks of the original, and no data travels.

use std::sync::Arc;

use artifacts_core::namespace::Mutation;
use fuser::{INodeNo, ReplyWrite};

use super::call::Call;
use super::system_call::SystemCall;
use crate::agent::Agent;
use crate::gate::Holds;

/// The most bytes of one request: their number must fit the reply. The program asks for the rest.
const COPY_MAX_BYTES: u64 = 1 << 30;

pub(super) fn copy(agent: &Arc<Agent>, uid: u32, from: (INodeNo, u64), to: (INodeNo, u64), len: u64, reply: ReplyWrite) {
    let mutation = Mutation::Clone {
        from: agent.numbers.to_node(from.0),
        from_offset: from.1,
        to: agent.numbers.to_node(to.0),
        to_offset: to.1,
        len: len.min(COPY_MAX_BYTES),
        kill_privileges: uid != 0,
    };
    Call::begin(agent, SystemCall::CopyFileRange, Holds::Pages, reply, move |call| commit(mutation, call));
}

fn commit(mutation: Mutation, call: Call<ReplyWrite>) {
    call.commit(mutation.clone(), move |mut call, result| match result.map(|outcome| outcome.written) {
        Ok(Some(written)) => {
            call.moved(written.len);
            call.finish(Ok(written), |reply, written| reply.written(written.len as u32));
        }
        // A node that has restarted meanwhile does not know how much it was. The same copy again changes nothing
        // and tells.
        Ok(None) => commit(mutation, call),
        Err(errno) => call.fail(errno),
    });
}
