//! What a mount agent and a control node say to each other on the session stream.
//!
//! The stream is a WebSocket. It opens with one JSON text message each way (the [`Hello`] and its [`HelloAnswer`]),
//! readable by every version of either side, in which they agree on a version. From then on every binary message
//! is one frame: [`ClientFrame`] towards the node, [`ServerFrame`] towards the mount, in postcard. Frames keep
//! their order. `docs/design/0001-session-stream.md` tells the whole protocol.
//!
//! Whatever arrives is untrusted: a frame over [`FRAME_MAX_BYTES`] or one that does not decode ends the stream with
//! a clear reason, and costs the receiver no more memory than the frame's own size.

mod direct;
mod frame;
mod handshake;
mod lock;
mod message;
mod traced;

pub use direct::{DIRECT_URL_MAX_MS, DataPath, DirectUrl};
pub use frame::{FRAME_MAX_BYTES, FrameError, decode, encode};
pub use handshake::{Hello, HelloAnswer, Opening, ProofsAnswer, Refusal, StandsOn, VersionRange, Welcome};
pub use lock::{LockAnswer, LockConflict};
pub use message::{Answer, COME_AGAIN, ClientFrame, FenceReason, InodeRange, NumberedOp, OpResult, Request, ServerFrame};
pub use traced::Traced;

/// The version of the session protocol that this code speaks.
pub const PROTOCOL_VERSION: u16 = 3;

/// The largest write that travels inside its op; larger ones go through a segment. In bytes.
pub const INLINE_MAX_BYTES: usize = 64 * 1024;
