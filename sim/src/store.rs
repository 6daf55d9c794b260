use std::collections::{BTreeMap, BTreeSet};

use artifacts_core::SessionId;
use artifacts_core::namespace::MemoryView;
use artifacts_core::revocation::SignedRevocation;
use artifacts_core::session::Phase;

use crate::node::{Durable, Stored};

/// The two shards: that of the workspace, and that of the account whose grants open it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Part {
    Workspace,
    Account,
}

impl Part {
    pub(crate) const ALL: [Self; 2] = [Self::Workspace, Self::Account];
}

#[derive(Debug, Clone, Copy, Default)]
struct Owner {
    epoch: u64,
    /// The owner has said that it stopped, or there was none.
    has_let_go: bool,
}

/// The object store: it decides who owns a shard. A write or a question of an epoch that is over is refused; everything else that it was
/// told is durable.
#[derive(Debug)]
pub(crate) struct Store {
    owners: BTreeMap<Part, Owner>,
    pub(crate) workspace: Stored,
    pub(crate) revocations: Vec<SignedRevocation>,
}

/// How many fencing tokens an owner takes at once.
const TOKENS: u64 = 1 << 16;

impl Store {
    pub(crate) fn new(view: MemoryView) -> Self {
        let durable = Durable { view, order: 0, progress: BTreeMap::new(), departed: Vec::new() };
        Self {
            owners: Part::ALL.into_iter().map(|part| (part, Owner { epoch: 0, has_let_go: true })).collect(),
            workspace: Stored { durable, sessions: BTreeMap::new(), outlived: BTreeSet::new(), unsaved: BTreeSet::new(), token_reserve: 0 },
            revocations: Vec::new(),
        }
    }

    /// Fences the owner before. Answers the epoch of the new one, and whether the one before had let go.
    pub(crate) fn open(&mut self, part: Part) -> (u64, bool) {
        let owner = self.owners.entry(part).or_default();
        owner.epoch += 1;
        (owner.epoch, std::mem::take(&mut owner.has_let_go))
    }

    /// Whether nobody has fenced this owner.
    pub(crate) fn is_owner(&self, part: Part, epoch: u64) -> bool {
        self.owners.get(&part).is_some_and(|owner| owner.epoch == epoch)
    }

    /// An owner puts on record that it has stopped acting.
    pub(crate) fn let_go(&mut self, part: Part, epoch: u64) {
        if let Some(owner) = self.owners.get_mut(&part).filter(|owner| owner.epoch == epoch) {
            owner.has_let_go = true;
        }
    }

    /// A flush of the workspace. Whether it counts.
    pub(crate) fn flush(&mut self, epoch: u64, durable: &Durable) -> bool {
        let counts = self.is_owner(Part::Workspace, epoch);
        if counts {
            self.workspace.durable = durable.clone();
            self.workspace.unsaved.retain(|session| !durable.departed.contains(session));
        }
        counts
    }

    /// The phase of a session.
    pub(crate) fn record(&mut self, epoch: u64, session: SessionId, phase: Phase) -> bool {
        let counts = self.is_owner(Part::Workspace, epoch);
        if counts {
            self.workspace.sessions.insert(session, phase);
        }
        counts
    }

    /// A session that ends had done something that is not durable.
    pub(crate) fn unsaved(&mut self, epoch: u64, session: SessionId) {
        if self.is_owner(Part::Workspace, epoch) {
            self.workspace.unsaved.insert(session);
        }
    }

    /// Sessions were away while others were served.
    pub(crate) fn outlived(&mut self, epoch: u64, sessions: Vec<SessionId>) -> bool {
        let counts = self.is_owner(Part::Workspace, epoch);
        if counts {
            self.workspace.outlived.extend(sessions);
        }
        counts
    }

    pub(crate) fn returned(&mut self, epoch: u64, session: SessionId) {
        if self.is_owner(Part::Workspace, epoch) {
            self.workspace.outlived.remove(&session);
        }
    }

    /// What a new owner starts from. Tokens that the one before may have given are not given again.
    pub(crate) fn take_over(&mut self) -> Stored {
        let stored = self.workspace.clone();
        self.workspace.token_reserve += TOKENS;
        stored
    }

    /// A signed record of the account.
    pub(crate) fn revoke(&mut self, epoch: u64, record: SignedRevocation) -> bool {
        let counts = self.is_owner(Part::Account, epoch);
        if counts {
            self.revocations.push(record);
        }
        counts
    }
}
