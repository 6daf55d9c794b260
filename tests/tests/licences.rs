//! Every crate we build from may be used: its licence expression (SPDX) is satisfied by licences of the list below.
//! Reads `cargo metadata`, so it needs no network and no tool but cargo.

use std::process::Command;

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::Value;

/// Permissive licences that ask for nothing but their text and a notice.
const ALLOWED: [&str; 14] = [
    "0BSD",
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-1-Clause",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSL-1.0",
    "CC0-1.0",
    "CDLA-Permissive-2.0",
    "ISC",
    "MIT",
    "Unicode-3.0",
    "Unlicense",
    "Zlib",
];

#[test]
fn every_crate_has_a_licence_of_the_list() -> Result<()> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo).args(["metadata", "--format-version", "1", "--locked"]).output()?;
    ensure!(output.status.success(), "cargo metadata: {}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout)?;
    let packages = metadata["packages"].as_array().context("no packages")?;
    let refused: Vec<String> = packages.iter().filter_map(refusal).collect();
    ensure!(packages.len() > 100 && refused.is_empty(), "of {} crates these may not be used:\n{}", packages.len(), refused.join("\n"));
    Ok(())
}

/// Why a crate may not be used, if so.
fn refusal(package: &Value) -> Option<String> {
    let about = format!("{} {}", package["name"].as_str().unwrap_or("?"), package["version"].as_str().unwrap_or("?"));
    let Some(licence) = package["license"].as_str() else { return Some(format!("{about}: names no licence")) };
    match allowed(licence) {
        Ok(true) => None,
        Ok(false) => Some(format!("{about}: {licence}")),
        Err(error) => Some(format!("{about}: {licence}: {error}")),
    }
}

/// Whether the expression can be satisfied. `/` is the form that crates used before SPDX expressions and means OR.
fn allowed(expression: &str) -> Result<bool> {
    let spaced = expression.replace('/', " OR ").replace('(', " ( ").replace(')', " ) ");
    let words: Vec<&str> = spaced.split_whitespace().collect();
    let mut rest = words.as_slice();
    let satisfied = any(&mut rest)?;
    ensure!(rest.is_empty(), "cannot be read from `{}` on", rest.join(" "));
    Ok(satisfied)
}

/// Alternatives, which bind less than AND.
fn any(words: &mut &[&str]) -> Result<bool> {
    let mut satisfied = all(words)?;
    while skip(words, "OR") {
        satisfied |= all(words)?;
    }
    Ok(satisfied)
}

fn all(words: &mut &[&str]) -> Result<bool> {
    let mut satisfied = one(words)?;
    while skip(words, "AND") {
        satisfied &= one(words)?;
    }
    Ok(satisfied)
}

fn one(words: &mut &[&str]) -> Result<bool> {
    if skip(words, "(") {
        let satisfied = any(words)?;
        ensure!(skip(words, ")"), "a parenthesis is not closed");
        return Ok(satisfied);
    }
    let Some((first, rest)) = words.split_first() else { bail!("ends too early") };
    *words = rest;
    let name = match words {
        ["WITH", exception, rest @ ..] => {
            let name = format!("{first} WITH {exception}");
            *words = rest;
            name
        }
        _ => (*first).to_owned(),
    };
    Ok(ALLOWED.contains(&name.as_str()))
}

fn skip(words: &mut &[&str], word: &str) -> bool {
    match words.split_first() {
        Some((first, rest)) if *first == word => {
            *words = rest;
            true
        }
        _ => false,
    }
}

#[test]
fn expressions_are_read_as_spdx_says() -> Result<()> {
    for (expression, expected) in [
        ("MIT", true),
        ("GPL-3.0", false),
        ("MIT OR GPL-3.0", true),
        ("MIT AND GPL-3.0", false),
        ("MIT/Apache-2.0", true),
        ("GPL-3.0 OR MIT AND ISC", true),
        ("(GPL-3.0 OR MIT) AND ISC", true),
        ("(GPL-3.0 OR LGPL-3.0) AND ISC", false),
        ("Apache-2.0 WITH LLVM-exception OR GPL-2.0", true),
        ("GPL-2.0 WITH Classpath-exception-2.0", false),
    ] {
        assert_eq!(allowed(expression)?, expected, "{expression}");
    }
    for broken in ["", "(MIT", "MIT ISC", "MIT OR"] {
        assert!(allowed(broken).is_err(), "{broken}");
    }
    Ok(())
}
