//! One URL, a folder or a pattern: which policy is signed, and what it covers.

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1, RSA_PKCS1_2048_8192_SHA256, VerificationAlgorithm,
};
use jiff::SignedDuration;
use url_signing::cloudfront::{AddressRange, KeyPair, Policy};
use url_signing::{SigningError, Violation};

use super::{FOLDER, ID, P256, QUARTER, RSA, URL, at, decoded, now, parameter, rsa, verifies};

#[test]
fn one_url_has_a_canned_policy() {
    for (pem, algorithm, public) in [
        (
            RSA,
            &RSA_PKCS1_2048_8192_SHA256 as &'static dyn VerificationAlgorithm,
            include_str!("../../keys/rsa-public.pem"),
        ),
        (
            include_str!("../../keys/rsa-pkcs1.pem"),
            &RSA_PKCS1_2048_8192_SHA256,
            include_str!("../../keys/rsa-public.pem"),
        ),
        (
            P256,
            &ECDSA_P256_SHA256_ASN1,
            include_str!("../../keys/p256-public.pem"),
        ),
        (
            include_str!("../../keys/p256-pkcs8.pem"),
            &ECDSA_P256_SHA256_ASN1,
            include_str!("../../keys/p256-public.pem"),
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
        include_str!("../../keys/rsa-public.pem"),
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
        assert_eq!(
            signed.url(url),
            Err(SigningError::Url(Violation::NotCovered))
        );
    }
    let one = Policy::for_url(URL, QUARTER).unwrap();
    let one = one.sign(now(), &rsa()).unwrap();
    assert_eq!(
        one.url(&format!("{URL}?v=1")),
        Err(SigningError::Url(Violation::NotCovered))
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
