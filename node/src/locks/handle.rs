use std::sync::Arc;
use std::time::Duration;

use artifacts_core::LockId;
use ractor::{ActorRef, RpcReplyPort};
use tokio::sync::{broadcast, oneshot};

use super::event::{EventId, LockEvent, Resumed};
use super::files::FileMessage;
use super::message::{Acquire, AcquireRefusal, Lease, LockMessage, Lost, Which, Wish};
use super::view::LockView;
use crate::random::SharedEntropy;
use crate::server::Shutdown;
use crate::store::StoreError;

/// The locks of one workspace. Cheap to clone; as long as one exists their actor lives.
#[derive(Clone)]
pub struct LockHandle {
    actor: ActorRef<LockMessage>,
    _usage: Arc<()>,
    entropy: SharedEntropy,
    closing: Shutdown,
}

/// A named lock that is being acquired or has just been. Dropped before it is [kept](Claim::keep), nobody is there for the
/// lock, and it goes to the next.
pub struct Claim {
    lock: LockId,
    actor: Option<ActorRef<LockMessage>>,
}

impl Claim {
    /// Whoever wanted the lock has it.
    pub fn keep(mut self) {
        self.actor = None;
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        if let Some(actor) = self.actor.take() {
            let _ = actor.cast(LockMessage::GiveUp(self.lock));
        }
    }
}

impl LockHandle {
    pub(super) fn new(actor: ActorRef<LockMessage>, usage: Arc<()>, entropy: SharedEntropy, closing: Shutdown) -> Self {
        Self { actor, _usage: usage, entropy, closing }
    }

    /// Acquires a named lock, waiting up to `wait` if the wish says so. The lock is given back unless the claim is kept.
    ///
    /// # Errors
    /// [`AcquireRefusal`] inside, and when the actor has failed or the node is stopping.
    pub async fn acquire(&self, wish: Wish, wait: Duration) -> Result<Result<(Lease, Claim), AcquireRefusal>, StoreError> {
        let lock = self.entropy.id();
        let (reply, mut answer) = oneshot::channel();
        let claim = Claim { lock, actor: Some(self.actor.clone()) };
        let waits = wish.wait;
        self.tell(LockMessage::Acquire(Box::new(Acquire { lock, wish, reply })))?;
        let answered = tokio::select! {
            biased;
            answered = &mut answer => Some(answered),
            () = self.closing.started() => return Err(StoreError::Closed),
            () = crate::time::pause(wait), if waits => None,
        };
        let answered = match answered {
            Some(answered) => answered.map_err(|_| stopped())?,
            None => match self.ask(|reply| LockMessage::Withdraw(lock, reply)).await? {
                Some(refusal) => Err(refusal),
                // Granted at the last moment.
                None => answer.await.map_err(|_| stopped())?,
            },
        };
        match answered {
            Ok(lease) => Ok(Ok((lease, claim))),
            Err(refusal) => {
                claim.keep();
                Ok(Err(refusal))
            }
        }
    }

    /// Extends a named lock to `ttl_ms` from now.
    ///
    /// # Errors
    /// [`Lost`] inside, and when the actor has failed.
    pub async fn renew(&self, which: Which, ttl_ms: u64) -> Result<Result<Lease, Lost>, StoreError> {
        self.ask(|reply| LockMessage::Renew { which, ttl_ms, reply }).await
    }

    /// Gives a named lock back.
    ///
    /// # Errors
    /// As for [`LockHandle::renew`].
    pub async fn release(&self, which: Which) -> Result<Result<(), Lost>, StoreError> {
        self.ask(|reply| LockMessage::Release { which, reply }).await
    }

    /// Everything that is locked or waited for, in the order of resources.
    ///
    /// # Errors
    /// When the actor has failed; so for all below.
    pub async fn list(&self) -> Result<Vec<LockView>, StoreError> {
        self.ask(LockMessage::List).await
    }

    /// The events of named locks from now on, and those since `after` if they are remembered.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn subscribe(&self, after: Option<EventId>) -> Result<(Resumed, broadcast::Receiver<Arc<LockEvent>>), StoreError> {
        let subscription = self.ask(|reply| LockMessage::Subscribe(after, reply)).await?;
        Ok((subscription.resumed, subscription.events))
    }

    /// Waits until the node is to stop.
    pub async fn closing(&self) {
        self.closing.started().await;
    }

    /// What a mount says about its locks on files.
    ///
    /// # Errors
    /// [`StoreError`].
    pub(crate) fn file(&self, message: FileMessage) -> Result<(), StoreError> {
        self.tell(LockMessage::File(message))
    }

    fn tell(&self, message: LockMessage) -> Result<(), StoreError> {
        self.actor.cast(message).map_err(|_| stopped())
    }

    async fn ask<T: Send + 'static>(&self, message: impl FnOnce(RpcReplyPort<T>) -> LockMessage) -> Result<T, StoreError> {
        match self.actor.call(message, None).await {
            Ok(ractor::rpc::CallResult::Success(answer)) => Ok(answer),
            _ => Err(stopped()),
        }
    }
}

fn stopped() -> StoreError {
    StoreError::Unavailable { reason: "the actor has stopped".to_owned() }
}
