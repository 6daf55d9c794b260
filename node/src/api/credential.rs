use artifacts_core::KeyId;

/// What a request was let in with: names the holder for the rate limit, and seals what is kept for the holder alone.
#[derive(Clone)]
pub(super) struct Credential {
    /// The key; absent for the admin token.
    pub(super) key: Option<KeyId>,
    secret: String,
}

impl Credential {
    /// The credential that a bearer presented.
    pub(super) fn new(key: Option<KeyId>, secret: &str) -> Self {
        Self { key, secret: secret.to_owned() }
    }

    /// A key for one purpose that only the holder of the secret can make again.
    pub(super) fn derive(&self, purpose: &str) -> [u8; 32] {
        blake3::derive_key(purpose, self.secret.as_bytes())
    }
}
