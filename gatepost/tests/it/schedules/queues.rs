//! What the processor asks of its queues, and what a sweep finds: against the scripted S3 and a queue that notes what it is
//! asked.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_sdk_sqs::config::{BehaviorVersion, Credentials, HttpClient, Region, RuntimeComponents};
use aws_smithy_runtime_api::client::http::{
    HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::http::StatusCode;
use aws_smithy_types::body::SdkBody;
use jiff::{SignedDuration, Timestamp};
use lambda_runtime::{Context, LambdaEvent};
use media_contract::{Manifest, UploadId, UploadKey};
use media_store::MediaStore;
use serde_json::{Value, json};
use upload_processor::event::Message;
use upload_processor::retry::{MAX_RECEIVES, retry_delay};
use upload_processor::sweep::{Options, Sweep};
use upload_processor::{Cause, Outcome};

use super::scripted_s3::ScriptedS3;
use super::{PICTURES, buckets, message, now, processor, upload};

pub(super) const QUEUE: &str = "http://queues/uploads";

/// A queue that does nothing but note what it is asked: the operation, and its input.
#[derive(Clone, Debug, Default)]
pub(super) struct Queue {
    asked: Arc<Mutex<Vec<(String, Value)>>>,
    /// Of a batch, messages with this text are refused.
    refused: Option<String>,
}

impl Queue {
    pub(super) fn client(&self) -> aws_sdk_sqs::Client {
        let config = aws_sdk_sqs::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::from_static("us-east-1"))
            .credentials_provider(Credentials::new("test", "test", None, None, "test"))
            .http_client(self.clone())
            .build();
        aws_sdk_sqs::Client::from_conf(config)
    }

    pub(super) fn asked(&self) -> Vec<(String, Value)> {
        self.asked.lock().unwrap().clone()
    }

    /// The keys that the messages of each batch are about.
    fn batches(&self) -> Vec<Vec<String>> {
        let asked = self.asked();
        asked
            .iter()
            .map(|(operation, input)| {
                assert_eq!(operation, "SendMessageBatch");
                assert_eq!(input["QueueUrl"], QUEUE);
                let entries = input["Entries"].as_array().unwrap();
                entries.iter().map(key_in).collect()
            })
            .collect()
    }

    fn answer(&self, input: &Value) -> Value {
        let Some(entries) = input["Entries"].as_array() else {
            return json!({"MessageId": "1", "MD5OfMessageBody": ""});
        };
        let (mut successful, mut failed) = (Vec::new(), Vec::new());
        for entry in entries {
            let id = &entry["Id"];
            if self.refused.as_ref() == Some(&key_in(entry)) {
                failed.push(json!({"Id": id, "SenderFault": false, "Code": "InternalError"}));
            } else {
                successful.push(json!({"Id": id, "MessageId": "1", "MD5OfMessageBody": ""}));
            }
        }
        json!({"Successful": successful, "Failed": failed})
    }
}

impl HttpClient for Queue {
    fn http_connector(
        &self,
        _: &HttpConnectorSettings,
        _: &RuntimeComponents,
    ) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}

impl HttpConnector for Queue {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let operation = request.headers().get("x-amz-target").unwrap_or_default();
        let operation = operation.trim_start_matches("AmazonSQS.").to_owned();
        let input = serde_json::from_slice(request.body().bytes().unwrap()).unwrap();
        let answer = SdkBody::from(self.answer(&input).to_string());
        self.asked.lock().unwrap().push((operation, input));
        let answer = HttpResponse::new(StatusCode::try_from(200).unwrap(), answer);
        HttpConnectorFuture::ready(Ok(answer))
    }
}

/// The key that a notification in a batch is about.
fn key_in(entry: &Value) -> String {
    let body: Value = serde_json::from_str(entry["MessageBody"].as_str().unwrap()).unwrap();
    let key = body["Records"][0]["s3"]["object"]["key"].as_str();
    key.unwrap().to_owned()
}

pub(super) fn with_upload() -> ScriptedS3 {
    let s3 = ScriptedS3::new(&[]);
    s3.open();
    s3.post(
        &format!("uploads/{}", upload().original()),
        &PICTURES.files[0],
    );
    s3
}

