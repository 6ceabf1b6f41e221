//! The queue with the dead letters: a folder, or a queue of SQS. Both are read and redriven through one interface.

use std::collections::HashSet;

use super::args::QueueArgs;
use super::letter::DeadLetter;
use super::local::LocalQueue;
use super::selection::{Move, Selection};
use super::sqs::SqsQueue;
use crate::aws;
use crate::stop::Stop;
use crate::terminal::output;
use crate::terminal::printable::printable;

/// A queue of dead letters.
pub(super) enum Queue {
    Local(LocalQueue),
    Sqs(SqsQueue),
}

impl Queue {
    /// Opens the queue that the arguments name. A queue of SQS is refused if looking at messages would change it.
    pub(super) async fn open(args: &QueueArgs) -> anyhow::Result<Self> {
        let Some(url) = &args.queue_url else {
            return Ok(Self::Local(LocalQueue::open(&args.data_dir)?));
        };
        aws::check_queue_url(url, args.endpoint_url.as_deref())?;
        let (_, sqs) = aws::connect_both(args.endpoint_url.as_deref()).await?;
        Ok(Self::Sqs(SqsQueue::open(sqs, url).await?))
    }

    /// The name for people: a path or a URL.
    pub(super) fn name(&self) -> String {
        match self {
            Self::Local(queue) => queue.name(),
            Self::Sqs(queue) => queue.url().to_owned(),
        }
    }

    /// The selected dead letters, the oldest first. They stay in the queue.
    pub(super) async fn look(
        &self,
        selection: Selection<'_>,
        stop: &Stop,
    ) -> anyhow::Result<Vec<DeadLetter>> {
        let mut letters = match self {
            Self::Local(queue) => queue.look(selection)?,
            Self::Sqs(queue) => queue.look(selection, stop).await?,
        };
        letters.sort_by(|a, b| (a.sent_at, &a.id).cmp(&(b.sent_at, &b.id)));
        Ok(letters)
    }

    /// Moves the selected dead letters to the main queue and reports each one. For SQS the main queue can be named.
    pub(super) async fn redrive(
        &self,
        main_queue_url: Option<&str>,
        selection: Selection<'_>,
        stop: &Stop,
        on_move: &mut dyn FnMut(&DeadLetter, &Move),
    ) -> anyhow::Result<()> {
        match self {
            Self::Local(queue) => queue.redrive(selection, stop, on_move),
            Self::Sqs(queue) => {
                queue
                    .redrive(main_queue_url, selection, stop, on_move)
                    .await
            }
        }
    }

    /// The number of selected dead letters, as far as it is known without reading them.
    pub(super) fn expected(&self, selection: Selection<'_>) -> anyhow::Result<usize> {
        match (selection, self) {
            (Selection::These(ids), _) => Ok(ids.iter().collect::<HashSet<_>>().len()),
            (Selection::All, Self::Local(queue)) => Ok(queue.look(selection)?.len()),
            (Selection::All, Self::Sqs(queue)) => Ok(queue.approximate_number()),
        }
    }
}

/// The dead letter with an id. Prints an error and returns `None` if the queue does not have it.
pub(super) async fn find(
    queue: &Queue,
    id: &str,
    stop: &Stop,
) -> anyhow::Result<Option<DeadLetter>> {
    let ids = [id.to_owned()];
    let found = queue.look(Selection::These(&ids), stop).await?.pop();
    if found.is_none() {
        report_missing(id);
    }
    Ok(found)
}

pub(super) fn report_missing(id: &str) {
    let id = printable(id);
    output::print_error(format_args!(
        "there is no dead letter {id}; `gatepost dlq list` lists them"
    ));
}
