//! An origin without origin access control: S3 checks the signature that the viewer sends through the distribution.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use axum::http::{HeaderMap, HeaderValue, Method, header};
use jiff::{SignedDuration, Timestamp};
use local_aws::cloudfront::{Behaviour, Distribution, Origin, Policy};

use crate::storage::{Recorder, S3};
use crate::viewer::{Answer, get, request};

const HOST: &str = "https://media.example.org";
const MINUTES: SignedDuration = SignedDuration::from_mins(15);

fn policy() -> Policy {
    let nosniff = HeaderValue::from_static("nosniff");
    Policy {
        max_ttl: Some(Duration::from_mins(1)),
        query_in_key: true,
        headers: HeaderMap::from_iter([(header::X_CONTENT_TYPE_OPTIONS, nosniff)]),
        ..Policy::default()
    }
}

fn distribution(endpoint: &str, policy: Policy) -> Distribution {
    let origin = Origin::unsigned_bucket(endpoint, "photos", "/o").unwrap();
    let behaviour = Behaviour::new("*", origin).with_policy(policy);
    Distribution::new("cloudfront", vec![behaviour])
}

/// The status, the text and `X-Cache`.
fn seen(answer: &Answer) -> (u16, &str, &str) {
    let x_cache = answer.header("x-cache").unwrap();
    let x_cache = x_cache.strip_suffix(" from cloudfront").unwrap();
    (answer.status, &answer.text, x_cache)
}

#[tokio::test]
async fn a_presigned_url_is_answered_from_s3_and_then_from_the_cache() {
    let folder = tempfile::tempdir().unwrap();
    let s3 = S3::start(folder.path()).await;
    s3.put("o/media/alice/1 ü.webp", "hers").await;
    let distribution = distribution(&s3.endpoint, policy());
    let query = s3.signed_query("o/media/alice/1 ü.webp", MINUTES);
    let url = format!("{HOST}/media/alice/1%20%C3%BC.webp?{query}");
    let answer = get(&distribution, &url).await;
    assert_eq!(seen(&answer), (200, "hers", "Miss"));
    assert_eq!(answer.header("content-type"), Some("image/webp"));
    assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
    s3.put("o/media/alice/1 ü.webp", "another").await;
    assert_eq!(seen(&get(&distribution, &url).await), (200, "hers", "Hit"));
    // The cache is warm, and nothing comes out of it without the same query.
    let other = s3.signed_query("o/media/bob/1.webp", MINUTES);
    for (query, code) in [
        (String::new(), "AccessDenied"),
        ("?".to_owned(), "AccessDenied"),
        ("?X-Amz-Signature=".to_owned(), "InvalidRequest"),
        (format!("?{other}"), "SignatureDoesNotMatch"),
        (
            format!(
                "?{}",
                query.replace("X-Amz-Expires=900", "X-Amz-Expires=901")
            ),
            "SignatureDoesNotMatch",
        ),
    ] {
        let url = format!("{HOST}/media/alice/1%20%C3%BC.webp{query}");
        let answer = get(&distribution, &url).await;
        assert!(matches!(answer.status, 400 | 403), "{query}");
        assert_eq!(answer.code(), code, "{query}");
        assert_eq!(answer.header("x-cache"), Some("Error from cloudfront"));
        assert_eq!(answer.header("content-type"), Some("application/xml"));
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
    }
}

#[tokio::test]
async fn each_query_is_an_entry_and_none_is_kept_beyond_the_maximum_ttl() {
    let folder = tempfile::tempdir().unwrap();
    let s3 = S3::start(folder.path()).await;
    s3.put("o/a", "one").await;
    let passed = Arc::new(AtomicI64::new(0));
    let clock = passed.clone();
    let distribution = distribution(&s3.endpoint, policy()).with_clock(move || {
        let second = 1_800_000_000 + clock.load(Ordering::Relaxed);
        Timestamp::from_second(second).unwrap()
    });
    let urls = [10, 20].map(|minutes| {
        let query = s3.signed_query("o/a", SignedDuration::from_mins(minutes));
        format!("{HOST}/a?{query}")
    });
    for url in &urls {
        assert_eq!(seen(&get(&distribution, url).await), (200, "one", "Miss"));
    }
    s3.put("o/a", "two").await;
    for (second, content, x_cache) in [
        (59, "one", "Hit"),
        // The object itself says a year.
        (60, "two", "Miss"),
        (119, "two", "Hit"),
        (120, "two", "Miss"),
    ] {
        passed.store(second, Ordering::Relaxed);
        for url in &urls {
            let answer = get(&distribution, url).await;
            assert_eq!(seen(&answer), (200, content, x_cache), "{second}");
        }
    }
    let answer = get(&distribution, &urls[0]).await;
    assert_eq!(answer.header("age"), Some("0"));
}

