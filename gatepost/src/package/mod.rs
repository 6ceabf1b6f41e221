//! The package: the reproducible zips of a deployment, and `manifest.json`, which Terraform reads.
//!
//! `gatepost package` makes it; `gatepost replay` takes the files of the edge from here. Nothing here prints results.

mod archive;
mod behaviours;
mod build;
mod deployability;
mod deployment;
mod folder;
mod function;
mod glibc;
mod keys;
mod manifest;
mod rotation;
mod runtime;

use data_encoding::HEXLOWER;
use sha2::{Digest as _, Sha256};

pub(crate) use behaviours::{behaviours, public};
pub(crate) use build::{Architecture, addon};
pub(crate) use deployment::{Options, make};
pub(crate) use function::edge_files;

/// The handler of the Lambda@Edge runtime.
const INDEX: &str = include_str!("../../../edge-auth/node/index.mjs");

/// The package of the Lambda@Edge function.
const EDGE_FILE: &str = "edge-auth.zip";
/// The code of the CloudFront Function.
const GATE_FILE: &str = "gate.js";

/// A file of a package.
pub(crate) struct PackedFile {
    pub(crate) name: &'static str,
    pub(crate) content: Vec<u8>,
    pub(crate) is_program: bool,
}

fn sha256(bytes: &[u8]) -> String {
    HEXLOWER.encode(&Sha256::digest(bytes))
}
