//! Streams of events, as the node writes them.

use std::time::Duration;

use serde_json::Value;

use super::client::Client;
use super::error::ApiError;

/// Streams have no end of their own.
const ENDLESS: Duration = Duration::from_secs(365 * 24 * 3600);
/// A stream says something every 15 seconds; one that is silent for so long is broken.
const SILENT: Duration = Duration::from_secs(50);

impl Client {
    /// Opens a stream of events, after the event `after` if that is remembered.
    pub(super) async fn events(&self, path: &str, after: Option<&str>) -> Result<Events, ApiError> {
        let mut request = self.http.get(format!("{}{path}", self.url)).timeout(ENDLESS).bearer_auth(&self.bearer);
        if let Some(after) = after {
            request = request.header("Last-Event-ID", after);
        }
        let answer = request.send().await.map_err(|error| ApiError::unreachable(&self.url, &error))?;
        if !answer.status().is_success() {
            let status = answer.status();
            let body = answer.bytes().await.map_err(|error| ApiError::unreachable(&self.url, &error))?;
            return Err(self.read::<Value>(status, &body).err().unwrap_or_else(|| ApiError::foreign(status.as_u16(), &self.url)));
        }
        Ok(Events { answer, url: self.url.clone(), text: String::new(), part: Vec::new() })
    }
}

/// An event.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Event {
    /// What happened: `acquired`, `released`, …
    pub(crate) kind: String,
    /// Where to go on after it.
    pub(crate) id: Option<String>,
    /// What about.
    pub(crate) data: Value,
}

/// Events as they come: the stream of the WHATWG's "server-sent events", as the node writes it.
pub(crate) struct Events {
    answer: reqwest::Response,
    url: String,
    text: String,
    /// The beginning of a character whose end has not come yet.
    part: Vec<u8>,
}

impl Events {
    /// The next event; nothing when the node has ended the stream.
    ///
    /// # Errors
    /// The connection is broken.
    pub(crate) async fn next(&mut self) -> Result<Option<Event>, ApiError> {
        loop {
            if let Some(event) = next_event(&mut self.text) {
                return Ok(Some(event));
            }
            let chunk = match tokio::time::timeout(SILENT, self.answer.chunk()).await {
                Ok(chunk) => chunk.map_err(|error| ApiError::unreachable(&self.url, &error))?,
                Err(_) => {
                    return Err(ApiError::Unreachable { url: self.url.clone(), reason: "the stream is silent".to_owned() });
                }
            };
            let Some(chunk) = chunk else { return Ok(None) };
            self.part.extend_from_slice(&chunk);
            let whole = match std::str::from_utf8(&self.part) {
                Ok(_) => self.part.len(),
                Err(error) => error.valid_up_to(),
            };
            let rest = self.part.split_off(whole);
            self.text.push_str(&String::from_utf8_lossy(&self.part));
            self.part = rest;
        }
    }
}

/// Takes the first whole event from the text; comments are passed over.
fn next_event(text: &mut String) -> Option<Event> {
    while let Some((block, rest)) = text.split_once("\n\n") {
        let field = |name: &str| {
            let mut values = block.lines().filter_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
            values.next().map(|value| value.strip_prefix(' ').unwrap_or(value).to_owned())
        };
        let data = field("data").and_then(|data| serde_json::from_str(&data).ok());
        let event = data.map(|data| Event { kind: field("event").unwrap_or_default(), id: field("id"), data });
        *text = rest.to_owned();
        if event.is_some() {
            return event;
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn events_are_read_as_they_come() {
        let mut text =
            "event: ready\nid: 1-0\ndata: {}\n\n: comment\n\nevent:acquired\nid:1-1\ndata:{\"lock\":\"a: b\"}\n\nevent: rel".to_owned();
        let event = |kind: &str, id: &str, data| Some(Event { kind: kind.to_owned(), id: Some(id.to_owned()), data });
        assert_eq!(next_event(&mut text), event("ready", "1-0", json!({})));
        assert_eq!(next_event(&mut text), event("acquired", "1-1", json!({ "lock": "a: b" })));
        assert_eq!((next_event(&mut text), text.as_str()), (None, "event: rel"));
    }
}