#[tokio::test]
async fn s3s_errors_are_not_cached() {
    let folder = tempfile::tempdir().unwrap();
    let s3 = S3::start(folder.path()).await;
    let distribution = distribution(&s3.endpoint, policy());
    let url = format!("{HOST}/a?{}", s3.signed_query("o/a", MINUTES));
    assert_eq!(get(&distribution, &url).await.code(), "NoSuchKey");
    s3.put("o/a", "now").await;
    assert_eq!(seen(&get(&distribution, &url).await), (200, "now", "Miss"));
}

#[tokio::test]
async fn ranges_and_conditions_are_answered_by_the_distribution() {
    let folder = tempfile::tempdir().unwrap();
    let s3 = S3::start(folder.path()).await;
    s3.put("o/a", "0123456789").await;
    for is_warm in [false, true] {
        for (name, value, status, content) in [
            ("range", "bytes=2-4", 206, "234"),
            ("range", "bytes=20-", 416, ""),
            (
                "if-none-match",
                "\"781e5e245d69b566979b86e28d23f2c7\"",
                304,
                "",
            ),
            ("if-none-match", "\"other\"", 200, "0123456789"),
            ("if-match", "\"other\"", 412, "412"),
        ] {
            let distribution = distribution(&s3.endpoint, policy());
            let url = format!("{HOST}/a?{}", s3.signed_query("o/a", MINUTES));
            if is_warm {
                get(&distribution, &url).await;
            }
            let answer = request(&distribution, Method::GET, &url, &[(name, value)]).await;
            assert_eq!(answer.status, status, "{name}: {value}");
            assert!(answer.text.contains(content), "{name}: {value}");
            assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
        }
    }
}

#[tokio::test]
async fn a_head_is_for_s3_to_answer_until_the_object_is_cached() {
    let folder = tempfile::tempdir().unwrap();
    let s3 = S3::start(folder.path()).await;
    s3.put("o/a", "0123456789").await;
    let distribution = distribution(&s3.endpoint, policy());
    let url = format!("{HOST}/a?{}", s3.signed_query("o/a", MINUTES));
    let head = async || request(&distribution, Method::HEAD, &url, &[]).await;
    // The URL is signed for GET.
    assert_eq!(head().await.status, 403);
    let answer = get(&distribution, &url).await;
    assert_eq!(seen(&answer), (200, "0123456789", "Miss"));
    let answer = head().await;
    assert_eq!(seen(&answer), (200, "", "Hit"));
    assert_eq!(answer.header("content-length"), Some("10"));
}

#[tokio::test]
async fn a_head_that_s3_answers_is_not_cached() {
    let recorder = Recorder::start().await;
    let distribution = distribution(
        &recorder.endpoint,
        Policy {
            min_ttl: Duration::from_mins(1),
            ..policy()
        },
    );
    let url = format!("{HOST}/a");
    let answer = request(&distribution, Method::HEAD, &url, &[]).await;
    assert_eq!(seen(&answer), (200, "", "Miss"));
    assert_eq!(answer.header("content-length"), Some("8"));
    assert_eq!(recorder.take_one().0, "HEAD /photos/o/a");
    let answer = get(&distribution, &url).await;
    assert_eq!(seen(&answer), (200, "recorded", "Miss"));
}

