//! How much is measured.

use anyhow::{Context as _, Result, ensure};

/// How many files, MiB and calls; `BENCH_SCALE` shrinks it all, `BENCH_ROUNDS` says how often each line is measured.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Scale {
    factor: f64,
    pub(crate) rounds: usize,
}

impl Scale {
    /// As the environment says.
    pub(crate) fn chosen() -> Result<Self> {
        let number = |name: &str, default: f64| -> Result<f64> {
            std::env::var(name).ok().map_or(Ok(default), |text| text.parse().with_context(|| format!("{name}={text} is no number")))
        };
        let (factor, rounds) = (number("BENCH_SCALE", 1.0)?, number("BENCH_ROUNDS", 3.0)?);
        ensure!(factor > 0.0 && factor <= 1.0, "BENCH_SCALE is above 0 and at most 1");
        ensure!(rounds >= 0.0, "BENCH_ROUNDS is 0 at least");
        Ok(Self { factor, rounds: rounds as usize })
    }

    pub(crate) fn factor(self) -> f64 {
        self.factor
    }

    /// So many at full scale, and `least` at least.
    pub(crate) fn of(self, full: usize, least: usize) -> usize {
        ((full as f64 * self.factor) as usize).max(least)
    }
}
