use artifacts_tests::percentile;
use serde_json::{Value, json};

/// What is wanted of the median and of the slowest of a hundred, in milliseconds.
const WANTED_MS: [(f64, f64); 2] = [(50.0, 2.0), (99.0, 20.0)];

/// How long something took, many times; milliseconds.
pub(crate) struct Spread {
    what: String,
    p50: f64,
    p99: f64,
    most: f64,
}

impl Spread {
    pub(crate) fn of(what: impl Into<String>, mut values_ms: Vec<f64>) -> Self {
        let [p50, p99, most] = [50.0, 99.0, 100.0].map(|percent| percentile(&mut values_ms, percent));
        Self { what: what.into(), p50, p99, most }
    }

    /// Cells of a table: p50, p99, the most, and whether that is what is wanted.
    pub(crate) fn row(&self) -> Vec<String> {
        let is_kept = self.p50 <= WANTED_MS[0].1 && self.p99 <= WANTED_MS[1].1;
        let mut cells = vec![self.what.clone()];
        cells.extend([self.p50, self.p99, self.most].map(|value| format!("{value:.2}")));
        cells.push(if is_kept { String::new() } else { "(short)".to_owned() });
        cells
    }

    pub(crate) fn to_json(&self) -> Value {
        json!({ "what": self.what, "p50_ms": self.p50, "p99_ms": self.p99, "max_ms": self.most })
    }

    /// For people.
    pub(crate) fn wanted() -> String {
        WANTED_MS.map(|(percent, most)| format!("p{percent} at most {most} ms")).join(", ")
    }
}
