//! The emulators together, as a program uses them: an object is put with the SDK, its event goes through the queue to a
//! handler, and viewers fetch it through the distribution.

#![expect(clippy::unwrap_used, reason = "a test fails where an unwrap does")]

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use aws_credential_types::Credentials;
use aws_sdk_s3::Client;
use aws_sdk_s3::config::{BehaviorVersion, Builder, Region};
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode};
use axum::routing::post;
use local_aws::REGION;
use local_aws::cloudfront::{
    Behaviour, Decision, Distribution, Forward, Origin, Policy, ViewerRequest, error_response,
};
use local_aws::event_source::EventSource;
use local_aws::s3::{LocalS3, Notification, S3Options};
use local_aws::sqs::{Queue, QueueOptions};
use serde_json::Value;
use tokio::sync::mpsc;

/// Serves a bucket, and connects to it.
async fn start(folder: &Path, notification: Notification) -> Client {
    let credentials = Credentials::new("LOCALTEST", "secret", None, None, "test");
    let server = LocalS3::open(S3Options {
        folder: folder.join("s3"),
        buckets: vec!["photos".to_owned()],
        credentials: credentials.clone(),
        allowed_origins: Vec::new(),
        notifications: vec![notification],
    });
    let server = server.await.unwrap();
    let config = Builder::new()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new(REGION))
        .endpoint_url(server.endpoint())
        .force_path_style(true)
        .credentials_provider(credentials)
        .build();
    tokio::spawn(server.serve(std::future::pending()));
    Client::from_conf(config)
}

async fn put(s3: &Client, key: &str, content: &'static [u8]) {
    let request = s3.put_object().bucket("photos").key(key);
    request.body(content.to_vec().into()).send().await.unwrap();
}

fn silent() -> Notification {
    Notification::new("photos", "", |_| async { Ok(()) })
}

#[tokio::test]
async fn an_objects_event_reaches_the_handler_through_the_queue() {
    let folder = tempfile::tempdir().unwrap();
    let queue = Queue::open(QueueOptions {
        folder: folder.path().join("queue"),
        dead_letters: folder.path().join("dead"),
        redriven: folder.path().join("redriven"),
        max_receives: 3,
    });
    let queue = Arc::new(queue.unwrap());
    let sender = queue.clone();
    let notification = Notification::new("photos", "uploads/", move |event| {
        let sender = sender.clone();
        async move { sender.send(event.to_string()).await }
    });
    let s3 = start(folder.path(), notification).await;
    put(&s3, "other/a", b"not announced").await;
    put(&s3, "uploads/a b", b"announced").await;

    let (sender, mut handled) = mpsc::unbounded_channel();
    let source = EventSource {
        queue_name: "photos".to_owned(),
        batch_size: 10,
        max_concurrency: 1,
        retry_delay: Duration::ZERO,
    };
    let source = source.run(queue.clone(), move |event| {
        let sender = sender.clone();
        async move {
            let body: Value = serde_json::from_str(event["Records"][0]["body"].as_str().unwrap())?;
            sender.send(body)?;
            Ok(Vec::new())
        }
    });
    let source = tokio::spawn(source);
    let event = handled.recv().await.unwrap();
    let record = &event["Records"][0];
    assert_eq!(record["eventName"], "ObjectCreated:Put");
    assert_eq!(record["s3"]["object"]["key"], "uploads/a+b");
    while !queue.bodies().unwrap().is_empty() {
        tokio::task::yield_now().await;
    }
    source.abort();
    assert!(handled.try_recv().is_err());
}

/// Lets requests with the header `x-token: demo` through, and gives private objects a policy.
async fn check_token(request: ViewerRequest) -> Decision {
    if request.head.headers.get("x-token") != Some(&HeaderValue::from_static("demo")) {
        return Decision::Respond(error_response(StatusCode::FORBIDDEN, "No token."));
    }
    let mut forward = Forward::new(request.head);
    forward.policy = Some(Policy {
        min_ttl: Duration::from_mins(1),
        headers: HeaderMap::from_iter([(
            axum::http::header::VARY,
            HeaderValue::from_static("Origin"),
        )]),
        ..Policy::default()
    });
    Decision::Forward(Box::new(forward))
}

async fn fetch(distribution: &Distribution, method: Method, path: &str) -> Response<Body> {
    let request = Request::builder().method(method).uri(path);
    let request = request.header("x-token", "demo").body("hello".into());
    distribution.answer(request.unwrap()).await
}

async fn get(distribution: &Distribution, path: &str) -> (u16, String, String) {
    let response = fetch(distribution, Method::GET, path).await;
    let status = response.status().as_u16();
    let x_cache = response.headers().get("x-cache");
    let x_cache = x_cache.map_or_else(String::new, |value| value.to_str().unwrap().to_owned());
    let body = to_bytes(response.into_body(), usize::MAX).await.unwrap();
    (status, x_cache, String::from_utf8(body.to_vec()).unwrap())
}

