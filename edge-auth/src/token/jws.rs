//! Finds the token in a request, and parses it without trusting it.
//!
//! Anybody can write an `UnverifiedToken`. Its header and claims choose the key that verifies it, and are trusted for
//! nothing else. Only [`verify`](crate::verify) turns it into a viewer.

use std::sync::LazyLock;

use data_encoding::BASE64URL_NOPAD;
use serde_json::Value;

use crate::config::TokenSource;
use crate::http::path::decode_octet;
use crate::http::request::{Lines, Request};
use crate::refusal::{Malformed, Refusal};
use crate::token::claims::{ClaimId, ClaimPlan, ClaimSet};

/// Tokens longer than this are refused before anything is decoded. `CloudFront` accepts 20 KB per request in all.
pub const MAX_TOKEN_BYTES: usize = 8 * 1024;

/// A well-formed token whose signature has not been checked.
pub(crate) struct UnverifiedToken<'a> {
    pub(crate) header: Header,
    payload: Vec<u8>,
    /// `header.payload`, the text that the signature covers.
    pub(crate) signing_input: &'a str,
    pub(crate) signature: Vec<u8>,
}

/// The members of a JOSE header that are used. Members that name or carry keys (`jwk`, `jku`, `x5u`, `x5c`) are
/// ignored: keys come from the configuration alone (RFC 8725 §3.10).
#[derive(Debug)]
pub(crate) struct Header {
    pub(crate) alg: String,
    pub(crate) kid: Option<String>,
    pub(crate) typ: Option<String>,
}

/// The indices of the header's members in their plan.
struct HeaderMembers {
    plan: ClaimPlan,
    alg: ClaimId,
    b64: ClaimId,
    crit: ClaimId,
    kid: ClaimId,
    typ: ClaimId,
}

static HEADER: LazyLock<HeaderMembers> = LazyLock::new(|| {
    let mut plan = ClaimPlan::default();
    HeaderMembers {
        alg: plan.read("alg"),
        b64: plan.read("b64"),
        crit: plan.read("crit"),
        kid: plan.read("kid"),
        typ: plan.read("typ"),
        plan,
    }
});

impl Header {
    fn parse(json: &[u8]) -> Result<Self, Refusal> {
        const MALFORMED: Refusal = Refusal::MalformedToken(Malformed::Header);
        let mut members = HEADER.plan.parse(json).map_err(|_| MALFORMED)?;
        // RFC 7515 §4.1.11: a critical extension that is not understood makes the token invalid. `b64` would mean that
        // the payload is not base64url (RFC 7797).
        if members.get(HEADER.crit).is_some() || members.get(HEADER.b64).is_some() {
            return Err(Refusal::CriticalHeader);
        }
        let Some(Value::String(alg)) = members.take(HEADER.alg) else {
            return Err(MALFORMED);
        };
        let mut text = |id| match members.take(id) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(MALFORMED),
        };
        Ok(Self {
            alg,
            kid: text(HEADER.kid)?,
            typ: text(HEADER.typ)?,
        })
    }
}

/// Looks for a token in the configured places, in order; the first place that has one decides. Answers with the token
/// and the index of its place.
pub(crate) fn find<'a>(
    request: &Request<'a>,
    sources: &[TokenSource],
) -> Result<Option<(&'a str, usize)>, Refusal> {
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
fn only<'a>(mut tokens: impl Iterator<Item = &'a str>) -> Result<Option<&'a str>, Refusal> {
    match (tokens.next(), tokens.next()) {
        (token, None) => Ok(token),
        (_, Some(_)) => Err(Refusal::SeveralTokens),
    }
}

/// The same, except that one token may occur several times: a browser keeps a cookie for each path and domain that set
/// it.
fn only_one_text<'a>(
    mut tokens: impl Iterator<Item = &'a str>,
) -> Result<Option<&'a str>, Refusal> {
    let token = tokens.next();
    if tokens.any(|other| Some(other) != token) {
        return Err(Refusal::SeveralTokens);
    }
    Ok(token)
}

impl<'a> UnverifiedToken<'a> {
    /// Splits a compact JWS (RFC 7515 §7.1) into its parts.
    pub(crate) fn parse(token: &'a str) -> Result<Self, Refusal> {
        if token.len() > MAX_TOKEN_BYTES {
            return Err(Refusal::TokenTooLong { bytes: token.len() });
        }
        let mut parts = token.split('.');
        let (Some(header), Some(payload), Some(signature), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(Refusal::MalformedToken(Malformed::Parts));
        };
        let header = Header::parse(&decode(header)?)?;
        let payload = decode(payload)?;
        Ok(Self {
            header,
            payload,
            signing_input: &token[..token.len() - signature.len() - 1],
            signature: decode(signature)?,
        })
    }

