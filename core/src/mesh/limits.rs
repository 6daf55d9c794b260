//! How much of anything there may be in a mesh.

/// Identities that a member knows at once; a member that was restarted counts again until its old self is forgotten. So
/// the digest of all of them, at most 117 bytes each, leaves room in a datagram.
pub const MEMBERS_MAX: usize = 256;
/// Lives of one name that are taken one after the other at once; then one for each [`LIFE_EVERY_MS`].
///
/// A node may restart in a loop, and must be in the ring again soon after that ends, while each of its lives takes one of
/// the [`MEMBERS_MAX`] places until it is forgotten: for the five minutes in which others mention the dead, and then for
/// [`FORGET_AFTER_MS`]. So what is bounded is not how many there are but how fast they come. Whoever stays up is taken after
/// half a minute at the longest, whatever happened before. A supervisor that makes its pauses longer (systemd gives up after five
/// starts in ten seconds, a kubelet makes some seven in a quarter of an hour) never meets the limit, nor does an operator. A name
/// that does its worst holds 16 + 20 min / 30 s = 56 places, so it takes five such to keep a node of another name waiting.
pub const LIVES_AT_ONCE: u64 = 16;
/// How long it takes until one more life of a name is taken, in milliseconds; see [`LIVES_AT_ONCE`].
pub const LIFE_EVERY_MS: u64 = 30_000;
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
