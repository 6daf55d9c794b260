/// What one client called, and what came back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Operation<C, A> {
    /// Who called. A client may have several operations open.
    pub client: u16,
    /// What.
    pub call: C,
    /// When, by a clock that all clients share; before anything was done about it.
    pub called_ns: u64,
    /// What came back; `None` if nothing did, or nothing that tells. Such an operation may have taken effect, or not.
    pub answer: Option<A>,
    /// When it came back. An operation without an answer takes no effect after this; `None` says that it may at any time.
    pub returned_ns: Option<u64>,
}
