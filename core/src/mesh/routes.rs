use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;

use super::Incarnation;
use super::limits::MEMBERS_MAX;
use crate::name::NodeName;

/// So many addresses are known at once: members, and the names under which seeds are configured.
const ADDRESSES_MAX: usize = 2 * MEMBERS_MAX;
/// So many messages are remembered that may still be answered with a hello.
const SENT_MAX: usize = 64;

/// Who is behind which address, and whom we told who is behind ours.
///
/// All of it may be forgotten at any time: it is learned again at the cost of one more message each way.
#[derive(Debug, Default)]
pub(super) struct Routes {
    by_address: BTreeMap<SocketAddr, NodeName>,
    sent: VecDeque<(u64, SocketAddr)>,
    greeted: BTreeMap<NodeName, (u64, u64)>,
}

impl Routes {
    /// Who is behind an address.
    pub(super) fn name(&self, address: &SocketAddr) -> Option<&NodeName> {
        self.by_address.get(address)
    }

    /// Notes who is behind an address.
    pub(super) fn learn(&mut self, address: SocketAddr, name: &NodeName) {
        if self.by_address.get(&address) == Some(name) {
            return;
        }
        if self.by_address.len() >= ADDRESSES_MAX {
            self.by_address.clear();
        }
        self.by_address.insert(address, name.clone());
    }

    /// Notes that our message of this counter went there.
    pub(super) fn sent(&mut self, counter: u64, to: SocketAddr) {
        if self.sent.len() >= SENT_MAX {
            self.sent.pop_front();
        }
        self.sent.push_back((counter, to));
    }

    /// Where the message went that this hello answers.
    pub(super) fn answered(&self, counter: u64) -> Option<SocketAddr> {
        self.sent.iter().find(|(sent, _)| *sent == counter).map(|(_, to)| *to)
    }

    /// Whether to answer this message with a hello: only if it is newer than all of its sender that were. So a recorded
    /// one is answered once, and never keeps the sender's own from being answered.
    pub(super) fn greet(&mut self, sender: &NodeName, incarnation: Incarnation, counter: u64) -> bool {
        let moment = (incarnation.generation, counter);
        match self.greeted.get_mut(sender) {
            Some(last) if *last >= moment => return false,
            Some(last) => *last = moment,
            None => {
                if self.greeted.len() >= MEMBERS_MAX {
                    self.greeted.clear();
                }
                self.greeted.insert(sender.clone(), moment);
            }
        }
        true
    }
}
