//! Plays upload events through the processor's own handler and a real S3: the named one, or an embedded one for this run.

use std::time::Instant;

use anyhow::anyhow;
use jiff::Timestamp;
use serde_json::{Value, json};
use upload_processor::event::Message;
use upload_processor::{Buckets, Outcome, Processor, TransientError};

use super::Played;
use super::file::EventFile;
use crate::aws::{self, Connection};
use crate::config::Config;
use crate::dev::{MEDIA_BUCKET, UPLOAD_BUCKET};
use crate::scratch_s3::ScratchS3;
use crate::terminal::output;

/// The processor of a run, made when the first event needs it.
pub(crate) struct Uploads<'a> {
    config: &'a Config,
    endpoint_url: Option<&'a str>,
    now: Timestamp,
    running: Option<Running>,
    /// Whether the current file has given objects.
    has_objects: bool,
    /// Whether the note about the empty store was printed.
    has_noted: bool,
}

struct Running {
    processor: Processor,
    connection: Connection,
    buckets: Buckets,
    /// The embedded store, removed at the end of the run.
    _scratch: Option<ScratchS3>,
}

impl<'a> Uploads<'a> {
    pub(crate) fn new(config: &'a Config, endpoint_url: Option<&'a str>, now: Timestamp) -> Self {
        Self {
            config,
            endpoint_url,
            now,
            running: None,
            has_objects: false,
            has_noted: false,
        }
    }

    /// Puts the given objects of a file into the store. A named S3 is never written to.
    pub(crate) async fn give(&mut self, file: &EventFile) -> anyhow::Result<()> {
        if self.endpoint_url.is_some() {
            return Ok(());
        }
        let given = file.given()?;
        self.has_objects = !given.is_empty();
        let running = self.running().await?;
        for (object, content) in given {
            running
                .connection
                .s3
                .put_object()
                .bucket(&running.buckets.uploads)
                .key(&object.key)
                .content_type(object.content_type)
                .set_metadata(Some(object.metadata))
                .body(content.into())
                .send()
                .await
                .map_err(|error| {
                    let reason = media_store::reason(&error);
                    anyhow!(
                        "the object {} cannot be put into the store: {reason}",
                        object.key
                    )
                })?;
        }
        Ok(())
    }

    async fn running(&mut self) -> anyhow::Result<&mut Running> {
        Ok(match &mut self.running {
            Some(running) => running,
            none => none.insert(start(self.config, self.endpoint_url, self.now).await?),
        })
    }

    /// Hands messages to the processor.
    pub(crate) async fn play(&mut self, messages: Vec<Message>) -> anyhow::Result<Vec<Played>> {
        let running = self.running().await?;
        let started = Instant::now();
        let report = running.processor.process_batch(messages).await;
        let elapsed = started.elapsed();
        let mut played = Vec::new();
        for (_, result) in report.messages {
            let outcomes = outcomes(result)?.into_iter();
            played.extend(outcomes.map(|outcome| Played { outcome, elapsed }));
        }
        // The processor's reason for a missing object.
        let is_missing = |played: &Played| {
            let reason = played.outcome["reason"].as_str();
            reason.is_some_and(|reason| reason.contains("overwritten or deleted"))
        };
        let is_empty = self.endpoint_url.is_none() && !self.has_objects;
        if is_empty && !self.has_noted && played.iter().any(is_missing) {
            self.has_noted = true;
            output::note(
                "this run uses an empty S3, so the uploads are missing; name another S3 with --endpoint-url. For dead letters of the local stack: gatepost dlq replay ID",
            );
        }
        Ok(played)
    }
}

/// The outcomes of a message, one per record.
pub(crate) fn outcomes(
    result: Result<Vec<Outcome>, TransientError>,
) -> serde_json::Result<Vec<Value>> {
    match result {
        Ok(outcomes) => outcomes.iter().map(Outcome::to_json).collect(),
        Err(retry) => Ok(vec![json!({"status": "retry", "reason": retry.reason})]),
    }
}

async fn start(
    config: &Config,
    endpoint_url: Option<&str>,
    now: Timestamp,
) -> anyhow::Result<Running> {
    let bucket = |variable: &str, default: &str| {
        std::env::var(variable).unwrap_or_else(|_| default.to_owned())
    };
    let buckets = Buckets {
        uploads: bucket("GATEPOST_UPLOAD_BUCKET", UPLOAD_BUCKET),
        media: bucket("GATEPOST_MEDIA_BUCKET", MEDIA_BUCKET),
    };
    let (connection, scratch) = if let Some(endpoint) = endpoint_url {
        (aws::connect(endpoint).await?, None)
    } else {
        let scratch = ScratchS3::start(&buckets).await?;
        (scratch.connection.clone(), Some(scratch))
    };
    let mut processor = Processor::new(
        connection.s3.clone(),
        buckets.clone(),
        config.images.clone(),
        move || now,
    );
    if scratch.is_some() {
        // Events of any age can be replayed, because nothing was ever deleted in this store.
        processor = processor.with_any_age();
    }
    Ok(Running {
        processor,
        connection,
        buckets,
        _scratch: scratch,
    })
}
