//! All that was measured, as a table for people and as JSON for programs.

use std::fs;
use std::path::PathBuf;

use anyhow::Result;
use artifacts_tests::{Table, percentile, target_dir};
use serde_json::{Value, json};

use crate::bounds::Bound;
use crate::lines::{Line, Unit};
use crate::scale::Scale;

/// The figures of each line and contestant, one a round.
pub(crate) struct Figures {
    contestants: Vec<String>,
    lines: Vec<(Line, Vec<Vec<f64>>)>,
}

impl Figures {
    pub(crate) fn new(contestants: Vec<String>) -> Self {
        Self { contestants, lines: Vec::new() }
    }

    /// Notes what one round showed.
    pub(crate) fn note(&mut self, line: Line, contestant: usize, value: f64) {
        let known = self.lines.iter().position(|(other, _)| other.what == line.what);
        let index = known.unwrap_or_else(|| {
            self.lines.push((line, vec![Vec::new(); self.contestants.len()]));
            self.lines.len() - 1
        });
        self.lines[index].1[contestant].push(value);
    }

    /// The median over the rounds.
    fn median(&self, line: usize, contestant: usize) -> f64 {
        percentile(&mut self.lines[line].1[contestant].clone(), 50.0)
    }

    /// How many times as fast one is as another.
    fn ratio(&self, line: usize, one: usize, other: usize) -> f64 {
        let (one, other) = (self.median(line, one), self.median(line, other));
        if self.lines[line].0.unit == Unit::Seconds { other / one } else { one / other }
    }

    /// Ours and JuiceFS over the same storage, as far as both were there.
    fn pairs(&self) -> Vec<(&'static str, usize, usize)> {
        let find = |name: &str| self.contestants.iter().position(|contestant| contestant == name);
        let pairs = [("ours / JuiceFS", "ours", "JuiceFS"), ("on S3", "ours, S3", "JuiceFS, S3")];
        pairs.iter().filter_map(|&(title, ours, theirs)| Some((title, find(ours)?, find(theirs)?))).collect()
    }

    /// Prints the table.
    pub(crate) fn print(&self) {
        let pairs = self.pairs();
        let contestants = self.contestants.iter().map(String::as_str);
        let headings: Vec<&str> =
            [""].into_iter().chain(contestants).chain([""]).chain(pairs.iter().map(|pair| pair.0)).chain(["wanted"]).collect();
        let mut table = Table::new(&headings);
        for (index, (line, _)) in self.lines.iter().enumerate() {
            let values: Vec<f64> = (0..self.contestants.len()).map(|contestant| self.median(index, contestant)).collect();
            let mut cells = vec![line.what.to_owned()];
            cells.extend(values.iter().map(|&value| if value < 100.0 { format!("{value:.2}") } else { format!("{value:.0}") }));
            cells.push(line.unit.name().to_owned());
            cells.extend(pairs.iter().map(|&(_, ours, theirs)| {
                let ratio = self.ratio(index, ours, theirs);
                format!("{ratio:.2}{}", if ratio < line.wanted { " (short)" } else { "" })
            }));
            cells.push(if pairs.is_empty() { String::new() } else { format!("{:.0}", line.wanted) });
            table.row(cells);
        }
        table.print();
    }

    /// Writes everything to a file below the target directory and gives its path.
    pub(crate) fn write(&self, scale: Scale, bounds: &[Bound]) -> Result<PathBuf> {
        let lines = self.lines.iter().enumerate().map(|(index, (line, rounds))| {
            let of_each = |value: &dyn Fn(usize) -> Value| -> Value {
                self.contestants
                    .iter()
                    .enumerate()
                    .map(|(contestant, name)| (name.clone(), value(contestant)))
                    .collect::<serde_json::Map<_, _>>()
                    .into()
            };
            let ratios: serde_json::Map<String, Value> =
                self.pairs().into_iter().map(|(title, ours, theirs)| (title.to_owned(), json!(self.ratio(index, ours, theirs)))).collect();
            json!({
                "what": line.what, "unit": line.unit.name(), "wanted_ratio": line.wanted, "ratios": ratios,
                "median": of_each(&|contestant| json!(self.median(index, contestant))),
                "rounds": of_each(&|contestant| json!(rounds[contestant])),
            })
        });
        let all = json!({
            "scale": scale.factor(), "rounds": scale.rounds,
            "processors": std::thread::available_parallelism().map_or(0, usize::from),
            "lines": lines.collect::<Vec<_>>(),
            "bounds": bounds.iter().map(Bound::to_json).collect::<Vec<_>>(),
        });
        let dir = target_dir()?.join("bench");
        fs::create_dir_all(&dir)?;
        let file = dir.join("comparison.json");
        fs::write(&file, serde_json::to_string_pretty(&all)?)?;
        Ok(file)
    }
}

impl Unit {
    fn name(self) -> &'static str {
        match self {
            Self::PerSecond => "/s",
            Self::MibPerSecond => "MiB/s",
            Self::Seconds => "s",
        }
    }
}
