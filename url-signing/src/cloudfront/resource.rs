//! The resource of a policy: a URL as browsers will send it, or a pattern of such URLs. Nothing here signs.
//!
//! `CloudFront` compares the policy's text with the request's URL, character by character. URLs that browsers would
//! rewrite are therefore refused here, with a reason. `CloudFront` would only say "Access denied".

use std::borrow::Cow;

use crate::error::Violation;

/// Parameters that carry a signature. `CloudFront` removes them from a request.
const RESERVED: [&str; 5] = [
    "Expires",
    "Hash-Algorithm",
    "Key-Pair-Id",
    "Policy",
    "Signature",
];

/// Splits a URL into scheme and host, and the rest from its first slash.
pub(super) fn split(url: &str) -> Result<(&str, &str), Violation> {
    let host_at = ["https://", "http://"]
        .iter()
        .find(|scheme| url.starts_with(**scheme))
        .map(|scheme| scheme.len())
        .ok_or(Violation::NotUrl)?;
    let path_at = url[host_at..].find('/').ok_or(Violation::NotUrl)? + host_at;
    let host = &url[host_at..path_at];
    if host.contains('@') {
        return Err(Violation::NotUrl);
    }
    let (name, port) = match host.split_once(':') {
        Some((name, port)) => (name, Some(port)),
        None => (host, None),
    };
    // Browsers send the host in lower case, however a page spells it.
    let is_name =
        |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b".-".contains(&byte);
    if name.is_empty() || !name.bytes().all(is_name) {
        return Err(Violation::NotUrl);
    }
    if let Some(port) = port {
        // Browsers write it without a sign and without zeros before it.
        let is_plain = !port.starts_with('0') && port.bytes().all(|byte| byte.is_ascii_digit());
        let port: u16 = port
            .parse()
            .ok()
            .filter(|_| is_plain)
            .ok_or(Violation::Port)?;
        if port == if url.starts_with("https://") { 443 } else { 80 } {
            return Err(Violation::DefaultPort);
        }
    }
    Ok((&url[..path_at], &url[path_at..]))
}

/// The host's name of a URL or a pattern, without its port.
pub(super) fn host(url: &str) -> Result<&str, Violation> {
    let (origin, _) = split(url)?;
    let authority = origin.split_once("://").map_or(origin, |(_, rest)| rest);
    Ok(authority.split(':').next().unwrap_or(authority))
}

/// Checks a whole URL: one that browsers send as it is, and that is not signed yet.
pub(super) fn check_url(url: &str) -> Result<(), Violation> {
    let (_, rest) = split(url)?;
    if rest.contains('*') {
        return Err(Violation::Wildcard);
    }
    check_rest(rest)?;
    let query = rest.split_once('?').map_or("", |(_, query)| query);
    // Browsers keep a second question mark, but in a policy it is a wildcard.
    if query.contains('?') {
        return Err(Violation::Wildcard);
    }
    let names = query
        .split('&')
        .map(|pair| decoded(pair.split('=').next().unwrap_or_default()));
    for name in names {
        if let Some(reserved) = RESERVED.into_iter().find(|reserved| *reserved == name) {
            return Err(Violation::ReservedParameter(reserved));
        }
    }
    Ok(())
}

/// Checks a pattern: `*` matches any characters, `?` matches one, in path and query only.
pub(super) fn check_pattern(pattern: &str) -> Result<(), Violation> {
    check_rest(split(pattern)?.1)
}

/// Checks the characters of RFC 3986, without those that browsers rewrite: quotes in a query, and dot segments.
fn check_rest(rest: &str) -> Result<(), Violation> {
    let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
    let is_allowed =
        |byte: u8| byte.is_ascii_alphanumeric() || b"-._~!$&()*+,;=:@/%".contains(&byte);
    if !path.bytes().all(|byte| is_allowed(byte) || byte == b'\'')
        || !query.bytes().all(|byte| is_allowed(byte) || byte == b'?')
    {
        return Err(Violation::Characters(
            "the characters of RFC 3986 for a path and a query; percent-encode the rest",
        ));
    }
    let is_octet = |digits: &str| {
        let digits = digits.as_bytes();
        digits.len() >= 2 && digits[..2].iter().all(u8::is_ascii_hexdigit)
    };
    if !rest.split('%').skip(1).all(is_octet) {
        return Err(Violation::Characters("a % before two hexadecimal digits"));
    }
    if path
        .split('/')
        .any(|segment| matches!(&*decoded(segment), "." | ".."))
    {
        return Err(Violation::DotSegment);
    }
    Ok(())
}

/// Decodes the percent-encodings of ASCII characters.
fn decoded(text: &str) -> Cow<'_, str> {
    if !text.contains('%') {
        return Cow::Borrowed(text);
    }
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('%') {
        plain.push_str(&rest[..at]);
        let octet = rest
            .get(at + 1..at + 3)
            .and_then(|digits| u8::from_str_radix(digits, 16).ok());
        plain.push(octet.map_or('\u{fffd}', char::from));
        rest = rest.get(at + 3..).unwrap_or_default();
    }
    plain.push_str(rest);
    Cow::Owned(plain)
}

/// Whether a pattern covers a URL, by `CloudFront`'s rules: `*` matches any number of characters, `?` matches one.
pub(super) fn covers(pattern: &str, url: &str) -> bool {
    let (pattern, url) = (pattern.as_bytes(), url.as_bytes());
    let (mut p, mut u) = (0, 0);
    // Where to continue when a star must match one more character.
    let mut star: Option<(usize, usize)> = None;
    while u < url.len() {
        match pattern.get(p) {
            Some(b'*') => {
                star = Some((p, u));
                p += 1;
            }
            Some(byte) if *byte == b'?' || *byte == url[u] => {
                p += 1;
                u += 1;
            }
            _ => match star {
                Some((at, taken)) => {
                    star = Some((at, taken + 1));
                    p = at + 1;
                    u = taken + 1;
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|byte| *byte == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_cover() {
        for (pattern, url, covered) in [
            ("https://h/a", "https://h/a", true),
            ("https://h/a", "https://h/ab", false),
            ("https://h/a/*", "https://h/a/", true),
            ("https://h/a/*", "https://h/a/b/c?d", true),
            ("https://h/a/*", "https://h/ab/c", false),
            ("https://h/*/b.webp", "https://h/x/y/b.webp", true),
            ("https://h/*/b.webp", "https://h/x/b.webp.exe", false),
            ("https://h/*a*b", "https://h/aab", true),
            ("https://h/*a*b", "https://h/ba", false),
            ("https://h/?.jpg", "https://h/a.jpg", true),
            ("https://h/?.jpg", "https://h/.jpg", false),
            ("https://h/*", "", false),
        ] {
            assert_eq!(covers(pattern, url), covered, "{pattern} {url}");
        }
    }
}
