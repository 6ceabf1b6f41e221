//! Builds the functions' programs: release builds in a separate folder, reproducible and without paths of this machine.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, bail, ensure};
use clap::ValueEnum;
use serde::Serialize;

use super::INDEX;
use crate::terminal::progress::Progress;

/// A crate's folder, which identifies the repository's root.
const CRATE: &str = "edge-auth/node";

/// A program or library of a function.
pub(super) struct Artifact {
    /// The crate.
    package: &'static str,
    /// Its file in Cargo's release folder.
    file: &'static str,
    /// Whether it is compiled for the instructions of Lambda's processors.
    is_tuned: bool,
    /// The progress message of the build.
    building: &'static str,
}

/// The native addon of the Lambda@Edge runtime.
pub(super) const ADDON: Artifact = Artifact {
    package: "edge-auth-node",
    file: "libedge_auth_node.so",
    is_tuned: false,
    building: "building the addon (about a minute when nothing is built yet)",
};

/// The upload processor's program.
pub(super) const BOOTSTRAP: Artifact = Artifact {
    package: "upload-processor",
    file: "bootstrap",
    // Decoding and encoding take a seventh less time with AVX2.
    is_tuned: true,
    building: "building the upload processor (some minutes when nothing is built yet)",
};

/// The signing API's program.
pub(super) const SIGNING_API: Artifact = Artifact {
    package: "signing-api",
    file: "signing-api",
    // So that it shares the processor's compiled dependencies.
    is_tuned: true,
    building: "building the signing API (some minutes when nothing is built yet)",
};

/// A processor that functions run on.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, ValueEnum)]
pub(crate) enum Architecture {
    /// Intel's and AMD's; the only one at the edge.
    #[serde(rename = "x86_64")]
    #[value(name = "x86_64")]
    X86_64,
    /// Graviton.
    #[serde(rename = "arm64")]
    #[value(name = "arm64")]
    Arm64,
}

impl Architecture {
    fn target(self) -> &'static str {
        match self {
            Self::X86_64 => "x86_64-unknown-linux-gnu",
            Self::Arm64 => "aarch64-unknown-linux-gnu",
        }
    }

    /// The processor that every Lambda has at least: AVX2, according to its manual; Graviton2.
    fn cpu(self) -> &'static str {
        match self {
            Self::X86_64 => "x86-64-v3",
            Self::Arm64 => "neoverse-n1",
        }
    }

    /// Debian's name of the compiler and linker for it.
    fn cross_compiler(self) -> &'static str {
        match self {
            Self::X86_64 => "x86_64-linux-gnu-gcc",
            Self::Arm64 => "aarch64-linux-gnu-gcc",
        }
    }

    fn is_here(self) -> bool {
        match self {
            Self::X86_64 => cfg!(all(target_arch = "x86_64", target_os = "linux")),
            Self::Arm64 => cfg!(all(target_arch = "aarch64", target_os = "linux")),
        }
    }

    /// Fails with advice on what to install, before minutes of compiling.
    fn ensure_installed(self) -> anyhow::Result<()> {
        let target = self.target();
        let folder = rustc(&["--print", "target-libdir", "--target", target])?;
        ensure!(
            folder.is_some_and(|folder| Path::new(folder.trim()).is_dir()),
            "the Rust toolchain has no standard library for {target}: rustup target add {target}"
        );
        ensure!(
            self.is_here() || has_zigbuild() || runs(self.cross_compiler()),
            "no linker for {target} is installed: install cargo-zigbuild with Zig (pip install cargo-zigbuild ziglang), or {}",
            self.cross_compiler()
        );
        Ok(())
    }
}

/// The file of the edge's addon, built when it has changed.
pub(crate) fn addon() -> anyhow::Result<PathBuf> {
    Architecture::X86_64.ensure_installed()?;
    ADDON.build(Architecture::X86_64, &Progress::towards(1))
}

/// Fails with advice on what to install for this architecture and the edge's, before minutes of compiling.
pub(super) fn check(architecture: Architecture) -> anyhow::Result<()> {
    repository()?;
    architecture.ensure_installed()?;
    Architecture::X86_64.ensure_installed()
}

