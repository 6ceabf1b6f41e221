//! Uploads through the distribution: a form that is signed for the bucket's root, posted to a path of the distribution.

use std::borrow::Cow;

use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, header};
use futures::stream;
use http_body_util::{BodyExt as _, StreamBody};
use jiff::{SignedDuration, Timestamp};
use local_aws::cloudfront::{
    Behaviour, Decision, Distribution, Forward, Origin, Policy, ViewerRequest, error_response,
};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use url_signing::{Expiry, PostPolicy, SignedForm};

use crate::storage::{Recorder, S3, credentials};
use crate::viewer::{Answer, get, request};

const URL: &str = "https://media.example.org/upload";
const SANDBOX: &str = "default-src 'none'; sandbox";

fn policy() -> Policy {
    let header = |name: HeaderName, value| (name, HeaderValue::from_static(value));
    Policy {
        headers: HeaderMap::from_iter([
            header(header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
            header(header::CONTENT_SECURITY_POLICY, SANDBOX),
        ]),
        ..Policy::default()
    }
}

/// Sends a `POST` to the bucket's root and refuses everything else.
async fn to_the_root(request: ViewerRequest) -> Decision {
    let mut head = request.head;
    if head.method != Method::POST || head.uri.query().is_some() {
        let status = axum::http::StatusCode::METHOD_NOT_ALLOWED;
        return Decision::Respond(error_response(status, "Post a form."));
    }
    head.uri = "/".parse().unwrap();
    Decision::Forward(Box::new(Forward::new(head)))
}

fn distribution(endpoint: &str) -> Distribution {
    let uploads = Origin::unsigned_bucket(endpoint, "uploads", "").unwrap();
    let upload = Behaviour::new("/upload", uploads.clone())
        .allowing_posts()
        .with_viewer_request(to_the_root)
        .with_policy(policy());
    let rest = Behaviour::new("*", uploads).with_policy(policy());
    Distribution::new("cloudfront", vec![upload, rest])
}

fn form(s3: &S3) -> SignedForm {
    let expiry = Expiry::within(SignedDuration::from_mins(5));
    PostPolicy::new(&s3.bucket("uploads"), "uploads/alice/1", 1..=1000, expiry)
        .unwrap()
        .content_type("image/jpeg")
        .unwrap()
        .sign(Timestamp::now(), &credentials())
        .unwrap()
}

fn multipart(form: &SignedForm, file: &str) -> String {
    let field = |(name, value): &(Cow<str>, String)| {
        format!("--edge\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n")
    };
    let fields: String = form.fields.iter().map(field).collect();
    fields
        + &format!(
            "--edge\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a\"\r\nContent-Type: image/jpeg\r\n\r\n{file}\r\n--edge--\r\n"
        )
}

async fn post(distribution: &Distribution, url: &str, body: String) -> Answer {
    let path = url.strip_prefix("https://media.example.org").unwrap();
    let request = Request::post(path)
        .header("host", "media.example.org")
        .header("content-type", "multipart/form-data; boundary=edge")
        .header("content-length", body.len())
        .header("cookie", "__Host-gatepost=s")
        .body(Body::from(body));
    Answer::of(distribution.answer(request.unwrap()).await).await
}

#[tokio::test]
async fn a_signed_form_arrives_in_the_bucket() {
    let folder = tempfile::tempdir().unwrap();
    let s3 = S3::start(folder.path()).await;
    let distribution = distribution(&s3.endpoint);
    for file in ["a photo", "another photo"] {
        let answer = post(&distribution, URL, multipart(&form(&s3), file)).await;
        assert_eq!(answer.status, 204, "{}", answer.text);
        assert_eq!(answer.header("x-cache"), Some("Miss from cloudfront"));
        assert!(answer.header("etag").is_some());
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
        assert_eq!(answer.header("content-security-policy"), Some(SANDBOX));
        let stored = s3.content("uploads", "uploads/alice/1").await;
        assert_eq!(stored.unwrap(), file.as_bytes());
    }
}

#[tokio::test]
async fn s3s_refusal_of_a_form_is_passed_on() {
    let folder = tempfile::tempdir().unwrap();
    let s3 = S3::start(folder.path()).await;
    let distribution = distribution(&s3.endpoint);
    let form = form(&s3);
    let is_signature = |name: &str| name.eq_ignore_ascii_case("x-amz-signature");
    let signature = form.fields.iter().find(|(name, _)| is_signature(name));
    let signature = signature.unwrap().1.clone();
    let body = multipart(&form, "a photo");
    for (body, code) in [
        (
            body.replace("uploads/alice/1", "uploads/bob/1"),
            "AccessDenied",
        ),
        (
            body.replace("a photo", &"a photo".repeat(1000)),
            "EntityTooLarge",
        ),
        (
            body.replace(&signature, &"0".repeat(64)),
            "SignatureDoesNotMatch",
        ),
        ("--edge--\r\n".to_owned(), "InvalidArgument"),
    ] {
        let answer = post(&distribution, URL, body).await;
        assert_eq!(answer.code(), code, "{}", answer.text);
        assert_eq!(answer.header("x-cache"), Some("Error from cloudfront"));
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
        assert_eq!(answer.header("content-security-policy"), Some(SANDBOX));
    }
    assert!(s3.content("uploads", "uploads/alice/1").await.is_none());
    assert!(s3.content("uploads", "uploads/bob/1").await.is_none());
}

#[tokio::test]
async fn only_a_behaviour_that_allows_posts_sends_them() {
    let folder = tempfile::tempdir().unwrap();
    let s3 = S3::start(folder.path()).await;
    let distribution = distribution(&s3.endpoint);
    let body = multipart(&form(&s3), "a photo");
    for path in ["/", "/uploads/alice/1", "/upload/"] {
        let url = format!("https://media.example.org{path}");
        let answer = post(&distribution, &url, body.clone()).await;
        assert_eq!(answer.status, 405, "{path}");
        assert_eq!(answer.header("allow"), Some("GET, HEAD"));
    }
    assert_eq!(get(&distribution, URL).await.status, 405);
    let answer = post(&distribution, &format!("{URL}?a"), body.clone()).await;
    assert_eq!(answer.status, 405);

    let s3_client = Origin::bucket(s3.client.clone(), "uploads");
    let controlled = Behaviour::new("/controlled", s3_client).allowing_posts();
    let uploads = Origin::unsigned_bucket(&s3.endpoint, "uploads", "").unwrap();
    let uploads = Behaviour::new("*", uploads).allowing_posts();
    let distribution = Distribution::new("cloudfront", vec![controlled, uploads]);
    let url = "https://media.example.org/controlled";
    let answer = post(&distribution, url, body.clone()).await;
    assert_eq!(answer.status, 405);
    assert_eq!(answer.header("allow"), Some("GET, HEAD"));
    for method in [Method::PUT, Method::DELETE, Method::PATCH, Method::OPTIONS] {
        let answer = request(&distribution, method.clone(), URL, &[]).await;
        assert_eq!(answer.status, 405, "{method}");
        assert_eq!(answer.header("allow"), Some("GET, HEAD, POST"));
    }
    // S3 takes forms at the root alone.
    assert_eq!(
        post(&distribution, URL, body).await.code(),
        "MethodNotAllowed"
    );
    assert!(s3.content("uploads", "uploads/alice/1").await.is_none());
}

#[tokio::test]
async fn of_an_uploads_headers_only_those_of_its_body_go_along() {
    let recorder = Recorder::start().await;
    let uploads = Origin::unsigned_bucket(&recorder.endpoint, "uploads", "").unwrap();
    let behaviour = Behaviour::new("*", uploads).allowing_posts();
    for (query_in_key, line) in [(false, "POST /uploads/"), (true, "POST /uploads/?a=%20")] {
        let policy = Policy {
            query_in_key,
            min_ttl: std::time::Duration::from_mins(1),
            ..Policy::default()
        };
        let distribution =
            Distribution::new("cloudfront", vec![behaviour.clone().with_policy(policy)]);
        // Nothing is cached: the second is sent as well.
        for _ in 0..2 {
            let request = Request::post("/?a=%20")
                .header("host", "media.example.org")
                .header("content-type", "multipart/form-data; boundary=edge")
                .header("content-length", "4")
                .header("cookie", "__Host-gatepost=s")
                .header("authorization", "Bearer t")
                .header("origin", "https://media.example.org")
                .header("expect", "100-continue")
                .header("x-amz-acl", "public-read")
                .body(Body::from("body"));
            let response = distribution.answer(request.unwrap()).await;
            assert_eq!(response.headers()["x-cache"], "Miss from cloudfront");
            assert_eq!(Answer::of(response).await.text, "recorded");
            let (sent, headers, body) = recorder.take_one();
            assert_eq!(sent, line);
            let host = recorder.endpoint.strip_prefix("http://").unwrap();
            assert_eq!(
                headers,
                [
                    "content-length: 4".to_owned(),
                    "content-type: multipart/form-data; boundary=edge".to_owned(),
                    format!("host: {host}"),
                ]
            );
            assert_eq!(body, b"body");
        }
    }
}

#[tokio::test]
async fn a_body_is_sent_while_it_arrives() {
    let (arrived, mut arrivals) = mpsc::unbounded_channel();
    let router = axum::Router::new().fallback(move |request: axum::extract::Request| {
        let arrived = arrived.clone();
        async move {
            let mut body = request.into_body();
            while let Some(frame) = body.frame().await {
                arrived.send(frame.unwrap().into_data().unwrap()).unwrap();
            }
            Response::new(Body::empty())
        }
    });
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await });
    let uploads = Origin::unsigned_bucket(&endpoint, "uploads", "").unwrap();
    let behaviour = Behaviour::new("*", uploads).allowing_posts();
    let distribution = Distribution::new("cloudfront", vec![behaviour]);

    // The second half exists only after the first has arrived: a body that is held back never ends.
    let (sender, receiver) = mpsc::unbounded_channel::<Bytes>();
    let halves = stream::unfold(receiver, |mut receiver| async {
        let half = receiver.recv().await?;
        let frame = http_body::Frame::data(half);
        Some((Ok::<_, std::convert::Infallible>(frame), receiver))
    });
    let request = Request::post("/").header("content-length", "8");
    let request = request.body(Body::new(StreamBody::new(halves))).unwrap();
    let answer = tokio::spawn(async move { distribution.answer(request).await.status() });
    for half in ["one-", "two."] {
        sender.send(Bytes::from(half)).unwrap();
        assert_eq!(arrivals.recv().await.unwrap(), half);
    }
    drop(sender);
    assert_eq!(answer.await.unwrap(), 200);
}
