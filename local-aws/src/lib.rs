//! Emulators of AWS services for development: S3 with its event notifications, an SQS queue, Lambda's event source, and
//! a CloudFront distribution with its cache, its signed URLs and cookies, and origins with and without origin access
//! control. Everything runs in one process and listens on loopback only.
//!
//! This crate knows nothing of the programs that use it: an event handler and a viewer-request function are closures that
//! they pass in, and policies and public keys are data. It emulates the behaviour that such programs rely on, and is not
//! a substitute for AWS.

mod atomic;
pub mod cloudfront;
mod drain;
pub mod event_source;
pub mod s3;
pub mod sqs;

pub use drain::DrainOnDrop;

/// The region that the emulators say they are in.
pub const REGION: &str = "us-east-1";
