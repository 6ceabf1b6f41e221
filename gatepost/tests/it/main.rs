//! Tests through the front door: the real binary, real HTTP, the embedded S3.

mod api;
mod browser;
mod cli;
mod crash;
mod forms;
mod harness;
mod path;
mod replay;
