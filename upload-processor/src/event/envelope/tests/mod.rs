//! Tables of envelopes: their contents, or the reason why they cannot be opened.
//!
//! `invocations` has the tables of whole payloads, as Lambda passes them.

mod invocations;

use serde_json::json;

use super::*;
use crate::event::CreatedObject;

/// A record of S3's for a created object.
fn put(key: &str) -> Value {
    json!({
        "eventVersion": "2.6", "eventSource": "aws:s3", "eventName": "ObjectCreated:Post",
        "s3": {"bucket": {"name": "b"}, "object": {"key": key, "eTag": "e", "versionId": "v"}},
    })
}

fn created(key: &str) -> Record {
    Record::Created(CreatedObject {
        bucket: "b".to_owned(),
        key: key.to_owned(),
        version_id: Some("v".to_owned()),
        is_from_scan: false,
        is_threat: false,
        etag: Some("e".to_owned()),
    })
}

fn topic(message: &Value) -> Value {
    json!({"Type": "Notification", "Message": message.to_string()})
}

fn queued(body: &Value) -> Value {
    json!({"messageId": "1", "eventSource": "aws:sqs", "body": body.to_string()})
}

fn event(kind: &str, key: &str) -> Value {
    json!({"version": "0", "source": "aws.s3", "detail-type": kind, "detail": {
        "version": "0", "bucket": {"name": "b"}, "reason": "PostObject",
        "object": {"key": key, "size": 1, "etag": "e", "version-id": "v", "sequencer": "1"},
    }})
}

fn encoded(value: &Value) -> Value {
    Value::String(value.to_string())
}

fn assert_refused(body: &str, reason: &str) {
    let opened = open_body(body);
    let is_refused = opened
        .as_ref()
        .is_err_and(|error| error.starts_with(reason));
    assert!(is_refused, "{body}: {opened:?}");
}

#[test]
fn envelopes_are_opened() {
    let notification = json!({"Records": [put("a+b")]});
    let test = json!({"Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": "b"});
    let scan = json!({
        "version": "0", "source": "aws.guardduty", "detail-type": guardduty::SCAN_RESULT,
        "detail": {
            "schemaVersion": "1.0", "scanStatus": "COMPLETED", "resourceType": "S3_OBJECT",
            "s3ObjectDetails": {"bucketName": "b", "objectKey": "a b", "eTag": "e", "versionId": "v", "s3Throttled": false},
            "scanResultDetails": {"scanResultStatus": "NO_THREATS_FOUND", "threats": null},
        },
    });
    // FIFO topics send no signature.
    let fifo = json!({
        "Type": "Notification", "MessageId": "1", "SequenceNumber": "10000000000000003000",
        "TopicArn": "arn:aws:sns:eu-central-1:123456789012:uploads.fifo",
        "Message": notification.to_string(), "Timestamp": "2026-11-23T12:00:00.000Z",
        "UnsubscribeURL": "https://sns.eu-central-1.amazonaws.com/?Action=Unsubscribe",
    });
    let invoked_by_topic = json!({"Records": [{
        "EventSource": "aws:sns", "Sns": {"Type": "Notification", "Message": notification.to_string()},
    }]});
    let mut thrice = notification.clone();
    for _ in 0..3 {
        thrice = encoded(&thrice);
    }
    let everything = json!([queued(&encoded(&topic(&encoded(&notification))))]);
    for body in [
        notification.clone(),
        put("a+b"),
        json!([put("a+b")]),
        event("Object Created", "a b"),
        json!([event("Object Created", "a b")]),
        topic(&notification),
        fifo,
        topic(&event("Object Created", "a b")),
        queued(&notification),
        queued(&topic(&notification)),
        json!([queued(&notification)]),
        json!({"Records": [queued(&topic(&notification))]}),
        invoked_by_topic,
        encoded(&notification),
        encoded(&topic(&encoded(&notification))),
        json!([encoded(&notification)]),
        thrice,
        everything,
    ] {
        let expected = Ok(Notice::Records(vec![created("a b")]));
        assert_eq!(open_body(&body.to_string()), expected, "{body}");
        let marked = format!("\u{feff}{body}");
        assert_eq!(open_body(&marked), expected, "{marked}");
        let spaced = format!(" \n{body}\n");
        assert_eq!(open_body(&spaced), expected, "{spaced}");
    }
    let Record::Created(object) = created("a b") else {
        panic!("it is not created");
    };
    let scanned = Record::Created(CreatedObject {
        is_from_scan: true,
        ..object
    });
    assert_eq!(
        open_body(&scan.to_string()),
        Ok(Notice::Records(vec![scanned]))
    );
    let marked = Value::String(format!("\u{feff}{notification}"));
    assert_eq!(
        open_body(&marked.to_string()),
        Ok(Notice::Records(vec![created("a b")]))
    );
    for body in [
        test.clone(),
        topic(&test),
        queued(&topic(&test)),
        encoded(&test),
    ] {
        assert_eq!(open_body(&body.to_string()), Ok(Notice::Test), "{body}");
    }
}

#[test]
fn other_events_are_acknowledged() {
    let removed = json!({"eventSource": "aws:s3", "eventName": "ObjectRemoved:Delete"});
    let schedule = json!({"source": "aws.events", "detail-type": "Scheduled Event", "detail": {}});
    for (body, name) in [
        (json!({"Records": [removed]}), "aws:s3 ObjectRemoved:Delete"),
        (event("Object Deleted", "k"), "aws.s3 Object Deleted"),
        (schedule, "aws.events Scheduled Event"),
        (json!([{"Event": "s3:TestEvent"}]), "s3:TestEvent"),
    ] {
        let expected = Ok(Notice::Records(vec![Record::Other(name.to_owned())]));
        assert_eq!(open_body(&body.to_string()), expected, "{body}");
    }
}

