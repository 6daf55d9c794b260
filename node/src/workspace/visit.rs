//! What the node itself does in a workspace, for calls that come without a mount.
//!
//! A visit is decided between two ops by the same machine as they are, and meets the leases of mounts as they do: whoever decides
//! by itself is recalled first, so a visit sees what had returned on any mount, and whoever believes to know what it changes is
//! told before it happens. It belongs to no session. Always true:
//!
//! - a visit happens as a whole, between two other messages: nobody sees a part of it, nor does a crash leave one;
//! - one that changed something is answered when that is durable;
//! - what waits for a lease waits in the order of all others.

use std::sync::Arc;

use artifacts_core::SegmentId;
use artifacts_core::leases::Wants;
use artifacts_core::namespace::{
    self, Applied, Attr, Context, Errno, Extent, FileKind, Ino, Key, Limits, Listed, Mutation, Name, Nanos, NewNode, Op, Piece, Position,
    RenameMode, Stop, View, walk,
};
use ractor::{ActorRef, RpcReplyPort};

use super::actor::{OPEN_MAX, OUTSIDE, WorkspaceState};
use super::flush::Durably;
use super::layers::Failure;
use super::message::WorkspaceMessage;
use super::snapshot::Snapshot;
use crate::store::StoreError;

/// The most pieces of a file in one answer.
const PIECES_MAX: usize = 256;
/// How many entries of a tree one visit removes.
const REMOVED_AT_ONCE: usize = 512;

/// A path, from the directory that its caller sees as the root.
#[derive(Debug, Clone)]
pub(crate) struct Target {
    /// Where that directory is.
    pub(crate) root: Vec<Name>,
    pub(crate) path: Vec<Name>,
}

/// What must be there, or must not, for a change to happen.
#[derive(Debug, Clone, Default)]
pub(crate) struct Condition {
    /// One of these versions; with an empty list anything.
    pub(crate) is: Option<Vec<Version>>,
    /// Nothing.
    pub(crate) is_absent: bool,
}

/// Tells a state of a file from all others: its ctime changes with every change of it and never comes back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Version(pub(crate) Ino, pub(crate) Nanos);

impl Version {
    pub(crate) fn of(attr: &Attr) -> Self {
        Self(attr.ino, attr.ctime)
    }
}

impl Condition {
    /// Whether it holds for what is there.
    pub(crate) fn holds(&self, attr: Option<&Attr>) -> bool {
        let is = |versions: &Vec<Version>| attr.is_some_and(|attr| versions.is_empty() || versions.contains(&Version::of(attr)));
        self.is.as_ref().is_none_or(is) && !(self.is_absent && attr.is_some())
    }
}

/// A file to be put in place.
#[derive(Debug, Clone)]
pub(crate) struct NewFile {
    pub(crate) target: Target,
    pub(crate) condition: Condition,
    /// Whether missing directories are made.
    pub(crate) makes_parents: bool,
    /// Permission bits; absent: those of the file that it replaces.
    pub(crate) mode: Option<u16>,
    pub(crate) extents: Vec<Extent>,
    /// The segments in which they lie, and how long these are.
    pub(crate) segments: Vec<(SegmentId, u64)>,
}

/// What is to be done.
#[derive(Debug)]
pub(crate) enum Visit {
    /// What is at a path; a file stays readable until [`WorkspaceMessage::Leave`] if it `opens`.
    Find { target: Target, opens: bool },
    /// The attributes of a file and where its bytes are.
    Pieces { ino: Ino, offset: u64, len: u64 },
    /// What is in a directory.
    List { target: Target, after: Vec<Name>, recursive: bool, limit: usize },
    /// Puts a file in the place of whatever file is there.
    Put(NewFile),
    /// Removes what is at a path, or a part of it.
    Remove { target: Target, condition: Condition, recursive: bool },
    /// Gives something another name.
    Move { from: Target, to: Target, overwrite: bool },
    /// Takes a snapshot of everything that had happened on any mount.
    Freeze {
        /// Whether mounts have sent what they had decided when this was asked first.
        is_settled: bool,
    },
}

