//! `CloudFront`'s signed URLs and cookies, verified with public keys that OpenSSL derived, and every refusal. `peers`
//! shows that the SDK for JavaScript signs the same bytes.

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1, RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey, VerificationAlgorithm,
};
use data_encoding::BASE64;
use jiff::{SignedDuration, Timestamp};
use rustls_pki_types::SubjectPublicKeyInfoDer;
use rustls_pki_types::pem::PemObject as _;
use url_signing::cloudfront::{
    AddressRange, CookieAttributes, KeyPair, Policy, SameSite, SignedCookies,
};
use url_signing::{Rule, SigningError};

const ID: &str = "K2JCJMDEHXQW5F";
const RSA: &str = include_str!("../keys/rsa-pkcs8.pem");
const P256: &str = include_str!("../keys/p256-sec1.pem");
const URL: &str = "https://d111111abcdef8.cloudfront.net/media/k5x/640.webp";
const FOLDER: &str = "https://d111111abcdef8.cloudfront.net/media/k5x/";
const QUARTER: SignedDuration = SignedDuration::from_mins(15);

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn now() -> Timestamp {
    at("2026-11-25T12:00:00.9Z")
}

fn rsa() -> KeyPair {
    KeyPair::from_pem(ID, RSA).unwrap()
}

/// A parameter of a signed URL.
fn parameter<'a>(url: &'a str, name: &str) -> Option<&'a str> {
    let query = url.split_once('?').map_or("", |(_, query)| query);
    query.split('&').find_map(|pair| {
        let (found, value) = pair.split_once('=')?;
        (found == name).then_some(value)
    })
}

fn decoded(text: &str) -> Vec<u8> {
    let base64 = text.replace('-', "+").replace('_', "=").replace('~', "/");
    BASE64.decode(base64.as_bytes()).unwrap()
}

fn verifies(algorithm: &'static dyn VerificationAlgorithm, pem: &str, text: &str, signature: &str) {
    let key = SubjectPublicKeyInfoDer::from_pem_slice(pem.as_bytes()).unwrap();
    UnparsedPublicKey::new(algorithm, key.as_ref())
        .verify(text.as_bytes(), &decoded(signature))
        .unwrap();
}

#[test]
fn one_url_has_a_canned_policy() {
    for (pem, algorithm, public) in [
        (
            RSA,
            &RSA_PKCS1_2048_8192_SHA256 as &'static dyn VerificationAlgorithm,
            include_str!("../keys/rsa-public.pem"),
        ),
        (
            include_str!("../keys/rsa-pkcs1.pem"),
            &RSA_PKCS1_2048_8192_SHA256,
            include_str!("../keys/rsa-public.pem"),
        ),
        (
            P256,
            &ECDSA_P256_SHA256_ASN1,
            include_str!("../keys/p256-public.pem"),
        ),
        (
            include_str!("../keys/p256-pkcs8.pem"),
            &ECDSA_P256_SHA256_ASN1,
            include_str!("../keys/p256-public.pem"),
        ),
    ] {
        let key = KeyPair::from_pem(ID, pem).unwrap();
        for url in [URL, "https://d111111abcdef8.cloudfront.net/a?v=1&w=%2A"] {
            let policy = Policy::for_url(url, QUARTER).unwrap();
            let signed = policy.sign(now(), &key).unwrap().url(url).unwrap();
            assert_eq!(signed.expires_at, at("2026-11-25T12:15:00Z"));
            let end = signed.expires_at.as_second();
            let separator = if url.contains('?') { '&' } else { '?' };
            let begin = format!("{url}{separator}Expires={end}&Key-Pair-Id={ID}&Signature=");
            assert!(signed.url.starts_with(&begin), "{}", signed.url);
            assert!(signed.url.ends_with("&Hash-Algorithm=SHA256"));
            // AWS, "Create a signed URL using a canned policy": this text, without white space.
            let text = format!(
                r#"{{"Statement":[{{"Resource":"{url}","Condition":{{"DateLessThan":{{"AWS:EpochTime":{end}}}}}}}]}}"#
            );
            verifies(
                algorithm,
                public,
                &text,
                parameter(&signed.url, "Signature").unwrap(),
            );
            // Deterministic, so caches can reuse it.
            let again = policy.sign(now(), &key).unwrap().url(url).unwrap();
            assert_eq!(signed, again);
        }
    }
}

