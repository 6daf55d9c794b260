#![allow(clippy::unwrap_used)]

mod placement;
