//! Signatures that `url-signing` makes, checked by the emulator as CloudFront checks them: two implementations that share
//! no code.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::Router;
use axum::extract::Request;
use axum::http::Method;
use jiff::{SignedDuration, Timestamp};
use local_aws::cloudfront::{Behaviour, Decision, Distribution, Forward, KeyGroup, Origin};
use url_signing::cloudfront::{CookieAttributes, KeyPair, Policy};

use crate::viewer::{Answer, get, request};

const HOUR: SignedDuration = SignedDuration::from_hours(1);
const ORIGIN: &str = "https://media.example.org";
const URL: &str = "https://media.example.org/media/alice/1.webp?v=1&w=%20";
const FOLDER: &str = "https://media.example.org/media/alice/";

pub(crate) fn now() -> Timestamp {
    "2026-11-25T12:00:00.9Z".parse().unwrap()
}

fn rsa() -> KeyPair {
    KeyPair::from_pem("KRSA", include_str!("../keys/rsa.pem")).unwrap()
}

pub(crate) fn p256() -> KeyPair {
    KeyPair::from_pem("KP256", include_str!("../keys/p256.pem")).unwrap()
}

pub(crate) fn keys() -> KeyGroup {
    KeyGroup::new([
        ("KRSA", include_str!("../keys/rsa-public.pem")),
        ("KP256", include_str!("../keys/p256-public.pem")),
    ])
    .unwrap()
}

/// Answers with the path and query that reach it.
fn echo() -> Origin {
    Origin::service(
        Router::new().fallback(|request: Request| async move { request.uri().to_string() }),
    )
}

fn distribution(now: Timestamp) -> Distribution {
    let behaviours = vec![
        Behaviour::new("/public/*", echo()),
        Behaviour::new("*", echo()).with_trusted_keys(keys()),
    ];
    Distribution::new("cloudfront", behaviours).with_clock(move || now)
}

fn canned(key: &KeyPair) -> String {
    let policy = Policy::for_url(URL, HOUR).unwrap();
    policy.sign(now(), key).unwrap().url(URL).unwrap().url
}

/// The `Cookie` header for a folder.
pub(crate) fn cookies(folder: &str, key: &KeyPair) -> String {
    let signed = Policy::below(folder, HOUR).unwrap().sign(now(), key);
    let attributes = CookieAttributes {
        path: Some("/".to_owned()),
        ..CookieAttributes::default()
    };
    let cookies = signed.unwrap().cookies(&attributes).unwrap().cookies;
    let cookies = cookies
        .iter()
        .map(|(name, value)| format!("{name}={value}"));
    cookies.collect::<Vec<_>>().join("; ")
}

async fn get_with(distribution: &Distribution, url: &str, cookie: &str) -> Answer {
    request(distribution, Method::GET, url, &[("cookie", cookie)]).await
}

#[tokio::test]
async fn a_signed_url_reaches_the_origin_without_its_signature() {
    let distribution = distribution(now());
    for key in [rsa(), p256()] {
        let answer = get(&distribution, &canned(&key)).await;
        assert_eq!(answer.text, "/media/alice/1.webp?v=1&w=%20");
        let folder = Policy::below(FOLDER, HOUR).unwrap();
        let signed = folder.sign(now(), &key).unwrap().url(URL).unwrap().url;
        assert_eq!(
            get(&distribution, &signed).await.text,
            "/media/alice/1.webp?v=1&w=%20"
        );
        let plain = format!("{FOLDER}1.webp");
        let signed = Policy::for_url(&plain, HOUR).unwrap().sign(now(), &key);
        let signed = signed.unwrap().url(&plain).unwrap().url;
        assert_eq!(
            get(&distribution, &signed).await.text,
            "/media/alice/1.webp"
        );
        let cookies = cookies(FOLDER, &key);
        let answer = get_with(&distribution, URL, &cookies).await;
        assert_eq!(answer.text, "/media/alice/1.webp?v=1&w=%20");
    }
    let parameters_first = canned(&p256()).replacen("v=1&w=%20&", "", 1) + "&v=1&w=%20";
    let answer = get(&distribution, &parameters_first).await;
    assert_eq!(answer.text, "/media/alice/1.webp?v=1&w=%20");
    let public = get(&distribution, &format!("{ORIGIN}/public/a?Signature=x")).await;
    assert_eq!(public.text, "/public/a?Signature=x");
}

