use std::net::SocketAddr;

use artifacts_core::namespace::Ino;
use artifacts_core::protocol::{DataPath, FenceReason, Hello, Opening, Refusal, StandsOn, VersionRange, Welcome};
use artifacts_core::revocation::Standing;
use artifacts_core::session::{HEARTBEAT_MS, InodeRanges, PROOF_MS, Phase};
use artifacts_core::{ErrorCode, SessionId, TicketId};
use ractor::ActorRef;
use std::sync::Arc;
use std::time::Duration;

use super::authority::Right;
use super::registry::ask;
use super::{Connection, Handle, SessionMessage, Sessions, keys};
use crate::audit::{AuditEvent, AuditKind, By, outbox};
use crate::random::{secret_hash, secret_matches};
use crate::records::{SessionRecord, SessionRight};
use crate::store::{Batch, Durability, StoreError};
use crate::workspace::{Attached, Attachment, WorkspaceMessage};

/// A stream's session and what its frames are handed to.
pub(crate) struct Opened {
    pub(crate) welcome: Welcome,
    pub(crate) handle: Arc<Handle>,
    pub(crate) workspace: ActorRef<WorkspaceMessage>,
    pub(crate) standing: Standing,
}

impl Sessions {
    /// Opens a new session or resumes one, in the newest version that both sides speak. The outbound channel gets its frames from
    /// now on.
    ///
    /// # Errors
    /// [`Refusal`], to be sent to the agent as it is.
    pub(crate) async fn open(
        &self,
        speaks: VersionRange,
        hello: &Hello,
        remote: SocketAddr,
        connection: Connection,
    ) -> Result<Opened, Refusal> {
        let Some(version) = speaks.agree(hello.protocol) else {
            let VersionRange { min, max } = speaks;
            let message = format!(
                "this node speaks versions {min} to {max} of the session protocol, the agent {} to {}; install an agent that matches the node",
                hello.protocol.min, hello.protocol.max
            );
            return Err(refuse(ErrorCode::UnsupportedVersion, message));
        };
        let (handle, secret, resumes) = match &hello.opening {
            Opening::Resume { session, secret } => (self.find(*session, secret).await?, secret.clone(), true),
            Opening::Ticket { .. } => {
                let right = self.0.authority.right(&hello.opening).await?;
                let _one_at_a_time = match &right.right {
                    SessionRight::Ticket { ticket, .. } => {
                        let turn = self.0.opening.of(ticket.bits()).await;
                        self.free_ticket(*ticket).await?;
                        Some(turn)
                    }
                    SessionRight::Key { .. } => None,
                };
                let (handle, secret) = self.create(right, hello, remote).await?;
                (handle, secret, false)
            }
            Opening::ApiKey { .. } => {
                let right = self.0.authority.right(&hello.opening).await?;
                let (handle, secret) = self.create(right, hello, remote).await?;
                (handle, secret, false)
            }
        };
        self.attach(version, handle, secret, resumes, connection).await
    }

