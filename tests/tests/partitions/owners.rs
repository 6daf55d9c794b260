//! Locks on files when the owner of their workspace dies or hangs, with and without the holder's agent.

use anyhow::Result;
use artifacts_tests::time::{Duration, wait_until};
use artifacts_tests::{Credential, Mount, Scratch, mounted};

use crate::fixture::{Cluster, LIMIT, PATIENCE};
use crate::locker::Locker;

const SOON: Duration = Duration::from_secs(20);
/// Long enough to see that nobody gets what is held.
const WHILE: Duration = Duration::from_secs(1);
const FLOCK: (&str, &str) = ("flock(f, LOCK_EX)", "flock(f, LOCK_UN)");
const FCNTL: (&str, &str) = ("lock(f, F_WRLCK, 0, 10, wait=True)", "lock(f, F_UNLCK, 0, 10)");

/// A lock that one mount holds, and for which first the other mount waits, then another process of the same one.
struct Queue {
    how: (&'static str, &'static str),
    holder: Locker,
    first: Locker,
    second: Locker,
}

impl Queue {
    fn form(scratch: &Scratch, name: &str, how: (&'static str, &'static str), holder: &Mount, other: &Mount) -> Result<Self> {
        let locker = |mount: &Mount| Locker::with_file(scratch, mount.path(), name);
        let mut queue = Self { how, holder: locker(holder)?, first: locker(other)?, second: locker(holder)? };
        queue.holder.expect(how.0, "None")?;
        for waiter in [&mut queue.first, &mut queue.second] {
            waiter.tell(how.0)?;
            waiter.expect_waiting(Duration::from_millis(300))?;
        }
        Ok(queue)
    }

    /// It is as it was: held, and waited for.
    fn expect_held(&mut self) -> Result<()> {
        self.first.expect_waiting(WHILE)?;
        self.second.expect_waiting(Duration::ZERO)
    }

    /// They close what they have open.
    fn end(self) -> Result<()> {
        [self.holder, self.first, self.second].into_iter().try_for_each(Locker::end)
    }

    /// Everybody gets it in turn.
    fn work_off(&mut self) -> Result<()> {
        self.holder.expect(self.how.1, "None")?;
        self.first.expect_answer("None", SOON)?;
        self.second.expect_waiting(WHILE)?;
        self.first.expect(self.how.1, "None")?;
        self.second.expect_answer("None", SOON)?;
        self.second.expect(self.how.1, "None")
    }
}

/// Two mounts of a workspace whose owner is node 2, and the same two queues in either direction.
fn with_queues(name: &str, body: impl FnOnce(&mut Cluster, [Mount; 2], [Queue; 2]) -> Result<()>) -> Result<()> {
    mounted(name, LIMIT, |scratch| {
        Cluster::run(scratch, 3, |cluster| {
            let home = cluster.home(1, 2)?;
            let mount = |name: &str| Mount::new(scratch, name, &Credential::Ticket(cluster.ticket(0, &home, name)?));
            let (one, other) = (mount("one")?, mount("other")?);
            let flocks = Queue::form(scratch, "flock", FLOCK, &one, &other)?;
            let fcntls = Queue::form(scratch, "fcntl", FCNTL, &other, &one)?;
            body(cluster, [one, other], [flocks, fcntls])
        })
    })
}

/// "agents reconnect, … reclaim leases and locks": who lives keeps what it holds, and who waits its place.
#[test]
fn locks_and_queues_outlive_an_owner_that_is_killed() -> Result<()> {
    with_queues("locks-kill", |cluster, mounts, mut queues| {
        cluster.nodes[2].kill()?;
        cluster.wait_settled(&[0, 1])?;
        queues.iter_mut().try_for_each(Queue::expect_held)?;
        cluster.nodes[2].start_again()?;
        cluster.wait_settled(&[0, 1, 2])?;
        queues.iter_mut().try_for_each(Queue::expect_held)?;
        queues.iter_mut().try_for_each(Queue::work_off)?;
        finish(mounts, queues)
    })
}

/// An owner that hangs, is replaced, and thaws while others hold and wait at the new one.
#[test]
fn locks_and_queues_outlive_an_owner_that_hangs_and_thaws() -> Result<()> {
    with_queues("locks-freeze", |cluster, mounts, mut queues| {
        cluster.nodes[2].freeze()?;
        cluster.wait_settled(&[0, 1])?;
        queues.iter_mut().try_for_each(Queue::expect_held)?;
        // While the old owner still believes, one lock changes hands at the new one.
        queues[0].holder.expect(FLOCK.1, "None")?;
        queues[0].first.expect_answer("None", SOON)?;
        cluster.nodes[2].thaw()?;
        queues[0].second.expect_waiting(Duration::from_secs(3))?;
        cluster.wait_settled(&[0, 1, 2])?;
        queues[0].second.expect_waiting(WHILE)?;
        queues[0].first.expect(FLOCK.1, "None")?;
        queues[0].second.expect_answer("None", SOON)?;
        queues[1].expect_held()?;
        queues[1].work_off()?;
        finish(mounts, queues)
    })
}

/// The holder's agent is lost with the owner: its lock passes when its lease is over; all that the other holds stays.
#[test]
fn the_locks_of_an_agent_that_is_lost_with_the_owner_pass_on() -> Result<()> {
    with_queues("locks-both", |cluster, [one, other], [mut flocks, mut fcntls]| {
        cluster.nodes[2].kill()?;
        one.agent_gone()?;
        flocks.first.expect_answer("None", PATIENCE)?;
        // Who waited on the lost mount for what the other holds is in nobody's way.
        fcntls.second.expect_waiting(WHILE)?;
        fcntls.holder.expect(FCNTL.1, "None")?;
        fcntls.second.expect_answer("None", SOON)?;
        flocks.first.expect(FLOCK.1, "None")?;
        flocks.first.expect("flock(f, LOCK_EX | LOCK_NB)", "None")?;
        for lost in [&mut flocks.holder, &mut flocks.second, &mut fcntls.first] {
            wait_until("processes of the lost mount hear of it", SOON, || {
                let said = lost.ask("os.fstat(f)").unwrap_or_default();
                Ok(["ENOTCONN", "ECONNABORTED", "EIO"].iter().any(|error| said.contains(error)))
            })?;
        }
        cluster.wait_settled(&[0, 1])?;
        one.tear_down()?;
        [flocks, fcntls].into_iter().try_for_each(Queue::end)?;
        other.unmount()
    })
}

fn finish([one, other]: [Mount; 2], queues: [Queue; 2]) -> Result<()> {
    queues.into_iter().try_for_each(Queue::end)?;
    one.unmount()?;
    other.unmount()
}
