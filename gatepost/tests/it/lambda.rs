//! The packaged processor as one process: it asks for work before it does anything else, and does not leak memory from one
//! photo to the next. The test serves the Runtime API and S3 on loopback.
//!
//! `GATEPOST_PHOTO=FILE` replaces the generated photos, and `GATEPOST_PHOTOS=N` sets their number.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Path as UrlPath, Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use jiff::Timestamp;
use media_contract::UploadId;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::{Mutex as AsyncMutex, mpsc};

use crate::deployed;
use crate::harness::{PATIENCE, photo};

const OWNER: &str = "k5xk5xk5xk5xk5xk5xk5xk5xk4";
const N_PHOTOS: usize = 100;
/// After these photos the allocator, the connections and the threads are warm.
const N_WARM_UP: usize = 20;
/// The growth allowed after the warm-up: 25 kB a photo. A process without leaks was measured to grow by up to 850 kB.
const MAX_GROWTH_KB: u64 = 2048;
const N_STARTS: usize = 11;

/// An S3 that returns the same upload for every key, and stores every write.
#[derive(Default)]
struct Store {
    upload: Mutex<Bytes>,
    written: Mutex<HashMap<String, Bytes>>,
    n_reads: AtomicUsize,
}

/// The Runtime API, which a function asks for work and sends its results to.
struct RuntimeApi {
    events: AsyncMutex<mpsc::Receiver<Value>>,
    polls: mpsc::Sender<Instant>,
    answers: mpsc::Sender<Value>,
}

struct Lambda {
    child: Child,
    started: Instant,
    log: PathBuf,
    events: mpsc::Sender<Value>,
    polls: mpsc::Receiver<Instant>,
    answers: mpsc::Receiver<Value>,
}

#[tokio::test(flavor = "multi_thread")]
async fn the_processor_asks_for_work_first_and_keeps_no_memory_of_a_hundred_photos() {
    let dist = tempfile::tempdir().unwrap();
    deployed::package(dist.path());
    let task = dist.path().join("task");
    let unpacked = Command::new("python3")
        .args(["-m", "zipfile", "-e"])
        .arg(dist.path().join("upload-processor.zip"))
        .arg(&task)
        .status()
        .unwrap();
    assert!(unpacked.success());
    // Python forgets the mode.
    let bootstrap = task.join("bootstrap");
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(&bootstrap, mode).unwrap();
    let store = Arc::new(Store::default());
    let s3 = serve(s3(store.clone())).await;

    let mut starts = Vec::new();
    for _ in 0..N_STARTS {
        let mut lambda = Lambda::start(&task, &s3).await;
        starts.push(lambda.first_poll().await);
    }
    starts.sort();
    // The duration depends on the machine; it is printed for docs/images.md.
    println!(
        "spawn to first poll: {:?}, median of {N_STARTS}",
        starts[N_STARTS / 2]
    );
    assert_eq!(store.n_reads.load(Ordering::SeqCst), 0);

    let given = std::env::var_os("GATEPOST_PHOTO").map(|file| std::fs::read(file).unwrap());
    let large = given.clone().unwrap_or_else(|| photo(4032, 3024));
    let usual = given.unwrap_or_else(|| photo(1200, 900));
    let mut lambda = Lambda::start(&task, &s3).await;
    lambda.first_poll().await;
    let idle = lambda.memory("VmRSS");

    *store.upload.lock().unwrap() = large.into();
    lambda.process(&store, 0).await;
    let large = lambda.memory("VmHWM");
    *store.upload.lock().unwrap() = usual.into();
    let n_photos = std::env::var("GATEPOST_PHOTOS").map_or(N_PHOTOS, |n| n.parse().unwrap());
    let mut sizes = Vec::new();
    for n in 1..=n_photos {
        lambda.process(&store, n).await;
        if n % N_WARM_UP == 0 {
            sizes.push((lambda.memory("VmHWM"), lambda.memory("VmRSS")));
        }
    }
    println!("memory in kB: {idle} idle, {large} at the peak of 12 megapixels");
    println!("then, every {N_WARM_UP} photos, peak and present: {sizes:?}");
    assert!(large < 60_000, "{large} kB");
    // Neither the peak nor the memory between two photos grows.
    let ((early_peak, early), (last_peak, last)) = (sizes[0], sizes[sizes.len() - 1]);
    assert!(last_peak <= early_peak + MAX_GROWTH_KB, "{sizes:?}");
    assert!(last <= early + MAX_GROWTH_KB, "{sizes:?}");
}