#[test]
fn everything_else_has_a_custom_policy() {
    let range: AddressRange = "192.0.2.0/24".parse().unwrap();
    let policy = Policy::below(FOLDER, QUARTER)
        .unwrap()
        .not_before(at("2026-11-25T12:05:00Z"))
        .only_from(range);
    let signed = policy.sign(now(), &rsa()).unwrap();
    let url = signed.url(URL).unwrap();
    let text = String::from_utf8(decoded(parameter(&url.url, "Policy").unwrap())).unwrap();
    assert_eq!(
        text,
        r#"{"Statement":[{"Resource":"https://d111111abcdef8.cloudfront.net/media/k5x/*","Condition":{"DateLessThan":{"AWS:EpochTime":1795609200},"DateGreaterThan":{"AWS:EpochTime":1795608300},"IpAddress":{"AWS:SourceIp":"192.0.2.0/24"}}}]}"#
    );
    assert_eq!(parameter(&url.url, "Expires"), None);
    verifies(
        &RSA_PKCS1_2048_8192_SHA256,
        include_str!("../keys/rsa-public.pem"),
        &text,
        parameter(&url.url, "Signature").unwrap(),
    );

    // One signature for everything that it covers, and for nothing else.
    let other = signed.url(&format!("{FOLDER}a/b.webp?v=2")).unwrap();
    assert_eq!(
        parameter(&other.url, "Signature"),
        parameter(&url.url, "Signature")
    );
    for url in [
        "https://d111111abcdef8.cloudfront.net/media/k5xy/640.webp",
        "https://d111111abcdef8.cloudfront.net/",
        "https://d222222abcdef8.cloudfront.net/media/k5x/640.webp",
        "http://d111111abcdef8.cloudfront.net/media/k5x/640.webp",
    ] {
        assert_eq!(signed.url(url), Err(SigningError::Url(Rule::NotCovered)));
    }
    let one = Policy::for_url(URL, QUARTER).unwrap();
    let one = one.sign(now(), &rsa()).unwrap();
    assert_eq!(
        one.url(&format!("{URL}?v=1")),
        Err(SigningError::Url(Rule::NotCovered))
    );
}

#[test]
fn a_window_shares_one_url_that_lasts_the_lifetime() {
    let policy = Policy::for_url(URL, QUARTER)
        .unwrap()
        .shared_within(SignedDuration::from_mins(5));
    let url = |time: &str| {
        let signed = policy.sign(at(time), &rsa()).unwrap();
        signed.url(URL).unwrap()
    };
    let first = url("2026-11-25T12:00:00Z");
    let last = url("2026-11-25T12:04:59.999Z");
    assert_eq!(first, last);
    assert_eq!(first.expires_at, at("2026-11-25T12:20:00Z"));
    let next = url("2026-11-25T12:05:00Z");
    assert_ne!(first.url, next.url);
    assert_eq!(next.expires_at, at("2026-11-25T12:25:00Z"));
    let before = url("2026-11-25T11:59:59Z");
    assert_eq!(before.expires_at, at("2026-11-25T12:15:00Z"));
}

