//! Fetches keys from providers that behave, and from providers that do not.

#![expect(
    clippy::unwrap_used,
    reason = "a test panics on the first unexpected value"
)]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use edge_auth::config::{Algorithm, Audiences, Issuer, PublishedKeys, TokenSource};
use edge_auth::{Authorizer, Config, Headers, Refusal, Request};
use edge_auth_host::{HostedAuthorizer, MAX_SET_BYTES};
use jiff::Timestamp;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

/// RFC 7515, appendix A.3: a token that expired in 2011, and its key. The signature is valid, so a verifier with the
/// key reports it as expired.
const TOKEN: &str = concat!(
    "eyJhbGciOiJFUzI1NiJ9.",
    "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.",
    "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q"
);
const KEYS: &str = r#"{"keys": [{"kty": "EC", "crv": "P-256",
    "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU", "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}]}"#;

/// A provider that counts its requests, and sends every caller the same answer once it is released.
struct Provider {
    url: String,
    n_requests: Arc<AtomicUsize>,
    may_answer: Arc<Semaphore>,
}

impl Provider {
    /// A provider that does not answer yet.
    async fn holding_back(answer: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let provider = Self {
            url: format!("http://{}/jwks.json", listener.local_addr().unwrap()),
            n_requests: Arc::new(AtomicUsize::new(0)),
            may_answer: Arc::new(Semaphore::new(0)),
        };
        let (n_requests, may_answer) = (provider.n_requests.clone(), provider.may_answer.clone());
        tokio::spawn(async move {
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                n_requests.fetch_add(1, Ordering::SeqCst);
                let (answer, may_answer) = (answer.clone(), may_answer.clone());
                tokio::spawn(async move {
                    let mut request = [0; 1024];
                    let _ = stream.read(&mut request).await;
                    let _permit = may_answer.acquire().await.unwrap();
                    let _ = stream.write_all(answer.as_bytes()).await;
                });
            }
        });
        provider
    }

    /// A provider that answers every request at once.
    async fn answering(answer: String) -> Self {
        let provider = Self::holding_back(answer).await;
        provider.answer();
        provider
    }

    fn answer(&self) {
        self.may_answer.add_permits(1);
    }

    fn n_requests(&self) -> usize {
        self.n_requests.load(Ordering::SeqCst)
    }

    /// Waits until a request has arrived.
    async fn asked(&self) {
        while self.n_requests() == 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
}

/// A constant clock: no cool-down passes, however slow the machine is.
fn now() -> Timestamp {
    Timestamp::constant(1_800_000_000, 0)
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
    HostedAuthorizer::new(authorizer, now).unwrap()
}

async fn authenticate(hosted: &HostedAuthorizer) -> Refusal {
    let headers: Headers = [("authorization", format!("Bearer {TOKEN}").as_str())]
        .into_iter()
        .collect();
    let answer = hosted.authenticate(&Request::from(&headers)).await;
    answer.err().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn waiting_requests_share_one_fetch() {
    let provider = Provider::holding_back(http("200 OK", KEYS)).await;
    let hosted = Arc::new(hosted(&provider.url));
    let waiting: Vec<_> = (0..50)
        .map(|_| {
            let hosted = hosted.clone();
            tokio::spawn(async move { authenticate(&hosted).await })
        })
        .collect();
    provider.asked().await;
    provider.answer();
    for refusal in waiting {
        assert!(matches!(refusal.await.unwrap(), Refusal::Expired { .. }));
    }
    assert_eq!(provider.n_requests(), 1);
}

#[tokio::test]
async fn a_client_that_hangs_up_does_not_cancel_the_fetch() {
    for (answer, refusal) in [
        (http("200 OK", KEYS), None),
        (
            http("500 Internal Server Error", KEYS),
            Some(Refusal::KeysUnavailable),
        ),
    ] {
        let provider = Provider::holding_back(answer).await;
        let hosted = Arc::new(hosted(&provider.url));
        for _ in 0..20 {
            let hosted = hosted.clone();
            let impatient = tokio::spawn(async move { authenticate(&hosted).await });
            provider.asked().await;
            tokio::task::yield_now().await;
            impatient.abort();
        }
        provider.answer();
        let found = authenticate(&hosted).await;
        match refusal {
            Some(refusal) => assert_eq!(found, refusal),
            None => assert!(matches!(found, Refusal::Expired { .. }), "{found:?}"),
        }
        assert_eq!(provider.n_requests(), 1);
    }
}

#[tokio::test]
async fn an_invalid_key_set_is_refused_and_not_fetched_again_in_the_cool_down() {
    let long = format!("{{\"keys\": [], \"x\": \"{}\"}}", "x".repeat(MAX_SET_BYTES));
    for (case, answer) in [
        ("an error", http("500 Internal Server Error", KEYS)),
        (
            "a redirect",
            "HTTP/1.1 302 Found\r\nlocation: /elsewhere\r\ncontent-length: 0\r\n\r\n".to_owned(),
        ),
        ("not JSON", http("200 OK", "<html>sign in</html>")),
        ("not a key set", http("200 OK", "{\"keys\": {}}")),
        ("too much", http("200 OK", &long)),
        ("not HTTP", "220 mail.example.com ESMTP\r\n".to_owned()),
        ("cut off", http("200 OK", KEYS)[..100].to_owned()),
    ] {
        let provider = Provider::answering(answer).await;
        let hosted = hosted(&provider.url);
        for _ in 0..3 {
            let refusal = authenticate(&hosted).await;
            assert_eq!(refusal, Refusal::KeysUnavailable, "{case}");
        }
        assert_eq!(provider.n_requests(), 1, "{case}");
    }
}

#[tokio::test]
async fn a_hanging_provider_delays_requests_until_the_timeout() {
    let provider = Provider::holding_back(http("200 OK", KEYS)).await;
    let hosted = hosted(&provider.url);
    // The provider never answers: a caller without a timeout would wait forever.
    assert_eq!(authenticate(&hosted).await, Refusal::KeysUnavailable);
}