impl Lambda {
    async fn start(task: &Path, s3: &str) -> Self {
        let (events, next_events) = mpsc::channel(1);
        let (polls_sender, polls) = mpsc::channel(16);
        let (answers_sender, answers) = mpsc::channel(16);
        let api = serve(runtime_api(RuntimeApi {
            events: AsyncMutex::new(next_events),
            polls: polls_sender,
            answers: answers_sender,
        }))
        .await;
        let started = Instant::now();
        let child = Command::new(PathBuf::from(task).join("bootstrap"))
            .env_clear()
            .envs([
                ("AWS_LAMBDA_RUNTIME_API", api.trim_start_matches("http://")),
                ("AWS_LAMBDA_FUNCTION_NAME", "gatepost-upload-processor"),
                ("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST"),
                ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "512"),
                ("AWS_LAMBDA_LOG_GROUP_NAME", "log"),
                ("AWS_LAMBDA_LOG_STREAM_NAME", "log"),
                ("AWS_REGION", "us-east-1"),
                // As docs/contracts.md advises.
                ("MALLOC_MMAP_THRESHOLD_", "131072"),
                ("AWS_ACCESS_KEY_ID", "test"),
                ("AWS_SECRET_ACCESS_KEY", "test"),
                ("AWS_ENDPOINT_URL", s3),
                ("GATEPOST_UPLOAD_BUCKET", "uploads"),
                ("GATEPOST_MEDIA_BUCKET", "media"),
            ])
            .env("LAMBDA_TASK_ROOT", task)
            .stdout(File::create(task.join("log")).unwrap())
            .spawn()
            .unwrap();
        Self {
            child,
            started,
            log: task.join("log"),
            events,
            polls,
            answers,
        }
    }

    async fn first_poll(&mut self) -> Duration {
        let poll = tokio::time::timeout(PATIENCE, self.polls.recv()).await;
        poll.unwrap().unwrap() - self.started
    }

    /// Hands over the event of an upload, and waits until it is done.
    async fn process(&mut self, store: &Store, n: usize) {
        let mut random = [0; 10];
        random[2..].copy_from_slice(&n.to_be_bytes());
        let id = UploadId::new(Timestamp::now(), random).to_string();
        let key = format!("uploads/{OWNER}/{id}");
        let notification = json!({"Records": [{
            "eventVersion": "2.2", "eventSource": "aws:s3", "awsRegion": "us-east-1",
            "eventTime": "2026-11-24T12:00:00.000Z", "eventName": "ObjectCreated:Post",
            "s3": {"bucket": {"name": "uploads"}, "object": {"key": key, "size": 1, "eTag": "upload"}},
        }]});
        let event = json!({"Records": [{
            "messageId": id, "receiptHandle": id, "body": notification.to_string(),
            "attributes": {}, "messageAttributes": {}, "eventSource": "aws:sqs",
            "eventSourceARN": "arn:aws:sqs:us-east-1:000000000000:gatepost-uploads",
            "awsRegion": "us-east-1",
        }]});
        self.events.send(event).await.unwrap();
        let answer = tokio::time::timeout(PATIENCE, self.answers.recv()).await;
        let answer = answer.unwrap().unwrap();
        let log = || std::fs::read_to_string(&self.log);
        assert_eq!(answer, json!({"batchItemFailures": []}), "{:?}", log());
        let mut written = store.written.lock().unwrap();
        let manifest = &written[&format!("media/o/media/{OWNER}/{id}/manifest.json")];
        let manifest: Value = serde_json::from_slice(manifest).unwrap();
        assert_eq!(manifest["status"], "ready", "{manifest}");
        written.clear();
    }

    /// Of the process, in kB.
    fn memory(&self, which: &str) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix(which)?.strip_prefix(':'));
        let kilobytes = line.unwrap().trim().strip_suffix(" kB").unwrap();
        kilobytes.parse().unwrap()
    }
}

