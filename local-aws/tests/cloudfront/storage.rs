//! Servers behind a distribution: the emulated S3, and one that only notes what reaches it.

use std::path::Path;
use std::sync::{Arc, Mutex};

use aws_credential_types::Credentials as SdkCredentials;
use aws_sdk_s3::Client;
use aws_sdk_s3::config::{BehaviorVersion, Builder, Region};
use axum::Router;
use axum::body::to_bytes;
use axum::extract::Request;
use axum::http::request::Parts;
use axum::http::{HeaderName, HeaderValue, StatusCode};
use jiff::{SignedDuration, Timestamp};
use local_aws::REGION;
use local_aws::s3::{LocalS3, S3Options};
use tokio::net::TcpListener;
use url_signing::{Bucket, Credentials, PresignedGet};

const ACCESS_KEY: &str = "LOCALTEST";
const SECRET_KEY: &str = "secret";

/// The emulated S3 with the buckets `photos` and `uploads`.
pub(crate) struct S3 {
    pub(crate) endpoint: String,
    pub(crate) client: Client,
}

impl S3 {
    pub(crate) async fn start(folder: &Path) -> Self {
        let credentials = SdkCredentials::new(ACCESS_KEY, SECRET_KEY, None, None, "test");
        let server = LocalS3::open(S3Options {
            folder: folder.join("s3"),
            buckets: vec!["photos".to_owned(), "uploads".to_owned()],
            credentials: credentials.clone(),
            allowed_origins: Vec::new(),
            notifications: Vec::new(),
        });
        let server = server.await.unwrap();
        let endpoint = server.endpoint();
        let config = Builder::new()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new(REGION))
            .endpoint_url(&endpoint)
            .force_path_style(true)
            .credentials_provider(credentials)
            .build();
        tokio::spawn(server.serve(std::future::pending()));
        Self {
            endpoint,
            client: Client::from_conf(config),
        }
    }

    /// Puts a text that everybody may keep for a year.
    pub(crate) async fn put(&self, key: &str, content: &'static str) {
        let request = self.client.put_object().bucket("photos").key(key);
        let request = request
            .content_type("image/webp")
            .cache_control("public, max-age=31536000, immutable")
            .body(content.as_bytes().to_vec().into());
        request.send().await.unwrap();
    }

    pub(crate) async fn content(&self, bucket: &str, key: &str) -> Option<Vec<u8>> {
        let object = self.client.get_object().bucket(bucket).key(key);
        let object = object.send().await.ok()?;
        Some(object.body.collect().await.unwrap().to_vec())
    }

    pub(crate) fn bucket(&self, name: &str) -> Bucket {
        Bucket::at_endpoint(name, REGION, &self.endpoint).unwrap()
    }

    /// The query that lets anybody read an object of `photos`.
    pub(crate) fn signed_query(&self, key: &str, lifetime: SignedDuration) -> String {
        let get = PresignedGet::new(&self.bucket("photos"), key, lifetime).unwrap();
        let url = get.sign(Timestamp::now(), &credentials()).unwrap().url;
        url.split_once('?').unwrap().1.to_owned()
    }
}

pub(crate) fn credentials() -> Credentials {
    Credentials {
        access_key_id: ACCESS_KEY.to_owned(),
        secret_access_key: SECRET_KEY.into(),
        session_token: None,
        expires_at: None,
    }
}

/// A server that answers every request alike and keeps what it was sent.
pub(crate) struct Recorder {
    pub(crate) endpoint: String,
    requests: Arc<Mutex<Vec<Recorded>>>,
}

/// A request without its body, and the body.
type Recorded = (Parts, Vec<u8>);

impl Recorder {
    pub(crate) async fn start() -> Self {
        let requests: Arc<Mutex<Vec<_>>> = Arc::default();
        let kept = requests.clone();
        let router = Router::new().fallback(move |request: Request| {
            let kept = kept.clone();
            async move {
                let (parts, body) = request.into_parts();
                let body = to_bytes(body, usize::MAX).await.unwrap();
                kept.lock().unwrap().push((parts, body.to_vec()));
                let name = HeaderName::from_static("x-amz-request-id");
                let id = HeaderValue::from_static("recorded");
                (StatusCode::OK, [(name, id)], "recorded")
            }
        });
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { endpoint, requests }
    }

    /// The only request: its first line, the names of its headers in their order, and its body.
    pub(crate) fn take_one(&self) -> (String, Vec<String>, Vec<u8>) {
        let mut requests = self.requests.lock().unwrap();
        assert_eq!(requests.len(), 1);
        let (parts, body) = requests.pop().unwrap();
        let line = format!("{} {}", parts.method, parts.uri);
        let mut headers: Vec<_> = parts
            .headers
            .iter()
            .map(|(name, value)| format!("{name}: {}", value.to_str().unwrap()))
            .collect();
        headers.sort();
        (line, headers, body)
    }
}
