//! A request body that is read to its end even if its reader stops early.
//!
//! A form is refused by its fields before its file has arrived, and a call by its length. If the connection were closed
//! then, the browser could not send the rest, and a page would see a network error instead of the reason. S3 reads on;
//! so does this, within limits. The rest is discarded.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody};
use http_body::{Frame, SizeHint};
use http_body_util::BodyExt as _;

/// How long and how much is read on.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(30);
const MAX_BYTES: usize = 256 << 20;

/// A body that reads itself to its end when it is dropped.
pub struct DrainOnDrop(Option<Body>);

impl DrainOnDrop {
    /// Wraps a body.
    pub fn new(body: Body) -> Self {
        Self(Some(body))
    }
}

impl HttpBody for DrainOnDrop {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let Some(body) = &mut self.0 else {
            return Poll::Ready(None);
        };
        let polled = Pin::new(body).poll_frame(context);
        if let Poll::Ready(None | Some(Err(_))) = polled {
            self.0 = None;
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.0.as_ref().is_none_or(HttpBody::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Some(body) => body.size_hint(),
            None => SizeHint::with_exact(0),
        }
    }
}

impl Drop for DrainOnDrop {
    fn drop(&mut self) {
        let (Some(mut body), Ok(runtime)) = (self.0.take(), tokio::runtime::Handle::try_current())
        else {
            return;
        };
        runtime.spawn(tokio::time::timeout(DRAIN_TIMEOUT, async move {
            let mut n_bytes = 0;
            while let Some(Ok(frame)) = body.frame().await {
                n_bytes += frame.data_ref().map_or(0, Bytes::len);
                if n_bytes > MAX_BYTES {
                    break;
                }
            }
        }));
    }
}
