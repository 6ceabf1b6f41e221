//! The bucket refuses tampered forms with S3's statuses and codes, and stores nothing.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use reqwest::Response;
use serde_json::Value;
use url_signing::{Bucket, Credentials, Expiry, PostPolicy};

use crate::harness::{Form, Gatepost, photo, post_form};

async fn refused(response: Response) -> (u16, String) {
    let status = response.status().as_u16();
    let body = response.text().await.unwrap();
    let code = body
        .split_once("<Code>")
        .and_then(|(_, rest)| rest.split_once("</Code>"))
        .map_or("", |(code, _)| code)
        .to_owned();
    (status, code)
}

/// The form's fields with one of them changed, or dropped, or added.
fn with(form: &Form, name: &str, value: Option<&str>) -> Vec<(String, String)> {
    let mut fields = form.fields();
    fields.retain(|(found, _)| !found.eq_ignore_ascii_case(name));
    if let Some(value) = value {
        fields.push((name.to_owned(), value.to_owned()));
    }
    fields
}

#[tokio::test]
async fn a_form_permits_exactly_what_it_was_made_for() {
    let folder = tempfile::tempdir().unwrap();
    let system = Gatepost::start(folder.path());
    let alice = system.token("alice");
    let jpeg = photo(320, 240);
    let form = system.form(&alice, "image/jpeg", &jpeg).await;
    let key = form.0["fields"]["key"].as_str().unwrap().to_owned();
    let mut longer = jpeg.clone();
    longer.push(0);
    let mut other = jpeg.clone();
    other[100] ^= 1;

    for (case, fields, bytes, status, code) in [
        (
            "another key",
            with(&form, "key", Some("uploads/x/y")),
            &jpeg,
            403,
            "AccessDenied",
        ),
        (
            "a longer key",
            with(&form, "key", Some(&format!("{key}/x"))),
            &jpeg,
            403,
            "AccessDenied",
        ),
        (
            "another type",
            with(&form, "Content-Type", Some("text/html")),
            &jpeg,
            403,
            "AccessDenied",
        ),
        (
            "no type",
            with(&form, "Content-Type", None),
            &jpeg,
            403,
            "AccessDenied",
        ),
        (
            "other metadata",
            with(&form, "x-amz-meta-filename", Some("x")),
            &jpeg,
            403,
            "AccessDenied",
        ),
        (
            "no metadata",
            with(&form, "x-amz-meta-filename", None),
            &jpeg,
            403,
            "AccessDenied",
        ),
        (
            "an extra field",
            with(&form, "acl", Some("public-read")),
            &jpeg,
            403,
            "AccessDenied",
        ),
        (
            "another digest",
            with(&form, "x-amz-checksum-sha256", Some("AAAA")),
            &jpeg,
            403,
            "AccessDenied",
        ),
        (
            "no digest",
            with(&form, "x-amz-checksum-sha256", None),
            &jpeg,
            403,
            "AccessDenied",
        ),
        (
            "another signature",
            with(&form, "x-amz-signature", Some(&"0".repeat(64))),
            &jpeg,
            403,
            "SignatureDoesNotMatch",
        ),
        (
            "no signature",
            with(&form, "x-amz-signature", None),
            &jpeg,
            400,
            "InvalidArgument",
        ),
        (
            "no policy",
            with(&form, "policy", None),
            &jpeg,
            403,
            "AccessDenied",
        ),
        ("larger", form.fields(), &longer, 400, "EntityTooLarge"),
        (
            "smaller",
            form.fields(),
            &jpeg[..100].to_vec(),
            400,
            "EntityTooSmall",
        ),
        ("other bytes", form.fields(), &other, 400, "BadDigest"),
    ] {
        let response = post_form(&system.http, form.url(), &fields, bytes)
            .await
            .unwrap();
        assert_eq!(refused(response).await, (status, code.to_owned()), "{case}");
    }
    let response = system
        .http
        .post(form.url())
        .body("hello")
        .send()
        .await
        .unwrap();
    assert_eq!(
        refused(response).await,
        (412, "PreconditionFailed".to_owned())
    );

    // Nothing was stored.
    let uploads = folder.path().join("s3/gatepost-uploads/uploads");
    assert!(!uploads.exists());
    // The form itself still accepts its own bytes.
    assert_eq!(form.send(&system.http, &jpeg).await.status(), 204);
    assert_eq!(system.settled(&alice, &form.id()).await["status"], "ready");
}

