//! Reads the state of a dead letter's uploads, and predicts the outcome of redriving it.
//!
//! It runs the processor's own examination, with the deployed settings and malware gate. An examination stops before
//! the first write.

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use jiff::Timestamp;
use media_contract::{Manifest, Status, UploadKey};
use media_store::MediaStore;
use thumbnailer::settings::Settings;
use upload_processor::event::{Notice, Record};
use upload_processor::{Buckets, Cause, Outcome, Processor, TransientError};

use super::args::{InspectionArgs, QueueArgs};
use super::letter::{DeadLetter, upload_of};
use super::snapshot::Snapshot;
use crate::aws;
use crate::config::{Config, DEFAULT_FILE};
use crate::dev::data_dir::DataDir;
use crate::dev::{MEDIA_BUCKET, UPLOAD_BUCKET};
use crate::scratch_s3::ScratchS3;

/// The default output folder of `gatepost package`.
const DEFAULT_PACKAGE: &str = "dist";

/// Examines uploads.
pub(super) struct Examiner {
    processor: Processor,
    store: MediaStore,
    /// For the local stack: its objects are copied before they are read.
    snapshot: Option<Snapshot>,
    /// The source of the settings.
    settings: String,
    wants_scan: bool,
}

/// The findings about one record.
pub(super) struct Finding {
    pub(super) record: Record,
    /// Its upload's manifest, or the reason why it cannot be read; `None` if the record is not about an upload.
    pub(super) manifest: Option<Result<Option<Manifest>, String>>,
    /// The result of redriving it.
    pub(super) outcome: Result<Outcome, TransientError>,
    pub(super) elapsed: Duration,
}

impl Examiner {
    /// Connects to the uploads' S3. Nothing is read yet.
    pub(super) async fn open(
        args: &QueueArgs,
        inspection: &InspectionArgs,
    ) -> anyhow::Result<Self> {
        let is_local = args.queue_url.is_none();
        let (images, settings) = read_settings(inspection, is_local)?;
        let buckets = buckets(inspection, is_local)?;
        let (s3, snapshot) = if let Some(endpoint) = &args.endpoint_url {
            (aws::connect(endpoint).await?.s3, None)
        } else if is_local {
            let data_dir = DataDir::look_into(&args.data_dir)?;
            let objects = data_dir.objects();
            if !objects.join(&buckets.uploads).is_dir() {
                bail!(
                    "there are no objects in {}; name the S3 of `gatepost dev --endpoint-url` with --endpoint-url",
                    objects.display()
                );
            }
            let scratch = ScratchS3::start(&buckets).await?;
            let s3 = scratch.connection.s3.clone();
            (s3, Some(Snapshot::new(objects, scratch, buckets.clone())))
        } else {
            (aws::connect_both(None).await?.0, None)
        };
        let processor = Processor::new(s3.clone(), buckets.clone(), images, Timestamp::now);
        let wants_scan = inspection.malware_scan == Some(true);
        Ok(Self {
            processor: if wants_scan {
                processor.with_malware_scan()
            } else {
                processor
            },
            store: MediaStore::new(s3, buckets),
            snapshot,
            settings,
            wants_scan,
        })
    }

    /// The file that the settings come from.
    pub(super) fn settings(&self) -> &str {
        &self.settings
    }

    /// The number of dead letters to examine concurrently. Copies are made one at a time.
    pub(super) fn concurrency(&self) -> usize {
        if self.snapshot.is_some() { 1 } else { 4 }
    }

    /// Whether the malware gate holds for a dead letter.
    pub(super) fn wants_scan(&self, letter: &DeadLetter) -> bool {
        let is_from_scan = |record: &Record| match record {
            Record::Created(object) => object.is_from_scan,
            Record::Other(_) | Record::Unreadable(_) => false,
        };
        self.wants_scan
            || match Notice::parse(&letter.body) {
                Ok(Notice::Records(records)) => records.iter().any(is_from_scan),
                Ok(Notice::Test) | Err(_) => false,
            }
    }

    /// An upload's manifest, or the reason why that cannot be read.
    pub(super) async fn manifest(&self, upload: &UploadKey) -> Result<Option<Manifest>, String> {
        self.copy(upload)?;
        let found = self.store.manifest(upload).await;
        let found = found.map_err(|error| error.to_string())?;
        Ok(found.map(|found| found.manifest))
    }

    /// The result of processing the whole dead letter.
    pub(super) async fn examine(
        &self,
        letter: &DeadLetter,
    ) -> Result<Vec<Outcome>, TransientError> {
        if let Ok(Notice::Records(records)) = Notice::parse(&letter.body) {
            for upload in records.iter().filter_map(upload_of) {
                self.copy(&upload).map_err(unreadable)?;
            }
        }
        let processor = self.processor_of(letter);
        Box::pin(processor.examine_message(&letter.body)).await
    }

