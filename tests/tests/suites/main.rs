//! Other people's programs whose purpose is to find faults in file systems, and programs that are known to find them
//! by accident, each on a mount of its own.
//!
//! Each test does a bounded part of its suite, which `make test` can afford; `ARTIFACTS_SUITES=full`, which
//! `make test-suites` sets, does all of it.

mod cargo_build;
mod fio;
mod fsx;
mod npm;
mod place;
mod scale;
mod sqlite;
mod stress_ng;
