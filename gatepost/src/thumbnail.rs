//! `gatepost thumbnail`: what the processor makes of files on this machine, without S3.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Context as _, bail};
use clap::{Args, ValueEnum};
use jiff::Timestamp;
use media_contract::{Reason, Rendition, Source, Status};
use serde::Serialize;
use thumbnailer::inspect::Declared;
use thumbnailer::thumbnail::{TIME_PER_IMAGE, Thumbnailed, thumbnail};
use upload_processor::published;

use crate::config::Config;
use crate::output;

#[derive(Args, Debug)]
pub(crate) struct ThumbnailArgs {
    /// Images, or folders with images at any depth.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Where renditions are written: to a folder for each file, named like it.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// The configuration [default: gatepost.toml where there is one].
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

/// One file's result. The names of the fields are a contract.
#[derive(Debug, Serialize)]
struct Line {
    file: String,
    status: &'static str,
    reason: Option<Reason>,
    source: Option<Source>,
    /// Their paths are relative to `--out`.
    renditions: Vec<Rendition>,
    placeholder: Option<String>,
    micros: u64,
}

/// A file, and the folder of its renditions below `--out`.
struct Input {
    file: PathBuf,
    folder: String,
}

/// Makes thumbnails; the exit code says whether all files could be read and, if that is asked, were good.
pub(crate) fn run(args: &ThumbnailArgs) -> anyhow::Result<ExitCode> {
    let settings = Config::load(args.config.as_deref())?.images;
    let inputs = find(&args.files)?;
    let width = inputs
        .iter()
        .map(|input| input.file.display().to_string().chars().count())
        .max()
        .unwrap_or(0);
    let (mut n_ready, mut n_rejected) = (0, 0);
    for input in &inputs {
        let shown = input.file.display().to_string();
        let bytes =
            std::fs::read(&input.file).with_context(|| format!("{shown} cannot be read"))?;
        let started = Instant::now();
        let time = Some(TIME_PER_IMAGE);
        let result = thumbnail(&bytes, &Declared::default(), &settings, time);
        let micros = u64::try_from(started.elapsed().as_micros()).unwrap_or(u64::MAX);
        if let Ok(made) = &result {
            write(&args.out.join(&input.folder), made)?;
        }
        let line = Line::new(
            shown,
            published::status(&result, Timestamp::now(), |rendition| {
                format!("{}/{}", input.folder, rendition.file_name)
            }),
            micros,
        );
        if line.reason.is_none() {
            n_ready += 1;
        } else {
            n_rejected += 1;
        }
        match args.format {
            Format::Json => output::print(serde_json::to_string(&line)?)?,
            Format::Table => output::print(line.row(width))?,
        }
    }
    if args.format == Format::Table {
        output::print(format_args!(
            "\n{}: {n_ready} ready, {n_rejected} rejected",
            output::count(inputs.len(), "file")
        ))?;
    }
    Ok(if args.strict && n_rejected > 0 {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    })
}

/// Every file that was named or lies below a folder that was, in order of their names.
fn find(paths: &[PathBuf]) -> anyhow::Result<Vec<Input>> {
    let mut inputs = Vec::new();
    for path in paths {
        if path.is_dir() {
            let before = inputs.len();
            search(path, "", &mut inputs)?;
            if inputs.len() == before {
                bail!("there are no files below {}", path.display());
            }
        } else if path.exists() {
            let name = path.file_name().unwrap_or_default();
            inputs.push(Input {
                file: path.clone(),
                folder: name.to_string_lossy().into_owned(),
            });
        } else {
            bail!("{} does not exist", path.display());
        }
    }
    let mut folders = HashSet::new();
    for input in &inputs {
        if !folders.insert(&input.folder) {
            bail!(
                "the renditions of two files would be written to {}: name them, or their folders, in two runs",
                input.folder
            );
        }
    }
    Ok(inputs)
}

fn search(folder: &Path, below: &str, inputs: &mut Vec<Input>) -> anyhow::Result<()> {
    let unreadable = || format!("the folder {} cannot be read", folder.display());
    let mut entries = Vec::new();
    for entry in std::fs::read_dir(folder).with_context(unreadable)? {
        entries.push(entry.with_context(unreadable)?);
    }
    entries.sort_by_key(std::fs::DirEntry::file_name);
    for entry in entries {
        let (path, name) = (entry.path(), entry.file_name());
        let name = format!("{below}{}", name.to_string_lossy());
        if path.is_dir() {
            search(&path, &format!("{name}/"), inputs)?;
        } else {
            inputs.push(Input {
                file: path,
                folder: name,
            });
        }
    }
    Ok(())
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

impl Line {
    fn new(file: String, status: Status, micros: u64) -> Self {
        match status {
            Status::Ready {
                source,
                renditions,
                placeholder,
                ..
            } => Self {
                file,
                status: "ready",
                reason: None,
                source: Some(source),
                renditions,
                placeholder: Some(placeholder),
                micros,
            },
            status => Self {
                file,
                status: status.name(),
                reason: status.reason().cloned(),
                source: None,
                renditions: Vec::new(),
                placeholder: None,
                micros,
            },
        }
    }

    fn row(&self, width: usize) -> String {
        let detail = match (&self.reason, &self.source) {
            (Some(reason), _) => format!("{}: {}", reason.code, reason.message),
            (None, Some(source)) => {
                let made: Vec<_> = self
                    .renditions
                    .iter()
                    .map(|rendition| format!("{}×{}", rendition.width, rendition.height))
                    .collect();
                format!(
                    "{} {}×{}, {} bytes → {}",
                    source.media_type,
                    source.width,
                    source.height,
                    source.bytes,
                    made.join(", ")
                )
            }
            _ => String::new(),
        };
        let millis = self.micros / 1000;
        format!(
            "{:8}  {:width$}  {millis:>6} ms  {detail}",
            self.status, self.file
        )
    }
}
