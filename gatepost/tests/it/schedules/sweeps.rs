//! Sweeps: lost uploads, interrupted deletions and unnamed renditions are found, and a sweep can be continued.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use jiff::{SignedDuration, Timestamp};
use lambda_runtime::{Context, LambdaEvent};
use media_contract::{Manifest, UploadId, UploadKey};
use media_store::MediaStore;
use serde_json::{Value, json};
use upload_processor::sweep::{Options, Sweep};

use super::scripted_s3::ScriptedS3;
use super::{buckets, upload};

use super::queues::{QUEUE, Queue};

/// When the objects of the scripted S3 are written.
pub(super) fn written() -> Timestamp {
    Timestamp::from_second(1_700_000_000).unwrap()
}

/// An upload whose form was made so long before its objects are written.
pub(super) fn made(before: SignedDuration, letter: u8) -> UploadKey {
    UploadKey {
        owner: upload().owner,
        id: UploadId::new(written() - before, [letter; 10]),
    }
}

/// A manifest with a reason.
pub(super) fn manifest(upload: &UploadKey, status: &str) -> String {
    json!({
        "version": 1, "id": upload.id, "owner": upload.owner, "status": status,
        "reason": {"code": "processing_failed", "message": ""},
        "deleted_at": "2023-11-15T00:00:00Z", "created_at": "2023-11-15T00:00:00Z",
    })
    .to_string()
}

#[tokio::test]
pub(super) async fn a_sweep_announces_what_nobody_works_on() {
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
pub(super) fn forgotten(n: u8) -> (ScriptedS3, Vec<String>) {
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
pub(super) fn sweep_until(deadline: i64, request: &Value) -> LambdaEvent<Value> {
    let mut context = Context::default();
    context.deadline = deadline.cast_unsigned();
    LambdaEvent::new(json!({"sweep": request}), context)
}

#[tokio::test]
pub(super) async fn a_sweep_announces_ten_uploads_at_a_time() {
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
pub(super) async fn a_sweep_at_its_deadline_reports_where_to_continue() {
    let (s3, keys) = forgotten(5);
    // Objects beside an upload sort after it, and are not examined twice.
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
pub(super) async fn a_sweep_removes_what_no_manifest_names() {
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
pub(super) async fn renditions_of_an_interrupted_deletion_do_not_outlive_its_tombstone() {
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
pub(super) async fn a_sweep_continues_before_its_first_failure() {
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
