//! How often a call that met a busy node is made again, and after how long.

use std::time::Duration;

/// How often a call is made at most.
const ATTEMPTS: u32 = 5;
/// The first pause where the node names none; each later one is twice as long.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
/// A node that asks for more than this is not waited for: the caller is told instead.
const LONGEST_PAUSE: Duration = Duration::from_secs(20);

/// How long to wait before attempt number `made + 1`, given that `made` have met `status`; `None` to give up.
pub(super) fn pause(made: u32, status: u16, retry_after: Option<&str>) -> Option<Duration> {
    if made >= ATTEMPTS || !matches!(status, 429 | 503) {
        return None;
    }
    let asked = retry_after.and_then(|seconds| seconds.trim().parse().ok()).map(Duration::from_secs);
    let pause = asked.unwrap_or(FIRST_PAUSE * 2u32.pow(made.saturating_sub(1)));
    (pause <= LONGEST_PAUSE).then_some(pause)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_busy_node_is_asked_again_and_as_late_as_it_says() {
        assert_eq!(pause(1, 503, None), Some(Duration::from_millis(250)));
        assert_eq!(pause(3, 429, None), Some(Duration::from_secs(1)));
        assert_eq!(pause(1, 429, Some("2")), Some(Duration::from_secs(2)));
        assert_eq!(pause(1, 429, Some("0")), Some(Duration::ZERO));
        assert_eq!(pause(1, 503, Some("3600")), None);
        assert_eq!(pause(5, 503, None), None);
        assert_eq!(pause(1, 500, Some("1")), None);
    }
}
