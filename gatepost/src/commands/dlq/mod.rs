//! `gatepost dlq`: what failed for the last time, why, what would become of it now, and the way back to the queue.
//!
//! [`queue`] is where dead letters are: the local stack's data directory, or a queue of SQS. [`examination`] says what
//! working on one would come to; it and the commands `list`, `show` and `replay` write nothing. Only [`redrive`] moves
//! anything.

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

use args::{ListArgs, OneArgs};
use interruption::Interrupted;

#[derive(Args, Debug)]
pub(crate) struct DlqArgs {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand, Debug)]
enum Command {
    /// Name every dead letter with its age, its upload and the reason; writes nothing
    #[command(after_long_help = "\
Examples:
  # Of the local stack of this folder
  gatepost dlq list
  # Of a deployed stack, with the settings in dist/
  gatepost dlq list --queue-url https://sqs.eu-central-1.amazonaws.com/123456789012/uploads-dead --upload-bucket example-uploads --media-bucket example-media")]
    List(ListArgs),
    /// Say everything of one dead letter, and what redriving it would do; writes nothing
    #[command(after_long_help = "\
Examples:
  # One that `gatepost dlq list` names; the JSON can be replayed as a file
  gatepost dlq show 7 --format json")]
    Show(OneArgs),
    /// Work on a dead letter without publishing anything, and report what happens
    #[command(after_long_help = "\
Examples:
  # With a configuration that may mend it
  gatepost dlq replay 7 --config gatepost.toml")]
    Replay(OneArgs),
    /// Move dead letters back to the main queue, where they are received as if for the first time
    #[command(after_long_help = "\
Examples:
  # What would be moved, and then all of it
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
