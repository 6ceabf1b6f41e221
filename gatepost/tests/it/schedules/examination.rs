//! An examination of a message: it says the same as processing, and writes nothing.

use std::time::Duration;

use jiff::SignedDuration;
use media_contract::{Manifest, Reason, Status};
use upload_processor::Outcome;
use upload_processor::event::{Message, Notice, Record};
use upload_processor::retry::MAX_RECEIVES;

use super::queues::{QUEUE, Queue, with_upload};
use super::scripted_s3::ScriptedS3;
use super::{buckets, message, now, processor, upload};

/// The status of a manifest that is there before the message.
fn found_status(name: &str) -> Option<Status> {
    let (created_at, deleted_at) = (now(), now());
    let reason = || Reason {
        code: "code".to_owned(),
        message: "A sentence.".to_owned(),
    };
    match name {
        "failed" => Some(Status::Failed {
            reason: reason(),
            created_at,
        }),
        "rejected" => Some(Status::Rejected {
            reason: reason(),
            created_at,
        }),
        "deleted" => Some(Status::Deleted { deleted_at }),
        _ => None,
    }
}

fn contents(s3: &ScriptedS3) -> Vec<(String, Option<Vec<u8>>)> {
    let paths = s3.paths().into_iter();
    paths.map(|path| (path.clone(), s3.object(&path))).collect()
}

#[tokio::test]
async fn an_examination_predicts_processing_and_writes_nothing() {
    let other = message(0).body.replace("uploads/", "other/");
    let test = r#"{"Event": "s3:TestEvent"}"#;
    for (name, body, expected) in [
        ("no manifest", None, "finished"),
        ("failed", None, "finished"),
        ("rejected", None, "finished before"),
        ("deleted", None, "deleted"),
        ("out of time", None, "finished"),
        ("overwritten", Some(message(1).body), "ignored"),
        ("not an upload", Some(other), "ignored"),
        ("a test of S3's", Some(test.to_owned()), "ignored"),
        ("not understood", Some("{}".to_owned()), "fails"),
        ("broken storage", None, "fails"),
        ("weeks old", None, "fails"),
    ] {
        let s3 = with_upload();
        if let Some(status) = found_status(name) {
            let manifest = serde_json::to_vec(&Manifest::new(&upload(), status)).unwrap();
            s3.post(&format!("media/{}", upload().manifest_key()), &manifest);
        }
        s3.set_broken(name == "broken storage");
        let queue = Queue::default();
        let time = if name == "out of time" {
            Duration::ZERO
        } else {
            Duration::from_mins(1)
        };
        let late = || now() + SignedDuration::from_hours(29 * 24);
        let processor = if name == "weeks old" {
            upload_processor::Processor::new(s3.client(0), buckets(), super::settings(), late)
        } else {
            processor(&s3, 0)
        };
        let processor = processor
            .with_time_per_image(time)
            .with_max_receives(MAX_RECEIVES)
            .with_outcomes(queue.client(), QUEUE.to_owned())
            .with_queue(queue.client(), QUEUE.to_owned());
        let body = body.unwrap_or_else(|| message(0).body);
        let before = contents(&s3);
        let examined = processor.examine_message(&body).await;
        let kind = match &examined {
            Ok(outcomes) => match outcomes[0] {
                Outcome::Finished(_) => "finished",
                Outcome::AlreadyFinished(_) => "finished before",
                Outcome::Deleted(_) => "deleted",
                Outcome::Ignored(_) => "ignored",
            },
            Err(_) => "fails",
        };
        assert_eq!(kind, expected, "{name}: {examined:?}");
        if let Ok(Notice::Records(records)) = Notice::parse(&body) {
            for record in records {
                let of_record = processor.examine(record).await.map(|outcome| vec![outcome]);
                assert_eq!(of_record, examined, "{name}");
            }
        }
        assert_eq!(contents(&s3), before, "{name}");
        assert!(queue.asked().is_empty(), "{name}: {:?}", queue.asked());

        let message = Message { body, ..message(0) };
        let report = processor.process_batch(vec![message]).await;
        assert_eq!(report.messages[0].1, examined, "{name}");
    }
}

#[tokio::test]
async fn a_record_that_is_not_understood_is_not_examined() {
    let s3 = with_upload();
    let record = Record::Unreadable("its key is missing".to_owned());
    let retry = processor(&s3, 0).examine(record).await.unwrap_err();
    assert_eq!(
        retry.reason,
        "a record is not understood: its key is missing"
    );
}
