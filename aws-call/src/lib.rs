//! Signed calls of AWS services of which one or two operations are needed.
//!
//! The SDK's crates are generated for all operations of a service, and its client of the KeyValueStore accepts no plain
//! endpoint. So [`Caller`] sends a request over HTTPS that the SDK's own signer has signed. [`SecretArn`] reads and writes
//! secrets with it. The API and `gatepost session-key` use this crate. It decides nothing, and its errors contain nothing
//! that was sent or received except AWS's own code and message.

#![warn(clippy::missing_errors_doc)]

mod call;
mod secret;

pub use call::{Answer, CallError, Caller, Scope};
pub use secret::{SecretArn, SecretArnError, SecretError};
