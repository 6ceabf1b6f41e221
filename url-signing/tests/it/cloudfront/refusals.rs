//! URLs, keys, times and lengths that `CloudFront` or a browser would refuse or change.

use jiff::{SignedDuration, Timestamp};
use url_signing::cloudfront::{AddressRange, CookieAttributes, KeyPair, Policy};
use url_signing::{SigningError, Violation};

use super::{ID, QUARTER, RSA, URL, at, now, rsa};

#[test]
fn urls_that_browsers_would_change_are_refused() {
    let characters = Violation::Characters(
        "the characters of RFC 3986 for a path and a query; percent-encode the rest",
    );
    let octet = Violation::Characters("a % before two hexadecimal digits");
    for (url, violation) in [
        ("d111.cloudfront.net/a", Violation::NotUrl),
        ("https://d111.cloudfront.net", Violation::NotUrl),
        ("https:///a", Violation::NotUrl),
        ("https://D111.cloudfront.net/a", Violation::NotUrl),
        ("https://u:p@d111.cloudfront.net/a", Violation::NotUrl),
        ("https://*.cloudfront.net/a", Violation::NotUrl),
        ("ftp://d111.cloudfront.net/a", Violation::NotUrl),
        ("https://h.example:443/a", Violation::DefaultPort),
        ("http://h.example:80/a", Violation::DefaultPort),
        ("http://h.example:+80/a", Violation::Port),
        ("https://h.example:+8443/a", Violation::Port),
        ("https://h.example:08443/a", Violation::Port),
        ("https://h.example:0/a", Violation::Port),
        ("https://h.example:65536/a", Violation::Port),
        ("https://h.example:/a", Violation::Port),
        ("https://h.example/a b", characters),
        ("https://h.example/ä", characters),
        ("https://h.example/a#b", characters),
        ("https://h.example/a\"b", characters),
        ("https://h.example/a\\b", characters),
        ("https://h.example/a?b='c'", characters),
        ("https://h.example/a%2", octet),
        ("https://h.example/%zz", octet),
        ("https://h.example/a/../b", Violation::DotSegment),
        ("https://h.example/a/%2E%2e/b", Violation::DotSegment),
        ("https://h.example/a*", Violation::Wildcard),
        ("https://h.example/a?b=*", Violation::Wildcard),
        ("https://h.example/a?b?c", Violation::Wildcard),
        (
            "https://h.example/a?Expires=1",
            Violation::ReservedParameter("Expires"),
        ),
        (
            "https://h.example/a?x=1&Signature=abc",
            Violation::ReservedParameter("Signature"),
        ),
        (
            "https://h.example/a?%50olicy=abc",
            Violation::ReservedParameter("Policy"),
        ),
        (
            "https://h.example/a?Key-Pair-Id",
            Violation::ReservedParameter("Key-Pair-Id"),
        ),
        (
            "https://h.example/a?Hash-Algorithm=SHA1",
            Violation::ReservedParameter("Hash-Algorithm"),
        ),
    ] {
        assert_eq!(
            Policy::for_url(url, QUARTER),
            Err(SigningError::Url(violation)),
            "{url}"
        );
    }
    for folder in ["https://h.example/media/k5x", "https://h.example/a?b/"] {
        assert_eq!(
            Policy::below(folder, QUARTER),
            Err(SigningError::Url(Violation::NotFolder))
        );
    }
    for pattern in ["*", "https://*/a", "http*://h.example/*"] {
        assert_eq!(
            Policy::matching(pattern, QUARTER),
            Err(SigningError::Url(Violation::NotUrl))
        );
    }
    assert!(Policy::matching("https://h.example/*/640.webp?v=?", QUARTER).is_ok());
}

