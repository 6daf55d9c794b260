use anyhow::{Context as _, Result};
use artifacts_core::ticket::{Mode, TicketClaims, sign};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL;
use ed25519_dalek::SigningKey;
use serde_json::{Value, json};

/// What somebody who holds a good ticket, and no signing key, can make of it.
#[derive(Debug, Clone)]
pub struct Forge {
    header: Value,
    claims: TicketClaims,
    parts: [String; 3],
}

impl Forge {
    /// Takes a ticket file apart.
    ///
    /// # Errors
    /// If it is not one.
    pub fn new(ticket: &Value) -> Result<Self> {
        let token = ticket["token"].as_str().context("the ticket has no token")?;
        let parts: Vec<String> = token.split('.').map(str::to_owned).collect();
        let parts: [String; 3] = parts.try_into().ok().context("not a compact JWS")?;
        let header = serde_json::from_slice(&BASE64URL.decode(&parts[0])?)?;
        let claims = serde_json::from_slice(&BASE64URL.decode(&parts[1])?)?;
        Ok(Self { header, claims, parts })
    }

    /// What the ticket says.
    pub fn claims(&self) -> &TicketClaims {
        &self.claims
    }

    /// Tokens that claim more than the ticket does, each with what is wrong with it.
    pub fn forgeries(&self) -> Vec<(&'static str, String)> {
        let stranger = SigningKey::from_bytes(&[7; 32]);
        let kid = self.header["kid"].as_str().unwrap_or("");
        let mut later = self.claims.clone();
        later.exp += 1_000_000;
        let mut wider = self.claims.clone();
        wider.mode = Mode::Rw;
        wider.subpath = None;
        vec![
            ("signed by a key nobody knows", sign(&self.claims, "unknown-key", &stranger)),
            ("signed by another key under a known name", sign(&self.claims, kid, &stranger)),
            ("later expiry, old signature", self.with_claims(&later)),
            ("wider rights, old signature", self.with_claims(&wider)),
            ("alg none, no signature", self.with_header(json!({"alg": "none", "kid": kid, "typ": self.header["typ"]}), "")),
            ("alg none, old signature", self.with_header(json!({"alg": "none", "kid": kid, "typ": self.header["typ"]}), &self.parts[2])),
            ("alg HS256", self.with_header(json!({"alg": "HS256", "kid": kid, "typ": self.header["typ"]}), &self.parts[2])),
            ("its own key in the header", self.with_header(json!({"alg": "EdDSA", "jwk": {"kty": "OKP"}}), &self.parts[2])),
            ("no signature", format!("{}.{}.", self.parts[0], self.parts[1])),
            ("two parts", format!("{}.{}", self.parts[0], self.parts[1])),
            ("four parts", format!("{}.{}.{}.x", self.parts[0], self.parts[1], self.parts[2])),
            ("empty", String::new()),
            ("far too long", "a".repeat(100_000)),
        ]
    }

    fn with_claims(&self, claims: &TicketClaims) -> String {
        let claims = serde_json::to_vec(claims).unwrap_or_default();
        format!("{}.{}.{}", self.parts[0], BASE64URL.encode(claims), self.parts[2])
    }

    fn with_header(&self, header: Value, signature: &str) -> String {
        format!("{}.{}.{signature}", BASE64URL.encode(header.to_string()), self.parts[1])
    }
}
