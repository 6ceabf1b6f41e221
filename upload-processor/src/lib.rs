//! From an upload to thumbnails: S3 tells a queue, the queue invokes this crate, and each upload ends with exactly one
//! manifest: of its renditions, of the reason why there are none, or of its deletion.
//!
//! [`Processor`] is the Lambda: SQS batches in, partial-batch answers out. What becomes of one image is decided in
//! [`thumbnailer`].

mod budget;
pub mod event;
mod making;
mod outcomes;
mod pipeline;
pub mod processor;
pub mod published;
pub mod retry;
mod storage;
pub mod sweep;

pub use media_store::Buckets;
pub use processor::{BatchReport, Outcome, Processor};
pub use retry::Retry;