impl Drop for Lambda {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

async fn serve(router: Router) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await });
    format!("http://{address}")
}

fn runtime_api(api: RuntimeApi) -> Router {
    Router::new()
        .route(
            "/2018-06-01/runtime/invocation/next",
            get(async |State(api): State<Arc<RuntimeApi>>| {
                // Only the first is waited for.
                let _ = api.polls.try_send(Instant::now());
                let Some(event) = api.events.lock().await.recv().await else {
                    // The test is over.
                    return std::future::pending().await;
                };
                let deadline = std::time::SystemTime::UNIX_EPOCH
                    .elapsed()
                    .unwrap()
                    .as_millis();
                let headers = [
                    ("lambda-runtime-aws-request-id", "1".to_owned()),
                    (
                        "lambda-runtime-invoked-function-arn",
                        "arn:aws:lambda:us-east-1:000000000000:function:gatepost".to_owned(),
                    ),
                    (
                        "lambda-runtime-deadline-ms",
                        (deadline + 60_000).to_string(),
                    ),
                ];
                (headers, event.to_string())
            }),
        )
        .route(
            "/2018-06-01/runtime/invocation/{id}/{outcome}",
            post(async |State(api): State<Arc<RuntimeApi>>, body: Bytes| {
                let answer = serde_json::from_slice(&body).unwrap();
                api.answers.send(answer).await.unwrap();
                StatusCode::ACCEPTED
            }),
        )
        .with_state(Arc::new(api))
}

fn s3(store: Arc<Store>) -> Router {
    Router::new()
        .route("/{bucket}/{*key}", get(read).put(write))
        .route("/{bucket}", get(list))
        .route("/{bucket}/", get(list))
        .layer(DefaultBodyLimit::disable())
        .with_state(store)
}

async fn read(
    State(store): State<Arc<Store>>,
    UrlPath((bucket, key)): UrlPath<(String, String)>,
) -> Response {
    store.n_reads.fetch_add(1, Ordering::SeqCst);
    let etag = [("etag", "\"upload\"")];
    if bucket == "uploads" {
        return (etag, store.upload.lock().unwrap().clone()).into_response();
    }
    let written = store.written.lock().unwrap();
    if let Some(object) = written.get(&format!("{bucket}/{key}")) {
        return (etag, object.clone()).into_response();
    }
    let error = "<Error><Code>NoSuchKey</Code></Error>";
    (StatusCode::NOT_FOUND, error).into_response()
}

async fn write(
    State(store): State<Arc<Store>>,
    UrlPath((bucket, key)): UrlPath<(String, String)>,
    headers: HeaderMap,
    object: Bytes,
) -> StatusCode {
    let mut written = store.written.lock().unwrap();
    let name = format!("{bucket}/{key}");
    if headers.contains_key("if-none-match") && written.contains_key(&name) {
        return StatusCode::PRECONDITION_FAILED;
    }
    written.insert(name, object);
    StatusCode::OK
}

async fn list(
    State(store): State<Arc<Store>>,
    UrlPath(bucket): UrlPath<String>,
    Query(parameters): Query<BTreeMap<String, String>>,
) -> String {
    let begins = format!("{bucket}/{}", parameters["prefix"]);
    let written = store.written.lock().unwrap();
    let keys = written.keys().filter(|name| name.starts_with(&begins));
    let entries: Vec<_> = keys
        .map(|name| format!("<Key>{}</Key>", &name[bucket.len() + 1..]))
        .collect();
    let entries = entries.join("</Contents><Contents>");
    format!("<ListBucketResult><Contents>{entries}</Contents></ListBucketResult>")
}