#[tokio::test]
async fn an_outage_of_five_minutes_makes_no_dead_letter() {
    let s3 = with_upload();
    let queue = Queue::default();
    let processor = processor(&s3, 0)
        .with_queue(queue.client(), QUEUE.to_owned())
        .with_max_receives(MAX_RECEIVES);
    let mut elapsed = Duration::ZERO;
    for receive_count in 1..=MAX_RECEIVES {
        s3.set_broken(elapsed < Duration::from_mins(5));
        let message = Message {
            receive_count,
            receipt_handle: Some("receipt".to_owned()),
            ..message(0)
        };
        let n_asked = queue.asked().len();
        let report = processor.process_batch(vec![message]).await;
        let hidden = queue.asked().get(n_asked).map(|(operation, input)| {
            assert_eq!(operation, "ChangeMessageVisibility");
            assert_eq!(input["QueueUrl"], QUEUE);
            assert_eq!(input["ReceiptHandle"], "receipt");
            Duration::from_secs(input["VisibilityTimeout"].as_u64().unwrap())
        });
        match &report.messages[0].1 {
            Ok(outcomes) => {
                assert!(matches!(outcomes[0], Outcome::Finished(_)), "{outcomes:?}");
                assert_eq!(hidden, None);
                assert!(elapsed < Duration::from_mins(10), "{elapsed:?}");
                return;
            }
            Err(retry) => assert_eq!(retry.cause, Cause::Outage, "{}", retry.reason),
        }
        assert_eq!(hidden, Some(retry_delay(receive_count)));
        elapsed += retry_delay(receive_count);
    }
    panic!("it is a dead letter");
}

#[tokio::test]
async fn an_image_past_the_time_limit_is_tried_again_once() {
    for (name, receive_count, max_receives, is_tried_again) in [
        ("first receive", 1, Some(MAX_RECEIVES), true),
        ("first receive, and no dead letters", 1, None, true),
        ("second receive", 2, Some(MAX_RECEIVES), false),
        ("first receive, which is the last", 1, Some(1), false),
    ] {
        let s3 = with_upload();
        let mut processor = processor(&s3, 0).with_time_per_image(Duration::ZERO);
        if let Some(max_receives) = max_receives {
            processor = processor.with_max_receives(max_receives);
        }
        let message = Message {
            receive_count,
            ..message(0)
        };
        let report = processor.process_batch(vec![message]).await;
        assert_eq!(report.messages[0].1.is_err(), is_tried_again, "{name}");
        let rejected = (!is_tried_again).then_some("timeout");
        assert_eq!(rejected_with(&s3).as_deref(), rejected, "{name}");
    }
    // Without a queue nobody repeats it.
    let s3 = with_upload();
    let payload = serde_json::from_str(&message(0).body).unwrap();
    let answer = processor(&s3, 0)
        .with_time_per_image(Duration::ZERO)
        .handle(LambdaEvent::new(payload, Context::default()))
        .await
        .unwrap();
    assert_eq!(answer["outcomes"][0]["status"], "rejected", "{answer}");
    assert_eq!(rejected_with(&s3).as_deref(), Some("timeout"));
}

/// The code with which the manifest says that the upload is rejected; `None` without a manifest.
fn rejected_with(s3: &ScriptedS3) -> Option<String> {
    let manifest = s3.object(&format!("media/{}", upload().manifest_key()))?;
    let manifest: Value = serde_json::from_slice(&manifest).unwrap();
    assert_eq!(manifest["status"], "rejected", "{manifest}");
    Some(manifest["reason"]["code"].as_str().unwrap().to_owned())
}

#[tokio::test]
async fn a_fifo_queue_gets_a_group_and_an_id_for_each_outcome() {
    for (url, has_group) in [
        ("http://queues/outcomes.fifo", true),
        ("http://queues/outcomes", false),
    ] {
        let queue = Queue::default();
        processor(&with_upload(), 0)
            .with_outcomes(queue.client(), url.to_owned())
            .process_batch(vec![message(0)])
            .await;
        let asked = queue.asked();
        let [(operation, input)] = &asked[..] else {
            panic!("{asked:?}");
        };
        assert_eq!(operation, "SendMessage");
        let id = upload().id.to_string();
        let group = has_group.then(|| id.clone());
        assert_eq!(input["MessageGroupId"].as_str(), group.as_deref());
        let deduplication = has_group.then(|| format!("{id}-ready"));
        assert_eq!(
            input["MessageDeduplicationId"].as_str(),
            deduplication.as_deref()
        );
    }
}

