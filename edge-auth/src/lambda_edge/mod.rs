//! The wire format of Lambda@Edge. The only module that knows `CloudFront`'s JSON.

mod event;
pub(crate) mod forward;

pub use event::{
    CloudFront, EventConfig, GeneratedResponse, HeaderValue, Headers, Outcome, Record,
    ViewerRequest, ViewerRequestEvent,
};
pub use forward::{Changes, OWN_HEADERS, OWNER_HEADER};
