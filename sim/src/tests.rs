//! One seed is like another, and what is planted is found.

use super::*;

/// `make test-sim` runs thousands.
const SEEDS: u64 = 100;
/// A planted fault is found within so many.
const PLANTED_SEEDS: u64 = 200;

fn settings(planted: Planted) -> Settings {
    Settings { ops: OPS, planted, threads: None, stops: true }
}

#[test]
fn a_seed_determines_everything_that_happens() {
    for planted in [Planted::Nothing, Planted::SkipFencing] {
        let [one, two] = [(); 2].map(|()| run(3, OPS, planted, true));
        assert!(one.trace.len() > 1_000, "{}", one.trace.len());
        assert_eq!((one.trace, one.violation, one.counted), (two.trace, two.violation, two.counted));
    }
    assert_ne!(run(3, 100, Planted::Nothing, true).trace, run(4, 100, Planted::Nothing, true).trace);
}

#[test]
fn nothing_is_found_where_nothing_is_planted() {
    let swept = sweep(0..SEEDS, settings(Planted::Nothing), |_, _| {});
    assert!(swept.violations.is_empty(), "{:?}", swept.violations);
    assert_eq!(swept.seeds, SEEDS);
}

#[test]
fn every_planted_fault_is_found() {
    for planted in Planted::ALL {
        let swept = sweep(0..PLANTED_SEEDS, settings(planted), |_, _| {});
        let (seed, violation) = swept.violations.first_key_value().unwrap_or_else(|| panic!("{planted} was not found"));
        println!("{planted}: seed {seed}, {}", violation.lines().next().unwrap_or_default());
    }
}

#[test]
fn planted_faults_have_names() {
    for planted in Planted::ALL {
        assert_eq!(planted.name().parse(), Ok(planted));
    }
    assert!("nothing".parse::<Planted>().is_err_and(|error| error.to_string().contains("skip-grace")));
}