#[test]
fn cookies_are_safe_by_default() {
    let signed = Policy::below(FOLDER, QUARTER).unwrap();
    let signed = signed.sign(now(), &rsa()).unwrap();
    let cookies = signed.cookies(&CookieAttributes::default()).unwrap();
    let names: Vec<_> = cookies.cookies.iter().map(|(name, _)| *name).collect();
    assert_eq!(
        names,
        [
            "CloudFront-Policy",
            "CloudFront-Key-Pair-Id",
            "CloudFront-Signature",
            "CloudFront-Hash-Algorithm"
        ]
    );
    for (line, (name, value)) in cookies.set_cookie().iter().zip(&cookies.cookies) {
        assert_eq!(
            *line,
            format!(
                "{name}={value}; Path=/media/k5x/; Max-Age=900; Secure; HttpOnly; SameSite=Lax"
            )
        );
        assert!(line.len() < 4096);
    }
    let shared = CookieAttributes {
        path: Some("/".to_owned()),
        domain: Some("d111111abcdef8.cloudfront.net".to_owned()),
        same_site: SameSite::None,
    };
    let lines = signed.cookies(&shared).unwrap().set_cookie();
    assert!(lines.iter().all(|line| {
        line.ends_with("; Path=/; Domain=d111111abcdef8.cloudfront.net; Max-Age=900; Secure; HttpOnly; SameSite=None")
    }));
    let removal = SignedCookies::removal("/media/k5x/", &CookieAttributes::default()).unwrap();
    assert_eq!(removal.len(), 5);
    assert_eq!(
        removal[0],
        "CloudFront-Expires=; Path=/media/k5x/; Max-Age=0; Secure; HttpOnly; SameSite=Lax"
    );
    let canned = Policy::for_url(URL, QUARTER).unwrap();
    let canned = canned.sign(now(), &rsa()).unwrap();
    let cookies = canned.cookies(&CookieAttributes::default()).unwrap();
    assert_eq!(
        cookies.cookies[0],
        ("CloudFront-Expires", "1795608900".to_owned())
    );

    for (path, domain, name) in [
        ("media", None, "Path"),
        ("/a;Domain=evil.example", None, "Path"),
        ("/a\r\nSet-Cookie: a=b", None, "Path"),
        ("/", Some("example"), "Domain"),
        ("/", Some("a.example; Path=/"), "Domain"),
    ] {
        let attributes = CookieAttributes {
            path: Some(path.to_owned()),
            domain: domain.map(str::to_owned),
            ..CookieAttributes::default()
        };
        assert!(
            matches!(signed.cookies(&attributes), Err(SigningError::CookieAttribute { name: found, .. }) if found == name),
            "{path} {domain:?}"
        );
    }
}

#[test]
fn urls_that_browsers_would_change_are_refused() {
    let characters = Rule::Characters(
        "the characters of RFC 3986 for a path and a query; percent-encode the rest",
    );
    let octet = Rule::Characters("a % before two hexadecimal digits");
    for (url, rule) in [
        ("d111.cloudfront.net/a", Rule::NotUrl),
        ("https://d111.cloudfront.net", Rule::NotUrl),
        ("https:///a", Rule::NotUrl),
        ("https://D111.cloudfront.net/a", Rule::NotUrl),
        ("https://u:p@d111.cloudfront.net/a", Rule::NotUrl),
        ("https://*.cloudfront.net/a", Rule::NotUrl),
        ("ftp://d111.cloudfront.net/a", Rule::NotUrl),
        ("https://h.example:443/a", Rule::DefaultPort),
        ("http://h.example:80/a", Rule::DefaultPort),
        ("http://h.example:+80/a", Rule::Port),
        ("https://h.example:+8443/a", Rule::Port),
        ("https://h.example:08443/a", Rule::Port),
        ("https://h.example:0/a", Rule::Port),
        ("https://h.example:65536/a", Rule::Port),
        ("https://h.example:/a", Rule::Port),
        ("https://h.example/a b", characters),
        ("https://h.example/ä", characters),
        ("https://h.example/a#b", characters),
        ("https://h.example/a\"b", characters),
        ("https://h.example/a\\b", characters),
        ("https://h.example/a?b='c'", characters),
        ("https://h.example/a%2", octet),
        ("https://h.example/%zz", octet),
        ("https://h.example/a/../b", Rule::DotSegment),
        ("https://h.example/a/%2E%2e/b", Rule::DotSegment),
        ("https://h.example/a*", Rule::Wildcard),
        ("https://h.example/a?b=*", Rule::Wildcard),
        ("https://h.example/a?b?c", Rule::Wildcard),
        (
            "https://h.example/a?Expires=1",
            Rule::ReservedParameter("Expires"),
        ),
        (
            "https://h.example/a?x=1&Signature=abc",
            Rule::ReservedParameter("Signature"),
        ),
        (
            "https://h.example/a?%50olicy=abc",
            Rule::ReservedParameter("Policy"),
        ),
        (
            "https://h.example/a?Key-Pair-Id",
            Rule::ReservedParameter("Key-Pair-Id"),
        ),
        (
            "https://h.example/a?Hash-Algorithm=SHA1",
            Rule::ReservedParameter("Hash-Algorithm"),
        ),
    ] {
        assert_eq!(
            Policy::for_url(url, QUARTER),
            Err(SigningError::Url(rule)),
            "{url}"
        );
    }
    for folder in ["https://h.example/media/k5x", "https://h.example/a?b/"] {
        assert_eq!(
            Policy::below(folder, QUARTER),
            Err(SigningError::Url(Rule::NotFolder))
        );
    }
    for pattern in ["*", "https://*/a", "http*://h.example/*"] {
        assert_eq!(
            Policy::matching(pattern, QUARTER),
            Err(SigningError::Url(Rule::NotUrl))
        );
    }
    assert!(Policy::matching("https://h.example/*/640.webp?v=?", QUARTER).is_ok());
}

