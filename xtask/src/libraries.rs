//! Each library of the workspace alone, as its users build it: `cargo xtask test` checks every feature set, and the
//! oldest compiler that `rust-version` promises.
//!
//! Only the library itself is built: tests and examples would add features to its dependencies.

use cargo_metadata::{Package, semver::Version};

use crate::command::{cargo, output_of, run};
use crate::steps::missing;
use crate::workspace;

/// Beyond this many features, only none, each alone, and all of them are built.
const MAX_COMBINED: usize = 4;

/// Builds every library with each of its feature sets. Those that come with a program are built alone as packages.
pub(crate) fn check_feature_sets() -> anyhow::Result<()> {
    for library in libraries()? {
        for features in feature_sets(&features_of(&library)) {
            let features = features.join(",");
            println!("{} [{features}]", library.name);
            cargo(&[
                "check",
                "--quiet",
                "--locked",
                "--lib",
                "--package",
                &library.name,
                "--no-default-features",
                "--features",
                &features,
            ])?;
        }
    }
    Ok(())
}

/// Builds every library with the compiler of its `rust-version`, where that is not the one in use.
pub(crate) fn check_rust_versions() -> anyhow::Result<()> {
    let in_use = output_of("rustc", &["--version"]).unwrap_or_default();
    let installed = output_of("rustup", &["toolchain", "list"]).unwrap_or_default();
    let mut absent = Vec::new();
    for library in libraries()? {
        let Some(stated) = &library.rust_version else {
            anyhow::bail!("{} states no rust-version", library.name);
        };
        let version = format!("{}.{}", stated.major, stated.minor);
        if is_version(in_use.split(' ').nth(1).unwrap_or_default(), stated) {
            println!("{}: {version} is the compiler in use", library.name);
            continue;
        }
        let Some(toolchain) = toolchain_of(&installed, stated) else {
            absent.push(format!("{} needs {version}", library.name));
            continue;
        };
        println!("{}: {toolchain}", library.name);
        // A folder of its own: the artifacts of two compilers would replace each other.
        run(std::process::Command::new("rustup")
            .args(["run", &toolchain, "cargo", "check", "--quiet", "--locked"])
            .args(["--lib", "--package", &library.name])
            .args(["--target-dir", "target/rust-version"]))?;
    }
    if absent.is_empty() {
        return Ok(());
    }
    Err(missing(&format!(
        "a toolchain was not found; install it with rustup toolchain install: {}",
        absent.join(", ")
    )))
}

fn libraries() -> anyhow::Result<Vec<Package>> {
    let members = workspace::members_of("Cargo.toml")?.packages;
    let is_alone = |package: &Package| {
        let has_program = package.targets.iter().any(cargo_metadata::Target::is_bin);
        workspace::is_library(package) && !has_program
    };
    Ok(members.into_iter().filter(is_alone).collect())
}

fn features_of(library: &Package) -> Vec<&str> {
    let names = library.features.keys().map(String::as_str);
    names.filter(|name| *name != "default").collect()
}

fn feature_sets<'a>(features: &[&'a str]) -> Vec<Vec<&'a str>> {
    if features.len() > MAX_COMBINED {
        let alone = features.iter().map(|feature| vec![*feature]);
        return [vec![]]
            .into_iter()
            .chain(alone)
            .chain([features.to_vec()])
            .collect();
    }
    let mut sets = vec![vec![]];
    for feature in features {
        let with_feature: Vec<_> = sets
            .iter()
            .map(|set| [set.as_slice(), &[*feature]].concat())
            .collect();
        sets.extend(with_feature);
    }
    sets
}

/// The first toolchain of `rustup toolchain list` that has the version by name.
fn toolchain_of(installed: &str, version: &Version) -> Option<String> {
    let names = installed.lines().filter_map(|line| line.split(' ').next());
    let mut found = names.filter(|name| is_version(name, version));
    found.next().map(str::to_owned)
}

/// Whether a text such as `1.95.0-x86_64-unknown-linux-gnu` is of that version, any patch.
fn is_version(text: &str, version: &Version) -> bool {
    let mut numbers = text.split(['.', '-']).map(str::parse::<u64>);
    numbers.next() == Some(Ok(version.major)) && numbers.next() == Some(Ok(version.minor))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_features_are_combined_and_many_are_not() {
        assert_eq!(feature_sets(&[]), [[""; 0]]);
        assert_eq!(
            feature_sets(&["a", "b"]),
            [vec![], vec!["a"], vec!["b"], vec!["a", "b"]]
        );
        let many = ["a", "b", "c", "d", "e"];
        let sets = feature_sets(&many);
        assert_eq!(sets.len(), 7);
        assert_eq!(sets[1], ["a"]);
        assert_eq!(sets[6], many);
    }

    #[test]
    fn a_toolchain_is_found_by_its_version() {
        let installed = "stable-x86_64-unknown-linux-gnu (active, default)\nnightly-x86_64-unknown-linux-gnu\n\
                         1.95.0-x86_64-unknown-linux-gnu\n";
        let found = toolchain_of(installed, &Version::new(1, 95, 0));
        assert_eq!(found.as_deref(), Some("1.95.0-x86_64-unknown-linux-gnu"));
        assert_eq!(toolchain_of(installed, &Version::new(1, 9, 0)), None);
    }
}
