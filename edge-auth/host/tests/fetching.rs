//! Fetching keys from a provider that behaves, and from those that do not.

// A test stops at what it did not expect.
#![allow(clippy::unwrap_used, missing_docs)]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use edge_auth::config::{Algorithm, Audiences, Issuer, PublishedKeys, TokenSource};
use edge_auth::{Authorizer, Config, Headers, Refusal, Request};
use edge_auth_host::{HostedAuthorizer, MAX_SET_BYTES};
use jiff::Timestamp;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

/// RFC 7515, appendix A.3: a token that expired in 2011, and its key. The signature is good, so whoever has the key
/// finds it expired.
const TOKEN: &str = concat!(
    "eyJhbGciOiJFUzI1NiJ9.",
    "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.",
    "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q"
);
const KEYS: &str = r#"{"keys": [{"kty": "EC", "crv": "P-256",
    "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU", "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}]}"#;

/// A provider that gives every request the same answer after a while, and counts them.
async fn provider(answer: String, delay: Duration) -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/jwks.json", listener.local_addr().unwrap());
    let n_requests = Arc::new(AtomicUsize::new(0));
    let counter = n_requests.clone();
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            counter.fetch_add(1, Ordering::SeqCst);
            let answer = answer.clone();
            tokio::spawn(async move {
                let mut request = [0; 1024];
                let _ = stream.read(&mut request).await;
                tokio::time::sleep(delay).await;
                let _ = stream.write_all(answer.as_bytes()).await;
            });
        }
    });
    (url, n_requests)
}

fn http(status: &str, body: &str) -> String {
    let length = body.len();
    format!("HTTP/1.1 {status}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}")
}

fn hosted(url: &str) -> HostedAuthorizer {
    let config = Config {
        issuers: vec![Issuer {
            issuer: "joe".to_owned(),
            audiences: Audiences::Any,
            algorithms: vec![Algorithm::ES256],
            published: Some(PublishedKeys::at(url)),
            ..Issuer::default()
        }],
        token_sources: vec![TokenSource::Authorization],
        ..Config::default()
    };
    let authorizer = Authorizer::new(&config).unwrap_or_else(|faults| panic!("{faults:?}"));
    HostedAuthorizer::new(authorizer, Timestamp::now).unwrap()
}

async fn authenticate(hosted: &HostedAuthorizer) -> Refusal {
    let headers: Headers = [("authorization", format!("Bearer {TOKEN}").as_str())]
        .into_iter()
        .collect();
    let answer = hosted.authenticate(&Request::from(&headers)).await;
    answer.err().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_waits_is_served_by_one_fetch() {
    let (url, n_requests) = provider(http("200 OK", KEYS), Duration::from_millis(200)).await;
    let hosted = Arc::new(hosted(&url));
    let waiting: Vec<_> = (0..50)
        .map(|_| {
            let hosted = hosted.clone();
            tokio::spawn(async move { authenticate(&hosted).await })
        })
        .collect();
    for refusal in waiting {
        assert!(matches!(refusal.await.unwrap(), Refusal::Expired { .. }));
    }
    assert_eq!(n_requests.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn who_hangs_up_in_the_midst_of_a_fetch_does_not_end_it() {
    for (answer, refusal) in [
        (http("200 OK", KEYS), None),
        (
            http("500 Internal Server Error", KEYS),
            Some(Refusal::KeysUnavailable),
        ),
    ] {
        let (url, n_requests) = provider(answer, Duration::from_millis(300)).await;
        let hosted = Arc::new(hosted(&url));
        for _ in 0..20 {
            let hosted = hosted.clone();
            let impatient = tokio::spawn(async move { authenticate(&hosted).await });
            tokio::time::sleep(Duration::from_millis(20)).await;
            impatient.abort();
        }
        let found = authenticate(&hosted).await;
        match refusal {
            Some(refusal) => assert_eq!(found, refusal),
            None => assert!(matches!(found, Refusal::Expired { .. }), "{found:?}"),
        }
        assert_eq!(n_requests.load(Ordering::SeqCst), 1);
    }
}

#[tokio::test]
async fn whatever_is_no_key_set_is_refused_and_not_asked_for_again_at_once() {
    let long = format!("{{\"keys\": [], \"x\": \"{}\"}}", "x".repeat(MAX_SET_BYTES));
    for (case, answer) in [
        ("an error", http("500 Internal Server Error", KEYS)),
        (
            "a redirect",
            "HTTP/1.1 302 Found\r\nlocation: /elsewhere\r\ncontent-length: 0\r\n\r\n".to_owned(),
        ),
        ("no JSON", http("200 OK", "<html>sign in</html>")),
        ("no key set", http("200 OK", "{\"keys\": {}}")),
        ("too much", http("200 OK", &long)),
        ("no HTTP", "220 mail.example.com ESMTP\r\n".to_owned()),
        ("cut off", http("200 OK", KEYS)[..100].to_owned()),
    ] {
        let (url, n_requests) = provider(answer, Duration::ZERO).await;
        let hosted = hosted(&url);
        for _ in 0..3 {
            let refusal = authenticate(&hosted).await;
            assert_eq!(refusal, Refusal::KeysUnavailable, "{case}");
        }
        assert_eq!(n_requests.load(Ordering::SeqCst), 1, "{case}");
    }
}

#[tokio::test]
async fn a_provider_that_hangs_holds_nobody_up_for_long() {
    let (url, _) = provider(http("200 OK", KEYS), Duration::from_hours(1)).await;
    let hosted = hosted(&url);
    // It answers at all: the provider would take an hour.
    assert_eq!(authenticate(&hosted).await, Refusal::KeysUnavailable);
}
