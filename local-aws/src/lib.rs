//! Emulators of AWS services for development: S3 with its event notifications, an SQS queue, and Lambda's event source
//! between them. Everything runs in one process and listens on loopback only.
//!
//! This crate knows nothing of the programs that use it: what happens with an event is a closure that they pass in. It
//! emulates the behaviour that such programs rely on, and is not a substitute for AWS.

mod drain;
pub mod s3;
pub mod sqs;

pub use drain::DrainOnDrop;

/// The region that the emulators say they are in.
pub const REGION: &str = "us-east-1";
