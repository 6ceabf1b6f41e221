//! The command line: its commands, and the examples at the end of their help.
//!
//! `main` parses it. Each command's module defines its own arguments; `gatepost completions` and `gatepost man` are
//! generated from the same definitions.

use std::ffi::OsString;

use clap::builder::{Resettable, StyledStr};
use clap::error::ErrorKind;
use clap::parser::ValueSource;
use clap::{ArgMatches, CommandFactory as _, FromArgMatches as _, Parser, Subcommand};

use super::{dlq, manual, package, replay, session_key, sign, sweep, thumbnail, token};
use crate::dev;

/// Guards an S3 bucket at both ends: signed uploads in, authorized images out.
#[derive(Parser, Debug)]
#[command(
    name = "gatepost",
    version,
    after_long_help = "\
Examples:
  # The whole system on this machine; open the address that it prints
  gatepost
  # A token for scripts, from another terminal
  gatepost token --sub alice
  # Check that recorded events still have the expected outcome
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
    /// Print a completion script for a shell
    #[command(after_long_help = "\
Examples:
  # For this session of bash: eval the output
  gatepost completions bash
  # For zsh and fish: write it to a file in their completions folder
  gatepost completions fish")]
    Completions(manual::CompletionsArgs),
    /// Run the whole system on this machine (the default command)
    #[command(after_long_help = "\
Examples:
  # For a front end on its own development server
  gatepost dev --origin http://localhost:5173
  # With your own configuration, on any free port
  gatepost dev --config my.toml --port 0
  # With the buckets of another S3 server
  gatepost dev --endpoint-url http://127.0.0.1:9000")]
    Dev(dev::DevArgs),
    /// List, show, replay and redrive dead letters: messages of uploads that failed too often
    #[command(after_long_help = "\
Examples:
  # What failed on the local stack, and why
  gatepost dlq list
  # After the cause is fixed
  gatepost dlq redrive --all")]
    Dlq(dlq::DlqArgs),
    /// Print the manual, or write its pages to a folder
    #[command(after_long_help = "\
Examples:
  # Into the folder man1 of a folder in man's search path
  gatepost man --out man/man1")]
    Man(manual::ManArgs),
    /// Build the deployment: the functions' packages, the page and manifest.json
    #[command(after_long_help = "\
Examples:
  # In a checkout: the zips, the page and manifest.json into dist/
  gatepost package
  # The API and the processor for Graviton, checked against the deployed package
  gatepost package --arch arm64 --previous deployed/manifest.json")]
    Package(package::PackageArgs),
    /// Run events through the real handlers, and compare the outcome with the expected one
    #[command(after_long_help = "\
Examples:
  # Every event in a folder, each with its NAME.expected.json
  gatepost replay test-events
  # A logged event, with the issuer's keys and the time of that moment
  gatepost replay event.json --jwks jwks.json --at 2026-11-23T12:00:00Z
  # Viewer requests through the package that CloudFront would run
  gatepost replay test-events/viewer-requests --runtime node")]
    Replay(replay::ReplayArgs),
    /// List, write, rotate and remove the keys of sessions in delivery mode function
    #[command(after_long_help = "\
Examples:
  # Which key signs, and where each one is
  gatepost session-key list
  # A new key, without signing anybody out
  gatepost session-key rotate --kid 2026-12")]
    SessionKey(session_key::SessionKeyArgs),
    /// Sign an upload form, a URL, or CloudFront's URLs and cookies
    #[command(after_long_help = "\
Examples:
  # A form for one photo of at most 5 MiB
  gatepost sign post --bucket example-uploads --key uploads/k5x/1 --content-type image/jpeg --max-bytes '5 MiB'
  # A URL that reads one object for 15 minutes
  gatepost sign get --bucket example-media --key o/media/k5x/640.webp")]
    Sign(sign::SignArgs),
    /// Send uploads without a manifest to the queue again, and complete interrupted deletions
    #[command(after_long_help = "\
Examples:
  # With the queue and the buckets of GATEPOST_UPLOAD_QUEUE_URL, GATEPOST_UPLOAD_BUCKET and GATEPOST_MEDIA_BUCKET
  gatepost sweep
  # Uploads of the last day, failed ones included
  gatepost sweep --since 1d --failed --queue-url https://sqs.eu-central-1.amazonaws.com/123456789012/uploads --upload-bucket example-uploads --media-bucket example-media")]
    Sweep(sweep::SweepArgs),
    /// Make thumbnails of local files, as the processor does of uploads
    #[command(after_long_help = "\
Examples:
  # Every photo in a folder
  gatepost thumbnail photos --out thumbnails
  # For a script: one JSON object per line, and exit code 1 if a file is rejected
  gatepost thumbnail a.jpg b.png --out thumbnails --format json --strict")]
    Thumbnail(thumbnail::ThumbnailArgs),
    /// Print a token of the development issuer
    #[command(after_long_help = "\
Examples:
  # For the local stack of this folder
  gatepost token --sub alice
  # With claims that a rule requires, valid for ten minutes
  gatepost token --sub alice --claims '{\"groups\": [\"red\"]}' --expires 10m")]
    Token(token::TokenArgs),
}

