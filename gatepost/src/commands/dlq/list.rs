//! `gatepost dlq list`: one line for each dead letter.

use std::process::ExitCode;

use futures::{StreamExt as _, stream};
use jiff::Timestamp;
use media_contract::Status;
use serde::Serialize;
use upload_processor::event::{Notice, Record};

use super::args::{Format, ListArgs};
use super::examination::{Examiner, describe_redriving, format_status};
use super::interruption::until_stopped;
use super::letter::{DeadLetter, format_age, format_uploads, upload_of};
use super::queue::Queue;
use super::selection::Selection;
use crate::stop::Stop;
use crate::terminal::output;
use crate::terminal::printable::printable;

/// One dead letter. The names of the fields are a contract.
#[derive(Debug, Serialize)]
struct Line {
    message_id: String,
    sent_at: Timestamp,
    age_seconds: i64,
    receive_count: u32,
    /// Object keys.
    uploads: Vec<String>,
    /// The status in the first upload's manifest; `None` without a manifest.
    status: Option<&'static str>,
    why: String,
}

/// Lists.
pub(super) async fn run(args: &ListArgs, stop: &Stop) -> anyhow::Result<ExitCode> {
    let queue = Queue::open(&args.queue).await?;
    let examiner = Examiner::open(&args.queue, &args.inspection).await?;
    let letters = queue.look(Selection::All, stop).await?;
    until_stopped(stop, async {
        let now = Timestamp::now();
        let n_letters = letters.len();
        let widths = Widths::of(&letters);
        if args.queue.format == Format::Table && n_letters > 0 {
            output::print(widths.head())?;
        }
        let mut lines = stream::iter(letters)
            .map(|letter| line(&examiner, letter, now))
            .buffered(examiner.concurrency());
        while let Some(line) = lines.next().await {
            match args.queue.format {
                Format::Json => output::print_json(&line)?,
                Format::Table => output::print(line.row(&widths))?,
            }
        }
        if args.queue.format == Format::Table && n_letters == 0 {
            output::print("there are no dead letters")?;
        }
        Ok(())
    })
    .await?;
    Ok(ExitCode::SUCCESS)
}

async fn line(examiner: &Examiner, letter: DeadLetter, now: Timestamp) -> Line {
    let (status, why) = why(examiner, &letter).await;
    Line {
        sent_at: letter.sent_at,
        age_seconds: letter.age(now).as_secs(),
        receive_count: letter.receive_count,
        uploads: letter.uploads(),
        status,
        why,
        message_id: letter.id,
    }
}

/// The reason in its first upload's manifest, if the upload failed; otherwise the result of an examination.
async fn why(examiner: &Examiner, letter: &DeadLetter) -> (Option<&'static str>, String) {
    let records = match Notice::parse(&letter.body) {
        Ok(Notice::Records(records)) => records,
        Ok(Notice::Test) => vec![Record::Other("s3:TestEvent".to_owned())],
        Err(reason) => return (None, format!("the message is not understood: {reason}")),
    };
    let mut status = None;
    if let Some(upload) = records.iter().find_map(upload_of)
        && let Ok(Some(manifest)) = examiner.manifest(&upload).await
    {
        status = Some(manifest.status.name());
        if let Status::Failed { .. } = &manifest.status {
            return (status, format_status(&manifest.status));
        }
    }
    let reasons: Vec<_> = match examiner.examine(letter).await {
        Ok(outcomes) => outcomes
            .into_iter()
            .map(|outcome| describe_redriving(&Ok(outcome)))
            .collect(),
        Err(retry) => vec![describe_redriving(&Err(retry))],
    };
    (status, reasons.join("; "))
}

/// The widths of the table's columns.
struct Widths {
    id: usize,
    uploads: usize,
}

impl Widths {
    fn of(letters: &[DeadLetter]) -> Self {
        let widest = |head: &str, width: &dyn Fn(&DeadLetter) -> usize| {
            let widths = letters.iter().map(width);
            widths.chain([head.len()]).max().unwrap_or(0)
        };
        Self {
            id: widest("MESSAGE", &|letter| printable(&letter.id).chars().count()),
            uploads: widest("UPLOADS", &|letter| {
                format_uploads(&letter.uploads()).chars().count()
            }),
        }
    }

    fn head(&self) -> String {
        self.row("MESSAGE", "AGE", "RECEIVED", "UPLOADS", "REASON")
    }

    fn row(&self, id: &str, age: &str, received: &str, uploads: &str, why: &str) -> String {
        let (id_width, uploads_width) = (self.id, self.uploads);
        format!("{id:id_width$}  {age:>7}  {received:>8}  {uploads:uploads_width$}  {why}")
    }
}

impl Line {
    fn row(&self, widths: &Widths) -> String {
        widths.row(
            &printable(&self.message_id),
            &format_age(jiff::SignedDuration::from_secs(self.age_seconds)),
            &format!("{}×", self.receive_count),
            &format_uploads(&self.uploads),
            &printable(&self.why),
        )
    }
}
