//! What one shard wants of another, here or on another node.
//!
//! A call is about the region of whoever receives it. Each can be repeated without harm, so one that was not answered is made again, to whoever owns the shard then.

use std::sync::Arc;
use std::time::Duration;

use artifacts_core::cluster::{Region, Shard};
use artifacts_core::hosts::{GuestBearer, JoinCell};
use artifacts_core::mesh::{Answer, Member};
use artifacts_core::name::{Handle, NodeName};
use artifacts_core::protocol::{Opening, Refusal};
use artifacts_core::revocation::{News, Position, RevocationRecord, Standing};
use artifacts_core::ticket::KeyRing;
use artifacts_core::{AccountId, ErrorCode, SessionId, WorkspaceId};
use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::{IntoResponse as _, Response};
use axum::routing::post;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::sync::{mpsc, oneshot};

use super::cells::{CellOrder, Guest};
use super::find::Found;
use super::host::HostEvent;
use super::place::Home;
use super::witness::Witnessed;
use super::{Fleet, Unit};
use crate::abroad::RegionKeys;
use crate::audit::AuditEvent;
use crate::catalog::KeyPosition;
use crate::records::WorkspaceRecord;
use crate::ring;
use crate::sessions::{Authority as _, CheckOptions, Right, fenced, standing};
use crate::store::StoreError;

/// How long a feed may take to be told on behalf of another node.
const NEWS_LIMIT: Duration = Duration::from_secs(1);
/// Where nodes ask each other.
const PATH: &str = "/internal/v1/shards";
/// The answer to a call for a shard that is not here.
const NOT_HERE: u16 = 421;
const FAILED: u16 = 503;
const DONE: u16 = 200;
/// How long the owner of an account may take to say what its key allows.
const RIGHT_LIMIT: Duration = Duration::from_secs(3);

/// What is wanted.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) enum PeerCall {
    /// What the owner of the shard of the whole cluster keeps for all nodes; answered with [`Secrets`].
    Secrets,
    /// What nodes of other regions may know of that; answered with [`RegionKeys`].
    RegionKeys,
    /// See [`Control::claim_handle`](crate::control::Control::claim_handle).
    Claim(Handle, Region),
    /// Let go of a shard that should be the caller's. Answered when nothing is left of it.
    Yield(Shard),
    /// See [`Authority::right`](crate::sessions::Authority::right).
    Right(Opening),
    /// As `Right`, of an API key that is on record there.
    RightOfKeyAt(Opening, KeyPosition),
    /// See [`Authority::confirm`](crate::sessions::Authority::confirm).
    Confirm(AccountId, Standing),
    /// See [`DataPlane`](crate::control::DataPlane) for the rest.
    Format(WorkspaceRecord),
    SetQuotas(WorkspaceRecord),
    Usage(WorkspaceId),
    Storage(WorkspaceId),
    Check(WorkspaceRecord, CheckOptions),
    Destroy(WorkspaceId),
    /// See [`Authority::record`](crate::sessions::Authority::record).
    Record(AccountId, Vec<AuditEvent>),
    IdBeside(WorkspaceId),
    Copy(WorkspaceRecord, WorkspaceId),
    Session(SessionId),
    Sessions(Option<AccountId>),
    /// End what stands on these, in all units of the node.
    Fence {
        records: Vec<RevocationRecord>,
        wait_ms: u64,
    },
    /// What a session stands on whose secret this is; answered with [`Witnessed`].
    Witness(SessionId, String),
    /// What is new in the feeds of these shards; one that is not here is left out of the answer.
    News(Vec<(Shard, Position)>),
    /// The same, of feeds of another node, for one that does not reach it.
    NewsOf(NodeName, Vec<(Shard, Position)>),
    /// A host with a mesh credential asks for its cell; answered with [`CellAnswer`](artifacts_core::hosts::CellAnswer).
    JoinCell {
        secret: String,
        join: JoinCell,
        /// Where the credential is on record, if not with its secret.
        position: Option<KeyPosition>,
    },
    /// Whose session it is that a guest shows; answered with [`Guest`].
    Guest(String),
    /// A guest asks for its cell; answered as `JoinCell`.
    JoinGuest {
        guest: Guest,
        join: JoinCell,
    },
    /// Take part in these cells of the caller's accounts, and in no others of them; answered with where their members reach the node.
    ServeCells(Vec<CellOrder>),
}

