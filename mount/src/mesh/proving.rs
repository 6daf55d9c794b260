use std::sync::{Arc, Weak};

use artifacts_core::hosts::{CellAnswer, HostProofs};
use artifacts_core::protocol::FenceReason;
use artifacts_core::revocation::{Issue, Position, Proof, Standing, Taken, Target};
use parking_lot::Mutex;

use crate::control::GossipStatus;
use crate::random::random_u64;
use crate::session::MountSession;
use crate::time::{SharedClock, timestamp};

/// What an agent knows from the mesh, and which mounts go by it.
pub(crate) struct Mesh {
    clock: SharedClock,
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    proofs: Option<HostProofs>,
    /// Of which generation of the account's rights the credential is.
    generation: u64,
    sessions: Vec<Weak<MountSession>>,
    status: GossipStatus,
    takes_part: bool,
}

impl Mesh {
    /// Nothing is known yet.
    pub(crate) fn new(clock: SharedClock) -> Arc<Self> {
        Arc::new(Self { clock, known: Mutex::default() })
    }

    /// From now on this mount goes by the mesh, too.
    pub(crate) fn add(&self, session: &Arc<MountSession>) {
        let mut known = self.known.lock();
        known.sessions.retain(|session| session.strong_count() > 0);
        known.sessions.push(Arc::downgrade(session));
    }

    /// How it is, for people; nothing while the agent takes no part.
    pub(crate) fn status(&self) -> Option<GossipStatus> {
        let known = self.known.lock();
        let proof_age_ms = known.proofs.as_ref().and_then(|proofs| proofs.age_ms(self.clock.boot_ms()));
        known.takes_part.then(|| GossipStatus { proof_age_ms, ..known.status.clone() })
    }

    /// Whether the agent takes part.
    pub(super) fn set_part(&self, takes_part: bool) {
        self.known.lock().takes_part = takes_part;
    }

    /// The cell has changed, or who is in it.
    pub(super) fn set_cell(&self, cell: Option<String>, members: usize) {
        let mut known = self.known.lock();
        (known.status.cell, known.status.members) = (cell, members);
    }

    /// What is known of the account's revocations, for the next question.
    pub(super) fn position(&self) -> Position {
        self.known.lock().proofs.as_ref().map_or_else(Position::default, HostProofs::known)
    }

    /// Takes in what a node has answered to a question of `asked_at_ms`. Whether keys have come that were not known: what was refused
    /// may be looked at again.
    pub(super) fn take(&self, answer: &CellAnswer, asked: Position, asked_at_ms: u64) -> bool {
        let mut known = self.known.lock();
        let is_other = |proofs: &HostProofs| proofs.account() != answer.account || *proofs.seat() != answer.seat;
        let mut proofs = match known.proofs.take() {
            Some(proofs) if !is_other(&proofs) => proofs,
            _ => HostProofs::new(answer.account, answer.seat.clone(), answer.shards),
        };
        let has_keys = proofs.trust(answer.keys.clone());
        proofs.read(asked, &answer.news, asked_at_ms, self.clock.boot_ms(), timestamp(self.clock.as_ref()));
        (known.proofs, known.generation) = (Some(proofs), answer.generation);
        has_keys
    }

    /// Asks all nodes of the cell for the time of their clocks: what to say there.
    pub(super) fn ask(&self) -> Option<(String, String)> {
        Some(self.known.lock().proofs.as_mut()?.ask(random_u64(), self.clock.boot_ms()))
    }

    /// Takes in what somebody says in the cell. Whether it needs no second look.
    pub(super) fn hear(&self, key: &str, value: &str) -> bool {
        let mut known = self.known.lock();
        known.proofs.as_mut().is_none_or(|proofs| proofs.hear(key, value, self.clock.boot_ms()) != Taken::Refused)
    }

    /// Whether the owner is to be asked for what is missing here.
    pub(super) fn lacks_records(&self) -> bool {
        self.known.lock().proofs.as_ref().is_some_and(HostProofs::lacks_records)
    }

    /// How old the newest proof is.
    pub(super) fn age_ms(&self) -> Option<u64> {
        self.known.lock().proofs.as_ref()?.age_ms(self.clock.boot_ms())
    }

    /// Whether the credential itself was revoked, by what is heard.
    pub(super) fn is_revoked(&self, credential: artifacts_core::KeyId) -> bool {
        let known = self.known.lock();
        let is_out = |proofs: &HostProofs| proofs.is_revoked(Target::Key(credential)) || proofs.is_void(known.generation);
        known.proofs.as_ref().is_some_and(is_out)
    }

    /// Tells every mount what is known of its right.
    pub(super) fn judge(&self) {
        let mut judged = Vec::new();
        {
            let known = self.known.lock();
            let Some(proofs) = &known.proofs else { return };
            let now_ms = self.clock.boot_ms();
            for session in known.sessions.iter().filter_map(Weak::upgrade) {
                let Some(on) = session.welcome.stands_on.as_deref().copied().filter(|on| on.account == proofs.account()) else { continue };
                let issue = on.generation.map(|generation| Issue { account: on.account, generation });
                let standing = Standing { session: session.id(), grant: on.grant, key: on.key, workspace: on.workspace, issue };
                let reason =
                    if proofs.is_revoked(Target::Workspace(on.workspace)) { FenceReason::WorkspaceDeleted } else { FenceReason::Revoked };
                judged.push((session, proofs.proof(&standing, now_ms), reason, now_ms));
            }
        }
        // Outside the lock: a fence does much.
        for (session, proof, reason, now_ms) in judged {
            match proof {
                Proof::Revoked => session.fenced(reason),
                Proof::Stood { age_ms } => session.witnessed(now_ms.saturating_sub(age_ms)),
                Proof::Unknown => {}
            }
        }
    }
}