#[test]
fn a_key_signs_the_same_in_every_transport_form() {
    let signature = |key: &KeyPair| {
        let policy = Policy::for_url(URL, QUARTER).unwrap();
        policy.sign(now(), key).unwrap().url(URL).unwrap().url
    };
    for pem in [
        RSA,
        P256,
        include_str!("../keys/rsa-pkcs1.pem"),
        include_str!("../keys/p256-pkcs8.pem"),
    ] {
        let expected = signature(&KeyPair::from_pem(ID, pem).unwrap());
        let indented: Vec<_> = pem.lines().map(|line| format!("    {line}")).collect();
        for (how, text) in [
            ("\\n as two characters", pem.replace('\n', "\\n")),
            ("in quotation marks", format!("\"{pem}\"")),
            ("indented", indented.join("\n")),
            ("with a byte order mark", format!("\u{feff}{pem}")),
            ("with CRLF", pem.replace('\n', "\r\n")),
            ("on one line", pem.replace('\n', " ")),
        ] {
            let key = KeyPair::from_pem(ID, &text);
            let key = key.unwrap_or_else(|error| panic!("{how}: {error}"));
            assert_eq!(signature(&key), expected, "{how}");
        }
    }
}

#[test]
fn keys_and_times_and_addresses_refused() {
    for (pem, reason) in [
        (
            include_str!("../keys/refused-rsa-1024.pem"),
            "CloudFront takes RSA of 2048 bits and ECDSA on P-256 only",
        ),
        (
            include_str!("../keys/refused-p384.pem"),
            "CloudFront takes RSA of 2048 bits and ECDSA on P-256 only",
        ),
        (
            include_str!("../keys/refused-encrypted.pem"),
            "it is encrypted; decrypt it first, with openssl pkey -in FILE",
        ),
        (
            include_str!("../keys/rsa-public.pem"),
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
fn a_cookies_domain_covers_the_policys_host() {
    for (url, domain, is_covered) in [
        ("https://media.example.com/a/", "media.example.com", true),
        ("https://media.example.com/a/", "example.com", true),
        ("https://media.example.com:8443/a/", "example.com", true),
        ("https://media.example.com/a/", "ample.com", false),
        ("https://media.example.com/a/", "other.example.com", false),
        ("https://media.example.com/a/", "a.media.example.com", false),
        ("https://example.com/a/", "example.com", true),
        ("https://notexample.com/a/", "example.com", false),
    ] {
        let signed = Policy::below(url, QUARTER).unwrap();
        let attributes = CookieAttributes {
            domain: Some(domain.to_owned()),
            ..CookieAttributes::default()
        };
        let cookies = signed.sign(now(), &rsa()).unwrap().cookies(&attributes);
        let expected = SigningError::CookieAttribute {
            name: "Domain",
            rule: Rule::NotHost,
        };
        assert_eq!(
            cookies.err(),
            (!is_covered).then_some(expected),
            "{url} {domain}"
        );
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
