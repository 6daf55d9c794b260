//! Mount tickets: what a runtime holds instead of an API key.
//!
//! A ticket is a compact JWS (RFC 7515) signed with ed25519 (RFC 8037, `alg: EdDSA`). Its claims are the
//! authority; the readable fields of the ticket file around it are for people. Whoever has the account's published
//! keys can check one offline. Always true: a token is accepted only under `EdDSA`, only by a key that the
//! verifier already trusts under the token's `kid`, and only as a whole; nothing in an unverified token selects
//! how it is verified beyond naming that key.

mod claims;
mod file;
mod jws;
mod key_ring;

pub use claims::{Mode, TicketClaims};
pub use ed25519_dalek::SigningKey;
pub use file::{TICKET_FILE_VERSION, TicketFile};
pub use jws::{TicketError, peek, peek_key, sign, verify};
pub use key_ring::{Jwk, Jwks, KeyRing, PublishedKey, SigningKeyRecord, VerifyingKeys};
