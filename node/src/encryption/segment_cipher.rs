use artifacts_core::SegmentId;
use chacha20poly1305::aead::AeadInPlace as _;
use chacha20poly1305::{Tag, XChaCha20Poly1305, XNonce};
use ring::aead::{Aad, LessSafeKey, Nonce};

/// How long what proves a chunk is, in bytes.
pub(super) const TAG_BYTES: usize = 16;

/// Where a chunk is in its segment.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    pub(super) number: u64,
    /// Whether the segment ends with it.
    pub(super) is_last: bool,
}

/// Seals and opens the chunks of one segment, where they lie in memory. A segment's id is never used again, and its bytes
/// never change, so a place is a nonce.
pub(super) enum SegmentCipher {
    /// With a key of this segment alone. A chunk opens in its place, and at the end if it was the last: what was cut off
    /// behind it is missed.
    Aes256Gcm(Box<LessSafeKey>),
    /// With the workspace's key, in workspaces that an earlier version made. That a chunk is the last is not sealed.
    XChaCha20Poly1305 {
        /// The workspace's.
        key: XChaCha20Poly1305,
        /// Which segment.
        segment: SegmentId,
    },
}

impl SegmentCipher {
    /// Seals a chunk, and answers its tag.
    pub(super) fn seal(&self, place: Place, chunk: &mut [u8]) -> Option<[u8; TAG_BYTES]> {
        match self {
            Self::Aes256Gcm(key) => key.seal_in_place_separate_tag(nonce(place), Aad::empty(), chunk).ok()?.as_ref().try_into().ok(),
            Self::XChaCha20Poly1305 { key, segment } => {
                Some(key.encrypt_in_place_detached(&long_nonce(*segment, place), b"", chunk).ok()?.into())
            }
        }
    }

    /// Opens a chunk, which lies with its tag at the end of `buffer`, from `from` on, to the front of it. Nothing if it was
    /// not sealed for this place; what is in the buffer then is of no use.
    pub(super) fn open_to_front(&self, place: Place, buffer: &mut [u8], from: usize) -> Option<()> {
        match self {
            Self::Aes256Gcm(key) => key.open_within(nonce(place), Aad::empty(), buffer, from..).ok().map(|_| ()),
            Self::XChaCha20Poly1305 { key, segment } => {
                let end = buffer.len().checked_sub(TAG_BYTES)?;
                let (sealed, tag) = buffer.split_at_mut(end);
                let chunk = sealed.get_mut(from..)?;
                key.decrypt_in_place_detached(&long_nonce(*segment, place), b"", chunk, Tag::from_slice(tag)).ok()?;
                sealed.copy_within(from.., 0);
                Some(())
            }
        }
    }
}

/// The construction is STREAM (Hoang, Reyhanitabar, Rogaway, Vizár: Online Authenticated-Encryption and its Nonce-Reuse
/// Misuse-Resistance, 2015), with a number in place of a counter, since any chunk may be read first.
fn nonce(place: Place) -> Nonce {
    let mut nonce = [0; 12];
    nonce[0] = u8::from(place.is_last);
    nonce[4..].copy_from_slice(&place.number.to_be_bytes());
    Nonce::assume_unique_for_key(nonce)
}

fn long_nonce(segment: SegmentId, place: Place) -> XNonce {
    let mut nonce = [0; 24];
    nonce[..16].copy_from_slice(&segment.bits().to_be_bytes());
    nonce[16..].copy_from_slice(&place.number.to_be_bytes());
    nonce.into()
}
