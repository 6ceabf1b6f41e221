//! The native addon: built for release, in a folder of its own, without a trace of where that is.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, bail, ensure};

/// What Lambda@Edge runs on.
const TARGET: &str = "x86_64-unknown-linux-gnu";
/// The crate, below the repository's root.
const CRATE: &str = "edge-auth/lambda-edge";

/// A built addon.
pub(crate) struct Addon {
    path: PathBuf,
}

impl Addon {
    /// Builds it, or finds that nothing has changed since.
    pub(crate) fn build() -> anyhow::Result<Self> {
        let root = repository()?;
        ensure!(
            cfg!(all(target_arch = "x86_64", target_os = "linux")) || has_zigbuild(),
            "Lambda@Edge runs on x86_64 Linux; install cargo-zigbuild with Zig to build for it here"
        );
        let target_dir = root.join("target/package");
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
                "edge-auth-lambda",
            ])
            .arg("--target-dir")
            .arg(&target_dir)
            .current_dir(&root)
            // The same source makes the same bytes in whatever folder, and tells nobody its name.
            .env("CARGO_PROFILE_RELEASE_STRIP", "symbols")
            .env("RUSTFLAGS", remapped("--remap-path-prefix=", &root))
            .env("CFLAGS", remapped("-ffile-prefix-map=", &root));
        eprintln!("building the addon (about a minute when nothing is built yet)");
        let status = command
            .status()
            .context("cargo was not found; it builds the addon")?;
        ensure!(status.success(), "the addon cannot be built; see above");
        Ok(Self {
            path: target_dir
                .join(TARGET)
                .join("release/libedge_auth_lambda.so"),
        })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn read(&self) -> anyhow::Result<Vec<u8>> {
        std::fs::read(&self.path).with_context(|| format!("{} cannot be read", self.path.display()))
    }
}

/// The checkout that the addon's source lies in: the working directory's, or a folder above it.
fn repository() -> anyhow::Result<PathBuf> {
    let here = std::env::current_dir()?;
    match here.ancestors().find(|folder| folder.join(CRATE).is_dir()) {
        Some(root) => Ok(root.to_owned()),
        None => bail!("the addon is built from source; run this in a checkout of Gatepost"),
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
