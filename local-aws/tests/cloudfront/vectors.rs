//! Signatures that OpenSSL made over AWS's example policies with the keys of `tests/keys`: no code of this repository
//! has signed them.
//!
//! `printf %s "$POLICY" | openssl dgst -sha1 -sign rsa.pem | base64 -w0 | tr '+=/' '-_~'`

use axum::Router;
use axum::http::Method;
use jiff::Timestamp;
use local_aws::cloudfront::{Behaviour, Distribution, KeyGroup, Origin};

use crate::viewer::{get, request};

const RSA: &str = include_str!("../keys/rsa-public.pem");
const P256: &str = include_str!("../keys/p256-public.pem");

/// AWS, "Create a signed URL using a canned policy": until January 1, 2026, 18:00 UTC.
const CANNED_URL: &str = "https://d111111abcdef8.cloudfront.net/horizon.jpg?size=large&license=yes";
const EXPIRES: i64 = 1_767_290_400;
/// AWS, "Create a signed URL using a custom policy", with the addresses of this machine.
const CUSTOM_URL: &str = "https://d111111abcdef8.cloudfront.net/training/orientation.pdf";

const CANNED_RSA_SHA1: &str = "FX86ebyd1WG0tcShkr5MRSmwPJdEIeFLgZo3W2~YDOuObNQyncdP0hswYZKt9zbxxY3HmR4YuDccf3GRs-IeCCOjkBH-WEbumZ79shhS3a9383tF1r9qHrDz3oSrUGx-hl-uEvkl4CEMlRG61N9K4Zz4fPgOmeTpvC7ppZbx44wpCWgvGpGuBfcSImFeH4xqA05En4foW6FQugeNZbhkKux9M7Ryde8HZ1jI55xL9BGK74zXrStnRCwN4VAI9bK4KbKI5E1joYkC41FOGw093jpgBhlB1dpUpXhPYZFfYjN19kiVIhSo-BzPGwS~sDjWNJPbYi1LE86qeQElwjZGow__";
const CANNED_RSA_SHA256: &str = "xvwnZIlz9yOGR0501oSq9PoyJaUgADrCepHNufJOWn7cUUNbVFcJpdSkwrD5~epbFGGG0zYKSYkdQLv5nCG9bskhbBtH8R7ORzVQtsGDE1izarG7zQMqad8~ChZh2QqztU6xj~o8C4yUWfKbc3CVvX4mRR98s0E3O-d3UCyC7F2AqNmspFNpj16k5YEhEQSLgdCbjfTFEPMX7d463pXWFGtkoCSMIlnBd0xIUytzurfttRavgE7FCXQWXEL4yBWPFN51FhA1CniYNVxcEYPW5-oBy~tUMu-JB4kHGExvSlDsykw5oF~wgaNpJKYb~~Ilq1yBPs3AZyGi4ZP53u89PQ__";
const CANNED_P256_SHA1: &str = "MEUCIAn4dNrSnFFypBRvfJSIA-UeQw6ONVmyYYKDm3rBdp8ZAiEAgepoAhmR4lxeegnw~FQFoqTVVW8FBvNkAKh1h03j4lI_";
const CANNED_P256_SHA256: &str = "MEYCIQD-UA1LrZblY-rApTmFbY7wtH5x9X5pb7ZkNG66EneXjgIhAL9peWfpzb03cT6ppeRuXR4bWKkagzSBY8VcWWz45ju1";
const CUSTOM_POLICY: &str = "eyJTdGF0ZW1lbnQiOlt7IlJlc291cmNlIjoiaHR0cHM6Ly9kMTExMTExYWJjZGVmOC5jbG91ZGZyb250Lm5ldC90cmFpbmluZy8qIiwiQ29uZGl0aW9uIjp7IklwQWRkcmVzcyI6eyJBV1M6U291cmNlSXAiOiIxMjcuMC4wLjAvOCJ9LCJEYXRlTGVzc1RoYW4iOnsiQVdTOkVwb2NoVGltZSI6MTc2NzI5MDQwMH19fV19";
const CUSTOM_P256_SHA256: &str = "MEYCIQDtzSH3Ik18cDN9muQBVkwMXSAaAy1sPvK8lOwSs5TXMAIhAMnQTNOZdeYVFaRvcY4vcaVghmNy2DfBj4~JtTg5zjrA";
/// With line breaks and indentation, and `DateGreaterThan`.
const INDENTED_POLICY: &str = "ewogICAiU3RhdGVtZW50IjogWwogICAgICB7CiAgICAgICAgICJSZXNvdXJjZSI6ICJodHRwczovL2QxMTExMTFhYmNkZWY4LmNsb3VkZnJvbnQubmV0L3RyYWluaW5nLyoiLAogICAgICAgICAiQ29uZGl0aW9uIjogewogICAgICAgICAgICAiRGF0ZUxlc3NUaGFuIjogeyJBV1M6RXBvY2hUaW1lIjogMTc2NzI5MDQwMH0sCiAgICAgICAgICAgICJEYXRlR3JlYXRlclRoYW4iOiB7IkFXUzpFcG9jaFRpbWUiOiAxNjQxMTYwODAwfQogICAgICAgICB9CiAgICAgIH0KICAgXQp9Cg__";
const INDENTED_RSA_SHA1: &str = "oJA8vY5WXwcYLGlxyBqT56PLfSGlsCejgJi3w4ag444uZD7LEavdBsviqHQB3JDGpuCnEVEgrK6L-vSOKhYW37QA9sO7NTJGEFBT8tt97txp04Wi5~3jGicnosxrh4EKRtjAb6AgbNfuFHxqsE2~EHfXJZVLNoqwk9L5bFCVgEQwnObkkmPmfk3fPkckPmv3OmqN6BLDobnwRACHskUP6zQ2UQ8ljT4ThNSvzLDrC2Qlhq5FFsPFnxVlJz6FF~gcIhtT7x3DG9KKM1TSAQSTqV21WCxfHRsRPUkoAe2fkwlf8jMqtcIO63GfG3ofZvojgdwtDC9EU5aVEo~y7wMp6Q__";

