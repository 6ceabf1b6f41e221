//! Turns uploads into thumbnails. S3 notifies a queue, and the queue invokes this crate. Each upload ends with exactly
//! one manifest: of its renditions, of the reason for its rejection or failure, or of its deletion.
//!
//! [`Processor`] is the Lambda: SQS batches in, partial-batch responses out. [`thumbnailer`] decides what becomes of a
//! single image.

mod admission;
mod age;
mod commit;
mod error;
pub mod event;
mod handler;
mod making;
mod outcome;
mod outcome_queue;
mod pipeline;
pub mod processor;
pub mod published;
pub mod retry;
mod settlement;
mod store;
pub mod sweep;

pub use error::{Cause, TransientError};
pub use handler::BatchReport;
pub use media_store::Buckets;
pub use outcome::Outcome;
pub use processor::Processor;