    async fn attach(
        &self,
        version: u16,
        handle: Arc<Handle>,
        secret: String,
        resumes: bool,
        connection: Connection,
    ) -> Result<Opened, Refusal> {
        let context = &self.0.context;
        let record = &handle.record;
        let standing = standing(record);
        let workspace_record = self.0.authority.confirm(record, &standing).await?;
        let workspace = self.workspace(&workspace_record).await.map_err(unavailable)?;
        handle.shared.hear(context.clock.monotonic_ms());
        let alone = handle.shared.attach_alone(connection.end.clone()).await;
        let attachment = Attachment {
            session: record.id,
            mode: record.mode,
            root: record.root,
            inodes: self.leased_inodes(record.id).await?,
            outbound: connection.outbound.clone(),
            resumes,
        };
        let attached: Attached =
            ask(&workspace, |reply| WorkspaceMessage::Attach(attachment, reply)).await.and_then(|answer| answer).map_err(unavailable)?;
        let inodes = self.reserve_inodes(&handle, &workspace).await.map_err(unavailable)?;
        if !resumes {
            self.0.locks.settle(record.workspace, record.id);
        }
        let _ = handle.actor.cast(SessionMessage::Connected(connection));
        drop(alone);
        // A fence may have come while the session opened: what it sealed then, this would have undone.
        let stands = context.revocations.read().stands(&standing);
        if !stands || !handle.shared.accepts() {
            let _ = ask(&workspace, |reply| WorkspaceMessage::Seal(record.id, reply)).await;
            if !stands {
                let id = record.id;
                self.fence(|record| record.id == id, FenceReason::Revoked, Duration::ZERO).await;
            }
            return Err(ended(stands, handle.shared.phase()));
        }
        let is_encrypted = context.data_keys.of(record.workspace).await.map_err(unavailable)?.is_some();
        let welcome = Welcome {
            version,
            session: record.id,
            secret,
            workspace: record.workspace_name.clone(),
            mode: record.mode,
            root: record.root,
            lease_ms: context.config.session_lease_ms,
            proof_ms: PROOF_MS,
            heartbeat_ms: HEARTBEAT_MS,
            expires_in_ms: record.expires_at.map(|at| at.since_ms(context.clock.wall())),
            inodes,
            durable_seq: attached.durable_seq,
            peers: context.peers.read().clone(),
            // Whoever seals is the node, so the data passes it.
            data_path: if is_encrypted { DataPath::Proxied } else { context.config.data_path() },
            keep_off_disk: is_encrypted,
            stands_on: Some(Box::new(StandsOn {
                account: record.account,
                workspace: standing.workspace,
                grant: standing.grant,
                key: standing.key,
                generation: standing.issue.map(|issue| issue.generation),
            })),
            admits_guests: context.config.admits_guests(),
            wants_traces: artifacts_trace::is_on(),
        };
        Ok(Opened { welcome, handle, workspace, standing })
    }

    /// The ranges on the session's record as it is stored: the registry holds the record of the opening.
    async fn leased_inodes(&self, id: SessionId) -> Result<InodeRanges, Refusal> {
        Ok(self.stored(id).await?.map(|record| record.inodes).unwrap_or_default())
    }

    async fn stored(&self, id: SessionId) -> Result<Option<SessionRecord>, Refusal> {
        let stored = self.0.context.store.get(&keys::record_key(id)).await.map_err(unavailable)?;
        stored
            .map(|bytes| serde_json::from_slice(&bytes))
            .transpose()
            .map_err(|error| unavailable(StoreError::Corrupt { reason: error.to_string() }))
    }

    /// The session that an agent wants to go on with.
    async fn find(&self, id: SessionId, secret: &str) -> Result<Arc<Handle>, Refusal> {
        let unknown = || refuse(ErrorCode::SessionNotFound, "there is no such session, or the secret is not its own");
        let stored = self.stored(id).await?.ok_or_else(unknown)?;
        if !secret_matches(secret, &stored.secret_hash) {
            return Err(unknown());
        }
        match self.handle(id).filter(|handle| handle.shared.accepts()) {
            Some(handle) => Ok(handle),
            None => match stored.phase {
                Phase::Fenced(reason) => Err(fenced(reason)),
                // Being fenced at this moment.
                phase if self.handle(id).is_some() => Err(ended(true, phase)),
                // Its actor failed and starts anew from the record.
                _ => {
                    let _one_at_a_time = self.0.opening.of(id.bits()).await;
                    match self.handle(id) {
                        Some(handle) => Ok(handle),
                        None => self.adopt(stored).await.map_err(unavailable),
                    }
                }
            },
        }
    }

    /// A ticket has one live session. One that has lapsed makes way, for good.
    async fn free_ticket(&self, ticket: TicketId) -> Result<(), Refusal> {
        let Some(handle) = self.of_ticket(ticket).filter(|handle| handle.shared.accepts()) else { return Ok(()) };
        if handle.shared.phase() != Phase::Lapsed {
            let message = format!(
                "the ticket is in use by session {} on {}; unmount it there, or wait until its lease has run out",
                handle.record.id, handle.record.host
            );
            return Err(refuse(ErrorCode::TicketInUse, message));
        }
        let id = handle.record.id;
        let report = self.fence(|record| record.id == id, FenceReason::LeaseLost, Duration::ZERO).await;
        if report.fenced < report.matched {
            return Err(refuse(ErrorCode::Unavailable, "the ticket's earlier session could not be ended; try again"));
        }
        Ok(())
    }

