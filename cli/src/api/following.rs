use std::time::Duration;

use super::client::Client;
use super::error::ApiError;
use super::events::{Event, Events};
use crate::time;

/// How long to wait before a stream that broke is opened again.
const AGAIN: Duration = Duration::from_secs(1);

/// The audit trail from now on, whatever becomes of the stream: one that breaks is taken up again where it was.
pub(crate) struct Following<'a> {
    client: &'a Client,
    filters: &'a [(&'a str, String)],
    stream: Option<Events>,
    seen: Option<String>,
}

impl<'a> Following<'a> {
    /// Of the entries that match all of `filters`.
    pub(crate) const fn new(client: &'a Client, filters: &'a [(&'a str, String)]) -> Self {
        Self { client, filters, stream: None, seen: None }
    }

    /// The next event; the first is `ready`. May be dropped before it answers, and asked again.
    ///
    /// # Errors
    /// It cannot be followed at all, or not any more.
    pub(crate) async fn next(&mut self) -> Result<Event, ApiError> {
        loop {
            let stream = match self.stream.take() {
                Some(stream) => stream,
                None => match self.client.audit_events(self.filters, self.seen.as_deref()).await {
                    Ok(stream) => stream,
                    // The first time it may as well be a wrong address.
                    Err(error) if self.seen.is_some() && may_pass(&error) => {
                        time::sleep(AGAIN).await;
                        continue;
                    }
                    Err(error) => return Err(error),
                },
            };
            match self.stream.insert(stream).next().await {
                Ok(Some(event)) => {
                    self.seen = event.id.clone().or(self.seen.take());
                    return Ok(event);
                }
                Ok(None) | Err(_) => {
                    self.stream = None;
                    time::sleep(AGAIN).await;
                }
            }
        }
    }
}

fn may_pass(error: &ApiError) -> bool {
    match error {
        ApiError::Unreachable { .. } => true,
        ApiError::Answer { code, .. } => code == "unavailable",
        _ => false,
    }
}