    /// The token's unverified claims, as far as `plan` lists them. Do not trust them: they only select the key.
    pub(crate) fn claims(&self, plan: &ClaimPlan) -> Result<ClaimSet, Refusal> {
        plan.parse(&self.payload)
            .map_err(|_| Refusal::MalformedToken(Malformed::Claims))
    }

    /// The payload's bytes.
    pub(crate) fn payload(&self) -> &[u8] {
        &self.payload
    }
}

/// Decodes base64url without padding and without stray bits (RFC 7515 §2), so each value has one encoding.
fn decode(part: &str) -> Result<Vec<u8>, Refusal> {
    BASE64URL_NOPAD
        .decode(part.as_bytes())
        .map_err(|_| Refusal::MalformedToken(Malformed::Base64Url))
}

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
pub(crate) fn is_parameter(pair: &str, name: &str) -> bool {
    let found = pair.split('=').next().unwrap_or_default();
    if !found.contains('%') {
        return found == name;
    }
    let mut decoded = Vec::with_capacity(found.len());
    let mut rest = found.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        let (octet, after) = match decode_octet(after) {
            Some(encoded) if byte == b'%' => encoded,
            _ => (byte, after),
        };
        decoded.push(octet);
        rest = after;
    }
    decoded == name.as_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lambda_edge::Headers;

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
                Err(Refusal::SeveralTokens),
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
                Err(Refusal::SeveralTokens),
            ),
            (
                vec![("cookie", "__Host-gatepost=\"a.b.c")],
                Ok(Some("\"a.b.c")),
            ),
            (vec![("cookie", "__Host-gatepost=\"\"")], Ok(None)),
            (
                vec![("authorization", "Bearer a"), ("authorization", "Bearer b")],
                Err(Refusal::SeveralTokens),
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
                Err(Refusal::SeveralTokens),
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
            ("token=a&%74oke%6e=b", Err(Refusal::SeveralTokens)),
            ("token=a&token=b", Err(Refusal::SeveralTokens)),
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
    fn a_malformed_jws_is_refused() {
        let encode = |text: &str| BASE64URL_NOPAD.encode(text.as_bytes());
        let header = encode(r#"{"alg":"ES256"}"#);
        let claims = encode(r#"{"sub":"a"}"#);
        for (token, refusal) in [
            (String::new(), Refusal::MalformedToken(Malformed::Parts)),
            (
                "garbage".to_owned(),
                Refusal::MalformedToken(Malformed::Parts),
            ),
            (
                format!("{header}.{claims}"),
                Refusal::MalformedToken(Malformed::Parts),
            ),
            (
                format!("{header}.{claims}.a.b"),
                Refusal::MalformedToken(Malformed::Parts),
            ),
            (
                format!("{header}=.{claims}.AA"),
                Refusal::MalformedToken(Malformed::Base64Url),
            ),
            (
                format!("{header}.{claims}\n.AA"),
                Refusal::MalformedToken(Malformed::Base64Url),
            ),
            (
                format!("{}.{claims}.AA", encode("[]")),
                Refusal::MalformedToken(Malformed::Header),
            ),
            (
                format!("{}.{claims}.AA", encode(r#"{"alg":"ES256","alg":"none"}"#)),
                Refusal::MalformedToken(Malformed::Header),
            ),
            (
                format!("{header}.{}.AA", encode(r#"{"sub":"a","sub":"b"}"#)),
                Refusal::MalformedToken(Malformed::Claims),
            ),
            (
                format!("{header}.{}.AA", encode("\"a\"")),
                Refusal::MalformedToken(Malformed::Claims),
            ),
            (
                format!(
                    "{}.{claims}.AA",
                    encode(r#"{"alg":"ES256","crit":["exp"],"exp":1}"#)
                ),
                Refusal::CriticalHeader,
            ),
            (
                format!("{}.{claims}.AA", encode(r#"{"alg":"ES256","b64":false}"#)),
                Refusal::CriticalHeader,
            ),
            (
                "a".repeat(MAX_TOKEN_BYTES + 1),
                Refusal::TokenTooLong {
                    bytes: MAX_TOKEN_BYTES + 1,
                },
            ),
        ] {
            let claims = UnverifiedToken::parse(&token)
                .and_then(|token| token.claims(&ClaimPlan::default()));
            assert_eq!(claims.err(), Some(refusal), "{token}");
        }
    }
}
