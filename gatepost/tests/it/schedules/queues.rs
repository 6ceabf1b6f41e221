//! The processor's requests to its queues: against the scripted S3 and a queue that records requests.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_sdk_sqs::config::{BehaviorVersion, Credentials, HttpClient, Region, RuntimeComponents};
use aws_smithy_runtime_api::client::http::{
    HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::http::StatusCode;
use aws_smithy_types::body::SdkBody;
use jiff::SignedDuration;
use lambda_runtime::{Context, LambdaEvent};
use serde_json::{Value, json};
use upload_processor::event::Message;
use upload_processor::retry::{MAX_RECEIVES, retry_delay};
use upload_processor::{Cause, Outcome};

use super::scripted_s3::ScriptedS3;
use super::{PICTURES, buckets, message, now, processor, upload};

pub(super) const QUEUE: &str = "http://queues/uploads";

/// A queue that only records requests: the operation, and its input.
#[derive(Clone, Debug, Default)]
pub(super) struct Queue {
    pub(super) asked: Arc<Mutex<Vec<(String, Value)>>>,
    /// Of a batch, messages with this text are refused.
    pub(super) refused: Option<String>,
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
    pub(super) fn batches(&self) -> Vec<Vec<String>> {
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
pub(super) fn key_in(entry: &Value) -> String {
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
async fn a_final_failure_is_reported_every_time() {
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
