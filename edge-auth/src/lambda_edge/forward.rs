//! Strips the token and every `x-gatepost-*` header from an allowed request before it reaches the origin.

use crate::authorizer::{Allowed, Authorizer};
use crate::config::TokenSource;
use crate::http::request::{Lines, Request};
use crate::identity::Owner;
use crate::token::jws::is_parameter;

/// The reserved header prefix. Headers of this prefix that a viewer sends are always removed.
pub const OWN_HEADERS: &str = "x-gatepost-";

/// The header that names the owner to the origin.
pub const OWNER_HEADER: &str = "x-gatepost-owner";

/// The changes to an allowed request. Two more kinds of headers are always removed: those with the prefix
/// [`OWN_HEADERS`], and those that can carry a token ([`Authorizer::token_headers`]). Everything else is forwarded
/// unchanged.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Changes {
    /// The value of [`OWNER_HEADER`].
    pub owner: Option<Owner>,
    /// The lines of `Cookie`, if any of them changes: each as forwarded, `None` for a line that is removed.
    pub cookie: Option<Vec<Option<String>>>,
    /// The query, if it changes.
    pub querystring: Option<String>,
}

impl Authorizer {
    /// The headers whose whole value can be a token, by lower-case name. They are never forwarded.
    pub fn token_headers(&self) -> impl Iterator<Item = &str> {
        self.token_sources()
            .iter()
            .filter_map(|source| match source {
                TokenSource::Authorization => Some("authorization"),
                TokenSource::Header(name) => Some(name),
                TokenSource::Cookie(_) | TokenSource::Query(_) => None,
            })
    }

    /// The changes that forwarding an allowed request needs.
    pub fn changes(&self, request: &Request<'_>, allowed: &Allowed) -> Changes {
        let sources = self.token_sources();
        Changes {
            owner: allowed.owner.clone(),
            cookie: without_cookies(&request.cookie, sources),
            querystring: without_parameters(request.querystring, sources),
        }
    }
}

/// The lines of `Cookie` without Gatepost's cookies; `None` if no line changes.
fn without_cookies(lines: &Lines<'_>, sources: &[TokenSource]) -> Option<Vec<Option<String>>> {
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

#[cfg(test)]
mod tests {
    use super::*;

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