#[tokio::test]
async fn a_request_without_a_valid_signature_gets_cloudfronts_document() {
    let distribution = distribution(now());
    let answer = get(&distribution, URL).await;
    assert_eq!(answer.status, 403);
    assert_eq!(answer.header("content-type"), Some("text/xml"));
    assert_eq!(answer.header("x-cache"), Some("Error from cloudfront"));
    assert_eq!(
        answer.text,
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?><Error><Code>MissingKey</Code><Message>Missing Key-Pair-Id query parameter or cookie value</Message></Error>"
    );
    let preflight = request(
        &distribution,
        Method::OPTIONS,
        URL,
        &[("access-control-request-method", "GET")],
    );
    assert_eq!(preflight.await.code(), "MissingKey");
}

#[tokio::test]
async fn a_signed_url_that_was_changed_is_refused() {
    let distribution = distribution(now());
    let signed = canned(&p256());
    let expires = now().as_second() + HOUR.as_secs();
    let replaced = |from: &str, to: &str| {
        assert!(signed.contains(from), "{from}");
        signed.replacen(from, to, 1)
    };
    for (url, code) in [
        (
            replaced("media.example.org", "media.example.com"),
            "AccessDenied",
        ),
        (
            replaced("media.example.org", "media.example.org:443"),
            "AccessDenied",
        ),
        (replaced("/alice/", "/bob/"), "AccessDenied"),
        (replaced("/alice/", "/alic%65/"), "AccessDenied"),
        (replaced("/alice/", "/alice//"), "AccessDenied"),
        (replaced("1.webp", "1.webp\""), "AccessDenied"),
        (replaced("v=1", "v=2"), "AccessDenied"),
        (replaced("v=1&w=%20", "w=%20&v=1"), "AccessDenied"),
        (replaced("&w=%20", "&w=+"), "AccessDenied"),
        (format!("{signed}&x=y"), "AccessDenied"),
        (format!("{signed}&"), "AccessDenied"),
        (
            replaced(
                &format!("Expires={expires}"),
                &format!("Expires={}", expires + 1),
            ),
            "AccessDenied",
        ),
        (replaced("Expires=", "Expires=0"), "MalformedPolicy"),
        (replaced("Expires=", "Expires=+"), "MalformedPolicy"),
        (replaced("Expires=", "expires="), "MalformedPolicy"),
        (replaced("Signature=", "Signature=A"), "AccessDenied"),
        (replaced("Signature=", "signature="), "AccessDenied"),
        (replaced("&Hash-Algorithm=SHA256", ""), "AccessDenied"),
        (replaced("KP256", "KRSA"), "AccessDenied"),
        (replaced("KP256", "KOTHER"), "InvalidKey"),
        (replaced("KP256", "kp256"), "InvalidKey"),
        (replaced("KP256", ""), "MissingKey"),
        (replaced("Key-Pair-Id=", "key-pair-id="), "MissingKey"),
        (format!("{signed}&Key-Pair-Id=KP256"), "AccessDenied"),
        (format!("{signed}&Expires={expires}"), "AccessDenied"),
        (format!("{signed}&Signature="), "AccessDenied"),
        (format!("{signed}&Policy=e30_"), "AccessDenied"),
    ] {
        assert_eq!(get(&distribution, &url).await.code(), code, "{url}");
    }
}

#[tokio::test]
async fn every_other_byte_of_a_signature_is_refused() {
    let distribution = distribution(now());
    let signed = canned(&p256());
    let (before, rest) = signed.split_once("Signature=").unwrap();
    let (signature, after) = rest.split_once('&').unwrap();
    assert_eq!(get(&distribution, &signed).await.status, 200);
    for at in 0..signature.len() {
        for replacement in ["A", "-", "~", "_", "%41", "+", "="] {
            if &signature[at..=at] == replacement {
                continue;
            }
            let changed = format!("{}{replacement}{}", &signature[..at], &signature[at + 1..]);
            let url = format!("{before}Signature={changed}&{after}");
            let answer = get(&distribution, &url).await;
            assert_eq!(answer.code(), "AccessDenied", "{changed}");
        }
    }
    for changed in [
        format!("{signature}_"),
        format!("{signature}A"),
        format!("{signature}{signature}"),
        signature.trim_end_matches('_').to_owned() + "AA",
        String::new(),
    ] {
        let url = format!("{before}Signature={changed}&{after}");
        assert_eq!(get(&distribution, &url).await.code(), "AccessDenied");
    }
}

