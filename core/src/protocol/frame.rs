use serde::Serialize;
use serde::de::DeserializeOwned;

/// The largest frame either side accepts, in bytes. Fits a listing of a thousand long names or a dozen of the
/// largest inline writes.
pub const FRAME_MAX_BYTES: usize = 4 << 20;

/// Why a frame cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// Longer than [`FRAME_MAX_BYTES`].
    #[error("a frame of {0} bytes is over the limit of {FRAME_MAX_BYTES}")]
    TooLong(usize),
    /// Not a frame of this version of the protocol.
    #[error("a frame does not decode")]
    Malformed,
}

/// A frame as bytes.
///
/// # Errors
/// [`FrameError::TooLong`]; whoever builds frames keeps their parts within bounds, so this tells of a bug.
pub fn encode<T: Serialize>(frame: &T) -> Result<Vec<u8>, FrameError> {
    let bytes = postcard::to_stdvec(frame).map_err(|_| FrameError::Malformed)?;
    if bytes.len() > FRAME_MAX_BYTES { Err(FrameError::TooLong(bytes.len())) } else { Ok(bytes) }
}

/// The frame in these bytes, which must hold it and nothing more.
///
/// # Errors
/// [`FrameError`].
pub fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, FrameError> {
    if bytes.len() > FRAME_MAX_BYTES {
        return Err(FrameError::TooLong(bytes.len()));
    }
    match postcard::take_from_bytes(bytes) {
        Ok((frame, [])) => Ok(frame),
        _ => Err(FrameError::Malformed),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::{ClientFrame, FenceReason, Request, ServerFrame};
    use super::*;
    use crate::namespace::{Ino, Name};
    use proptest::prelude::*;

    #[test]
    fn frames_round_trip() {
        let frame =
            ClientFrame::Request { id: 7, request: Request::Lookup { parent: Ino(3), name: Name::new("ü".as_bytes().to_vec()).unwrap() } };
        assert_eq!(decode::<ClientFrame>(&encode(&frame).unwrap()).unwrap(), frame);
        let frame = ServerFrame::Fenced(FenceReason::Revoked);
        assert_eq!(decode::<ServerFrame>(&encode(&frame).unwrap()).unwrap(), frame);
    }

    #[test]
    fn oversized_truncated_and_trailing_bytes_are_refused() {
        assert_eq!(decode::<ClientFrame>(&vec![0; FRAME_MAX_BYTES + 1]), Err(FrameError::TooLong(FRAME_MAX_BYTES + 1)));
        let bytes = encode(&ClientFrame::Heartbeat { sent_ms: u64::MAX }).unwrap();
        for cut in 0..bytes.len() {
            assert_eq!(decode::<ClientFrame>(&bytes[..cut]), Err(FrameError::Malformed));
        }
        assert_eq!(decode::<ClientFrame>(&[&bytes[..], &[0]].concat()), Err(FrameError::Malformed));
    }

    #[test]
    fn a_forbidden_name_does_not_decode() {
        let good =
            encode(&ClientFrame::Request { id: 1, request: Request::Lookup { parent: Ino(1), name: Name::new(&b"ab"[..]).unwrap() } })
                .unwrap();
        let bad: Vec<u8> = good.iter().map(|&byte| if byte == b'a' { b'/' } else { byte }).collect();
        assert_ne!(good, bad);
        assert_eq!(decode::<ClientFrame>(&bad), Err(FrameError::Malformed));
    }

    proptest! {
        #[test]
        fn garbage_never_panics(bytes: Vec<u8>) {
            let _ = decode::<ClientFrame>(&bytes);
            let _ = decode::<ServerFrame>(&bytes);
        }
    }
}
