//! The decision itself: path, rule, token, viewer, in this order.

use jiff::Timestamp;

use crate::config::{Config, Fault, TokenSource};
use crate::identity::{Owner, Viewer};
use crate::lambda_edge::{Headers, ViewerRequest};
use crate::path::CanonicalPath;
use crate::refusal::Refusal;
use crate::rules::RuleSet;
use crate::token;
use crate::verify::Verifier;

/// Decides on requests. Made once from a [`Config`], then shared: it changes nothing in itself.
pub struct Authorizer {
    verifier: Verifier,
    rules: RuleSet,
    token_sources: Vec<TokenSource>,
    login: Option<String>,
}

/// What becomes of a request.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Decision {
    /// It may go on.
    Allow(Allowed),
    /// It is refused.
    Deny(Denied),
    /// It is a browser that may sign in and come back.
    Redirect(Redirect),
}

/// A request that may go on.
#[derive(Clone, Debug, PartialEq)]
pub struct Allowed {
    /// The path that the rules were held against: what S3 will make of the request's.
    pub path: CanonicalPath,
    /// Who asks, if the rule wanted to know.
    pub owner: Option<Owner>,
    /// The index of the rule that allowed it.
    pub rule: usize,
}

/// A request that may not go on.
#[derive(Clone, Debug, PartialEq)]
pub struct Denied {
    /// Why.
    pub refusal: Refusal,
    /// The index of the rule that decided, if one matched.
    pub rule: Option<usize>,
}

/// A browser that is sent to sign in.
#[derive(Clone, Debug, PartialEq)]
pub struct Redirect {
    /// Where it is sent.
    pub location: String,
    /// Why it may not have what it asked for.
    pub denied: Denied,
}

impl Authorizer {
    /// Checks a configuration, and reports everything that is wrong with it.
    pub fn new(config: &Config) -> Result<Self, Vec<Fault>> {
        let mut faults = Vec::new();
        let authorizer = Self {
            verifier: Verifier::new(&config.issuers, &mut faults),
            rules: RuleSet::new(&config.rules, &mut faults),
            token_sources: config.token_sources.clone(),
            login: config.login.clone(),
        };
        for (idx, source) in config.token_sources.iter().enumerate() {
            if matches!(source, TokenSource::Cookie(name) if !is_cookie_name(name)) {
                faults.push(Fault::new(
                    format!("token.from[{idx}]"),
                    "this is no cookie name (RFC 6265 §4.1.1)",
                ));
            }
        }
        if faults.is_empty() {
            Ok(authorizer)
        } else {
            Err(faults)
        }
    }

    /// May this viewer fetch this path?
    pub fn decide(&self, now: Timestamp, request: &ViewerRequest) -> Decision {
        match self.decide_strictly(now, request) {
            Ok(allowed) => Decision::Allow(allowed),
            Err(denied) => match self.login_location(request, &denied.refusal) {
                Some(location) => Decision::Redirect(Redirect { location, denied }),
                None => Decision::Deny(denied),
            },
        }
    }

    /// Who sends this request? For services that have rules of their own, such as `signing-api`.
    pub fn authenticate(&self, now: Timestamp, headers: &Headers) -> Result<Viewer, Refusal> {
        let token = token::find(headers, &self.token_sources)?.ok_or(Refusal::NoToken)?;
        self.verifier.verify(now, token)
    }

    fn decide_strictly(&self, now: Timestamp, request: &ViewerRequest) -> Result<Allowed, Denied> {
        let path = CanonicalPath::parse(&request.uri).map_err(|fault| Denied {
            refusal: Refusal::AmbiguousPath(fault),
            rule: None,
        })?;
        let Some((idx, rule)) = self.rules.first_match(&request.method, &path) else {
            return Err(Denied {
                refusal: Refusal::NoRule,
                rule: None,
            });
        };
        if rule.is_for_anyone() {
            return Ok(Allowed {
                path,
                owner: None,
                rule: idx,
            });
        }
        let viewer = self
            .authenticate(now, &request.headers)
            .and_then(|viewer| rule.check(&path, &viewer).map(|()| viewer))
            .map_err(|refusal| Denied {
                refusal,
                rule: Some(idx),
            })?;
        Ok(Allowed {
            path,
            owner: Some(viewer.owner),
            rule: idx,
        })
    }

    /// Where a browser may sign in, if that would help: only for a page that a person opens, only on 401.
    fn login_location(&self, request: &ViewerRequest, refusal: &Refusal) -> Option<String> {
        let login = self.login.as_ref()?;
        if refusal.status() != 401 || request.method != "GET" || !is_navigation(&request.headers) {
            return None;
        }
        // Path and query of this site and nothing more, so the way back cannot lead elsewhere.
        let mut back = request.uri.clone();
        if !request.querystring.is_empty() {
            back.push('?');
            back.push_str(&request.querystring);
        }
        Some(login.replace("{url}", &percent_encode(&back)))
    }

    pub(crate) fn token_sources(&self) -> &[TokenSource] {
        &self.token_sources
    }
}

/// Whether a browser is opening a page, rather than a script or an image tag fetching something.
fn is_navigation(headers: &Headers) -> bool {
    match headers.values("sec-fetch-mode").next() {
        Some(mode) => mode == "navigate",
        None => headers
            .values("accept")
            .any(|accept| accept.contains("text/html")),
    }
}

/// Encodes everything but RFC 3986's unreserved characters.
fn percent_encode(text: &str) -> String {
    use std::fmt::Write as _;
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            // Writing to a String cannot fail.
            let _ = write!(encoded, "%{byte:02X}");
        }
    }
    encoded
}

/// Whether a name is a token of RFC 9110 §5.6.2, as cookie names are.
fn is_cookie_name(name: &str) -> bool {
    !name.is_empty()
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte))
}