#[tokio::test]
async fn a_signature_is_for_its_time() {
    let expires = now().as_second() + HOUR.as_secs();
    let at = |second| distribution(Timestamp::from_second(second).unwrap());
    for key in [rsa(), p256()] {
        let canned = canned(&key);
        let start = now() + SignedDuration::from_mins(10);
        let later = Policy::below(FOLDER, HOUR).unwrap().not_before(start);
        let later = later.sign(now(), &key).unwrap().url(URL).unwrap().url;
        for (second, url, status) in [
            (expires - 1, &canned, 200),
            (expires, &canned, 403),
            (start.as_second(), &later, 403),
            (start.as_second() + 1, &later, 200),
            (start.as_second() + HOUR.as_secs(), &later, 403),
        ] {
            assert_eq!(get(&at(second), url).await.status, status, "{second}");
        }
    }
}

#[tokio::test]
async fn a_signature_is_for_its_addresses() {
    let distribution = distribution(now());
    for (addresses, status) in [
        ("127.0.0.0/8", 200),
        ("127.0.0.1", 200),
        ("192.0.2.0/24", 403),
    ] {
        let policy = Policy::for_url(URL, HOUR).unwrap();
        let policy = policy.only_from(addresses.parse().unwrap());
        let url = policy.sign(now(), &rsa()).unwrap().url(URL).unwrap().url;
        assert_eq!(get(&distribution, &url).await.status, status, "{addresses}");
    }
}

#[tokio::test]
async fn a_folder_is_not_its_neighbour() {
    let distribution = distribution(now());
    let cookies = cookies(FOLDER, &p256());
    for (url, status) in [
        ("https://media.example.org/media/alice/", 200),
        ("https://media.example.org/media/alice/a/b?c=d", 200),
        ("https://media.example.org/media/alice", 403),
        ("https://media.example.org/media/aliceX/1.webp", 403),
        ("https://media.example.org/media/bob/1.webp", 403),
        ("https://media.example.org/MEDIA/alice/1.webp", 403),
        ("https://media.example.org//media/alice/1.webp", 403),
        ("https://media.example.org/media//alice/1.webp", 403),
        ("https://media.example.org/media/%61lice/1.webp", 403),
        ("https://media.example.org/media%2Falice/1.webp", 403),
        ("https://media.example.org/x?/media/alice/1.webp", 403),
        ("https://media.example.org/media/alice/..\\bob/1.webp", 403),
        ("https://media.example.com/media/alice/1.webp", 403),
        ("https://MEDIA.example.org/media/alice/1.webp", 403),
        ("https://media.example.org:8080/media/alice/1.webp", 403),
        (
            "https://media.example.org.evil.test/media/alice/1.webp",
            403,
        ),
    ] {
        let answer = get_with(&distribution, url, &cookies).await;
        assert_eq!(answer.status, status, "{url}");
    }
    // The text of the policy's resource covers these. CloudFront sends paths to the origin as they came, and S3 has no
    // dot segments, so they are names of objects that do not exist (`paths`).
    for path in [
        "/media/alice/../bob/1.webp",
        "/media/alice/%2e%2e/bob/1.webp",
        "/media/alice/..%2Fbob/1.webp",
    ] {
        let answer = get_with(&distribution, &format!("{ORIGIN}{path}"), &cookies).await;
        assert_eq!(answer.text, path);
    }
}

#[tokio::test]
async fn the_scheme_is_that_of_the_distribution() {
    let plain = URL.replace("https://", "http://");
    let policy = Policy::for_url(&plain, HOUR).unwrap();
    let of_http = policy
        .sign(now(), &p256())
        .unwrap()
        .url(&plain)
        .unwrap()
        .url;
    let of_https = canned(&p256());
    let https = distribution(now());
    let http = distribution(now()).with_scheme("http");
    assert_eq!(get(&https, &of_https).await.status, 200);
    assert_eq!(get(&https, &of_http).await.code(), "AccessDenied");
    assert_eq!(get(&http, &of_http).await.status, 200);
    assert_eq!(get(&http, &of_https).await.code(), "AccessDenied");
}

#[tokio::test]
async fn a_query_with_a_part_of_a_signature_hides_the_cookies() {
    let distribution = distribution(now());
    let cookies = cookies(FOLDER, &p256());
    let expired = now() - SignedDuration::from_hours(2);
    let policy = Policy::for_url(URL, HOUR).unwrap();
    let old = policy.sign(expired, &p256()).unwrap().url(URL).unwrap().url;
    for (url, code) in [
        (old, "AccessDenied"),
        (format!("{URL}&Hash-Algorithm=SHA256"), "MissingKey"),
        (format!("{URL}&Expires=1"), "MissingKey"),
        (format!("{URL}&Key-Pair-Id=KP256"), "AccessDenied"),
        (format!("{URL}&x=Expires"), "200"),
        (canned(&rsa()), "200"),
    ] {
        let answer = get_with(&distribution, &url, &cookies).await;
        assert_eq!(answer.code(), code, "{url}");
    }
    let answer = get_with(&distribution, &canned(&rsa()), "CloudFront-Policy=e30_").await;
    assert_eq!(answer.status, 200);
}

