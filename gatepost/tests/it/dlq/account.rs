//! An account in MiniStack with buckets and queues, and the real processor, which receives from the main queue. The commands
//! go through a proxy that records their requests, and answers or refuses some of them.

use std::sync::{Arc, Mutex};

use aws_sdk_sqs::types::QueueAttributeName;
use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse as _, Response};
use jiff::Timestamp;
use media_contract::{UploadId, UploadKey};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use upload_processor::event::Message;
use upload_processor::{Buckets, Processor};

use super::Run;
use crate::harness::{gatepost, photo};
use crate::ministack::MiniStack;

pub(super) const OWNER: &str = "mvbss32xiycek3hlzhe6yejbn4";
/// In MiniStack `ListDeadLetterSourceQueues` does not exist: the proxy answers it.
const SOURCES: &str = "ListDeadLetterSourceQueues";

/// Buckets and queues, of which each message is tried once.
pub(super) struct Account {
    stack: MiniStack,
    http: reqwest::Client,
    pub(super) s3: aws_sdk_s3::Client,
    sqs: aws_sdk_sqs::Client,
    pub(super) main: String,
    pub(super) dead: String,
    pub(super) proxy: Proxy,
    /// The proxy's address.
    endpoint: String,
}

/// Records requests.
#[derive(Clone)]
pub(super) struct Proxy {
    target: String,
    http: reqwest::Client,
    pub(super) asked: Arc<Mutex<Vec<String>>>,
    /// The answer to [`SOURCES`].
    pub(super) sources: Arc<Mutex<Vec<String>>>,
    /// The n-th request of this name is refused with 400.
    pub(super) refused: Arc<Mutex<Option<(&'static str, usize)>>>,
}

async fn pass_on(
    State(proxy): State<Proxy>,
    method: Method,
    uri: Uri,
    mut headers: HeaderMap,
    body: Bytes,
) -> Response {
    let operation = headers.get("x-amz-target");
    let operation = operation.map(|target| target.to_str().unwrap().to_owned());
    let asked = match operation {
        Some(operation) => operation.trim_start_matches("AmazonSQS.").to_owned(),
        None => method.to_string(),
    };
    let n_asked = {
        let mut all = proxy.asked.lock().unwrap();
        all.push(asked.clone());
        all.iter().filter(|other| **other == asked).count()
    };
    let refused = *proxy.refused.lock().unwrap();
    if refused.is_some_and(|(name, n)| name == asked && n == n_asked) {
        let error = json!({"__type": "com.amazonaws.sqs#Injected", "message": "by the test"});
        return (StatusCode::BAD_REQUEST, error.to_string()).into_response();
    }
    if asked == SOURCES {
        let sources = proxy.sources.lock().unwrap().clone();
        return json!({"queueUrls": sources}).to_string().into_response();
    }
    headers.remove(header::HOST);
    let request = proxy
        .http
        .request(method, format!("{}{uri}", proxy.target))
        .headers(headers);
    let answer = request.body(body).send().await.unwrap();
    let (status, mut headers) = (answer.status(), answer.headers().clone());
    headers.remove(header::TRANSFER_ENCODING);
    let mut response = Response::new(Body::from(answer.bytes().await.unwrap()));
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    response
}

impl Account {
    /// Without the bucket of the media: every upload fails.
    pub(super) async fn start() -> Self {
        let stack = MiniStack::start_without_signatures();
        let credentials = aws_credential_types::Credentials::new("test", "test", None, None, "");
        let aws = aws_config::defaults(aws_config::BehaviorVersion::latest())
            .region(aws_config::Region::from_static("us-east-1"))
            .credentials_provider(credentials)
            .endpoint_url(&stack.endpoint)
            .load()
            .await;
        let s3 = aws_sdk_s3::config::Builder::from(&aws)
            .force_path_style(true)
            .build();
        let (s3, sqs) = (
            aws_sdk_s3::Client::from_conf(s3),
            aws_sdk_sqs::Client::new(&aws),
        );
        s3.create_bucket()
            .bucket("gatepost-uploads")
            .send()
            .await
            .unwrap();
        let dead = make_queue(&sqs, "dead", &[]).await;
        let arn = attribute(&sqs, &dead, QueueAttributeName::QueueArn).await;
        let policy = json!({"deadLetterTargetArn": arn, "maxReceiveCount": 1}).to_string();
        let policy = [
            (QueueAttributeName::RedrivePolicy, policy),
            (QueueAttributeName::VisibilityTimeout, "0".to_owned()),
        ];
        let main = make_queue(&sqs, "main", &policy).await;
        let http = reqwest::Client::new();
        let proxy = Proxy {
            target: stack.endpoint.clone(),
            http: http.clone(),
            asked: Arc::default(),
            sources: Arc::new(Mutex::new(vec![main.clone()])),
            refused: Arc::default(),
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let router = Router::new().fallback(pass_on).with_state(proxy.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self {
            stack,
            http,
            s3,
            sqs,
            main,
            dead,
            proxy,
            endpoint,
        }
    }

    /// An upload that has just arrived.
    pub(super) async fn upload(&self, random: u8) -> UploadKey {
        let upload = UploadKey {
            owner: OWNER.to_owned(),
            id: UploadId::new(Timestamp::now(), [random; 10]),
        };
        let put = self.s3.put_object().bucket("gatepost-uploads");
        let put = put.key(upload.original()).content_type("image/jpeg");
        put.body(photo(320, 240).into()).send().await.unwrap();
        upload
    }

    pub(super) async fn send(&self, queue: &str, body: &str) -> String {
        let request = self.sqs.send_message().queue_url(queue).message_body(body);
        request.send().await.unwrap().message_id.unwrap()
    }

    /// Does the work of Lambda: hands each message of the main queue to the processor, and deletes it on success.
    pub(super) async fn work(&self) -> Vec<bool> {
        let request = self.sqs.receive_message().queue_url(&self.main);
        let received = request
            .max_number_of_messages(10)
            .message_system_attribute_names(aws_sdk_sqs::types::MessageSystemAttributeName::All)
            .visibility_timeout(30)
            .send()
            .await
            .unwrap();
        let processor = Processor::new(
            self.s3.clone(),
            Buckets {
                uploads: "gatepost-uploads".to_owned(),
                media: "gatepost-media".to_owned(),
            },
            serde_json::from_value(json!({
                "types": ["image/jpeg"], "max_bytes": 1_000_000, "max_pixels": 1_000_000,
                "widths": [160], "formats": ["webp"], "quality": 80,
            }))
            .unwrap(),
            Timestamp::now,
        );
        let mut succeeded = Vec::new();
        for message in received.messages.unwrap_or_default() {
            let count = &message.attributes.as_ref().unwrap()
                [&aws_sdk_sqs::types::MessageSystemAttributeName::ApproximateReceiveCount];
            assert_eq!(count, "1");
            let handle = message.receipt_handle.unwrap();
            let report = processor
                .process_batch(vec![Message {
                    id: message.message_id.unwrap(),
                    body: message.body.unwrap(),
                    receive_count: 1,
                    receipt_handle: None,
                }])
                .await;
            let is_done = report.messages[0].1.is_ok();
            if is_done {
                let delete = self.sqs.delete_message().queue_url(&self.main);
                delete.receipt_handle(handle).send().await.unwrap();
            } else {
                let change = self.sqs.change_message_visibility().queue_url(&self.main);
                let change = change.receipt_handle(handle).visibility_timeout(0);
                change.send().await.unwrap();
            }
            succeeded.push(is_done);
        }
        // MiniStack moves messages to the dead letters only on a receive.
        let again = self.sqs.receive_message().queue_url(&self.main);
        assert!(again.send().await.unwrap().messages.is_none());
        succeeded
    }

    /// The numbers of messages of a queue that can be received, and that are hidden.
    pub(super) async fn counts(&self, queue: &str) -> (usize, usize) {
        let visible = QueueAttributeName::ApproximateNumberOfMessages;
        let hidden = QueueAttributeName::ApproximateNumberOfMessagesNotVisible;
        (
            attribute(&self.sqs, queue, visible).await.parse().unwrap(),
            attribute(&self.sqs, queue, hidden).await.parse().unwrap(),
        )
    }

    pub(super) async fn manifest(&self, upload: &UploadKey) -> Option<Value> {
        let address = format!(
            "{}/gatepost-media/{}",
            self.stack.endpoint,
            upload.manifest_key()
        );
        let answer = self.http.get(address).send().await.unwrap();
        if !answer.status().is_success() {
            return None;
        }
        Some(answer.json().await.unwrap())
    }

    pub(super) fn command(&self, queue: &str, arguments: &[&str]) -> std::process::Command {
        let mut command = gatepost();
        command
            .arg("dlq")
            .args(arguments)
            .args(["--queue-url", queue, "--endpoint-url", &self.endpoint])
            .current_dir(env!("CARGO_TARGET_TMPDIR"))
            .envs([
                ("AWS_ACCESS_KEY_ID", "test"),
                ("AWS_SECRET_ACCESS_KEY", "test"),
                ("AWS_REGION", "us-east-1"),
                ("GATEPOST_UPLOAD_BUCKET", "gatepost-uploads"),
                ("GATEPOST_MEDIA_BUCKET", "gatepost-media"),
            ]);
        command
    }

    /// Runs the command, and answers with what it asked as well.
    pub(super) async fn dlq(&self, arguments: &[&str]) -> (Run, Vec<String>) {
        self.dlq_of(&self.dead, arguments).await
    }

    /// The same of another queue than that of the dead letters.
    pub(super) async fn dlq_of(&self, queue: &str, arguments: &[&str]) -> (Run, Vec<String>) {
        self.proxy.asked.lock().unwrap().clear();
        let mut command = self.command(queue, arguments);
        let output = tokio::task::spawn_blocking(move || command.output().unwrap());
        let run = Run::new(&output.await.unwrap());
        let mut asked = self.proxy.asked.lock().unwrap().clone();
        asked.sort();
        asked.dedup();
        (run, asked)
    }
}

async fn make_queue(
    sqs: &aws_sdk_sqs::Client,
    name: &str,
    attributes: &[(QueueAttributeName, String)],
) -> String {
    let mut request = sqs.create_queue().queue_name(name);
    for (name, value) in attributes {
        request = request.attributes(name.clone(), value);
    }
    request.send().await.unwrap().queue_url.unwrap()
}

async fn attribute(sqs: &aws_sdk_sqs::Client, queue: &str, name: QueueAttributeName) -> String {
    let request = sqs.get_queue_attributes().queue_url(queue);
    let answer = request.attribute_names(name.clone()).send().await.unwrap();
    answer.attributes.unwrap()[&name].clone()
}
