//! The command line's entry point: runs the command, sets up the log, and turns an error into one sentence on stderr and
//! an exit code. The commands are in `commands/`, the local stack in `dev/`.

// Everything is written through `output`.
#![warn(clippy::print_stdout, clippy::print_stderr)]

mod aws;
mod commands;
mod config;
mod dev;
mod package;
mod replay;
mod scratch_s3;
mod stop;
mod terminal;
mod text_file;
mod web;

use std::process::ExitCode;

use tracing_subscriber::EnvFilter;

use commands::cli::{Cli, Command};
use commands::{dlq, manual, session_key, sign, sweep, thumbnail, token};
use terminal::output::{self, OutputError};

#[tokio::main]
async fn main() -> ExitCode {
    let cli = match Cli::parse_from_arguments(std::env::args_os()) {
        Ok(cli) => cli,
        Err(error) => return answer(&error),
    };
    if cli.quiet {
        output::set_quiet();
    }
    let command = cli.command.unwrap_or(Command::Dev(cli.dev));
    start_log(&command);
    // Commands with a meaningful exit code use 2 for a run that could not take place.
    let (result, failure) = match command {
        Command::Completions(args) => (
            manual::complete(&args, &mut Cli::plain_command()).map(|()| ExitCode::SUCCESS),
            1,
        ),
        Command::Dev(args) => (dev::run(args).await.map(|()| ExitCode::SUCCESS), 1),
        Command::Dlq(args) => (dlq::run(args).await, 2),
        Command::Man(args) => (
            manual::write(&args, Cli::plain_command()).map(|()| ExitCode::SUCCESS),
            1,
        ),
        Command::Package(args) => (commands::package::run(&args).await, 1),
        Command::Replay(args) => (commands::replay::run(args).await, 2),
        Command::SessionKey(args) => (session_key::run(args).await.map(|()| ExitCode::SUCCESS), 1),
        Command::Sign(args) => (sign::run(args).await.map(|()| ExitCode::SUCCESS), 1),
        Command::Sweep(args) => (sweep::run(args).await, 2),
        Command::Thumbnail(args) => (thumbnail::run(&args), 2),
        Command::Token(args) => (token::run(args).map(|()| ExitCode::SUCCESS), 1),
    };
    result.unwrap_or_else(|error| explain(&error, failure))
}

/// Prints why a command failed, and returns its exit code. A reader of the results that closes the pipe early is not a
/// failure.
fn explain(error: &anyhow::Error, failure: u8) -> ExitCode {
    match error.downcast_ref::<OutputError>() {
        Some(OutputError::Closed) => return ExitCode::SUCCESS,
        Some(OutputError::Failed(_)) => {
            output::print_error(format_args!("{error:#}"));
            return ExitCode::FAILURE;
        }
        None => {}
    }
    output::print_error(format_args!("{error:#}"));
    ExitCode::from(failure)
}

/// Prints the parser's answer: the help, the version, or the fault of the arguments.
fn answer(error: &clap::Error) -> ExitCode {
    let printed = error.print();
    if error.use_stderr() {
        return ExitCode::from(2);
    }
    match printed.map_err(OutputError::from) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => explain(&error.into(), 1),
    }
}

/// Logs to stderr: the running system logs its work, a command only its failures. `RUST_LOG` overrides.
fn start_log(command: &Command) {
    let default = match command {
        // s3s logs every refused request as its own error.
        Command::Dev(_) => {
            "gatepost=info,local_aws=info,dev_idp=info,signing_api=info,upload_processor=info,s3s=off,warn"
        }
        Command::Sweep(_) => "upload_processor=warn,error",
        _ => "s3s=off,upload_processor=error,error",
    };
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(default));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        // A closed stderr cannot be reported, and the attempt would end the process.
        .log_internal_errors(false)
        .with_target(false)
        .init();
}
