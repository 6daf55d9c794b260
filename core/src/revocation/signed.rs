use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL;
use ed25519_dalek::{Signature, Signer as _, SigningKey};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::ticket::VerifyingKeys;

/// What a control node signs with its region's key.
pub trait Statement: Serialize + DeserializeOwned {
    /// Separates its signatures from every other use of the same key.
    const DOMAIN: &'static [u8];
}

/// A statement and the proof that a control node made it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Signed<T> {
    /// The statement.
    pub content: T,
    /// Which key signed.
    pub kid: String,
    /// The ed25519 signature over the domain and the statement's binary form; 64 bytes.
    pub signature: Vec<u8>,
}

impl<T: Statement> Signed<T> {
    /// Signs with the key named `kid`.
    pub fn sign(content: T, kid: &str, key: &SigningKey) -> Self {
        let signature = signature(T::DOMAIN, &content, key);
        Self { content, kid: kid.to_owned(), signature }
    }

    /// Whether a trusted key signed exactly this.
    pub fn verifies(&self, keys: &VerifyingKeys) -> bool {
        verifies(T::DOMAIN, &self.content, &self.kid, &self.signature, keys)
    }
}

/// The ed25519 signature over the domain and the content's binary form.
pub(super) fn signature<T: Serialize>(domain: &[u8], content: &T, key: &SigningKey) -> Vec<u8> {
    key.sign(&signed_bytes(domain, content)).to_bytes().to_vec()
}

/// Whether the trusted key of this name made the signature over exactly this content.
pub(super) fn verifies<T: Serialize>(domain: &[u8], content: &T, kid: &str, signature: &[u8], keys: &VerifyingKeys) -> bool {
    let (Some(key), Ok(signature)) = (keys.get(kid), Signature::from_slice(signature)) else { return false };
    key.verify_strict(&signed_bytes(domain, content), &signature).is_ok()
}

/// What is signed, and what tells contents apart.
pub(super) fn signed_bytes<T: Serialize>(domain: &[u8], content: &T) -> Vec<u8> {
    // What is signed holds ids, names and numbers; writing those to memory cannot fail.
    let mut bytes = domain.to_vec();
    bytes.extend(postcard::to_stdvec(content).unwrap_or_default());
    bytes
}

/// As gossip carries it: printable.
pub fn to_text<T: Serialize>(content: &T) -> String {
    BASE64URL.encode(postcard::to_stdvec(content).unwrap_or_default())
}

/// What [`to_text`] wrote; nothing of what is malformed or has something behind it.
pub fn from_text<T: DeserializeOwned>(text: &str) -> Option<T> {
    match postcard::take_from_bytes(&BASE64URL.decode(text).ok()?) {
        Ok((content, [])) => Some(content),
        _ => None,
    }
}
