//! `artifacts import` and `artifacts export`, as a person runs them.

mod command;
mod interruption;
mod mistakes;
mod portrait;
mod round_trip;
