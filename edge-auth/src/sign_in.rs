//! Signing in: which refusals it resolves, and where a browser is sent.

use crate::config::TokenSource;
use crate::decision::Denied;
use crate::http::credentials::without_parameters;
use crate::http::path::CanonicalPath;
use crate::http::request::{Lines, Request};
use crate::http::syntax::percent_encode;
use crate::refusal::Refusal;
use crate::verify::RefusedToken;

/// The longest address that `CloudFront` accepts: a browser could not follow a longer return address.
const MAX_LOCATION_BYTES: usize = 8192;

/// The configured page where browsers sign in.
pub(crate) struct SignInPage {
    login: String,
}

impl SignInPage {
    /// The page at an address in which `{url}` becomes the return address.
    pub(crate) fn new(login: &str) -> Self {
        Self {
            login: login.to_owned(),
        }
    }

    /// The address, with `{url}` in it.
    pub(crate) fn login(&self) -> &str {
        &self.login
    }

    /// The sign-in address, if signing in resolves the refusal: only for a page that a person opens.
    pub(crate) fn location(
        &self,
        request: &Request<'_>,
        denied: &Denied,
        sources: &[TokenSource],
    ) -> Option<String> {
        let login = &self.login;
        // A sign-in page behind this authorizer would redirect to itself.
        let login_path = login.split(['?', '#']).next().unwrap_or_default();
        let is_login = CanonicalPath::parse(login_path)
            .is_ok_and(|login| CanonicalPath::parse(request.uri) == Ok(login));
        if !denied.is_resolved_by_sign_in
            || is_login
            || request.method != "GET"
            || !is_navigation(request)
        {
            return None;
        }
        // The way back is a path and query of this site and nothing more, so it cannot be an open redirect. It omits
        // the refused token, which would only be refused again.
        let querystring = without_parameters(request.querystring, sources);
        let querystring = querystring.as_deref().unwrap_or(request.querystring);
        let to = |back: &str| login.replace("{url}", &percent_encode(back));
        let with_query = match querystring {
            "" => to(request.uri),
            query => to(&format!("{}?{query}", request.uri)),
        };
        // Percent-encoding makes an address up to three times as long, and CloudFront limits its length.
        let candidates = [with_query, to(request.uri)];
        candidates
            .into_iter()
            .find(|location| location.len() <= MAX_LOCATION_BYTES)
    }
}

/// Whether signing in replaces the refused token. For a session it always does. For a provider's token it does if the
/// token expired, or if a fetch could have brought the key that it names. Any other token would come back unchanged.
pub(crate) fn is_resolved_by_sign_in(refused: &RefusedToken, is_session_cookie: bool) -> bool {
    match refused.refusal {
        Refusal::Expired { .. } | Refusal::StaleSession { .. } => true,
        Refusal::UnknownKey | Refusal::BadSignature if refused.keys_may_change => true,
        ref refusal => is_session_cookie && refusal.status() == 401,
    }
}

/// Whether a browser is opening a page. Scripts and image tags do not count.
fn is_navigation(request: &Request<'_>) -> bool {
    match request.sec_fetch_mode {
        Lines::None => request
            .accept
            .iter()
            .any(|accept| accept.contains("text/html")),
        _ => request.sec_fetch_mode.only() == Some("navigate"),
    }
}
