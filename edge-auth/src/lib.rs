//! Decides whether a viewer may fetch a path.
//!
//! This crate owns the decision and nothing else: [`Authorizer::decide`] takes a viewer request and the time, and
//! answers with a [`Decision`]. It does no I/O and has no clock, so the same code decides in Lambda@Edge, in
//! `signing-api`, in the local stack and in replay.
//!
//! A request is decided in this order. Its path is made [canonical](path::CanonicalPath) or refused. The first
//! [rule](config::Rule) that matches is chosen. Only if that rule requires an identity is the token read, verified and
//! checked against the rule. A request that is not allowed gets a [`Refusal`].
//!
//! The host fetches keys that are not known: the decision is then [`Decision::NeedKeys`], and the host asks again once
//! it has handed them over.

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
