//! The arguments of the command line: its commands, and the examples at the end of their help.
//!
//! What a command takes is said in its own module; `gatepost completions` and `gatepost man` are made of the same.

use clap::{Parser, Subcommand};

use super::{dlq, manual, package, replay, sign, sweep, thumbnail, token};
use crate::dev;

/// Guards an S3 bucket at both ends: signed uploads in, authorized images out.
#[derive(Parser, Debug)]
#[command(
    name = "gatepost",
    version,
    args_conflicts_with_subcommands = true,
    after_long_help = "\
Examples:
  # The whole system on this machine; open the address that it prints
  gatepost
  # A token for scripts, from another terminal
  gatepost token --sub alice
  # Whether recorded events still come to what is expected of them
  gatepost replay test-events"
)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
    /// Write only results, warnings and errors: no notes, no progress.
    #[arg(long, short, global = true, display_order = 1000)]
    pub(crate) quiet: bool,
    #[command(flatten)]
    pub(crate) dev: dev::DevArgs,
}

#[derive(Subcommand, Debug)]
pub(crate) enum Command {
    /// Print a script that completes gatepost's arguments in a shell
    #[command(after_long_help = "\
Examples:
  # For this session of bash: eval what this prints
  gatepost completions bash
  # For zsh and fish: into a file of the folder that they read
  gatepost completions fish")]
    Completions(manual::CompletionsArgs),
    /// Run the whole system on this machine (also without a command)
    #[command(after_long_help = "\
Examples:
  # For a front end on its own development server
  gatepost dev --origin http://localhost:5173
  # With your own configuration, on any free port
  gatepost dev --config my.toml --port 0
  # With the buckets of an S3 that runs elsewhere
  gatepost dev --endpoint-url http://127.0.0.1:9000")]
    Dev(dev::DevArgs),
    /// List, show, replay and redrive dead letters: uploads that failed for the last time
    #[command(after_long_help = "\
Examples:
  # What failed on the local stack, and why
  gatepost dlq list
  # Once the cause is mended
  gatepost dlq redrive --all")]
    Dlq(dlq::DlqArgs),
    /// Print the manual, or write its pages to a folder
    #[command(after_long_help = "\
Examples:
  # Into a folder of man's path, as man1
  gatepost man --out man/man1")]
    Man(manual::ManArgs),
    /// Make what is deployed: the functions' packages and manifest.json
    #[command(after_long_help = "\
Examples:
  # In a checkout: the zips, the page and manifest.json into dist/
  gatepost package
  # The API and the processor for Graviton, held against the deployed package
  gatepost package --arch arm64 --previous deployed/manifest.json")]
    Package(package::PackageArgs),
    /// Run events through the real handlers and compare with what is expected
    #[command(after_long_help = "\
Examples:
  # Every event below a folder, each with its NAME.expected.json
  gatepost replay test-events
  # A logged event, with the issuer's keys of then, at its time
  gatepost replay event.json --jwks jwks.json --at 2026-11-23T12:00:00Z
  # Viewer requests through the package that CloudFront would run
  gatepost replay test-events/viewer-requests --face node")]
    Replay(replay::ReplayArgs),
    /// Sign an upload form, a URL, or CloudFront's URLs and cookies
    #[command(after_long_help = "\
Examples:
  # A form for one photo of at most 5 MiB
  gatepost sign post --bucket example-uploads --key uploads/k5x/1 --content-type image/jpeg --max-bytes '5 MiB'
  # A URL that reads one object for 15 minutes
  gatepost sign get --bucket example-media --key media/k5x/640.webp")]
    Sign(sign::SignArgs),
    /// Announce uploads without a manifest again, and complete interrupted deletions
    #[command(after_long_help = "\
Examples:
  # With the queue and the buckets of GATEPOST_UPLOAD_QUEUE_URL, GATEPOST_UPLOAD_BUCKET and GATEPOST_MEDIA_BUCKET
  gatepost sweep
  # What arrived today, and what has failed
  gatepost sweep --since 1d --failed --queue-url https://sqs.eu-central-1.amazonaws.com/123456789012/uploads --upload-bucket example-uploads --media-bucket example-media")]
    Sweep(sweep::SweepArgs),
    /// Make thumbnails of files on this machine as the processor does of uploads
    #[command(after_long_help = "\
Examples:
  # Every photo below a folder
  gatepost thumbnail photos --out thumbnails
  # For a script: one JSON object a line, and exit code 1 if one is rejected
  gatepost thumbnail a.jpg b.png --out thumbnails --format json --strict")]
    Thumbnail(thumbnail::ThumbnailArgs),
    /// Print a token of the development issuer
    #[command(after_long_help = "\
Examples:
  # For the local stack of this folder
  gatepost token --sub alice
  # With claims that rules ask for, for ten minutes
  gatepost token --sub alice --claims '{\"groups\": [\"red\"]}' --expires 10m")]
    Token(token::TokenArgs),
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    /// Every command, with the names that lead to it.
    fn commands() -> Vec<(String, clap::Command)> {
        fn collect(name: &str, command: &clap::Command, all: &mut Vec<(String, clap::Command)>) {
            for below in command.get_subcommands() {
                collect(&format!("{name} {}", below.get_name()), below, all);
            }
            all.push((name.to_owned(), command.clone()));
        }
        let mut all = Vec::new();
        collect("gatepost", &Cli::command(), &mut all);
        all
    }

    #[test]
    fn every_argument_has_a_sentence_and_every_command_an_example() {
        Cli::command().debug_assert();
        for (name, command) in commands() {
            assert!(command.get_about().is_some(), "{name}");
            for argument in command.get_arguments() {
                assert!(
                    argument.get_help().is_some(),
                    "{name} {}",
                    argument.get_id()
                );
            }
            let examples = command.get_after_long_help().map(ToString::to_string);
            assert!(examples.is_some_and(|text| text.contains(&name)), "{name}");
        }
    }

    #[test]
    fn every_example_is_understood() {
        for (_, command) in commands() {
            let examples = command.get_after_long_help().map(ToString::to_string);
            for line in examples.unwrap_or_default().lines() {
                let Some(example) = line.strip_prefix("  gatepost") else {
                    continue;
                };
                // Words, of which those in quotation marks have spaces.
                let words = example.split('\'').enumerate().flat_map(|(idx, part)| {
                    let is_quoted = idx % 2 == 1;
                    let words: Vec<&str> = if is_quoted {
                        vec![part]
                    } else {
                        part.split_whitespace().collect()
                    };
                    words
                });
                let parsed = Cli::try_parse_from(["gatepost"].into_iter().chain(words));
                if let Err(error) = parsed {
                    // What only the environment says is not at fault.
                    let kind = error.kind();
                    let is_missing = kind == clap::error::ErrorKind::MissingRequiredArgument;
                    assert!(is_missing && line == "  gatepost sweep", "{line}: {error}");
                }
            }
        }
    }
}
