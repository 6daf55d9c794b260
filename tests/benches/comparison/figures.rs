//! All that was measured, as a table for people and as JSON for programs.

use std::fs;
use std::path::PathBuf;

use anyhow::Result;
use artifacts_tests::{Table, percentile, target_dir};
use serde_json::{Value, json};

use crate::bounds::Bound;
use crate::floor::Floor;
use crate::lines::{Line, Unit};
use crate::ours::Ours;
use crate::scale::Scale;

/// What is wanted of a pair on a line, if it is.
type Wanted = fn(&Line) -> Option<f64>;

/// Two of whom one is to be so many times as fast as the other.
struct Pair {
    title: &'static str,
    ours: usize,
    theirs: usize,
    wanted: Wanted,
}

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

    /// The median over the rounds; `None` of who has no part in the line.
    fn median(&self, line: usize, contestant: usize) -> Option<f64> {
        let mut rounds = self.lines[line].1[contestant].clone();
        (!rounds.is_empty()).then(|| percentile(&mut rounds, 50.0))
    }

    /// How many times as fast one is as another.
    fn ratio(&self, line: usize, pair: &Pair) -> Option<f64> {
        let (ours, theirs) = (self.median(line, pair.ours)?, self.median(line, pair.theirs)?);
        Some(if self.lines[line].0.unit == Unit::Seconds { theirs / ours } else { ours / theirs })
    }

    /// Ours and JuiceFS over the same storage, ours and the floor, and ours with and without encryption, as far as both were there.
    fn pairs(&self) -> Vec<Pair> {
        let find = |name: &str| self.contestants.iter().position(|contestant| contestant == name);
        let of_juicefs: Wanted = |line| Some(line.wanted);
        let pairs: [(_, _, _, Wanted); 4] = [
            ("ours / JuiceFS", "ours", "JuiceFS", of_juicefs),
            ("on S3", "ours, S3", "JuiceFS, S3", of_juicefs),
            ("ours / floor", "ours", Floor::NAME, |line| line.wanted_of_floor),
            ("sealed / ours", Ours::SEALED, "ours", |line| line.wanted_sealed),
        ];
        let found = pairs
            .into_iter()
            .filter_map(|(title, ours, theirs, wanted)| Some(Pair { title, ours: find(ours)?, theirs: find(theirs)?, wanted }));
        found.collect()
    }

    /// Prints the table.
    pub(crate) fn print(&self) {
        let pairs = self.pairs();
        let contestants = self.contestants.iter().map(String::as_str);
        let titles = pairs.iter().flat_map(|pair| [pair.title, "wanted"]);
        let headings: Vec<&str> = [""].into_iter().chain(contestants).chain([""]).chain(titles).collect();
        let mut table = Table::new(&headings);
        for (index, (line, _)) in self.lines.iter().enumerate() {
            let values = (0..self.contestants.len()).map(|contestant| match self.median(index, contestant) {
                Some(value) if value < 100.0 => format!("{value:.2}"),
                Some(value) => format!("{value:.0}"),
                None => "-".to_owned(),
            });
            let mut cells: Vec<String> = std::iter::once(line.what.to_owned()).chain(values).collect();
            cells.push(line.unit.name().to_owned());
            for pair in &pairs {
                let (ratio, wanted) = (self.ratio(index, pair), (pair.wanted)(line));
                let is_short = ratio.zip(wanted).is_some_and(|(ratio, wanted)| ratio < wanted);
                let mark = if is_short { " (short)" } else { "" };
                cells.push(ratio.map_or_else(String::new, |ratio| format!("{ratio:.2}{mark}")));
                cells.push(wanted.map_or_else(String::new, |wanted| format!("{wanted}")));
            }
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
                self.pairs().iter().map(|pair| (pair.title.to_owned(), json!(self.ratio(index, pair)))).collect();
            json!({
                "what": line.what, "unit": line.unit.name(), "ratios": ratios,
                "wanted_ratio": line.wanted, "wanted_ratio_to_floor": line.wanted_of_floor, "wanted_ratio_sealed": line.wanted_sealed,
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
