//! `gatepost sweep`: announces uploads without a manifest to the queue again, and completes interrupted deletions.

use std::process::ExitCode;

use anyhow::Context as _;
use clap::Args;
use jiff::{SignedDuration, Timestamp};
use media_store::{Buckets, MediaStore};
use upload_processor::sweep::{Options, SETTLING_TIME, Sweep, send};

use crate::aws;
use crate::config::units::parse_duration;

#[derive(Args, Debug)]
pub(crate) struct SweepArgs {
    /// Announce only uploads that arrived within this time, such as 2h [default: 14 days, the most].
    #[arg(long, value_name = "DURATION", value_parser = parse_duration)]
    since: Option<SignedDuration>,
    /// Also announce uploads whose processing failed for the last time.
    #[arg(long)]
    failed: bool,
    /// The queue of the upload processor.
    #[arg(long, value_name = "URL", env = "GATEPOST_UPLOAD_QUEUE_URL")]
    queue_url: String,
    /// The bucket that forms post to.
    #[arg(long, value_name = "NAME", env = "GATEPOST_UPLOAD_BUCKET")]
    upload_bucket: String,
    /// The bucket of renditions and manifests.
    #[arg(long, value_name = "NAME", env = "GATEPOST_MEDIA_BUCKET")]
    media_bucket: String,
    /// S3 and SQS elsewhere than on AWS.
    #[arg(long, value_name = "URL")]
    endpoint_url: Option<String>,
}

/// Sweeps; the exit code says whether everything could be dealt with.
pub(crate) async fn run(args: SweepArgs) -> anyhow::Result<ExitCode> {
    let (s3, sqs) = aws::connect_both(args.endpoint_url.as_deref()).await?;
    let buckets = Buckets {
        uploads: args.upload_bucket,
        media: args.media_bucket,
    };
    let options = Options {
        since: args.since,
        failed: args.failed,
        settling_time: SETTLING_TIME,
    };
    let store = MediaStore::new(s3, buckets.clone());
    let mut sweep = Sweep::new(store, Timestamp::now(), options);
    while let Some(forgotten) = sweep
        .next()
        .await
        .context("the sweep was broken off; what it announced until then is announced")?
    {
        match send(&sqs, &args.queue_url, &buckets.uploads, &forgotten).await {
            Ok(()) => {
                println!("announced {}", forgotten.upload.original());
                sweep.announced();
            }
            Err(error) => {
                eprintln!("gatepost: {}: {error}", forgotten.upload.original());
                sweep.failed(&forgotten.upload, &error);
            }
        }
    }
    let report = sweep.report();
    println!(
        "{} uploads: {} announced, {} cleaned up, {} left to the next sweep",
        report.n_uploads, report.n_announced, report.n_cleaned, report.n_faults
    );
    Ok(if report.n_faults == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}
