//! Tables of envelopes: their contents, or the reason why they cannot be opened.

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

#[test]
fn an_invocation_is_a_batch_or_an_event_by_itself() {
    let parse = |text: &str| open_invocation(&serde_json::from_str(text).unwrap());
    let message = |id: &str, body: &str| Message {
        id: id.to_owned(),
        body: body.to_owned(),
        receive_count: 1,
        receipt_handle: None,
    };
    let messages = r#"[{"eventSource":"aws:sqs","messageId":"1","body":"x"},{"eventSource":"aws:sqs","messageId":"2"}]"#;
    let batch = Ok(Invocation::Batch(vec![message("1", "x"), message("2", "")]));
    assert_eq!(parse(&format!(r#"{{"Records":{messages}}}"#)), batch);
    // The list of a pipe.
    assert_eq!(parse(messages), batch);
    let topic = parse(
        r#"{"Records":[{"EventSource":"aws:sns","Sns":{"Message":"x"}},{"EventSource":"aws:sns","Sns":{"Message":"y"}}]}"#,
    );
    assert_eq!(
        topic,
        Ok(Invocation::Direct(vec!["x".to_owned(), "y".to_owned()]))
    );
    for text in [
        r#"{"Records":[{"eventSource":"aws:s3"}]}"#,
        r#"[{"eventSource":"aws:s3"}]"#,
        r#"{"Records":[{"EventSource":"aws:sns"}]}"#,
        r#"{"Records":[{"EventSource":"aws:sns","Sns":{"Message":"x"}},{}]}"#,
        r#"{"Records":[]}"#,
        r#"{"Records":7}"#,
        "[]",
        r#"{"detail-type":"Object Created"}"#,
        r#""{\"sweep\":{}}""#,
        "7",
    ] {
        assert_eq!(parse(text), Ok(Invocation::Direct(vec![text.to_owned()])));
    }
}

#[test]
fn a_notification_within_another_is_refused_without_a_queue_too() {
    let inner = topic(&json!({"Records": [put("k")]})).to_string();
    for message in [inner.clone(), json!(inner).to_string()] {
        let record = json!({"EventSource": "aws:sns", "Sns": {"Message": message}});
        let Ok(Invocation::Direct(bodies)) = open_invocation(&json!({"Records": [record]})) else {
            panic!("{record}");
        };
        let opened: Vec<_> = bodies.iter().map(|body| open_body(body)).collect();
        let nested = Ok(Notice::Records(vec![Record::Unreadable(
            NESTED_TOPIC.to_owned(),
        )]));
        assert!(
            opened == [Err(NESTED_TOPIC.to_owned())] || opened == [nested],
            "{opened:?}"
        );
    }
}

#[test]
fn messages_are_read_member_by_member() {
    let parse = |mut record: Value| {
        record["eventSource"] = json!("aws:sqs");
        open_invocation(&json!({"Records": [record]}))
    };
    let receipt = Some("r".to_owned());
    for (record, body, receive_count, receipt_handle) in [
        (json!({"body": "x"}), "x", 1, None),
        (
            json!({
                "receiptHandle": "r", "body": "x", "md5OfBody": "m", "awsRegion": "eu-central-1",
                "attributes": {"ApproximateReceiveCount": "3", "SentTimestamp": "1795435200000"},
                "messageAttributes": {"n": {
                    "stringValue": "x", "stringListValues": [], "binaryListValues": [], "dataType": "String",
                }},
            }),
            "x",
            3,
            receipt.clone(),
        ),
        (
            json!({"attributes": {"ApproximateReceiveCount": "many"}}),
            "",
            1,
            None,
        ),
        (
            json!({"attributes": {"ApproximateReceiveCount": "-1"}}),
            "",
            1,
            None,
        ),
        (
            json!({"attributes": {"ApproximateReceiveCount": "0"}}),
            "",
            1,
            None,
        ),
        (
            json!({"attributes": {"ApproximateReceiveCount": "99999999999"}}),
            "",
            1,
            None,
        ),
        (
            json!({"attributes": {"ApproximateReceiveCount": null}}),
            "",
            1,
            None,
        ),
        (
            json!({"attributes": {"ApproximateReceiveCount": "2", "SentTimestamp": 7}}),
            "",
            2,
            None,
        ),
        (
            json!({"attributes": null, "messageAttributes": null}),
            "",
            1,
            None,
        ),
        (
            json!({"attributes": [], "messageAttributes": 7}),
            "",
            1,
            None,
        ),
        (json!({"receiptHandle": 7, "body": null}), "", 1, None),
        (json!({"body": 7}), "", 1, None),
        (
            json!({"body": {"Records": []}}),
            r#"{"Records":[]}"#,
            1,
            None,
        ),
        (json!({"body": [1]}), "[1]", 1, None),
    ] {
        let mut record = record;
        record["messageId"] = json!("1");
        let message = Message {
            id: "1".to_owned(),
            body: body.to_owned(),
            receive_count,
            receipt_handle,
        };
        assert_eq!(
            parse(record.clone()),
            Ok(Invocation::Batch(vec![message])),
            "{record}"
        );
    }
    for record in [
        json!({"body": "x"}),
        json!({"messageId": ""}),
        json!({"messageId": 7}),
        json!({"messageId": null}),
    ] {
        assert!(parse(record.clone()).is_err(), "{record}");
    }
}

#[test]
fn a_sweep_is_the_whole_payload() {
    let sweep = json!({"sweep": {"failed": true}});
    let request = SweepRequest {
        failed: true,
        ..SweepRequest::default()
    };
    assert_eq!(open_invocation(&sweep), Ok(Invocation::Sweep(request)));
    let malformed = json!({"sweep": {"since": "soon"}});
    assert!(open_invocation(&malformed).is_err());
    let invoked_by_topic =
        json!({"Records": [{"EventSource": "aws:sns", "Sns": {"Message": sweep.to_string()}}]});
    let detail = json!({"source": "aws.s3", "detail-type": "Object Created", "detail": sweep});
    let other_detail = json!({"source": "me", "detail-type": "sweep", "detail": sweep});
    for payload in [
        json!({"Records": [queued(&sweep)]}),
        json!([queued(&sweep)]),
        json!([sweep]),
        json!({"Records": [sweep]}),
        encoded(&sweep),
        topic(&sweep),
        invoked_by_topic,
        detail,
        other_detail,
    ] {
        let bodies = match open_invocation(&payload) {
            Ok(Invocation::Batch(messages)) => {
                messages.into_iter().map(|message| message.body).collect()
            }
            Ok(Invocation::Direct(bodies)) => bodies,
            other => panic!("{payload}: {other:?}"),
        };
        for body in bodies {
            match open_body(&body) {
                Err(_) => {}
                Ok(Notice::Records(records)) => assert!(
                    matches!(&records[..], [Record::Unreadable(_) | Record::Other(_)]),
                    "{payload}: {records:?}"
                ),
                Ok(notice) => panic!("{payload}: {notice:?}"),
            }
        }
    }
}

#[test]
fn the_answer_names_failed_messages() {
    let answer = |ids: &[&str]| serde_json::to_value(batch_response(ids.iter().copied()));
    assert_eq!(answer(&[]).unwrap(), json!({"batchItemFailures": []}));
    assert_eq!(
        answer(&["1", "2"]).unwrap(),
        json!({"batchItemFailures": [{"itemIdentifier": "1"}, {"itemIdentifier": "2"}]})
    );
}
