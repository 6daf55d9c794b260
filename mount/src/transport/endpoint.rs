use std::fmt;
use std::str::FromStr;

use reqwest::Url;

/// The address of a control node, `http(s)://host[:port][/prefix]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Endpoint(Url);

impl Endpoint {
    /// Whether the way there is encrypted.
    pub(crate) fn is_tls(&self) -> bool {
        self.0.scheme() == "https"
    }

    /// A name or an address; an IPv6 one without its brackets.
    pub(crate) fn host(&self) -> &str {
        self.0.host_str().unwrap_or_default().trim_start_matches('[').trim_end_matches(']')
    }

    /// The port.
    pub(crate) fn port(&self) -> u16 {
        self.0.port_or_known_default().unwrap_or(if self.is_tls() { 443 } else { 80 })
    }

    /// An address below this one; `path` begins with `/`.
    pub(crate) fn at(&self, path: &str) -> String {
        format!("{}{path}", self.0.as_str().trim_end_matches('/'))
    }

    /// The address of the session stream, as a WebSocket address.
    pub(crate) fn stream(&self) -> String {
        self.at("/v1/stream").replacen("http", "ws", 1)
    }

    /// The address of the stream of proofs, as a WebSocket address.
    pub(crate) fn proofs(&self) -> String {
        self.at("/v1/proofs").replacen("http", "ws", 1)
    }
}

impl FromStr for Endpoint {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let url = Url::parse(text).map_err(|error| format!("{text}: {error}"))?;
        match url.scheme() {
            "http" | "https" if url.host_str().is_some_and(|host| !host.is_empty()) => Ok(Self(url)),
            _ => Err(format!("{text}: expected http://… or https://…")),
        }
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.as_str().trim_end_matches('/'))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn addresses_are_taken_apart_and_put_together() {
        for (text, stream, host, port, tls) in [
            ("http://127.0.0.1:7700", "ws://127.0.0.1:7700/v1/stream", "127.0.0.1", 7700, false),
            ("https://node.example/", "wss://node.example/v1/stream", "node.example", 443, true),
            ("https://node.example/http/", "wss://node.example/http/v1/stream", "node.example", 443, true),
            ("http://[::1]:7700", "ws://[::1]:7700/v1/stream", "::1", 7700, false),
        ] {
            let endpoint: Endpoint = text.parse().unwrap();
            assert_eq!(endpoint.stream(), stream);
            assert_eq!((endpoint.host(), endpoint.port(), endpoint.is_tls()), (host, port, tls));
        }
        for bad in ["", "node:7700", "ftp://node", "http://"] {
            assert!(bad.parse::<Endpoint>().is_err(), "{bad}");
        }
    }
}