impl Artifact {
    /// What Cargo builds. Both programs of Lambda functions are selected by package and one of them by name: Cargo unites
    /// the features of all selected packages, so the two share their compiled dependencies.
    fn selection(&self) -> Vec<&'static str> {
        if self.is_tuned {
            let [processor, api] = [BOOTSTRAP.package, SIGNING_API.package];
            vec!["--package", processor, "--package", api, "--bin", self.file]
        } else {
            vec!["--package", self.package]
        }
    }

    /// Builds it unless it is up to date; returns its file.
    pub(super) fn build(
        &self,
        architecture: Architecture,
        progress: &Progress,
    ) -> anyhow::Result<PathBuf> {
        let root = repository()?;
        let target = architecture.target();
        // A folder for each kind of processor: Cargo replaces a build if its flags change.
        let kind = if self.is_tuned {
            architecture.cpu()
        } else {
            target
        };
        let target_dir = root.join("target/package").join(kind);
        let names = names(&root)?;
        let cpu = self.is_tuned.then(|| architecture.cpu());
        let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        // Zig links against this glibc on any machine.
        let zig_target = format!("{target}.2.34");
        if has_zigbuild() {
            command.args(["zigbuild", "--target", &zig_target]);
        } else {
            command.args(["build", "--target", target]);
            if !architecture.is_here() {
                command.envs(cross_variables(architecture));
            }
        }
        command
            .args(["--release", "--locked", "--quiet"])
            .args(self.selection())
            .arg("--target-dir")
            .arg(&target_dir)
            .current_dir(&root)
            // The build is reproducible in any folder, and does not contain the folder's name.
            .env("CARGO_PROFILE_RELEASE_STRIP", "symbols")
            .env("CARGO_ENCODED_RUSTFLAGS", rust_flags(&names, cpu))
            .env("CFLAGS", c_flags(&names))
            .env("CC_SHELL_ESCAPED_FLAGS", "1");
        progress.begin(self.building);
        let output = command
            .output()
            .with_context(|| format!("cargo was not found; it builds {}", self.package))?;
        ensure!(
            output.status.success(),
            "{} cannot be built:\n{}",
            self.package,
            String::from_utf8_lossy(&output.stderr).trim_end()
        );
        progress.advance();
        Ok(target_dir.join(target).join("release").join(self.file))
    }
}

/// Tells Cargo and crates with C code which compiler to use, unless the environment already does.
fn cross_variables(architecture: Architecture) -> Vec<(String, OsString)> {
    let underscored = architecture.target().replace('-', "_");
    let linker = format!("CARGO_TARGET_{}_LINKER", underscored.to_uppercase());
    [linker, format!("CC_{underscored}")]
        .into_iter()
        .filter(|name| std::env::var_os(name).is_none())
        .map(|name| (name, architecture.cross_compiler().into()))
        .collect()
}

/// The checkout with the source: the working directory, or a folder above it.
fn repository() -> anyhow::Result<PathBuf> {
    checkout(&std::env::current_dir()?)
}

fn checkout(here: &Path) -> anyhow::Result<PathBuf> {
    let Some(root) = here.ancestors().find(|folder| folder.join(CRATE).is_dir()) else {
        bail!("functions are built from source; run this in a checkout of Gatepost");
    };
    // The handler and the page are embedded in this program, so the checkout must contain the same ones.
    let handler = std::fs::read(root.join(CRATE).join("index.mjs")).unwrap_or_default();
    ensure!(
        handler == INDEX.as_bytes(),
        "this gatepost was built from other source code than {} contains; use `cargo run -- package` there",
        root.display()
    );
    Ok(root.to_owned())
}

fn has_zigbuild() -> bool {
    runs("cargo-zigbuild")
}

fn runs(program: &str) -> bool {
    Command::new(program)
        .arg("--version")
        .output()
        .is_ok_and(|output| output.status.success())
}

/// The compiler's output, unless it fails.
fn rustc(arguments: &[&str]) -> anyhow::Result<Option<String>> {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let output = Command::new(&rustc)
        .args(arguments)
        .output()
        .with_context(|| format!("{} cannot be run", rustc.display()))?;
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    Ok(output.status.success().then_some(printed))
}

