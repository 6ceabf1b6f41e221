//! Upload events, through the processor's own handler and a real S3: the one that was named, or an embedded one that
//! lives as long as the run.

use std::time::Instant;

use anyhow::Context as _;
use aws_credential_types::Credentials;
use jiff::Timestamp;
use serde_json::{Value, json};
use tempfile::TempDir;
use upload_processor::event::Message;
use upload_processor::{Buckets, Outcome, Processor};

use super::Played;
use super::file::EventFile;
use crate::aws::{self, Connection};
use crate::config::Config;
use crate::dev::{MEDIA_BUCKET, UPLOAD_BUCKET};
use crate::local_s3::{LocalS3, Notifier};

/// The processor of a run, made when the first event needs it.
pub(super) struct Uploads<'a> {
    config: &'a Config,
    endpoint_url: Option<&'a str>,
    now: Timestamp,
    running: Option<Running>,
}

struct Running {
    processor: Processor,
    connection: Connection,
    buckets: Buckets,
    /// The embedded store, removed at the end of the run.
    _folder: Option<TempDir>,
}

impl<'a> Uploads<'a> {
    pub(super) fn new(config: &'a Config, endpoint_url: Option<&'a str>, now: Timestamp) -> Self {
        Self {
            config,
            endpoint_url,
            now,
            running: None,
        }
    }

    /// Puts the given objects into the store and hands the messages to the processor.
    pub(super) async fn play(
        &mut self,
        file: &EventFile,
        messages: Vec<Message>,
    ) -> anyhow::Result<Vec<Played>> {
        let running = match &mut self.running {
            Some(running) => running,
            none => none.insert(start(self.config, self.endpoint_url, self.now).await?),
        };
        // An S3 that somebody named holds what it holds: nothing is put into it.
        let given = match self.endpoint_url {
            Some(_) => Vec::new(),
            None => file.given()?,
        };
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
                .with_context(|| {
                    format!("the object {} cannot be put into the store", object.key)
                })?;
        }
        let started = Instant::now();
        let report = running.processor.process_batch(messages).await;
        let elapsed = started.elapsed();
        let mut played = Vec::new();
        for (_, result) in report.messages {
            let outcomes = match result {
                Ok(outcomes) => outcomes.iter().map(outcome).collect::<Result<_, _>>()?,
                Err(retry) => vec![json!({"status": "retry", "reason": retry.reason})],
            };
            played.extend(
                outcomes
                    .into_iter()
                    .map(|outcome| Played { outcome, elapsed }),
            );
        }
        Ok(played)
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
    let (connection, folder) = if let Some(endpoint) = endpoint_url {
        (aws::connect(endpoint).await?, None)
    } else {
        let folder = tempfile::tempdir()?;
        let credentials = Credentials::new(
            "LOCLREPLAY",
            "for this run only",
            None,
            None,
            "gatepost-replay",
        );
        let names = [buckets.uploads.as_str(), buckets.media.as_str()];
        let server = LocalS3::open(
            &folder.path().join("s3"),
            &names,
            &credentials,
            Notifier::silent(),
        )
        .await?;
        let connection = aws::connect_embedded(&server.endpoint(), credentials);
        tokio::spawn(server.serve(std::future::pending()));
        (connection, Some(folder))
    };
    let mut processor = Processor::new(
        connection.s3.clone(),
        buckets.clone(),
        config.images.clone(),
        move || now,
    );
    if folder.is_some() {
        // Events of any age can be replayed: nothing was ever deleted in this store.
        processor = processor.with_any_age();
    }
    Ok(Running {
        processor,
        connection,
        buckets,
        _folder: folder,
    })
}

fn outcome(outcome: &Outcome) -> serde_json::Result<Value> {
    match outcome {
        Outcome::Finished(manifest) | Outcome::AlreadyFinished(manifest) => {
            serde_json::to_value(manifest)
        }
        Outcome::Deleted(upload) => {
            Ok(json!({"id": upload.id, "owner": upload.owner, "status": "deleted"}))
        }
        Outcome::Ignored(reason) => Ok(json!({"status": "ignored", "reason": reason})),
    }
}
