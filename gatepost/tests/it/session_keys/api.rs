//! The API's program as Lambda runs it, with the keys of an account, and an edge that has only the store.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::hmac;
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::{get, post};
use data_encoding::BASE64URL_NOPAD;
use edge_auth::Config;
use edge_auth::config::{Algorithm, Audiences, Issuer, Session, TokenSource};
use serde_json::{Value, json};
use signing_api::{DeliveryMode, PackedSettings, UploadsThrough};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::sync::{Mutex, mpsc};

use super::account::Account;
use crate::deployed::{TEST_KEY_X, TEST_KEY_Y, token};
use crate::harness::{PATIENCE, repository};

const COOKIE: &str = "__Host-gatepost";
/// How old the API's copy of its secret may become.
const MAX_AGE: Duration = Duration::from_secs(1);

/// The running program.
pub(super) struct SigningApi {
    child: Child,
    folder: TempDir,
    events: mpsc::Sender<Value>,
    answers: mpsc::Receiver<Value>,
}

/// The Runtime API, which the program asks for work and sends its results to.
struct RuntimeApi {
    events: Mutex<mpsc::Receiver<Value>>,
    answers: mpsc::Sender<Value>,
}

impl SigningApi {
    pub(super) async fn start(account: &Account) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let settings = serde_json::to_string(&settings()).unwrap();
        std::fs::write(folder.path().join("settings.json"), settings).unwrap();
        let (events, next_events) = mpsc::channel(1);
        let (answers_sender, answers) = mpsc::channel(1);
        let runtime = runtime_api(RuntimeApi {
            events: Mutex::new(next_events),
            answers: answers_sender,
        });
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        tokio::spawn(async move { axum::serve(listener, runtime).await });
        let child = Command::new(program())
            .env_clear()
            .envs([
                ("AWS_LAMBDA_RUNTIME_API", address.as_str()),
                ("AWS_LAMBDA_FUNCTION_NAME", "gatepost-signing-api"),
                ("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST"),
                ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "256"),
                ("AWS_LAMBDA_LOG_GROUP_NAME", "log"),
                ("AWS_LAMBDA_LOG_STREAM_NAME", "log"),
                ("AWS_REGION", "us-east-1"),
                ("AWS_ACCESS_KEY_ID", "test"),
                ("AWS_SECRET_ACCESS_KEY", "test"),
                ("AWS_ENDPOINT_URL", &account.stack.endpoint),
                ("GATEPOST_UPLOAD_BUCKET", "uploads"),
                ("GATEPOST_MEDIA_BUCKET", "media"),
                ("GATEPOST_SESSION_SECRETS_ARN", &account.secret),
                ("GATEPOST_SESSION_SECRETS_MAX_AGE", "1s"),
            ])
            .env("LAMBDA_TASK_ROOT", folder.path())
            .stdout(File::create(folder.path().join("log")).unwrap())
            .spawn()
            .unwrap();
        Self {
            child,
            folder,
            events,
            answers,
        }
    }

    /// Signs alice in: the session in her cookie.
    pub(super) async fn start_session(&mut self) -> String {
        let authorization = format!("Bearer {}", token("alice"));
        let headers = json!({"x-gatepost-authorization": authorization});
        let answer = self.ask("POST", headers, &[]).await;
        assert_eq!(answer["statusCode"], 201, "{answer} {}", self.log());
        let cookie = answer["cookies"][0].as_str().unwrap();
        let cookie = cookie.strip_prefix(&format!("{COOKIE}=")).unwrap();
        cookie.split(';').next().unwrap().to_owned()
    }

    /// The status of the answer to a session's viewer who asks for it.
    pub(super) async fn show_session(&mut self, session: &str) -> u64 {
        let cookie = format!("{COOKIE}={session}");
        let answer = self.ask("GET", json!({}), &[cookie]).await;
        answer["statusCode"].as_u64().unwrap()
    }

    /// Lets the API's copy of its secret become too old.
    pub(super) async fn pass_cache_time(&self) {
        tokio::time::sleep(MAX_AGE).await;
    }

    pub(super) fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap()
    }

    /// Calls `/api/session` as a function URL does.
    async fn ask(&mut self, method: &str, mut headers: Value, cookies: &[String]) -> Value {
        headers["host"] = "gatepost.lambda-url.us-east-1.on.aws".into();
        let path = "/api/session";
        let event = json!({
            "version": "2.0", "routeKey": "$default", "rawPath": path, "rawQueryString": "",
            "headers": headers, "cookies": cookies, "isBase64Encoded": false,
            "requestContext": {
                "accountId": "anonymous", "apiId": "gatepost", "domainName": "gatepost.lambda-url.us-east-1.on.aws",
                "domainPrefix": "gatepost", "requestId": "1", "routeKey": "$default", "stage": "$default",
                "time": "28/Nov/2026:12:00:00 +0000", "timeEpoch": 1_795_867_200_000_u64,
                "http": {"method": method, "path": path, "protocol": "HTTP/1.1", "sourceIp": "192.0.2.7", "userAgent": "test"},
            },
        });
        self.events.send(event).await.unwrap();
        let answer = tokio::time::timeout(PATIENCE, self.answers.recv()).await;
        answer.unwrap_or_else(|_| panic!("{}", self.log())).unwrap()
    }
}