#[tokio::test]
async fn headers_that_the_signature_asks_for_are_passed_on() {
    let folder = tempfile::tempdir().unwrap();
    let s3 = S3::start(folder.path()).await;
    s3.put("o/a", "one").await;
    let distribution = distribution(&s3.endpoint, policy());
    let signed = url_signing::PresignedGet::new(&s3.bucket("photos"), "o/a", MINUTES)
        .unwrap()
        .response_header(
            url_signing::ResponseHeader::ContentDisposition,
            "attachment; filename=a",
        )
        .unwrap()
        .sign(Timestamp::now(), &crate::storage::credentials())
        .unwrap();
    let (_, query) = signed.url.split_once('?').unwrap();
    for x_cache in ["Miss", "Hit"] {
        let answer = get(&distribution, &format!("{HOST}/a?{query}")).await;
        assert_eq!(seen(&answer), (200, "one", x_cache));
        assert_eq!(
            answer.header("content-disposition"),
            Some("attachment; filename=a")
        );
    }
}

#[tokio::test]
async fn s3_gets_the_path_and_the_query_as_they_came_and_no_header() {
    let recorder = Recorder::start().await;
    let distribution = distribution(&recorder.endpoint, policy());
    let host = recorder.endpoint.strip_prefix("http://").unwrap();
    let own = [format!("host: {host}")];
    let headers = [
        ("cookie", "__Host-gatepost=s"),
        ("authorization", "Bearer t"),
        ("origin", "https://example.org"),
        ("range", "bytes=0-1"),
        ("if-none-match", "\"a\""),
        ("accept-encoding", "gzip"),
        ("user-agent", "a viewer"),
    ];
    for path in [
        "/a",
        "/a%2fb/%C3%BC/c+d/%7E~!$&'()*,;=:@",
        "/a/../b",
        "/%2e%2e/b",
        "//a//b/",
        "/",
        "/a?",
        "/a?x=%20&y=+&x=2&&z&%7e=~/?",
    ] {
        let url = format!("{HOST}{path}");
        let answer = request(&distribution, Method::GET, &url, &headers).await;
        assert_eq!(answer.header("x-amz-request-id"), Some("recorded"));
        let (line, headers, body) = recorder.take_one();
        let sent = path.strip_suffix('?').filter(|_| path == "/a?");
        assert_eq!(line, format!("GET /photos/o{}", sent.unwrap_or(path)));
        assert_eq!(headers, own);
        assert!(body.is_empty());
    }
}

#[tokio::test]
async fn without_the_policys_leave_the_query_reaches_neither_the_cache_nor_s3() {
    let recorder = Recorder::start().await;
    let distribution = distribution(
        &recorder.endpoint,
        Policy {
            min_ttl: Duration::from_mins(1),
            query_in_key: false,
            ..policy()
        },
    );
    let first = get(&distribution, &format!("{HOST}/a?x=1")).await;
    assert_eq!(seen(&first), (200, "recorded", "Miss"));
    assert_eq!(recorder.take_one().0, "GET /photos/o/a");
    let second = get(&distribution, &format!("{HOST}/a?x=2")).await;
    assert_eq!(seen(&second), (200, "recorded", "Hit"));
}

#[tokio::test]
async fn an_update_of_a_distribution_keeps_its_cache() {
    let folder = tempfile::tempdir().unwrap();
    let s3 = S3::start(folder.path()).await;
    s3.put("o/a", "one").await;
    let controlled = Origin::bucket_below(s3.client.clone(), "photos", "/o");
    let before = Distribution::new("cloudfront", vec![Behaviour::new("*", controlled)]);
    let url = format!("{HOST}/a");
    assert_eq!(seen(&get(&before, &url).await), (200, "one", "Miss"));
    let unsigned = Origin::unsigned_bucket(&s3.endpoint, "photos", "/o").unwrap();
    let behaviour = Behaviour::new("*", unsigned).with_policy(policy());
    let after = before.with_behaviours(vec![behaviour]);
    // A change of the origin therefore needs an invalidation, or a function that refuses requests without a signature.
    assert_eq!(seen(&get(&after, &url).await), (200, "one", "Hit"));
    after.invalidate("/*");
    assert_eq!(get(&after, &url).await.code(), "AccessDenied");
}

#[tokio::test]
async fn a_server_that_does_not_answer_is_a_bad_gateway() {
    let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let distribution = distribution(&endpoint, policy());
    let answer = get(&distribution, &format!("{HOST}/a")).await;
    assert_eq!(answer.status, 502);
    assert_eq!(answer.header("x-cache"), Some("Error from cloudfront"));
}