/// What the nodes of a cluster share.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Secrets {
    pub(super) key_ring: KeyRing,
    pub(super) admin_token_hash: [u8; 32],
}

/// Why a call came to nothing.
#[derive(Debug, Clone, thiserror::Error)]
pub(super) enum PeerError {
    #[error("the shard is not here")]
    NotHere,
    #[error("{0}")]
    Failed(String),
    #[error("the region `{0}` is out of reach")]
    OutOfReach(Region),
}

impl From<StoreError> for PeerError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Fenced | StoreError::Closed => Self::NotHere,
            StoreError::OutOfReach { region } => Self::OutOfReach(region),
            error => Self::Failed(error.to_string()),
        }
    }
}

impl From<PeerError> for StoreError {
    fn from(error: PeerError) -> Self {
        match error {
            PeerError::OutOfReach(region) => Self::OutOfReach { region },
            error => Self::Unavailable { reason: error.to_string() },
        }
    }
}

impl Fleet {
    /// Asks the owner of what lives there, here or elsewhere, and goes on to ask until it is known who that is.
    pub(super) async fn ask<T: DeserializeOwned>(&self, home: &Home, call: &PeerCall, limit: Duration) -> Result<T, PeerError> {
        let by_ms = self.settle_by_ms();
        loop {
            let outcome = match self.find(home) {
                Found::Here(unit) => self.answer_for(&unit, call).await,
                Found::There(member) => tokio::select! {
                    answer = self.ask_member(&member, call, limit) => answer,
                    () = self.is_silent(&member) => Err(PeerError::Failed(format!("{} has fallen silent", member.id.name))),
                },
                Found::Nowhere => Err(PeerError::NotHere),
                Found::OutOfReach(region) => return Err(PeerError::OutOfReach(region)),
            };
            match outcome {
                Ok(value) => return serde_json::from_value(value).map_err(|error| PeerError::Failed(error.to_string())),
                Err(error) if !self.look_again(by_ms).await => return Err(error),
                Err(error) => tracing::debug!(?home, %error, "asking the owner of a shard again"),
            }
        }
    }

    /// Asks one member.
    pub(super) async fn ask_member(&self, member: &Member, call: &PeerCall, limit: Duration) -> Result<Value, PeerError> {
        let failed = |error: &dyn std::fmt::Display| PeerError::Failed(format!("{}: {error}", member.id.name));
        let body = serde_json::to_vec(call).map_err(|error| failed(&error))?;
        let asking = self.ring().caller().call(member, PATH, &body, limit);
        let Answer { status, body } = asking.await.map_err(|error| failed(&error))?;
        match status {
            DONE => serde_json::from_slice(&body).map_err(|error| failed(&error)),
            NOT_HERE => Err(PeerError::NotHere),
            _ => Err(failed(&String::from_utf8_lossy(&body))),
        }
    }

