//! Turns uploads into thumbnails. S3 notifies a queue, and the queue invokes this crate. Each upload ends with exactly
//! one manifest: of its renditions, of the reason for its rejection or failure, or of its deletion.
//!
//! [`Processor`] is the Lambda: SQS batches in, partial-batch responses out. [`thumbnailer`] decides what becomes of a
//! single image.

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
