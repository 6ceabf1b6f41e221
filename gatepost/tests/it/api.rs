//! The API's answers to calls that are not right.

use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

use crate::harness::Gatepost;

#[tokio::test]
async fn every_fault_is_a_problem_with_a_stable_type() {
    let folder = tempfile::tempdir().unwrap();
    let system = Gatepost::start(folder.path());
    let alice = system.token("alice");
    let good = json!({"content_type": "image/jpeg", "size": 10});
    let post = |body: Value| {
        system
            .request(Method::POST, "/api/uploads", &alice)
            .json(&body)
    };
    let get = |path: &str| system.request(Method::GET, path, &alice);
    let anonymous = |path: &str| system.http.get(format!("{}{path}", system.url));
    let with = |name: &str, value: Value| {
        let mut body = good.clone();
        body[name] = value;
        post(body)
    };
    let cases: Vec<(&str, RequestBuilder, u16, &str)> = vec![
        ("no token", anonymous("/api/media"), 401, "unauthorized"),
        (
            "garbage",
            anonymous("/api/media").bearer_auth("garbage"),
            401,
            "unauthorized",
        ),
        (
            "half a token",
            anonymous("/api/media").bearer_auth(&alice[..alice.len() / 2]),
            401,
            "unauthorized",
        ),
        (
            "two tokens",
            get("/api/media").bearer_auth(&alice),
            401,
            "unauthorized",
        ),
        (
            "text",
            system
                .request(Method::POST, "/api/uploads", &alice)
                .body("hello"),
            415,
            "not-json",
        ),
        (
            "not JSON",
            post(good.clone()).body("{"),
            400,
            "invalid-body",
        ),
        ("a list", post(json!([])), 400, "invalid-body"),
        (
            "no size",
            post(json!({"content_type": "image/jpeg"})),
            400,
            "invalid-body",
        ),
        (
            "a negative size",
            with("size", json!(-1)),
            400,
            "invalid-body",
        ),
        ("an empty file", with("size", json!(0)), 400, "invalid-body"),
        (
            "too large",
            with("size", json!(26_214_401)),
            413,
            "too-large",
        ),
        (
            "a type that is not taken",
            with("content_type", json!("image/svg+xml")),
            415,
            "unsupported-type",
        ),
        (
            "a digest that is none",
            with("sha256", json!("abc")),
            400,
            "invalid-body",
        ),
        (
            "an upper-case digest",
            with("sha256", json!("A".repeat(64))),
            400,
            "invalid-body",
        ),
        (
            "an unknown field",
            with("key", json!("uploads/x")),
            400,
            "invalid-body",
        ),
        (
            "a very long body",
            post(good.clone()).body("x".repeat(5_000_000)),
            400,
            "invalid-body",
        ),
        (
            "a long body",
            with("filename", json!("x".repeat(20_000))),
            400,
            "invalid-body",
        ),
        (
            "another site",
            post(good.clone()).header("sec-fetch-site", "cross-site"),
            403,
            "cross-site",
        ),
        ("no upload id", get("/api/uploads/x"), 404, "no-such-upload"),
        (
            "an old upload id",
            get("/api/uploads/7zzzzzzzzzzzzzzzzzzzzzzzzz"),
            404,
            "no-such-upload",
        ),
        (
            "an id that is not UTF-8",
            get("/api/uploads/%ff"),
            404,
            "no-such-upload",
        ),
        (
            "an id of the future",
            get("/api/uploads/1q78nq9qzz0000000000000005"),
            404,
            "no-such-upload",
        ),
        (
            "a bad cursor",
            get("/api/media?cursor=%2F"),
            400,
            "invalid-parameter",
        ),
        ("no such call", get("/api/nothing"), 404, "no-such-call"),
        (
            "another method",
            system.request(Method::PUT, "/api/media", &alice),
            405,
            "wrong-method",
        ),
    ];
    for (case, request, status, problem) in cases {
        let response = request.send().await.unwrap();
        assert_eq!(response.status().as_u16(), status, "{case}");
        let headers = response.headers().clone();
        assert_eq!(
            headers["content-type"], "application/problem+json",
            "{case}"
        );
        assert_eq!(headers["cache-control"], "no-store", "{case}");
        assert!(headers.contains_key("x-request-id"), "{case}");
        assert_eq!(
            headers.contains_key("www-authenticate"),
            status == 401,
            "{case}"
        );
        let body: Value = response.json().await.unwrap();
        assert_eq!(
            body["type"],
            format!("urn:gatepost:problem:{problem}"),
            "{case}"
        );
        assert_eq!(body["status"], status, "{case}");
        assert!(body["detail"].as_str().unwrap().len() > 10, "{case}");
    }
}

#[tokio::test]
async fn an_upload_is_pending_until_there_is_a_manifest() {
    let folder = tempfile::tempdir().unwrap();
    let system = Gatepost::start(folder.path());
    let alice = system.token("alice");
    let form = system.form(&alice, "image/png", b"not sent").await;
    let answer: Value = system
        .get(&format!("/api/uploads/{}", form.id()), &alice)
        .await
        .json()
        .await
        .unwrap();
    assert_eq!(answer, json!({"id": form.id(), "status": "pending"}));
}
