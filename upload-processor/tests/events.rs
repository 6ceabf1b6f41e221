//! The handler's answers to events: messages that are not understood fail, and every record is processed.
//!
//! The S3 of these tests knows two uploads by their ids: one fails on every request, the other does not exist.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use aws_sdk_s3::config::retry::RetryConfig;
use aws_sdk_s3::config::{BehaviorVersion, Credentials, Region};
use jiff::SignedDuration;
use lambda_runtime::{Context, LambdaEvent};
use media_contract::UploadId;
use serde_json::{Value, json};
use test_support::SeededRng;
use thumbnailer::settings::Settings;
use upload_processor::event::{Invocation, Notice, Record};
use upload_processor::{Buckets, Processor};

const OWNER: &str = "mvbss32xiycek3hlzhe6yejbn4";
const FAILING: &str = "7ybqtx5rqd7pcfe8gn11wj6j98";
const MISSING: &str = "7ybqtx5rqd7pcfe8gn11wj6j99";

/// A processor, and the first lines of its requests to S3.
struct Scene {
    processor: Processor,
    requests: Arc<Mutex<Vec<String>>>,
}

impl Scene {
    fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let requests = Arc::<Mutex<Vec<String>>>::default();
        let seen = requests.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                // A client that disconnects is ignored.
                let _ = answer(stream.unwrap(), &seen);
            }
        });
        let s3 = aws_sdk_s3::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new("eu-central-1"))
            .credentials_provider(Credentials::new("test", "test", None, None, "test"))
            .endpoint_url(endpoint)
            .force_path_style(true)
            .retry_config(RetryConfig::disabled())
            .build();
        let buckets = Buckets {
            uploads: "uploads".to_owned(),
            media: "media".to_owned(),
        };
        let processor = Processor::new(
            aws_sdk_s3::Client::from_conf(s3),
            buckets,
            Settings::default(),
            // One minute after the form of the upload was made.
            || {
                let id = UploadId::parse(MISSING).unwrap();
                id.made_at() + SignedDuration::from_mins(1)
            },
        );
        Self {
            processor,
            requests,
        }
    }

    async fn handle(&self, payload: Value) -> Result<Value, String> {
        let event = LambdaEvent::new(payload, Context::default());
        let answer = self.processor.handle(event).await;
        answer.map_err(|error| error.to_string())
    }

    fn has_asked_for(&self, id: &str) -> bool {
        let requests = self.requests.lock().unwrap();
        requests.iter().any(|request| request.contains(id))
    }
}

fn answer(mut stream: TcpStream, seen: &Mutex<Vec<String>>) -> std::io::Result<()> {
    let mut lines = BufReader::new(stream.try_clone()?).lines();
    let request = lines.next().transpose()?.unwrap_or_default();
    while lines
        .next()
        .transpose()?
        .is_some_and(|line| !line.is_empty())
    {}
    let (status, code) = if request.contains(FAILING) {
        ("500 Internal Server Error", "InternalError")
    } else {
        ("404 Not Found", "NoSuchKey")
    };
    let body = if request.starts_with("HEAD ") {
        String::new()
    } else {
        format!("<Error><Code>{code}</Code></Error>")
    };
    seen.lock().unwrap().push(request);
    write!(
        stream,
        "HTTP/1.1 {status}\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

fn created(bucket: &str, id: &str) -> Value {
    record(
        "ObjectCreated:Post",
        bucket,
        &format!("uploads/{OWNER}/{id}"),
    )
}

fn record(name: &str, bucket: &str, key: &str) -> Value {
    json!({
        "eventVersion": "2.6", "eventSource": "aws:s3", "eventName": name,
        "s3": {"bucket": {"name": bucket}, "object": {"key": key}},
    })
}

fn batch<'a>(messages: impl IntoIterator<Item = (&'a str, String)>) -> Value {
    let messages = messages
        .into_iter()
        .map(|(id, body)| json!({"messageId": id, "eventSource": "aws:sqs", "body": body}));
    json!({"Records": messages.collect::<Vec<_>>()})
}

/// An event of `EventBridge`.
fn event(source: &str, kind: &str, detail: &Value) -> String {
    json!({"source": source, "detail-type": kind, "detail": detail}).to_string()
}

