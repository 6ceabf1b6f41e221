//! Where a request carries its token: how it is found, and how it is removed before the origin sees the request.
//!
//! The two are side by side, because a token that is found must also be removed. Nothing here looks into a token.

use crate::config::TokenSource;
use crate::http::headers::RESERVED_HEADER_PREFIX;
use crate::http::request::{Lines, Request};
use crate::http::syntax::{decode_leniently, is_token, is_unreserved};

/// One place contains two different tokens.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct SeveralTokens;

/// Looks for a token in the configured places, in order; the first place that has one decides. Answers with the token
/// and the index of its place.
pub(crate) fn find<'a>(
    request: &Request<'a>,
    sources: &[TokenSource],
) -> Result<Option<(&'a str, usize)>, SeveralTokens> {
    for (idx, source) in sources.iter().enumerate() {
        let token = match source {
            TokenSource::Authorization => {
                let tokens = request.authorization.iter().filter_map(bearer);
                only(tokens.filter(|token| !token.is_empty()))
            }
            TokenSource::Cookie(name) => only_one_text(cookies(&request.cookie, name)),
            TokenSource::Query(name) => {
                only(parameters(request.querystring, name).filter(|value| !value.is_empty()))
            }
            TokenSource::Header(name) => only(
                request
                    .other
                    .lines(name)
                    .iter()
                    .map(|line| line.trim_matches(COOKIE_SPACE))
                    .filter(|value| !value.is_empty()),
            ),
        }?;
        if let Some(token) = token {
            return Ok(Some((token, idx)));
        }
    }
    Ok(None)
}

/// One token or none. An attacker who can set a cookie from a sibling domain must not be able to choose which of two
/// tokens counts.
fn only<'a>(mut tokens: impl Iterator<Item = &'a str>) -> Result<Option<&'a str>, SeveralTokens> {
    match (tokens.next(), tokens.next()) {
        (token, None) => Ok(token),
        (_, Some(_)) => Err(SeveralTokens),
    }
}

/// The same, except that one token may occur several times: a browser keeps a cookie for each path and domain that set
/// it.
fn only_one_text<'a>(
    mut tokens: impl Iterator<Item = &'a str>,
) -> Result<Option<&'a str>, SeveralTokens> {
    let token = tokens.next();
    if tokens.any(|other| Some(other) != token) {
        return Err(SeveralTokens);
    }
    Ok(token)
}

/// The lines of `Cookie` without Gatepost's cookies; `None` if no line changes.
pub(crate) fn without_cookies(
    lines: &Lines<'_>,
    sources: &[TokenSource],
) -> Option<Vec<Option<String>>> {
    let is_ours = |pair: &&str| {
        let name = pair.split('=').next().unwrap_or_default().trim();
        sources
            .iter()
            .any(|source| matches!(source, TokenSource::Cookie(ours) if ours == name))
    };
    let holds_ours = |line: &str| line.split(';').any(|pair| is_ours(&pair));
    if !lines.iter().any(holds_ours) {
        return None;
    }
    let without = |line: &str| {
        if !holds_ours(line) {
            return Some(line.to_owned());
        }
        let others: Vec<_> = line
            .split(';')
            .filter(|pair| !is_ours(pair))
            .map(str::trim)
            .filter(|pair| !pair.is_empty())
            .collect();
        (!others.is_empty()).then(|| others.join("; "))
    };
    Some(lines.iter().map(without).collect())
}

/// A query without the token parameters; `None` if the query stays as it is.
pub(crate) fn without_parameters(querystring: &str, sources: &[TokenSource]) -> Option<String> {
    let is_ours = |pair: &str| {
        sources
            .iter()
            .any(|source| matches!(source, TokenSource::Query(ours) if is_parameter(pair, ours)))
    };
    if !querystring.split('&').any(is_ours) {
        return None;
    }
    let others: Vec<_> = querystring
        .split('&')
        .filter(|pair| !is_ours(pair))
        .collect();
    Some(others.join("&"))
}

