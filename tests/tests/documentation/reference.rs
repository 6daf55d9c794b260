//! What is generated is what the program says today. `make docs-reference` writes it anew.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use artifacts_tests::time::Duration;
use artifacts_tests::{Lab, artifacts_binary, local};
use serde_json::{Value, json};

use crate::http_reference;
use crate::markdown::root;

/// Only a guard against hanging.
const LIMIT: Duration = Duration::from_secs(120);
const WRITE: &str = "DOCS_WRITE";

#[test]
fn the_reference_of_commands_is_current() -> Result<()> {
    let output = Command::new(artifacts_binary()?).args(["manual", "markdown"]).output()?;
    ensure!(output.status.success(), "artifacts manual markdown: {}", String::from_utf8_lossy(&output.stderr));
    compare("docs/reference/cli.md", &String::from_utf8(output.stdout)?)
}

#[test]
fn the_reference_of_calls_is_current() -> Result<()> {
    compare("docs/reference/http.md", &http_reference::render(&description()?)?)
}

fn compare(path: &str, current: &str) -> Result<()> {
    let file = root()?.join(path);
    if std::env::var_os(WRITE).is_some() {
        return fs::write(&file, current).with_context(|| path.to_owned());
    }
    let written = fs::read_to_string(&file).with_context(|| path.to_owned())?;
    let first = written.lines().zip(current.lines()).position(|(old, new)| old != new);
    ensure!(written == current, "{path} is not what the program says, first at line {first:?}; `make docs-reference` writes it anew");
    Ok(())
}

/// The description of a node that runs.
fn description() -> Result<Value> {
    let mut description = Value::Null;
    local("reference", LIMIT, |scratch| {
        let lab = Lab::start(scratch, &json!({}))?;
        description = lab.api.get("/openapi.json")?;
        Ok(())
    })?;
    Ok(description)
}

/// Every code stands in the table, with each status with which a call answers it.
#[test]
fn every_error_code_is_explained() -> Result<()> {
    let table = table_of_errors()?;
    let description = description()?;
    let codes: BTreeSet<&str> = http_reference::values(&description, "ErrorCode")?.into_iter().collect();
    let explained: BTreeSet<&str> = table.keys().map(String::as_str).collect();
    ensure!(codes == explained, "codes {codes:?}, explained {explained:?}");
    let mut compared = 0;
    for (status, text) in http_reference::answers(&description)? {
        for code in text.split('`').skip(1).step_by(2).filter(|code| codes.contains(code)) {
            ensure!(table[code].0 == status, "{code} is answered with {status}, and docs/errors.md says {}", table[code].0);
            compared += 1;
        }
    }
    ensure!(compared > 50, "{compared} answers name a code");
    ensure!(table.values().all(|(_, when)| when.len() > 5), "a code without an explanation");
    Ok(())
}

/// The status and explanation of each code in `docs/errors.md`.
fn table_of_errors() -> Result<BTreeMap<String, (String, String)>> {
    let mut table = BTreeMap::new();
    for line in fs::read_to_string(root()?.join("docs/errors.md"))?.lines() {
        let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
        if let [status, codes, when] = cells.as_slice()
            && status.parse::<u16>().is_ok()
        {
            for code in codes.split('`').skip(1).step_by(2) {
                table.insert(code.to_owned(), ((*status).to_owned(), (*when).to_owned()));
            }
        }
    }
    Ok(table)
}
