//! Does what the machines of leases want.

use artifacts_core::SessionId;
use artifacts_core::leases::DeskEffect;
use artifacts_core::protocol::{FenceReason, ServerFrame};
use artifacts_core::session::LeaseEffect;

use super::node::{Node, Todo};

impl Node {
    pub(super) fn perform(&mut self, effects: Vec<LeaseEffect>) {
        for effect in effects {
            match effect {
                LeaseEffect::Grant { session, epoch } => {
                    self.counts.grants += 1;
                    // It covers every inode.
                    let effects = self.desk.release_all(session, self.now_ms);
                    self.perform_on_inodes(effects);
                    self.todo.push(Todo::Send(session, ServerFrame::Lease { epoch, bytes: None, inodes: None }));
                }
                LeaseEffect::Recall { session, epoch } => {
                    self.counts.recalls += 1;
                    self.todo.push(Todo::Send(session, ServerFrame::Recall { epoch }));
                    self.todo.push(Todo::Recalled(epoch));
                }
                LeaseEffect::Fence(session) => self.fence(session, FenceReason::LeaseLost),
                LeaseEffect::Released => self.released = true,
            }
        }
    }

    pub(super) fn perform_on_inodes(&mut self, effects: Vec<DeskEffect>) {
        for effect in effects {
            match effect {
                DeskEffect::Send(session, frame) => {
                    self.counts.inode_recalls += u64::from(matches!(frame, ServerFrame::RecallLeases { .. }));
                    self.send(session, frame);
                }
                DeskEffect::Fence(session) => self.fence(session, FenceReason::LeaseLost),
            }
        }
    }

    /// Tells the workspace's lease who holds leases on inodes.
    pub(super) fn count_inode_holders(&mut self) {
        let holders: Vec<SessionId> = self.desk.table.holders().collect();
        self.lease.set_holding_inodes(holders);
    }
}