    async fn create(&self, right: Right, hello: &Hello, remote: SocketAddr) -> Result<(Arc<Handle>, String), Refusal> {
        let context = &self.0.context;
        let root = match &right.subpath {
            None => Ino::ROOT,
            Some(subpath) => {
                let workspace = self.workspace(&right.workspace).await.map_err(unavailable)?;
                let path = subpath.components().map(str::to_owned).collect();
                let found = ask(&workspace, |reply| WorkspaceMessage::ResolveRoot { path, reply }).await.map_err(unavailable)?;
                found.map_err(|error| refuse(ErrorCode::InvalidRequest, format!("the subpath `{subpath}` cannot be mounted: {error}")))?
            }
        };
        let secret = context.regions.mark(context.entropy.secret());
        // A session lies where its workspace does, and whoever knows its id knows where that is.
        let shards = context.store.shards();
        let home = shards.of(right.workspace.id);
        let record = SessionRecord {
            id: shards.draw_beside(home, || context.entropy.id(), |id: &SessionId| shards.of(*id)),
            account: right.workspace.account,
            account_region: right.account_region,
            workspace: right.workspace.id,
            workspace_name: right.workspace.address(),
            right: right.right,
            generation: right.generation,
            mode: right.mode,
            root,
            secret_hash: secret_hash(&secret),
            agent: shorten(&hello.agent),
            host: shorten(&hello.host),
            remote_addr: remote.to_string(),
            opened_at: context.clock.wall(),
            expires_at: right.expires_at,
            phase: Phase::Live,
            ended_at: None,
            is_going: false,
            inodes: InodeRanges::default(),
        };
        let mut batch = Batch::new();
        keys::put(&mut batch, &record).map_err(unavailable)?;
        let opened = AuditEvent::now(context, AuditKind::SessionOpened, By::holder(&record.right)).of_session(&record);
        outbox::put(&mut batch, &record, opened);
        // Durable before the agent hears of it, with its inode numbers.
        context.store.write(batch, Durability::Visible).await.map_err(unavailable)?;
        self.0.forwarder.wake();
        tracing::info!(session = %record.id, workspace = %record.workspace_name, mode = %record.mode, host = record.host, "session opened");
        metrics::counter!("artifacts_sessions_opened_total").increment(1);
        Ok((self.adopt(record).await.map_err(unavailable)?, secret))
    }
}

/// What a session stands on.
pub(crate) fn standing(record: &SessionRecord) -> Standing {
    let (grant, key) = match &record.right {
        SessionRight::Ticket { grant, .. } => (Some(*grant), None),
        SessionRight::Key { key } => (None, Some(*key)),
    };
    Standing { session: record.id, grant, key, workspace: record.workspace, issue: Some(record.issue()) }
}

/// What an agent says of itself is for people, and needs no more room than this.
fn shorten(text: &str) -> String {
    text.chars().filter(|character| !character.is_control()).take(128).collect()
}

pub(super) fn refuse(code: ErrorCode, message: impl Into<String>) -> Refusal {
    Refusal::new(code, message)
}

pub(crate) fn fenced(reason: FenceReason) -> Refusal {
    Refusal { fenced: Some(reason), ..Refusal::new(ErrorCode::Forbidden, reason.text()) }
}

/// Why a session that was just fenced, or whose right does not stand, is not resumed. A fence that is not on record yet will be when
/// the agent asks again.
fn ended(stands: bool, phase: Phase) -> Refusal {
    match phase {
        Phase::Fenced(reason) if stands => fenced(reason),
        _ if !stands => fenced(FenceReason::Revoked),
        _ => refuse(ErrorCode::Unavailable, "the session is not ready; try again"),
    }
}

pub(super) fn unavailable(error: StoreError) -> Refusal {
    tracing::warn!(%error, "a session could not be opened");
    refuse(ErrorCode::Unavailable, "the node cannot open the session now; try again")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A session that somebody else's lock had ended while its agent was on the way was told that its access was revoked.
    #[test]
    fn a_session_that_is_fenced_while_it_is_resumed_hears_why() {
        let lost = FenceReason::LeaseLost;
        assert_eq!(ended(true, Phase::Fenced(lost)).fenced, Some(lost));
        assert_eq!(ended(false, Phase::Live).fenced, Some(FenceReason::Revoked));
        let refusal = ended(true, Phase::Lapsed);
        assert_eq!((refusal.fenced, refusal.code), (None, ErrorCode::Unavailable), "not on record yet");
    }
}
