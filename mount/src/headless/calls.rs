use std::sync::Arc;

use artifacts_core::namespace::{Attr, Errno, Extent, Ino, Mutation, Name, NewNode, Outcome, Position};
use artifacts_core::protocol::{Answer, Request};
use bytes::Bytes;
use tokio::sync::oneshot;

use super::HeadlessMount;
use crate::data::ReadRange;
use crate::gate::Holds;

/// The longest write; the kernel makes none that is longer.
const WRITE_MAX_BYTES: usize = 1 << 20;

/// The calls: each as the system call of its name.
impl HeadlessMount {
    /// Finds a name.
    ///
    /// # Errors
    /// Those of stat(2).
    pub async fn lookup(&self, parent: Ino, name: Name) -> Result<Attr, Errno> {
        self.passing(async { attr_of(self.session.answer(Request::Lookup { parent, name }).await?) }).await
    }

    /// The attributes of an inode.
    ///
    /// # Errors
    /// Those of fstat(2).
    pub async fn attr(&self, ino: Ino) -> Result<Attr, Errno> {
        self.passing(async { attr_of(self.session.answer(Request::Attr { ino }).await?) }).await
    }

    /// Makes a directory.
    ///
    /// # Errors
    /// Those of mkdir(2).
    pub async fn make_directory(&self, parent: Ino, name: Name) -> Result<Ino, Errno> {
        self.passing(async {
            let ino = self.number().await?;
            self.commit(create(parent, name, ino, NewNode::Directory)).await?;
            Ok(ino)
        })
        .await
    }

    /// Makes a file that was not there, and opens it.
    ///
    /// # Errors
    /// Those of open(2) with `O_CREAT` and `O_EXCL`.
    pub async fn create(&self, parent: Ino, name: Name) -> Result<Ino, Errno> {
        self.passing(async {
            let ino = self.number().await?;
            self.room().await;
            let ((created, is_created), (opened, is_opened)) = (oneshot::channel(), oneshot::channel());
            // They leave together, as the kernel's creations do.
            self.session.send(|batch| {
                batch.commit(create(parent, name, ino, NewNode::File), hand_to(created));
                batch.ask(Request::Open { ino }, hand_to(opened));
            });
            let (created, opened) = (settled(is_created.await), settled(is_opened.await));
            if created.is_err() && opened.is_ok() {
                self.session.closed(ino);
            }
            created.and(opened).map(|_| ino)
        })
        .await
    }

    /// Opens an inode; it outlives its last name until it is closed.
    ///
    /// # Errors
    /// Those of open(2).
    pub async fn open(&self, ino: Ino) -> Result<Attr, Errno> {
        self.passing(async { attr_of(self.session.answer(Request::Open { ino }).await?) }).await
    }

    /// Closes what [`HeadlessMount::create`] or [`HeadlessMount::open`] has opened.
    pub fn close(&self, ino: Ino) {
        self.session.closed(ino);
    }

    /// Writes at an offset.
    ///
    /// # Errors
    /// Those of pwrite(2); EINVAL for more than a MiB at a time.
    pub async fn write(&self, ino: Ino, offset: u64, data: Bytes) -> Result<(), Errno> {
        if data.len() > WRITE_MAX_BYTES {
            return Err(Errno::EINVAL);
        }
        let extents = if data.is_empty() { Vec::new() } else { vec![Extent::inline(data)] };
        let mutation = Mutation::Write { ino, position: Position::At(offset), extents, kill_privileges: false };
        self.passing(async { self.commit(mutation).await.map(drop) }).await
    }

    /// Makes everything durable that this mount did before.
    ///
    /// # Errors
    /// Those of fsync(2).
    pub async fn fsync(&self, ino: Ino) -> Result<(), Errno> {
        self.passing(async {
            let (done, is_done) = oneshot::channel();
            self.session.send(|batch| batch.make_durable(hand_to(done)));
            settled(is_done.await)?;
            self.session.take_loss(ino).map_or(Ok(()), Err)
        })
        .await
    }

    /// Reads from an offset; shorter at the end of the file.
    ///
    /// # Errors
    /// Those of pread(2).
    pub async fn read(&self, ino: Ino, offset: u64, len: u64) -> Result<Bytes, Errno> {
        let range = ReadRange { ino, offset, len };
        self.passing(async {
            let (plan, rest) = range.plan(self.session.answer(range.request(offset)).await)?;
            range.fetch(&self.session, &self.blocks, plan, rest).await.0
        })
        .await
    }

    /// Removes a name of a file.
    ///
    /// # Errors
    /// Those of unlink(2).
    pub async fn unlink(&self, parent: Ino, name: Name) -> Result<(), Errno> {
        self.passing(async { self.commit(Mutation::Unlink { parent, name }).await.map(drop) }).await
    }

    /// Lets a call in, and its answer out.
    async fn passing<T>(&self, call: impl Future<Output = Result<T, Errno>>) -> Result<T, Errno> {
        let (entered, has_entered) = oneshot::channel();
        self.session.gate.enter(Holds::Nothing, hand_to(entered));
        settled(has_entered.await)?;
        let result = call.await;
        let (left, has_left) = oneshot::channel();
        self.session.gate.leave(Holds::Nothing, hand_to(left));
        settled(has_left.await).and(result)
    }

    async fn number(&self) -> Result<Ino, Errno> {
        let (given, is_given) = oneshot::channel();
        self.session.with_ino(hand_to(given));
        settled(is_given.await)
    }

    async fn room(&self) {
        let (made, is_made) = oneshot::channel();
        self.session.when_room(|| hand_to(made)(()));
        let _ = is_made.await;
    }

    async fn commit(&self, mutation: Mutation) -> Result<Box<Outcome>, Errno> {
        self.room().await;
        let (done, is_done) = oneshot::channel();
        Arc::clone(&self.session).commit(mutation, hand_to(done));
        settled(is_done.await)
    }
}

fn create(parent: Ino, name: Name, ino: Ino, node: NewNode) -> Mutation {
    let mode = if node == NewNode::Directory { 0o755 } else { 0o644 };
    Mutation::Create { parent, name, ino, node, mode, umask: 0, uid: 0, gid: 0 }
}

/// Hands a value on; whoever waits may have gone.
fn hand_to<T>(waiting: oneshot::Sender<T>) -> impl FnOnce(T) {
    move |value| {
        let _ = waiting.send(value);
    }
}

/// Whoever was to answer is gone: then nobody does.
fn settled<T>(answer: Result<Result<T, Errno>, oneshot::error::RecvError>) -> Result<T, Errno> {
    answer.unwrap_or(Err(Errno::EIO))
}

fn attr_of(answer: Answer) -> Result<Attr, Errno> {
    if let Answer::Attr(attr) = answer { Ok(attr) } else { Err(Errno::EIO) }
}
