use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Arc;

use parking_lot::Mutex;
use ractor::{Actor, ActorCell, ActorId, ActorProcessingErr, ActorRef, Message, SpawnErr, SupervisionEvent};

/// What to do when a member has stopped or panicked; the flag says which.
type OnExit = Arc<dyn Fn(ActorId, bool) + Send + Sync>;

/// Watches all actors of one [`Family`].
pub struct Supervisor {
    family: &'static str,
}

impl Actor for Supervisor {
    type Msg = ();
    type State = OnExit;
    type Arguments = OnExit;

    async fn pre_start(&self, _: ActorRef<()>, on_exit: OnExit) -> Result<OnExit, ActorProcessingErr> {
        Ok(on_exit)
    }

    async fn handle_supervisor_evt(
        &self,
        _: ActorRef<()>,
        event: SupervisionEvent,
        on_exit: &mut OnExit,
    ) -> Result<(), ActorProcessingErr> {
        match event {
            SupervisionEvent::ActorFailed(who, error) => {
                tracing::error!(family = self.family, actor = %who.get_id(), %error, "an actor failed; it starts anew when next needed");
                metrics::counter!("artifacts_actor_failures_total", "family" => self.family).increment(1);
                on_exit(who.get_id(), true);
            }
            SupervisionEvent::ActorTerminated(who, ..) => on_exit(who.get_id(), false),
            _ => {}
        }
        Ok(())
    }
}

/// The actors of one kind, by what they own. At most one lives for a key.
pub struct Family<K, M: Message> {
    supervisor: ActorCell,
    members: Arc<Mutex<HashMap<K, ActorRef<M>>>>,
    starting: tokio::sync::Mutex<()>,
}

impl<K: Hash + Eq + Clone + Send + Sync + 'static, M: Message> Family<K, M> {
    /// Starts the family's supervisor. `on_failure` hears the key of each member that panicked, after it has been
    /// forgotten.
    ///
    /// # Errors
    /// Only if the runtime is shutting down.
    pub async fn start(name: &'static str, on_failure: impl Fn(K) + Send + Sync + 'static) -> Result<Self, SpawnErr> {
        let members: Arc<Mutex<HashMap<K, ActorRef<M>>>> = Arc::default();
        let known = members.clone();
        let on_exit: OnExit = Arc::new(move |id, failed| {
            let mut members = known.lock();
            let key = members.iter().find(|(_, member)| member.get_id() == id).map(|(key, _)| key.clone());
            if let Some(key) = key {
                members.remove(&key);
                drop(members);
                if failed {
                    on_failure(key);
                }
            }
        });
        // From the start, or the first failure would be no change.
        metrics::counter!("artifacts_actor_failures_total", "family" => name).increment(0);
        let (supervisor, _) = Actor::spawn(None, Supervisor { family: name }, on_exit).await?;
        Ok(Self { supervisor: supervisor.get_cell(), members, starting: tokio::sync::Mutex::new(()) })
    }

    /// The member for `key`, if it lives.
    pub fn get(&self, key: &K) -> Option<ActorRef<M>> {
        self.members.lock().get(key).cloned()
    }

    /// All members that live.
    pub fn all(&self) -> Vec<(K, ActorRef<M>)> {
        self.members.lock().iter().map(|(key, member)| (key.clone(), member.clone())).collect()
    }

    /// The member for `key`, started with `actor` and `arguments` if it does not live.
    ///
    /// # Errors
    /// What the actor's `pre_start` answered.
    pub async fn get_or_start<A>(&self, key: K, actor: A, arguments: A::Arguments) -> Result<ActorRef<M>, SpawnErr>
    where
        A: Actor<Msg = M>,
    {
        if let Some(member) = self.get(&key) {
            return Ok(member);
        }
        let _one_at_a_time = self.starting.lock().await;
        if let Some(member) = self.get(&key) {
            return Ok(member);
        }
        let (member, _) = Actor::spawn_linked(None, actor, arguments, self.supervisor.clone()).await?;
        self.members.lock().insert(key, member.clone());
        Ok(member)
    }

    /// Forgets a member that is about to stop by itself.
    pub fn forget(&self, key: &K) {
        self.members.lock().remove(key);
    }

    /// Stops every member, each after the message it is at, and waits for them.
    pub async fn stop(&self) {
        for (_, member) in self.all() {
            let _ = member.stop_and_wait(None, None).await;
        }
        self.supervisor.stop(None);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Counter;

    impl Actor for Counter {
        type Msg = u32;
        type State = u32;
        type Arguments = u32;

        async fn pre_start(&self, _: ActorRef<u32>, start: u32) -> Result<u32, ActorProcessingErr> {
            Ok(start)
        }

        async fn handle(&self, _: ActorRef<u32>, message: u32, state: &mut u32) -> Result<(), ActorProcessingErr> {
            assert_ne!(message, 0, "planted");
            *state += message;
            Ok(())
        }
    }

    #[tokio::test]
    async fn a_member_that_panics_is_forgotten_and_reported() {
        let (failed, mut failures) = tokio::sync::mpsc::unbounded_channel();
        let family: Family<&str, u32> = Family::start("test", move |key| failed.send(key).unwrap()).await.unwrap();
        let first = family.get_or_start("a", Counter, 0).await.unwrap();
        let again = family.get_or_start("a", Counter, 0).await.unwrap();
        assert_eq!(first.get_id(), again.get_id());
        first.cast(0).unwrap();
        assert_eq!(failures.recv().await, Some("a"));
        assert!(family.get(&"a").is_none());
        let new = family.get_or_start("a", Counter, 0).await.unwrap();
        assert_ne!(new.get_id(), first.get_id());
        family.stop().await;
        assert!(family.all().is_empty() || family.get(&"a").is_none());
    }
}
