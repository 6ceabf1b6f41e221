//! `gatepost package`: makes the package with the library `package`, and prints its files.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use crate::config::Config;
use crate::package::{self, Architecture, Options};
use crate::terminal::output;

#[derive(Args, Debug)]
pub(crate) struct PackageArgs {
    /// The output folder; it is created if it is missing.
    #[arg(long, default_value = "dist", value_name = "DIR")]
    out: PathBuf,
    /// The configuration to pack [default: gatepost.toml, if there is one].
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The architecture of the API and the processor. The authorizer is always for Intel and AMD: the edge has nothing else.
    #[arg(
        long,
        value_enum,
        default_value = "x86_64",
        value_name = "ARCHITECTURE"
    )]
    arch: Architecture,
    /// The manifest.json of the deployed package, which this one replaces [default: the one in --out].
    #[arg(long, value_name = "FILE")]
    previous: Option<PathBuf>,
    /// Allow session keys that sign before the deployed edge knows them; people are signed out until it does.
    #[arg(long)]
    rotate_now: bool,
    /// Fetch no keys: issuers with only a URL are packed without keys.
    #[arg(long)]
    offline: bool,
}

/// Makes the package, and prints its files.
pub(crate) async fn run(args: &PackageArgs) -> anyhow::Result<ExitCode> {
    let config = Config::load(args.config.as_deref())?;
    let options = Options {
        out: &args.out,
        architecture: args.arch,
        previous: args.previous.as_deref(),
        rotate_now: args.rotate_now,
        offline: args.offline,
    };
    let manifest = package::make(config, &options).await?;
    for package in manifest.packages() {
        output::print(format_args!(
            "{}  {} bytes  sha256 {}",
            args.out.join(package.file).display(),
            package.bytes,
            package.sha256
        ))?;
    }
    if let Some(gate) = manifest.gate() {
        output::print(format_args!(
            "{}  {} of {} bytes  sha256 {}",
            args.out.join(gate.file).display(),
            gate.bytes,
            edge_auth_function::MAX_BYTES,
            gate.sha256
        ))?;
    }
    output::print(args.out.join("manifest.json").display())?;
    Ok(ExitCode::SUCCESS)
}
