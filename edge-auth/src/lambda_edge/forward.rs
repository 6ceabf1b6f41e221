//! Strips the token and every `x-gatepost-*` header from an allowed request before it reaches the origin.

use crate::authorizer::Authorizer;
use crate::config::TokenSource;
use crate::decision::Allowed;
use crate::http::credentials::{without_cookies, without_parameters};
use crate::http::headers::{OWNER_HEADER, RESERVED_HEADER_PREFIX};
use crate::http::request::Request;
use crate::identity::Owner;
use crate::lambda_edge::event::ViewerRequest;

/// The changes to an allowed request. Two more kinds of headers are always removed: those with the prefix
/// [`RESERVED_HEADER_PREFIX`], and those that can carry a token ([`Authorizer::token_headers`]). Everything else is forwarded
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

    /// Changes an allowed request: the origin receives the owner, never the token.
    pub(super) fn forward(&self, mut request: ViewerRequest, allowed: &Allowed) -> ViewerRequest {
        let changes = self.changes(&Request::from(&request), allowed);
        request.headers.remove_prefixed(RESERVED_HEADER_PREFIX);
        for name in self.token_headers() {
            request.headers.remove(name);
        }
        if let Some(changed) = changes.cookie {
            request.headers.replace_values("cookie", changed);
        }
        if let Some(querystring) = changes.querystring {
            request.querystring = querystring;
        }
        if let Some(owner) = &changes.owner {
            request.headers.append(OWNER_HEADER, owner.as_str());
        }
        request
    }
}
