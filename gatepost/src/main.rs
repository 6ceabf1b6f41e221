//! The command line. Each command is a module; this file reads the arguments, sets up the log and turns errors into
//! one sentence on stderr and an exit code.

mod aws;
mod config;
mod dev;
mod dlq;
mod drain_on_drop;
mod edge;
mod issuer;
mod local_s3;
mod package;
mod printable;
mod queue;
mod replay;
mod scratch_s3;
mod sign;
mod stop;
mod sweep;
mod text_file;
mod thumbnail;
mod token;
mod web;

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use tracing_subscriber::EnvFilter;

/// Guards an S3 bucket at both ends: signed uploads in, authorized images out.
#[derive(Parser, Debug)]
#[command(name = "gatepost", version, args_conflicts_with_subcommands = true)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    dev: dev::DevArgs,
}

#[derive(Subcommand, Debug)]
enum Command {
    /// Run the whole system on this machine (also without a command)
    Dev(dev::DevArgs),
    /// List, show, replay and redrive dead letters: uploads that failed for the last time
    Dlq(dlq::DlqArgs),
    /// Make what is deployed: the functions' packages and manifest.json
    Package(package::PackageArgs),
    /// Run events through the real handlers and compare with what is expected
    Replay(replay::ReplayArgs),
    /// Sign an upload form, a URL, or CloudFront's URLs and cookies
    Sign(sign::SignArgs),
    /// Announce uploads without a manifest again, and complete interrupted deletions
    Sweep(sweep::SweepArgs),
    /// Make thumbnails of files on this machine as the processor does of uploads
    Thumbnail(thumbnail::ThumbnailArgs),
    /// Print a token of the development issuer
    Token(token::TokenArgs),
}

#[tokio::main]
async fn main() -> ExitCode {
    let cli = Cli::parse();
    let command = cli.command.unwrap_or(Command::Dev(cli.dev));
    start_log(&command);
    let result = match command {
        Command::Dev(args) => dev::run(args).await.map(|()| ExitCode::SUCCESS),
        Command::Dlq(args) => return or_two(dlq::run(args).await),
        Command::Package(args) => package::run(&args).await,
        Command::Replay(args) => return or_two(replay::run(args).await),
        Command::Sign(args) => sign::run(args).await.map(|()| ExitCode::SUCCESS),
        Command::Sweep(args) => return or_two(sweep::run(args).await),
        Command::Thumbnail(args) => return or_two(thumbnail::run(&args)),
        Command::Token(args) => token::run(args).map(|()| ExitCode::SUCCESS),
    };
    result.unwrap_or_else(|error| {
        complain(&error);
        ExitCode::FAILURE
    })
}

/// Commands whose exit code says how the run ended have another one for a run that could not be.
fn or_two(result: anyhow::Result<ExitCode>) -> ExitCode {
    result.unwrap_or_else(|error| {
        complain(&error);
        ExitCode::from(2)
    })
}

fn complain(error: &anyhow::Error) {
    eprintln!("gatepost: {error:#}");
}

/// Logs to stderr: the running system says what it does, a command only what goes wrong. `RUST_LOG` overrides.
fn start_log(command: &Command) {
    let default = match command {
        // s3s reports every refused request as an error of its own.
        Command::Dev(_) => "gatepost=info,signing_api=info,upload_processor=info,s3s=off,warn",
        Command::Sweep(_) => "upload_processor=warn,error",
        _ => "s3s=off,upload_processor=error,error",
    };
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(default));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_target(false)
        .init();
}
