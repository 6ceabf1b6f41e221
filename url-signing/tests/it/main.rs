//! All tests use the public interface.
#![expect(
    clippy::unwrap_used,
    reason = "tests; clippy.toml covers only functions marked #[test]"
)]

mod bucket;
#[cfg(feature = "cloudfront")]
mod cloudfront;
mod open_fields;
mod post_policy;
mod presigned_get;
mod vectors;
