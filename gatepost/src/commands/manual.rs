//! `gatepost completions` and `gatepost man`: scripts for shells and pages for `man`, generated from the arguments'
//! definitions.
//!
//! `clap_mangen` would fill and hyphenate the examples, and leaves out environment variables and the values of options in
//! the synopsis; those three sections are written here.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::{Arg, ArgAction, Args, Command};
use clap_complete::Shell;
use clap_mangen::Man;
use clap_mangen::roff::{Inline, Roff, bold, italic, roman};
use signing_api::PRIVATE_KEY_VARIABLE;

use crate::terminal::output;

/// The variables that every command reads.
const VARIABLES: [(&str, &str); 2] = [
    ("NO_COLOR", "If it is set, results have no colours."),
    (
        "RUST_LOG",
        "What is logged to stderr, such as info or upload_processor=debug.",
    ),
];

/// The variables of commands that have credentials for AWS, or for an endpoint.
const AWS_VARIABLES: [(&str, &str); 5] = [
    (
        "AWS_ACCESS_KEY_ID",
        "The access key for AWS or the endpoint, with AWS_SECRET_ACCESS_KEY.",
    ),
    ("AWS_SECRET_ACCESS_KEY", "The secret of the access key."),
    (
        "AWS_SESSION_TOKEN",
        "The session token, if the access key is a role's.",
    ),
    (
        "AWS_PROFILE",
        "The AWS profile with region and credentials, if the other variables are not set.",
    ),
    ("AWS_REGION", "The AWS region."),
];
/// The variable of commands that ask SQS and S3.
const ENDPOINT_VARIABLE: (&str, &str) = (
    "AWS_ENDPOINT_URL",
    "The endpoint of SQS and S3, if --endpoint-url is absent.",
);

#[derive(Args, Debug)]
pub(crate) struct CompletionsArgs {
    /// The shell that the script is for.
    shell: Shell,
}

#[derive(Args, Debug)]
pub(crate) struct ManArgs {
    /// Write one page per command to this folder [default: print all of them].
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

/// Prints the script.
pub(crate) fn complete(args: &CompletionsArgs, command: &mut Command) -> anyhow::Result<()> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, command, "gatepost", &mut script);
    Ok(output::print_bytes(&script)?)
}

/// Prints the pages, or writes them.
pub(crate) fn write(args: &ManArgs, command: Command) -> anyhow::Result<()> {
    let mut command = command.disable_help_subcommand(true);
    command.build();
    match &args.out {
        Some(folder) => {
            let shown = folder.display();
            std::fs::create_dir_all(folder)
                .with_context(|| format!("the folder {shown} cannot be made"))?;
            write_pages(&command, folder)
                .with_context(|| format!("the pages cannot be written to {shown}"))
        }
        None => print_pages(&command),
    }
}

fn write_pages(command: &Command, folder: &Path) -> std::io::Result<()> {
    let file = Man::new(command.clone()).get_filename();
    std::fs::write(folder.join(file), page(command)?)?;
    command
        .get_subcommands()
        .try_for_each(|below| write_pages(below, folder))
}

fn print_pages(command: &Command) -> anyhow::Result<()> {
    output::print_bytes(&page(command)?)?;
    command.get_subcommands().try_for_each(print_pages)
}

/// A command's page, in roff.
fn page(command: &Command) -> std::io::Result<Vec<u8>> {
    let man = Man::new(command.clone());
    let mut page = Vec::new();
    man.render_title(&mut page)?;
    let mut unhyphenated = Roff::default();
    unhyphenated.control("nh", []);
    unhyphenated.to_writer(&mut page)?;
    man.render_name_section(&mut page)?;
    let mut synopsis = Roff::default();
    put_synopsis(&mut synopsis, command);
    synopsis.to_writer(&mut page)?;
    man.render_description_section(&mut page)?;
    man.render_options_section(&mut page)?;
    if command.has_subcommands() {
        man.render_subcommands_section(&mut page)?;
    }
    let mut own = Roff::default();
    put_environment(&mut own, command);
    put_examples(&mut own, command);
    own.to_writer(&mut page)?;
    if command.get_version().is_some() {
        man.render_version_section(&mut page)?;
    }
    Ok(page)
}

