//! The actors of a schedule: a worker, a deleter and a sweep, each a task that runs the real code over the scripted S3.
//!
//! A task wakes the schedule when it ends. It does not know when its requests are answered.

use std::sync::{Arc, Mutex};

use http::Method;
use jiff::SignedDuration;
use media_store::MediaStore;
use tokio::task::JoinHandle;
use tower::ServiceExt as _;
use upload_processor::sweep::{Forgotten, Options, Sweep};
use upload_processor::{Outcome, Processor};

use crate::schedules::scenario::Scenario;
use crate::schedules::scripted_s3::{self, ScriptedS3};
use crate::schedules::{PICTURES, buckets, call, message_of, now, settings_of};

/// The pictures that a sweep announced and whose message was not delivered yet.
pub(super) type Announced = Arc<Mutex<Vec<usize>>>;

#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(super) enum Actor {
    Worker {
        picture: usize,
        attempt: u32,
    },
    Deleter {
        attempt: u32,
    },
    /// A sweep at any time.
    Sweeper,
}

/// How an actor ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum End {
    /// A worker says that it published.
    Published,
    Succeeded,
    Failed,
}

impl Actor {
    /// Starts the actor with this number.
    pub(super) fn start(
        self,
        id: usize,
        scenario: &Scenario,
        s3: &ScriptedS3,
        announced: &Announced,
    ) -> JoinHandle<End> {
        match self {
            Self::Worker { picture, .. } => {
                let settings = settings_of(scenario.widths);
                let mut processor = Processor::new(s3.client(id), buckets(), settings, now);
                if scenario.is_last_receive {
                    processor = processor.with_max_receives(1);
                }
                let version = scenario
                    .is_versioned
                    .then(|| scripted_s3::version_of(&PICTURES.files[picture]));
                let message = message_of(picture, version.as_deref());
                let changed = s3.changed.clone();
                tokio::spawn(async move {
                    let report = processor.process_batch(vec![message]).await;
                    changed.notify_one();
                    match &report.messages[0].1 {
                        Ok(outcomes) if matches!(outcomes[0], Outcome::Finished(_)) => {
                            End::Published
                        }
                        Ok(_) => End::Succeeded,
                        Err(_) => End::Failed,
                    }
                })
            }
            Self::Deleter { .. } => {
                let (api, request) = call(s3, id, Method::DELETE, "/api/media");
                let changed = s3.changed.clone();
                tokio::spawn(async move {
                    let answer = api.oneshot(request).await.unwrap();
                    changed.notify_one();
                    match answer.status().as_u16() {
                        204 => End::Succeeded,
                        503 => End::Failed,
                        other => panic!("a deletion is answered {other}"),
                    }
                })
            }
            Self::Sweeper => {
                let mut sweep = sweep_of_all(s3, id);
                let changed = s3.changed.clone();
                let announced = announced.clone();
                tokio::spawn(async move {
                    let listed = loop {
                        match sweep.next().await {
                            Ok(Some(forgotten)) => {
                                announced.lock().unwrap().push(picture_of(&forgotten));
                                sweep.announced();
                            }
                            Ok(None) => break Ok(()),
                            Err(error) => break Err(error),
                        }
                    };
                    changed.notify_one();
                    if listed.is_ok() && sweep.report().n_faults == 0 {
                        End::Succeeded
                    } else {
                        End::Failed
                    }
                })
            }
        }
    }
}

/// A sweep that does all that any sweep does.
pub(super) fn sweep_of_all(s3: &ScriptedS3, actor: usize) -> Sweep {
    s3.note_sweeper(actor);
    let options = Options {
        since: None,
        failed: true,
        settling_time: SignedDuration::ZERO,
    };
    let store = MediaStore::new(s3.client(actor), buckets());
    Sweep::new(store, now(), options)
}

/// The picture that a sweep found.
fn picture_of(forgotten: &Forgotten) -> usize {
    let etag = format!("\"{}\"", forgotten.etag.as_ref().unwrap());
    let mut files = PICTURES.files.iter();
    files
        .position(|file| scripted_s3::etag_of(file) == etag)
        .unwrap()
}
