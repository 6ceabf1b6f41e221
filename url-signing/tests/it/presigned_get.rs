//! Presigned URLs, through the public interface.

use jiff::{SignedDuration, Timestamp};
use url_signing::{Bucket, Credentials, PresignedGet, ResponseHeader, SigningError};

const MINUTE: SignedDuration = SignedDuration::from_mins(1);

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn credentials(session: Option<(&str, &str)>) -> Credentials {
    Credentials {
        access_key_id: "AKIAIOSFODNN7EXAMPLE".to_owned(),
        secret_access_key: "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY".into(),
        session_token: session.map(|(token, _)| token.into()),
        expires_at: session.map(|(_, end)| at(end)),
    }
}

fn bucket() -> Bucket {
    Bucket::new("example-media", "eu-central-1").unwrap()
}

fn get(key: &str) -> PresignedGet {
    PresignedGet::new(&bucket(), key, 15 * MINUTE).unwrap()
}

#[test]
fn the_url_names_the_object_as_s3_reads_it() {
    let now = at("2026-11-24T12:00:00.9Z");
    let endpoint = |url| Bucket::at_endpoint("example-media", "eu-central-1", url).unwrap();
    for (bucket, key, expected) in [
        (
            bucket(),
            "media/k5x/640.webp",
            "https://example-media.s3.eu-central-1.amazonaws.com/media/k5x/640.webp?",
        ),
        (
            bucket(),
            "a b/+&=?#%/\u{e4}//~",
            "https://example-media.s3.eu-central-1.amazonaws.com/a%20b/%2B%26%3D%3F%23%25/%C3%A4//~?",
        ),
        (
            Bucket::new("example.media", "eu-central-1").unwrap(),
            "x",
            "https://s3.eu-central-1.amazonaws.com/example.media/x?",
        ),
        (
            endpoint("http://127.0.0.1:9000"),
            "x",
            "http://127.0.0.1:9000/example-media/x?",
        ),
        // Browsers omit the default port from `Host`.
        (
            endpoint("https://S3.example.com:443"),
            "x",
            "https://s3.example.com/example-media/x?",
        ),
    ] {
        let signed = PresignedGet::new(&bucket, key, 15 * MINUTE)
            .unwrap()
            .sign(now, &credentials(None))
            .unwrap();
        assert!(signed.url.starts_with(expected), "{}", signed.url);
        assert_eq!(signed.expires_at, at("2026-11-24T12:15:00Z"));
    }
}

#[test]
fn a_window_shares_one_url_that_lasts_the_lifetime() {
    let window = 5 * MINUTE;
    let shared = get("x").shared_within(window);
    let first = shared
        .sign(at("2026-11-24T12:00:00Z"), &credentials(None))
        .unwrap();
    assert!(first.url.contains("&X-Amz-Expires=1200&"), "{}", first.url);
    for now in [
        "2026-11-24T12:00:00.5Z",
        "2026-11-24T12:02:11Z",
        "2026-11-24T12:04:59.999Z",
    ] {
        let again = shared.sign(at(now), &credentials(None)).unwrap();
        assert_eq!(again.url, first.url, "{now}");
        assert!(again.expires_at - at(now) >= 15 * MINUTE);
    }
    let next = shared
        .sign(at("2026-11-24T12:05:00Z"), &credentials(None))
        .unwrap();
    assert_ne!(next.url, first.url);
    assert_eq!(next.expires_at - first.expires_at, window);
    // A window across midnight is scoped to the day on which it began.
    let late = get("x").shared_within(SignedDuration::from_hours(7));
    let late = late.sign(at("1970-01-02T00:30:00Z"), &credentials(None));
    assert!(late.unwrap().url.contains("19700101%2Feu-central-1"));
}

#[test]
fn a_url_never_outlives_its_credentials() {
    let now = at("2026-11-24T12:00:00Z");
    let ending = |end| credentials(Some(("token/+=", end)));
    // The window may extend beyond them; the requested lifetime must not.
    let shared = get("x").shared_within(5 * MINUTE);
    let signed = shared.sign(now, &ending("2026-11-24T12:16:00Z")).unwrap();
    assert_eq!(signed.expires_at, at("2026-11-24T12:16:00Z"));
    assert!(signed.url.contains("&X-Amz-Security-Token=token%2F%2B%3D&"));
    assert!(matches!(
        shared.sign(now, &ending("2026-11-24T12:14:59Z")),
        Err(SigningError::ExpiryPastCredentials { .. })
    ));
    let clamped = get("x").clamp_to_credentials();
    let signed = clamped
        .sign(now, &ending("2026-11-24T12:14:59.7Z"))
        .unwrap();
    assert_eq!(signed.expires_at, at("2026-11-24T12:14:59Z"));
    assert!(matches!(
        clamped.sign(now, &ending("2026-11-24T12:00:00Z")),
        Err(SigningError::CredentialsExpired { .. })
    ));
}

#[test]
fn response_headers_can_be_overridden() {
    let signed = get("x")
        .response_header(
            ResponseHeader::ContentDisposition,
            "attachment; filename=\"a b.webp\"",
        )
        .unwrap()
        .response_header(ResponseHeader::CacheControl, "private, max-age=900")
        .unwrap()
        .version_id("3sL4kqtJlcpXroDTDmJ+rmSpXd3dIbrHY+MTRCxf3vjVBH40Nr8X8gdRQBpUMLUo")
        .unwrap()
        .sign(at("2026-11-24T12:00:00Z"), &credentials(None))
        .unwrap();
    let query = signed.url.split_once('?').unwrap().1;
    let names: Vec<_> = query
        .split('&')
        .map(|pair| pair.split_once('=').unwrap().0)
        .collect();
    assert!(names[..8].is_sorted(), "{names:?}");
    assert_eq!(names[8], "X-Amz-Signature");
    assert!(
        query.contains("response-content-disposition=attachment%3B%20filename%3D%22a%20b.webp%22&")
    );
    // A link can be stored for a day, but its text must never be logged.
    assert_eq!(
        format!("{signed:?}"),
        "PresignedUrl { expires_at: 2026-11-24T12:15:00Z, .. }"
    );
}

#[test]
fn invalid_requests_are_refused() {
    let now = at("2026-11-24T12:00:00Z");
    for key in ["", "a/../b", ".", "a/.", &"x".repeat(1025)] {
        let refused = PresignedGet::new(&bucket(), key, MINUTE);
        assert!(matches!(refused, Err(SigningError::Key { .. })), "{key}");
    }
    for value in ["", "a\nb", "\u{e4}", " a"] {
        let refused = get("x").response_header(ResponseHeader::ContentType, value);
        assert!(
            matches!(refused, Err(SigningError::FieldValue { .. })),
            "{value}"
        );
    }
    let twice = get("x").version_id("1").unwrap().version_id("2");
    assert!(matches!(twice, Err(SigningError::DuplicateField { .. })));
    let week = SignedDuration::from_hours(7 * 24);
    for (lifetime, window, is_good) in [
        (week, SignedDuration::ZERO, true),
        (week, SignedDuration::from_secs(1), false),
        (week - MINUTE, MINUTE, true),
        (SignedDuration::ZERO, MINUTE, false),
        (MINUTE, -MINUTE, false),
        (SignedDuration::MAX, SignedDuration::MAX, false),
    ] {
        let signed = PresignedGet::new(&bucket(), "x", lifetime)
            .unwrap()
            .shared_within(window)
            .sign(now, &credentials(None));
        assert_eq!(signed.is_ok(), is_good, "{lifetime} {window}: {signed:?}");
    }
}
