//! Proofs for mounts whose workspaces other nodes serve: their second stream, over which nothing else is said.
//!
//! A mount that is cut off from the owner of its workspace so still hears that its right stands, or that it does not. **What this node
//! says is about the right alone**: whether the session's leases and locks are still its own only the owner of the workspace knows,
//! which is why a mount goes by these proofs for no longer than its lease.
//!
//! The owner of the workspace is asked once, what the session stands on. From then on this node knows as much of the account as any
//! ([`super::follow`], [`super::beacons`]).

use std::net::SocketAddr;
use std::time::Duration;

use artifacts_core::cluster::{Region, Seat};
use artifacts_core::protocol::{ClientFrame, FenceReason, Hello, Opening, ProofsAnswer, Refusal, ServerFrame, decode, encode};
use artifacts_core::revocation::{Standing, Target};
use artifacts_core::{AccountId, ErrorCode};
use axum::extract::ws::{Message, WebSocket};
use axum::extract::{ConnectInfo, State, WebSocketUpgrade};
use axum::response::Response;
use futures_util::{SinkExt as _, StreamExt as _};
use serde::{Deserialize, Serialize};

use super::Fleet;
use super::peer::{PeerCall, unavailable};
use super::place::Home;
use crate::stream::{HELLO_WITHIN, read_hello};

/// Heartbeats and a hello are short.
const MESSAGE_MAX_BYTES: usize = 8 << 10;
const READ_BUFFER_BYTES: usize = 4 << 10;
/// An agent that says nothing for so long has gone.
const SILENCE: Duration = Duration::from_secs(15);
/// How long the owner of the workspace may take to say what the session stands on.
const LIMIT: Duration = Duration::from_secs(2);
/// How long writing to an agent may take.
const WRITE_LIMIT: Duration = Duration::from_secs(2);

/// What a session stands on, by the word of its workspace's owner.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Witnessed {
    pub(super) standing: Standing,
    pub(super) account: AccountId,
    /// If it is not that of the workspace.
    pub(super) account_region: Option<Region>,
}

/// A session that gets proofs here; its account is followed for as long as this lives.
struct Witness {
    fleet: Fleet,
    standing: Standing,
    seat: Seat,
}

/// `/v1/proofs`.
pub(super) async fn open(State(fleet): State<Fleet>, ConnectInfo(remote): ConnectInfo<SocketAddr>, upgrade: WebSocketUpgrade) -> Response {
    let upgrade = upgrade.read_buffer_size(READ_BUFFER_BYTES).max_message_size(MESSAGE_MAX_BYTES).max_frame_size(MESSAGE_MAX_BYTES);
    upgrade.on_upgrade(move |socket| serve(socket, remote, fleet))
}

async fn serve(socket: WebSocket, remote: SocketAddr, fleet: Fleet) {
    let (mut sink, mut stream) = socket.split();
    let hello = match tokio::time::timeout(HELLO_WITHIN, read_hello(&mut stream)).await {
        Ok(hello) => hello,
        Err(_) => return,
    };
    let (speaks, end) = (*fleet.common().speaks.read(), fleet.0.end.clone());
    let found = match hello {
        Ok(hello) => match speaks.agree(hello.protocol) {
            Some(version) => fleet.witness(&hello).await.map(|witness| (witness, version)),
            None => Err(Refusal::new(ErrorCode::UnsupportedVersion, "this node and the agent share no version of the session protocol")),
        },
        Err(refusal) => Err(refusal),
    };
    let answer = match &found {
        Ok((_, version)) => ProofsAnswer::Proving { version: *version },
        Err(refusal) => ProofsAnswer::Refused(refusal.clone()),
    };
    let text = serde_json::to_string(&answer).unwrap_or_default();
    let sent = tokio::time::timeout(WRITE_LIMIT, sink.send(Message::Text(text.into()))).await;
    let (Ok(Ok(())), Ok((witness, _))) = (sent, found) else { return };
    tracing::debug!(%remote, session = %witness.standing.session, "a session of another node gets proofs here");
    let mut revoked = witness.fleet.0.revoked.subscribe();
    loop {
        let asked_ms = tokio::select! {
            message = tokio::time::timeout(SILENCE, stream.next()) => match message {
                Ok(Some(Ok(Message::Binary(bytes)))) => match decode::<ClientFrame>(&bytes) {
                    Ok(ClientFrame::Heartbeat { sent_ms }) => Some(sent_ms),
                    _ => break,
                },
                Ok(Some(Ok(Message::Ping(_) | Message::Pong(_)))) => continue,
                _ => break,
            },
            _ = revoked.changed() => None,
            () = end.started() => break,
        };
        let frame = match (witness.fenced(), asked_ms) {
            (Some(reason), _) => ServerFrame::Fenced(reason),
            (None, Some(sent_ms)) if witness.is_current() => ServerFrame::Proof { sent_ms },
            // Nobody can say.
            (None, _) => continue,
        };
        let Ok(bytes) = encode(&frame) else { break };
        let sent = tokio::time::timeout(WRITE_LIMIT, sink.send(Message::Binary(bytes.into()))).await;
        if !matches!(sent, Ok(Ok(()))) || matches!(frame, ServerFrame::Fenced(_)) {
            break;
        }
    }
    let _ = tokio::time::timeout(WRITE_LIMIT, sink.close()).await;
}

impl Fleet {
    async fn witness(&self, hello: &Hello) -> Result<Witness, Refusal> {
        let Opening::Resume { session, secret } = &hello.opening else {
            return Err(Refusal::new(ErrorCode::InvalidRequest, "proofs are for a session that is open"));
        };
        let home = Home::of_session(self.regions(), *session, secret);
        let call = PeerCall::Witness(*session, secret.clone());
        let asked = self.ask::<Result<Witnessed, Refusal>>(&home, &call, LIMIT).await;
        let witnessed = asked.unwrap_or_else(|error| Err(unavailable(&error)))?;
        let account = Home::of(witnessed.account_region.as_ref().unwrap_or(&home.region), witnessed.account);
        let unknown = || Refusal::new(ErrorCode::Unavailable, "the region of the account is out of reach");
        let seat = self.seat(&account).ok_or_else(unknown)?;
        *self.0.witnessed.lock().entry(seat.clone()).or_default() += 1;
        self.0.follow_now.notify_one();
        Ok(Witness { fleet: self.clone(), standing: witnessed.standing, seat })
    }
}

impl Witness {
    /// Why the session is over, if what it stands on was revoked.
    fn fenced(&self) -> Option<FenceReason> {
        let register = self.fleet.common().revocations.read();
        if register.revoked(Target::Workspace(self.standing.workspace)).is_some() {
            return Some(FenceReason::WorkspaceDeleted);
        }
        (!register.stands(&self.standing)).then_some(FenceReason::Revoked)
    }

    fn is_current(&self) -> bool {
        let is_current = self.fleet.is_current(&self.seat);
        if !is_current {
            self.fleet.0.follow_now.notify_one();
        }
        is_current
    }
}

impl Drop for Witness {
    fn drop(&mut self) {
        let mut witnessed = self.fleet.0.witnessed.lock();
        if let Some(count) = witnessed.get_mut(&self.seat) {
            *count -= 1;
            if *count == 0 {
                witnessed.remove(&self.seat);
            }
        }
    }
}
