use std::sync::Arc;

use artifacts_core::{SegmentId, WorkspaceId};
use chacha20poly1305::{KeyInit as _, XChaCha20Poly1305};
use ring::aead::{AES_256_GCM, LessSafeKey, UnboundKey};
use ring::hkdf::{HKDF_SHA256, KeyType, Prk};

use super::SegmentCipher;
use crate::random::SharedEntropy;

const KEY_BYTES: usize = 32;
/// Stands before the bytes of a key from which others are derived. One of an earlier version is its bytes and nothing else.
const DERIVES: u8 = 2;
/// What a key is derived for; the workspace follows, then the segment.
const ROWS: &[u8] = b"artifacts rows v2";
const SEGMENT: &[u8] = b"artifacts segment v2";

/// The key of one workspace.
#[derive(Clone)]
pub struct DataKey(Arc<Ciphers>);

struct Ciphers {
    rows: XChaCha20Poly1305,
    /// From what the key of each segment is derived (HKDF, RFC 5869). Without it segments are sealed as rows are: an earlier
    /// version made the workspace.
    segments: Option<Prk>,
}

impl std::fmt::Debug for DataKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("DataKey([hidden])")
    }
}

impl DataKey {
    /// Draws one, as it is wrapped and [`DataKey::of`] reads it.
    pub(super) fn draw(entropy: &SharedEntropy) -> [u8; 1 + KEY_BYTES] {
        let mut key = [DERIVES; 1 + KEY_BYTES];
        entropy.fill(&mut key[1..]);
        key
    }

    /// The key of a workspace, from what was wrapped; nothing if that is none.
    pub(super) fn of(workspace: WorkspaceId, unwrapped: &[u8]) -> Option<Self> {
        let ciphers = match unwrapped {
            [DERIVES, secret @ ..] if secret.len() == KEY_BYTES => {
                let secret = Prk::new_less_safe(HKDF_SHA256, secret);
                let mut rows = [0; KEY_BYTES];
                secret.expand(&[ROWS, &workspace.bits().to_be_bytes()], Length).ok()?.fill(&mut rows).ok()?;
                Ciphers { rows: XChaCha20Poly1305::new(&rows.into()), segments: Some(secret) }
            }
            secret => Ciphers { rows: XChaCha20Poly1305::new_from_slice(secret).ok()?, segments: None },
        };
        Some(Self(Arc::new(ciphers)))
    }

    /// What seals the rows of the workspace.
    pub(super) fn rows(&self) -> &XChaCha20Poly1305 {
        &self.0.rows
    }

    /// What seals a segment of the workspace.
    pub(super) fn segment(&self, workspace: WorkspaceId, segment: SegmentId) -> Option<SegmentCipher> {
        let Some(secret) = &self.0.segments else {
            return Some(SegmentCipher::XChaCha20Poly1305 { key: self.0.rows.clone(), segment });
        };
        let (workspace, segment) = (workspace.bits().to_be_bytes(), segment.bits().to_be_bytes());
        let info = [SEGMENT, &workspace, &segment];
        let key = UnboundKey::from(secret.expand(&info, &AES_256_GCM).ok()?);
        Some(SegmentCipher::Aes256Gcm(Box::new(LessSafeKey::new(key))))
    }
}

struct Length;

impl KeyType for Length {
    fn len(&self) -> usize {
        KEY_BYTES
    }
}
