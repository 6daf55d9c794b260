//! The one place where the agent draws random numbers.

use artifacts_core::SegmentId;

#[allow(clippy::disallowed_methods, clippy::expect_used, reason = "this is the wrapper; without entropy two segments could share a name")]
fn bits() -> u128 {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).expect("the kernel gives random numbers");
    u128::from_be_bytes(bytes)
}

/// Fills bytes with numbers that nobody can predict.
pub(crate) fn fill(bytes: &mut [u8]) {
    for part in bytes.chunks_mut(16) {
        part.copy_from_slice(&bits().to_ne_bytes()[..part.len()]);
    }
}

/// A number that nobody can predict.
pub(crate) fn random_u64() -> u64 {
    bits() as u64
}

/// A name for a segment that nobody else will choose.
pub(crate) fn segment_id() -> SegmentId {
    SegmentId::from_bits(bits())
}

/// Between half of `ms` and `ms`, so that many agents that lost one node do not come back in step.
pub(crate) fn jittered(ms: u64) -> u64 {
    let half = ms / 2;
    half + (bits() % u128::from(ms - half + 1)) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jitter_stays_within_its_bounds() {
        for ms in [0, 1, 50, 2_000] {
            for _ in 0..100 {
                let drawn = jittered(ms);
                assert!(drawn >= ms / 2 && drawn <= ms, "{drawn} of {ms}");
            }
        }
    }
}
