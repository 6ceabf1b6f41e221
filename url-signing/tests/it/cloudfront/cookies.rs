//! Signed cookies: their attributes, and the domains that they may have.

use url_signing::cloudfront::{CookieAttributes, Policy, SameSite, SignedCookies};
use url_signing::{SigningError, Violation};

use super::{FOLDER, QUARTER, URL, now, rsa};

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
            violation: Violation::NotHost,
        };
        assert_eq!(
            cookies.err(),
            (!is_covered).then_some(expected),
            "{url} {domain}"
        );
    }
}
