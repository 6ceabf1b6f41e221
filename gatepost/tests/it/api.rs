//! The API's answers to wrong calls, and to pages of other sites.

use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::harness::{Gatepost, photo};

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
            "not_json",
        ),
        (
            "not JSON",
            post(good.clone()).body("{"),
            400,
            "invalid_body",
        ),
        ("a list", post(json!([])), 400, "invalid_body"),
        (
            "a list of the members",
            post(json!(["image/jpeg", 10, null, null])),
            400,
            "invalid_body",
        ),
        ("null", post(Value::Null), 400, "invalid_body"),
        (
            "no size",
            post(json!({"content_type": "image/jpeg"})),
            400,
            "invalid_body",
        ),
        (
            "a negative size",
            with("size", json!(-1)),
            400,
            "invalid_body",
        ),
        ("an empty file", with("size", json!(0)), 400, "invalid_body"),
        (
            "too large",
            with("size", json!(26_214_401)),
            413,
            "too_large",
        ),
        (
            "a type that is not taken",
            with("content_type", json!("image/svg+xml")),
            415,
            "unsupported_type",
        ),
        (
            "a digest that is none",
            with("sha256", json!("abc")),
            400,
            "invalid_body",
        ),
        (
            "an upper-case digest",
            with("sha256", json!("A".repeat(64))),
            400,
            "invalid_body",
        ),
        (
            "an unknown field",
            with("key", json!("uploads/x")),
            400,
            "invalid_body",
        ),
        (
            "a very long body",
            post(good.clone()).body("x".repeat(5_000_000)),
            413,
            "body_too_large",
        ),
        (
            "a long body",
            with("filename", json!("x".repeat(20_000))),
            413,
            "body_too_large",
        ),
        (
            "another site",
            (system.http.post(format!("{}/api/uploads", system.url)))
                .header("sec-fetch-site", "cross-site")
                .json(&good),
            403,
            "cross_site",
        ),
        ("no upload id", get("/api/uploads/x"), 404, "no_such_upload"),
        (
            "an old upload id",
            get("/api/uploads/7zzzzzzzzzzzzzzzzzzzzzzzzz"),
            404,
            "no_such_upload",
        ),
        (
            "an id that is not UTF-8",
            get("/api/uploads/%ff"),
            404,
            "no_such_upload",
        ),
        (
            "an id of the future",
            get("/api/uploads/1q78nq9qzz0000000000000005"),
            404,
            "no_such_upload",
        ),
        (
            "a bad cursor",
            get("/api/media?cursor=%2F"),
            400,
            "invalid_parameter",
        ),
        (
            "too many ids",
            get(&format!(
                "/api/uploads?ids={}",
                vec!["1q78nq9qzz0000000000000005"; 51].join(",")
            )),
            400,
            "invalid_parameter",
        ),
        ("no such call", get("/api/nothing"), 404, "no_such_call"),
        (
            "another method",
            system.request(Method::PUT, "/api/media", &alice),
            405,
            "wrong_method",
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

/// A sibling site is another site, too: the browser sends the cookie with its requests despite `SameSite=Lax`.
#[tokio::test]
async fn pages_of_other_sites_need_a_token_and_change_no_session() {
    let folder = tempfile::tempdir().unwrap();
    let system = Gatepost::start_configured(
        &folder.path().join("data"),
        r#"
        [token]
        from = ["authorization", "header:x-token", "cookie:__Host-gatepost"]
        [[rules]]
        path  = "/media/{owner}/**"
        allow = "owner"
        "#,
    );
    let alice = system.token("alice");
    let started = system.request(Method::POST, "/api/session", &alice);
    let started = started.send().await.unwrap();
    let cookie = started.headers()["set-cookie"].to_str().unwrap();
    let cookie = cookie.split(';').next().unwrap().to_owned();
    let form = system.form(&alice, "image/jpeg", b"x").await;
    let bearer = format!("Bearer {alice}");
    let own = system.url.clone();
    let sites = [
        ("sec-fetch-site", "same-origin", false),
        ("sec-fetch-site", "same-site", true),
        ("sec-fetch-site", "cross-site", true),
        ("sec-fetch-site", "none", true),
        ("origin", &own, false),
        ("origin", "http://localhost:1", true),
        ("origin", "https://app.example.com", true),
        ("origin", "null", true),
        ("accept", "*/*", false),
    ];
    let callers = [
        ("authorization", bearer.as_str()),
        ("x-token", &alice),
        ("cookie", &cookie),
    ];
    let intent = json!({"content_type": "image/jpeg", "size": 10});
    let link = json!({"path": form.0["manifest"], "expires_in": 60});
    let media = format!("/api/media/{}", form.id());
    let calls = [
        (Method::POST, "/api/uploads", Some(&intent), 201),
        (Method::POST, "/api/links", Some(&link), 201),
        (Method::DELETE, &media, None, 204),
        (Method::POST, "/api/session", None, 201),
        (Method::DELETE, "/api/session", None, 204),
        (Method::GET, "/api/media", None, 200),
        (Method::GET, "/api/session", None, 200),
    ];
    for (method, path, body, status) in calls {
        for (source, credential) in callers {
            for (name, value, is_elsewhere) in sites {
                let url = format!("{}{path}", system.url);
                let mut request = (system.http.request(method.clone(), url))
                    .header(source, credential)
                    .header(name, value);
                if let Some(body) = body {
                    request = request.json(body);
                }
                let response = request.send().await.unwrap();
                let is_session = path == "/api/session";
                let is_refused = is_elsewhere
                    && method != Method::GET
                    && (is_session || source != "authorization");
                // A session cannot be renewed with its own cookie.
                let is_renewal =
                    (&method, path, source) == (&Method::POST, "/api/session", "cookie");
                let expected = match (is_refused, is_renewal) {
                    (true, _) | (false, true) => 403,
                    (false, false) => status,
                };
                let case = format!("{method} {path} {source} {name}: {value}");
                assert_eq!(response.status(), expected, "{case}");
                if is_refused {
                    let body: Value = response.json().await.unwrap();
                    assert_eq!(body["type"], "urn:gatepost:problem:cross_site", "{case}");
                }
            }
        }
    }
}

#[tokio::test]
async fn scripts_of_the_sites_that_are_named_call_with_a_token() {
    const APP: &str = "https://app.example.com";
    let folder = tempfile::tempdir().unwrap();
    let config = |cors: &str| {
        let rule = "[[rules]]\npath = \"/media/{owner}/**\"\nallow = \"owner\"\n";
        format!("{rule}{cors}")
    };
    let named = Gatepost::start_configured(
        &folder.path().join("named"),
        &config(&format!(
            "[cors]\norigins = [\"{APP}\"]\nmethods = [\"PUT\"]\nheaders = [\"x-other\"]\ncredentials = true\nmax_age = \"1m\"\n"
        )),
    );
    let all = Gatepost::start_configured(
        &folder.path().join("all"),
        &config("[cors]\norigins = [\"*\"]\n"),
    );
    let none = Gatepost::start_configured(&folder.path().join("none"), &config(""));
    for (system, origin, granted) in [
        (&named, APP, Some(APP)),
        (&named, "https://evil.example.com", None),
        (&all, APP, Some("*")),
        (&none, APP, None),
    ] {
        let has_cors = system.url != none.url;
        let alice = system.token("alice");
        let header = |response: &reqwest::Response, name: &str| {
            let value = response.headers().get(name);
            value.map(|value| value.to_str().unwrap().to_owned())
        };
        // Answers, refusals and unknown calls.
        for (path, token, status) in [
            ("/api/media", &*alice, 200),
            ("/api/session", &alice, 200),
            ("/api/media", "x", 401),
            ("/api/nothing", &alice, 404),
            ("/api/links", &alice, 405),
        ] {
            let request = system.request(Method::GET, path, token);
            let response = request.header("origin", origin).send().await.unwrap();
            assert_eq!(response.status(), status, "{path}");
            let allowed = header(&response, "access-control-allow-origin");
            assert_eq!(allowed.as_deref(), granted, "{origin} {path}");
            let vary = header(&response, "vary");
            assert_eq!(vary.as_deref(), has_cors.then_some("Origin"), "{path}");
            let credentials = header(&response, "access-control-allow-credentials");
            assert_eq!(credentials, None, "{path}");
        }
        for (path, methods) in [
            ("/api/uploads", "GET, POST, DELETE"),
            ("/api/media/x", "GET, POST, DELETE"),
            ("/api/session", "GET"),
        ] {
            let url = format!("{}{path}", system.url);
            let response = (system.http.request(Method::OPTIONS, url))
                .header("origin", origin)
                .header("access-control-request-method", "DELETE")
                .header("access-control-request-headers", "authorization")
                .send()
                .await
                .unwrap();
            let status = match (has_cors, granted) {
                (false, _) => 405,
                (true, None) => 403,
                (true, Some(_)) => 204,
            };
            assert_eq!(response.status(), status, "{origin} {path}");
            for (name, value) in [
                ("access-control-allow-origin", granted),
                ("access-control-allow-methods", granted.map(|_| methods)),
                (
                    "access-control-allow-headers",
                    granted.map(|_| "authorization, content-type, x-amz-content-sha256"),
                ),
                ("access-control-max-age", granted.map(|_| "600")),
                ("access-control-allow-credentials", None),
                ("cache-control", Some("no-store")),
            ] {
                let found = header(&response, name);
                assert_eq!(found.as_deref(), value, "{origin} {path} {name}");
            }
        }
        // A configured page of another site can upload with a token.
        let body = json!({"content_type": "image/jpeg", "size": 10});
        let response = system
            .request(Method::POST, "/api/uploads", &alice)
            .header("origin", origin)
            .header("sec-fetch-site", "cross-site")
            .json(&body)
            .send()
            .await
            .unwrap();
        assert_eq!(response.status(), 201, "{origin}");
    }
}

/// A file's type has aliases; its form has the registered name.
#[tokio::test]
async fn a_content_type_alias_becomes_the_registered_type() {
    let folder = tempfile::tempdir().unwrap();
    let system = Gatepost::start(folder.path());
    let alice = system.token("alice");
    let jpeg = photo(64, 48);
    for written in ["image/jpg", "IMAGE/JPEG", "image/jpeg; charset=binary"] {
        let form = system.form(&alice, written, &jpeg).await;
        assert_eq!(form.0["fields"]["Content-Type"], "image/jpeg", "{written}");
        assert_eq!(form.send(&system.http, &jpeg).await.status(), 204);
        let answer = system.settled(&alice, &form.id()).await;
        assert_eq!(answer["status"], "ready", "{written}");
    }
}

/// A sender that never stops still gets an answer.
#[tokio::test]
async fn a_body_without_an_end_is_refused_while_it_is_sent() {
    let folder = tempfile::tempdir().unwrap();
    let system = Gatepost::start(folder.path());
    let alice = system.token("alice");
    let authority = system.url.strip_prefix("http://").unwrap();
    let mut stream = tokio::net::TcpStream::connect(authority).await.unwrap();
    let head = format!(
        "POST /api/uploads HTTP/1.1\r\nhost: {authority}\r\nauthorization: Bearer {alice}\r\n\
         content-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let (mut answers, mut requests) = stream.split();
    let send = async {
        let chunk = format!("1000\r\n{}\r\n", "x".repeat(0x1000));
        // Until the connection is closed.
        while requests.write_all(chunk.as_bytes()).await.is_ok() {}
    };
    let mut answer = [0; 12];
    tokio::select! {
        () = send => panic!("the connection was closed without an answer"),
        read = answers.read_exact(&mut answer) => { read.unwrap(); }
    }
    assert_eq!(&answer, b"HTTP/1.1 413");
}
