//! `infra/` as far as it can be judged without an account: format, schema, and policies with mocked resources.
//!
//! Terraform and its provider are used as they are found; nothing of a registry is asked for while a folder of plugins
//! lies in one of the usual places.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{bail, ensure};

use crate::test;

/// The root module.
const INFRA: &str = "infra";
/// In the place of `.terraform`, which would lie among the sources.
const DATA: &str = "target/terraform";
/// What a folder of plugins holds where it holds the provider.
const PROVIDER: &str = "registry.terraform.io/hashicorp/aws";
/// Of checkov, which wants other versions of AWS's SDK than the rest.
const CHECKOV_VENV: &str = "target/checkov";
/// Apache-2.0.
const CHECKOV: &str = "checkov==3.3.30";

/// Format, schema, and the tests in `infra/tests`.
pub(crate) fn check() -> anyhow::Result<()> {
    find()?;
    crate::run(terraform().args(["fmt", "-check", "-recursive", "-diff"]))?;
    init(Path::new(INFRA))?;
    crate::run(terraform().arg("validate"))?;
    crate::run(terraform().arg("test"))
}

/// What others have found wrong with stacks like this; what it is not to find here is named in `infra/.checkov.yaml`.
pub(crate) fn check_with_checkov() -> anyhow::Result<()> {
    let binary = format!("{CHECKOV_VENV}/bin/checkov");
    if !Path::new(&binary).exists() {
        crate::run(Command::new("python3").args(["-m", "venv", CHECKOV_VENV]))?;
        crate::run(Command::new(format!("{CHECKOV_VENV}/bin/pip")).args([
            "install",
            "--quiet",
            "--disable-pip-version-check",
            CHECKOV,
        ]))?;
    }
    crate::run(
        Command::new(binary)
            .args(["--directory", INFRA, "--config-file", "infra/.checkov.yaml"])
            // It would ask its maker for news.
            .env("BC_SKIP_MAPPING", "TRUE")
            .env("CHECKOV_RUN_SCA_PACKAGE_SCAN_V2", "false"),
    )
}

/// Whatever needs Terraform begins with this.
pub(crate) fn find() -> anyhow::Result<()> {
    let version = Command::new("terraform").arg("-version").output();
    if version.is_ok_and(|output| output.status.success()) {
        return Ok(());
    }
    Err(test::missing(
        "Terraform was not found; install 1.7 or newer",
    ))
}

/// Terraform in a folder, with its own data below `target/`.
pub(crate) fn terraform_in(folder: &Path) -> Command {
    let mut command = Command::new("terraform");
    without_variables(&mut command)
        .arg(format!("-chdir={}", folder.display()))
        .env("TF_IN_AUTOMATION", "1")
        .env("CHECKPOINT_DISABLE", "1");
    // A configuration that is named and not there makes every command complain.
    if std::env::var_os("TF_CLI_CONFIG_FILE").is_some_and(|file| !Path::new(&file).exists()) {
        command.env_remove("TF_CLI_CONFIG_FILE");
    }
    command
}

/// Takes away what the environment says of somebody's own deployment.
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

/// Initializes a folder with the provider that is at hand, else with the registry's.
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

/// A folder of plugins with the provider in it: where Terraform looks by itself, and where installers put one.
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