#[tokio::test]
async fn a_failure_is_told_each_time_that_it_is_the_last() {
    let s3 = with_upload();
    let queue = Queue::default();
    let outcomes = || processor(&s3, 0).with_outcomes(queue.client(), QUEUE.to_owned());
    let failing = outcomes().with_max_receives(1).with_malware_scan();
    for n_told in 1..=2 {
        // Nobody has scanned it: this S3 knows no tags.
        let report = failing.process_batch(vec![message(0)]).await;
        assert!(report.messages[0].1.is_err());
        let asked = queue.asked();
        assert_eq!(asked.len(), n_told);
        let body: Value =
            serde_json::from_str(asked[n_told - 1].1["MessageBody"].as_str().unwrap()).unwrap();
        assert_eq!(body["status"], "failed");
    }
    outcomes().process_batch(vec![message(0)]).await;
    assert_eq!(queue.asked().len(), 3);
}

#[tokio::test]
async fn an_upload_that_is_weeks_old_is_not_published() {
    for (days, is_published) in [(27, true), (29, false)] {
        let s3 = with_upload();
        let settings = super::settings();
        let at = now() + SignedDuration::from_hours(24 * days);
        let processor =
            upload_processor::Processor::new(s3.client(0), buckets(), settings, move || at)
                .with_max_receives(1);
        let report = processor.process_batch(vec![message(0)]).await;
        assert_eq!(report.messages[0].1.is_ok(), is_published, "{report:?}");
        let manifest = s3.object(&format!("media/{}", upload().manifest_key()));
        assert_eq!(manifest.is_some(), is_published, "{days} days");
    }
}

/// When the objects of the scripted S3 are written.
fn written() -> Timestamp {
    Timestamp::from_second(1_700_000_000).unwrap()
}

/// An upload whose form was made so long before its objects are written.
fn made(before: SignedDuration, letter: u8) -> UploadKey {
    UploadKey {
        owner: upload().owner,
        id: UploadId::new(written() - before, [letter; 10]),
    }
}

/// A manifest with a reason.
fn manifest(upload: &UploadKey, status: &str) -> String {
    json!({
        "version": 1, "id": upload.id, "owner": upload.owner, "status": status,
        "reason": {"code": "processing_failed", "message": ""},
        "deleted_at": "2023-11-15T00:00:00Z", "created_at": "2023-11-15T00:00:00Z",
    })
    .to_string()
}

#[tokio::test]
async fn a_sweep_announces_what_nobody_works_on() {
    let (hour, day) = (
        SignedDuration::from_hours(1),
        SignedDuration::from_hours(24),
    );
    let recent = made(SignedDuration::from_mins(1), 1);
    for (name, made_before, swept_after, since, status, failed, is_announced) in [
        ("forgotten", hour, 2 * hour, None, "", false, true),
        (
            "within since",
            hour,
            2 * hour,
            Some(3 * hour),
            "",
            false,
            true,
        ),
        (
            "before since",
            hour,
            4 * hour,
            Some(3 * hour),
            "",
            false,
            false,
        ),
        ("the queue has it", hour, hour / 2, None, "", false, false),
        (
            "nearly two weeks old",
            12 * day,
            2 * hour,
            None,
            "",
            false,
            true,
        ),
        (
            "older than two weeks",
            14 * day,
            2 * hour,
            None,
            "",
            false,
            false,
        ),
        ("failed", hour, 2 * hour, None, "failed", false, false),
        (
            "failed, and asked for",
            hour,
            2 * hour,
            None,
            "failed",
            true,
            true,
        ),
        ("rejected", hour, 2 * hour, None, "rejected", true, false),
    ] {
        let s3 = ScriptedS3::new(&[]);
        s3.open();
        let upload = made(made_before, 1);
        s3.post(&format!("uploads/{}", upload.original()), b"picture");
        if !status.is_empty() {
            let manifest = manifest(&upload, status);
            s3.post(
                &format!("media/{}", upload.manifest_key()),
                manifest.as_bytes(),
            );
        }
        s3.post("uploads/uploads/foreign", b"not an upload");
        s3.post("media/o/media/foreign/x/y/z", b"not a rendition");
        let store = MediaStore::new(s3.client(0), buckets());
        let options = Options {
            since,
            failed,
            settling_time: hour,
        };
        let mut sweep = Sweep::new(store, written() + swept_after, options);
        let mut announced = Vec::new();
        while let Some(forgotten) = sweep.next().await.unwrap() {
            announced.push(forgotten.upload);
        }
        let expected: &[UploadKey] = if is_announced { &[upload] } else { &[] };
        assert_eq!(announced, expected, "{name}");
        assert_eq!(sweep.report().n_uploads, 1, "{name}");
    }
    // As a direct invocation of the function, which has a queue to send to.
    let s3 = ScriptedS3::new(&[]);
    s3.open();
    s3.post(&format!("uploads/{}", recent.original()), b"picture");
    let queue = Queue::default();
    let at = written() + 2 * hour;
    let processor =
        upload_processor::Processor::new(s3.client(0), buckets(), super::settings(), move || at)
            .with_queue(queue.client(), QUEUE.to_owned());
    let event = LambdaEvent::new(json!({"sweep": {"since": "3h"}}), Context::default());
    let answer = processor.handle(event).await.unwrap();
    assert_eq!(answer, json!({"uploads": 1, "announced": 1, "cleaned": 0}));
    assert_eq!(queue.batches(), [[recent.original()]]);
}