/// Messages that name an upload in a form that is not understood: acknowledging them would lose it.
fn hidden_uploads() -> Vec<(&'static str, String)> {
    let upload = format!("uploads/{OWNER}/{MISSING}");
    let of_uploads = json!({"Records": [created("uploads", MISSING)]});
    vec![
        (
            "an upload in another bucket",
            created("elsewhere", MISSING).to_string(),
        ),
        (
            "a key that is encoded twice",
            record(
                "ObjectCreated:Put",
                "uploads",
                &upload.replace('/', "%252F"),
            )
            .to_string(),
        ),
        (
            "an event name in lower case",
            record("objectcreated:post", "uploads", &upload).to_string(),
        ),
        ("a record that says it is a test", {
            let mut record = record("objectcreated:post", "uploads", &upload);
            record["Event"] = json!("s3:TestEvent");
            record.to_string()
        }),
        (
            "records in an event",
            event("app.example", "Upload", &of_uploads),
        ),
        (
            "a text with records in an event",
            event(
                "app.example",
                "Upload",
                &json!({"body": of_uploads.to_string()}),
            ),
        ),
        (
            "a kind in lower case",
            event(
                "aws.s3",
                "object created",
                &json!({"object": {"key": upload}}),
            ),
        ),
        (
            "CloudTrail",
            event(
                "aws.s3",
                "AWS API Call via CloudTrail",
                &json!({"eventName": "PutObject", "requestParameters": {"bucketName": "uploads", "key": upload}}),
            ),
        ),
        ("an event with records", {
            let mut event = of_uploads.clone();
            event["source"] = json!("aws.s3");
            event["detail-type"] = json!("Object Deleted");
            event["detail"] = json!({});
            event.to_string()
        }),
    ]
}

#[tokio::test]
async fn messages_that_are_not_understood_fail_alone() {
    let scene = Scene::new();
    let other = record("ObjectCreated:Put", "elsewhere", "media/k");
    let elsewhere = json!({"Records": [other]});
    let upload = format!("uploads/{OWNER}/{MISSING}");
    let removed =
        json!({"Records": [{"eventSource": "aws:s3", "eventName": "ObjectRemoved:Delete"}]});
    let schedule = json!({"source": "aws.events", "detail-type": "Scheduled Event", "detail": {}});
    let unreadable_detail =
        json!({"source": "aws.s3", "detail-type": "Object Created", "detail": {}});
    let understood = [
        ("test event", json!({"Event": "s3:TestEvent"}).to_string()),
        ("another bucket", elsewhere.to_string()),
        ("another event", removed.to_string()),
        ("schedule", schedule.to_string()),
        ("doubly encoded", json!(elsewhere.to_string()).to_string()),
        ("byte order mark", format!("\u{feff}{elsewhere}")),
        ("list", json!([other]).to_string()),
        (
            "an upload was removed",
            record("ObjectRemoved:Delete", "uploads", &upload).to_string(),
        ),
        (
            "an upload was tagged",
            event(
                "aws.s3",
                "Object Tags Added",
                &json!({"bucket": {"name": "uploads"}, "object": {"key": upload}}),
            ),
        ),
    ];
    let mut not_understood = vec![
        (
            "input transformer",
            json!({"bucket": "uploads", "key": "k"}).to_string(),
        ),
        ("text", "hello".to_owned()),
        ("no text", String::new()),
        ("no records", json!({"Records": []}).to_string()),
        ("unreadable record", json!({"Records": [{}]}).to_string()),
        ("unreadable detail", unreadable_detail.to_string()),
        (
            "subscription",
            json!({"Type": "SubscriptionConfirmation", "Message": "m"}).to_string(),
        ),
        ("sweep", json!({"sweep": {}}).to_string()),
    ];
    not_understood.extend(hidden_uploads());
    let failures: Vec<_> = not_understood
        .iter()
        .map(|(id, _)| json!({"itemIdentifier": id}))
        .collect();
    let messages = understood.iter().chain(&not_understood).cloned();
    let answer = scene.handle(batch(messages)).await;
    assert_eq!(answer, Ok(json!({"batchItemFailures": failures})));
    // Without a queue the caller gets the error.
    let in_topic =
        |body: &str| json!({"Records": [{"EventSource": "aws:sns", "Sns": {"Message": body}}]});
    for (id, body) in understood {
        let answer = scene.handle(in_topic(&body)).await;
        assert!(answer.is_ok(), "{id}: {answer:?}");
    }
    for (id, body) in not_understood {
        let answer = scene.handle(in_topic(&body)).await;
        let is_refused = answer
            .as_ref()
            .is_err_and(|reason| reason.contains("is not understood: "));
        assert!(is_refused, "{id}: {answer:?}");
    }
}

