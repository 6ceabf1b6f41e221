//! The wire format of Lambda@Edge. The only module that knows `CloudFront`'s JSON.

mod event;
mod forward;
mod response;

pub use event::{CloudFront, EventConfig, Record, ViewerRequest, ViewerRequestEvent};
pub use forward::Changes;
pub use response::{GeneratedResponse, Outcome};