#[test]
fn keys_and_times_and_addresses_refused() {
    for (pem, reason) in [
        (
            include_str!("../../keys/refused-rsa-1024.pem"),
            "CloudFront takes RSA of 2048 bits and ECDSA on P-256 only",
        ),
        (
            include_str!("../../keys/refused-p384.pem"),
            "CloudFront takes RSA of 2048 bits and ECDSA on P-256 only",
        ),
        (
            include_str!("../../keys/refused-encrypted.pem"),
            "it is encrypted; decrypt it first, with openssl pkey -in FILE",
        ),
        (
            include_str!("../../keys/rsa-public.pem"),
            "it has no line -----BEGIN … PRIVATE KEY-----; pass a private key in PEM",
        ),
        (
            "-----BEGIN PRIVATE KEY-----\nM;I\n-----END PRIVATE KEY-----",
            "it is not valid PEM of PKCS#8, PKCS#1 or SEC1",
        ),
        (
            "",
            "it has no line -----BEGIN … PRIVATE KEY-----; pass a private key in PEM",
        ),
    ] {
        let refused = KeyPair::from_pem(ID, pem).unwrap_err();
        assert_eq!(refused, SigningError::PrivateKey { reason });
    }
    for id in ["", "K2&Policy=x", "K2\r\n"] {
        let refused = KeyPair::from_pem(id, RSA);
        assert!(
            matches!(refused, Err(SigningError::KeyPairId { .. })),
            "{id}"
        );
    }
    assert_eq!(
        format!("{:?}", rsa()),
        r#"KeyPair { id: "K2JCJMDEHXQW5F", .. }"#
    );
    for lifetime in [
        SignedDuration::ZERO,
        SignedDuration::from_millis(999),
        SignedDuration::from_secs(-1),
    ] {
        let refused = Policy::for_url(URL, lifetime).unwrap().sign(now(), &rsa());
        assert!(matches!(
            refused,
            Err(SigningError::ExpiryNotInFuture { .. })
        ));
    }
    // The lifetime starts at the not-before moment.
    let later = Policy::for_url(URL, QUARTER)
        .unwrap()
        .not_before(at("2026-11-26T12:00:00Z"));
    assert_eq!(
        later.sign(now(), &rsa()).unwrap().expires_at(),
        at("2026-11-26T12:15:00Z")
    );
    for (text, range) in [
        ("192.0.2.7", Some("192.0.2.7/32")),
        ("0.0.0.0/0", Some("0.0.0.0/0")),
        ("10.0.0.0/8", Some("10.0.0.0/8")),
        ("192.0.2.7/24", None),
        ("192.0.2.0/33", None),
        ("192.0.2.0/+8", None),
        ("192.0.2.0/", None),
        ("2001:db8::/32", None),
        ("::1", None),
        ("", None),
    ] {
        let parsed = text.parse::<AddressRange>().ok();
        assert_eq!(
            parsed.map(|range| range.to_string()).as_deref(),
            range,
            "{text}"
        );
    }
    let signed = Policy::for_url(URL, QUARTER).unwrap();
    let signed = signed.sign(now(), &rsa()).unwrap();
    assert!(!format!("{signed:?}").contains("Signature"));
}

#[test]
fn what_would_be_cut_off_is_refused() {
    let of = |bytes: usize| {
        let url = format!("https://h.example/{}", "a".repeat(bytes));
        let policy = Policy::below(&format!("{url}/"), QUARTER).unwrap();
        (policy.sign(now(), &rsa()), url + "/x")
    };
    // The policy alone, the URL with it, and the cookie of it.
    let (too_long, _) = of(8100);
    assert!(
        matches!(
            too_long,
            Err(SigningError::TooLong {
                what: "policy",
                bytes: 8193..,
                max: 8192
            })
        ),
        "{too_long:?}"
    );
    let (signed, url) = of(4000);
    let refused = signed.unwrap().url(&url);
    assert!(
        matches!(
            refused,
            Err(SigningError::TooLong {
                what: "signed URL",
                max: 8192,
                ..
            })
        ),
        "{refused:?}"
    );
    for (bytes, is_refused) in [(1000, false), (3000, true)] {
        let (signed, url) = of(bytes);
        let signed = signed.unwrap();
        assert!(signed.url(&url).is_ok() || is_refused, "{bytes}");
        let attributes = CookieAttributes {
            path: Some("/".to_owned()),
            ..CookieAttributes::default()
        };
        match signed.cookies(&attributes) {
            Ok(cookies) => {
                assert!(!is_refused, "{bytes}");
                assert!(cookies.set_cookie().iter().all(|line| line.len() <= 4096));
            }
            Err(error) => {
                assert!(is_refused, "{bytes}");
                assert!(
                    matches!(
                        error,
                        SigningError::TooLong {
                            what: "cookie",
                            max: 4096,
                            ..
                        }
                    ),
                    "{error:?}"
                );
            }
        }
    }
}

#[test]
fn times_that_cloudfront_does_not_read_are_refused() {
    // CloudFront reads 31 bits of seconds since 1970.
    let last = at("2038-01-19T03:14:07Z");
    let until = |moment: Timestamp| moment.duration_since(at("2026-11-25T12:00:00Z"));
    for (lifetime, not_before, time, refused) in [
        (until(last), None, now(), None),
        (
            until(last) + SignedDuration::from_secs(1),
            None,
            now(),
            Some("2038-01-19T03:14:08Z"),
        ),
        (
            SignedDuration::MAX,
            None,
            now(),
            Some("9999-12-30T22:00:00.999999999Z"),
        ),
        (
            QUARTER,
            Some("2038-01-19T03:14:07Z"),
            now(),
            Some("2038-01-19T03:29:07Z"),
        ),
        (
            QUARTER,
            Some("2038-01-19T03:14:08Z"),
            now(),
            Some("2038-01-19T03:14:08Z"),
        ),
        (QUARTER, Some("1970-01-01T00:00:00Z"), now(), None),
        (
            QUARTER,
            Some("1969-12-31T23:59:59Z"),
            now(),
            Some("1969-12-31T23:59:59Z"),
        ),
        (
            QUARTER,
            None,
            at("1969-12-31T23:44:59Z"),
            Some("1969-12-31T23:59:59Z"),
        ),
        (QUARTER, None, at("1969-12-31T23:45:00Z"), None),
    ] {
        let mut policy = Policy::for_url(URL, lifetime).unwrap();
        if let Some(moment) = not_before {
            policy = policy.not_before(at(moment));
        }
        let signed = policy.sign(time, &rsa()).map(|_| ());
        let expected = refused.map(|moment| SigningError::CloudFrontTime { moment: at(moment) });
        assert_eq!(signed.err(), expected, "{lifetime:?} {not_before:?} {time}");
    }
}
