//! The processor: its clients, its settings and its shares of the machine.
//!
//! A Lambda, the local stack and `gatepost replay` each make one, then share it. The handler and the sweep call its
//! methods; the steps of an upload are in `pipeline`. Making it does no I/O.

use std::sync::Arc;
use std::time::Duration;

use aws_sdk_s3::Client;
use jiff::Timestamp;
use media_store::{Buckets, MediaStore};
use thumbnailer::settings::Settings;
use thumbnailer::thumbnail::TIME_PER_IMAGE;
use tokio::sync::Semaphore;

use crate::admission::Admission;
use crate::outcome_queue::OutcomeQueue;

/// Returns the current time.
pub(crate) type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// Processes uploads. Made once, then shared.
#[derive(Clone)]
pub struct Processor {
    pub(crate) store: MediaStore,
    pub(crate) settings: Arc<Settings>,
    pub(crate) clock: Clock,
    /// One image per core: processing is CPU-bound.
    pub(crate) cores: Arc<Semaphore>,
    pub(crate) memory: Admission,
    pub(crate) outcomes: Option<OutcomeQueue>,
    pub(crate) wants_scan: bool,
    pub(crate) has_age_limit: bool,
    pub(crate) queue: Option<UploadQueue>,
    pub(crate) time_per_image: Duration,
    pub(crate) max_receives: Option<u32>,
}

/// The queue that the messages come from.
#[derive(Clone, Debug)]
pub struct UploadQueue {
    /// The client.
    pub sqs: aws_sdk_sqs::Client,
    /// The queue's address.
    pub url: String,
}

impl Processor {
    /// A processor that uses all cores of the machine, with memory for the largest image on each.
    pub fn new(
        s3: Client,
        buckets: Buckets,
        settings: Settings,
        clock: impl Fn() -> Timestamp + Send + Sync + 'static,
    ) -> Self {
        let n_cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let memory = settings.max_memory().saturating_mul(n_cores as u64);
        Self {
            store: MediaStore::new(s3, buckets),
            settings: Arc::new(settings),
            clock: Arc::new(clock),
            cores: Arc::new(Semaphore::new(n_cores)),
            memory: Admission::new(memory),
            outcomes: None,
            wants_scan: false,
            has_age_limit: true,
            queue: None,
            time_per_image: TIME_PER_IMAGE,
            max_receives: None,
        }
    }

    /// Hides failed messages of this queue for the time of [`retry_delay`](crate::retry::retry_delay), rather than the queue's own visibility
    /// timeout, and sends the uploads that a sweep finds to it.
    #[must_use]
    pub fn with_queue(mut self, sqs: aws_sdk_sqs::Client, url: String) -> Self {
        self.queue = Some(UploadQueue { sqs, url });
        self
    }

    /// Writes a manifest with the status `failed` when a message fails on its `max_receives`-th receive: it then
    /// becomes a dead letter.
    #[must_use]
    pub fn with_max_receives(mut self, max_receives: u32) -> Self {
        self.max_receives = Some(max_receives);
        self
    }

    /// Publishes uploads of any age: for a store in which nothing was ever deleted.
    #[must_use]
    pub fn with_any_age(mut self) -> Self {
        self.has_age_limit = false;
        self
    }

    /// Limits the memory of all images together, in bytes, including their files; an image that needs more is rejected.
    #[must_use]
    pub fn with_memory(mut self, bytes: u64) -> Self {
        if bytes < self.settings.max_memory() {
            tracing::warn!(
                bytes,
                largest_image = self.settings.max_memory(),
                "the largest image that is allowed may need more memory than is available, and is then rejected"
            );
        }
        self.memory = Admission::new(bytes);
        self
    }

    /// Sets the processor time of each image, [`TIME_PER_IMAGE`] by default.
    #[must_use]
    pub fn with_time_per_image(mut self, time: Duration) -> Self {
        self.time_per_image = time;
        self
    }

    /// Sends a message to a queue for each finished upload.
    #[must_use]
    pub fn with_outcomes(mut self, sqs: aws_sdk_sqs::Client, queue_url: String) -> Self {
        self.outcomes = Some(OutcomeQueue { sqs, queue_url });
        self
    }

    /// Processes only uploads that `GuardDuty` tagged as clean, and rejects those that it tagged as threats.
    #[must_use]
    pub fn with_malware_scan(mut self) -> Self {
        self.wants_scan = true;
        self
    }
}
