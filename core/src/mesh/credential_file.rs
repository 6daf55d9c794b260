use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{KeyId, Timestamp};

/// What a host needs to join the mesh, as a file (JSON, mode 0600).
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CredentialFile {
    /// [`CredentialFile::VERSION`].
    pub version: u32,
    /// The credential's id, under which it is listed and revoked.
    pub id: KeyId,
    /// Where control nodes are, `http(s)://…`.
    pub endpoints: Vec<String>,
    /// The secret.
    pub secret: String,
    /// From when it lets nobody in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
}

impl CredentialFile {
    /// The version that this code writes and reads.
    pub const VERSION: u32 = 1;
}

impl fmt::Debug for CredentialFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CredentialFile").field("id", &self.id).field("endpoints", &self.endpoints).finish_non_exhaustive()
    }
}