/// An S3 with so many forgotten uploads, and their keys in order.
fn forgotten(n: u8) -> (ScriptedS3, Vec<String>) {
    let s3 = ScriptedS3::new(&[]);
    s3.open();
    let keys = (0..n).map(|letter| made(SignedDuration::from_mins(1), letter).original());
    let mut keys: Vec<_> = keys.collect();
    keys.sort();
    for key in &keys {
        s3.post(&format!("uploads/{key}"), b"picture");
    }
    (s3, keys)
}

/// A direct invocation that ends at `deadline`, which is 0 where nobody ends it.
fn sweep_until(deadline: i64, request: &Value) -> LambdaEvent<Value> {
    let mut context = Context::default();
    context.deadline = deadline.cast_unsigned();
    LambdaEvent::new(json!({"sweep": request}), context)
}

#[tokio::test]
async fn a_sweep_announces_ten_uploads_at_a_time() {
    let (s3, keys) = forgotten(23);
    let at = written() + SignedDuration::from_hours(2);
    for refused in [None, Some(keys[12].clone())] {
        let queue = Queue {
            refused: refused.clone(),
            ..Queue::default()
        };
        let processor = upload_processor::Processor::new(
            s3.client(0),
            buckets(),
            super::settings(),
            move || at,
        )
        .with_queue(queue.client(), QUEUE.to_owned());
        let answer = processor.handle(sweep_until(0, &json!({}))).await;
        assert_eq!(queue.batches(), [&keys[..10], &keys[10..20], &keys[20..]]);
        match (refused, answer) {
            (None, Ok(answer)) => assert_eq!(answer["announced"], 23),
            (Some(_), Err(error)) => assert_eq!(
                error.to_string(),
                "1 uploads could not be handled; the log names them"
            ),
            (_, answer) => panic!("{answer:?}"),
        }
    }
}

#[tokio::test]
async fn a_sweep_whose_time_is_up_says_where_another_one_goes_on() {
    let (s3, keys) = forgotten(5);
    // What lies beside an upload is behind it as well, and not looked at twice.
    let second = UploadKey::parse(&keys[1]).unwrap();
    s3.post(
        &format!("media/{}note.txt", second.media_prefix()),
        b"not a rendition",
    );
    // A clock that goes on by a second each time it is read: when a sweep begins, and before each upload.
    let seconds = Arc::new(AtomicI64::new(written().as_second() + 7200));
    let clock = seconds.clone();
    let queue = Queue::default();
    let processor =
        upload_processor::Processor::new(s3.client(0), buckets(), super::settings(), move || {
            Timestamp::from_second(clock.fetch_add(1, Ordering::Relaxed)).unwrap()
        })
        .with_queue(queue.client(), QUEUE.to_owned());
    let mut after = Value::Null;
    for (n_seconds, n_uploads, next) in [
        (0, 0, Some(Value::Null)),
        (3, 2, Some(json!(keys[1]))),
        (3, 4, Some(json!(keys[3]))),
        (0, 4, Some(json!(keys[3]))),
        (3, 5, None),
    ] {
        // Ten seconds are in reserve.
        let deadline = 1000 * (seconds.load(Ordering::Relaxed) + 10 + n_seconds);
        let answer = processor
            .handle(sweep_until(
                deadline,
                &json!({"since": "3h", "failed": true, "after": after}),
            ))
            .await;
        match (next, answer) {
            (None, Ok(answer)) => assert_eq!(answer["announced"], 1),
            (Some(next), Err(error)) => {
                assert_eq!(
                    error.to_string(),
                    format!(
                        "not all uploads were examined; continue with the payload {}",
                        match &next {
                            Value::Null => json!({"sweep": {"since": "3h", "failed": true}}),
                            next =>
                                json!({"sweep": {"since": "3h", "failed": true, "after": next}}),
                        }
                    )
                );
                after = next;
            }
            (_, answer) => panic!("{answer:?}"),
        }
        assert_eq!(queue.batches().concat().len(), n_uploads);
    }
    assert_eq!(queue.batches().concat(), keys);
}

