use std::time::Duration;

use anyhow::Context as _;
use serde::Serialize;

use crate::failure::Failure;
use crate::output::{Format, Output};
use crate::time;

/// A step that takes longer than this does not work.
const LONGEST_STEP: Duration = Duration::from_secs(90);

/// What was done, and how long each part took. Prints each step when it is done.
#[derive(Debug)]
pub(super) struct Report {
    output: Output,
    steps: Vec<Step>,
}

/// A step that went well.
#[derive(Debug, Serialize)]
struct Step {
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<String>,
    ms: f64,
}

impl Report {
    pub(super) const fn new(output: Output) -> Self {
        Self { output, steps: Vec::new() }
    }

    /// Takes a step. The text that `work` answers with is shown after the step's name, if there is any.
    pub(super) async fn step<T: Outcome>(&mut self, name: &str, work: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
        let progress = self.output.progress(name);
        let begun = time::now();
        let done = tokio::time::timeout(LONGEST_STEP, work).await;
        let took = begun.elapsed();
        drop(progress);
        let style = self.output.style;
        match done {
            Ok(Ok(outcome)) => {
                let detail = outcome.detail();
                if self.prints() {
                    let shown = detail.as_ref().map(|detail| format!(": {detail}")).unwrap_or_default();
                    self.output.line(&format!("{} {name}{shown} {}", style.green("✓"), style.dim(&format!("… {}", milliseconds(took)))))?;
                }
                self.steps.push(Step { name: name.to_owned(), detail, ms: in_ms(took) });
                Ok(outcome)
            }
            Ok(Err(error)) => {
                self.failed(name, took)?;
                Err(error).with_context(|| at(name))
            }
            Err(_) => {
                self.failed(name, took)?;
                Err(Failure::failed(format!("not done after {} s", LONGEST_STEP.as_secs())).hint("run it again with -v"))
                    .with_context(|| at(name))
            }
        }
    }

    /// Like [`Self::step`], with work that blocks its thread.
    pub(super) async fn blocking_step<T: Outcome + Send + 'static>(
        &mut self,
        name: &str,
        work: impl FnOnce() -> anyhow::Result<T> + Send + 'static,
    ) -> anyhow::Result<T> {
        self.step(name, async { tokio::task::spawn_blocking(work).await? }).await
    }

    /// Says something between the steps.
    pub(super) fn say(&self, text: &str) -> anyhow::Result<()> {
        if self.prints() { self.output.line(text) } else { Ok(()) }
    }

    /// The output that it prints to.
    pub(super) const fn output(&self) -> Output {
        self.output
    }

    /// How many steps were taken, and how long they took together.
    pub(super) fn total(&self) -> (usize, f64) {
        (self.steps.len(), self.steps.iter().map(|step| step.ms).sum())
    }

    /// The steps for programs.
    pub(super) fn steps(&self) -> impl Serialize + '_ {
        &self.steps
    }

    fn prints(&self) -> bool {
        self.output.format == Format::Text && !self.output.quiet
    }

    fn failed(&self, name: &str, took: Duration) -> anyhow::Result<()> {
        if !self.prints() {
            return Ok(());
        }
        let style = self.output.style;
        self.output.line(&format!("{} {name} {}", style.red("✗"), style.dim(&format!("… {}", milliseconds(took)))))
    }
}

fn at(name: &str) -> String {
    format!("at the step \"{name}\"")
}

/// What a step answers with.
pub(super) trait Outcome {
    /// What to show of it.
    fn detail(&self) -> Option<String> {
        None
    }
}

impl Outcome for () {}

impl Outcome for String {
    fn detail(&self) -> Option<String> {
        Some(self.clone())
    }
}

/// An outcome of which nothing is shown.
pub(super) struct Silent<T>(pub(super) T);

impl<T> Outcome for Silent<T> {}

/// A duration in milliseconds, with the microseconds as fraction.
pub(super) fn in_ms(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1e6).round() / 1e3
}

/// A duration for people: `0.31 ms`, `12 ms`, `3.2 s`.
pub(super) fn milliseconds(duration: Duration) -> String {
    match in_ms(duration) {
        ms if ms < 10.0 => format!("{ms:.2} ms"),
        ms if ms < 1000.0 => format!("{ms:.0} ms"),
        ms => format!("{:.1} s", ms / 1000.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_short() {
        for (micros, text) in [(314, "0.31 ms"), (12_345, "12 ms"), (3_210_000, "3.2 s")] {
            assert_eq!(milliseconds(Duration::from_micros(micros)), text);
        }
    }
}