fn distribution(now: i64) -> Distribution {
    let keys = KeyGroup::new([("KRSA", RSA), ("KP256", P256)]).unwrap();
    let origin = Router::new().fallback(|| async { "the file" });
    let behaviour = Behaviour::new("*", Origin::service(origin)).with_trusted_keys(keys);
    Distribution::new("cloudfront", vec![behaviour])
        .with_clock(move || Timestamp::from_second(now).unwrap())
}

#[tokio::test]
async fn canned_policies_of_both_kinds_of_keys_and_hashes_are_verified() {
    let distribution = distribution(EXPIRES - 1);
    for (key, hash, signature) in [
        ("KRSA", "", CANNED_RSA_SHA1),
        ("KRSA", "&Hash-Algorithm=SHA1", CANNED_RSA_SHA1),
        ("KRSA", "&Hash-Algorithm=SHA256", CANNED_RSA_SHA256),
        ("KP256", "", CANNED_P256_SHA1),
        ("KP256", "&Hash-Algorithm=SHA256", CANNED_P256_SHA256),
    ] {
        let url =
            format!("{CANNED_URL}&Expires={EXPIRES}&Signature={signature}&Key-Pair-Id={key}{hash}");
        let answer = get(&distribution, &url).await;
        assert_eq!(answer.text, "the file", "{key}{hash}");
        for (other_key, other_hash) in [
            ("KRSA", ""),
            ("KRSA", "&Hash-Algorithm=SHA256"),
            ("KP256", ""),
            ("KP256", "&Hash-Algorithm=SHA256"),
            (key, "&Hash-Algorithm=sha256"),
            (key, "&Hash-Algorithm=SHA512"),
            (key, "&Hash-Algorithm="),
        ] {
            let is_same = (other_key, other_hash) == (key, hash);
            if is_same || (other_hash.is_empty() && hash == "&Hash-Algorithm=SHA1") {
                continue;
            }
            let url = format!(
                "{CANNED_URL}&Expires={EXPIRES}&Signature={signature}&Key-Pair-Id={other_key}{other_hash}"
            );
            let answer = get(&distribution, &url).await;
            assert_eq!(
                answer.code(),
                "AccessDenied",
                "{key}{hash} {other_key}{other_hash}"
            );
        }
    }
}

#[tokio::test]
async fn custom_policies_are_verified_as_they_were_written() {
    let distribution = distribution(EXPIRES - 1);
    let of_p256 = format!(
        "Policy={CUSTOM_POLICY}&Signature={CUSTOM_P256_SHA256}&Key-Pair-Id=KP256&Hash-Algorithm=SHA256"
    );
    let of_rsa = format!("Policy={INDENTED_POLICY}&Signature={INDENTED_RSA_SHA1}&Key-Pair-Id=KRSA");
    for parameters in [&of_p256, &of_rsa] {
        let answer = get(&distribution, &format!("{CUSTOM_URL}?{parameters}")).await;
        assert_eq!(answer.text, "the file", "{parameters}");
        let cookies = parameters.replace('&', "; CloudFront-");
        let cookies = format!("a=b; CloudFront-{cookies}");
        let headers = [("cookie", &*cookies)];
        let answer = request(&distribution, Method::GET, CUSTOM_URL, &headers).await;
        assert_eq!(answer.text, "the file", "{cookies}");
        let other = "https://d111111abcdef8.cloudfront.net/trainings";
        let answer = get(&distribution, &format!("{other}?{parameters}")).await;
        assert_eq!(answer.code(), "AccessDenied");
    }
    let late = self::distribution(EXPIRES);
    let answer = get(&late, &format!("{CUSTOM_URL}?{of_rsa}")).await;
    assert_eq!(answer.code(), "AccessDenied");
    let early = self::distribution(1_641_160_800);
    let answer = get(&early, &format!("{CUSTOM_URL}?{of_rsa}")).await;
    assert_eq!(answer.code(), "AccessDenied");
}
