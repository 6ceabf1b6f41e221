//! Tests of the generated function in njs.

#![expect(
    clippy::unwrap_used,
    reason = "a test fails by panicking, in its helpers too"
)]

mod agreement;
mod generated;
mod refusals;
mod sessions;
