//! One node, and a busy mount with eight threads that hammer it.

use anyhow::{Context as _, Result, ensure};
use artifacts_tests::time::{Duration, monotonic_ns, sleep};
use artifacts_tests::{Hammer, Kind, Lab, Table, Trace, late_successes, local, percentile};
use serde_json::json;

/// What is promised of the first failing call, in milliseconds after the return of the revoke call.
const PROMISED_P99_MS: f64 = 250.0;

/// What one round showed; milliseconds, counted from the return of the revoke call or from its beginning.
#[derive(Default)]
struct Samples {
    call: Vec<f64>,
    first_failure: Vec<f64>,
    first_failure_of: [Vec<f64>; Kind::ALL.len()],
    last_success: Vec<f64>,
    last_success_from_start: Vec<f64>,
    violations: Vec<Trace>,
    confirmed: u64,
}

pub(crate) fn measure_all(rounds: usize) -> Result<()> {
    local("bench-revocation", Duration::from_secs(60 * 60), |scratch| {
        let lab = Lab::start(scratch, &json!({}))?;
        for (wait_ms, what) in [(0, "the call does not wait for the mount"), (1000, "the call waits for the mount's confirmation")] {
            let mut samples = Samples::default();
            for round in 0..rounds {
                measure(&lab, &format!("bench-{wait_ms}-{round}"), wait_ms, &mut samples).with_context(|| format!("round {round}"))?;
            }
            report(rounds, &format!("wait_ms {wait_ms}: {what}"), &mut samples)?;
        }
        Ok(())
    })
}

fn measure(lab: &Lab, name: &str, wait_ms: u64, samples: &mut Samples) -> Result<()> {
    let workspace = lab.workspace(name)?;
    let mount = lab.mount(name, &workspace)?;
    let hammer = Hammer::start(&mount.join("hammer"))?;
    sleep(Duration::from_millis(100));
    let started_ns = monotonic_ns();
    let revoked = lab.api.post("/v1/grants/revoke", &json!({ "tenant_slug": name, "wait_ms": wait_ms }))?;
    let returned_ns = monotonic_ns();
    hammer.wait_all_failed(Duration::from_secs(30))?;
    sleep(Duration::from_millis(100));
    let traces = hammer.stop()?;
    ensure!(traces.iter().all(|trace| trace.errno == libc::EACCES), "another error than EACCES: {traces:?}");

    let since = |ns: u64, from_ns: u64| (ns as f64 - from_ns as f64) / 1e6;
    let failures = |kind: Option<Kind>| {
        let of_kind = traces.iter().filter(move |trace| kind.is_none_or(|kind| trace.kind == kind));
        of_kind.filter_map(|trace| trace.first_failure_ended_ns).min().unwrap_or(u64::MAX)
    };
    let last_success_ns = traces.iter().map(|trace| trace.last_success_ended_ns).max().unwrap_or(0);
    samples.call.push(since(returned_ns, started_ns));
    samples.first_failure.push(since(failures(None), returned_ns));
    for (kind, values) in Kind::ALL.into_iter().zip(&mut samples.first_failure_of) {
        values.push(since(failures(Some(kind)), returned_ns));
    }
    samples.last_success.push(since(last_success_ns, returned_ns));
    samples.last_success_from_start.push(since(last_success_ns, started_ns));
    samples.violations.extend(late_successes(&traces));
    samples.confirmed += revoked["sessions"]["confirmed"].as_u64().unwrap_or(0);
    mount.tear_down()
}

fn report(rounds: usize, what: &str, samples: &mut Samples) -> Result<()> {
    println!("\nrevocation of a busy mount, {rounds} rounds, milliseconds ({what})");
    let mut table = Table::new(&["", "p50", "p99", "max"]);
    let mut row = |name: &str, values: &mut Vec<f64>| {
        let cells = [50.0, 99.0, 100.0].map(|percent| format!("{:.1}", percentile(values, percent)));
        table.row([vec![name.to_owned()], cells.to_vec()].concat());
    };
    row("the revoke call itself", &mut samples.call);
    row("its return to the first failing call", &mut samples.first_failure);
    for (kind, values) in Kind::ALL.into_iter().zip(&mut samples.first_failure_of) {
        row(&format!("  first failing {}", kind.name()), values);
    }
    row("its return to the last success", &mut samples.last_success);
    row("its start to the last success", &mut samples.last_success_from_start);
    table.print();
    println!("a time below zero means before the call returned; the first failing call counts when it returns");
    println!("confirmed by the mount within wait_ms: {} of {rounds}", samples.confirmed);
    println!("successes that began after a call had failed: {}", samples.violations.len());
    ensure!(samples.violations.is_empty(), "violations: {:?}", samples.violations);
    let p99 = percentile(&mut samples.first_failure, 99.0);
    println!("promised: p99 of the first failing call at most {PROMISED_P99_MS} ms; measured {p99:.1} ms");
    Ok(())
}
