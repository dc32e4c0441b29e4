//! Request and response bodies, drawn from the operation's budget.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::{Duration, Instant},
};

use async_graphql::futures_util::StreamExt;
use axum::body::{Body, Bytes};
use campaigns_graphql::{Code, Error};
use campaigns_scope::Budget;
use http::StatusCode;
use http_body::{Body as _, Frame, SizeHint};

use super::unreadable::Unreadable;

/// How much of a response is written at once.
const CHUNK: usize = 64 * 1024;

/// Reads a body of at most `max` bytes, within a time.
pub(crate) async fn read(
    body: Body,
    max: usize,
    time: Duration,
    budget: &Budget,
) -> Result<Vec<u8>, Unreadable> {
    let too_large = || {
        let error = Error::limit("body", format!("The body has more than {max} bytes."));
        Unreadable(StatusCode::PAYLOAD_TOO_LARGE, error)
    };
    // a declared length that is too long is refused without waiting for the body
    if body.size_hint().lower() > max as u64 {
        return Err(too_large());
    }
    let reading = async {
        let mut read = Vec::new();
        let mut chunks = body.into_data_stream();
        while let Some(chunk) = chunks.next().await {
            let Ok(chunk) = chunk else {
                let error = Error::bad_input("body", "The body ended early.");
                return Err(Unreadable(StatusCode::BAD_REQUEST, error));
            };
            if read.len() + chunk.len() > max {
                return Err(too_large());
            }
            budget.draw(chunk.len())?;
            read.extend_from_slice(&chunk);
        }
        Ok(read)
    };
    tokio::time::timeout(time, reading).await.unwrap_or_else(|_| {
        let message = format!("The body did not arrive within {time:?}.");
        Err(Unreadable(StatusCode::REQUEST_TIMEOUT, Error::of(Code::Timeout, message)))
    })
}

/// The text of a response. It holds the budget that it was drawn from until it is written, which
/// has a deadline.
pub(super) struct ResponseBody {
    text: Bytes,
    until: Instant,
    _budget: Arc<Budget>,
}

impl ResponseBody {
    /// A body with this text, which the peer must read within this time.
    pub(super) fn body(text: String, time: Duration, budget: Arc<Budget>) -> Body {
        Body::new(Self { text: text.into(), until: Instant::now() + time, _budget: budget })
    }
}

impl http_body::Body for ResponseBody {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        if self.text.is_empty() {
            return Poll::Ready(None);
        }
        if self.until < Instant::now() {
            return Poll::Ready(Some(Err(std::io::ErrorKind::TimedOut.into())));
        }
        let size = self.text.len().min(CHUNK);
        Poll::Ready(Some(Ok(Frame::data(self.text.split_to(size)))))
    }

    fn is_end_stream(&self) -> bool {
        self.text.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.text.len() as u64)
    }
}
