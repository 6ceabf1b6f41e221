//! The authorizer from outside: configurations, tokens signed with keys made for the run, and what is decided.

// A test stops at what it did not expect, and reads as one long table.
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
