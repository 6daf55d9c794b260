//! Programs that ask for random things on mounts, and note what they were answered and when.
//!
//! - [`Client`]: asks for one thing after the other, in the directories of a [`Group`].
//! - [`survey`]: looks at everything once.
//!
//! A client either fails with the first call that fails for a reason the model does not know, or it **bears loss**: then a
//! call that ends with EIO may have taken effect, and counts as an operation without an answer. What only looks and has no
//! answer says nothing, and is left out.

mod client;
mod group;
mod performer;

pub use self::client::{Client, survey};
pub use self::group::{DIRS, GROUPS, Group, NAMES};
pub use self::performer::Op;
use self::performer::{Access, Performer};

/// What was done, by group.
pub type Histories = Vec<Vec<Op>>;

/// Puts histories of the same groups together.
pub fn add(all: &mut Histories, more: Histories) {
    all.resize_with(all.len().max(more.len()), Vec::new);
    for (all, more) in all.iter_mut().zip(more) {
        all.extend(more);
    }
}
