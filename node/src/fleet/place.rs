//! Where things have their home, and which home a request of the API is about, from what it bears.

use artifacts_core::cluster::{Region, Regions, Shard, ShardMap};
use artifacts_core::id::Kind;
use artifacts_core::{Id, SessionId, ticket};
use axum::http::header::AUTHORIZATION;
use axum::http::{HeaderMap, Method};
use serde::Deserialize;

use crate::random::secret_hash;

/// The call that makes an account, with the admin token.
const ACCOUNTS: &str = "/v1/accounts";
/// The call that replaces the key which signs, with the admin token.
const SIGNING_KEYS: &str = "/v1/signing-keys/rotate";
/// The calls of agents that exchange data, with their session.
const DATA: &str = "/v1/data/";

/// Where a thing lives: in which region, and in which shard of however many that one has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Home {
    pub(super) region: Region,
    spot: Spot,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Spot {
    Shard(Shard),
    /// Where what has this id lies.
    Id([u8; 16]),
    /// Where the account with the key of this hash lies.
    Key([u8; 32]),
    /// Where the account with this handle lies.
    Handle(String),
}

impl Home {
    /// A shard.
    pub(super) fn shard(region: &Region, shard: Shard) -> Self {
        Self { region: region.clone(), spot: Spot::Shard(shard) }
    }

    /// Of an account, a workspace or a session.
    pub(super) fn of<K: Kind>(region: &Region, id: Id<K>) -> Self {
        Self { region: region.clone(), spot: Spot::Id(id.bits().to_be_bytes()) }
    }

    /// Of the account with this handle, if there is one.
    pub(super) fn of_handle(region: &Region, handle: &str) -> Self {
        Self { region: region.clone(), spot: Spot::Handle(handle.to_owned()) }
    }

    /// Of the account with this API key.
    pub(super) fn of_key(regions: &Regions, secret: &str) -> Self {
        Self { region: regions.of_marked(secret).clone(), spot: Spot::Key(secret_hash(secret)) }
    }

    /// Of the account that a ticket names; `None` if it is none.
    pub(super) fn of_ticket(regions: &Regions, token: &str) -> Option<Self> {
        Some(Self::of(of_signer(regions, token)?, ticket::peek(token)?.account))
    }

    /// Of the workspace that a ticket names.
    pub(super) fn of_ticket_workspace(regions: &Regions, token: &str) -> Option<Self> {
        let claims = ticket::peek(token)?;
        let region = match &claims.region {
            Some(region) => region,
            None => of_signer(regions, token)?,
        };
        Some(Self::of(region, claims.workspace))
    }

    /// Of a session with this secret.
    pub(super) fn of_session(regions: &Regions, session: SessionId, secret: &str) -> Self {
        Self::of(regions.of_marked(secret), session)
    }

    /// Which of its region's shards.
    pub(super) fn shard_in(&self, map: ShardMap) -> Shard {
        match &self.spot {
            Spot::Shard(shard) => *shard,
            Spot::Id(id) => map.of_bytes(id),
            Spot::Key(hash) => map.of_bytes(hash),
            Spot::Handle(handle) => map.of_bytes(handle.as_bytes()),
        }
    }
}

/// The region whose key a ticket is signed with, if that is true.
fn of_signer<'a>(regions: &'a Regions, token: &str) -> Option<&'a Region> {
    Some(regions.of_marked(&ticket::peek_key(token)?))
}

/// A request, as far as it says where it belongs.
pub(super) struct Asked<'a> {
    pub(super) method: &'a Method,
    pub(super) path: &'a str,
    pub(super) headers: &'a HeaderMap,
    pub(super) body: &'a [u8],
}

/// The home of the account that calls; for an agent's data that of its session; for a new account that of its handle. `None` if
/// it makes no difference: the call is refused wherever it is made.
pub(super) fn of_request(regions: &Regions, asked: Asked<'_>, is_admin: impl Fn(&str) -> bool) -> Option<Home> {
    #[derive(Deserialize)]
    struct NewAccount {
        handle: String,
        region: Option<String>,
    }

    let Asked { method, path, headers, body } = asked;
    let bearer = bearer(headers)?;
    if path.starts_with(DATA) {
        let (session, secret) = bearer.split_once('.')?;
        return session.parse::<SessionId>().ok().map(|session| Home::of_session(regions, session, secret));
    }
    if path == ACCOUNTS && *method == Method::POST && is_admin(bearer) {
        let wanted = serde_json::from_slice::<NewAccount>(body).ok()?;
        // A region that there is not is refused by whoever is asked.
        let region = wanted.region.and_then(|name| regions.get(&name)).unwrap_or(regions.here());
        return Some(Home::of_handle(region, &wanted.handle));
    }
    // Each region has its own.
    if path == SIGNING_KEYS && *method == Method::POST && is_admin(bearer) {
        return Some(Home::shard(regions.here(), ShardMap::SINGLE.of_cluster()));
    }
    if bearer.contains('.') {
        return Home::of_ticket(regions, bearer);
    }
    Some(Home::of_key(regions, bearer))
}

