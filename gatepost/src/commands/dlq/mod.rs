//! `gatepost dlq`: what failed for the last time, why, what would become of it now, and the way back to the queue.
//!
//! [`queue`] is where dead letters are: the local stack's data directory, or a queue of SQS. [`examination`] says what
//! working on one would come to; it and the commands `list`, `show` and `replay` write nothing. Only [`redrive`] moves
//! anything.

mod examination;
mod letter;
mod list;
mod local;
mod queue;
mod redrive;
mod show;
mod snapshot;
mod sqs;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Subcommand, ValueEnum};
use serde::Serialize;

use crate::stop::Stop;
use crate::terminal::output;
use crate::terminal::printable::{printable, printable_json};

use letter::DeadLetter;
use queue::{Queue, Wanted};

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

#[derive(Args, Debug)]
struct ListArgs {
    #[command(flatten)]
    place: Place,
    #[command(flatten)]
    reading: Reading,
}

#[derive(Args, Debug)]
struct OneArgs {
    /// The dead letter, as `gatepost dlq list` names it.
    id: String,
    #[command(flatten)]
    place: Place,
    #[command(flatten)]
    reading: Reading,
}

/// The place of the dead letters.
#[derive(Args, Debug)]
struct Place {
    /// The dead-letter queue of SQS; without it the dead letters of the local stack are meant.
    #[arg(long, value_name = "URL")]
    queue_url: Option<String>,
    /// The data directory of the local stack, which may be running.
    #[arg(
        long,
        value_name = "DIR",
        default_value = ".gatepost",
        conflicts_with = "queue_url"
    )]
    data_dir: PathBuf,
    /// SQS and S3 elsewhere than on AWS. Without --queue-url: the S3 that `gatepost dev --endpoint-url` uses.
    #[arg(long, value_name = "URL")]
    endpoint_url: Option<String>,
    /// How results are printed.
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
}

/// The way in which uploads are looked at.
#[derive(Args, Debug)]
struct Reading {
    /// The bucket that forms post to, with --queue-url.
    #[arg(long, value_name = "NAME", env = "GATEPOST_UPLOAD_BUCKET")]
    upload_bucket: Option<String>,
    /// The bucket of renditions and manifests, with --queue-url.
    #[arg(long, value_name = "NAME", env = "GATEPOST_MEDIA_BUCKET")]
    media_bucket: Option<String>,
    /// The configuration [default: with --queue-url what is packed in dist, if it is there; else gatepost.toml].
    #[arg(long, value_name = "FILE", conflicts_with = "package")]
    config: Option<PathBuf>,
    /// The folder with the package that is deployed: its settings are used.
    #[arg(long, value_name = "DIR")]
    package: Option<PathBuf>,
    /// The scan that the deployed processor waits for: nothing is looked at that it has not tagged as clean. It is on as
    /// well for dead letters that come from the scan.
    #[arg(long, value_name = "guardduty", env = "GATEPOST_MALWARE_SCAN", value_parser = parse_malware_scan)]
    malware_scan: Option<bool>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
enum Format {
    Table,
    Json,
}

/// Ctrl-C or SIGTERM came.
#[derive(Debug, thiserror::Error)]
#[error("interrupted")]
struct Interrupted;

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
            output::error(error);
            Ok(ExitCode::from(130))
        }
        result => result,
    }
}

/// The dead letter with an id; `None`, after a sentence about it, where there is none.
async fn find(queue: &Queue, id: &str, stop: &Stop) -> anyhow::Result<Option<DeadLetter>> {
    let ids = [id.to_owned()];
    let found = queue.look(Wanted::These(&ids), stop).await?.pop();
    if found.is_none() {
        report_missing(id);
    }
    Ok(found)
}

fn report_missing(id: &str) {
    let id = printable(id);
    output::error(format_args!(
        "there is no dead letter {id}; `gatepost dlq list` names those that there are"
    ));
}

/// Work that writes nothing, and ends when the process is asked to stop.
async fn until_stopped<T>(
    stop: &Stop,
    work: impl Future<Output = anyhow::Result<T>>,
) -> anyhow::Result<T> {
    tokio::select! {
        result = work => result,
        () = stop.wait() => Err(Interrupted.into()),
    }
}

/// The variable means the same here as where the processor reads it.
fn parse_malware_scan(text: &str) -> Result<bool, String> {
    match text {
        "" => Ok(false),
        "guardduty" => Ok(true),
        _ => Err("it can only be guardduty".to_owned()),
    }
}

/// Prints a result as one line of JSON.
fn print_json(value: &impl Serialize) -> anyhow::Result<()> {
    Ok(output::print(printable_json(&serde_json::to_string(
        value,
    )?))?)
}
