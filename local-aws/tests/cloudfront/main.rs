//! The emulated CloudFront as programs use it: signatures, origins without origin access control, uploads, and paths that
//! try to reach another object.

#![expect(clippy::unwrap_used, reason = "a test fails where an unwrap does")]

mod paths;
mod signed;
mod storage;
mod unsigned_bucket;
mod uploads;
mod vectors;
mod viewer;
