//! Which shard a request of the API is about, from what it bears.

use artifacts_core::cluster::{Shard, ShardMap};
use artifacts_core::{SessionId, ticket};
use axum::http::header::AUTHORIZATION;
use axum::http::{HeaderMap, Method};
use serde::Deserialize;

use crate::random::secret_hash;

/// The call that makes an account, with the admin token.
const ACCOUNTS: &str = "/v1/accounts";
/// The calls of agents that exchange data, with their session.
const DATA: &str = "/v1/data/";

/// A request, as far as it says where it belongs.
pub(super) struct Asked<'a> {
    pub(super) method: &'a Method,
    pub(super) path: &'a str,
    pub(super) headers: &'a HeaderMap,
    pub(super) body: &'a [u8],
}

/// The shard of the account that calls; for an agent's data that of its session; for a new account that of its handle. `None` if
/// it makes no difference: the call is refused wherever it is made.
pub(super) fn of_request(map: ShardMap, asked: Asked<'_>, is_admin: impl Fn(&str) -> bool) -> Option<Shard> {
    #[derive(Deserialize)]
    struct NewAccount {
        handle: String,
    }

    let Asked { method, path, headers, body } = asked;
    let bearer = bearer(headers)?;
    if path.starts_with(DATA) {
        let (session, _) = bearer.split_once('.')?;
        return session.parse::<SessionId>().ok().map(|session| map.of(session));
    }
    if path == ACCOUNTS && *method == Method::POST && is_admin(bearer) {
        let wanted = serde_json::from_slice::<NewAccount>(body).ok()?;
        return Some(map.of_bytes(wanted.handle.as_bytes()));
    }
    if bearer.contains('.') {
        return ticket::peek(bearer).map(|claims| map.of(claims.account));
    }
    Some(map.of_bytes(&secret_hash(bearer)))
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

    fn map() -> ShardMap {
        ShardMap::new(16).unwrap()
    }

    fn place(method: &Method, path: &str, bearer: &str, body: &str) -> Option<Shard> {
        let header = HeaderValue::from_str(&format!("Bearer {bearer}")).unwrap();
        let headers = HeaderMap::from_iter([(AUTHORIZATION, header)]);
        of_request(map(), Asked { method, path, headers: &headers, body: body.as_bytes() }, |token| token == "tbo_admin")
    }

    #[test]
    fn each_call_says_where_it_belongs() {
        let of_key = Some(map().of_bytes(&secret_hash("tbo_secret")));
        assert_eq!(place(&Method::GET, "/v1/workspaces", "tbo_secret", ""), of_key);
        assert_eq!(place(&Method::POST, "/v1/tenants", "tbo_secret", r#"{"handle":"acme"}"#), of_key);
        assert_eq!(place(&Method::POST, ACCOUNTS, "tbo_admin", r#"{"handle":"acme"}"#), Some(map().of_bytes(b"acme")));
        assert_eq!(place(&Method::POST, ACCOUNTS, "tbo_secret", r#"{"handle":"acme"}"#), of_key);
        let session = SessionId::from_bits(77);
        assert_eq!(place(&Method::PUT, "/v1/data/seg_1", &format!("{session}.secret"), ""), Some(map().of(session)));
        let claims = TicketClaims {
            jti: artifacts_core::TicketId::from_bits(1),
            account: AccountId::from_bits(5),
            grant: artifacts_core::GrantId::from_bits(2),
            tenant: "t".parse().unwrap(),
            runtime: "r".parse().unwrap(),
            workspace: artifacts_core::WorkspaceId::from_bits(3),
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
        let (kid, key) = ring.current().unwrap();
        let ticket = sign(&claims, kid, &key);
        assert_eq!(place(&Method::POST, "/v1/workspaces/acme/w/locks/l/acquire", &ticket, ""), Some(map().of(AccountId::from_bits(5))));
    }

    #[test]
    fn what_says_nothing_belongs_nowhere() {
        let (method, headers) = (Method::GET, HeaderMap::new());
        assert_eq!(of_request(map(), Asked { method: &method, path: "/v1/whoami", headers: &headers, body: b"" }, |_| true), None);
        assert_eq!(place(&Method::POST, ACCOUNTS, "tbo_admin", "{"), None);
        assert_eq!(place(&Method::GET, "/v1/data/seg_1", "no-session", ""), None);
        assert_eq!(place(&Method::GET, "/v1/whoami", "a.b.c", ""), None);
    }
}