/// The command with its arguments: optional options, required ones, then those without a name.
fn put_synopsis(page: &mut Roff, command: &Command) {
    let groups = || command.get_groups().filter(|group| group.is_required_set());
    let is_grouped = |argument: &&Arg| {
        let id = argument.get_id();
        groups().any(|group| group.get_args().any(|member| member == id))
    };
    let name = command.get_bin_name().unwrap_or(command.get_name());
    let mut line = vec![bold(name)];
    let (positional, named): (Vec<_>, Vec<_>) = command
        .get_arguments()
        .filter(|argument| !argument.is_hide_set() && !is_grouped(argument))
        .partition(|argument| argument.is_positional());
    let (required, optional): (Vec<_>, Vec<_>) =
        named.into_iter().partition(|named| named.is_required_set());
    for argument in optional.into_iter().chain(required).chain(positional) {
        let (start, end) = if argument.is_required_set() {
            (" ", "")
        } else {
            (" [", "]")
        };
        line.push(roman(start));
        line.extend(synopsis_of(argument));
        line.push(roman(end));
    }
    for group in groups() {
        let members = command
            .get_arguments()
            .filter(|argument| group.get_args().any(|member| member == argument.get_id()));
        for (idx, member) in members.enumerate() {
            line.push(roman(if idx == 0 { " " } else { " | " }));
            line.extend(synopsis_of(member));
        }
    }
    if command.has_subcommands() {
        line.push(roman(" "));
        line.push(italic("COMMAND"));
    }
    page.control("SH", ["SYNOPSIS"]);
    page.text(line);
}

/// An argument with its names and its value.
fn synopsis_of(argument: &Arg) -> Vec<Inline> {
    let short = argument.get_short().map(|short| format!("-{short}"));
    let long = argument.get_long().map(|long| format!("--{long}"));
    let names: Vec<_> = short.into_iter().chain(long).collect();
    let mut line = vec![bold(names.join("|"))];
    let values = argument.get_value_names().unwrap_or_default();
    if argument.get_action().takes_values() && !values.is_empty() {
        if !names.is_empty() {
            line.push(roman(" "));
        }
        let values: Vec<_> = values.iter().map(ToString::to_string).collect();
        line.push(italic(values.join(" ")));
    }
    if matches!(argument.get_action(), ArgAction::Append) {
        line.push(roman("..."));
    }
    line
}

/// The variables that arguments can come from, those of AWS, and those of every command.
fn put_environment(page: &mut Roff, command: &Command) {
    page.control("SH", ["ENVIRONMENT"]);
    let mut put = |name: &str, meaning: &str| {
        page.control("TP", []);
        page.text([bold(name)]);
        page.text([roman(meaning)]);
    };
    for argument in command.get_arguments() {
        if let (Some(variable), Some(option)) = (argument.get_env(), argument.get_long()) {
            let meaning = format!("The value of --{option}, if that option is absent.");
            put(&variable.to_string_lossy(), &meaning);
        }
    }
    let has = |id: &str| command.get_arguments().any(|found| found.get_id() == id);
    if has("private_key") {
        put(
            PRIVATE_KEY_VARIABLE,
            "The text of the private key, if --private-key is absent.",
        );
    }
    if has("endpoint_url") {
        for (name, meaning) in AWS_VARIABLES {
            put(name, meaning);
        }
    }
    if has("endpoint_url") && has("queue_url") {
        let (name, meaning) = ENDPOINT_VARIABLE;
        put(name, meaning);
    }
    for (name, meaning) in VARIABLES {
        put(name, meaning);
    }
}

/// The examples of the help, line by line.
fn put_examples(page: &mut Roff, command: &Command) {
    let Some(help) = command.get_after_long_help().map(ToString::to_string) else {
        return;
    };
    page.control("SH", ["EXAMPLES"]);
    page.control("nf", []);
    for line in help.lines().filter(|line| *line != "Examples:") {
        page.text([roman(line.strip_prefix("  ").unwrap_or(line))]);
    }
    page.control("fi", []);
}
