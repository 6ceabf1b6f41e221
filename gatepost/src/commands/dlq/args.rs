//! The arguments that the commands of `gatepost dlq` share: where the dead letters are, and how uploads are looked at.

use std::path::PathBuf;

use clap::parser::ValueSource;
use clap::{ArgMatches, Args, ValueEnum};

use crate::aws;

#[derive(Args, Debug)]
pub(super) struct ListArgs {
    #[command(flatten)]
    pub(super) queue: QueueArgs,
    #[command(flatten)]
    pub(super) inspection: InspectionArgs,
}

#[derive(Args, Debug)]
pub(super) struct OneArgs {
    /// The dead letter, as `gatepost dlq list` names it.
    pub(super) id: String,
    #[command(flatten)]
    pub(super) queue: QueueArgs,
    #[command(flatten)]
    pub(super) inspection: InspectionArgs,
}

/// The queue with the dead letters.
#[derive(Args, Debug)]
pub(super) struct QueueArgs {
    /// The dead-letter queue of SQS [default: the dead letters of the local stack].
    #[arg(long, value_name = "URL")]
    pub(super) queue_url: Option<String>,
    /// The local stack's data directory; the stack may be running.
    #[arg(
        long,
        value_name = "DIR",
        default_value = ".gatepost",
        conflicts_with = "queue_url"
    )]
    pub(super) data_dir: PathBuf,
    /// Use this endpoint for SQS and S3 instead of AWS. Without --queue-url: the S3 that `gatepost dev --endpoint-url` uses.
    #[arg(long, value_name = "URL", value_parser = aws::parse_endpoint)]
    pub(super) endpoint_url: Option<String>,
    /// How results are printed.
    #[arg(long, value_enum, default_value_t = Format::Table)]
    pub(super) format: Format,
}

/// How uploads are examined.
#[derive(Args, Debug)]
pub(super) struct InspectionArgs {
    /// The bucket of the uploads, with --queue-url.
    #[arg(long, value_name = "NAME", env = "GATEPOST_UPLOAD_BUCKET")]
    pub(super) upload_bucket: Option<String>,
    /// The bucket of renditions and manifests, with --queue-url.
    #[arg(long, value_name = "NAME", env = "GATEPOST_MEDIA_BUCKET")]
    pub(super) media_bucket: Option<String>,
    /// The configuration [default: with --queue-url the package in dist, if there is one; otherwise gatepost.toml].
    #[arg(long, value_name = "FILE", conflicts_with = "package")]
    pub(super) config: Option<PathBuf>,
    /// Use the settings of the package in this folder.
    #[arg(long, value_name = "DIR")]
    pub(super) package: Option<PathBuf>,
    /// The malware scan that the deployed processor waits for; an upload is read only after the scan has tagged it as
    /// clean. Dead letters that come from the scan turn it on, too.
    #[arg(long, value_name = "guardduty", env = "GATEPOST_MALWARE_SCAN", value_parser = parse_malware_scan)]
    pub(super) malware_scan: Option<bool>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub(super) enum Format {
    Table,
    Json,
}

/// The processor reads the same variable in the same way.
fn parse_malware_scan(text: &str) -> Result<bool, String> {
    match text {
        "" => Ok(false),
        "guardduty" => Ok(true),
        _ => Err("the only value is guardduty".to_owned()),
    }
}

/// The reason why arguments of `gatepost dlq` would be ignored: buckets on the command line, without a queue at AWS. The
/// environment may name them, for other commands.
pub(crate) fn conflict(matches: &ArgMatches) -> Option<String> {
    let (_, below) = matches.subcommand()?;
    let is_given = |id: &str| {
        below.try_contains_id(id).unwrap_or(false)
            && below.value_source(id) == Some(ValueSource::CommandLine)
    };
    if is_given("queue_url") {
        return None;
    }
    let given = [
        ("upload_bucket", "--upload-bucket"),
        ("media_bucket", "--media-bucket"),
    ];
    let (_, option) = given.into_iter().find(|(id, _)| is_given(id))?;
    Some(format!(
        "{option} names a bucket at AWS, and without --queue-url the local stack's dead letters are read; add --queue-url, or remove {option}"
    ))
}
