//! What mounts ask a workspace. No question changes anything but which files are open.

use std::collections::BTreeSet;

use artifacts_core::SessionId;
use artifacts_core::leases::Wants;
use artifacts_core::locks::FileLock;
use artifacts_core::namespace::{self, Errno, Ino, Key, Piece, Source, Stop, View};
use artifacts_core::protocol::{Answer, COME_AGAIN, ClientFrame, Request, ServerFrame, Traced};
use artifacts_core::session::LockClaims;
use ractor::ActorRef;

use super::actor::{OPEN_MAX, WorkspaceState};
use super::layers::Failure;
use super::message::{FrameContext, Outbound, WorkspaceMessage};
use super::traces;
use crate::locks::FileMessage;
use crate::store::StoreError;

/// The most entries of a directory in one answer.
const ENTRIES_MAX: usize = 1024;
/// The most pieces of a file in one answer.
const PIECES_MAX: usize = 256;
/// The most data that the pieces of one answer carry.
const ANSWER_MAX_BYTES: usize = 1 << 20;

impl WorkspaceState {
    /// Answers a question over the session's stream.
    pub(super) async fn request(
        &mut self,
        myself: &ActorRef<WorkspaceMessage>,
        session: SessionId,
        id: u32,
        request: Request,
        traced: Option<Box<Traced>>,
    ) -> Result<(), StoreError> {
        metrics::counter!("artifacts_questions_total").increment(1);
        let mut span = traces::of_call(traced.as_deref(), u64::from(id), "node.question");
        span.set("artifacts.question", request.name());
        let wants_lease = request.wants_leases();
        let notes = !wants_lease && !request.is_about_locks() && !self.inode_leases.table.is_empty();
        if notes {
            self.layers.begin_noting();
        }
        let answered = if wants_lease {
            self.answer_with_lease(session, &request).await.map(|answer| answer.map(Some))
        } else if request.is_about_locks() {
            self.lock_question(session, id, request.clone()).await.map(Ok)
        } else {
            self.answer(session, request.clone()).await.map(|answer| Ok(Some(answer)))
        };
        let wants = Wants { reads: self.layers.end_noting(), ..Wants::default() };
        self.inode_leases.table.used(session, &wants, self.context.clock.monotonic_ms());
        let answer = match answered {
            Ok(Err(in_the_way)) => Err(in_the_way),
            _ if notes && !self.inode_leases.table.is_free(session, &wants) => Err(wants),
            Ok(Ok(answer)) => Ok(Ok(answer)),
            Err(failure) => Ok(Err(failure)),
        };
        let answer = match answer {
            Ok(answer) => answer,
            Err(in_the_way) => {
                span.set("artifacts.waits_for_leases", true);
                let context = FrameContext { permit: None, traced };
                let message = WorkspaceMessage::Frame(session, ClientFrame::Request { id, request }, context);
                self.wait_for_inodes(myself, session, in_the_way, message);
                return Ok(());
            }
        };
        let result = match answer {
            Ok(Some(answer)) => Ok(answer),
            // It comes from elsewhere.
            Ok(None) => return Ok(()),
            Err(Failure::Refused(errno)) => Err(errno),
            Err(Failure::Store(error)) => {
                tracing::warn!(workspace = %self.keys.0, %error, "a question could not be answered");
                Err(Errno::EIO)
            }
        };
        traces::conclude(&mut span, result.as_ref().err().copied());
        if let Some(member) = self.members.get(&session) {
            member.send(ServerFrame::Reply { id, result });
        }
        Ok(())
    }

    /// Hands on a question about locks, whose answer comes from there.
    async fn lock_question(&mut self, session: SessionId, id: u32, request: Request) -> Result<Option<Answer>, Failure> {
        if let Request::Lock { lock: FileLock { ino, .. }, .. } | Request::TestLock(FileLock { ino, .. }) = request
            && let Some(root) = self.members.get(&session).map(|member| member.root)
            && root != Ino::ROOT
        {
            self.layers.ask(|view| in_scope(view, ino, root)).await?;
        }
        self.about_locks(session, |outbound| FileMessage::Ask { session, outbound, id, request }).await.map_err(Failure::Store)?;
        Ok(None)
    }

    async fn about_locks(&self, session: SessionId, message: impl FnOnce(Outbound) -> FileMessage) -> Result<(), StoreError> {
        let Some(member) = self.members.get(&session) else { return Ok(()) };
        self.locks.of(self.keys.0).await?.file(message(member.outbound().clone()))
    }

