//! S3: POST policies with their forms, presigned GETs, and Signature Version 4 below both. The crate's root re-exports
//! the public names. Nothing here knows `CloudFront`.

pub(crate) mod bucket;
pub(crate) mod field;
pub(crate) mod form;
pub(crate) mod key;
pub(crate) mod post_policy;
pub(crate) mod presigned_get;
pub mod sigv4;
