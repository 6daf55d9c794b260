/// Faults of a node that must be found: what its shell does wrong, the machines being as they are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Faults {
    /// It gives the right to decide to one while others believe.
    pub(crate) forgets_readers: bool,
    /// It passes on what a session held that it has fenced, and goes on to take what that sends.
    pub(crate) skips_fence: bool,
    /// It passes on the locks of a session that has lapsed, and lets it come back.
    pub(crate) forgets_lock_fence: bool,
    /// It says that ops are durable when it begins to write them.
    pub(crate) acks_before_durable: bool,
    /// It waits neither for the owner before it nor for the sessions on record.
    pub(crate) skips_grace: bool,
}