    /// A mount says all about its locks.
    pub(super) async fn claim_locks(&mut self, session: SessionId, mut claims: LockClaims) -> Result<(), StoreError> {
        let Some(root) = self.members.get(&session).map(|member| member.root) else { return Ok(()) };
        if root != Ino::ROOT {
            let locks = claims.held.iter().chain(claims.asked.iter().chain(&claims.waiting).map(|(_, lock)| lock));
            let inodes: BTreeSet<Ino> = locks.map(|lock| lock.ino).collect();
            let mut beyond = BTreeSet::new();
            for ino in inodes {
                // What is not there yet comes back with what was not durable.
                let is_beyond =
                    self.layers.ask(|view| Ok(view.get(&Key::Inode(ino))?.is_some() && !namespace::within(view, ino, root)?)).await;
                if is_beyond.map_err(super::actor::store_error)? {
                    beyond.insert(ino);
                }
            }
            claims.held.retain(|lock| !beyond.contains(&lock.ino));
            claims.asked.retain(|(_, lock)| !beyond.contains(&lock.ino));
            claims.waiting.retain(|(_, lock)| !beyond.contains(&lock.ino));
        }
        self.about_locks(session, |outbound| FileMessage::Claim { session, outbound, claims }).await?;
        self.locks.claimed(session);
        Ok(())
    }

    async fn answer(&mut self, session: SessionId, request: Request) -> Result<Answer, Failure> {
        let Some(root) = self.members.get(&session).map(|member| member.root) else { return Err(Failure::Refused(Errno::ESTALE)) };
        let layers = &mut self.layers;
        Ok(match request {
            Request::Lookup { parent, name } => {
                Answer::Attr(layers.ask(|view| in_scope(view, parent, root).and_then(|()| namespace::lookup(view, parent, &name))).await?)
            }
            Request::Attr { ino } => {
                Answer::Attr(layers.ask(|view| in_scope(view, ino, root).and_then(|()| namespace::attr(view, ino))).await?)
            }
            Request::Open { ino } => {
                let attr = layers.ask(|view| in_scope(view, ino, root).and_then(|()| namespace::attr(view, ino))).await?;
                if let Some(noted) = self.layers.noted()
                    && !self.inode_leases.table.is_free(session, &Wants { reads: noted.clone(), ..Wants::default() })
                {
                    // It is asked again once that is out of the way.
                    return Err(Failure::Refused(COME_AGAIN));
                }
                if self.open.count(session) >= OPEN_MAX {
                    return Err(Failure::Refused(Errno::EAGAIN));
                }
                self.open.open(session, ino);
                Answer::Attr(attr)
            }
            Request::ReadLink { ino } => {
                Answer::Bytes(layers.ask(|view| in_scope(view, ino, root).and_then(|()| namespace::read_link(view, ino))).await?)
            }
            Request::ReadDir { dir, after, limit } => {
                let limit = (limit as usize).clamp(1, ENTRIES_MAX);
                let read =
                    layers.ask(|view| in_scope(view, dir, root).and_then(|()| namespace::read_dir(view, dir, after.as_ref(), limit)));
                Answer::Entries(read.await?)
            }
            Request::Pieces { ino, offset, len } => {
                let read =
                    layers.ask(|view| in_scope(view, ino, root).and_then(|()| namespace::pieces(view, ino, offset, len, PIECES_MAX)));
                let (attr, mut pieces) = read.await?;
                let fit = how_many_fit(&pieces);
                let more = pieces.len() == PIECES_MAX || fit < pieces.len();
                pieces.truncate(fit);
                Answer::Pieces { attr, pieces, more }
            }
            Request::Xattr { ino, name } => {
                Answer::Bytes(layers.ask(|view| in_scope(view, ino, root).and_then(|()| namespace::xattr(view, ino, &name))).await?)
            }
            Request::XattrNames { ino } => {
                Answer::Names(layers.ask(|view| in_scope(view, ino, root).and_then(|()| namespace::xattr_names(view, ino))).await?)
            }
            Request::Usage => {
                let usage = layers.ask(|view| namespace::usage(view)).await?;
                Answer::Usage { usage, bytes: self.limits.bytes, inodes: self.limits.inodes }
            }
            Request::Fetch(fetch) => return self.fetch(session, fetch).await,
            // The first needs the session's record, so its stream answers it; two bring leases; the others are not the namespace's.
            Request::ReserveInodes
            | Request::Learn { .. }
            | Request::Acquire { .. }
            | Request::Lock { .. }
            | Request::Unlock { .. }
            | Request::TestLock(_)
            | Request::CancelLock { .. } => {
                return Err(Failure::Refused(Errno::EINVAL));
            }
        })
    }
}

/// How many pieces one answer carries: those whose data stays within its bound, and at least one.
fn how_many_fit(pieces: &[Piece]) -> usize {
    let mut bytes = 0;
    let over = pieces.iter().position(|piece| {
        if let Source::Inline { data, .. } = &piece.extent.source {
            bytes += data.len();
        }
        bytes > ANSWER_MAX_BYTES
    });
    over.unwrap_or(pieces.len()).max(1).min(pieces.len())
}

fn in_scope(view: &impl View, ino: Ino, root: Ino) -> Result<(), Stop> {
    if root == Ino::ROOT || namespace::within(view, ino, root)? { Ok(()) } else { Err(Errno::ENOENT.into()) }
}
