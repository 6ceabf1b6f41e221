//! The decision itself: path, rule, token, viewer, in this order.

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::config::{Config, Fault, TokenSource};
use crate::cors::{CorsPolicy, Preflight};
use crate::http::address::check_login;
use crate::http::credentials::{self, source_fault, without_parameters};
use crate::http::path::CanonicalPath;
use crate::http::request::{Lines, Request};
use crate::http::syntax::percent_encode;
use crate::identity::{Owner, Viewer};
use crate::refusal::Refusal;
use crate::rules::RuleSet;
use crate::session::SESSION_COOKIE;
#[cfg(feature = "signing")]
use crate::session::{NoSession, SessionSigner, SessionToken};
use crate::token::claims::ClaimPlan;
use crate::verify::{IssuerNames, NeedKeys, Rejection, Unverified, Verdict, Verifier};

/// The longest address that `CloudFront` accepts: a browser could not follow a longer return address.
const MAX_LOCATION_BYTES: usize = 8192;

/// The minimum length of the secret for owners: as long as the hash.
const MIN_OWNER_SECRET_BYTES: usize = 32;

/// Decides on requests. Made once from a [`Config`], then shared. Its only mutable state is the fetched keys and the
/// cache of verified tokens.
pub struct Authorizer {
    verifier: Verifier,
    rules: RuleSet,
    token_sources: Vec<TokenSource>,
    login: Option<String>,
    cors: Option<CorsPolicy>,
    #[cfg(feature = "signing")]
    session_signer: Option<SessionSigner>,
}

/// The outcome for a request.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Decision {
    /// The request is allowed.
    Allow(Allowed),
    /// The request is refused.
    Deny(Denied),
    /// It cannot be decided before the host has fetched an issuer's keys.
    NeedKeys(NeedKeys),
    /// The request is a preflight, which is answered here.
    Preflight(Preflight),
    /// The request is a page that a browser opens; the browser may sign in and come back.
    Redirect(Redirect),
}

/// An allowed request.
#[derive(Clone, Debug, PartialEq)]
pub struct Allowed {
    /// The path that the rules were matched against, as S3 will decode it.
    pub path: CanonicalPath,
    /// Whether the rule is for anyone: no token was looked at, and the answer is the same for everybody.
    pub is_for_anyone: bool,
    /// The caller's identity, if the rule required it.
    pub owner: Option<Owner>,
    /// The index of the rule that allowed it.
    pub rule: usize,
}

/// A refused request.
#[derive(Clone, Debug, PartialEq)]
pub struct Denied {
    /// Why.
    pub refusal: Refusal,
    /// The index of the rule that decided, if one matched.
    pub rule: Option<usize>,
    /// The name of the issuer block whose token it is.
    pub issuer: Option<String>,
    /// The `kid` of the token's header, as the sender wrote it.
    pub kid: Option<String>,
    /// Whether signing in again resolves the refusal. If it would bring the same token again, such as one for another
    /// audience, redirecting a browser to sign in would loop.
    pub is_resolved_by_sign_in: bool,
}

/// A browser that is sent to sign in.
#[derive(Clone, Debug, PartialEq)]
pub struct Redirect {
    /// Where it is sent.
    pub location: String,
    /// Why the request was refused.
    pub denied: Denied,
}

/// Why the sender of a request could not be identified.
#[derive(Clone, Debug, PartialEq)]
pub enum Unauthenticated {
    /// The request has no acceptable token.
    Denied(Denied),
    /// An issuer's keys must be fetched first.
    NeedKeys(NeedKeys),
}

