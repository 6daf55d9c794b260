use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::body::Body;
use axum::extract::Request;
use axum::http::Response;
use axum::middleware::Next;
use bytes::Bytes;
use hyper::body::{Body as HttpBody, Frame, SizeHint};
use parking_lot::Mutex;

use crate::locks::Claim;

/// The claim to a lock that an answer speaks of, on its way to the client.
#[derive(Clone)]
pub(super) struct Delivery(Arc<Mutex<Option<Claim>>>);

impl Delivery {
    /// Goes with the answer as an extension.
    pub(super) fn of(claim: Claim) -> Self {
        Self(Arc::new(Mutex::new(Some(claim))))
    }
}

/// Lets a lock go to the next if the client hangs up before the answer has been handed to its socket.
pub(super) async fn watch(request: Request, next: Next) -> Response<Body> {
    let mut response = next.run(request).await;
    let Some(Delivery(claim)) = response.extensions_mut().remove() else { return response };
    let claim = claim.lock().take();
    response.map(|body| Body::new(Claimed { body, claim }))
}

/// A body whose end keeps a claim. Dropped before, the claim is dropped, too.
struct Claimed {
    body: Body,
    claim: Option<Claim>,
}

impl HttpBody for Claimed {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(cx);
        let ended = matches!(polled, Poll::Ready(None)) || (polled.is_ready() && self.body.is_end_stream());
        if ended && let Some(claim) = self.claim.take() {
            claim.keep();
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
