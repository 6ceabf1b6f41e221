//! `gatepost dlq`: shows dead letters, the reason of each and the effect of redriving it, and moves them back to the main
//! queue.
//!
//! [`queue`] reads dead letters from the local stack's data directory or from SQS. [`examination`] predicts the result of
//! processing one; it and the commands `list`, `show` and `replay` write nothing. Only [`redrive`] moves messages.

mod args;
mod examination;
mod interruption;
mod letter;
mod list;
mod local;
mod queue;
mod redrive;
mod selection;
mod show;
mod snapshot;
mod sqs;

use std::process::ExitCode;

use clap::{Args, Subcommand};

use crate::stop::Stop;
use crate::terminal::output;

pub(crate) use args::conflict;
use args::{ListArgs, OneArgs};
use interruption::Interrupted;

#[derive(Args, Debug)]
pub(crate) struct DlqArgs {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand, Debug)]
enum Command {
    /// List every dead letter with its age, its upload and the reason; writes nothing
    #[command(after_long_help = "\
Examples:
  # Of the local stack in this folder
  gatepost dlq list
  # Of a deployed stack, with the settings in dist/
  gatepost dlq list --queue-url https://sqs.eu-central-1.amazonaws.com/123456789012/uploads-dead --upload-bucket example-uploads --media-bucket example-media")]
    List(ListArgs),
    /// Show one dead letter in full, and the effect of redriving it; writes nothing
    #[command(after_long_help = "\
Examples:
  # One that `gatepost dlq list` names; the JSON can be replayed as a file
  gatepost dlq show 7 --format json")]
    Show(OneArgs),
    /// Process a dead letter without publishing anything, and report the outcome
    #[command(after_long_help = "\
Examples:
  # With a configuration that may fix it
  gatepost dlq replay 7 --config gatepost.toml")]
    Replay(OneArgs),
    /// Move dead letters back to the main queue, where they are received as if for the first time
    #[command(after_long_help = "\
Examples:
  # First see what would be moved, then move everything
  gatepost dlq redrive --all --dry-run
  gatepost dlq redrive --all")]
    Redrive(redrive::RedriveArgs),
}

/// Runs; the exit code is 1 if a dead letter does not exist or could not be moved.
pub(crate) async fn run(args: DlqArgs) -> anyhow::Result<ExitCode> {
    let stop = Stop::on_signal();
    let result = match args.command {
        Command::List(args) => Box::pin(list::run(&args, &stop)).await,
        Command::Show(args) => Box::pin(show::run(&args, &stop)).await,
        Command::Replay(args) => Box::pin(show::replay(&args, &stop)).await,
        Command::Redrive(args) => Box::pin(redrive::run(&args, &stop)).await,
    };
    match result {
        Err(error) if error.is::<Interrupted>() => {
            output::print_error(error);
            Ok(ExitCode::from(130))
        }
        result => result,
    }
}