/// The fault of a token source, given those before it.
pub(crate) fn source_fault(source: &TokenSource, earlier: &[TokenSource]) -> Option<&'static str> {
    match source {
        TokenSource::Cookie(name) if !is_token(name) => {
            Some("is not a cookie name (RFC 6265 §4.1.1)")
        }
        TokenSource::Query(name) if !name.bytes().all(is_unreserved) || name.is_empty() => {
            Some("a parameter name consists of letters, digits and - . _ ~")
        }
        TokenSource::Header(name) if !is_token(name) => {
            Some("is not a header name (RFC 9110 §5.6.2)")
        }
        TokenSource::Header(name) if name.bytes().any(|byte| byte.is_ascii_uppercase()) => {
            Some("header names are written in lower case here")
        }
        // Every JavaScript object has members of these names.
        TokenSource::Header(name) if ["__proto__", "constructor"].contains(&name.as_str()) => {
            Some("this header has another use")
        }
        TokenSource::Header(name) if name == "authorization" => {
            Some("write \"authorization\", whose token follows the word Bearer")
        }
        TokenSource::Header(name) if name == "cookie" => Some("write \"cookie:NAME\""),
        TokenSource::Header(name)
            if OTHER_USES.contains(&name.as_str())
                || [
                    "proxy-",
                    "x-amz-",
                    "x-amzn-",
                    "x-edge-",
                    "x-accel-",
                    "cloudfront-",
                    "sec-fetch-",
                    "access-control-",
                ]
                .iter()
                .any(|prefix| name.starts_with(prefix)) =>
        {
            Some("this header has another use")
        }
        TokenSource::Header(name) if name.starts_with(RESERVED_HEADER_PREFIX) => {
            Some("x-gatepost- headers are set by Gatepost and removed from requests")
        }
        _ if earlier.contains(source) => Some("this place is listed twice"),
        _ => None,
    }
}

/// Headers that cannot carry a token: they have another meaning, or `CloudFront` hides them from functions.
const OTHER_USES: [&str; 25] = [
    "accept",
    "authorization",
    "cache-control",
    "cdn-loop",
    "connection",
    "content-length",
    "content-type",
    "cookie",
    "expect",
    "host",
    "if-modified-since",
    "if-none-match",
    "keep-alive",
    "origin",
    "range",
    "referer",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "user-agent",
    "via",
    "x-cache",
    "x-forwarded-proto",
    "x-real-ip",
];

/// The credentials of an `Authorization: Bearer`; `None` for other schemes.
fn bearer(line: &str) -> Option<&str> {
    let (scheme, token) = line.split_once(' ')?;
    scheme
        .eq_ignore_ascii_case("bearer")
        .then(|| token.trim_matches(' '))
}

/// The white space around a cookie's name (RFC 6265 §5.2). Any other Unicode white space belongs to the name. A browser
/// that reserves `__Host-` for this host does not recognise a name with U+2000 before it, and accepts it from any
/// sibling domain.
const COOKIE_SPACE: [char; 2] = [' ', '\t'];

/// The values of every cookie of this name, over all `Cookie` headers: HTTP/2 splits them (RFC 9113 §8.2.3).
fn cookies<'a>(lines: &Lines<'a>, name: &str) -> impl Iterator<Item = &'a str> {
    lines
        .iter()
        .flat_map(|line| line.split(';'))
        .filter_map(move |pair| {
            let (found, value) = pair.split_once('=')?;
            (found.trim_matches(COOKIE_SPACE) == name)
                .then(|| unquoted(value.trim_matches(COOKIE_SPACE)))
        })
        .filter(|value| !value.is_empty())
}

/// A cookie's value may be quoted, with the same meaning (RFC 6265 §4.1.1).
fn unquoted(value: &str) -> &str {
    value
        .strip_prefix('"')
        .and_then(|rest| rest.strip_suffix('"'))
        .unwrap_or(value)
}

