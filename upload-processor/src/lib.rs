//! From an upload to thumbnails: S3 tells a queue, the queue tells this crate, and for every upload it leaves exactly
//! one manifest, that of the finished renditions or that of the reason why there are none.
//!
//! [`Processor`] is the Lambda: SQS batches in, partial-batch answers out. Inside, [`thumbnail`](thumbnail::thumbnail)
//! is the whole way of one image, without any I/O: [`inspect`] looks at the bytes before anything is allocated for
//! them, [`decode`] is strict, [`render`] makes every size from one decode.

mod budget;
mod claim;
mod colour;
pub mod decode;
pub mod event;
pub mod inspect;
mod jpeg;
pub mod manifest;
mod outcomes;
pub mod processor;
pub mod rejection;
pub mod render;
pub mod settings;
mod storage;
pub mod thumbnail;

pub use manifest::Manifest;
pub use processor::{BatchReport, Buckets, Outcome, Processor, Retry};
