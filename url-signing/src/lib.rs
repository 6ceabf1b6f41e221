//! Signed S3 upload forms and URLs, and `CloudFront`'s signed URLs and cookies. The crate owns the making of AWS's
//! signatures and the knowledge of requests that AWS would refuse. `signing-api` and the command line call it. It never
//! does I/O and never reads a clock or the environment: time and credentials are arguments.
//!
//! Start at [`PostPolicy`] or [`PresignedGet`]. [`sigv4`] is the layer below, for callers with their own policy
//! document.
//!
#![cfg_attr(not(doctest), doc = include_str!("../README.md"))]
#![warn(clippy::missing_errors_doc)]

#[cfg(feature = "cloudfront")]
pub mod cloudfront;
mod credentials;
mod error;
mod expiry;
mod s3;

pub use credentials::{Credentials, Secret};
pub use error::{SigningError, Violation};
pub use expiry::{Expiry, MAX_LIFETIME};
pub use s3::bucket::{Bucket, Region};
pub use s3::field::{Checksum, FormField, MAX_METADATA_BYTES, PrefixField, SuccessStatus};
pub use s3::form::{MAX_FORM_BYTES, OpenField, SignedForm};
pub use s3::key::MAX_KEY_BYTES;
pub use s3::post_policy::{MAX_POST_BYTES, PostPolicy};
pub use s3::presigned_get::{PresignedGet, PresignedUrl, ResponseHeader, window_start};
pub use s3::sigv4;

/// The examples of the README, compiled and run by `cargo test`. One of them needs the feature.
#[cfg(all(doctest, feature = "cloudfront"))]
#[doc = include_str!("../README.md")]
struct Readme;
