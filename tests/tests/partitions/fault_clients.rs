use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use anyhow::Result;
use artifacts_tests::time::{Duration, now, sleep};
use artifacts_tests::{Api, Reply};
use serde_json::json;

use crate::fixture::Home;

const PAUSE: Duration = Duration::from_millis(200);
/// What a message must name that says why.
const CAUSE: &str = "object store";

/// A client that reads, changes and locks something, again and again, for as long as this lives.
pub(crate) struct Caller {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Called>,
}

/// What it was answered.
#[derive(Debug, Default)]
pub(crate) struct Called {
    /// Calls that succeeded.
    pub(crate) answered: usize,
    /// Calls that were answered `unavailable`, as they should be: with the cause and the time to come back.
    pub(crate) unavailable: usize,
    /// Everything else.
    pub(crate) unclear: Vec<String>,
    /// How long the longest took.
    pub(crate) longest: Duration,
}

impl Caller {
    /// Starts one.
    pub(crate) fn start(api: Api, home: &Home) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let (stopped, workspace) = (Arc::clone(&stop), home.workspace.clone());
        let thread = std::thread::spawn(move || {
            let mut called = Called::default();
            for number in 0.. {
                if stopped.load(Ordering::SeqCst) {
                    break;
                }
                let start = now();
                let reply = match number % 3 {
                    0 => api.send("GET", &format!("/v1/workspaces/{workspace}"), None),
                    1 => api.send("POST", "/v1/api-keys", Some(&json!({ "name": format!("k{number}") }))),
                    _ => api.send(
                        "POST",
                        &format!("/v1/workspaces/{workspace}/locks/l{number}/acquire"),
                        Some(&json!({ "mode": "exclusive", "ttl_ms": 1_000 })),
                    ),
                };
                called.note(number, reply);
                called.longest = called.longest.max(start.elapsed());
                sleep(PAUSE);
            }
            called
        });
        Self { stop, thread }
    }

    /// Ends it.
    pub(crate) fn stop(self) -> Result<Called> {
        self.stop.store(true, Ordering::SeqCst);
        self.thread.join().map_err(|_| anyhow::anyhow!("the caller panicked"))
    }
}

impl Called {
    fn note(&mut self, number: usize, reply: Result<Reply>) {
        match reply {
            Ok(reply) if reply.status < 300 => self.answered += 1,
            // Of three clients that lock the same name one gets it.
            Ok(reply) if reply.code() == "lock_held" => self.answered += 1,
            Ok(reply) if says_why(&reply) => self.unavailable += 1,
            other => self.unclear.push(format!("call {number}: {other:?}")),
        }
    }

    /// The sum.
    pub(crate) fn and(mut self, mut other: Self) -> Self {
        self.unclear.append(&mut other.unclear);
        Self {
            answered: self.answered + other.answered,
            unavailable: self.unavailable + other.unavailable,
            unclear: self.unclear,
            longest: self.longest.max(other.longest),
        }
    }
}

fn says_why(reply: &Reply) -> bool {
    let comes_back = reply.retry_after.as_ref().is_some_and(|seconds| seconds.parse::<u32>().is_ok_and(|seconds| seconds > 0));
    reply.status == 503 && reply.code() == "unavailable" && comes_back && reply.body["message"].to_string().contains(CAUSE)
}

impl fmt::Display for Called {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { answered, unavailable, unclear, longest } = self;
        write!(f, "calls: {answered} answered, {unavailable} unavailable, {} unclear, the longest took {longest:?}", unclear.len())
    }
}