/// What came of it.
#[derive(Debug)]
pub(crate) enum Visited {
    Found(Attr),
    Pieces { attr: Attr, pieces: Vec<Piece>, more: bool },
    Listed(Vec<Listed>),
    Put { attr: Attr, is_new: bool },
    Removed { more: bool },
    Moved(Attr),
    Frozen(Arc<Snapshot>),
}

/// Why nothing came of it.
#[derive(Debug)]
pub(crate) enum VisitError {
    Refused(Errno),
    /// The condition does not hold.
    Unmet,
    Store(StoreError),
}

impl From<StoreError> for VisitError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

pub(crate) type VisitReply = RpcReplyPort<Result<Visited, VisitError>>;

/// An answer, and what has to be changed for it to be true.
struct Decided {
    visited: Visited,
    applied: Option<Applied>,
}

/// `Err`: the condition does not hold.
type Change = Result<Decided, ()>;

impl Visit {
    /// Whether it changes anything.
    pub(super) fn changes(&self) -> bool {
        matches!(self, Self::Put(_) | Self::Remove { .. } | Self::Move { .. })
    }
}

impl WorkspaceState {
    /// Takes a visit, when nothing is in its way any more.
    pub(super) async fn visit(&mut self, myself: &ActorRef<WorkspaceMessage>, visit: Visit, reply: VisitReply) -> Result<(), StoreError> {
        if let Visit::Freeze { is_settled } = visit {
            self.freeze(myself, is_settled, reply);
            return Ok(());
        }
        self.layers.begin_noting();
        let decided = self.decide(&visit).await;
        let reads = self.layers.end_noting();
        let changed = decided.iter().filter_map(|decided| decided.applied.as_ref());
        let writes = changed.flat_map(|applied| applied.changes.keys().filter_map(Key::owner)).collect();
        let wants = Wants { reads, writes };
        self.inode_leases.table.used(OUTSIDE, &wants, self.context.clock.monotonic_ms());
        if !self.inode_leases.table.is_free(OUTSIDE, &wants) {
            self.wait_for_inodes(myself, OUTSIDE, wants, WorkspaceMessage::Visit(visit, reply));
            return Ok(());
        }
        match decided {
            Ok(Decided { visited, applied: Some(applied) }) => {
                let outcome = self.take_in(applied);
                for ino in outcome.orphaned {
                    self.purge_soon(myself, ino, !self.members.is_empty()).await?;
                }
                self.when_durable(myself, Durably::Visited(reply, visited));
            }
            Ok(Decided { visited, applied: None }) => {
                if let (Visit::Find { opens: true, .. }, Visited::Found(attr)) = (&visit, &visited)
                    && attr.kind == FileKind::File
                {
                    self.visitors.enter(attr.ino);
                    self.open.open(OUTSIDE, attr.ino);
                }
                let _ = reply.send(Ok(visited));
            }
            Err(error) => drop(reply.send(Err(error))),
        }
        Ok(())
    }

    /// A visitor needs a file no more.
    pub(super) async fn leave(&mut self, myself: &ActorRef<WorkspaceMessage>, ino: Ino) -> Result<(), StoreError> {
        if self.visitors.leave(ino) && self.open.close(OUTSIDE, ino) {
            self.purge_if_orphan(myself, ino).await?;
        }
        Ok(())
    }

