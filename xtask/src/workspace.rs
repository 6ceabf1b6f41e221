//! What Cargo says of the workspace: its packages, and everything that they depend on. The checks read it.

use anyhow::Context as _;
use cargo_metadata::{Metadata, MetadataCommand};

use crate::command::cargo_binary;

/// The packages of a workspace without their dependencies. This needs no registry.
pub(crate) fn members_of(manifest: &str) -> anyhow::Result<Metadata> {
    read(manifest, &["--no-deps"])
}

fn read(manifest: &str, options: &[&str]) -> anyhow::Result<Metadata> {
    let options = ["--locked"].iter().chain(options);
    MetadataCommand::new()
        .cargo_path(cargo_binary())
        .manifest_path(manifest)
        .other_options(options.map(|&option| option.to_owned()).collect::<Vec<_>>())
        .exec()
        .with_context(|| format!("cargo metadata failed for {manifest}"))
}
