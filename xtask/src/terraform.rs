//! Checks `infra/` as far as possible without an account: format, schema, and policies with mocked resources.
//!
//! Terraform and its provider are used as installed. No registry is contacted if one of the usual plugin folders
//! exists.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{bail, ensure};

use crate::command::run;
use crate::tools;

/// The root module.
const INFRA: &str = "infra";
/// Tests the script that runs before a destroy.
const GUARD_TEST: &str = "infra/tests/guard.sh";
/// Replaces `.terraform`, which would be among the sources.
const DATA: &str = "target/terraform";
/// The path of the provider within a plugin folder.
const PROVIDER: &str = "registry.terraform.io/hashicorp/aws";

/// Checks format and schema, and runs the tests in `infra/tests`.
pub(crate) fn check() -> anyhow::Result<()> {
    run(Command::new("sh").arg(GUARD_TEST))?;
    run(terraform().args(["fmt", "-check", "-recursive", "-diff"]))?;
    init(Path::new(INFRA))?;
    // The tests' modules have no providers of their own, so they are valid only when they run.
    run(terraform().args(["validate", "-no-tests"]))?;
    run(terraform().arg("test"))
}

/// Runs checkov's checks for known problems of such stacks; `infra/.checkov.yaml` lists the exceptions.
pub(crate) fn check_with_checkov() -> anyhow::Result<()> {
    run(Command::new(tools::checkov_binary())
        .args(["--directory", INFRA, "--config-file", "infra/.checkov.yaml"])
        // It would contact its vendor's server.
        .env("BC_SKIP_MAPPING", "TRUE")
        .env("CHECKOV_RUN_SCA_PACKAGE_SCAN_V2", "false"))
}

/// Terraform in a folder, with its data below `target/`.
pub(crate) fn terraform_in(folder: &Path) -> Command {
    let mut command = Command::new("terraform");
    without_variables(&mut command)
        .arg(format!("-chdir={}", folder.display()))
        .env("TF_IN_AUTOMATION", "1")
        .env("CHECKPOINT_DISABLE", "1");
    // If the named configuration does not exist, every command reports an error.
    if std::env::var_os("TF_CLI_CONFIG_FILE").is_some_and(|file| !Path::new(&file).exists()) {
        command.env_remove("TF_CLI_CONFIG_FILE");
    }
    command
}

/// Removes environment variables that belong to a real deployment.
pub(crate) fn without_variables(command: &mut Command) -> &mut Command {
    for (name, _) in std::env::vars_os() {
        let is_own = name.to_str().is_some_and(|name| {
            name.starts_with("TF_VAR_")
                || name.starts_with("TF_CLI_ARGS")
                || matches!(name, "TF_WORKSPACE" | "TF_DATA_DIR")
        });
        if is_own {
            command.env_remove(name);
        }
    }
    command
}

/// Initializes a folder with the local provider, or else with the registry's.
pub(crate) fn init(folder: &Path) -> anyhow::Result<()> {
    let mut command = terraform_in(folder);
    command.args(["init", "-backend=false", "-input=false"]);
    if folder == Path::new(INFRA) {
        command.env("TF_DATA_DIR", data()?);
    }
    match plugins() {
        Some(plugins) => {
            command.arg(format!("-plugin-dir={}", plugins.display()));
        }
        None => println!("no folder of plugins was found; the provider comes from the registry"),
    }
    let Ok(output) = command.output() else {
        bail!("terraform cannot be run");
    };
    ensure!(
        output.status.success(),
        "terraform init failed:\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(())
}

fn terraform() -> Command {
    let mut command = terraform_in(Path::new(INFRA));
    if let Ok(data) = data() {
        command.env("TF_DATA_DIR", data);
    }
    command
}

fn data() -> anyhow::Result<PathBuf> {
    Ok(std::env::current_dir()?.join(DATA))
}

/// A plugin folder that contains the provider: where Terraform looks by itself, and where installers put one.
fn plugins() -> Option<PathBuf> {
    let home = std::env::var_os("HOME").map(|home| Path::new(&home).join(".terraform.d/plugins"));
    let usual = [
        "/usr/local/share/terraform/plugins",
        "/usr/share/terraform/plugins",
    ];
    let installed = std::fs::read_dir("/opt").into_iter().flatten();
    home.into_iter()
        .chain(usual.map(PathBuf::from))
        .chain(installed.filter_map(|entry| Some(entry.ok()?.path())))
        .find(|folder| folder.join(PROVIDER).is_dir())
}
