//! Keeps a session's stream up and reads it.

use std::future::poll_fn;
use std::sync::Arc;
use std::time::Duration;

use artifacts_core::protocol::{FenceReason, Opening, ServerFrame, decode};
use tokio::time::MissedTickBehavior;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::{self, Message};

use super::MountSession;
use super::opening::{Opened, Opener, is_gone};
use super::witness;
use crate::random::jittered;
use crate::time::{SharedClock, pause};
use crate::transport::ConnectError;

/// The first pause before a reconnect, and the longest while the lease is at stake: the owner of the workspace may come up at any
/// moment, and serves nobody before all mounts are back.
const PAUSES_MS: (u64, u64) = (50, 1_000);
/// The longest once the lease has run out.
const LAPSED_PAUSE_MS: u64 = 2_000;
/// How long one attempt to come back may take. A node that is about to serve the workspace answers when it does.
const ATTEMPT: Duration = Duration::from_secs(4);
/// A stream that lasted this long was a good one: the next reconnect begins with the shortest pause.
const GOOD_STREAM_MS: u64 = 2_000;
/// How long the node may take to close the stream after a goodbye or a fence.
const LAST_WORDS_MS: u64 = 1_000;

/// Why a stream came to its end.
enum End {
    Broken(String),
    /// The node ends, or lets go of the workspace.
    Away(String),
    /// Nothing was heard: the node may be cut off, and a connection to it lead nowhere.
    Silent(u64),
    Finished,
}

/// The session of an opened stream.
pub(crate) fn begin(clock: SharedClock, opened: Opened) -> Arc<MountSession> {
    MountSession::new(clock, opened)
}

/// Reads the stream, and opens it anew whenever it breaks, until the session is over or the mount ends.
pub(crate) async fn keep(session: Arc<MountSession>, opener: Opener) {
    let trust = opener.trust().clone();
    tokio::select! {
        () = keep_up(&session, opener) => {}
        // It ends only with the session.
        () = witness::keep(&session, &trust) => {}
    }
    session.set_over();
}

async fn keep_up(session: &Arc<MountSession>, mut opener: Opener) {
    loop {
        let began_ms = session.clock.boot_ms();
        let end = drive(session).await;
        session.unlink();
        let reason = match end {
            End::Broken(reason) => reason,
            End::Away(reason) => {
                opener.avoid(&session.endpoint());
                reason
            }
            End::Silent(silence_ms) => {
                opener.avoid(&session.endpoint());
                format!("nothing was heard for {silence_ms} ms")
            }
            End::Finished => return,
        };
        if session.is_ending() || session.gate.fenced().is_some() {
            return;
        }
        tracing::warn!(%reason, session = %session.id(), "the session stream broke; reconnecting");
        let first_pause_ms = if session.clock.boot_ms() - began_ms < GOOD_STREAM_MS { PAUSES_MS.0 * 8 } else { PAUSES_MS.0 };
        if !reconnect(session, &mut opener, first_pause_ms).await {
            return;
        }
    }
}

/// Answers whether there is a stream again.
async fn reconnect(session: &Arc<MountSession>, opener: &mut Opener, first_pause_ms: u64) -> bool {
    let mut pause_ms = first_pause_ms;
    loop {
        pause(jittered(pause_ms)).await;
        let longest_ms = if session.gate.has_lapsed() { LAPSED_PAUSE_MS } else { PAUSES_MS.1 };
        pause_ms = (pause_ms * 2).min(longest_ms);
        if session.is_ending() || session.gate.fenced().is_some() {
            return false;
        }
        let opening = Opening::Resume { session: session.id(), secret: session.welcome.secret.clone() };
        match opener.attempt(opening, ATTEMPT).await {
            Ok(opened) => {
                tracing::info!(endpoint = %opened.endpoint, session = %session.id(), "the session stream is up again");
                session.relink(opened);
                return true;
            }
            Err(ConnectError::Refused(refusal)) => match refusal.fenced {
                Some(reason) => {
                    session.fenced(reason);
                    return false;
                }
                None if is_gone(&refusal) => {
                    tracing::error!(%refusal, "the node does not know the session any more");
                    session.fenced(FenceReason::LeaseLost);
                    return false;
                }
                None => tracing::debug!(%refusal, "not yet"),
            },
            Err(ConnectError::Unreachable(reason)) => tracing::debug!(%reason, "not yet"),
        }
    }
}

/// Works one stream off until it ends.
async fn drive(session: &Arc<MountSession>) -> End {
    let mut heartbeat = tokio::time::interval(Duration::from_millis(session.welcome.heartbeat_ms));
    heartbeat.set_missed_tick_behavior(MissedTickBehavior::Delay);
    // A stream on which nothing comes although a proof is due several times over leads nowhere.
    let silence_ms = (2 * session.welcome.proof_ms).max(10 * session.welcome.heartbeat_ms);
    let mut heard_ms = session.clock.boot_ms();
    let mut last_words_at_ms = None;
    loop {
        let message = tokio::select! {
            message = poll_fn(|cx| session.outlet.poll_message(cx)) => message,
            () = session.outlet.wanted() => {
                session.outlet.pump();
                if session.outlet.is_broken() {
                    return End::Broken("writing failed".to_owned());
                }
                continue;
            }
            _ = heartbeat.tick() => {
                session.beat();
                let now_ms = session.clock.boot_ms();
                if now_ms.saturating_sub(heard_ms) > silence_ms {
                    return End::Silent(silence_ms);
                }
                if session.is_ending() && now_ms.saturating_sub(*last_words_at_ms.get_or_insert(now_ms)) > LAST_WORDS_MS {
                    return End::Finished;
                }
                continue;
            }
        };
        heard_ms = session.clock.boot_ms();
        match message {
            Some(Ok(Message::Binary(bytes))) => match decode::<ServerFrame>(&bytes) {
                Ok(ServerFrame::Closing) => return End::Away("the node does not serve it any more".to_owned()),
                Ok(frame) => session.receive(frame),
                Err(error) => {
                    tracing::error!(%error, bytes = bytes.len(), "a frame from the node cannot be used");
                    return End::Broken(error.to_string());
                }
            },
            Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
            Some(Ok(Message::Close(frame))) => {
                let is_away = frame.as_ref().is_some_and(|frame| frame.code == CloseCode::Away);
                let reason = frame.map_or_else(|| "closed".to_owned(), |frame| format!("closed: {}", frame.reason));
                return match () {
                    () if session.is_ending() => End::Finished,
                    () if is_away => End::Away(reason),
                    () => End::Broken(reason),
                };
            }
            Some(Ok(other)) => return End::Broken(format!("an unexpected message: {} bytes of text", other.len())),
            Some(Err(error)) => {
                // That a connection ends is nothing strange; that the node sends what it must not is.
                if matches!(error, tungstenite::Error::Capacity(_) | tungstenite::Error::Utf8(_)) {
                    tracing::error!(%error, "a message from the node cannot be used");
                }
                return End::Broken(error.to_string());
            }
            None if session.is_ending() => return End::Finished,
            None => return End::Broken("the connection was closed".to_owned()),
        }
    }
}
