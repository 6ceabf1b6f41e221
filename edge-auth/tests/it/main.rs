//! The authorizer from outside: configurations, tokens signed with keys made for the run, and the decisions.

// A test panics on the first unexpected value, and reads as one long table.
#![allow(clippy::unwrap_used, clippy::too_many_lines, missing_docs)]

mod decisions;
mod equivalence;
mod issuers;
mod keys;
mod lambda_edge;
mod second_opinion;
mod sessions;
mod signer;
mod sources;
