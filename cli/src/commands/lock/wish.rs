use std::str::FromStr;
use std::time::{Duration, Instant};

use artifacts_core::name::LockName;
use clap::Args;
use serde_json::{Value, json};

use super::access::Locks;
use crate::api::{ApiError, HeldLock, fields};
use crate::time;
use crate::ttl::Ttl;

/// The longest wait that the API takes at a time.
const WAIT_AT_A_TIME: Duration = Duration::from_secs(3600);
/// How long to wait before a node that does not answer is asked again.
const ASK_AGAIN: Duration = Duration::from_secs(1);
/// A refusal that comes so much earlier than asked is not for want of time.
const AT_ONCE: Duration = Duration::from_secs(1);

/// The lock that is wanted, and how.
#[derive(Debug, Args)]
pub(crate) struct WishArgs {
    /// The lock's name
    #[arg(value_name = "NAME")]
    pub(crate) lock: LockName,
    /// Share it with others who share it
    #[arg(long, conflicts_with = "permits")]
    shared: bool,
    /// Make it a semaphore that so many may hold at a time
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    permits: Option<u32>,
    /// A word for people who look at the list
    #[arg(long, value_name = "TEXT")]
    note: Option<String>,
    /// Who it is for; a wait that would never end is refused between those who say so
    #[arg(long, value_name = "NAME")]
    owner: Option<String>,
}

impl WishArgs {
    fn body(&self, ttl: Ttl, wait: Duration) -> Value {
        let mode = match (self.shared, self.permits) {
            (true, _) => "shared",
            (false, Some(_)) => "semaphore",
            (false, None) => "exclusive",
        };
        fields([
            ("mode", Some(json!(mode))),
            ("permits", self.permits.map(|permits| json!(permits))),
            ("ttl_ms", Some(json!(ttl_ms(ttl)))),
            ("wait_ms", Some(json!(wait.as_millis() as u64))),
            ("note", self.note.as_ref().map(|note| json!(note))),
            ("owner", self.owner.as_ref().map(|owner| json!(owner))),
        ])
    }

    /// Acquires it, waiting for as long as is said. Answers when the request that got it was sent, too: the lock's time
    /// runs from then on, or from later if it was waited for.
    ///
    /// # Errors
    /// The API's.
    pub(crate) async fn acquire(&self, locks: &Locks, ttl: Ttl, wait: Wait) -> Result<(HeldLock, Instant), ApiError> {
        let began = time::now();
        loop {
            let left = wait.0.map_or(WAIT_AT_A_TIME, |wait| wait.saturating_sub(began.elapsed()).min(WAIT_AT_A_TIME));
            let sent = time::now();
            let body = self.body(ttl, left);
            let error = match locks.client.acquire_lock(&locks.workspace, self.lock.as_str(), &body, left).await {
                Ok(held) => return Ok((held, sent)),
                Err(error) => error,
            };
            let over = wait.0.is_some_and(|wait| began.elapsed() >= wait);
            match &error {
                _ if over => return Err(error),
                ApiError::Answer { code, .. } if code == "lock_held" && sent.elapsed() + AT_ONCE >= left => {}
                ApiError::Unreachable { .. } => time::sleep(ASK_AGAIN).await,
                ApiError::Answer { code, .. } if code == "unavailable" => time::sleep(ASK_AGAIN).await,
                _ => return Err(error),
            }
        }
    }
}

/// How long to wait for a lock; without an end if absent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Wait(Option<Duration>);

impl Wait {
    /// Until it is there.
    pub(crate) const FOR_EVER: Self = Self(None);
    /// Not at all.
    pub(crate) const NO: Self = Self(Some(Duration::ZERO));
}

impl FromStr for Wait {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == "0" {
            return Ok(Self::NO);
        }
        Ok(Self(Some(Duration::from_secs(text.parse::<Ttl>()?.seconds()))))
    }
}

/// In milliseconds.
pub(crate) fn ttl_ms(ttl: Ttl) -> u64 {
    ttl.seconds().saturating_mul(1000)
}
