//! Tables of whole payloads: a batch of a queue, an event by itself, or a sweep.

use serde_json::json;

use super::{encoded, put, queued, topic};
use crate::event::envelope::*;

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
