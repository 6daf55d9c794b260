//! How soon what is done in one mount is seen in another.

use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, bail};
use serde::Serialize;

use super::report::{Outcome, in_ms, milliseconds};
use crate::time;

/// How often it is measured.
const ROUNDS: usize = 50;

/// From the return of a `write` in one mount to the end of a read of the same bytes in the other.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Visibility {
    rounds: usize,
    median_ms: f64,
    longest_ms: f64,
}

/// Makes files in `first` and reads each in `second` at once. The first look must see it: that is the promise.
pub(super) fn measure(first: &Path, second: &Path) -> anyhow::Result<Visibility> {
    let mut taken: Vec<Duration> = Vec::with_capacity(ROUNDS);
    for round in 0..ROUNDS {
        let name = format!("seen-{round}.txt");
        let text = format!("round {round}\n");
        fs::write(first.join(&name), &text)?;
        let written = time::now();
        let found = fs::read_to_string(second.join(&name)).with_context(|| format!("{name} is not there in the other mount"))?;
        taken.push(written.elapsed());
        if found != text {
            bail!("{name} holds {found:?} in the other mount instead of {text:?}");
        }
    }
    taken.sort();
    Ok(Visibility { rounds: ROUNDS, median_ms: in_ms(taken[ROUNDS / 2]), longest_ms: in_ms(taken[ROUNDS - 1]) })
}

impl Visibility {
    /// The usual time.
    pub(super) fn median(&self) -> Duration {
        Duration::from_secs_f64(self.median_ms / 1e3)
    }
}

impl Outcome for Visibility {
    fn detail(&self) -> Option<String> {
        let ms = |ms: f64| milliseconds(Duration::from_secs_f64(ms / 1e3));
        Some(format!("seen and read after {} (median of {}, longest {})", ms(self.median_ms), self.rounds, ms(self.longest_ms)))
    }
}
