//! `gatepost dlq redrive`: moves dead letters back to the main queue.
//!
//! Each is sent as a new message, so its receives are counted from one. It is deleted only after the main queue has it
//! (at-least-once): a crash in between leaves it in both queues, which is harmless because processing is idempotent.

use std::collections::HashSet;
use std::process::ExitCode;

use anyhow::bail;
use clap::{ArgGroup, Args};
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;

use super::args::{Format, QueueArgs};
use super::interruption::Interrupted;
use super::letter::{DeadLetter, format_uploads};
use super::queue::{Queue, report_missing};
use super::selection::{Move, Selection};
use crate::stop::Stop;
use crate::terminal::output;
use crate::terminal::printable::printable;

#[derive(Args, Debug)]
#[command(group(ArgGroup::new("letters").args(["ids", "all"]).required(true)))]
pub(super) struct RedriveArgs {
    /// The dead letters, as `gatepost dlq list` names them.
    #[arg(value_name = "ID")]
    ids: Vec<String>,
    /// Redrive every dead letter.
    #[arg(long)]
    all: bool,
    /// Only print what would be moved.
    #[arg(long)]
    dry_run: bool,
    /// The destination, with --queue-url [default: the source queue that SQS names].
    #[arg(long, value_name = "URL")]
    main_queue_url: Option<String>,
    #[command(flatten)]
    queue: QueueArgs,
}

/// One dead letter. The names of the fields are a contract.
#[derive(Debug, Serialize)]
struct Line<'a> {
    message_id: &'a str,
    /// `moved`, `would_move` or `failed`.
    status: &'static str,
    /// The message in the main queue.
    new_message_id: Option<&'a str>,
    uploads: Vec<String>,
    reason: Option<&'a str>,
}

/// The run so far.
struct Progress {
    format: Format,
    bar: ProgressBar,
    seen: HashSet<String>,
    n_moved: usize,
    n_failed: usize,
    /// The error that stopped the printing. The redrive itself continues without output.
    unprinted: Option<anyhow::Error>,
}

/// Redrives; the exit code says whether every named dead letter was moved.
pub(super) async fn run(args: &RedriveArgs, stop: &Stop) -> anyhow::Result<ExitCode> {
    let selection = if args.all {
        Selection::All
    } else {
        Selection::These(&args.ids)
    };
    if args.main_queue_url.is_some() && args.queue.queue_url.is_none() {
        bail!(
            "--main-queue-url applies to SQS; name the dead-letter queue with --queue-url as well"
        );
    }
    let queue = Queue::open(&args.queue).await?;
    let mut progress = Progress::new(args.queue.format, queue.expected(selection)?)?;
    let result = if args.dry_run {
        let looked = queue.look(selection, stop).await;
        looked.map(|letters| letters.iter().for_each(|letter| progress.plan(letter)))
    } else {
        let mut on_move = |letter: &DeadLetter, moved: &Move| progress.note(letter, moved);
        let main = args.main_queue_url.as_deref();
        queue.redrive(main, selection, stop, &mut on_move).await
    };
    progress.bar.finish_and_clear();
    if let Err(error) = result {
        if !error.is::<Interrupted>() {
            return Err(error.context(format!(
                "the redrive stopped after {} were moved; the others are still dead letters",
                progress.n_moved
            )));
        }
        output::print_error(format_args!("{} were moved before that", progress.n_moved));
        return Err(error);
    }
    let mut n_missing = 0;
    let mut named = HashSet::new();
    for id in &args.ids {
        if named.insert(id) && !progress.seen.contains(id) {
            report_missing(id);
            n_missing += 1;
        }
    }
    progress.finish(args.dry_run, n_missing)
}

impl Progress {
    fn new(format: Format, n_expected: usize) -> anyhow::Result<Self> {
        // It draws to stderr, and only where that is a terminal.
        let bar = ProgressBar::new(n_expected as u64);
        bar.set_style(ProgressStyle::with_template(
            "{bar:30} {pos} of about {len} dead letters",
        )?);
        Ok(Self {
            format,
            bar,
            seen: HashSet::new(),
            n_moved: 0,
            n_failed: 0,
            unprinted: None,
        })
    }

    /// Notes what would be moved.
    fn plan(&mut self, letter: &DeadLetter) {
        self.n_moved += 1;
        self.print(letter, "would_move", None, None);
    }

    /// Notes what was moved, or was not.
    fn note(&mut self, letter: &DeadLetter, moved: &Move) {
        match moved {
            Move::Done(id) => {
                self.n_moved += 1;
                self.print(letter, "moved", Some(id), None);
            }
            Move::Failed(reason) => {
                self.n_failed += 1;
                self.print(letter, "failed", None, Some(reason));
            }
        }
    }

    fn print(
        &mut self,
        letter: &DeadLetter,
        status: &'static str,
        new_message_id: Option<&str>,
        reason: Option<&str>,
    ) {
        self.seen.insert(letter.id.clone());
        let line = Line {
            message_id: &letter.id,
            status,
            new_message_id,
            uploads: letter.uploads(),
            reason,
        };
        if self.unprinted.is_none() {
            let printed = self.bar.suspend(|| match self.format {
                Format::Json => output::print_json(&line),
                Format::Table => Ok(output::print(line.row())?),
            });
            self.unprinted = printed.err();
        }
        self.bar.inc(1);
    }

    fn finish(self, is_dry_run: bool, n_missing: usize) -> anyhow::Result<ExitCode> {
        let (n_moved, n_failed) = (self.n_moved, self.n_failed);
        if let Some(error) = self.unprinted
            && n_failed + n_missing == 0
        {
            return Err(error);
        }
        if self.format == Format::Table {
            let done = if is_dry_run {
                "would be moved"
            } else {
                "moved"
            };
            output::print(format_args!(
                "{n_moved} {done}, {n_failed} failed, {n_missing} not found"
            ))?;
        }
        Ok(if n_failed + n_missing == 0 {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        })
    }
}

impl Line<'_> {
    fn row(&self) -> String {
        let id = printable(self.message_id);
        let uploads = match &self.uploads[..] {
            [] => "about no upload".to_owned(),
            uploads => format_uploads(uploads),
        };
        match (self.new_message_id, self.reason) {
            (Some(new), _) => format!("moved {id} to {}  {uploads}", printable(new)),
            (None, Some(reason)) => format!("failed {id}  {uploads}  {}", printable(reason)),
            (None, None) => format!("would move {id}  {uploads}"),
        }
    }
}
