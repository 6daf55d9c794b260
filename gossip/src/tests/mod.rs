#![allow(clippy::unwrap_used)]

mod codec;