#[tokio::test]
async fn a_sweep_removes_what_no_manifest_names() {
    let (hour, day) = (
        SignedDuration::from_hours(1),
        SignedDuration::from_hours(24),
    );
    let upload = made(hour, 1);
    let status = |status: &str| manifest(&upload, status);
    let tombstone = serde_json::to_string(&Manifest::tombstone(&upload, written())).unwrap();
    let stray = format!("media/{}0123456789abcdef-2.webp", upload.media_prefix());
    let note = format!("media/{}note.txt", upload.media_prefix());
    for (name, manifest, is_late, swept_after, is_removed) in [
        ("deleted", Some(tombstone.clone()), false, hour, true),
        (
            "deleted, and written later",
            Some(tombstone),
            true,
            hour,
            true,
        ),
        (
            "rejected, and written later",
            Some(status("rejected")),
            true,
            hour,
            true,
        ),
        (
            "failed a moment ago",
            Some(status("failed")),
            false,
            hour,
            false,
        ),
        (
            "failed days ago, and may be worked on again",
            Some(status("failed")),
            false,
            2 * day,
            false,
        ),
        ("nothing, a moment ago", None, false, hour, false),
        ("nothing, for days", None, false, 2 * day, true),
    ] {
        let s3 = ScriptedS3::new(&[]);
        s3.open();
        if !is_late {
            s3.post(&stray, b"stray");
        }
        if let Some(manifest) = manifest {
            s3.post(
                &format!("media/{}", upload.manifest_key()),
                manifest.as_bytes(),
            );
        }
        if is_late {
            s3.post(&stray, b"stray");
        }
        // Not ours to delete, and nothing that keeps the rest from being deleted.
        s3.post(&note, b"note");
        for n_cleaned in [u64::from(is_removed), 0] {
            let options = Options {
                since: None,
                failed: false,
                settling_time: hour,
            };
            let store = MediaStore::new(s3.client(0), buckets());
            let mut sweep = Sweep::new(store, written() + swept_after, options);
            assert_eq!(sweep.next().await.unwrap(), None, "{name}");
            assert_eq!(sweep.report().n_cleaned, n_cleaned, "{name}");
            assert_eq!(sweep.report().n_faults, 0, "{name}");
            assert_eq!(s3.object(&stray).is_none(), is_removed, "{name}");
            assert!(s3.object(&note).is_some());
        }
    }
}

#[tokio::test]
async fn renditions_of_a_deletion_that_was_broken_off_do_not_outlive_its_tombstone() {
    let (hour, day) = (
        SignedDuration::from_hours(1),
        SignedDuration::from_hours(24),
    );
    for (days, is_removed) in [(27, false), (28, false), (31, true)] {
        let upload = made(hour, 1);
        let rendition = format!("media/{}0123456789abcdef-2.webp", upload.media_prefix());
        let original = format!("uploads/{}", upload.original());
        let s3 = ScriptedS3::new(&[]);
        s3.open();
        s3.post(&original, b"picture");
        s3.post(&rendition, b"rendition");
        let options = Options {
            since: None,
            failed: false,
            settling_time: hour,
        };
        let store = MediaStore::new(s3.client(0), buckets());
        let mut sweep = Sweep::new(store, written() + days * day, options);
        assert_eq!(sweep.next().await.unwrap(), None, "{days}");
        assert_eq!(s3.object(&rendition).is_none(), is_removed, "{days}");
        // It may never have been deleted.
        assert!(s3.object(&original).is_some());
    }
}

#[tokio::test]
async fn a_sweep_goes_on_before_what_it_could_not_announce() {
    let (s3, keys) = forgotten(25);
    let queue = Queue {
        refused: Some(keys[12].clone()),
        ..Queue::default()
    };
    let options = Options {
        since: None,
        failed: false,
        settling_time: SignedDuration::from_hours(1),
    };
    let at = written() + SignedDuration::from_hours(2);
    let mut sweep = Sweep::new(MediaStore::new(s3.client(0), buckets()), at, options);
    let queue = upload_processor::processor::UploadQueue {
        sqs: queue.client(),
        url: QUEUE.to_owned(),
    };
    sweep.announce_all(&queue, |_| {}).await.unwrap();
    assert_eq!(sweep.report().n_faults, 1);
    let dealt_with = sweep.dealt_with().map(UploadKey::original);
    assert_eq!(dealt_with.as_ref(), Some(&keys[9]));
}
