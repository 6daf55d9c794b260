use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL;
use ed25519_dalek::{Signature, Signer as _, SigningKey};
use serde::{Deserialize, Serialize};

use super::{TicketClaims, VerifyingKeys};
use crate::Timestamp;

/// Longer tokens are refused unread: ours stay under 2 KiB plus a subpath of at most 4 KiB.
const LONGEST_TOKEN_BYTES: usize = 16 * 1024;
const ALGORITHM: &str = "EdDSA";
const TYPE: &str = "artifacts-ticket+jwt";

/// Why a token opens nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TicketError {
    /// Not a compact JWS of ours.
    #[error("the ticket is malformed: {0}")]
    Malformed(&'static str),
    /// Signed under another algorithm than EdDSA, `none` included.
    #[error("the ticket is not signed with EdDSA")]
    WrongAlgorithm,
    /// No trusted key has this `kid`.
    #[error("the ticket is signed by a key that is not known here")]
    UnknownKey,
    /// The signature does not match the content.
    #[error("the ticket's signature does not match its content")]
    BadSignature,
    /// Past its `exp`.
    #[error("the ticket expired at {0}")]
    Expired(Timestamp),
}

#[derive(Serialize, Deserialize)]
struct Header {
    alg: String,
    kid: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    typ: Option<String>,
    /// RFC 7515 section 4.1.11: extensions that must be understood; we understand none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    crit: Option<serde_json::Value>,
}

/// Signs `claims` with the key named `kid`.
pub fn sign(claims: &TicketClaims, kid: &str, key: &SigningKey) -> String {
    let header = Header { alg: ALGORITHM.to_owned(), kid: kid.to_owned(), typ: Some(TYPE.to_owned()), crit: None };
    let signed = format!("{}.{}", encode_json(&header), encode_json(claims));
    let signature = key.sign(signed.as_bytes());
    format!("{signed}.{}", BASE64URL.encode(signature.to_bytes()))
}

fn encode_json<T: Serialize>(value: &T) -> String {
    // Header and claims hold only strings, numbers and booleans, which always serialise.
    BASE64URL.encode(serde_json::to_vec(value).unwrap_or_default())
}

/// What a token says, whether or not it is true: to find out whom to ask. `None` if it is no ticket of ours.
pub fn peek(token: &str) -> Option<TicketClaims> {
    let claims = token.split('.').nth(1).filter(|_| token.len() <= LONGEST_TOKEN_BYTES)?;
    serde_json::from_slice(&BASE64URL.decode(claims).ok()?).ok()
}

/// The name of the key that a token claims to be signed with, whether or not that is true. `None` if it is no ticket of ours.
pub fn peek_key(token: &str) -> Option<String> {
    let header = token.split('.').next().filter(|_| token.len() <= LONGEST_TOKEN_BYTES)?;
    serde_json::from_slice(&BASE64URL.decode(header).ok()?).ok().map(|header: Header| header.kid)
}

/// Checks `token` against the trusted keys and the time, and gives its claims.
///
/// # Errors
/// [`TicketError`]; an expired ticket is reported as such only after its signature has been found good, so an
/// attacker learns nothing from the difference.
pub fn verify(token: &str, keys: &VerifyingKeys, now: Timestamp) -> Result<TicketClaims, TicketError> {
    if token.len() > LONGEST_TOKEN_BYTES {
        return Err(TicketError::Malformed("too long"));
    }
    let mut parts = token.split('.');
    let (Some(header_text), Some(claims_text), Some(signature_text), None) = (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err(TicketError::Malformed("not three parts"));
    };
    let header: Header = decode_json(header_text, "header")?;
    if header.alg != ALGORITHM {
        return Err(TicketError::WrongAlgorithm);
    }
    if header.crit.is_some() || header.typ.as_deref() != Some(TYPE) {
        return Err(TicketError::Malformed("header"));
    }
    let key = keys.get(&header.kid).ok_or(TicketError::UnknownKey)?;
    let signature = BASE64URL.decode(signature_text).map_err(|_| TicketError::Malformed("signature"))?;
    let signature = Signature::from_slice(&signature).map_err(|_| TicketError::Malformed("signature"))?;
    let signed = &token.as_bytes()[..header_text.len() + 1 + claims_text.len()];
    key.verify_strict(signed, &signature).map_err(|_| TicketError::BadSignature)?;
    let claims: TicketClaims = decode_json(claims_text, "claims")?;
    if now >= claims.expires_at() {
        return Err(TicketError::Expired(claims.expires_at()));
    }
    Ok(claims)
}