#[tokio::test]
async fn every_record_is_processed_before_its_message_fails() {
    let missing = created("uploads", MISSING);
    for bad in [
        created("uploads", FAILING),
        json!({}),
        json!("hello"),
        json!({"eventSource": "aws:s3", "eventName": "ObjectCreated:Put", "s3": {}}),
        json!({"Records": []}),
    ] {
        let records = json!({"Records": [bad, missing]});
        let in_topic =
            |body: &Value| json!({"EventSource": "aws:sns", "Sns": {"Message": body.to_string()}});
        let in_queue = batch([("1", records.to_string())]);
        let answer = Ok(json!({"batchItemFailures": [{"itemIdentifier": "1"}]}));
        for (payload, expected) in [
            (in_queue, Some(answer)),
            (records.clone(), None),
            (json!([bad, missing]), None),
            (
                json!({"Records": [in_topic(&bad), in_topic(&missing)]}),
                None,
            ),
            (json!({"Records": [in_topic(&records)]}), None),
        ] {
            let scene = Scene::new();
            let answer = scene.handle(payload.clone()).await;
            match expected {
                Some(expected) => assert_eq!(answer, expected, "{payload}"),
                None => assert!(answer.is_err(), "{payload}: {answer:?}"),
            }
            assert!(scene.has_asked_for(MISSING), "{payload}");
        }
    }
}

#[tokio::test]
async fn a_message_whose_records_all_succeed_is_done() {
    let scene = Scene::new();
    let records = json!({"Records": [created("uploads", MISSING), record("ObjectCreated:Put", "elsewhere", FAILING)]});
    let answer = scene.handle(batch([("1", records.to_string())])).await;
    assert_eq!(answer, Ok(json!({"batchItemFailures": []})));
    assert!(scene.has_asked_for(MISSING));
    assert!(!scene.has_asked_for(FAILING));
}

#[tokio::test]
async fn a_sweep_needs_a_queue() {
    let answer = Scene::new().handle(json!({"sweep": {"since": "2h"}})).await;
    let reason =
        "this function has no queue to announce uploads to: GATEPOST_UPLOAD_QUEUE_URL is not set";
    assert_eq!(answer, Err(reason.to_owned()));
}

/// Mutated events and arbitrary bytes: parsing never panics, and never yields an empty result.
#[test]
fn parsing_an_event_never_panics() {
    let seeds = seeds();
    let mut rng = SeededRng::new(0x5eed);
    let (mut n_understood, mut n_refused) = (0, 0);
    for round in 0..40_000 {
        let bytes = if round % 8 == 0 {
            (0..rng.below(200)).map(|_| rng.byte()).collect()
        } else {
            let mut bytes = seeds[rng.below(seeds.len())].clone();
            for _ in 0..=rng.below(4) {
                mutate(&mut bytes, &mut rng, &seeds);
            }
            bytes
        };
        let text = String::from_utf8_lossy(&bytes);
        if check_body(&text) {
            n_understood += 1;
        } else {
            n_refused += 1;
        }
        if let Ok(payload) = serde_json::from_str::<Value>(&text) {
            check_payload(&payload);
        }
    }
    // The mutations are neither all fatal nor all harmless.
    assert!(
        n_understood > 1000 && n_refused > 1000,
        "{n_understood} understood, {n_refused} refused"
    );
}

