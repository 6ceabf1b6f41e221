//! The processor's state when S3 fails, or another worker acts, between two of its steps. A proxy in front of MiniStack
//! reports each request to the test before it passes it on, and may refuse it.

use std::future::Future;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse as _, Response};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::harness::{gatepost, photo, text};
use crate::ministack::MiniStack;

const OWNER: &str = "mvbss32xiycek3hlzhe6yejbn4";
const ID: &str = "7ybqtx5rqd7pcfe8gn11wj6j99";
const UPLOAD: &str =
    "gatepost-uploads/uploads/mvbss32xiycek3hlzhe6yejbn4/7ybqtx5rqd7pcfe8gn11wj6j99";
const MEDIA: &str = "gatepost-media/o/media/mvbss32xiycek3hlzhe6yejbn4/7ybqtx5rqd7pcfe8gn11wj6j99";

/// Receives a request, such as `PUT /media/x?tagging`, and returns the status that refuses it, if any.
type Rule =
    dyn Fn(String) -> Pin<Box<dyn Future<Output = Option<StatusCode>> + Send>> + Send + Sync;

/// Buckets behind a faulty proxy.
struct Scene {
    stack: MiniStack,
    http: reqwest::Client,
}

#[derive(Clone)]
struct Proxy {
    target: String,
    http: reqwest::Client,
    rule: Arc<Rule>,
}

impl Scene {
    /// With one upload, whose form was pinned to its digest or not.
    async fn with_upload(content: &[u8], is_pinned: bool) -> Self {
        let scene = Self {
            stack: MiniStack::start_without_signatures(),
            http: reqwest::Client::new(),
        };
        scene.put("gatepost-uploads", b"").await;
        scene.put("gatepost-media", b"").await;
        let address = format!("{}/{UPLOAD}", scene.stack.endpoint);
        let mut request = scene.http.put(address).header("content-type", "image/jpeg");
        if is_pinned {
            use sha2::Digest as _;
            let digest = data_encoding::HEXLOWER.encode(&sha2::Sha256::digest(content));
            request = request.header("x-amz-meta-sha256", digest);
        }
        let answer = request.body(content.to_vec()).send().await.unwrap();
        assert!(answer.status().is_success());
        scene
    }

    async fn put(&self, path: &str, content: &[u8]) {
        let address = format!("{}/{path}", self.stack.endpoint);
        let request = self.http.put(address).body(content.to_vec());
        let answer = request.send().await.unwrap();
        assert!(answer.status().is_success(), "{path}: {answer:?}");
    }

    async fn get(&self, path: &str) -> Option<String> {
        let address = format!("{}/{path}", self.stack.endpoint);
        let answer = self.http.get(address).send().await.unwrap();
        let is_there = answer.status().is_success();
        let body = answer.bytes().await.unwrap();
        is_there.then(|| String::from_utf8_lossy(&body).into_owned())
    }

    async fn manifest(&self) -> Option<Value> {
        let text = self.get(&format!("{MEDIA}/manifest.json")).await?;
        Some(serde_json::from_str(&text).unwrap())
    }

    async fn is_tagged(&self) -> bool {
        let tags = self.get(&format!("{UPLOAD}?tagging")).await.unwrap();
        tags.contains("<Value>rejected</Value>")
    }

