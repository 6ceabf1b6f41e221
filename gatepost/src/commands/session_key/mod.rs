//! `gatepost session-key`: the keys that sign sessions in delivery mode `function`.
//!
//! Each key is in two places: in a `KeyValueStore`, with which the edge verifies, and in the API's secret, with which the
//! API signs and verifies. A key is first in the store and last in the secret, so that every edge verifies what the API
//! signs. Each command is idempotent: after an interruption the same command completes the work. Nothing here prints a
//! secret or takes one from the arguments.

mod list;
mod material;
mod places;
mod prune;
mod push;
mod rotate;
mod store;

use clap::{Args, Subcommand};

#[derive(Args, Debug)]
pub(crate) struct SessionKeyArgs {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand, Debug)]
enum Command {
    /// Show each key: when it signs, and where it is
    #[command(after_long_help = "\
Examples:
  # With the ARNs of GATEPOST_SESSION_STORE_ARN and GATEPOST_SESSION_SECRETS_ARN
  gatepost session-key list
  # For a script: one JSON object per line
  gatepost session-key list --format json")]
    List(list::ListArgs),
    /// Remove keys whose last session has expired
    #[command(after_long_help = "\
Examples:
  # Keys that another key replaced more than twelve hours ago
  gatepost session-key prune
  # With [session] lifetime = \"1h\"
  gatepost session-key prune --lifetime 1h")]
    Prune(prune::PruneArgs),
    /// Write the first key
    #[command(after_long_help = "\
Examples:
  # With a secret from standard input, such as a pipe from openssl rand -hex 32
  gatepost session-key push --kid 2026-11
  # A secret in a file
  gatepost session-key push --kid 2026-11 --secret-file session-2026-11")]
    Push(push::PushArgs),
    /// Write a new key, and wait until the API signs with it; nobody is signed out
    #[command(after_long_help = "\
Examples:
  # With 32 random bytes
  gatepost session-key rotate --kid 2026-12
  # For an API that reads its secret every minute
  gatepost session-key rotate --kid 2026-12 --api-cache 1m")]
    Rotate(rotate::RotateArgs),
}

/// Runs.
pub(crate) async fn run(args: SessionKeyArgs) -> anyhow::Result<()> {
    match args.command {
        Command::List(args) => list::run(&args).await,
        Command::Prune(args) => prune::run(&args).await,
        Command::Push(args) => push::run(&args).await,
        Command::Rotate(args) => rotate::run(&args).await,
    }
}
