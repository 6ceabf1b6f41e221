//! The commands, one file or folder for each.
//!
//! `main` runs the one that was asked for. A command parses its arguments, calls the libraries below (`config`,
//! `package`, `replay`, the other crates) and prints; no library calls a command.

pub(crate) mod cli;
pub(crate) mod dlq;
pub(crate) mod manual;
pub(crate) mod package;
pub(crate) mod replay;
pub(crate) mod session_key;
pub(crate) mod sign;
pub(crate) mod sweep;
pub(crate) mod thumbnail;
pub(crate) mod token;
