use artifacts_core::{AccountId, KeyId, TicketId};

/// Whose calls are counted together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Bearer {
    /// Of the admin token.
    Admin,
    /// Of an API key.
    Key(KeyId),
    /// Of a mount ticket.
    Ticket(TicketId),
}

/// What a request was let in with: names the holder for the rate limit, and seals what is kept for the holder alone.
#[derive(Clone)]
pub(super) struct Credential {
    /// Which one.
    pub(super) bearer: Bearer,
    /// Whose it is; for the admin token, which is no account's, see [`ApiState::operator`](super::ApiState::operator).
    pub(super) account: AccountId,
    secret: String,
}

impl Credential {
    /// The credential that a bearer presented.
    pub(super) fn new(bearer: Bearer, account: AccountId, secret: &str) -> Self {
        Self { bearer, account, secret: secret.to_owned() }
    }

    /// A key for one purpose that only the holder of the secret can make again.
    pub(super) fn derive(&self, purpose: &str) -> [u8; 32] {
        blake3::derive_key(purpose, self.secret.as_bytes())
    }
}
