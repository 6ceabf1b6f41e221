//! What Cargo says of the workspace: its packages, and everything that they depend on. The checks read it.

use std::collections::BTreeSet;

use anyhow::Context as _;
use cargo_metadata::{Metadata, MetadataCommand, Package, TargetKind};

use crate::command::{cargo_binary, output_of};

/// The packages of a workspace without their dependencies. This needs no registry.
pub(crate) fn members_of(manifest: &str) -> anyhow::Result<Metadata> {
    read(manifest, &["--no-deps"])
}

/// The packages of the root workspace and everything that they depend on, on any platform and with all features.
pub(crate) fn all_packages() -> anyhow::Result<Vec<Package>> {
    let mut packages = read("Cargo.toml", &["--all-features"])?.packages;
    // `cargo metadata` also lists what only a disabled feature of a dependency would need; `cargo tree` does not.
    let tree = output_of(
        &cargo_binary(),
        &[
            "tree",
            "--workspace",
            "--all-features",
            "--locked",
            "--target",
            "all",
            "--prefix",
            "none",
            "--format",
            "{p}",
        ],
    );
    let tree = tree.context("cargo tree failed")?;
    let is_used: BTreeSet<_> = tree.lines().filter_map(name_and_version).collect();
    packages.retain(|package| {
        let version = package.version.to_string();
        is_used.contains(&(package.name.as_str(), version.as_str()))
    });
    Ok(packages)
}

/// Whether the package has a library that Rust code links.
pub(crate) fn is_library(package: &Package) -> bool {
    let is_library = |kind: &TargetKind| matches!(kind, TargetKind::Lib | TargetKind::RLib);
    let mut kinds = package.targets.iter().flat_map(|target| &target.kind);
    kinds.any(is_library)
}

/// Splits a line such as `serde v1.0.229 (proc-macro)`.
fn name_and_version(line: &str) -> Option<(&str, &str)> {
    let mut words = line.split(' ');
    Some((words.next()?, words.next()?.strip_prefix('v')?))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_the_tree_names_a_package_and_its_version() {
        let line = "serde v1.0.229 (proc-macro) (*)";
        assert_eq!(name_and_version(line), Some(("serde", "1.0.229")));
        assert_eq!(name_and_version(""), None);
    }
}
