use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context as _, Result};
use artifacts_tests::crash::Random;
use artifacts_tests::time::{Duration, monotonic_ns, sleep};
use artifacts_tests::{Api, Reply};
use serde_json::{Value, json};

use crate::turns::Turn;

/// How many clients take turns with one lock.
pub(crate) const CLIENTS: usize = 4;
const TTL_MS: u64 = 5_000;
const WAIT_MS: u64 = 1_000;
const PAUSE: Duration = Duration::from_millis(20);

/// A client of the API that takes turns with a named lock with others. It calls any node.
pub(crate) struct Client<'a> {
    number: u16,
    nodes: Vec<Api>,
    path: String,
    stop: &'a AtomicBool,
    random: Random,
    done: Named,
}

/// What came of it.
#[derive(Debug, Default)]
pub(crate) struct Named {
    pub(crate) turns: Vec<Turn>,
    /// Locks that were refused to their holder before their time was over.
    pub(crate) lost_early: Vec<String>,
    /// Calls without a good answer.
    pub(crate) failed: usize,
}

impl<'a> Client<'a> {
    pub(crate) fn new(number: u16, nodes: Vec<Api>, workspace: &str, stop: &'a AtomicBool, seed: u64) -> Self {
        let path = format!("/v1/workspaces/{workspace}/locks/turns");
        Self { number, nodes, path, stop, random: Random::new(seed), done: Named::default() }
    }

    /// Works until it is stopped.
    pub(crate) fn run(mut self) -> Result<Named> {
        while !self.stop.load(Ordering::SeqCst) {
            self.take_turn()?;
            sleep(PAUSE);
        }
        Ok(self.done)
    }

    fn take_turn(&mut self) -> Result<()> {
        let asked_ns = monotonic_ns();
        let wish = json!({ "mode": "exclusive", "ttl_ms": TTL_MS, "wait_ms": WAIT_MS });
        let Some(reply) = self.call("acquire", &wish) else { return Ok(()) };
        if reply.status != 200 {
            self.done.failed += usize::from(reply.code() != "lock_held");
            return Ok(());
        }
        let granted_ns = monotonic_ns();
        let token = reply.body["fencing_token"].as_u64().context("fencing_token")?;
        let lock = json!({ "lock_id": reply.body["lock_id"] });
        let mut over_ns = asked_ns + TTL_MS * 1_000_000;
        sleep(Duration::from_millis(self.random.below(40)));
        if self.random.below(3) == 0 {
            over_ns = self.renew(&lock, over_ns)?;
            sleep(Duration::from_millis(self.random.below(20)));
        }
        let released_ns = monotonic_ns();
        if let Some(reply) = self.call("release", &lock) {
            self.judge("release", &lock, &reply, (released_ns, over_ns));
        }
        let until_ns = released_ns.min(over_ns);
        // One that came when its time was over was never held.
        if until_ns > granted_ns {
            self.done.turns.push(Turn { holder: self.number, granted_ns, until_ns, told_ns: None, number: Some(token) });
        }
        Ok(())
    }

    /// Answers until when the lock is held then.
    fn renew(&mut self, lock: &Value, over_ns: u64) -> Result<u64> {
        let asked_ns = monotonic_ns();
        let body = json!({ "lock_id": lock["lock_id"], "ttl_ms": TTL_MS });
        Ok(match self.call("renew", &body) {
            Some(reply) if reply.status == 200 => asked_ns + TTL_MS * 1_000_000,
            Some(reply) => {
                self.judge("renew", lock, &reply, (asked_ns, over_ns));
                over_ns
            }
            None => over_ns,
        })
    }

    /// A lock that is refused to its holder has to be over.
    fn judge(&mut self, what: &str, lock: &Value, reply: &Reply, (asked_ns, over_ns): (u64, u64)) {
        let answered_ns = monotonic_ns();
        if reply.code() == "stale_token" && answered_ns < over_ns {
            let (took_ms, left_ms) = ((answered_ns - asked_ns) / 1_000_000, (over_ns - answered_ns) / 1_000_000);
            let said = format!("client {}: {what} of {lock} after {took_ms} ms, {left_ms} ms before its end: {}", self.number, reply.text);
            self.done.lost_early.push(said);
        } else {
            self.done.failed += usize::from(reply.status >= 300);
        }
    }

    fn call(&mut self, what: &str, body: &Value) -> Option<Reply> {
        let api = &self.nodes[self.random.below(self.nodes.len() as u64) as usize];
        let reply = api.send("POST", &format!("{}/{what}", self.path), Some(body));
        self.done.failed += usize::from(reply.is_err());
        reply.ok()
    }
}
