//! The one place where the node draws random numbers.

use std::sync::Arc;

use artifacts_core::Id;
use artifacts_core::id::Kind;

/// Where ids and secrets come from. Simulations bring a seeded one.
pub trait Entropy: Send + Sync + 'static {
    /// Fills `bytes` with numbers that nobody can predict.
    fn fill(&self, bytes: &mut [u8]);
}

/// A shared source.
pub type SharedEntropy = Arc<dyn Entropy>;

/// The kernel's generator.
#[derive(Debug, Default)]
pub struct SystemEntropy;

impl Entropy for SystemEntropy {
    #[allow(clippy::disallowed_methods, clippy::expect_used, reason = "this is the wrapper; without entropy no secret may be made")]
    fn fill(&self, bytes: &mut [u8]) {
        getrandom::fill(bytes).expect("the kernel gives random numbers");
    }
}

impl dyn Entropy {
    /// A new id.
    pub fn id<K: Kind>(&self) -> Id<K> {
        let mut bits = [0; 16];
        self.fill(&mut bits);
        Id::from_bits(u128::from_be_bytes(bits))
    }

    /// A new secret: 32 characters of `[0-9A-Za-z]`, 190 bits.
    pub fn secret(&self) -> String {
        const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
        let mut text = String::with_capacity(32);
        let mut byte = [0];
        while text.len() < 32 {
            self.fill(&mut byte);
            // Bytes past the last whole multiple of 62 would favour some characters.
            if byte[0] < 248 {
                text.push(char::from(ALPHABET[usize::from(byte[0] % 62)]));
            }
        }
        text
    }
}

/// The form in which secrets are kept: BLAKE3, which suffices because they are random and long, so there is
/// nothing to guess and no need for a slow hash.
pub fn secret_hash(secret: &str) -> [u8; 32] {
    *blake3::hash(secret.as_bytes()).as_bytes()
}

/// Whether a secret is the one that was hashed, in constant time.
pub fn secret_matches(secret: &str, hash: &[u8; 32]) -> bool {
    blake3::Hash::from_bytes(secret_hash(secret)) == blake3::Hash::from_bytes(*hash)
}
