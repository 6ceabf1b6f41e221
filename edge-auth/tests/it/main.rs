//! The authorizer from outside: configurations, tokens signed with keys made for the run, and the decisions.

#![expect(
    clippy::unwrap_used,
    clippy::too_many_lines,
    reason = "a test panics on the first unexpected value, and reads as one long table"
)]

mod decisions;
#[cfg(feature = "signing")]
mod equivalence;
mod folders;
mod issuers;
mod keys;
mod lambda_edge;
mod owners;
mod second_opinion;
#[cfg(feature = "signing")]
mod session_keys;
mod session_settings;
#[cfg(feature = "signing")]
mod sessions;
mod signatures;
mod signer;
mod sources;
mod tenants;