#[test]
fn other_shapes_are_errors() {
    for (body, reason) in [
        (json!({}), "it is not a notification"),
        // The custom shape of an input transformer.
        (
            json!({"bucket": "b", "key": "k"}),
            "it is not a notification",
        ),
        (
            event("Object Created", "k")["detail"].clone(),
            "it is not a notification",
        ),
        (
            json!({"detail": event("Object Created", "k")["detail"]}),
            "it is not a notification",
        ),
        (
            json!({"detail-type": "Object Created"}),
            "it is not an event of EventBridge",
        ),
        (json!([]), "its list of records is empty"),
        (json!({"Records": []}), "its list of records is empty"),
        (
            topic(&json!({"Records": []})),
            "its list of records is empty",
        ),
        (json!({"Records": null}), "its Records are not a list"),
        (
            json!({"Records": {"0": put("k")}}),
            "its Records are not a list",
        ),
        (json!({"Event": "s3:Other"}), "it is not a notification"),
        (json!("hello"), "it is not JSON"),
        (json!(""), "it is empty"),
        (json!(7), "it is JSON, but"),
        (json!(null), "it is JSON, but"),
        (json!({"eventSource": "aws:sqs"}), "its body is missing"),
        (json!({"EventSource": "aws:sns"}), "its Sns is missing"),
        (
            json!({"EventSource": "aws:sns", "Sns": 7}),
            "its Sns member is not",
        ),
        (
            json!({"eventSource": "aws:kinesis"}),
            "its event source is \"aws:kinesis\"",
        ),
        // S3-compatible stores have their own sources, and their other differences are unknown.
        (
            json!({"eventSource": "minio:s3", "s3": put("k")["s3"]}),
            "its event source is \"minio:s3\"",
        ),
        (json!({"sweep": {}}), "a sweep is the whole payload"),
        (topic(&json!({"sweep": {}})), "a sweep is the whole payload"),
    ] {
        assert_refused(&body.to_string(), reason);
    }
    for (body, reason) in [
        ("", "it is empty"),
        ("\u{feff}", "it is empty"),
        (" ", "it is empty"),
        ("hello", "it is not JSON"),
        ("{", "it is not JSON"),
        ("{} {}", "it is not JSON"),
    ] {
        assert_refused(body, reason);
    }
}

#[test]
fn topics_send_one_notification() {
    let notification = json!({"Records": [put("k")]});
    for (body, reason) in [
        (
            json!({"Type": "Notification", "Message": "hello"}),
            "it is not JSON",
        ),
        (
            json!({"Type": "Notification", "TopicArn": "t"}),
            "its Message is missing",
        ),
        (
            json!({"Type": "SubscriptionConfirmation", "Message": "You have chosen to subscribe"}),
            "it is an SNS message of type \"SubscriptionConfirmation\"",
        ),
        (
            json!({"Type": "UnsubscribeConfirmation", "TopicArn": "t"}),
            "it is an SNS message of type \"UnsubscribeConfirmation\"",
        ),
        (topic(&topic(&notification)), NESTED_TOPIC),
        (topic(&queued(&topic(&notification))), NESTED_TOPIC),
    ] {
        assert_refused(&body.to_string(), reason);
    }
}

#[test]
fn nesting_is_bounded() {
    let mut deep = put("k");
    for _ in 1..MAX_DEPTH {
        deep = json!([deep]);
    }
    let created = Ok(Notice::Records(vec![created("k")]));
    assert_eq!(open_body(&deep.to_string()), created);
    deep = json!([deep]);
    let unreadable = Record::Unreadable(format!("it is nested more than {MAX_DEPTH} deep"));
    assert_eq!(
        open_body(&deep.to_string()),
        Ok(Notice::Records(vec![unreadable]))
    );
}

#[test]
fn an_unreadable_record_fails_alone() {
    let body = json!({"Records": [
        {},
        put("a"),
        "hello",
        {"eventSource": "aws:s3", "eventName": "ObjectCreated:Put", "s3": {}},
        {"eventSource": "aws:sqs", "body": "hello"},
        [],
        {"source": "aws.s3", "detail-type": "Object Created", "detail": {"bucket": 7}},
        {"source": "aws.guardduty", "detail-type": guardduty::SCAN_RESULT, "detail": null},
        null,
        put("%"),
        put("b"),
    ]});
    let Ok(Notice::Records(records)) = open_body(&body.to_string()) else {
        panic!("{body}");
    };
    assert_eq!(records.len(), 11);
    for (n, record) in records.iter().enumerate() {
        match n {
            1 => assert_eq!(record, &created("a")),
            10 => assert_eq!(record, &created("b")),
            _ => assert!(matches!(record, Record::Unreadable(_)), "{n}: {record:?}"),
        }
    }
}

#[test]
fn reasons_quote_only_the_beginning() {
    let long = "ü".repeat(10_000);
    for body in [
        json!({"eventSource": long}),
        json!({"Type": long, "Message": ""}),
        json!({"source": "aws.s3", "detail-type": "Object Created", "detail": long}),
        json!([{"eventSource": "aws:s3", "eventName": "ObjectCreated:Put", "s3": long}]),
    ] {
        let reason = match open_body(&body.to_string()) {
            Err(reason) => reason,
            Ok(Notice::Records(records)) => match &records[..] {
                [Record::Unreadable(reason)] => reason.clone(),
                records => panic!("{records:?}"),
            },
            Ok(notice) => panic!("{notice:?}"),
        };
        assert_eq!(reason.chars().count(), MAX_REASON + 1, "{reason}");
    }
}
