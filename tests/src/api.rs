use std::sync::OnceLock;

use anyhow::{Context as _, Result, ensure};
use reqwest::Method;
use reqwest::blocking::Client;
use serde_json::Value;

use crate::time::Duration;

/// A client of the HTTP API with one credential.
#[derive(Debug, Clone)]
pub struct Api {
    base: String,
    token: Option<String>,
    http: Client,
}

/// What the node answered.
#[derive(Debug, Clone)]
pub struct Reply {
    /// The HTTP status.
    pub status: u16,
    /// `x-request-id`.
    pub request_id: Option<String>,
    /// `Retry-After`.
    pub retry_after: Option<String>,
    /// The body, [`Value::Null`] if it is not JSON.
    pub body: Value,
    /// The body as text.
    pub text: String,
}

impl Api {
    /// A client of the node at `base` without a credential.
    ///
    /// # Errors
    /// If the client cannot be made.
    pub fn new(base: &str) -> Result<Self> {
        Ok(Self { base: base.to_owned(), token: None, http: http_client(Duration::from_secs(60))? })
    }

    /// The same client with a credential.
    #[must_use]
    pub fn with_token(&self, token: &str) -> Self {
        Self { token: Some(token.to_owned()), ..self.clone() }
    }

    /// The same client without one.
    #[must_use]
    pub fn without_token(&self) -> Self {
        Self { token: None, ..self.clone() }
    }

    /// The credential.
    pub fn token(&self) -> &str {
        self.token.as_deref().unwrap_or("")
    }

    /// Where the node is.
    pub fn base(&self) -> &str {
        &self.base
    }

    /// Any call.
    ///
    /// # Errors
    /// Only if no answer came.
    pub fn send(&self, method: &str, path: &str, body: Option<&Value>) -> Result<Reply> {
        let body = body.map(|value| ("application/json", value.to_string().into_bytes()));
        self.send_bytes(method, path, &[], body)
    }

    /// Any call with any headers and body.
    ///
    /// # Errors
    /// Only if no answer came.
    pub fn send_bytes(&self, method: &str, path: &str, headers: &[(&str, &str)], body: Option<(&str, Vec<u8>)>) -> Result<Reply> {
        let mut request = self.http.request(Method::from_bytes(method.as_bytes())?, format!("{}{path}", self.base));
        if let Some(token) = &self.token {
            request = request.bearer_auth(token);
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if let Some((content_type, bytes)) = body {
            request = request.header("content-type", content_type).body(bytes);
        }
        let answer = request.send().with_context(|| format!("{method} {path}"))?;
        let header = |name: &str| answer.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
        let (status, request_id, retry_after) = (answer.status().as_u16(), header("x-request-id"), header("retry-after"));
        // A stream of events has no end.
        let endless = header("content-type").is_some_and(|kind| kind.starts_with("text/event-stream"));
        let text = if endless { String::new() } else { answer.text()? };
        let body = serde_json::from_str(&text).unwrap_or(Value::Null);
        Ok(Reply { status, request_id, retry_after, body, text })
    }

    /// A GET that must succeed.
    ///
    /// # Errors
    /// If it does not.
    pub fn get(&self, path: &str) -> Result<Value> {
        self.send("GET", path, None)?.success().with_context(|| format!("GET {path}"))
    }

    /// A POST that must succeed.
    ///
    /// # Errors
    /// If it does not.
    pub fn post(&self, path: &str, body: &Value) -> Result<Value> {
        self.send("POST", path, Some(body))?.success().with_context(|| format!("POST {path}"))
    }

    /// A DELETE that must succeed.
    ///
    /// # Errors
    /// If it does not.
    pub fn delete(&self, path: &str) -> Result<Value> {
        self.send("DELETE", path, None)?.success().with_context(|| format!("DELETE {path}"))
    }

    /// All items of a paginated list, fetched in small pages so that pagination is exercised.
    ///
    /// # Errors
    /// If a page cannot be had.
    pub fn list(&self, path: &str) -> Result<Vec<Value>> {
        let mut items = Vec::new();
        let mut cursor: Option<String> = None;
        loop {
            let separator = if path.contains('?') { '&' } else { '?' };
            let cursor_part = cursor.map(|cursor| format!("&cursor={cursor}")).unwrap_or_default();
            let page = self.get(&format!("{path}{separator}limit=3{cursor_part}"))?;
            let page_items = page["items"].as_array().with_context(|| format!("{path}: no items in {page}"))?;
            ensure!(page_items.len() <= 3, "{path}: a page of {} though 3 were asked for", page_items.len());
            items.extend(page_items.iter().cloned());
            match page["next_cursor"].as_str() {
                Some(next) => cursor = Some(next.to_owned()),
                None => return Ok(items),
            }
        }
    }
}

impl Reply {
    /// The error code; empty if there is none.
    pub fn code(&self) -> &str {
        self.body["code"].as_str().unwrap_or("")
    }

    /// The body of a good answer.
    ///
    /// # Errors
    /// If it is an error.
    pub fn success(self) -> Result<Value> {
        ensure!((200..300).contains(&self.status), "answered {} {}", self.status, self.text);
        Ok(self.body)
    }

    /// Checks that this is the documented error: status, code, a message and the request's id in body and header.
    ///
    /// # Errors
    /// If it is anything else.
    pub fn expect_error(&self, status: u16, code: &str) -> Result<()> {
        ensure!(
            self.status == status && self.code() == code,
            "expected {status} {code}, got {} {}",
            self.status,
            if self.text.is_empty() { "with an empty body" } else { &self.text }
        );
        ensure!(self.body["message"].as_str().is_some_and(|message| !message.is_empty()), "{code} has no message: {}", self.text);
        ensure!(
            self.request_id.is_some() && self.body["request_id"].as_str() == self.request_id.as_deref(),
            "{code}: request id {:?} in the header, {} in the body",
            self.request_id,
            self.body["request_id"]
        );
        Ok(())
    }
}

/// A client that goes where it is told, without a proxy.
///
/// # Errors
/// If it cannot be made.
pub fn http_client(limit: Duration) -> Result<Client> {
    static PROVIDER: OnceLock<()> = OnceLock::new();
    PROVIDER.get_or_init(|| {
        // Fails only if some other part of the process has chosen one, which is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
    });
    Ok(Client::builder().timeout(limit).no_proxy().build()?)
}