    /// Answers another node.
    async fn answer(&self, sender: &NodeName, call: &PeerCall, host: &mpsc::UnboundedSender<HostEvent>) -> Result<Value, PeerError> {
        let map = self.map();
        match call {
            PeerCall::Yield(shard) => {
                let (done, is_done) = oneshot::channel();
                let _ = host.send(HostEvent::Yield(*shard, done));
                let _ = is_done.await;
                json(())
            }
            PeerCall::Fence { records, wait_ms } => json(self.enforce_pushed(records, Duration::from_millis(*wait_ms)).await),
            PeerCall::News(wanted) => json(self.news(sender, wanted).await),
            PeerCall::NewsOf(owner, wanted) => {
                let member = self.ring().view().member(owner).cloned().ok_or(PeerError::NotHere)?;
                self.ask_member(&member, &PeerCall::News(wanted.clone()), NEWS_LIMIT).await
            }
            PeerCall::ServeCells(orders) => {
                let served = self.serve_cells(sender, orders);
                json(served.inspect_err(|error| tracing::error!(%error, "this node takes no part in cells; see `mesh.listen`")).ok())
            }
            PeerCall::Sessions(account) => {
                let units = self.units();
                let all = units.iter().flat_map(|unit| unit.sessions.list());
                json(all.filter(|session| account.is_none_or(|account| session.record.account == account)).collect::<Vec<_>>())
            }
            call => {
                let shard = match call {
                    PeerCall::Right(Opening::Ticket { token }) => {
                        let claims = artifacts_core::ticket::peek(token).ok_or(PeerError::NotHere)?;
                        map.of(claims.account)
                    }
                    PeerCall::Right(Opening::ApiKey { key, .. }) => map.of_bytes(&crate::random::secret_hash(key)),
                    PeerCall::RightOfKeyAt(_, position) | PeerCall::JoinCell { position: Some(position), .. } => position.shard(map),
                    PeerCall::JoinCell { secret, position: None, .. } => map.of_bytes(&crate::random::secret_hash(secret)),
                    PeerCall::Guest(shown) => map.of(shown.parse::<GuestBearer>().map_err(|_| PeerError::NotHere)?.session()),
                    PeerCall::JoinGuest { guest, .. } => map.of(guest.account),
                    PeerCall::Confirm(account, _) | PeerCall::Record(account, _) => map.of(*account),
                    PeerCall::Format(workspace)
                    | PeerCall::SetQuotas(workspace)
                    | PeerCall::Check(workspace, _)
                    | PeerCall::Copy(workspace, _) => map.of(workspace.id),
                    PeerCall::Usage(id) | PeerCall::Storage(id) | PeerCall::Destroy(id) | PeerCall::IdBeside(id) => map.of(*id),
                    PeerCall::Session(id) | PeerCall::Witness(id, _) => map.of(*id),
                    PeerCall::Claim(handle, _) => map.of_bytes(handle.as_str().as_bytes()),
                    _ => map.of_cluster(),
                };
                let unit = self.unit(shard).ok_or(PeerError::NotHere)?;
                self.answer_for(&unit, call).await
            }
        }
    }

    /// Answers for a unit of this node.
    async fn answer_for(&self, unit: &Arc<Unit>, call: &PeerCall) -> Result<Value, PeerError> {
        let _under_way = unit.enter().ok_or(PeerError::NotHere)?;
        let sessions = &unit.sessions;
        let value = match call {
            PeerCall::Secrets => {
                let hash = *self.common().admin_token_hash.read();
                let admin_token_hash = hash.ok_or(PeerError::NotHere)?;
                json(Secrets { key_ring: self.common().key_ring.read().clone(), admin_token_hash })?
            }
            PeerCall::RegionKeys => {
                let hash = *self.common().admin_token_hash.read();
                let admin_token_hash = hash.ok_or(PeerError::NotHere)?;
                json(RegionKeys { jwks: self.common().key_ring.read().jwks(), admin_token_hash })?
            }
            PeerCall::Claim(handle, region) => json(unit.claim_handle(handle, region).await?)?,
            PeerCall::Right(opening) => json(self.right_here(unit, opening).await?)?,
            PeerCall::RightOfKeyAt(opening, position) => json(unit.authority().with_key_at(position.clone()).right(opening).await)?,
            PeerCall::Confirm(account, standing) => {
                let confirmed = unit.authority().active_workspace(*account, standing.workspace).await;
                let stands = self.common().revocations.read().stands(standing);
                json(if stands { confirmed } else { Err(fenced(artifacts_core::protocol::FenceReason::Revoked)) })?
            }
            PeerCall::Format(workspace) => json(sessions.format(workspace).await?)?,
            PeerCall::SetQuotas(workspace) => json(sessions.set_quotas(workspace).await?)?,
            PeerCall::Record(account, events) => json(unit.authority().record(*account, None, events).await?)?,
            PeerCall::Usage(id) => json(sessions.usage(*id).await?)?,
            PeerCall::Storage(id) => json(sessions.storage(*id).await?)?,
            PeerCall::Check(workspace, options) => json(sessions.check(workspace, *options).await?)?,
            PeerCall::Destroy(id) => json(sessions.destroy(*id).await?)?,
            PeerCall::IdBeside(id) => json(sessions.id_beside(*id))?,
            PeerCall::Copy(source, copy) => json(sessions.copy(source, *copy).await?)?,
            PeerCall::Witness(id, secret) => {
                let unknown = || Refusal::new(ErrorCode::SessionNotFound, "there is no such session, or the secret is not its own");
                let witnessed = sessions.authenticate(*id, secret).map(|handle| Witnessed {
                    standing: standing(&handle.record),
                    account: handle.record.account,
                    account_region: handle.record.account_region.clone(),
                });
                json(witnessed.ok_or_else(unknown))?
            }
            PeerCall::JoinCell { secret, join, position } => json(self.join_cell(unit, secret, join, position.as_ref()).await?)?,
            PeerCall::Guest(shown) => json(self.guest_here(unit, shown))?,
            PeerCall::JoinGuest { guest, join } => json(self.join_guest(unit, guest, join))?,
            PeerCall::Session(id) => json(crate::control::DataPlane::session(sessions, *id).await?)?,
            // Of the whole node, not of one shard.
            PeerCall::Yield(_)
            | PeerCall::Sessions(_)
            | PeerCall::Fence { .. }
            | PeerCall::News(_)
            | PeerCall::NewsOf(..)
            | PeerCall::ServeCells(_) => {
                return Err(PeerError::NotHere);
            }
        };
        // What memory says counts only if nobody else has taken the shard.
        unit.vouch().await?;
        Ok(value)
    }

