//! Tests of the generated function in njs.

mod agreement;
mod generated;
mod refusals;
mod sessions;
