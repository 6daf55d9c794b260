use std::fmt;
use std::str::FromStr;

use crate::SessionId;
use crate::name::NodeName;

/// Keeps what is derived here apart from all else that could be made of a secret.
const DOMAIN: &str = "artifacts mesh guest v1";
const NAMES: &str = "artifacts mesh guest name v1";
/// A hash in hexadecimal digits.
const DIGITS: usize = 64;

/// What a guest shows to be given a cell: that it has a session. As text `{session}.{proof}`, and behind that the region which the
/// session's secret names, if it names one.
///
/// The proof is made of the secret, and nothing can be made of the proof: whoever hears it can ask for the cell while the session
/// stands, and neither resume the session nor reach its data.
#[derive(Clone, PartialEq, Eq)]
pub struct GuestBearer {
    session: SessionId,
    proof: [u8; 32],
    region: String,
}

/// The text is not what a guest shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("it is not what a guest shows to be let into the mesh")]
pub struct InvalidBearer;

impl GuestBearer {
    /// Of the session with this secret.
    pub fn new(session: SessionId, secret: &str) -> Self {
        let region = secret.rfind('_').map_or("", |at| &secret[at..]).to_owned();
        Self { session, proof: proof(session, blake3::hash(secret.as_bytes()).as_bytes()), region }
    }

    /// Whose it claims to be.
    pub fn session(&self) -> SessionId {
        self.session
    }

    /// Whether it was made of the secret with this BLAKE3 hash, in constant time.
    pub fn is_of(&self, secret_hash: &[u8; 32]) -> bool {
        blake3::Hash::from_bytes(self.proof) == blake3::Hash::from_bytes(proof(self.session, secret_hash))
    }
}

fn proof(session: SessionId, secret_hash: &[u8; 32]) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new_derive_key(DOMAIN);
    hasher.update(&session.bits().to_be_bytes()).update(secret_hash);
    *hasher.finalize().as_bytes()
}

/// What a guest is called in the mesh. It follows from its session, so a session has one place there, and tells the session's id to
/// nobody.
///
/// # Panics
/// Never: it is a name.
#[allow(clippy::expect_used, reason = "sixteen digits behind a word are a name")]
pub fn guest_name(session: SessionId) -> NodeName {
    let mut hasher = blake3::Hasher::new_derive_key(NAMES);
    hasher.update(&session.bits().to_be_bytes());
    let bits = hasher.finalize().as_bytes().first_chunk().copied().map_or(0, u64::from_be_bytes);
    format!("guest-{bits:016x}").parse().expect("a name")
}

impl fmt::Display for GuestBearer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}{}", self.session, blake3::Hash::from_bytes(self.proof).to_hex(), self.region)
    }
}

impl fmt::Debug for GuestBearer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GuestBearer").field("session", &self.session).finish_non_exhaustive()
    }
}

impl FromStr for GuestBearer {
    type Err = InvalidBearer;
    fn from_str(text: &str) -> Result<Self, InvalidBearer> {
        let (session, rest) = text.split_once('.').ok_or(InvalidBearer)?;
        let session = session.parse().map_err(|_| InvalidBearer)?;
        let (digits, region) = rest.split_at_checked(DIGITS).ok_or(InvalidBearer)?;
        let proof = *blake3::Hash::from_hex(digits).map_err(|_| InvalidBearer)?.as_bytes();
        let is_region = region.is_empty() || region.strip_prefix('_').is_some_and(|name| !name.is_empty() && !name.contains('_'));
        if is_region { Ok(Self { session, proof, region: region.to_owned() }) } else { Err(InvalidBearer) }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn hash(secret: &str) -> [u8; 32] {
        *blake3::hash(secret.as_bytes()).as_bytes()
    }

    #[test]
    fn a_bearer_is_of_one_session_and_its_secret() {
        let (one, other) = (SessionId::from_bits(1), SessionId::from_bits(2));
        for secret in ["0123abcXYZ", "0123abcXYZ_us-east"] {
            let bearer = GuestBearer::new(one, secret);
            let read: GuestBearer = bearer.to_string().parse().unwrap();
            assert_eq!((&read, read.session()), (&bearer, one));
            assert!(read.is_of(&hash(secret)) && !read.is_of(&hash("another")));
            assert!(!bearer.to_string().contains("0123abcXYZ") && !format!("{bearer:?}").contains(&bearer.to_string()[31..]));
            let moved = bearer.to_string().replace(&one.to_string(), &other.to_string());
            assert!(!moved.parse::<GuestBearer>().unwrap().is_of(&hash(secret)), "it opens another session's place");
        }
        assert!(GuestBearer::new(one, "0123abcXYZ_us-east").to_string().ends_with("_us-east"));
    }

    #[test]
    fn what_no_guest_shows_is_none() {
        let good = GuestBearer::new(SessionId::from_bits(1), "s").to_string();
        let umlauts = format!("{}.{}", SessionId::from_bits(1), "ü".repeat(40));
        for bad in [
            "",
            ".",
            "a.b",
            &good[1..],
            &good[..good.len() - 1],
            &format!("{good}0"),
            &format!("{good}_"),
            &format!("{good}_a_b"),
            &umlauts,
        ] {
            assert!(bad.parse::<GuestBearer>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_session_has_one_name_which_does_not_tell_it() {
        let (one, other) = (guest_name(SessionId::from_bits(1)), guest_name(SessionId::from_bits(2)));
        assert!(one != other && one == guest_name(SessionId::from_bits(1)));
        assert!(!one.as_str().contains("00000"));
    }
}
