//! `gatepost completions` and `gatepost man`: scripts for shells and pages for `man`, generated from the arguments'
//! definitions.

use std::path::PathBuf;

use anyhow::Context as _;
use clap::{Args, Command};
use clap_complete::Shell;

use crate::terminal::output;

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
    if let Some(folder) = &args.out {
        let shown = folder.display();
        std::fs::create_dir_all(folder)
            .with_context(|| format!("the folder {shown} cannot be made"))?;
        return clap_mangen::generate_to(command, folder)
            .with_context(|| format!("the pages cannot be written to {shown}"));
    }
    let folder = tempfile::tempdir()?;
    clap_mangen::generate_to(command, folder.path())?;
    let mut pages: Vec<PathBuf> = std::fs::read_dir(folder.path())?
        .map(|entry| Ok(entry?.path()))
        .collect::<std::io::Result<_>>()?;
    // The page of gatepost itself first.
    pages.sort_by_key(|page| (page.file_stem() != Some("gatepost".as_ref()), page.clone()));
    for page in pages {
        output::print_bytes(&std::fs::read(page)?)?;
    }
    Ok(())
}