#[tokio::test]
async fn a_distribution_decides_before_its_cache_answers() {
    let folder = tempfile::tempdir().unwrap();
    let s3 = start(folder.path(), silent()).await;
    put(&s3, "private/a", b"one").await;
    let api = Router::new().route("/api/echo", post(|body: String| async { body }));
    let distribution = Distribution::new(
        "cloudfront",
        vec![
            Behaviour::new("/api/*", Origin::service(api)),
            Behaviour::new("/private/*", Origin::bucket(s3.clone(), "photos"))
                .with_viewer_request(check_token),
        ],
    );
    let hit = |content: &str| (200, "Hit from cloudfront".to_owned(), content.to_owned());
    let miss = |content: &str| (200, "Miss from cloudfront".to_owned(), content.to_owned());
    assert_eq!(get(&distribution, "/private/a").await, miss("one"));
    put(&s3, "private/a", b"two").await;
    assert_eq!(get(&distribution, "/private/%61").await, hit("one"));
    let anonymous = Request::builder().uri("/private/a").body(Body::empty());
    let refused = distribution.answer(anonymous.unwrap()).await;
    assert_eq!(refused.status(), StatusCode::FORBIDDEN);
    distribution.invalidate("/private/*");
    assert_eq!(get(&distribution, "/private/a").await, miss("two"));

    for (method, path, status) in [
        (Method::GET, "/private/unknown", 404),
        (Method::GET, "/private/%zz", 400),
        (Method::POST, "/private/a", 405),
        (Method::GET, "/elsewhere", 404),
    ] {
        let response = fetch(&distribution, method, path).await;
        assert_eq!(response.status(), status, "{path}");
        assert_eq!(response.headers()["x-cache"], "Error from cloudfront");
        let is_forwarded = path != "/elsewhere";
        assert_eq!(response.headers().contains_key("vary"), is_forwarded);
    }
    let echoed = fetch(&distribution, Method::POST, "/api/echo").await;
    let echoed = to_bytes(echoed.into_body(), usize::MAX).await.unwrap();
    assert_eq!(echoed, "hello");
}

#[tokio::test]
async fn a_second_slash_belongs_to_the_key() {
    let folder = tempfile::tempdir().unwrap();
    let s3 = start(folder.path(), silent()).await;
    put(&s3, "a", b"one").await;
    put(&s3, "o/a", b"below").await;
    let served = |origin| Distribution::new("cloudfront", vec![Behaviour::new("*", origin)]);
    let whole = served(Origin::bucket(s3.clone(), "photos"));
    assert_eq!(get(&whole, "/a").await.2, "one");
    let below = served(Origin::bucket_below(s3, "photos", "/o"));
    assert_eq!(get(&below, "/a").await.2, "below");
    for distribution in [&whole, &below] {
        for path in ["//a", "/%2Fa", "///a"] {
            let (status, _, content) = get(distribution, path).await;
            assert_eq!(status, 404, "{path}: {content}");
        }
    }
}

/// Adds the bucket's folder and a header that only it sets, as the function of Gatepost's mode `function` does.
fn add_folder(request: ViewerRequest, key_headers: Vec<HeaderName>) -> Decision {
    let mut head = request.head;
    let key = format!("o{}", head.uri.path());
    head.headers
        .insert("x-allowed", HeaderValue::from_static("1"));
    Decision::Forward(Box::new(Forward {
        head,
        key: Some(key),
        policy: Some(Policy {
            min_ttl: Duration::from_mins(1),
            key_headers,
            ..Policy::default()
        }),
    }))
}

#[tokio::test]
async fn a_header_in_the_cache_key_keeps_what_was_allowed_from_other_behaviours() {
    let folder = tempfile::tempdir().unwrap();
    let s3 = start(folder.path(), silent()).await;
    put(&s3, "o/media/a", b"private").await;
    // Without the header in the key, a direct request is answered from the shared cache: the test can fail.
    for (key_headers, leaks) in [
        (vec![HeaderName::from_static("x-allowed")], false),
        (Vec::new(), true),
    ] {
        let gated = Behaviour::new("/media/*", Origin::bucket(s3.clone(), "photos"));
        let gated = gated.with_viewer_request(move |request| {
            let key_headers = key_headers.clone();
            async move { add_folder(request, key_headers) }
        });
        // The default behaviour has another origin, without this object.
        let page = Behaviour::new("*", Origin::bucket_below(s3.clone(), "photos", "/page"));
        let distribution = Distribution::new("cloudfront", vec![gated, page]).with_shared_cache();
        assert_eq!(
            get(&distribution, "/media/a").await.1,
            "Miss from cloudfront"
        );
        assert_eq!(
            get(&distribution, "/media/a").await.1,
            "Hit from cloudfront"
        );
        for path in ["/o/media/a", "/%6f/media/a"] {
            let direct = Request::builder().uri(path).header("x-allowed", "1");
            let direct = distribution
                .answer(direct.body(Body::empty()).unwrap())
                .await;
            assert_eq!(direct.status() == StatusCode::OK, leaks, "{path}");
        }
    }
}
