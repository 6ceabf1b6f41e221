//! May this viewer fetch this path?
//!
//! This crate owns the decision and nothing else: [`Authorizer::decide`] takes a viewer request and the time, and
//! answers with a [`Decision`]. It does no I/O and has no clock of its own, so the same code decides in
//! Lambda@Edge, in `signing-api`, in the local stack and in replay.
//!
//! The way of a request: its path is made [canonical](path::CanonicalPath) or refused, the first
//! [rule](config::Rule) that matches is chosen, and only if that rule asks for an identity is the token looked at,
//! verified and held against the rule. Whatever is not allowed is a [`Refusal`].
//!
//! Keys that are not known are the host's to fetch: the decision is then [`Decision::NeedKeys`], and the host asks
//! again when it has handed them over.

mod address;
mod claims;
pub mod config;
mod cors;
mod decide;
mod forward;
pub mod identity;
mod issuers;
mod key_ring;
mod keys;
pub mod lambda_edge;
pub mod path;
pub mod refusal;
mod request;
mod requirements;
mod roca;
mod rules;
mod session;
mod token;
mod verdicts;
mod verify;
mod warnings;

pub use address::check_origin;
pub use config::{Config, Fault};
pub use cors::Preflight;
pub use decide::{Allowed, Authorizer, Decision, Denied, Redirect, Unauthenticated};
pub use forward::{Changes, OWN_HEADERS, OWNER_HEADER};
pub use identity::{Owner, OwnerNames, Viewer};
pub use lambda_edge::{Headers, ViewerRequest};
pub use refusal::Refusal;
pub use request::{Lines, OtherHeaders, Request};
pub use session::{MAX_SESSION_BYTES, NoSession, SESSION_COOKIE, SESSION_ISSUER, SessionToken};
pub use token::MAX_TOKEN_BYTES;
pub use verify::NeedKeys;
pub use warnings::warnings;