impl Authorizer {
    /// Checks a configuration, and reports every fault in it.
    ///
    /// # Errors
    ///
    /// Every fault, each with its key as `gatepost.toml` spells it.
    pub fn new(config: &Config) -> Result<Self, Vec<Fault>> {
        let (mut faults, mut in_rules) = (Vec::new(), Vec::new());
        let mut plan = ClaimPlan::default();
        let names = IssuerNames::new(&config.issuers);
        let rules = RuleSet::new(&config.rules, &names, &mut plan, &mut in_rules);
        let authorizer = Self {
            verifier: Verifier::new(config, plan, &mut faults),
            rules,
            token_sources: config.token_sources.clone(),
            login: config.login.clone(),
            cors: config
                .cors
                .as_ref()
                .map(|cors| CorsPolicy::new(cors, &mut faults)),
            #[cfg(feature = "signing")]
            session_signer: config
                .session
                .as_ref()
                .map(|session| SessionSigner::new(session, &mut faults)),
        };
        let cookie = TokenSource::Cookie(SESSION_COOKIE.to_owned());
        if config.session.is_some() && !config.token_sources.contains(&cookie) {
            faults.push(Fault::new(
                "token.from",
                format!("sessions come in a cookie: add \"cookie:{SESSION_COOKIE}\""),
            ));
        }
        if config.session.is_some() && config.token_sources.first() == Some(&cookie) {
            faults.push(Fault::new(
                "token.from",
                format!("a provider's token must come before \"cookie:{SESSION_COOKIE}\", or a session could not be renewed: put \"authorization\" first"),
            ));
        }
        if let Some(login) = &config.login
            && let Err(message) = check_login(login)
        {
            faults.push(Fault::new("deny.login", message));
        }
        let secret = config
            .owner_secret
            .as_ref()
            .map(|secret| secret.bytes().len());
        if secret.is_some_and(|bytes| bytes < MIN_OWNER_SECRET_BYTES) {
            let message = format!(
                "has fewer than {MIN_OWNER_SECRET_BYTES} bytes; openssl rand -hex 32 makes one"
            );
            faults.push(Fault::new("owner.secret", message));
        }
        faults.append(&mut in_rules);
        for (idx, source) in config.token_sources.iter().enumerate() {
            if let Some(message) = source_fault(source, &config.token_sources[..idx]) {
                faults.push(Fault::new(format!("token.from[{idx}]"), message));
            }
        }
        if faults.is_empty() {
            Ok(authorizer)
        } else {
            Err(faults)
        }
    }

    /// Decides whether the viewer may fetch the path.
    pub fn decide(&self, now: Timestamp, request: &Request<'_>) -> Decision {
        let path = match CanonicalPath::parse(request.uri) {
            Ok(path) => path,
            Err(fault) => {
                return self.deny(request, Denied::of(Refusal::AmbiguousPath(fault), None));
            }
        };
        if let Some(cors) = &self.cors
            && CorsPolicy::is_preflight(request)
        {
            // A preflight never has a token: the browser sends it before the script's request, which gets its own
            // decision.
            return match cors.answer(request) {
                Ok(preflight) => Decision::Preflight(preflight),
                Err(missing) => self.deny(request, Denied::of(Refusal::CorsRefused(missing), None)),
            };
        }
        let Some((idx, rule)) = self.rules.first_match(request.method, &path) else {
            return self.deny(request, Denied::of(Refusal::NoRule, None));
        };
        if rule.is_for_anyone() {
            return Decision::Allow(Allowed {
                path,
                is_for_anyone: true,
                owner: None,
                rule: idx,
            });
        }
        let verdict = match self.find_viewer(now, request) {
            Ok(verdict) => verdict,
            Err(Unauthenticated::NeedKeys(need)) => return Decision::NeedKeys(need),
            Err(Unauthenticated::Denied(denied)) => {
                let rule = Some(idx);
                return self.deny(request, Denied { rule, ..denied });
            }
        };
        match rule.check(&path, &verdict.viewer, self.verifier.plan()) {
            Ok(()) => Decision::Allow(Allowed {
                path,
                is_for_anyone: false,
                owner: verdict.viewer.owner.clone(),
                rule: idx,
            }),
            Err(refusal) => {
                let block = self.verifier.block_name(verdict.viewer.block);
                let denied = Denied {
                    is_resolved_by_sign_in: matches!(refusal, Refusal::StaleSession { .. }),
                    refusal,
                    rule: Some(idx),
                    issuer: Some(block.to_owned()),
                    kid: verdict.kid.clone(),
                };
                self.deny(request, denied)
            }
        }
    }

    /// Identifies the sender of a request, for services with rules of their own, such as `signing-api`.
    pub fn authenticate(
        &self,
        now: Timestamp,
        request: &Request<'_>,
    ) -> Result<Viewer, Unauthenticated> {
        self.find_viewer(now, request)
            .map(|verdict| verdict.viewer.clone())
    }

    /// The place of the token that decides a request; `None` without a token, or if the token is ambiguous. For
    /// services that treat what browsers send by themselves with more suspicion.
    pub fn token_source(&self, request: &Request<'_>) -> Option<&TokenSource> {
        let (_, source) = credentials::find(request, &self.token_sources).ok()??;
        self.token_sources.get(source)
    }

    /// Makes a session of the token that a viewer came with.
    ///
    /// # Errors
    ///
    /// The reason why no session was made.
    #[cfg(feature = "signing")]
    pub fn start_session(
        &self,
        now: Timestamp,
        viewer: &Viewer,
    ) -> Result<SessionToken, NoSession> {
        let signer = self
            .session_signer
            .as_ref()
            .ok_or(NoSession::NotConfigured)?;
        let block = self.verifier.block_name(viewer.block);
        signer.make(now, viewer, block, self.verifier.plan())
    }

