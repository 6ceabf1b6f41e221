//! The terminal: [`output`] writes results and messages, [`progress`] draws a line, [`printable`] escapes text from
//! outside.
//!
//! Every command calls it. It decides nothing, and it never writes the log.

pub(crate) mod output;
pub(crate) mod printable;
pub(crate) mod progress;
