//! A second stream, to another node than the one that serves the session: for proofs, and to hear of a fence.
//!
//! Nothing depends on it. While the first stream is well it says the same a second time; when the owner of the workspace is cut off
//! from this mount, or is being replaced, what the mount may decide by itself it goes on deciding, until its lease is over.

use std::time::Duration;

use artifacts_core::protocol::{ClientFrame, Opening, ProofsAnswer, ServerFrame, decode, encode};
use bytes::Bytes;
use futures_util::{SinkExt as _, StreamExt as _};
use tokio::time::MissedTickBehavior;
use tokio_tungstenite::tungstenite::Message;

use super::MountSession;
use super::opening::{CONNECT, hello};
use crate::random::jittered;
use crate::time::pause;
use crate::transport::{ConnectError, Endpoint, Socket, Trust, connect};

/// How long a node may take to say that it gives proofs. It asks the owner of the workspace.
const ANSWER: Duration = Duration::from_secs(5);
/// What lies between two attempts, at first and at last.
const PAUSES_MS: (u64, u64) = (250, 5_000);
/// How long the wait is for other nodes where there are none, or for the session to have a stream at all.
const NOBODY_MS: u64 = 1_000;
/// A proof is asked for with every second heartbeat of the first stream: three are due before one is missed.
const HEARTBEATS: u64 = 2;

/// Keeps a second stream up for as long as the session lasts; never returns.
pub(super) async fn keep(session: &MountSession, trust: &Trust) {
    let (mut turn, mut pause_ms) = (session.id().bits() as usize, PAUSES_MS.0);
    loop {
        if session.is_ending() || session.gate.fenced().is_some() {
            return std::future::pending().await;
        }
        let peers = session.peers();
        let Some(peer) = peers.get(turn % peers.len().max(1)) else {
            pause(NOBODY_MS).await;
            continue;
        };
        match begin(session, peer, trust).await {
            Ok(socket) => {
                tracing::debug!(%peer, "another node gives proofs as well");
                session.set_second(Some(peer.clone()));
                if drive(session, peer, socket).await {
                    pause_ms = PAUSES_MS.0;
                }
                session.set_second(None);
            }
            Err(error) => tracing::debug!(%peer, %error, "another node gives no proofs"),
        }
        turn = turn.wrapping_add(1);
        pause(jittered(pause_ms)).await;
        pause_ms = (2 * pause_ms).min(PAUSES_MS.1);
    }
}

async fn begin(session: &MountSession, peer: &Endpoint, trust: &Trust) -> Result<Socket, ConnectError> {
    let mut socket = connect(peer, &peer.proofs(), trust, CONNECT).await?;
    let opening = Opening::Resume { session: session.id(), secret: session.welcome.secret.clone() };
    socket.send(Message::text(hello(opening)?)).await.map_err(ConnectError::unreachable)?;
    let answer = tokio::time::timeout(ANSWER, socket.next()).await.map_err(|_| ConnectError::unreachable("no answer in time"))?;
    let text = match answer {
        Some(Ok(Message::Text(text))) => text,
        other => return Err(ConnectError::unreachable(format!("no answer, but {other:?}"))),
    };
    match serde_json::from_str::<ProofsAnswer>(&text).map_err(ConnectError::unreachable)? {
        ProofsAnswer::Proving { .. } => Ok(socket),
        ProofsAnswer::Refused(refusal) => Err(ConnectError::Refused(refusal)),
    }
}

/// Works one stream off until it ends, or until another node may do better. Whether it brought a proof.
async fn drive(session: &MountSession, peer: &Endpoint, mut socket: Socket) -> bool {
    let mut heartbeat = tokio::time::interval(Duration::from_millis(HEARTBEATS * session.welcome.heartbeat_ms));
    heartbeat.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let silence_ms = 2 * session.welcome.proof_ms;
    let (mut heard_ms, mut has_proven) = (session.clock.boot_ms(), false);
    loop {
        let message = tokio::select! {
            message = socket.next() => message,
            _ = heartbeat.tick() => {
                let now_ms = session.clock.boot_ms();
                // The node that serves the session may be another one by now: this one.
                if now_ms.saturating_sub(heard_ms) > silence_ms || session.endpoint() == *peer {
                    return has_proven;
                }
                let Ok(bytes) = encode(&ClientFrame::Heartbeat { sent_ms: now_ms }) else { return has_proven };
                if socket.send(Message::Binary(Bytes::from(bytes))).await.is_err() {
                    return has_proven;
                }
                continue;
            }
        };
        match message {
            Some(Ok(Message::Binary(bytes))) => match decode::<ServerFrame>(&bytes) {
                Ok(ServerFrame::Proof { sent_ms }) => {
                    (heard_ms, has_proven) = (session.clock.boot_ms(), true);
                    session.witnessed(sent_ms);
                }
                Ok(ServerFrame::Fenced(reason)) => session.fenced(reason),
                _ => return has_proven,
            },
            Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
            _ => return has_proven,
        }
    }
}