    async fn decide(&mut self, visit: &Visit) -> Result<Decided, VisitError> {
        let (limits, time) = (self.limits.clone(), (self.context.clock.wall().unix_ms() as i64).saturating_mul(1_000_000));
        let change = match visit {
            Visit::Put(new) => {
                // One for each directory that may be missing, and one for the file.
                let first = self.own_inodes(1 + new.target.path.len() as u64).await?;
                for (segment, len) in &new.segments {
                    self.layers.know_segment(*segment, *len);
                }
                let change = self.layers.ask(|view| put(view, &limits, new, first, time)).await;
                if change.is_ok() {
                    // Also if it has to wait: numbers are not scarce.
                    self.own_inodes.start = first.0 + 1 + new.target.path.len() as u64;
                }
                change
            }
            Visit::Remove { target, condition, recursive } => {
                self.layers.ask(|view| remove(view, &limits, target, condition, *recursive, time)).await
            }
            Visit::Move { from, to, overwrite } => self.layers.ask(|view| rename(view, &limits, from, to, *overwrite, time)).await,
            Visit::Find { target, opens } => {
                if *opens && self.open.count(OUTSIDE) >= OPEN_MAX {
                    return Err(VisitError::Refused(Errno::EAGAIN));
                }
                self.layers.ask(|view| find(view, target).map(seen)).await
            }
            Visit::Pieces { ino, offset, len } => {
                let pieces = self.layers.ask(|view| namespace::pieces(view, *ino, *offset, *len, PIECES_MAX)).await;
                pieces.map(|(attr, pieces)| seen(Visited::Pieces { attr, more: pieces.len() == PIECES_MAX, pieces }))
            }
            Visit::List { target, after, recursive, limit } => {
                let list = |view: &super::layers::LayeredView<'_>| {
                    let place = walk(view, root(view, target)?, &target.path, true)?;
                    let dir = place.attr.ok_or(Errno::ENOENT)?.ino;
                    namespace::list(view, dir, after, *recursive, *limit)
                };
                self.layers.ask(list).await.map(|listed| seen(Visited::Listed(listed)))
            }
            Visit::Freeze { .. } => return Err(VisitError::Refused(Errno::EINVAL)),
        };
        match change {
            Ok(Ok(decided)) => Ok(decided),
            Ok(Err(())) => Err(VisitError::Unmet),
            Err(Failure::Refused(errno)) => Err(VisitError::Refused(errno)),
            Err(Failure::Store(error)) => Err(VisitError::Store(error)),
        }
    }

    /// Inode numbers of the node's own, durably nobody else's.
    async fn own_inodes(&mut self, count: u64) -> Result<Ino, StoreError> {
        if self.own_inodes.end.saturating_sub(self.own_inodes.start) < count {
            let range = self.reserve_inodes().await?;
            self.own_inodes = range.first..range.first + range.count;
        }
        Ok(Ino(self.own_inodes.start))
    }

    /// A snapshot holds what calls on mounts had returned before: so who decides by itself sends that first. What is decided
    /// since need not be in it; ops come in each mount's order, so a snapshot never holds one without those before it.
    fn freeze(&mut self, myself: &ActorRef<WorkspaceMessage>, is_settled: bool, reply: VisitReply) {
        let wants = Wants { reads: self.inode_leases.table.decided(), ..Wants::default() };
        if !is_settled && !self.inode_leases.table.is_free(OUTSIDE, &wants) {
            self.wait_for_inodes(myself, OUTSIDE, wants, WorkspaceMessage::Visit(Visit::Freeze { is_settled: true }, reply));
            return;
        }
        self.when_durable(myself, Durably::Frozen(reply));
    }
}

fn seen(visited: Visited) -> Change {
    Ok(Decided { visited, applied: None })
}

fn root(view: &impl View, target: &Target) -> Result<Ino, Stop> {
    let mut at = Ino::ROOT;
    for name in &target.root {
        at = namespace::lookup(view, at, name)?.ino;
    }
    Ok(at)
}

fn find(view: &impl View, target: &Target) -> Result<Visited, Stop> {
    let place = walk(view, root(view, target)?, &target.path, true)?;
    Ok(Visited::Found(place.attr.ok_or(Errno::ENOENT)?))
}

