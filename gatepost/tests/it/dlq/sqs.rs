//! Dead letters in SQS: MiniStack has the queues and the buckets, and the real processor takes messages off the main
//! queue. The commands come through a proxy that notes what they ask, and answers or refuses some of it.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

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

use super::{Run, event, replay};
use crate::harness::{PATIENCE, gatepost, photo};
use crate::ministack::MiniStack;

const OWNER: &str = "mvbss32xiycek3hlzhe6yejbn4";
/// In MiniStack `ListDeadLetterSourceQueues` does not exist: the proxy answers it.
const SOURCES: &str = "ListDeadLetterSourceQueues";

/// Buckets and queues, of which each message is tried once.
struct Account {
    stack: MiniStack,
    http: reqwest::Client,
    s3: aws_sdk_s3::Client,
    sqs: aws_sdk_sqs::Client,
    main: String,
    dead: String,
    proxy: Proxy,
    /// The proxy's address.
    endpoint: String,
}

/// Notes what is asked.
#[derive(Clone)]
struct Proxy {
    target: String,
    http: reqwest::Client,
    asked: Arc<Mutex<Vec<String>>>,
    /// What [`SOURCES`] is answered with.
    sources: Arc<Mutex<Vec<String>>>,
    /// The request that is noted like this is refused with 400, the n-th time.
    refused: Arc<Mutex<Option<(&'static str, usize)>>>,
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
    async fn start() -> Option<Self> {
        let stack = MiniStack::start_without_signatures()?;
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
        Some(Self {
            stack,
            http,
            s3,
            sqs,
            main,
            dead,
            proxy,
            endpoint,
        })
    }

    /// An upload that has just arrived.
    async fn upload(&self, random: u8) -> UploadKey {
        let upload = UploadKey {
            owner: OWNER.to_owned(),
            id: UploadId::new(Timestamp::now(), [random; 10]),
        };
        let put = self.s3.put_object().bucket("gatepost-uploads");
        let put = put.key(upload.original()).content_type("image/jpeg");
        put.body(photo(320, 240).into()).send().await.unwrap();
        upload
    }

    async fn send(&self, queue: &str, body: &str) -> String {
        let request = self.sqs.send_message().queue_url(queue).message_body(body);
        request.send().await.unwrap().message_id.unwrap()
    }

    /// What Lambda does: each message of the main queue to the processor, and deleted if it succeeds.
    async fn work(&self) -> Vec<bool> {
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
        // MiniStack gives up messages when somebody asks for some.
        let again = self.sqs.receive_message().queue_url(&self.main);
        assert!(again.send().await.unwrap().messages.is_none());
        succeeded
    }

    /// How many messages of a queue can be received, and how many are hidden.
    async fn counts(&self, queue: &str) -> (usize, usize) {
        let visible = QueueAttributeName::ApproximateNumberOfMessages;
        let hidden = QueueAttributeName::ApproximateNumberOfMessagesNotVisible;
        (
            attribute(&self.sqs, queue, visible).await.parse().unwrap(),
            attribute(&self.sqs, queue, hidden).await.parse().unwrap(),
        )
    }

    async fn manifest(&self, upload: &UploadKey) -> Option<Value> {
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

    fn command(&self, queue: &str, arguments: &[&str]) -> std::process::Command {
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
    async fn dlq(&self, arguments: &[&str]) -> (Run, Vec<String>) {
        self.dlq_of(&self.dead, arguments).await
    }

    /// The same of another queue than that of the dead letters.
    async fn dlq_of(&self, queue: &str, arguments: &[&str]) -> (Run, Vec<String>) {
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

/// What a look may ask.
fn assert_only_reads(asked: &[String]) {
    let reads = [
        "ChangeMessageVisibilityBatch",
        "GET",
        "GetQueueAttributes",
        "HEAD",
        "ReceiveMessage",
    ];
    let writes = asked.iter().find(|asked| !reads.contains(&asked.as_str()));
    assert_eq!(writes, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_failed_is_looked_at_mended_and_redriven() {
    let Some(account) = Account::start().await else {
        return;
    };
    let upload = account.upload(1).await;
    let body = event(&upload.original()).to_string();
    let topic = json!({"Type": "Notification", "Message": body}).to_string();
    let id = account.send(&account.main, &topic).await;
    assert_eq!(account.work().await, [false]);
    assert_eq!(account.counts(&account.dead).await, (1, 0));

    let (listed, asked) = account.dlq(&["list", "--format", "json"]).await;
    let listed = listed.well().line();
    assert_eq!(listed["message_id"], id, "{listed}");
    assert_eq!(listed["uploads"], json!([upload.original()]));
    let why = listed["why"].as_str().unwrap();
    assert!(why.contains("NoSuchBucket"), "{why}");
    assert!(listed["age_seconds"].as_u64().unwrap() < 600, "{listed}");
    assert_only_reads(&asked);
    assert_eq!(account.counts(&account.dead).await, (1, 0));

    // It is mended.
    account
        .s3
        .create_bucket()
        .bucket("gatepost-media")
        .send()
        .await
        .unwrap();
    let (replayed, asked) = account.dlq(&["replay", &id, "--format", "json"]).await;
    let outcome = &replayed.well().line()["outcome"];
    assert_eq!(outcome["status"], "ready", "{outcome}");
    assert_only_reads(&asked);
    let (shown, asked) = account.dlq(&["show", &id, "--format", "json"]).await;
    let shown = shown.well();
    let record = &shown.line()["records"][0];
    assert_eq!(record["key"], upload.original(), "{record}");
    assert_eq!(record["outcome"]["status"], "ready", "{record}");
    assert!(shown.line()["first_received_at"].is_string(), "{record}");
    assert_only_reads(&asked);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("letter.json");
    std::fs::write(&file, &shown.stdout).unwrap();
    assert_eq!(replay(&file).well().line()["kind"], "sqs");
    let (planned, asked) = account.dlq(&["redrive", "--all", "--dry-run"]).await;
    let expected = format!(
        "would move {id}  {}\n1 would be moved, 0 failed, 0 not found\n",
        upload.original()
    );
    assert_eq!(planned.well().stdout, expected);
    assert_only_reads(&asked);
    assert_eq!(account.counts(&account.dead).await, (1, 0));
    assert_eq!(account.counts(&account.main).await, (0, 0));
    assert_eq!(account.manifest(&upload).await, None);

    let (redriven, _) = account.dlq(&["redrive", &id, "nobody"]).await;
    assert_eq!(redriven.code, Some(1));
    let missing = "there is no dead letter nobody";
    assert!(redriven.stderr.contains(missing), "{}", redriven.stderr);
    let moved = format!("moved {id} to ");
    assert!(redriven.stdout.starts_with(&moved), "{}", redriven.stdout);
    assert_eq!(account.counts(&account.dead).await, (0, 0));
    // Its first receive, which `work` checks.
    assert_eq!(account.work().await, [true]);
    assert_eq!(account.manifest(&upload).await.unwrap()["status"], "ready");
    let (nothing, _) = account.dlq(&["list"]).await;
    assert_eq!(nothing.well().stdout, "there are no dead letters\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn all_are_looked_at_once_and_the_rest_is_moved_when_one_cannot_be() {
    const N_LETTERS: usize = 25;
    let Some(account) = Account::start().await else {
        return;
    };
    let mut ids = Vec::new();
    for n in 0..N_LETTERS {
        ids.push(account.send(&account.dead, &n.to_string()).await);
    }
    for n_looks in 1..=2 {
        let (listed, _) = account.dlq(&["list", "--format", "json"]).await;
        let lines = listed.well().lines();
        let mut listed: Vec<_> = lines.iter().map(|line| &line["message_id"]).collect();
        listed.sort_by_key(|id| ids.iter().position(|known| known == *id));
        assert_eq!(json!(listed), json!(ids));
        // Each look counts once.
        assert!(lines.iter().all(|line| line["receive_count"] == n_looks));
        assert_eq!(account.counts(&account.dead).await, (N_LETTERS, 0));
    }

    // The seventh cannot be sent, and the ninth is sent and cannot be deleted.
    for (operation, n, status, n_left) in [
        ("SendMessage", 7, "does not take it: ", 1),
        ("DeleteMessage", 1, "cannot be deleted here: ", 1),
    ] {
        *account.proxy.refused.lock().unwrap() = Some((operation, n));
        let (redriven, _) = account.dlq(&["redrive", "--all", "--format", "json"]).await;
        assert_eq!(redriven.code, Some(1), "{}", redriven.stdout);
        let lines = redriven.lines();
        let failed: Vec<_> = lines
            .iter()
            .filter(|line| line["status"] == "failed")
            .collect();
        assert_eq!(failed.len(), 1, "{lines:?}");
        let reason = failed[0]["reason"].as_str().unwrap();
        assert!(reason.contains(status), "{reason}");
        assert_eq!(account.counts(&account.dead).await, (n_left, 0));
    }
    // The one that could not be deleted is there twice: nothing is lost.
    assert_eq!(account.counts(&account.main).await, (N_LETTERS, 0));
    *account.proxy.refused.lock().unwrap() = None;
    account.dlq(&["redrive", "--all"]).await.0.well();
    assert_eq!(account.counts(&account.dead).await, (0, 0));
    assert_eq!(account.counts(&account.main).await, (N_LETTERS + 1, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_are_visible_again_after_an_error_and_after_ctrl_c() {
    const N_LETTERS: usize = 15;
    let Some(account) = Account::start().await else {
        return;
    };
    for n in 0..N_LETTERS {
        account.send(&account.dead, &n.to_string()).await;
    }
    *account.proxy.refused.lock().unwrap() = Some(("ReceiveMessage", 2));
    for arguments in [&["list"][..], &["show", "nobody"], &["redrive", "nobody"]] {
        let (broken_off, asked) = account.dlq(arguments).await;
        assert_eq!(broken_off.code, Some(2), "{arguments:?}");
        let said = "cannot be received: Injected: by the test";
        let stderr = broken_off.stderr;
        assert!(stderr.contains(said), "{arguments:?}: {stderr}");
        assert!(asked.contains(&"ChangeMessageVisibilityBatch".to_owned()));
        let counts = account.counts(&account.dead).await;
        assert_eq!(counts, (N_LETTERS, 0), "{arguments:?}");
    }
    *account.proxy.refused.lock().unwrap() = None;

    for arguments in [&["list"][..], &["show", "nobody"], &["redrive", "nobody"]] {
        account.proxy.asked.lock().unwrap().clear();
        let mut child = account
            .command(&account.dead, arguments)
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::null())
            .spawn()
            .unwrap();
        // The third call waits for a second, because there are no more messages.
        let started = Instant::now();
        let receives = || {
            let asked = account.proxy.asked.lock().unwrap();
            asked
                .iter()
                .filter(|name| *name == "ReceiveMessage")
                .count()
        };
        while receives() < 3 {
            assert!(started.elapsed() < PATIENCE, "{arguments:?}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        let pid = child.id().to_string();
        std::process::Command::new("kill")
            .args(["-INT", &pid])
            .status()
            .unwrap();
        let ended = tokio::task::spawn_blocking(move || child.wait().unwrap());
        assert_eq!(ended.await.unwrap().code(), Some(130), "{arguments:?}");
        let counts = account.counts(&account.dead).await;
        assert_eq!(counts, (N_LETTERS, 0), "{arguments:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_malware_gate_and_the_manifest_are_believed() {
    let Some(account) = Account::start().await else {
        return;
    };
    let media = account.s3.create_bucket().bucket("gatepost-media");
    media.send().await.unwrap();
    let scanned = account.upload(1).await;
    let scan = json!({
        "source": "aws.guardduty", "detail-type": "GuardDuty Malware Protection Object Scan Result",
        "detail": {
            "s3ObjectDetails": {"bucketName": "gatepost-uploads", "objectKey": scanned.original()},
            "scanResultDetails": {"scanResultStatus": "NO_THREATS_FOUND"},
        },
    });
    let by_scan = account.send(&account.dead, &scan.to_string()).await;
    let body = event(&scanned.original()).to_string();
    let by_event = account.send(&account.dead, &body).await;
    for (id, arguments, is_on) in [
        // Without the tag nothing is known of it, whatever an event says.
        (&by_scan, &[][..], true),
        (&by_event, &["--malware-scan", "guardduty"], true),
        (&by_event, &[], false),
    ] {
        let arguments = [&["show", id, "--format", "json"], arguments].concat();
        let (shown, asked) = account.dlq(&arguments).await;
        let shown = shown.well().line();
        assert_eq!(shown["malware_scan"], is_on, "{shown}");
        let outcome = &shown["records"][0]["outcome"];
        let expected = if is_on { "retry" } else { "ready" };
        assert_eq!(outcome["status"], expected, "{shown}");
        assert_only_reads(&asked);
    }

    let failed = account.upload(2).await;
    let manifest = json!({
        "version": 1, "id": failed.id, "owner": OWNER, "status": "failed",
        "reason": {"code": "scan_pending", "message": "A sentence."},
        "created_at": "2026-11-27T12:00:00Z",
    });
    let put = account.s3.put_object().bucket("gatepost-media");
    let put = put.key(failed.manifest_key());
    put.body(manifest.to_string().into_bytes().into())
        .send()
        .await
        .unwrap();
    let body = event(&failed.original()).to_string();
    let id = account.send(&account.dead, &body).await;
    let (listed, _) = account.dlq(&["list", "--format", "json"]).await;
    let lines = listed.well().lines();
    let line = lines.iter().find(|line| line["message_id"] == id).unwrap();
    assert_eq!(line["status"], "failed");
    assert_eq!(line["why"], "failed: A sentence. (scan_pending)");
}

#[tokio::test(flavor = "multi_thread")]
async fn queues_that_must_not_be_looked_at_or_that_nobody_knows_are_refused() {
    let Some(account) = Account::start().await else {
        return;
    };
    account.send(&account.dead, "{}").await;
    let two = vec![account.main.clone(), format!("{}-2", account.main)];
    for (sources, arguments, said) in [
        (
            vec![],
            vec!["--all"],
            "name the one that the messages go to with --main-queue-url",
        ),
        (
            vec![],
            vec!["--all", "--main-queue-url", &account.dead],
            "--main-queue-url names the dead-letter queue itself",
        ),
        (
            two.clone(),
            vec!["--all"],
            "name one with --main-queue-url: ",
        ),
    ] {
        *account.proxy.sources.lock().unwrap() = sources;
        let arguments = [vec!["redrive"], arguments].concat();
        let (refused, _) = account.dlq(&arguments).await;
        assert_ne!(refused.code, Some(0), "{arguments:?}");
        let told = format!("{}{}", refused.stdout, refused.stderr);
        assert!(told.contains(said), "{arguments:?}: {told}");
        assert_eq!(account.counts(&account.dead).await, (1, 0), "{arguments:?}");
    }
    let named = ["redrive", "--all", "--main-queue-url", &account.main];
    account.dlq(&named).await.0.well();
    assert_eq!(account.counts(&account.main).await, (1, 0));

    // The main queue counts each look as one of the few receives that a message has.
    let (refused, _) = account.dlq_of(&account.main, &["list"]).await;
    assert_eq!(refused.code, Some(2));
    let said = "has a redrive policy itself";
    assert!(refused.stderr.contains(said), "{}", refused.stderr);
    assert_eq!(account.counts(&account.main).await, (1, 0));
}
