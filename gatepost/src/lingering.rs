//! A request body that is read to its end even where its reader gave up.
//!
//! A form is refused by its fields, before its file has arrived, and a call by its length. To close the connection then
//! would break off the browser's sending, and a page would see a network error in the place of the reason. S3 reads on;
//! so do we, for a while.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody};
use bytes::BytesMut;
use http_body::{Frame, SizeHint};
use http_body_util::BodyExt as _;

/// How long and how much is read on.
const PATIENCE: Duration = Duration::from_secs(30);
const MAX_BYTES: usize = 256 << 20;

/// The least that is given as a beginning, if there is so much: more than the first line of any form, whose boundary
/// has up to 70 characters. `s3s` 0.14.1 takes a first line that arrives in two pieces for a malformed form.
const BEGINNING: usize = 128;

/// A body that reads itself to its end when it is dropped.
pub(crate) struct Lingering {
    body: Option<Body>,
    /// What has come of the beginning; nothing any more once that was given.
    beginning: Option<BytesMut>,
}

impl Lingering {
    pub(crate) fn new(body: Body) -> Self {
        Self::after(BytesMut::new(), body)
    }

    /// A body of which the beginning was read already.
    pub(crate) fn after(beginning: BytesMut, rest: Body) -> Self {
        Self {
            body: Some(rest),
            beginning: Some(beginning),
        }
    }
}

impl HttpBody for Lingering {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        loop {
            let Some(body) = &mut self.body else {
                return Poll::Ready(None);
            };
            let polled = Pin::new(body).poll_frame(context);
            if let Poll::Ready(None | Some(Err(_))) = polled {
                self.body = None;
            }
            let Some(beginning) = &mut self.beginning else {
                return polled;
            };
            match ready!(polled) {
                Some(Ok(frame)) if frame.is_data() => {
                    beginning.extend_from_slice(frame.data_ref().unwrap_or(&Bytes::new()));
                    if beginning.len() < BEGINNING {
                        continue;
                    }
                }
                Some(Err(error)) => return Poll::Ready(Some(Err(error))),
                _ => {}
            }
            let beginning = self.beginning.take().unwrap_or_default().freeze();
            return Poll::Ready((!beginning.is_empty()).then(|| Ok(Frame::data(beginning))));
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(HttpBody::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        let held = self.beginning.as_ref().map_or(0, BytesMut::len) as u64;
        let mut hint = match &self.body {
            Some(body) => body.size_hint(),
            None => SizeHint::with_exact(0),
        };
        if let Some(upper) = hint.upper() {
            hint.set_upper(upper + held);
        }
        hint.set_lower(hint.lower() + held);
        hint
    }
}

impl Drop for Lingering {
    fn drop(&mut self) {
        let (Some(mut body), Ok(runtime)) =
            (self.body.take(), tokio::runtime::Handle::try_current())
        else {
            return;
        };
        runtime.spawn(tokio::time::timeout(PATIENCE, async move {
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
