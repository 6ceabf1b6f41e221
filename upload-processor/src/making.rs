//! From an open upload to its renditions: reads and renders it, on one of the cores and with its part of the memory.
//! Nothing is written.

use std::time::{Duration, Instant};

use thumbnailer::inspect::Declared;
use thumbnailer::rejection::{Complexity, Rejection};
use thumbnailer::thumbnail::{Thumbnailed, thumbnail_once_admitted};
use tokio::runtime::Handle;
use tokio::sync::OwnedSemaphorePermit;

use crate::admission::AdmissionTicket;
use crate::error::TransientError;
use crate::processor::Processor;
use crate::store;

/// The renditions of an upload or its rejection, and how long the steps took.
pub(crate) struct Made {
    /// For the manifest.
    pub(crate) result: Result<Thumbnailed, Rejection>,
    pub(crate) waited: Duration,
    pub(crate) read: Duration,
    pub(crate) rendered: Duration,
}

impl Made {
    /// Without a look at the bytes.
    pub(crate) fn rejected(rejection: Rejection) -> Self {
        Self {
            result: Err(rejection),
            waited: Duration::ZERO,
            read: Duration::ZERO,
            rendered: Duration::ZERO,
        }
    }
}

impl Processor {
    /// Waits for a core.
    pub(crate) async fn core(&self) -> Result<OwnedSemaphorePermit, TransientError> {
        let core = self.cores.clone().acquire_owned().await;
        core.map_err(|error| TransientError::new("waiting for a core", &error))
    }

    /// Reads and renders an upload, with as much memory as its headers say that it will take.
    ///
    /// It races with nothing: the content is already open, and the result is only in memory. Other images of this
    /// process compete for cores and memory, and wait for their turn.
    pub(crate) async fn make(
        &self,
        source: store::Upload,
        core: OwnedSemaphorePermit,
    ) -> Result<Made, TransientError> {
        let mut made = Made::rejected(Rejection::TooLarge {
            bytes: source.bytes,
            max: self.settings.max_bytes,
        });
        if source.bytes > self.settings.max_bytes {
            return Ok(made);
        }
        let declared = Declared {
            content_type: source.content_type.clone(),
            sha256: source.sha256,
        };
        let closed =
            || TransientError::new("waiting for memory", &"the processor is being stopped");
        let started = Instant::now();
        let ticket = self.memory.ticket().await.ok_or_else(closed)?;
        let size = source.bytes;
        let file = ticket.acquire(size).await.ok_or_else(closed)?;
        made.waited = started.elapsed();

        let reading = Instant::now();
        let bytes = source.read().await?;
        made.read = reading.elapsed();

        let processor = self.clone();
        let runtime = Handle::current();
        let work = tokio::task::spawn_blocking(move || {
            let result = render(
                &bytes, &declared, &processor, &runtime, ticket, size, &mut made,
            );
            made.result = result;
            drop((file, core));
            made
        });
        work.await
            .map_err(|error| TransientError::new("rendering", &error))
    }
}

/// Inspects an image, waits for the memory that it will take, and makes its thumbnails; on a thread that may block.
fn render(
    bytes: &[u8],
    declared: &Declared,
    processor: &Processor,
    runtime: &Handle,
    ticket: AdmissionTicket,
    size: u64,
    made: &mut Made,
) -> Result<Thumbnailed, Rejection> {
    let started = Instant::now();
    let mut waited = Duration::ZERO;
    let admit = |memory| {
        let (needed, max) = (size.saturating_add(memory), ticket.total());
        if needed > max {
            // The system would kill the process, and with it all other work in progress.
            return Err(Rejection::TooComplex(Complexity::Memory { needed, max }));
        }
        let waiting = Instant::now();
        let share = runtime.block_on(ticket.acquire_besides(size, memory));
        drop(ticket);
        waited = waiting.elapsed();
        Ok(share)
    };
    let result = thumbnail_once_admitted(
        bytes,
        declared,
        &processor.settings,
        processor.time_per_image,
        admit,
    );
    made.waited += waited;
    made.rendered = started.elapsed().saturating_sub(waited);
    result
}
