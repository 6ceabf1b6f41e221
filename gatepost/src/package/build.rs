//! What is built for the functions: for release, in a folder of its own, without a trace of where that is.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, bail, ensure};
use clap::ValueEnum;
use serde::Serialize;

/// A crate below the repository's root, to know the root by.
const CRATE: &str = "edge-auth/lambda-edge";

/// A program or library that a function is made of.
pub(super) struct Artifact {
    /// The crate.
    package: &'static str,
    /// Its file, below Cargo's folder for release.
    file: &'static str,
    /// Whether it gains by what Lambda's processors have beyond the first of their kind.
    is_tuned: bool,
    /// What people are told while it is built.
    building: &'static str,
}

/// The native addon of the Lambda@Edge face.
pub(super) const ADDON: Artifact = Artifact {
    package: "edge-auth-lambda",
    file: "libedge_auth_lambda.so",
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
    // For nothing but that it then shares what is built for the processor.
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

    /// What every Lambda of the kind has: AVX2, as its manual says; Graviton2.
    fn cpu(self) -> &'static str {
        match self {
            Self::X86_64 => "x86-64-v3",
            Self::Arm64 => "neoverse-n1",
        }
    }

    /// By the name that Debian gives to what compiles and links for it.
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

    /// Fails with what to install, before anything is compiled for minutes.
    fn ensure_installed(self) -> anyhow::Result<()> {
        let target = self.target();
        let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
        let output = Command::new(&rustc)
            .args(["--print", "target-libdir", "--target", target])
            .output()
            .with_context(|| format!("{} cannot be run", rustc.display()))?;
        let folder = String::from_utf8_lossy(&output.stdout);
        ensure!(
            output.status.success() && Path::new(folder.trim()).is_dir(),
            "the Rust toolchain has no standard library for {target}: rustup target add {target}"
        );
        ensure!(
            self.is_here() || has_zigbuild() || runs(self.cross_compiler()),
            "nothing here links for {target}: install cargo-zigbuild with Zig (pip install cargo-zigbuild ziglang), or {}",
            self.cross_compiler()
        );
        Ok(())
    }
}

/// The file of the edge's addon, built when it has changed.
pub(crate) fn addon() -> anyhow::Result<PathBuf> {
    ADDON.build(Architecture::X86_64)
}

impl Artifact {
    /// Builds it, or finds that nothing has changed since. Answers with its file.
    pub(super) fn build(&self, architecture: Architecture) -> anyhow::Result<PathBuf> {
        let root = repository()?;
        architecture.ensure_installed()?;
        let target = architecture.target();
        // A folder for each kind of processor: Cargo keeps no two builds of a crate that differ in their flags.
        let kind = if self.is_tuned {
            architecture.cpu()
        } else {
            target
        };
        let target_dir = root.join("target/package").join(kind);
        let mut flags = remapped("--remap-path-prefix=", &root);
        if self.is_tuned {
            flags.push_str(" -Ctarget-cpu=");
            flags.push_str(architecture.cpu());
        }
        let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        // Zig links against an old glibc wherever it runs.
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
            .args([
                "--release",
                "--locked",
                "--quiet",
                "--package",
                self.package,
            ])
            .arg("--target-dir")
            .arg(&target_dir)
            .current_dir(&root)
            // The same source makes the same bytes in whatever folder, and tells nobody its name.
            .env("CARGO_PROFILE_RELEASE_STRIP", "symbols")
            .env("RUSTFLAGS", flags)
            .env("CFLAGS", remapped("-ffile-prefix-map=", &root));
        eprintln!("{}", self.building);
        let status = command
            .status()
            .with_context(|| format!("cargo was not found; it builds {}", self.package))?;
        ensure!(
            status.success(),
            "{} cannot be built; see above",
            self.package
        );
        Ok(target_dir.join(target).join("release").join(self.file))
    }
}

/// Tells Cargo and crates with C in them which compiler is meant, where nobody has told them yet.
fn cross_variables(architecture: Architecture) -> Vec<(String, OsString)> {
    let underscored = architecture.target().replace('-', "_");
    let linker = format!("CARGO_TARGET_{}_LINKER", underscored.to_uppercase());
    [linker, format!("CC_{underscored}")]
        .into_iter()
        .filter(|name| std::env::var_os(name).is_none())
        .map(|name| (name, architecture.cross_compiler().into()))
        .collect()
}

/// The checkout that the source lies in: the working directory's, or a folder above it.
fn repository() -> anyhow::Result<PathBuf> {
    let here = std::env::current_dir()?;
    match here.ancestors().find(|folder| folder.join(CRATE).is_dir()) {
        Some(root) => Ok(root.to_owned()),
        None => bail!("functions are built from source; run this in a checkout of Gatepost"),
    }
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

/// Compiler flags that write other names for the checkout, its build folder and Cargo's.
fn remapped(flag: &str, root: &Path) -> String {
    let home = std::env::var_os("HOME").map(PathBuf::from);
    let cargo_home = std::env::var_os("CARGO_HOME")
        .map(PathBuf::from)
        .or_else(|| home.map(|home| home.join(".cargo")));
    let mut flags = vec![format!("{flag}{}=/gatepost", root.display())];
    if let Some(cargo_home) = cargo_home {
        flags.push(format!("{flag}{}=/cargo", cargo_home.display()));
    }
    flags.join(" ")
}