impl Cli {
    /// The commands as their help shows them: with the comments of the definitions, but without their backticks.
    pub(crate) fn plain_command() -> clap::Command {
        without_backticks(Self::command())
    }

    /// Parses arguments, the program's name included.
    pub(crate) fn parse_from_arguments(
        arguments: impl IntoIterator<Item = impl Into<OsString> + Clone>,
    ) -> Result<Self, clap::Error> {
        let mut command = Self::plain_command();
        let matches = command.try_get_matches_from_mut(arguments)?;
        if let Some(conflict) = conflict(&command, &matches) {
            return Err(command.error(ErrorKind::ArgumentConflict, conflict));
        }
        Self::from_arg_matches(&matches).map_err(|error| error.format(&mut command))
    }
}

fn without_backticks(command: clap::Command) -> clap::Command {
    let plain = |text: Option<&StyledStr>| text.map(|text| text.to_string().replace('`', ""));
    let about = plain(command.get_about());
    let long_about = plain(command.get_long_about());
    let examples = plain(command.get_after_long_help());
    let command = command
        .about(Resettable::from(about.map(StyledStr::from)))
        .long_about(Resettable::from(long_about.map(StyledStr::from)))
        .after_long_help(Resettable::from(examples.map(StyledStr::from)));
    command
        .mut_args(|argument| {
            let help = plain(argument.get_help());
            let long_help = plain(argument.get_long_help());
            argument
                .help(Resettable::from(help.map(StyledStr::from)))
                .long_help(Resettable::from(long_help.map(StyledStr::from)))
        })
        .mut_subcommands(without_backticks)
}

/// Arguments that would be ignored: those of `dev` before another command, and those of another place of dead letters.
/// `--quiet` may be anywhere, which `args_conflicts_with_subcommands` does not allow.
fn conflict(command: &clap::Command, matches: &ArgMatches) -> Option<String> {
    let (name, below) = matches.subcommand()?;
    let is_misplaced = |argument: &&clap::Arg| {
        let id = argument.get_id();
        !argument.is_global_set()
            && matches.ids().any(|present| present == id)
            && matches.value_source(id.as_str()) == Some(ValueSource::CommandLine)
    };
    if let Some(argument) = command.get_arguments().find(is_misplaced) {
        return Some(format!(
            "the argument '{argument}' belongs to `gatepost dev`; write it after `dev`, or leave it out"
        ));
    }
    (name == "dlq").then(|| dlq::conflict(below)).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every command, with its full name.
    fn commands() -> Vec<(String, clap::Command)> {
        fn collect(name: &str, command: &clap::Command, all: &mut Vec<(String, clap::Command)>) {
            for below in command.get_subcommands() {
                collect(&format!("{name} {}", below.get_name()), below, all);
            }
            all.push((name.to_owned(), command.clone()));
        }
        let mut all = Vec::new();
        collect("gatepost", &Cli::plain_command(), &mut all);
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
    fn help_has_no_backticks() {
        for (name, mut command) in commands() {
            let help = command.render_long_help().to_string();
            assert!(!help.contains('`'), "{name}: {help}");
        }
    }

    #[test]
    fn every_example_is_parsed() {
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
                let parsed = Cli::parse_from_arguments(["gatepost"].into_iter().chain(words));
                if let Err(error) = parsed {
                    // Arguments that come from the environment are missing here.
                    let kind = error.kind();
                    let is_missing = kind == clap::error::ErrorKind::MissingRequiredArgument;
                    let has_variables =
                        line == "  gatepost sweep" || line.starts_with("  gatepost session-key ");
                    assert!(is_missing && has_variables, "{line}: {error}");
                }
            }
        }
    }

    #[test]
    fn quiet_may_precede_a_command_and_arguments_of_dev_may_not() {
        for (arguments, is_accepted) in [
            (&["-q", "token", "--sub", "a"][..], true),
            (&["token", "--sub", "a", "-q"], true),
            (&["--quiet", "dev", "--port", "0"], true),
            (&["-q", "--port", "0"], true),
            (&["--port", "0", "token", "--sub", "a"], false),
            (&["--origin", "http://localhost:1", "dev"], false),
        ] {
            let words = ["gatepost"].iter().chain(arguments);
            let parsed = Cli::parse_from_arguments(words);
            assert_eq!(parsed.is_ok(), is_accepted, "{arguments:?}: {parsed:?}");
            if let Ok(cli) = parsed {
                assert!(cli.quiet || arguments[1] == "dev", "{arguments:?}");
            }
        }
    }

    #[test]
    fn buckets_of_aws_need_a_queue_of_aws() {
        let queue = "https://sqs.eu-central-1.amazonaws.com/123456789012/dead";
        for (arguments, is_accepted) in [
            (&["list", "--upload-bucket", "b"][..], false),
            (&["show", "1", "--media-bucket", "b"], false),
            (
                &["list", "--queue-url", queue, "--upload-bucket", "b"],
                true,
            ),
            (&["list"], true),
            (&["redrive", "--all"], true),
        ] {
            let words = ["gatepost", "dlq"].iter().chain(arguments);
            let parsed = Cli::parse_from_arguments(words);
            assert_eq!(parsed.is_ok(), is_accepted, "{arguments:?}: {parsed:?}");
        }
    }
}