    /// What a credential allows by the word of this unit, or of the one that has the record of the key.
    async fn right_here(&self, unit: &Unit, opening: &Opening) -> Result<Result<Right, Refusal>, PeerError> {
        let right = unit.authority().right(opening).await;
        let is_unknown = right.as_ref().is_err_and(|refusal| refusal.code == ErrorCode::Unauthorized);
        if let (true, Opening::ApiKey { key, .. }) = (is_unknown, opening)
            && let Some(position) = unit.context.catalog.key_elsewhere(key).await?
        {
            let home = Home::shard(self.regions().here(), position.shard(self.map()));
            return Box::pin(self.ask(&home, &PeerCall::RightOfKeyAt(opening.clone(), position), RIGHT_LIMIT)).await;
        }
        Ok(right)
    }

    /// What is new in feeds that are here.
    async fn news(&self, sender: &NodeName, wanted: &[(Shard, Position)]) -> Vec<(Shard, News)> {
        let mut told = Vec::new();
        for (shard, position) in wanted {
            let Some(unit) = self.unit(*shard) else { continue };
            unit.follows(sender, self.clock().monotonic_ms());
            let clock = Some((self.0.clock_id, self.clock().monotonic_ms()));
            let news = News { clock, ..unit.context.log.lock().news(*position) };
            if unit.vouch().await.is_ok() {
                told.push((*shard, news));
            }
        }
        told
    }
}

fn json<T: Serialize>(value: T) -> Result<Value, PeerError> {
    serde_json::to_value(value).map_err(|error| PeerError::Failed(error.to_string()))
}

/// A refusal that may pass by itself.
pub(super) fn unavailable(error: &PeerError) -> Refusal {
    if let PeerError::OutOfReach(region) = error {
        let message = format!("the region `{region}` of the account is out of reach; try again when it is back");
        return Refusal::new(artifacts_core::ErrorCode::Unavailable, message);
    }
    tracing::debug!(%error, "the owner of an account does not answer");
    Refusal::new(ErrorCode::Unavailable, "the owner of the account does not answer at the moment; try again")
}

/// What other nodes may ask.
pub(super) fn router(fleet: Fleet, host: mpsc::UnboundedSender<HostEvent>) -> Router {
    Router::new().route(PATH, post(take)).with_state((fleet, host))
}

async fn take(State((fleet, host)): State<(Fleet, mpsc::UnboundedSender<HostEvent>)>, headers: HeaderMap, body: Body) -> Response {
    let call = match ring::open(fleet.ring(), PATH, &headers, body).await {
        Ok(call) => call,
        Err(refusal) => return refusal.into_response(),
    };
    let Ok(wanted) = serde_json::from_slice::<PeerCall>(&call.body) else {
        return ring::answer(call, FAILED, &"the call is not understood; the nodes run versions that are too far apart");
    };
    let sender = call.sender.clone();
    // A task of its own: what was begun is carried through even if the caller gives up.
    let work = tokio::spawn(async move { fleet.answer(&sender, &wanted, &host).await });
    match work.await.unwrap_or_else(|error| Err(PeerError::Failed(error.to_string()))) {
        Ok(value) => ring::answer(call, DONE, &value),
        Err(PeerError::NotHere) => ring::answer(call, NOT_HERE, &()),
        Err(PeerError::Failed(reason)) => ring::answer(call, FAILED, &reason),
        Err(error @ PeerError::OutOfReach(_)) => ring::answer(call, FAILED, &error.to_string()),
    }
}
