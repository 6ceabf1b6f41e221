//! Tests through the front door: the real binary, real HTTP, the embedded S3.

#![allow(
    clippy::unwrap_used,
    clippy::too_many_lines,
    clippy::cast_possible_truncation,
    missing_docs,
    reason = "a test panics at the first unexpected value, and may be one long table"
)]

mod api;
mod browser;
mod cli;
mod crash;
mod credentials;
mod delivery;
mod deployed;
mod dlq;
mod faults;
mod folders;
mod form_shapes;
mod forms;
mod harness;
mod lambda;
mod links;
mod local_s3;
mod ministack;
mod openapi;
mod output;
mod path;
mod peers;
mod providers;
mod replay;
mod runtimes;
mod schedules;
mod session;
mod session_keys;
mod sign;
mod sign_in;
mod tampering;
mod thumbnails;