#[tokio::test]
async fn an_expired_form_is_refused_and_an_old_one_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let system = Gatepost::start(folder.path());
    let stored: Value =
        serde_json::from_slice(&std::fs::read(folder.path().join("s3-credentials.json")).unwrap())
            .unwrap();
    let text = |name: &str| stored[name].as_str().unwrap().to_owned();
    let credentials = Credentials {
        access_key_id: text("access_key_id"),
        secret_access_key: text("secret_access_key").into(),
        session_token: None,
        expires_at: None,
    };
    let form = system
        .form(&system.token("alice"), "image/jpeg", b"x")
        .await;
    let endpoint = form.url().strip_suffix("/gatepost-uploads").unwrap();
    let bucket = Bucket::at_endpoint("gatepost-uploads", "us-east-1", endpoint).unwrap();
    let now = Timestamp::now();
    for (case, signed_at, lifetime, expected) in [
        ("made an hour ago for two", -60, 120, (204, String::new())),
        (
            "made an hour ago for half of one",
            -60,
            30,
            (403, "AccessDenied".to_owned()),
        ),
    ] {
        let signed = PostPolicy::new(
            &bucket,
            "elsewhere/a",
            0..=100,
            Expiry::within(SignedDuration::from_mins(lifetime)),
        )
        .unwrap()
        .sign(now + SignedDuration::from_mins(signed_at), &credentials)
        .unwrap();
        let response = post_form(&system.http, &signed.url, &signed.fields, b"x")
            .await
            .unwrap();
        assert_eq!(refused(response).await, expected, "{case}");
    }
}

#[tokio::test]
async fn pages_of_this_site_may_post_and_read_the_answer() {
    let folder = tempfile::tempdir().unwrap();
    let system = Gatepost::start(folder.path());
    let form = system
        .form(&system.token("alice"), "image/jpeg", b"x")
        .await;
    for (origin, allowed) in [(system.url.as_str(), true), ("https://evil.example", false)] {
        let preflight = system
            .http
            .request(reqwest::Method::OPTIONS, form.url())
            .header("origin", origin)
            .header("access-control-request-method", "POST")
            .send()
            .await
            .unwrap();
        assert_eq!(
            preflight.status().as_u16(),
            if allowed { 200 } else { 403 },
            "{origin}"
        );
        // A page must be able to read the reason of a refusal.
        let answer = system
            .http
            .post(form.url())
            .header("origin", origin)
            .body("x")
            .send()
            .await
            .unwrap();
        let granted = answer.headers().get("access-control-allow-origin");
        assert_eq!(
            granted.is_some_and(|granted| granted == origin),
            allowed,
            "{origin}"
        );
    }
}

/// The network may split a request anywhere.
#[tokio::test]
async fn a_form_may_arrive_in_any_pieces() {
    use std::io::{Read as _, Write as _};

    let folder = tempfile::tempdir().unwrap();
    let system = Gatepost::start(folder.path());
    let alice = system.token("alice");
    let jpeg = photo(64, 48);
    let form = system.form(&alice, "image/jpeg", &jpeg).await;
    let mut body = Vec::new();
    for (name, value) in form.fields() {
        let part =
            format!("--b\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n");
        body.extend(part.bytes());
    }
    body.extend(b"--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"x\"\r\n\r\n");
    let file = body.len();
    body.extend(&jpeg);
    body.extend(b"\r\n--b--\r\n");
    let host = form.url().split('/').nth(2).unwrap();
    let head = format!(
        "POST /gatepost-uploads HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\
         Content-Type: multipart/form-data; boundary=b\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    let end = body.len();
    for cuts in [
        &[1][..],
        &[2, 3, 4, 5],
        &[20, 130, file - 1, file, file + 1],
        &[end - 9, end - 7, end - 4, end - 2, end - 1],
    ] {
        let mut socket = std::net::TcpStream::connect(host).unwrap();
        socket.set_nodelay(true).unwrap();
        socket.write_all(head.as_bytes()).unwrap();
        let mut from = 0;
        for to in cuts.iter().chain([&end]) {
            socket.write_all(&body[from..*to]).unwrap();
            tokio::time::sleep(Duration::from_millis(20)).await;
            from = *to;
        }
        let mut answer = String::new();
        socket.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 204 "), "{cuts:?}: {answer}");
    }
}
