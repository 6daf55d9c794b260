//! The lease on the whole workspace: who may decide by itself, and who waits meanwhile.

use artifacts_core::SessionId;
use artifacts_core::namespace::{Errno, Ino, Key, Record, View as _};
use artifacts_core::protocol::{Answer, ServerFrame};
use artifacts_core::replica::{Fetch, Records};
use artifacts_core::session::LeaseEffect;
use bytes::Bytes;
use ractor::ActorRef;

use super::actor::{OUTSIDE, WorkspaceState};
use super::layers::Failure;
use super::message::WorkspaceMessage;

/// How long a holder that is heard may take to send what it has decided. Its session's own lease bounds one that is not.
const RECALL_LIMIT: std::time::Duration = std::time::Duration::from_secs(30);
/// The most rows of one fetch.
const ROWS_MAX: usize = 1024;
/// So many rows are read in one go, so that a question that lacks something does not begin anew from far away.
const ROWS_AT_ONCE: usize = 64;

impl WorkspaceState {
    /// Sets a message aside that has to wait for the end of the lease.
    pub(super) fn defer_to_lease(&mut self, myself: &ActorRef<WorkspaceMessage>, message: WorkspaceMessage) -> Option<WorkspaceMessage> {
        if let WorkspaceMessage::Frame(session, ..) = &message {
            self.lease.hear(*session);
            self.inode_leases.table.hear(*session);
        }
        if self.recovery.is_some() {
            return Some(message);
        }
        let admitted = match &message {
            WorkspaceMessage::Frame(session, frame, _) if frame.waits_for_lease() && self.members.contains_key(session) => {
                self.lease.admit(*session)
            }
            WorkspaceMessage::ResolveRoot { .. } | WorkspaceMessage::SetQuotas(..) if self.lease.holder().is_some() => {
                Err(self.lease.wait())
            }
            WorkspaceMessage::Visit(..) => self.lease.admit(OUTSIDE),
            _ => Ok(()),
        };
        match admitted {
            Ok(()) => Some(message),
            Err(effects) => {
                self.waiting_for_lease.push_back(message);
                self.perform(myself, effects);
                None
            }
        }
    }

    /// Does what the lease's machine wants.
    pub(super) fn perform(&mut self, myself: &ActorRef<WorkspaceMessage>, effects: Vec<LeaseEffect>) {
        for effect in effects {
            match effect {
                LeaseEffect::Grant { session, epoch } => {
                    // It covers every inode.
                    let effects = self.inode_leases.release_all(session, self.context.clock.monotonic_ms());
                    self.perform_on_inodes(myself, effects);
                    if let Some(member) = self.members.get(&session) {
                        member.send(ServerFrame::Lease { epoch, bytes: self.limits.bytes, inodes: self.limits.inodes });
                    }
                    metrics::counter!("artifacts_leases_granted_total").increment(1);
                }
                LeaseEffect::Recall { session, epoch } => {
                    if let Some(member) = self.members.get(&session) {
                        member.send(ServerFrame::Recall { epoch });
                    }
                    metrics::counter!("artifacts_leases_recalled_total").increment(1);
                    myself.send_after(RECALL_LIMIT, move || WorkspaceMessage::RecallExpired(epoch));
                }
                LeaseEffect::Fence(session) => {
                    tracing::warn!(workspace = %self.keys.0, %session, "a session that holds the workspace's lease cannot be waited for");
                    self.refuse(session);
                }
                LeaseEffect::Released => self.lease_released = true,
            }
        }
    }

    /// Ends a session that cannot be waited for. Nothing of it is accepted from now on, also before its seal comes.
    pub(super) fn refuse(&mut self, session: SessionId) {
        if let Some(member) = self.members.get_mut(&session) {
            member.is_refused = true;
        }
        (self.fence)(session);
    }

    /// A mount asks for the lease. One that sees a part of the workspace cannot hold it.
    pub(super) fn want_lease(&mut self, myself: &ActorRef<WorkspaceMessage>, session: SessionId) {
        if self.members.get(&session).is_some_and(|member| member.root == Ino::ROOT) {
            self.count_inode_holders();
            let effects = self.lease.want(session);
            self.perform(myself, effects);
        }
    }

    /// Records for the holder's replica.
    pub(super) async fn fetch(&mut self, session: SessionId, fetch: Fetch) -> Result<Answer, Failure> {
        if self.lease.holder() != Some(session) {
            return Err(Failure::Refused(Errno::EPERM));
        }
        let along = if let Fetch::Range { along, .. } = &fetch { along.clone() } else { Vec::new() };
        let mut records = self.records(fetch).await?;
        self.add_named(&mut records).await?;
        self.add_extents(&mut records, along).await?;
        Ok(Answer::Records(records))
    }

    /// Records as they are stored.
    pub(super) async fn records(&mut self, fetch: Fetch) -> Result<Records, Failure> {
        match fetch {
            Fetch::Key(encoded) => {
                let key = Key::decode(&encoded).ok_or(Failure::Refused(Errno::EINVAL))?;
                let record = self.layers.ask(|view| Ok(view.get(&key)?)).await?;
                Ok(Records { rows: record.map(|record| (encoded, record)).into_iter().collect(), ..Records::default() })
            }
            Fetch::Range { start, prefix, limit, .. } => {
                let mut records = Records { until: Some(start), ..Records::default() };
                let limit = (limit as usize).clamp(1, ROWS_MAX);
                while records.rows.len() < limit
                    && let Some(start) = records.until.take()
                {
                    let at_once = ROWS_AT_ONCE.min(limit - records.rows.len());
                    let more = self.layers.ask(|view| Records::of(view, &start, &prefix, at_once)).await?;
                    let is_cut = more.rows.len() < at_once && more.until.is_some();
                    records.rows.extend(more.rows);
                    records.until = more.until;
                    if is_cut {
                        break;
                    }
                }
                Ok(records)
            }
        }
    }

    /// The inodes that entries name come with them.
    async fn add_named(&mut self, records: &mut Records) -> Result<(), Failure> {
        for ino in named(records) {
            self.add_inode(records, ino).await?;
        }
        Ok(())
    }

    /// The extents of these files come as well, as far as they are few.
    async fn add_extents(&mut self, records: &mut Records, files: Vec<Ino>) -> Result<(), Failure> {
        for ino in files.into_iter().take(ROWS_MAX) {
            if !records.has_room() {
                break;
            }
            if let Some(rows) = self.layers.ask(|view| Records::extents_of(view, ino)).await? {
                records.rows.extend(rows);
                records.whole.push(ino);
            }
        }
        Ok(())
    }

    /// An inode comes as well.
    pub(super) async fn add_inode(&mut self, records: &mut Records, ino: Ino) -> Result<(), Failure> {
        let key = Key::Inode(ino);
        if let Some(record) = self.layers.ask(|view| Ok(view.get(&key)?)).await? {
            records.rows.push((Bytes::from(key.encode()), record));
        }
        Ok(())
    }
}

/// The inodes that entries among these records name.
pub(super) fn named(records: &Records) -> Vec<Ino> {
    records.rows.iter().filter_map(|(_, record)| if let Record::Dentry(ino, _) = record { Some(*ino) } else { None }).collect()
}