/// The new file is made beside the old one and takes its name: whoever reads the old one goes on with that.
fn put(view: &impl View, limits: &Limits, new: &NewFile, first: Ino, time: Nanos) -> Result<Change, Stop> {
    let scope = root(view, &new.target)?;
    let place = walk(view, scope, &new.target.path, true)?;
    if !new.condition.holds(place.attr.as_ref()) {
        return Ok(Err(()));
    }
    let name = place.name.ok_or(Errno::EISDIR)?;
    match place.attr.as_ref().map(|attr| attr.kind) {
        None | Some(FileKind::File) => {}
        Some(FileKind::Directory) => return Err(Errno::EISDIR.into()),
        Some(_) => return Err(Errno::EINVAL.into()),
    }
    // A link may lead to a place further down than there are numbers for.
    if place.missing.len() > new.target.path.len() || (!place.missing.is_empty() && !new.makes_parents) {
        return Err(Errno::ENOENT.into());
    }
    let owner = match &place.attr {
        Some(replaced) => replaced.clone(),
        None => namespace::attr(view, place.dir)?,
    };
    let (uid, gid) = (owner.uid, owner.gid);
    let mut ops = Vec::new();
    let mut op = |mutation| ops.push(Op { mutation, time });
    let (mut dir, mut ino) = (place.dir, first);
    for name in place.missing {
        op(Mutation::Create { parent: dir, name, ino, node: NewNode::Directory, mode: 0o755, umask: 0, uid, gid });
        (dir, ino) = (ino, Ino(ino.0 + 1));
    }
    let mode = new.mode.or(place.attr.as_ref().map(|replaced| replaced.mode & 0o777)).unwrap_or(0o644);
    let made_as = if place.attr.is_some() { Name::new(format!(".artifacts-put-{}", ino.0))? } else { name.clone() };
    op(Mutation::Create { parent: dir, name: made_as.clone(), ino, node: NewNode::File, mode, umask: 0, uid, gid });
    if !new.extents.is_empty() {
        op(Mutation::Write { ino, position: Position::At(0), extents: new.extents.clone(), kill_privileges: false });
    }
    if place.attr.is_some() {
        op(Mutation::Rename { parent: dir, name: made_as, new_parent: dir, new_name: name, mode: RenameMode::Replace });
    }
    let applied = namespace::apply_all(view, &Context { scope, limits: limits.clone() }, &ops)?;
    let made = applied.changes.get(&Key::Inode(ino)).cloned().flatten();
    let Some(namespace::Record::Inode(made)) = made else { return Err(Errno::EIO.into()) };
    Ok(Ok(Decided { visited: Visited::Put { attr: made.attr, is_new: place.attr.is_none() }, applied: Some(applied) }))
}

fn remove(view: &impl View, limits: &Limits, target: &Target, condition: &Condition, recursive: bool, time: Nanos) -> Result<Change, Stop> {
    let scope = root(view, target)?;
    let place = walk(view, scope, &target.path, false)?;
    let attr = place.attr.ok_or(Errno::ENOENT)?;
    if !condition.holds(Some(&attr)) {
        return Ok(Err(()));
    }
    let name = place.name.ok_or(Errno::EBUSY)?;
    let removals = match attr.kind {
        FileKind::Directory if recursive => namespace::prune(view, place.dir, &name, attr.ino, REMOVED_AT_ONCE)?,
        FileKind::Directory => vec![Mutation::RemoveDir { parent: place.dir, name: name.clone() }],
        _ => vec![Mutation::Unlink { parent: place.dir, name: name.clone() }],
    };
    let ops: Vec<Op> = removals.into_iter().map(|mutation| Op { mutation, time }).collect();
    let applied = namespace::apply_all(view, &Context { scope, limits: limits.clone() }, &ops)?;
    let more = applied.changes.get(&Key::Dentry(place.dir, name)) != Some(&None);
    Ok(Ok(Decided { visited: Visited::Removed { more }, applied: Some(applied) }))
}

fn rename(view: &impl View, limits: &Limits, from: &Target, to: &Target, overwrite: bool, time: Nanos) -> Result<Change, Stop> {
    let scope = root(view, from)?;
    let (from, to) = (walk(view, scope, &from.path, false)?, walk(view, scope, &to.path, false)?);
    let attr = from.attr.filter(|_| to.missing.is_empty()).ok_or(Errno::ENOENT)?;
    let mutation = Mutation::Rename {
        parent: from.dir,
        name: from.name.ok_or(Errno::EBUSY)?,
        new_parent: to.dir,
        new_name: to.name.ok_or(Errno::EBUSY)?,
        mode: if overwrite { RenameMode::Replace } else { RenameMode::NoReplace },
    };
    let applied = namespace::apply_all(view, &Context { scope, limits: limits.clone() }, &[Op { mutation, time }])?;
    let attr = match applied.changes.get(&Key::Inode(attr.ino)) {
        Some(Some(namespace::Record::Inode(moved))) => moved.attr.clone(),
        _ => attr,
    };
    Ok(Ok(Decided { visited: Visited::Moved(attr), applied: Some(applied) }))
}
