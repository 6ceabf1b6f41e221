//! `gatepost sweep`: announces uploads without a manifest to the queue again, and completes interrupted deletions.
//!
//! The sweep itself is `upload_processor::sweep`; this file connects it to AWS and reports.

use std::process::ExitCode;

use anyhow::anyhow;
use clap::Args;
use jiff::{SignedDuration, Timestamp};
use media_contract::UploadKey;
use media_store::{Buckets, MediaStore};
use upload_processor::event::parse_since;
use upload_processor::processor::UploadQueue;
use upload_processor::sweep::{Failure, Options, SETTLING_TIME, Sweep};

use crate::aws;
use crate::terminal::output;
use crate::terminal::printable::printable;
use crate::terminal::progress::Progress;

#[derive(Args, Debug)]
pub(crate) struct SweepArgs {
    /// Announce only uploads of this period, such as 2h; more than 1h, because the queue still handles the last hour [default: 14 days, the maximum].
    #[arg(long, value_name = "DURATION", value_parser = parse_since)]
    since: Option<SignedDuration>,
    /// Also announce uploads whose manifest says failed.
    #[arg(long)]
    failed: bool,
    /// Skip the uploads up to this key, to continue an earlier sweep.
    #[arg(long, value_name = "KEY", value_parser = parse_key)]
    after: Option<UploadKey>,
    /// The upload processor's queue.
    #[arg(long, value_name = "URL", env = "GATEPOST_UPLOAD_QUEUE_URL")]
    queue_url: String,
    /// The bucket of the uploads.
    #[arg(long, value_name = "NAME", env = "GATEPOST_UPLOAD_BUCKET")]
    upload_bucket: String,
    /// The bucket of renditions and manifests.
    #[arg(long, value_name = "NAME", env = "GATEPOST_MEDIA_BUCKET")]
    media_bucket: String,
    /// Use this endpoint for S3 and SQS instead of AWS.
    #[arg(long, value_name = "URL", value_parser = aws::parse_endpoint)]
    endpoint_url: Option<String>,
}

/// Sweeps; the exit code says whether every upload could be handled.
pub(crate) async fn run(args: SweepArgs) -> anyhow::Result<ExitCode> {
    aws::check_queue_url(&args.queue_url, args.endpoint_url.as_deref())?;
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
    let queue = UploadQueue {
        sqs,
        url: args.queue_url,
    };
    let store = MediaStore::new(s3, buckets);
    let mut sweep = Sweep::new(store, Timestamp::now(), options).after(args.after);
    // The sweep continues when the reader of its results has closed the pipe.
    let mut printed = Ok(());
    let progress = Progress::open();
    progress.say("looking for uploads without a manifest");
    let mut n_announced = 0_usize;
    let listed = sweep
        .announce_all(&queue, |forgotten| {
            n_announced += 1;
            progress.say(&format!(
                "{} announced",
                output::count(n_announced, "upload")
            ));
            if printed.is_ok() {
                printed = progress.print(format_args!("announced {}", forgotten.upload.original()));
            }
        })
        .await;
    drop(progress);
    if let Err(error) = listed {
        let go_on = sweep.dealt_with().map_or_else(
            || "run it again".to_owned(),
            |upload| format!("continue with --after {}", upload.original()),
        );
        let n_faults = sweep.report().n_faults;
        report_failures(sweep.failures(), n_faults);
        let faulty = output::count(n_faults, "upload");
        return Err(anyhow!(error).context(format!(
            "the sweep stopped early; before that, {faulty} could not be announced or cleaned up; {go_on}"
        )));
    }
    let report = sweep.report();
    let printed = printed.and_then(|()| {
        output::print(format_args!(
            "{}: {} announced, {} cleaned up, {} left to the next sweep",
            output::count(report.n_uploads, "upload"),
            report.n_announced,
            report.n_cleaned,
            report.n_faults
        ))
    });
    if report.n_faults > 0 {
        report_failures(sweep.failures(), report.n_faults);
        return Ok(ExitCode::FAILURE);
    }
    printed?;
    Ok(ExitCode::SUCCESS)
}

/// Repeats the failures, which may have scrolled away.
fn report_failures(failures: &[Failure], n_faults: u64) {
    for failure in failures {
        output::print_error(format_args!(
            "{} is left to the next sweep: {}",
            failure.upload.original(),
            printable(&failure.reason)
        ));
    }
    let n_others = n_faults.saturating_sub(failures.len() as u64);
    if n_others > 0 {
        output::print_error(format_args!(
            "and {} more",
            output::count(n_others, "upload")
        ));
    }
}

fn parse_key(text: &str) -> Result<UploadKey, String> {
    UploadKey::parse(text)
        .ok_or_else(|| "not the key of an upload; write uploads/{owner}/{id}".to_owned())
}