    /// Everything about each record; an error is a sentence about a body that is not understood.
    pub(super) async fn findings(&self, letter: &DeadLetter) -> Result<Vec<Finding>, String> {
        let records = match Notice::parse(&letter.body)? {
            Notice::Records(records) => records,
            Notice::Test => vec![Record::Other("s3:TestEvent".to_owned())],
        };
        let processor = self.processor_of(letter);
        let mut findings = Vec::with_capacity(records.len());
        for record in records {
            let manifest = match upload_of(&record) {
                Some(upload) => Some(self.manifest(&upload).await),
                None => None,
            };
            let started = Instant::now();
            let outcome = match &manifest {
                Some(Err(reason)) => Err(unreadable(reason.clone())),
                _ => Box::pin(processor.examine(record.clone())).await,
            };
            findings.push(Finding {
                record,
                manifest,
                outcome,
                elapsed: started.elapsed(),
            });
        }
        Ok(findings)
    }

    fn copy(&self, upload: &UploadKey) -> Result<(), String> {
        match &self.snapshot {
            Some(snapshot) => snapshot.take(upload).map_err(|error| {
                format!("the files of {} cannot be read: {error}", upload.original())
            }),
            None => Ok(()),
        }
    }

    fn processor_of(&self, letter: &DeadLetter) -> Processor {
        let processor = self.processor.clone();
        if self.wants_scan(letter) {
            processor.with_malware_scan()
        } else {
            processor
        }
    }
}

/// An object that cannot be read now would make the processing fail, too.
fn unreadable(reason: String) -> TransientError {
    TransientError {
        reason,
        cause: Cause::Outage,
    }
}

/// The effect of redriving, as a sentence.
pub(super) fn describe_redriving(outcome: &Result<Outcome, TransientError>) -> String {
    match outcome {
        Ok(Outcome::Finished(manifest)) => match &manifest.status {
            Status::Ready { renditions, .. } => match renditions.len() {
                1 => "redriving publishes 1 rendition".to_owned(),
                n => format!("redriving publishes {n} renditions"),
            },
            status => format!("redriving ends as {}", format_status(status)),
        },
        Ok(Outcome::AlreadyFinished(manifest)) => format!(
            "redriving changes nothing: the upload is {}",
            format_status(&manifest.status)
        ),
        Ok(Outcome::Deleted(_)) => {
            "redriving publishes nothing: the upload was deleted, and what is left of it is removed"
                .to_owned()
        }
        Ok(Outcome::Ignored(reason)) => format!("redriving does nothing: {reason}"),
        Err(retry) => format!("redriving fails again: {}", retry.reason),
    }
}

/// A manifest's status with its reason, such as `failed: A sentence. (scan_pending)`.
pub(super) fn format_status(status: &Status) -> String {
    match status.reason() {
        Some(reason) => format!("{}: {} ({})", status.name(), reason.message, reason.code),
        None => status.name().to_owned(),
    }
}

/// The processor's settings, and their source.
fn read_settings(
    inspection: &InspectionArgs,
    is_local: bool,
) -> anyhow::Result<(Settings, String)> {
    let default = Path::new(DEFAULT_PACKAGE);
    let package = match &inspection.package {
        Some(folder) => Some(folder.as_path()),
        None if inspection.config.is_some() || is_local => None,
        None => default.join("manifest.json").exists().then_some(default),
    };
    if let Some(folder) = package {
        let zip = folder.join("upload-processor.zip");
        let settings = packed_settings(&zip).with_context(|| {
            format!(
                "{} is not what `gatepost package` writes; name a configuration with --config",
                zip.display()
            )
        })?;
        return Ok((settings, zip.display().to_string()));
    }
    let config = Config::load(inspection.config.as_deref())?;
    let file = inspection.config.clone();
    let file = file.unwrap_or_else(|| PathBuf::from(DEFAULT_FILE));
    let source = if file.exists() {
        file.display().to_string()
    } else {
        "the built-in example configuration, because there is no gatepost.toml".to_owned()
    };
    Ok((config.images, source))
}

fn packed_settings(zip: &Path) -> anyhow::Result<Settings> {
    let mut archive = zip::ZipArchive::new(std::fs::File::open(zip)?)?;
    let mut text = String::new();
    archive
        .by_name("settings.json")?
        .read_to_string(&mut text)?;
    Ok(serde_json::from_str(&text)?)
}

fn buckets(inspection: &InspectionArgs, is_local: bool) -> anyhow::Result<Buckets> {
    if is_local {
        return Ok(Buckets {
            uploads: UPLOAD_BUCKET.to_owned(),
            media: MEDIA_BUCKET.to_owned(),
        });
    }
    match (&inspection.upload_bucket, &inspection.media_bucket) {
        (Some(uploads), Some(media)) => Ok(Buckets {
            uploads: uploads.clone(),
            media: media.clone(),
        }),
        (uploads, media) => {
            let missing: Vec<_> = [
                (uploads, "--upload-bucket (GATEPOST_UPLOAD_BUCKET)"),
                (media, "--media-bucket (GATEPOST_MEDIA_BUCKET)"),
            ]
            .into_iter()
            .filter_map(|(given, option)| given.is_none().then_some(option))
            .collect();
            bail!(
                "with --queue-url the buckets must be named: add {}",
                missing.join(" and ")
            )
        }
    }
}