/// The token of `Authorization: Bearer …`; the gate is stricter.
pub(super) fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use artifacts_core::AccountId;
    use artifacts_core::ticket::{KeyRing, Mode, TicketClaims, sign};
    use axum::http::HeaderValue;

    use super::*;

    fn regions() -> Regions {
        Regions::new("us", &["eu".to_owned(), "us".to_owned()]).unwrap()
    }

    fn eu() -> Region {
        "eu".into()
    }

    fn us() -> Region {
        "us".into()
    }

    fn place(method: &Method, path: &str, bearer: &str, body: &str) -> Option<Home> {
        let header = HeaderValue::from_str(&format!("Bearer {bearer}")).unwrap();
        let headers = HeaderMap::from_iter([(AUTHORIZATION, header)]);
        of_request(&regions(), Asked { method, path, headers: &headers, body: body.as_bytes() }, |token| token == "tbo_admin")
    }

    #[test]
    fn each_call_says_where_it_belongs() {
        let of_key = Some(Home { region: eu(), spot: Spot::Key(secret_hash("tbo_secret")) });
        assert_eq!(place(&Method::GET, "/v1/workspaces", "tbo_secret", ""), of_key);
        assert_eq!(place(&Method::POST, "/v1/tenants", "tbo_secret", r#"{"handle":"acme"}"#), of_key);
        assert_eq!(place(&Method::POST, ACCOUNTS, "tbo_admin", r#"{"handle":"acme"}"#), Some(Home::of_handle(&us(), "acme")));
        assert_eq!(place(&Method::POST, ACCOUNTS, "tbo_admin", r#"{"handle":"acme","region":"eu"}"#), Some(Home::of_handle(&eu(), "acme")));
        assert_eq!(place(&Method::POST, ACCOUNTS, "tbo_admin", r#"{"handle":"acme","region":"no"}"#), Some(Home::of_handle(&us(), "acme")));
        let of_cluster = Some(Home::shard(&us(), Shard(0)));
        assert_eq!(place(&Method::POST, SIGNING_KEYS, "tbo_admin", ""), of_cluster);
        let of_us = Some(Home { region: us(), spot: Spot::Key(secret_hash("tbo_secret_us")) });
        assert_eq!(place(&Method::GET, "/v1/workspaces", "tbo_secret_us", ""), of_us);
        assert_eq!(place(&Method::POST, ACCOUNTS, "tbo_secret", r#"{"handle":"acme"}"#), of_key);
        let session = SessionId::from_bits(77);
        assert_eq!(place(&Method::PUT, "/v1/data/seg_1", &format!("{session}.secret"), ""), Some(Home::of(&eu(), session)));
        assert_eq!(place(&Method::PUT, "/v1/data/seg_1", &format!("{session}.secret_us"), ""), Some(Home::of(&us(), session)));
        let claims = TicketClaims {
            jti: artifacts_core::TicketId::from_bits(1),
            account: AccountId::from_bits(5),
            grant: artifacts_core::GrantId::from_bits(2),
            tenant: "t".parse().unwrap(),
            runtime: "r".parse().unwrap(),
            workspace: artifacts_core::WorkspaceId::from_bits(3),
            region: None,
            handle: "acme".parse().unwrap(),
            name: "w".parse().unwrap(),
            mode: Mode::Rw,
            subpath: None,
            iat: 1,
            exp: 2,
            renewable: false,
        };
        let mut ring = KeyRing::default();
        ring.rotate("k".to_owned(), [1; 32], artifacts_core::Timestamp::from_unix_ms(0), 0);
        let (_, key) = ring.current(artifacts_core::Timestamp::from_unix_ms(0)).unwrap();
        let path = "/v1/workspaces/acme/w/locks/l/acquire";
        for (kid, region) in [("sk_1", eu()), ("sk_1_us", us())] {
            let ticket = sign(&claims, kid, &key);
            assert_eq!(place(&Method::POST, path, &ticket, ""), Some(Home::of(&region, AccountId::from_bits(5))));
            assert_eq!(Home::of_ticket_workspace(&regions(), &ticket), Some(Home::of(&region, claims.workspace)));
        }
        let there = TicketClaims { region: Some(eu()), ..claims.clone() };
        assert_eq!(Home::of_ticket_workspace(&regions(), &sign(&there, "sk_1_us", &key)), Some(Home::of(&eu(), claims.workspace)));
    }

    #[test]
    fn what_says_nothing_belongs_nowhere() {
        let (method, headers) = (Method::GET, HeaderMap::new());
        assert_eq!(of_request(&regions(), Asked { method: &method, path: "/v1/whoami", headers: &headers, body: b"" }, |_| true), None);
        assert_eq!(place(&Method::POST, ACCOUNTS, "tbo_admin", "{"), None);
        assert_eq!(place(&Method::GET, "/v1/data/seg_1", "no-session", ""), None);
        assert_eq!(place(&Method::GET, "/v1/whoami", "a.b.c", ""), None);
    }
}
