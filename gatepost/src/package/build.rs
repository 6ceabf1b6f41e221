//! What is built for the functions: for release, in a folder of its own, without a trace of where that is.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, bail, ensure};

/// What Lambda runs on.
const TARGET: &str = "x86_64-unknown-linux-gnu";
/// A crate below the repository's root, to know the root by.
const CRATE: &str = "edge-auth/lambda-edge";

/// A program or library that a function is made of.
pub(crate) struct Artifact {
    /// The crate.
    package: &'static str,
    /// Its file, below Cargo's folder for release.
    file: &'static str,
    /// The least processor that it is built for, where not any will do.
    cpu: Option<&'static str>,
    /// What people are told while it is built.
    building: &'static str,
}

/// The native addon of the Lambda@Edge face.
pub(crate) const ADDON: Artifact = Artifact {
    package: "edge-auth-lambda",
    file: "libedge_auth_lambda.so",
    cpu: None,
    building: "building the addon (about a minute when nothing is built yet)",
};

/// The upload processor's program.
pub(crate) const BOOTSTRAP: Artifact = Artifact {
    package: "upload-processor",
    file: "bootstrap",
    // Every x86_64 Lambda has AVX2, as its manual says. Decoding and encoding take a seventh less time with it.
    cpu: Some("x86-64-v3"),
    building: "building the upload processor (some minutes when nothing is built yet)",
};

/// The signing API's program.
pub(crate) const SIGNING_API: Artifact = Artifact {
    package: "signing-api",
    file: "signing-api",
    // For nothing but that it then shares what is built for the processor.
    cpu: Some("x86-64-v3"),
    building: "building the signing API (some minutes when nothing is built yet)",
};

impl Artifact {
    /// Builds it, or finds that nothing has changed since. Answers with its file.
    pub(crate) fn build(&self) -> anyhow::Result<PathBuf> {
        let root = repository()?;
        ensure!(
            cfg!(all(target_arch = "x86_64", target_os = "linux")) || has_zigbuild(),
            "Lambda runs on x86_64 Linux; install cargo-zigbuild with Zig to build for it here"
        );
        // A folder for each kind of processor: Cargo keeps no two builds of a crate that differ in their flags.
        let target_dir = root
            .join("target/package")
            .join(self.cpu.unwrap_or("x86-64"));
        let mut flags = remapped("--remap-path-prefix=", &root);
        if let Some(cpu) = self.cpu {
            flags.push_str(" -Ctarget-cpu=");
            flags.push_str(cpu);
        }
        let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        // Zig links against an old glibc wherever it runs.
        let zig_target = format!("{TARGET}.2.34");
        if has_zigbuild() {
            command.args(["zigbuild", "--target", &zig_target]);
        } else {
            command.args(["build", "--target", TARGET]);
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
        Ok(target_dir.join(TARGET).join("release").join(self.file))
    }
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
    Command::new("cargo-zigbuild")
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