fn decode_json<T: for<'de> Deserialize<'de>>(text: &str, what: &'static str) -> Result<T, TicketError> {
    let bytes = BASE64URL.decode(text).map_err(|_| TicketError::Malformed(what))?;
    serde_json::from_slice(&bytes).map_err(|_| TicketError::Malformed(what))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::Mode;
    use super::*;
    use crate::{AccountId, GrantId, TicketId, WorkspaceId};

    const NOW: Timestamp = Timestamp::from_unix_ms(1_700_000_000_000);

    fn claims() -> TicketClaims {
        TicketClaims {
            jti: TicketId::from_bits(1),
            account: AccountId::from_bits(2),
            grant: GrantId::from_bits(3),
            tenant: "acme".parse().unwrap(),
            runtime: "task-1".parse().unwrap(),
            workspace: WorkspaceId::from_bits(4),
            region: None,
            handle: "me".parse().unwrap(),
            name: "task-1".parse().unwrap(),
            mode: Mode::Rw,
            subpath: None,
            renewable: false,
            iat: NOW.unix_seconds(),
            exp: NOW.unix_seconds() + 60,
        }
    }

    fn key(seed: u8) -> SigningKey {
        SigningKey::from_bytes(&[seed; 32])
    }

    fn trusted() -> VerifyingKeys {
        VerifyingKeys::from_iter([("k1".to_owned(), key(1).verifying_key())])
    }

    #[test]
    fn a_signed_ticket_verifies_until_it_expires() {
        let token = sign(&claims(), "k1", &key(1));
        assert_eq!(verify(&token, &trusted(), NOW), Ok(claims()));
        assert_eq!(verify(&token, &trusted(), NOW.plus_ms(59_999)), Ok(claims()));
        assert!(matches!(verify(&token, &trusted(), NOW.plus_ms(60_000)), Err(TicketError::Expired(_))));
    }

    #[test]
    fn every_forgery_is_refused() {
        let token = sign(&claims(), "k1", &key(1));
        let parts: Vec<&str> = token.split('.').collect();
        let header = |json: &str| BASE64URL.encode(json);
        let mut widened = claims();
        widened.exp += 1_000_000;
        let cases: Vec<(&str, String, TicketError)> = vec![
            ("signed by another key under a known name", sign(&claims(), "k1", &key(2)), TicketError::BadSignature),
            ("signed by an unknown key", sign(&claims(), "k2", &key(2)), TicketError::UnknownKey),
            ("tampered claim", format!("{}.{}.{}", parts[0], encode_json(&widened), parts[2]), TicketError::BadSignature),
            (
                "alg none without signature",
                format!("{}.{}.", header(r#"{"alg":"none","kid":"k1","typ":"artifacts-ticket+jwt"}"#), parts[1]),
                TicketError::WrongAlgorithm,
            ),
            (
                "alg HS256 keyed with the public key",
                format!("{}.{}.{}", header(r#"{"alg":"HS256","kid":"k1","typ":"artifacts-ticket+jwt"}"#), parts[1], parts[2]),
                TicketError::WrongAlgorithm,
            ),
            (
                "another kind of token",
                format!("{}.{}.{}", header(r#"{"alg":"EdDSA","kid":"k1","typ":"JWT"}"#), parts[1], parts[2]),
                TicketError::Malformed("header"),
            ),
            ("four parts", format!("{token}.x"), TicketError::Malformed("not three parts")),
            ("empty", String::new(), TicketError::Malformed("not three parts")),
            ("huge", "a".repeat(LONGEST_TOKEN_BYTES + 1), TicketError::Malformed("too long")),
            ("cut signature", token[..token.len() - 4].to_owned(), TicketError::Malformed("signature")),
        ];
        for (what, forged, expected) in cases {
            assert_eq!(verify(&forged, &trusted(), NOW), Err(expected), "{what}");
        }
    }

    #[test]
    fn no_single_changed_character_verifies() {
        let token = sign(&claims(), "k1", &key(1));
        for index in 0..token.len() {
            let mut bytes = token.clone().into_bytes();
            bytes[index] = if bytes[index] == b'A' { b'B' } else { b'A' };
            let changed = String::from_utf8(bytes).unwrap();
            assert!(verify(&changed, &trusted(), NOW).is_err(), "byte {index}");
        }
    }
}
