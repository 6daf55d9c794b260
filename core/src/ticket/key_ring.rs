use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL;
use ed25519_dalek::{SigningKey, VerifyingKey};
use serde::{Deserialize, Serialize};

use crate::Timestamp;

/// The public keys that a verifier trusts, by `kid`.
#[derive(Debug, Clone, Default)]
pub struct VerifyingKeys(BTreeMap<String, VerifyingKey>);

impl VerifyingKeys {
    /// The key named `kid`, if it is trusted.
    pub fn get(&self, kid: &str) -> Option<&VerifyingKey> {
        self.0.get(kid)
    }
}

impl FromIterator<(String, VerifyingKey)> for VerifyingKeys {
    fn from_iter<T: IntoIterator<Item = (String, VerifyingKey)>>(keys: T) -> Self {
        Self(keys.into_iter().collect())
    }
}

/// One signing key as it is kept in the store. The secret never leaves the control nodes.
#[derive(Clone, Serialize, Deserialize)]
pub struct SigningKeyRecord {
    /// The name in the header of what it signs.
    pub kid: String,
    /// The ed25519 seed.
    pub secret: [u8; 32],
    /// From when it signs.
    pub created_at: Timestamp,
    /// From when it signs no more; absent for the one that signs now.
    pub retired_at: Option<Timestamp>,
}

impl std::fmt::Debug for SigningKeyRecord {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SigningKeyRecord").field("kid", &self.kid).finish_non_exhaustive()
    }
}

/// The signing keys of a cluster: one signs, the retired ones stay published until nothing they signed can be
/// alive any more, then they are dropped.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct KeyRing {
    keys: Vec<SigningKeyRecord>,
}

/// A key as the world sees it.
#[derive(Debug, Clone)]
pub struct PublishedKey {
    /// Its name.
    pub kid: String,
    /// Its public half.
    pub key: VerifyingKey,
}

/// A JSON Web Key (RFC 7517) for ed25519 (RFC 8037 section 2).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "field names are the RFC's")]
pub struct Jwk {
    pub kty: String,
    pub crv: String,
    pub x: String,
    pub kid: String,
    pub alg: String,
    #[serde(rename = "use")]
    pub usage: String,
}

/// A JSON Web Key set, the body of `/.well-known/jwks.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Jwks {
    /// The keys.
    pub keys: Vec<Jwk>,
}

impl KeyRing {
    /// Makes `secret` the key that signs from `now` on, retires the one before it, and drops retired keys whose
    /// last signature is older than `longest_ticket_ms`.
    pub fn rotate(&mut self, kid: String, secret: [u8; 32], now: Timestamp, longest_ticket_ms: u64) {
        self.drop_retired(now, longest_ticket_ms);
        self.announce(kid, secret, now);
    }

    /// Makes `secret` the key that signs from `from` on: it is published at once, so that by then everybody knows it.
    pub fn announce(&mut self, kid: String, secret: [u8; 32], from: Timestamp) {
        for key in &mut self.keys {
            key.retired_at.get_or_insert(from);
        }
        self.keys.push(SigningKeyRecord { kid, secret, created_at: from, retired_at: None });
    }

    /// Drops retired keys whose last signature is older than `longest_ticket_ms`. Answers whether there were any.
    pub fn drop_retired(&mut self, now: Timestamp, longest_ticket_ms: u64) -> bool {
        let before = self.keys.len();
        self.keys.retain(|key| key.retired_at.is_none_or(|at| at.plus_ms(longest_ticket_ms) > now));
        self.keys.len() < before
    }

    /// The key that signs at `now`; `None` until the first rotation. A clock that is behind that of whoever made the keys does not
    /// leave one without a key.
    pub fn current(&self, now: Timestamp) -> Option<(&str, SigningKey)> {
        let record = self.keys.iter().rev().find(|key| key.created_at <= now).or(self.keys.first())?;
        Some((&record.kid, SigningKey::from_bytes(&record.secret)))
    }

    /// The key for what has to be verified at once: the newest that has been published for so long, or else the only one there is.
    pub fn settled(&self, now: Timestamp, published_ms: u64) -> Option<(&str, SigningKey)> {
        let is_settled = |key: &&SigningKeyRecord| key.created_at.plus_ms(published_ms) <= now;
        let record = self.keys.iter().rev().find(is_settled).or(self.keys.first())?;
        Some((&record.kid, SigningKey::from_bytes(&record.secret)))
    }

    /// From when the newest key signs.
    pub fn newest_from(&self) -> Option<Timestamp> {
        self.keys.last().map(|key| key.created_at)
    }