#[tokio::test]
async fn cookies_that_were_changed_are_refused() {
    let distribution = distribution(now());
    let cookies = cookies(FOLDER, &p256());
    assert_eq!(get_with(&distribution, URL, &cookies).await.status, 200);
    let of_bob = self::cookies(&FOLDER.replace("alice", "bob"), &p256());
    let part = |cookies: &str, name: &str| {
        let found = cookies.split("; ").find(|cookie| cookie.starts_with(name));
        found.unwrap().to_owned()
    };
    let without = |name: &str| {
        let kept = cookies
            .split("; ")
            .filter(|cookie| !cookie.starts_with(name));
        kept.collect::<Vec<_>>().join("; ")
    };
    let policy = part(&cookies, "CloudFront-Policy");
    let policy_of_bob = part(&of_bob, "CloudFront-Policy");
    for (cookies, code) in [
        (of_bob.clone(), "AccessDenied"),
        (cookies.replace(&policy, &policy_of_bob), "AccessDenied"),
        (of_bob.replace(&policy_of_bob, &policy), "AccessDenied"),
        (without("CloudFront-Policy"), "MalformedPolicy"),
        (without("CloudFront-Signature"), "AccessDenied"),
        (without("CloudFront-Hash-Algorithm"), "AccessDenied"),
        (without("CloudFront-Key-Pair-Id"), "MissingKey"),
        (
            cookies.replace("CloudFront-Policy=", "CloudFront-Policy=%"),
            "MalformedPolicy",
        ),
        (cookies.replace("CloudFront-", "cloudfront-"), "MissingKey"),
        (cookies.replace("CloudFront-", ""), "MissingKey"),
        (
            format!("{cookies}; CloudFront-Expires=2000000000"),
            "AccessDenied",
        ),
        // Browsers send the cookies of the longer path first, and AWS does not say which of two CloudFront takes.
        (format!("{cookies}; {of_bob}"), "AccessDenied"),
        (format!("{of_bob}; {cookies}"), "AccessDenied"),
        (
            format!("{cookies}; CloudFront-Key-Pair-Id=KP256"),
            "AccessDenied",
        ),
    ] {
        let answer = get_with(&distribution, URL, &cookies).await;
        assert_eq!(answer.code(), code, "{cookies}");
    }
}

#[tokio::test]
async fn a_request_names_one_host() {
    let distribution = distribution(now());
    let signed = canned(&p256());
    let host = ("host", "media.example.org");
    for (headers, status) in [
        (&[host][..], 200),
        (&[host, host], 403),
        (&[host, ("host", "evil.test")], 403),
        (&[("host", "")], 403),
        (
            &[
                ("host", "media.example.org."),
                ("x-forwarded-host", "media.example.org"),
            ],
            403,
        ),
    ] {
        let answer = request(&distribution, Method::GET, &signed, headers).await;
        assert_eq!(answer.status, status, "{headers:?}");
    }
    // A request to a proxy names the host in its first line.
    for (authority, status) in [("media.example.org", 200), ("evil.test", 403)] {
        let uri = signed.replacen("media.example.org", authority, 1);
        let request = Request::builder().uri(uri).header(host.0, host.1);
        let request = request.body(axum::body::Body::empty()).unwrap();
        assert_eq!(distribution.answer(request).await.status(), status);
    }
}

#[tokio::test]
async fn the_signature_is_checked_before_the_viewer_request_function() {
    let calls = Arc::new(AtomicUsize::new(0));
    let counted = calls.clone();
    let behaviour = Behaviour::new("*", echo())
        .with_trusted_keys(keys())
        .with_viewer_request(move |request| {
            counted.fetch_add(1, Ordering::Relaxed);
            async move { Decision::Forward(Box::new(Forward::new(request.head))) }
        });
    let distribution = Distribution::new("cloudfront", vec![behaviour]).with_clock(now);
    assert_eq!(get(&distribution, URL).await.status, 403);
    assert_eq!(calls.load(Ordering::Relaxed), 0);
    assert_eq!(get(&distribution, &canned(&p256())).await.status, 200);
    assert_eq!(calls.load(Ordering::Relaxed), 1);
}
