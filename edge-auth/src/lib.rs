//! May this viewer fetch this path?
//!
//! This crate owns the decision and nothing else: [`Authorizer::decide`] takes a viewer request and the time, and
//! answers with a [`Decision`]. It does no I/O and has no clock of its own, so the same code decides in
//! Lambda@Edge, in `signing-api`, in the local stack and in replay.
//!
//! The way of a request: its path is made [canonical](path::CanonicalPath) or refused, the first [rule](rules) that
//! matches is chosen, and only if that rule asks for an identity is the [token] looked at, [verified](verify)
//! and held against the rule. Whatever is not allowed is a [`Refusal`].

pub mod config;
mod decide;
pub mod identity;
pub mod keys;
pub mod lambda_edge;
pub mod path;
pub mod refusal;
pub mod rules;
pub mod token;
pub mod verify;

pub use config::{Config, Fault};
pub use decide::{Allowed, Authorizer, Decision, Denied, Redirect};
pub use identity::{Owner, Viewer};
pub use lambda_edge::{Headers, ViewerRequest};
pub use refusal::Refusal;