#[test]
fn deep_nesting_is_refused() {
    let mut encoded = "{}".to_owned();
    while encoded.len() < 200_000 {
        encoded = Value::String(encoded).to_string();
    }
    let (list, records) = ("[", r#"{"Records":["#);
    for text in [
        list.repeat(200_000),
        records.repeat(50_000),
        format!("{}7{}", list.repeat(100), "]".repeat(100)),
        format!("{}7{}", records.repeat(40), "]}".repeat(40)),
        encoded,
    ] {
        assert!(!check_body(&text));
        if let Ok(payload) = serde_json::from_str::<Value>(&text) {
            check_payload(&payload);
        }
    }
}

fn seeds() -> Vec<Vec<u8>> {
    let notification =
        json!({"Records": [created("uploads", MISSING), created("b", "a+b%2F%C3%BC")]});
    let topic =
        json!({"Type": "Notification", "TopicArn": "t", "Message": notification.to_string()});
    let message = json!({
        "eventSource": "aws:sqs", "messageId": "1", "receiptHandle": "r", "body": topic.to_string(),
        "attributes": {"ApproximateReceiveCount": "2"},
    });
    let event = json!({"source": "aws.s3", "detail-type": "Object Created", "detail": {
        "bucket": {"name": "b"}, "object": {"key": "k", "etag": "e", "version-id": "null"},
    }});
    let scan = json!({
        "source": "aws.guardduty",
        "detail-type": "GuardDuty Malware Protection Object Scan Result",
        "detail": {
            "s3ObjectDetails": {"bucketName": "b", "objectKey": "k"},
            "scanResultDetails": {"scanResultStatus": "THREATS_FOUND"},
        },
    });
    let seeds = [
        json!({"Records": [{"EventSource": "aws:sns", "Sns": topic}]}),
        json!({"Records": [message]}),
        json!([notification, message, event, scan]),
        json!(topic.to_string()),
        json!({"Service": "Amazon S3", "Event": "s3:TestEvent"}),
        json!({"sweep": {"since": "1d 2h", "failed": true}}),
        notification,
        event,
        scan,
    ];
    seeds.iter().map(|seed| seed.to_string().into()).collect()
}

fn mutate(bytes: &mut Vec<u8>, rng: &mut SeededRng, seeds: &[Vec<u8>]) {
    const TOKENS: [&str; 12] = [
        "null", "[]", "{}", "\"\"", "7", "-1e999", "\\", "\"", "\u{feff}", "\\u0000", "\\ud800",
        ",",
    ];
    let at = rng.below(bytes.len() + 1);
    let end = (at + rng.below(12)).min(bytes.len());
    match rng.below(6) {
        0 if at < bytes.len() => bytes[at] = rng.byte(),
        0 | 1 => bytes.truncate(at),
        2 => drop(bytes.drain(at..end)),
        3 => drop(bytes.splice(at..end, TOKENS[rng.below(TOKENS.len())].bytes())),
        4 => {
            let other = &seeds[rng.below(seeds.len())];
            let from = rng.below(other.len());
            bytes.splice(at..at, other[from..].iter().copied());
        }
        // A member's value becomes another event.
        _ => {
            if let Some(colon) = bytes[at..].iter().position(|byte| *byte == b':') {
                let at = at + colon + 1;
                let other = seeds[rng.below(seeds.len())].iter().copied();
                bytes.splice(at..at, other.chain(*b",\"x\":"));
            }
        }
    }
}

/// Whether any part of the body is understood.
fn check_body(body: &str) -> bool {
    let records = match Notice::parse(body) {
        Ok(Notice::Test) => return true,
        Ok(Notice::Records(records)) => records,
        Err(reason) => {
            assert!(!reason.is_empty(), "{body}");
            return false;
        }
    };
    assert!(!records.is_empty(), "{body}");
    for record in &records {
        match record {
            Record::Created(object) => {
                assert!(
                    !object.bucket.is_empty() && !object.key.is_empty(),
                    "{body}"
                );
                let version = object.version_id.as_deref();
                assert!(!matches!(version, Some("" | "null")), "{body}");
                assert_ne!(object.etag.as_deref(), Some(""), "{body}");
            }
            Record::Other(text) | Record::Unreadable(text) => assert!(!text.is_empty(), "{body}"),
        }
    }
    let is_unreadable = |record: &Record| matches!(record, Record::Unreadable(_));
    !records.iter().all(is_unreadable)
}

fn check_payload(payload: &Value) {
    match Invocation::parse(payload) {
        Ok(Invocation::Batch(messages)) => {
            assert!(!messages.is_empty(), "{payload}");
            for message in messages {
                assert!(!message.id.is_empty() && message.receive_count > 0);
                check_body(&message.body);
            }
        }
        Ok(Invocation::Direct(bodies)) => {
            assert!(!bodies.is_empty(), "{payload}");
            for body in bodies {
                check_body(&body);
            }
        }
        Ok(Invocation::Sweep(_)) => {
            let members = payload.as_object().unwrap();
            assert_eq!(members.keys().collect::<Vec<_>>(), ["sweep"]);
        }
        Err(reason) => assert!(!reason.is_empty(), "{payload}"),
    }
}
