//! How much of anything there may be in a mesh.

/// Identities that a member knows at once; a member that was restarted counts again until its old self is forgotten. So
/// the digest of all of them, at most 117 bytes each, leaves room in a datagram.
pub const MEMBERS_MAX: usize = 256;
/// Identities of one name at once: one that restarts more often than this within [`FORGET_AFTER_MS`] waits.
pub const INCARNATIONS_MAX: usize = 16;
/// How long an identity that nobody mentions any more counts, in milliseconds.
pub const FORGET_AFTER_MS: u64 = 15 * 60 * 1000;
/// The largest datagram. IP fragments what is over the path's MTU, which happens from about 20 members on.
pub const DATAGRAM_MAX_BYTES: usize = 48 * 1024;
/// The longest head of a call between nodes.
pub const CALL_HEAD_MAX_BYTES: usize = 256;
/// The longest sealed body of a call between nodes, and of its answer.
pub const CALL_MAX_BYTES: usize = 4 << 20;
/// Keys of one member in one message.
pub const KEYS_MAX: usize = 128;
/// The longest key, in bytes.
pub const KEY_MAX_BYTES: usize = 128;
/// The longest value, in bytes.
pub const VALUE_MAX_BYTES: usize = 8 * 1024;
/// Heartbeats, versions and generations are below this: what is larger was made to overflow something.
pub const NUMBER_MAX: u64 = 1 << 53;