    /// All keys whose signatures may still be alive.
    pub fn published(&self) -> impl Iterator<Item = PublishedKey> + '_ {
        self.keys.iter().map(|record| PublishedKey { kid: record.kid.clone(), key: SigningKey::from_bytes(&record.secret).verifying_key() })
    }

    /// The published keys as a verifier wants them.
    pub fn verifying_keys(&self) -> VerifyingKeys {
        self.published().map(|key| (key.kid, key.key)).collect()
    }

    /// The published keys as a JWKS document.
    pub fn jwks(&self) -> Jwks {
        let jwk = |key: PublishedKey| Jwk {
            kty: "OKP".to_owned(),
            crv: "Ed25519".to_owned(),
            x: BASE64URL.encode(key.key.as_bytes()),
            kid: key.kid,
            alg: "EdDSA".to_owned(),
            usage: "sig".to_owned(),
        };
        Jwks { keys: self.published().map(jwk).collect() }
    }
}

impl Jwks {
    /// The ed25519 keys in a published document; others are passed over, as RFC 7517 section 5 asks.
    pub fn verifying_keys(&self) -> VerifyingKeys {
        let decode = |jwk: &Jwk| -> Option<(String, VerifyingKey)> {
            if jwk.kty != "OKP" || jwk.crv != "Ed25519" {
                return None;
            }
            let bytes: [u8; 32] = BASE64URL.decode(&jwk.x).ok()?.try_into().ok()?;
            Some((jwk.kid.clone(), VerifyingKey::from_bytes(&bytes).ok()?))
        };
        self.keys.iter().filter_map(decode).collect()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const DAY_MS: u64 = 24 * 3600 * 1000;

    #[test]
    fn keys_rotate_without_a_flag_day() {
        let start = Timestamp::from_unix_ms(1_700_000_000_000);
        let mut ring = KeyRing::default();
        assert!(ring.current(start).is_none());
        ring.rotate("a".into(), [1; 32], start, DAY_MS);
        assert_eq!(ring.settled(start, 10).unwrap().0, "a", "there is no other");
        ring.rotate("b".into(), [2; 32], start.plus_ms(30 * DAY_MS), DAY_MS);
        assert_eq!(ring.settled(start.plus_ms(30 * DAY_MS + 9), 10).unwrap().0, "a");
        assert_eq!(ring.settled(start.plus_ms(30 * DAY_MS + 10), 10).unwrap().0, "b");
        assert_eq!(ring.current(start.plus_ms(30 * DAY_MS)).unwrap().0, "b");
        assert!(ring.verifying_keys().get("a").is_some(), "tickets signed by `a` may still live");
        ring.rotate("c".into(), [3; 32], start.plus_ms(31 * DAY_MS), DAY_MS);
        assert!(ring.verifying_keys().get("a").is_none(), "a day after `a` retired nothing it signed can live");
        assert!(ring.verifying_keys().get("b").is_some());
    }

    #[test]
    fn an_announced_key_is_published_before_it_signs_and_the_one_before_until_nothing_it_signed_lives() {
        let start = Timestamp::from_unix_ms(1_700_000_000_000);
        let at = |ms| start.plus_ms(ms);
        let mut ring = KeyRing::default();
        ring.announce("a".into(), [1; 32], start);
        ring.announce("b".into(), [2; 32], at(90));
        ring.announce("c".into(), [3; 32], at(100));
        for (ms, signs) in [(0, "a"), (89, "a"), (90, "b"), (99, "b"), (100, "c"), (DAY_MS, "c")] {
            assert_eq!(ring.current(at(ms)).unwrap().0, signs, "{ms}");
        }
        for (ms, settled) in [(5, "a"), (99, "a"), (100, "b"), (109, "b"), (110, "c")] {
            assert_eq!(ring.settled(at(ms), 10).unwrap().0, settled, "{ms}");
        }
        assert_eq!(ring.current(Timestamp::from_unix_ms(0)).unwrap().0, "a", "a clock that is behind");
        assert!(!ring.drop_retired(at(DAY_MS), DAY_MS - 89), "`a` signed until 90");
        assert!(ring.verifying_keys().get("a").is_some() && ring.verifying_keys().get("c").is_some());
        assert!(ring.drop_retired(at(DAY_MS + 1), DAY_MS - 89));
        assert!(ring.verifying_keys().get("a").is_none() && ring.verifying_keys().get("b").is_some());
    }

    #[test]
    fn a_published_document_verifies_like_the_ring() {
        let mut ring = KeyRing::default();
        ring.rotate("a".into(), [1; 32], Timestamp::from_unix_ms(0), DAY_MS);
        let json = serde_json::to_string(&ring.jwks()).unwrap();
        assert!(json.contains(r#""crv":"Ed25519""#) && json.contains(r#""use":"sig""#));
        let read: Jwks = serde_json::from_str(&json).unwrap();
        assert_eq!(read.verifying_keys().get("a"), ring.verifying_keys().get("a"));
    }
}