    /// Replaces an address's keys with a set that the host fetched.
    ///
    /// Answers with the faults of single keys, which are left out. If the whole set is refused, it answers with the
    /// reasons, and the previous keys stay. Both are sentences for the log.
    pub fn accept_keys(
        &self,
        now: Timestamp,
        url: &str,
        jwks: &Value,
    ) -> Result<Vec<String>, Vec<String>> {
        self.verifier.accept_keys(now, url, jwks)
    }

    /// Records that the keys of an address could not be fetched. The previous keys stay, and the cool-down begins.
    pub fn keys_not_fetched(&self, now: Timestamp, url: &str) {
        self.verifier.keys_not_fetched(now, url);
    }

    /// The keys that the first request will need: a host may prefetch them.
    pub fn wanted_keys(&self, now: Timestamp) -> Vec<NeedKeys> {
        self.verifier.wanted_keys(now)
    }

    pub(crate) fn token_sources(&self) -> &[TokenSource] {
        &self.token_sources
    }

    pub(crate) fn cors(&self) -> Option<&CorsPolicy> {
        self.cors.as_ref()
    }

    fn find_viewer(
        &self,
        now: Timestamp,
        request: &Request<'_>,
    ) -> Result<std::sync::Arc<Verdict>, Unauthenticated> {
        let found = credentials::find(request, &self.token_sources)
            .map_err(Refusal::from)
            .and_then(|token| token.ok_or(Refusal::NoToken));
        let (token, source) =
            found.map_err(|refusal| Unauthenticated::Denied(Denied::of(refusal, None)))?;
        self.verifier
            .verify(now, token)
            .map_err(|unverified| match unverified {
                Unverified::NeedKeys(need) => Unauthenticated::NeedKeys(need),
                Unverified::Rejected(rejection) => {
                    let is_session_cookie = self.verifier.has_sessions()
                        && self.token_sources[source].is_session_cookie();
                    Unauthenticated::Denied(Denied {
                        is_resolved_by_sign_in: is_resolved_by_sign_in(
                            &rejection,
                            is_session_cookie,
                        ),
                        refusal: rejection.refusal,
                        rule: None,
                        issuer: rejection.issuer,
                        kid: rejection.kid,
                    })
                }
            })
    }

    fn deny(&self, request: &Request<'_>, denied: Denied) -> Decision {
        match self.login_location(request, &denied) {
            Some(location) => Decision::Redirect(Redirect { location, denied }),
            None => Decision::Deny(denied),
        }
    }

    /// The sign-in address, if signing in resolves the refusal: only for a page that a person opens.
    fn login_location(&self, request: &Request<'_>, denied: &Denied) -> Option<String> {
        let login = self.login.as_ref()?;
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
        let querystring = without_parameters(request.querystring, &self.token_sources);
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

impl Denied {
    /// A refusal that did not depend on a token.
    pub(crate) fn of(refusal: Refusal, rule: Option<usize>) -> Self {
        Self {
            is_resolved_by_sign_in: refusal == Refusal::NoToken,
            refusal,
            rule,
            issuer: None,
            kid: None,
        }
    }

    /// The log line: one JSON object with what an operator searches for, without any token or claim.
    pub fn log_line(&self, request_id: &str) -> Value {
        json!({
            "level": "info",
            "message": "a viewer request is denied",
            "code": self.refusal.code(),
            "status": self.refusal.status(),
            "reason": self.refusal.to_string(),
            "rule": self.rule,
            "issuer": self.issuer,
            "kid": self.loggable_kid(),
            "request_id": request_id,
        })
    }

    /// The `kid`, or a fixed word if no issuer would choose it: the sender controls this text, and logs must not carry
    /// it unchecked.
    pub fn loggable_kid(&self) -> Option<&str> {
        let kid = self.kid.as_deref()?;
        let is_harmless = kid.len() <= 128 && kid.chars().all(|c| c.is_ascii_graphic());
        Some(if is_harmless { kid } else { "unprintable" })
    }
}

impl Unauthenticated {
    /// The refusal; [`Refusal::KeysUnavailable`] while keys are needed.
    pub fn refusal(self) -> Refusal {
        match self {
            Self::Denied(denied) => denied.refusal,
            Self::NeedKeys(_) => Refusal::KeysUnavailable,
        }
    }
}

/// Whether signing in replaces the refused token. For a session it always does. For a provider's token it does if the
/// token expired, or if a fetch could have brought the key that it names. Any other token would come back unchanged.
fn is_resolved_by_sign_in(rejection: &Rejection, is_session_cookie: bool) -> bool {
    match rejection.refusal {
        Refusal::Expired { .. } | Refusal::StaleSession { .. } => true,
        Refusal::UnknownKey | Refusal::BadSignature if rejection.keys_may_change => true,
        ref refusal => is_session_cookie && refusal.status() == 401,
    }
}

impl TokenSource {
    fn is_session_cookie(&self) -> bool {
        matches!(self, Self::Cookie(name) if name == SESSION_COOKIE)
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
