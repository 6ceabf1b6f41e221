//! From an upload to thumbnails: S3 tells a queue, the queue tells this crate, and for every upload it leaves exactly
//! one manifest, that of the finished renditions or that of the reason why there are none.
//!
//! [`Processor`] is the Lambda: SQS batches in, partial-batch answers out. What becomes of one image is
//! [`thumbnailer`]'s to say.

mod budget;
mod claim;
pub mod event;
pub mod manifest;
mod outcomes;
pub mod processor;
mod storage;

pub use manifest::Manifest;
pub use processor::{BatchReport, Buckets, Outcome, Processor, Retry};