/// The values of every query parameter of this name, as sent.
fn parameters<'a>(querystring: &'a str, name: &str) -> impl Iterator<Item = &'a str> {
    querystring
        .split('&')
        .filter(move |pair| is_parameter(pair, name))
        .map(|pair| pair.split_once('=').map_or("", |(_, value)| value))
}

/// Whether a `name=value` of a query has this name, in any encoding. A parameter that another parser would read as the
/// token is counted and removed as the token.
fn is_parameter(pair: &str, name: &str) -> bool {
    let found = pair.split('=').next().unwrap_or_default();
    if !found.contains('%') {
        return found == name;
    }
    decode_leniently(found) == name.as_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::headers::Headers;

    #[test]
    fn the_first_source_with_a_token_decides() {
        let sources = [
            TokenSource::Authorization,
            TokenSource::Cookie("__Host-gatepost".to_owned()),
        ];
        for (pairs, found) in [
            (vec![], Ok(None)),
            (vec![("authorization", "Bearer a.b.c")], Ok(Some("a.b.c"))),
            (vec![("authorization", "bearer  a.b.c ")], Ok(Some("a.b.c"))),
            (vec![("authorization", "Basic YTpi")], Ok(None)),
            (
                vec![
                    ("authorization", "Bearer "),
                    ("cookie", "__Host-gatepost=a.b.c"),
                ],
                Ok(Some("a.b.c")),
            ),
            (
                vec![("cookie", "x=1; __Host-gatepost=a.b.c; y=2")],
                Ok(Some("a.b.c")),
            ),
            (
                vec![("cookie", "x=1"), ("cookie", "__Host-gatepost=a.b.c")],
                Ok(Some("a.b.c")),
            ),
            (vec![("cookie", "__host-gatepost=a.b.c")], Ok(None)),
            (vec![("cookie", "x__Host-gatepost=a.b.c")], Ok(None)),
            (
                vec![("cookie", "x=1;\t__Host-gatepost =a.b.c\t")],
                Ok(Some("a.b.c")),
            ),
            // Set from a sibling domain: the browser does not recognise `__Host-` here.
            (vec![("cookie", "\u{2000}__Host-gatepost=a.b.c")], Ok(None)),
            (vec![("cookie", "\u{a0}__Host-gatepost=a.b.c")], Ok(None)),
            (vec![("cookie", "\u{85}__Host-gatepost=a.b.c")], Ok(None)),
            (vec![("cookie", "\u{b}__Host-gatepost=a.b.c")], Ok(None)),
            (vec![("cookie", "__Host-gatepost\u{3000}=a.b.c")], Ok(None)),
            (
                vec![("cookie", "__Host-gatepost=a; \u{2000}__Host-gatepost=b")],
                Ok(Some("a")),
            ),
            (
                vec![
                    ("authorization", "Bearer h"),
                    ("cookie", "__Host-gatepost=c"),
                ],
                Ok(Some("h")),
            ),
            (
                vec![("cookie", "__Host-gatepost=a; __Host-gatepost=b")],
                Err(SeveralTokens),
            ),
            // The same token twice counts once, and quotes are not part of it.
            (
                vec![("cookie", "__Host-gatepost=a.b.c; __Host-gatepost=\"a.b.c\"")],
                Ok(Some("a.b.c")),
            ),
            (
                vec![
                    ("cookie", "__Host-gatepost=a"),
                    ("cookie", "__Host-gatepost=a; __Host-gatepost=b"),
                ],
                Err(SeveralTokens),
            ),
            (
                vec![("cookie", "__Host-gatepost=\"a.b.c")],
                Ok(Some("\"a.b.c")),
            ),
            (vec![("cookie", "__Host-gatepost=\"\"")], Ok(None)),
            (
                vec![("authorization", "Bearer a"), ("authorization", "Bearer b")],
                Err(SeveralTokens),
            ),
        ] {
            let headers: Headers = pairs.iter().copied().collect();
            let request = Request::from(&headers);
            let token = find(&request, &sources).map(|found| found.map(|(token, _)| token));
            assert_eq!(token, found, "{pairs:?}");
        }
    }

    #[test]
    fn a_header_is_one_line_with_a_token() {
        let sources = [TokenSource::Header("cf-access-jwt-assertion".to_owned())];
        for (pairs, found) in [
            (vec![], Ok(None)),
            (vec![("cf-access-jwt-assertion", "")], Ok(None)),
            (
                vec![("cf-access-jwt-assertion", " a.b.c ")],
                Ok(Some("a.b.c")),
            ),
            (
                vec![("Cf-Access-Jwt-Assertion", "a.b.c")],
                Ok(Some("a.b.c")),
            ),
            (
                vec![
                    ("cf-access-jwt-assertion", "a"),
                    ("cf-access-jwt-assertion", "a"),
                ],
                Err(SeveralTokens),
            ),
            // Two values in one line are not a token, and are refused later as malformed.
            (vec![("cf-access-jwt-assertion", "a,b")], Ok(Some("a,b"))),
            (vec![("authorization", "Bearer a.b.c")], Ok(None)),
        ] {
            let headers: Headers = pairs.iter().copied().collect();
            let request = Request::from(&headers);
            let token = find(&request, &sources).map(|found| found.map(|(token, _)| token));
            assert_eq!(token, found, "{pairs:?}");
        }
    }

    #[test]
    fn a_query_parameter_is_found_however_its_name_is_encoded() {
        let sources = [TokenSource::Query("token".to_owned())];
        for (querystring, found) in [
            ("", Ok(None)),
            ("token", Ok(None)),
            ("token=", Ok(None)),
            ("tokens=a.b.c&xtoken=d", Ok(None)),
            ("v=1&token=a.b.c", Ok(Some("a.b.c"))),
            ("%74oken=a.b.c", Ok(Some("a.b.c"))),
            ("token=a.b.c=", Ok(Some("a.b.c="))),
            ("token=a&%74oke%6e=b", Err(SeveralTokens)),
            ("token=a&token=b", Err(SeveralTokens)),
            // One value is empty: a parser that takes the last one would see no token.
            ("token=a&token=", Ok(Some("a"))),
            ("Token=a", Ok(None)),
            ("%7=a&%zz=b", Ok(None)),
        ] {
            let request = Request {
                querystring,
                ..Request::default()
            };
            let token = find(&request, &sources).map(|found| found.map(|(token, _)| token));
            assert_eq!(token, found, "{querystring}");
        }
    }

    #[test]
    fn the_token_cookie_is_removed_and_others_stay() {
        let sources = [TokenSource::Cookie("t".to_owned())];
        let some = |lines: &[Option<&str>]| {
            let lines = lines.iter().map(|line| line.map(str::to_owned));
            Some(lines.collect::<Vec<_>>())
        };
        for (lines, changed) in [
            (vec![], None),
            (vec!["a=1; tt=2"], None),
            (vec!["t=x"], some(&[None])),
            (vec!["a=1; t=x; b=2"], some(&[Some("a=1; b=2")])),
            (vec!["t=x; t=y"], some(&[None])),
            (vec!["t"], some(&[None])),
            (vec!["a=1;t=x;"], some(&[Some("a=1")])),
            (vec!["a=1;b=2", "t=x"], some(&[Some("a=1;b=2"), None])),
        ] {
            let lines: Lines<'_> = lines.into_iter().collect();
            assert_eq!(without_cookies(&lines, &sources), changed, "{lines:?}");
        }
    }

    #[test]
    fn the_token_parameter_is_removed_and_others_stay_as_sent() {
        let sources = [TokenSource::Query("t".to_owned())];
        for (query, changed) in [
            ("", None),
            ("a=1&tt=2&&b=%zz", None),
            ("t=x", Some("")),
            ("t", Some("")),
            ("a=%20&t=x&&b", Some("a=%20&&b")),
            ("%74=x&a=1", Some("a=1")),
        ] {
            let found = without_parameters(query, &sources);
            assert_eq!(found.as_deref(), changed, "{query}");
        }
    }
}
