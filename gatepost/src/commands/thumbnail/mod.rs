//! `gatepost thumbnail`: makes of local files what the processor makes of uploads, without S3.

mod find;
mod line;

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use anyhow::Context as _;
use clap::{Args, ValueEnum};
use jiff::Timestamp;
use thumbnailer::inspect::Declared;
use thumbnailer::rejection::Rejection;
use thumbnailer::settings::Settings;
use thumbnailer::thumbnail::{TIME_PER_IMAGE, Thumbnailed, thumbnail};
use upload_processor::published;

use crate::config::Config;
use crate::terminal::output::{self, OutputError};
use crate::terminal::printable::printable;
use crate::terminal::progress::Progress;

use find::{Found, Input};
use line::Line;

#[derive(Args, Debug)]
pub(crate) struct ThumbnailArgs {
    /// Images, or folders that are searched to any depth.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// The output folder; each file's renditions go to a folder with the file's name.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// The configuration [default: gatepost.toml, if there is one].
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// How results are printed.
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
    /// Exit with 1 when a file is rejected.
    #[arg(long)]
    strict: bool,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
enum Format {
    Table,
    Json,
}

/// Makes thumbnails; the exit code says whether all files could be read and, with `--strict`, were accepted.
pub(crate) fn run(args: &ThumbnailArgs) -> anyhow::Result<ExitCode> {
    let settings = Config::load(args.config.as_deref())?.images;
    let found = find::find(&args.files, &args.out)?;
    let shown = |found: &Found| printable(&found.file().to_string_lossy()).chars().count();
    let width = found.iter().map(shown).max().unwrap_or(0);
    let progress = Progress::towards(found.len());
    let mut lines = Vec::with_capacity(found.len());
    for found in found {
        progress.say(&found.file().to_string_lossy());
        let line = match found {
            Found::Input(input) => make(&input, &settings, &args.out)?,
            Found::Unreadable { file, reason } => Line::unreadable(&file, reason),
        };
        match args.format {
            Format::Json => progress.print(serde_json::to_string(&line)?)?,
            Format::Table => progress.print(line.row(width))?,
        }
        progress.advance();
        lines.push(line);
    }
    drop(progress);
    if args.format == Format::Table {
        print_summary(&lines)?;
    }
    let is_rejected = |line: &Line| !line.is_ready() && !line.is_unreadable();
    Ok(if lines.iter().any(Line::is_unreadable) {
        ExitCode::from(2)
    } else if args.strict && lines.iter().any(is_rejected) {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    })
}

/// Prints the totals.
fn print_summary(lines: &[Line]) -> Result<(), OutputError> {
    let n_ready = lines.iter().filter(|line| line.is_ready()).count();
    let n_unreadable = lines.iter().filter(|line| line.is_unreadable()).count();
    let n_rejected = lines.len() - n_ready - n_unreadable;
    let n_files = output::count(lines.len(), "file");
    let unreadable = match n_unreadable {
        0 => String::new(),
        n => format!(", {n} unreadable"),
    };
    output::print(format_args!(
        "\n{n_files}: {n_ready} ready, {n_rejected} rejected{unreadable}"
    ))
}

/// Makes the renditions of a file, and writes them.
fn make(input: &Input, settings: &Settings, out: &Path) -> anyhow::Result<Line> {
    let content = match read(&input.file, settings.max_bytes) {
        Ok(content) => content,
        Err(error) => return Ok(Line::unreadable(&input.file, error.to_string())),
    };
    let started = Instant::now();
    let result = content
        .and_then(|bytes| thumbnail(&bytes, &Declared::default(), settings, Some(TIME_PER_IMAGE)));
    let micros = u64::try_from(started.elapsed().as_micros()).unwrap_or(u64::MAX);
    if let Ok(made) = &result {
        write(&out.join(&input.folder), made)?;
    }
    let status = published::status(&result, Timestamp::now(), |rendition| {
        format!("{}/{}", input.folder, rendition.file_name)
    });
    let detail = result.err().map(|rejection| rejection.to_string());
    Ok(Line::new(&input.file, status, detail, micros))
}

/// Reads a file, unless it is larger than an upload may be: a film would fill the memory.
fn read(file: &Path, max: u64) -> std::io::Result<Result<Vec<u8>, Rejection>> {
    let file = std::fs::File::open(file)?;
    let bytes = file.metadata()?.len();
    if bytes > max {
        return Ok(Err(Rejection::TooLarge { bytes, max }));
    }
    let mut content = Vec::new();
    // The file may have grown since; the additional byte reveals it.
    file.take(max.saturating_add(1)).read_to_end(&mut content)?;
    Ok(Ok(content))
}

fn write(folder: &Path, made: &Thumbnailed) -> anyhow::Result<()> {
    std::fs::create_dir_all(folder)
        .with_context(|| format!("the folder {} cannot be made", folder.display()))?;
    for rendition in &made.renditions {
        let file = folder.join(&rendition.file_name);
        std::fs::write(&file, &rendition.data)
            .with_context(|| format!("{} cannot be written", file.display()))?;
    }
    Ok(())
}
