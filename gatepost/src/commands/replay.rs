//! `gatepost replay`: plays the events of files, and reports each beside its expectation.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::bail;
use clap::{Args, ValueEnum};
use edge_auth::OwnerNames;
use jiff::Timestamp;

use crate::aws;
use crate::config::{Config, DeliveryMode, parse_time};
use crate::dev::issuer;
use crate::replay::{
    Event, EventFile, Line, Report, Runtime, Templates, Uploads, Viewers, differences, edge_of,
    find, read_json,
};
use crate::terminal::output;

#[derive(Args, Debug)]
pub(crate) struct ReplayArgs {
    /// Event files, or folders that are searched to any depth.
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// The runtime of the authorizer that decides on viewer requests.
    #[arg(long, value_enum, default_value_t = Runtime::Native)]
    runtime: Runtime,
    /// The configuration [default: gatepost.toml, if there is one].
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// A JWK Set that replaces the keys of all issuers of the configuration.
    #[arg(long, value_name = "FILE")]
    jwks: Option<PathBuf>,
    /// The time of the events [default: now].
    #[arg(long, value_name = "RFC3339", value_parser = parse_time)]
    at: Option<Timestamp>,
    /// How results are printed.
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
    /// Expand templates in every file, not only in those named NAME.template.json; never use it with recorded events.
    #[arg(long)]
    templates: bool,
    /// The S3 with the events' objects [default: an empty one for this run].
    #[arg(long, value_name = "URL", value_parser = aws::parse_endpoint)]
    endpoint_url: Option<String>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Format {
    Table,
    Json,
}

/// Leaves out the files of viewer requests in a mode in which no code of Gatepost gets any.
fn without_viewer_requests(
    mut events: Vec<(EventFile, Vec<Event>)>,
    mode: DeliveryMode,
) -> anyhow::Result<Vec<(EventFile, Vec<Event>)>> {
    let checked_by = match mode {
        DeliveryMode::Lambda | DeliveryMode::Function => return Ok(events),
        DeliveryMode::Signed => "CloudFront",
        DeliveryMode::Presigned => "S3",
    };
    let n_files = events.len();
    events.retain(|(_, events)| events.iter().all(Event::is_upload));
    let n_left_out = n_files - events.len();
    let mode = mode.name();
    let reason = format!(
        "in mode {mode:?} {checked_by} checks a view, and no function of Gatepost gets the viewer's request"
    );
    if events.is_empty() {
        bail!("there is nothing to replay: {reason}");
    }
    if n_left_out > 0 {
        output::warn(format_args!("{n_left_out} files are left out: {reason}"));
    }
    Ok(events)
}

/// Replays; the exit code says whether every record has its expected outcome.
pub(crate) async fn run(args: ReplayArgs) -> anyhow::Result<ExitCode> {
    let now = args.at.unwrap_or_else(Timestamp::now);
    let jwks = args.jwks.as_deref().map(read_json).transpose()?;
    let config = Config::load_with_keys(args.config.as_deref(), jwks.as_ref())?;
    let files = find(&args.paths)?;

    let issuer = issuer::ephemeral()?;
    let owners = OwnerNames::new(config.edge.owner_secret.as_ref());
    let edge = edge_of(&config, &issuer, args.runtime, now)?;
    let templates = Templates::new(&issuer, owners, now).with_sessions(&edge);
    let events: Vec<(EventFile, Vec<Event>)> = files
        .into_iter()
        .map(|file| {
            let events = file.read(&templates, args.templates)?;
            Ok((file, events))
        })
        .collect::<anyhow::Result<_>>()?;
    let events = without_viewer_requests(events, config.delivery)?;
    let mut viewers = Viewers::new(edge.clone(), config.delivery, args.runtime, now).await?;
    let mut uploads = Uploads::new(&config, args.endpoint_url.as_deref(), now);

    let mut report = Report::new(matches!(args.format, Format::Json));
    for (file, events) in events {
        if events.iter().any(Event::is_upload) {
            uploads.give(&file).await?;
        }
        let mut played = Vec::new();
        for event in events {
            let kind = event.kind();
            // Uploads have one runtime: the deployed processor is native.
            let (runtime, records) = match event {
                Event::ViewerRequest(event) => (args.runtime, viewers.play(&event)?),
                Event::Upload { messages, .. } => (Runtime::Native, uploads.play(messages).await?),
            };
            played.extend(records.into_iter().map(|played| (kind, runtime, played)));
        }
        let expected = file.expectations(played.len())?;
        for (index, ((kind, runtime, played), expected)) in
            played.into_iter().zip(expected).enumerate()
        {
            let matches = expected
                .as_ref()
                .map(|expected| differences(expected, &played.outcome).is_empty());
            report.add(Line {
                file: file.display_path(),
                index,
                kind,
                runtime: runtime.name(),
                outcome: played.outcome,
                expected,
                matches,
                micros: u64::try_from(played.elapsed.as_micros()).unwrap_or(u64::MAX),
            })?;
        }
    }
    report.finish()
}
