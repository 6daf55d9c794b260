//! Which trace a call belongs to, as it travels: in a header of HTTP and in frames of the session stream.
//!
//! Nothing is decided by it. It is believed as far as it goes: whoever receives one may begin spans under it, or not.

mod trace_context;

pub use trace_context::TraceContext;
