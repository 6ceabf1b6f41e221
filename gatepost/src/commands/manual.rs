//! `gatepost completions` and `gatepost man`: scripts for shells and pages for `man`, generated from the arguments'
//! definitions.
//!
//! `clap_mangen` would fill and hyphenate the examples, and leaves out environment variables; those two sections are
//! written here.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::{Args, Command};
use clap_complete::Shell;
use clap_mangen::Man;
use clap_mangen::roff::{Roff, bold, roman};

use crate::terminal::output;

/// The variables that every command reads.
const VARIABLES: [(&str, &str); 2] = [
    ("NO_COLOR", "If it is set, results have no colours."),
    (
        "RUST_LOG",
        "What is logged to stderr, such as info or upload_processor=debug.",
    ),
];

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
    man.render_synopsis_section(&mut page)?;
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

/// The variables that arguments can come from, and those of every command.
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