/// The folders of this machine with the source, and the names that replace them.
fn names(root: &Path) -> anyhow::Result<Vec<(PathBuf, String)>> {
    let mut names = vec![(root.to_owned(), "/gatepost".to_owned())];
    let home = std::env::var_os("HOME").map(PathBuf::from);
    let cargo_home = std::env::var_os("CARGO_HOME")
        .map(PathBuf::from)
        .or_else(|| home.map(|home| home.join(".cargo")));
    names.extend(cargo_home.map(|folder| (folder, "/cargo".to_owned())));
    // If the source of std is installed, rustc writes its folder, otherwise the name that it was built under.
    let (Some(sysroot), Some(version)) = (rustc(&["--print", "sysroot"])?, rustc(&["-vV"])?) else {
        bail!("rustc does not tell its version and its folder");
    };
    let source = Path::new(sysroot.trim()).join("lib/rustlib/src/rust");
    let told = |what: &str| version.lines().find_map(|line| line.strip_prefix(what));
    // Distributions build it without a commit.
    let commit = told("commit-hash: ").filter(|commit| *commit != "unknown");
    let built_from = commit.or_else(|| told("release: "));
    names.extend(built_from.map(|state| (source, format!("/rustc/{state}"))));
    Ok(names)
}

/// The value of `CARGO_ENCODED_RUSTFLAGS`: paths may contain spaces, and it overrides other flags.
fn rust_flags(names: &[(PathBuf, String)], cpu: Option<&str>) -> String {
    let mut flags = remapped("--remap-path-prefix", names);
    flags.extend(cpu.map(|cpu| format!("-Ctarget-cpu={cpu}")));
    flags.join("\x1f")
}

/// The value of `CFLAGS` for the `cc` crate with `CC_SHELL_ESCAPED_FLAGS`.
fn c_flags(names: &[(PathBuf, String)]) -> String {
    let flags = remapped("-ffile-prefix-map", names);
    let quoted = flags
        .iter()
        .map(|flag| format!("'{}'", flag.replace('\'', r"'\''")));
    quoted.collect::<Vec<_>>().join(" ")
}

fn remapped(flag: &str, names: &[(PathBuf, String)]) -> Vec<String> {
    let flags = names.iter();
    flags
        .map(|(folder, name)| format!("{flag}={}={name}", folder.display()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_with_spaces_and_quotes_stay_one_flag() {
        let names = [
            ("/home/Ann Lee/gatepost", "/gatepost"),
            ("/home/Ann's/.cargo", "/cargo"),
        ]
        .map(|(folder, name)| (PathBuf::from(folder), name.to_owned()));
        assert_eq!(
            rust_flags(&names, Some("x86-64-v3")),
            "--remap-path-prefix=/home/Ann Lee/gatepost=/gatepost\x1f\
             --remap-path-prefix=/home/Ann's/.cargo=/cargo\x1f-Ctarget-cpu=x86-64-v3"
        );
        assert!(!rust_flags(&names, None).contains("target-cpu"));
        assert_eq!(
            c_flags(&names),
            r"'-ffile-prefix-map=/home/Ann Lee/gatepost=/gatepost' '-ffile-prefix-map=/home/Ann'\''s/.cargo=/cargo'"
        );
    }

    #[test]
    fn the_source_of_std_gets_the_name_that_it_was_built_under() {
        let names = names(Path::new("/checkout")).unwrap();
        let (folder, name) = names.last().unwrap();
        assert!(folder.ends_with("lib/rustlib/src/rust"), "{names:?}");
        assert!(name.starts_with("/rustc/"), "{names:?}");
    }

    #[test]
    fn a_checkout_in_another_state_is_refused() {
        let root = tempfile::tempdir().unwrap();
        let below = root.path().join(CRATE);
        std::fs::create_dir_all(&below).unwrap();
        for (handler, is_ours) in [
            (Some(INDEX), true),
            (Some("// older"), false),
            (None, false),
        ] {
            let file = below.join("index.mjs");
            match handler {
                Some(handler) => std::fs::write(file, handler).unwrap(),
                None => std::fs::remove_file(file).unwrap(),
            }
            let found = checkout(&below);
            assert_eq!(found.is_ok(), is_ours, "{handler:?}: {found:?}");
        }
        assert!(checkout(Path::new("/")).is_err());
    }
}
