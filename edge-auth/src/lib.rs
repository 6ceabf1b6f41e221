//! Decides whether a viewer may fetch a path.
//!
//! This crate owns the decision and nothing else: [`Authorizer::decide`] takes a viewer request and the time, and
//! answers with a [`Decision`]. It does no I/O and has no clock, so the same code decides in Lambda@Edge, in
//! `signing-api`, in the local stack and in replay.
//!
//! A request is decided in this order. Its path is made [canonical](CanonicalPath) or refused. The first
//! [rule](config::Rule) that matches is chosen. Only if that rule requires an identity is the token read, verified and
//! checked against the rule. A request that is not allowed gets a [`Refusal`].
//!
//! The host fetches keys that are not known: the decision is then [`Decision::NeedKeys`], and the host asks again once
//! it has handed them over.

// The modules are layers, and each uses only lower ones: `ARCHITECTURE.md` has the table, and `cargo xtask check` checks
// it.

#![warn(clippy::missing_errors_doc)]

mod authorizer;
pub mod config;
mod cors;
mod decision;
mod folders;
mod http;
pub mod identity;
mod issuers;
mod keys;
pub mod lambda_edge;
pub mod policy;
pub mod refusal;
mod rules;
mod session;
mod sign_in;
mod token;
mod verify;

pub use authorizer::Authorizer;
pub use config::{Config, ConfigFault, warnings};
pub use cors::Preflight;
pub use decision::{Allowed, Decision, Denied, Redirect, Unauthenticated};
pub use http::address::check_origin;
pub use http::headers::{HeaderValue, Headers, OWNER_HEADER, RESERVED_HEADER_PREFIX};
pub use http::path::{CanonicalPath, PathFault};
pub use http::request::{Lines, OtherHeaders, Request};
pub use identity::{Owner, OwnerNames, Viewer};
pub use keys::rings::NeedKeys;
pub use lambda_edge::{Changes, ViewerRequest};
pub use refusal::Refusal;
pub use session::{
    MAX_SESSION_BYTES, NoSession, SESSION_COOKIE, SESSION_ISSUER, SessionToken,
    shared_session_header,
};
pub use token::jws::MAX_TOKEN_BYTES;

/// The examples of the README, compiled and run by `cargo test`.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