    /// Plays the upload's event through the processor, once; answers with its outcome.
    async fn play<F>(&self, rule: impl Fn(String) -> F + Send + Sync + 'static) -> Value
    where
        F: Future<Output = Option<StatusCode>> + Send + 'static,
    {
        let proxy = Proxy {
            target: self.stack.endpoint.clone(),
            http: self.http.clone(),
            rule: Arc::new(move |request| Box::pin(rule(request))),
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let router = Router::new().fallback(pass_on).with_state(proxy);
        let serving = tokio::spawn(async move { axum::serve(listener, router).await });
        let outcome = tokio::task::spawn_blocking(move || replay(&endpoint));
        let outcome = outcome.await.unwrap();
        serving.abort();
        outcome
    }
}

async fn pass_on(
    State(proxy): State<Proxy>,
    method: Method,
    uri: Uri,
    mut headers: HeaderMap,
    body: Bytes,
) -> Response {
    let request = format!("{method} {uri}");
    if let Some(status) = (proxy.rule)(request).await {
        let error = "<Error><Code>Injected</Code><Message>by the test</Message></Error>";
        return (status, error).into_response();
    }
    headers.remove(header::HOST);
    let address = format!("{}{uri}", proxy.target);
    let request = proxy.http.request(method, address).headers(headers);
    let answer = request.body(body).send().await.unwrap();
    let (status, mut headers) = (answer.status(), answer.headers().clone());
    headers.remove(header::TRANSFER_ENCODING);
    let mut response = Response::new(Body::from(answer.bytes().await.unwrap()));
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    response
}

fn replay(endpoint: &str) -> Value {
    let folder = tempfile::tempdir().unwrap();
    let event = json!({"Records": [{
        "eventVersion": "2.1", "eventSource": "aws:s3", "eventName": "ObjectCreated:Post",
        "s3": {
            "bucket": {"name": "gatepost-uploads"},
            "object": {"key": format!("uploads/{OWNER}/{ID}"), "size": 1},
        },
    }]});
    let file = folder.path().join("event.json");
    std::fs::write(&file, event.to_string()).unwrap();
    let output = gatepost()
        .args(["replay", "--format", "json", "--endpoint-url", endpoint])
        // Uploads that are weeks old are not published.
        .args(["--at", "2026-11-25T12:00:00Z"])
        .arg(&file)
        .current_dir(Path::new(env!("CARGO_TARGET_TMPDIR")))
        .envs([
            ("AWS_ACCESS_KEY_ID", "test"),
            ("AWS_SECRET_ACCESS_KEY", "test"),
            ("AWS_REGION", "us-east-1"),
            ("RUST_LOG", "off"),
        ])
        .output()
        .unwrap();
    let (stdout, stderr) = text(&output);
    let line: Value = serde_json::from_str(&stdout).unwrap_or_else(|_| panic!("{stderr}"));
    line["outcome"].clone()
}

async fn nothing(_: String) -> Option<StatusCode> {
    None
}

fn is_manifest(request: &str) -> bool {
    request.starts_with("PUT ") && request.contains("/manifest.json")
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs MiniStack (cargo xtask test installs it)"]
async fn nothing_is_tagged_before_its_manifest_says_so() {
    let scene = Scene::with_upload(b"Dear diary", true).await;
    let outcome =
        scene
            .play(|request| async move {
                is_manifest(&request).then_some(StatusCode::SERVICE_UNAVAILABLE)
            })
            .await;
    assert_eq!(outcome["status"], "retry", "{outcome}");
    assert!(!scene.is_tagged().await);
    // A failed tag is not lost: the next worker that finds the upload finished sets it.
    let outcome = scene
        .play(|request| async move {
            request
                .contains("?tagging")
                .then_some(StatusCode::FORBIDDEN)
        })
        .await;
    assert_eq!(outcome["reason"]["code"], "unsupported_type", "{outcome}");
    assert!(!scene.is_tagged().await);
    scene.play(nothing).await;
    assert!(scene.is_tagged().await);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs MiniStack (cargo xtask test installs it)"]
async fn a_late_rejection_tags_nothing() {
    let scene = Scene::with_upload(b"Dear diary", true).await;
    let manifest = json!({
        "version": 1, "id": ID, "owner": OWNER, "status": "ready",
        "source": {"type": "image/jpeg", "width": 1, "height": 1, "bytes": 10, "sha256": ""},
        "renditions": [], "placeholder": "", "created_at": "2026-11-25T12:00:00Z",
    });
    let (address, http) = (
        format!("{}/{MEDIA}/manifest.json", scene.stack.endpoint),
        scene.http.clone(),
    );
    let outcome = scene
        .play(move |request| {
            let put = http.put(&address).body(manifest.to_string());
            async move {
                // Another worker, which accepted the upload, is faster.
                if is_manifest(&request) {
                    put.send().await.unwrap();
                }
                None
            }
        })
        .await;
    assert_eq!(outcome["status"], "ready", "{outcome}");
    assert_eq!(scene.manifest().await.unwrap()["status"], "ready");
    assert!(!scene.is_tagged().await);
}

fn tombstone() -> String {
    json!({
        "version": 1, "id": ID, "owner": OWNER, "status": "deleted", "deleted_at": "2026-11-25T12:00:00Z",
    })
    .to_string()
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs MiniStack (cargo xtask test installs it)"]
async fn a_concurrent_deletion_is_final() {
    for (content, is_pinned) in [
        (photo(320, 240), true),
        (photo(320, 240), false),
        (b"Dear diary".to_vec(), true),
    ] {
        let scene = Scene::with_upload(&content, is_pinned).await;
        let (address, http) = (
            format!("{}/{MEDIA}/manifest.json", scene.stack.endpoint),
            scene.http.clone(),
        );
        let outcome = scene
            .play(move |request| {
                let put = http.put(&address).body(tombstone());
                async move {
                    if is_manifest(&request) {
                        put.send().await.unwrap();
                    }
                    None
                }
            })
            .await;
        let deleted = json!({"status": "deleted", "id": ID, "owner": OWNER});
        assert_eq!(outcome, deleted);
        let left = scene.get("gatepost-media?list-type=2").await.unwrap();
        assert_eq!(left.matches("<Key>").count(), 1, "{left}");
        assert_eq!(scene.manifest().await.unwrap()["status"], "deleted");
        assert_eq!(scene.get(UPLOAD).await, None);
        // A later object of the upload is removed, too.
        scene.put(UPLOAD, &content).await;
        assert_eq!(scene.play(nothing).await, deleted);
        assert_eq!(scene.get(UPLOAD).await, None);
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs MiniStack (cargo xtask test installs it)"]
async fn a_deletion_removes_every_version() {
    let scene = Scene::with_upload(&photo(320, 240), true).await;
    // The first content was written before the bucket had versions: its version is `null`.
    let versioning = "<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>";
    scene
        .put("gatepost-uploads?versioning", versioning.as_bytes())
        .await;
    scene.put(UPLOAD, b"another").await;
    scene.put(UPLOAD, b"and another").await;
    let versions = || async {
        let listed = scene.get("gatepost-uploads?versions").await.unwrap();
        listed.matches("<Version>").count()
    };
    assert_eq!(versions().await, 3);
    scene
        .put(&format!("{MEDIA}/manifest.json"), tombstone().as_bytes())
        .await;
    assert_eq!(scene.play(nothing).await["status"], "deleted");
    assert_eq!(versions().await, 0);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs MiniStack (cargo xtask test installs it)"]
async fn a_missing_bucket_is_not_a_missing_manifest() {
    let scene = Scene::with_upload(b"Dear diary", true).await;
    let outcome = scene
        .play(|request| async move {
            request
                .contains("gatepost-media")
                .then_some(StatusCode::NOT_FOUND)
        })
        .await;
    assert_eq!(outcome["status"], "retry", "{outcome}");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs MiniStack (cargo xtask test installs it)"]
async fn a_sweep_completes_a_deletion_and_leaves_what_is_being_worked_on() {
    let scene = Scene::with_upload(&photo(320, 240), true).await;
    let sweep_with = |more: &[&str]| {
        let output = gatepost()
            .args(["sweep", "--endpoint-url", &scene.stack.endpoint])
            .args(more)
            .envs([
                ("GATEPOST_UPLOAD_QUEUE_URL", "http://127.0.0.1:1/queue"),
                ("GATEPOST_UPLOAD_BUCKET", "gatepost-uploads"),
                ("GATEPOST_MEDIA_BUCKET", "gatepost-media"),
                ("AWS_ACCESS_KEY_ID", "test"),
                ("AWS_SECRET_ACCESS_KEY", "test"),
                ("AWS_REGION", "us-east-1"),
            ])
            .output()
            .unwrap();
        let (stdout, stderr) = text(&output);
        assert!(output.status.success(), "{stderr}");
        stdout
    };
    let sweep = || sweep_with(&[]);
    // It has just arrived: its message may still be in the queue.
    assert_eq!(
        sweep(),
        "1 upload: 0 announced, 0 cleaned up, 0 left to the next sweep\n"
    );
    let (_, key) = UPLOAD.split_once('/').unwrap();
    assert_eq!(
        sweep_with(&["--after", key]),
        "0 uploads: 0 announced, 0 cleaned up, 0 left to the next sweep\n"
    );
    let rendition = format!("{MEDIA}/0123456789abcdef-320.webp");
    scene.put(&rendition, b"a rendition").await;
    scene
        .put(&format!("{MEDIA}/manifest.json"), tombstone().as_bytes())
        .await;
    assert_eq!(
        sweep(),
        "1 upload: 0 announced, 1 cleaned up, 0 left to the next sweep\n"
    );
    assert_eq!(scene.get(&rendition).await, None);
    assert_eq!(scene.get(UPLOAD).await, None);
    assert_eq!(
        sweep(),
        "0 uploads: 0 announced, 0 cleaned up, 0 left to the next sweep\n"
    );
    assert_eq!(scene.manifest().await.unwrap()["status"], "deleted");
}
