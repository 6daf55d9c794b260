use serde::{Deserialize, Serialize};

use super::{Mode, TicketClaims};
use crate::{TicketId, Timestamp};

/// The `version` that this code writes and reads.
pub const TICKET_FILE_VERSION: u32 = 1;

/// The JSON document that a platform injects into a runtime. Unknown fields are ignored, so it can grow.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TicketFile {
    /// Always [`TICKET_FILE_VERSION`].
    pub version: u32,
    /// For people; the claim counts.
    pub id: TicketId,
    /// `handle/name`; for people.
    pub workspace: String,
    /// For people; the claim counts.
    pub mode: Mode,
    /// For people; the claim counts.
    pub expires_at: Timestamp,
    /// Where to connect, most preferred first.
    pub endpoints: Vec<String>,
    /// The compact JWS.
    pub token: String,
}

impl TicketFile {
    /// The file for a token that was just signed over `claims`.
    pub fn new(claims: &TicketClaims, token: String, endpoints: Vec<String>) -> Self {
        Self {
            version: TICKET_FILE_VERSION,
            id: claims.jti,
            workspace: format!("{}/{}", claims.handle, claims.name),
            mode: claims.mode,
            expires_at: claims.expires_at(),
            endpoints,
            token,
        }
    }
}
