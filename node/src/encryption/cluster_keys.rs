use std::path::PathBuf;

use artifacts_core::WorkspaceId;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use chacha20poly1305::aead::{Aead as _, KeyInit as _, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use serde::{Deserialize, Serialize};

use crate::random::SharedEntropy;

/// Where the cluster's keys are if no file is configured.
const KEY_VARIABLE: &str = "ARTIFACTS_ENCRYPTION_KEY";
const KEY_BYTES: usize = 32;
const NONCE_BYTES: usize = 24;
/// What is sealed to find out whether a key is the cluster's.
const CHECK: &[u8] = b"artifacts cluster key v1";
/// Binds a wrapped key to its workspace.
const WRAP: &[u8] = b"artifacts data key v1";

/// That workspaces are encrypted at rest.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct EncryptionConfig {
    /// A file with the cluster's keys: 32 bytes in base64 a line, the one that wraps new keys first. Absent: the environment
    /// variable ARTIFACTS_ENCRYPTION_KEY has them.
    pub key_file: Option<PathBuf>,
}

/// What is wrong with the cluster's keys.
#[derive(Debug, Clone, thiserror::Error)]
pub enum EncryptionError {
    /// They cannot be read.
    #[error("the keys for encryption at rest in {place}: {reason}")]
    Keys {
        /// A file, or the environment variable.
        place: String,
        /// Why.
        reason: String,
    },
    /// There are none, and there should be.
    #[error("workspaces here are encrypted at rest; give the cluster's key with `encryption` in the configuration")]
    Missing,
    /// They are not the cluster's.
    #[error("the key for encryption at rest is not the one that this cluster was encrypted with; give that one, or add it on a line below")]
    Wrong,
}

/// The keys that wrap those of workspaces. The first wraps, any of them unwraps.
#[derive(Clone)]
pub struct ClusterKeys(Vec<XChaCha20Poly1305>);

impl std::fmt::Debug for ClusterKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ClusterKeys({})", self.0.len())
    }
}

impl ClusterKeys {
    /// The keys, from the file or the environment.
    ///
    /// # Errors
    /// [`EncryptionError::Keys`], without any part of a key in it.
    pub fn read(config: &EncryptionConfig) -> Result<Self, EncryptionError> {
        let (place, text) = match &config.key_file {
            Some(path) => (path.display().to_string(), std::fs::read_to_string(path).map_err(|error| error.to_string())),
            None => (KEY_VARIABLE.to_owned(), std::env::var(KEY_VARIABLE).map_err(|error| error.to_string())),
        };
        text.and_then(|text| Self::parse(&text)).map_err(|reason| EncryptionError::Keys { place, reason })
    }

    /// Reads one key a line, or between commas. Empty lines and those that begin with `#` are skipped.
    ///
    /// # Errors
    /// What is wrong, without any part of a key in it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut keys = Vec::new();
        for (index, line) in text.split(['\n', ',']).enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let bytes = BASE64.decode(line).ok().filter(|bytes| bytes.len() == KEY_BYTES);
            let bytes = bytes.ok_or_else(|| format!("line {} is not 32 bytes in base64", index + 1))?;
            keys.push(XChaCha20Poly1305::new_from_slice(&bytes).map_err(|error| error.to_string())?);
        }
        if keys.is_empty() {
            return Err("there is no key; make one with `head -c 32 /dev/urandom | base64`".to_owned());
        }
        Ok(Self(keys))
    }

    /// Wraps the key of a workspace.
    pub(super) fn wrap(&self, workspace: WorkspaceId, key: &[u8], entropy: &SharedEntropy) -> Option<Vec<u8>> {
        seal(self.0.first()?, &[WRAP, &workspace.bits().to_be_bytes()].concat(), key, entropy)
    }

    /// Unwraps the key of a workspace; nothing if none of these has wrapped it.
    pub(super) fn unwrap(&self, workspace: WorkspaceId, wrapped: &[u8]) -> Option<Vec<u8>> {
        self.0.iter().find_map(|key| open(key, &[WRAP, &workspace.bits().to_be_bytes()].concat(), wrapped))
    }

    /// What is kept to find out whether these are the cluster's keys.
    pub(super) fn check_value(&self, entropy: &SharedEntropy) -> Option<Vec<u8>> {
        seal(self.0.first()?, CHECK, CHECK, entropy)
    }

    /// Whether they are.
    pub(super) fn match_check(&self, value: &[u8]) -> bool {
        self.0.iter().any(|key| open(key, CHECK, value).is_some())
    }
}

/// Seals under a random nonce, which is put in front.
pub(super) fn seal(key: &XChaCha20Poly1305, place: &[u8], plain: &[u8], entropy: &SharedEntropy) -> Option<Vec<u8>> {
    let mut nonce = [0; NONCE_BYTES];
    entropy.fill(&mut nonce);
    let sealed = key.encrypt(XNonce::from_slice(&nonce), Payload { msg: plain, aad: place }).ok()?;
    Some([&nonce[..], &sealed].concat())
}

/// Opens what [`seal`] has sealed for this place.
pub(super) fn open(key: &XChaCha20Poly1305, place: &[u8], sealed: &[u8]) -> Option<Vec<u8>> {
    let (nonce, sealed) = sealed.split_at_checked(NONCE_BYTES)?;
    key.decrypt(XNonce::from_slice(nonce), Payload { msg: sealed, aad: place }).ok()
}