impl Drop for SigningApi {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What `gatepost package` writes in mode `function`: the lifetime of sessions, and none of their keys.
fn settings() -> PackedSettings {
    let jwks = json!({"keys": [{
        "kty": "EC", "crv": "P-256", "kid": "test key", "alg": "ES256",
        "x": TEST_KEY_X, "y": TEST_KEY_Y,
    }]});
    PackedSettings {
        delivery: DeliveryMode::Function,
        uploads_through: UploadsThrough::Bucket,
        edge: Config {
            issuers: vec![Issuer {
                issuer: "https://login.example.com/".to_owned(),
                audiences: Audiences::OneOf(vec!["media".to_owned()]),
                algorithms: vec![Algorithm::ES256],
                jwks: Some(jwks),
                ..Issuer::default()
            }],
            token_sources: vec![
                TokenSource::Authorization,
                TokenSource::Cookie(COOKIE.to_owned()),
            ],
            session: Some(Session {
                keys: Vec::new(),
                lifetime_seconds: 900,
            }),
            ..Config::default()
        },
        types: vec!["image/jpeg".to_owned()],
        max_bytes: 1_000_000,
        form_lifetime_seconds: 300,
        max_link_lifetime_seconds: None,
        links_shared_within_seconds: 0,
    }
}

/// The debug build of the API: the packages of `deployed` are release builds. The whole workspace with its tests is what
/// `cargo xtask test` has built already, so nothing is compiled twice with other features.
fn program() -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap();
    let built = Command::new(env!("CARGO"))
        .args(["build", "--quiet", "--locked", "--workspace", "--tests"])
        .args(["--bin", "signing-api"])
        .arg("--target-dir")
        .arg(folder)
        .current_dir(repository(""))
        .status()
        .unwrap();
    assert!(built.success());
    folder.join("debug/signing-api")
}

fn runtime_api(api: RuntimeApi) -> Router {
    let next = get(async |State(api): State<Arc<RuntimeApi>>| {
        let Some(event) = api.events.lock().await.recv().await else {
            // The test is over.
            return std::future::pending().await;
        };
        let elapsed = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap();
        let headers = [
            ("lambda-runtime-aws-request-id", "1".to_owned()),
            (
                "lambda-runtime-invoked-function-arn",
                "arn:aws:lambda:us-east-1:000000000000:function:gatepost".to_owned(),
            ),
            (
                "lambda-runtime-deadline-ms",
                (elapsed.as_millis() + 60_000).to_string(),
            ),
        ];
        (headers, event.to_string())
    });
    let answer = post(async |State(api): State<Arc<RuntimeApi>>, body: Bytes| {
        let answer = serde_json::from_slice(&body).unwrap();
        api.answers.send(answer).await.unwrap();
        StatusCode::ACCEPTED
    });
    Router::new()
        .route("/2018-06-01/runtime/invocation/next", next)
        .route("/2018-06-01/runtime/invocation/{id}/{outcome}", answer)
        .with_state(Arc::new(api))
}

/// A verifier with nothing but the store, as the function at the edge is one.
pub(super) struct Edge<'a> {
    account: &'a Account,
}

impl<'a> Edge<'a> {
    pub(super) fn new(account: &'a Account) -> Self {
        Self { account }
    }

    /// The name of the key that signed a session; `None` if the edge refuses it.
    pub(super) async fn verify(&self, session: &str) -> Option<String> {
        let (input, signature) = session.rsplit_once('.')?;
        let (header, _) = input.split_once('.')?;
        let secret = self.account.stored_at(&format!("session/{header}")).await?;
        let decode = |text: &str| BASE64URL_NOPAD.decode(text.as_bytes()).ok();
        let key = hmac::Key::new(hmac::HMAC_SHA256, &decode(&secret)?);
        hmac::verify(&key, input.as_bytes(), &decode(signature)?).ok()?;
        let header: Value = serde_json::from_slice(&decode(header)?).ok()?;
        Some(header["kid"].as_str()?.to_owned())
    }
}
