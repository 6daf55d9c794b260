//! What programs on real mounts were asked and answered, for the checker of [`artifacts_sim::linearizability`].
//!
//! - [`programs`]: what asks for it on mounts.
//! - [`keep`]: writes a violation down with everything that was done meanwhile.

mod evidence;

pub mod programs;

pub use self::evidence::keep;
pub use artifacts_sim::linearizability::{CONFIGURATIONS_MAX, Model, Operation, Verdict, Violation, check, files};
