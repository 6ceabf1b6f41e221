//! The decision itself: path, rule, token, viewer, in this order.

use jiff::Timestamp;
use serde_json::Value;

use crate::config::{Config, ConfigFault, TokenSource};
use crate::cors::CorsPolicy;
use crate::decision::{Allowed, Decision, Denied, Redirect, Unauthenticated};
use crate::http::address::check_login;
use crate::http::credentials::{self, source_fault};
use crate::http::path::CanonicalPath;
use crate::http::request::Request;
use crate::identity::Viewer;
use crate::issuers::IssuerNames;
use crate::keys::rings::NeedKeys;
use crate::refusal::Refusal;
use crate::rules::RuleSet;
use crate::session::SESSION_COOKIE;
#[cfg(feature = "signing")]
use crate::session::{NoSession, SessionIssuer, SessionToken};
use crate::sign_in::{SignInPage, is_resolved_by_sign_in};
use crate::token::ClaimPlan;
use crate::verify::{Unverified, VerifiedToken, Verifier};

/// The minimum length of the secret for owners: as long as the hash.
const MIN_OWNER_SECRET_BYTES: usize = 32;

/// Decides on requests. Made once from a [`Config`], then shared. Its only mutable state is the fetched keys and the
/// cache of verified tokens.
pub struct Authorizer {
    verifier: Verifier,
    rules: RuleSet,
    token_sources: Vec<TokenSource>,
    sign_in: Option<SignInPage>,
    cors: Option<CorsPolicy>,
    #[cfg(feature = "signing")]
    session_issuer: Option<SessionIssuer>,
}

impl Authorizer {
    /// Checks a configuration, and reports every fault in it.
    ///
    /// # Errors
    ///
    /// Every fault, each with its key as `gatepost.toml` spells it.
    pub fn new(config: &Config) -> Result<Self, Vec<ConfigFault>> {
        let (mut faults, mut in_rules) = (Vec::new(), Vec::new());
        let mut plan = ClaimPlan::default();
        let names = IssuerNames::new(&config.issuers);
        let rules = RuleSet::new(&config.rules, &names, &mut plan, &mut in_rules);
        let authorizer = Self {
            verifier: Verifier::new(config, plan, &mut faults),
            rules,
            token_sources: config.token_sources.clone(),
            sign_in: config.login.as_deref().map(SignInPage::new),
            cors: config
                .cors
                .as_ref()
                .map(|cors| CorsPolicy::new(cors, &mut faults)),
            #[cfg(feature = "signing")]
            session_issuer: config
                .session
                .as_ref()
                .map(|session| SessionIssuer::new(session, &mut faults)),
        };
        let cookie = TokenSource::Cookie(SESSION_COOKIE.to_owned());
        if config.session.is_some() && !config.token_sources.contains(&cookie) {
            faults.push(ConfigFault::new(
                "token.from",
                format!("sessions come in a cookie: add \"cookie:{SESSION_COOKIE}\""),
            ));
        }
        if config.session.is_some() && config.token_sources.first() == Some(&cookie) {
            faults.push(ConfigFault::new(
                "token.from",
                format!("a provider's token must come before \"cookie:{SESSION_COOKIE}\", or a session could not be renewed: put \"authorization\" first"),
            ));
        }
        if let Some(login) = &config.login
            && let Err(message) = check_login(login)
        {
            faults.push(ConfigFault::new("deny.login", message));
        }
        let secret = config
            .owner_secret
            .as_ref()
            .map(|secret| secret.bytes().len());
        if secret.is_some_and(|bytes| bytes < MIN_OWNER_SECRET_BYTES) {
            let message = format!(
                "has fewer than {MIN_OWNER_SECRET_BYTES} bytes; openssl rand -hex 32 makes one"
            );
            faults.push(ConfigFault::new("owner.secret", message));
        }
        faults.append(&mut in_rules);
        for (idx, source) in config.token_sources.iter().enumerate() {
            if let Some(message) = source_fault(source, &config.token_sources[..idx]) {
                faults.push(ConfigFault::new(format!("token.from[{idx}]"), message));
            }
        }
        if faults.is_empty() {
            Ok(authorizer)
        } else {
            Err(faults)
        }
    }

    /// Checks a configuration in the same way, and decides as a runtime that knows nothing but sessions with HS256 in the
    /// cookie [`SESSION_COOKIE`]: a `CloudFront` Function, whose code is generated from [`policy`](Self::policy).
    ///
    /// # Errors
    ///
    /// Every fault, each with its key as `gatepost.toml` spells it.
    pub fn for_shared_sessions(config: &Config) -> Result<Self, Vec<ConfigFault>> {
        let mut authorizer = Self::new(config)?;
        authorizer.token_sources = vec![TokenSource::Cookie(SESSION_COOKIE.to_owned())];
        authorizer.verifier.accept_only_shared_sessions();
        Ok(authorizer)
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
        let verified = match self.find_viewer(now, request) {
            Ok(verified) => verified,
            Err(Unauthenticated::NeedKeys(need)) => return Decision::NeedKeys(need),
            Err(Unauthenticated::Denied(denied)) => {
                let rule = Some(idx);
                return self.deny(request, Denied { rule, ..denied });
            }
        };
        match rule.check(&path, &verified.viewer, self.verifier.plan()) {
            Ok(()) => Decision::Allow(Allowed {
                path,
                is_for_anyone: false,
                owner: verified.viewer.owner.clone(),
                rule: idx,
            }),
            Err(refusal) => {
                let block = self.verifier.block_name(verified.viewer.block);
                let denied = Denied {
                    is_resolved_by_sign_in: matches!(refusal, Refusal::StaleSession { .. }),
                    refusal,
                    rule: Some(idx),
                    issuer: Some(block.to_owned()),
                    kid: verified.kid.clone(),
                };
                self.deny(request, denied)
            }
        }
    }

    /// Identifies the sender of a request, for services with rules of their own, such as `signing-api`.
    ///
    /// # Errors
    ///
    /// The refusal, or the keys that the host must fetch first.
    pub fn authenticate(
        &self,
        now: Timestamp,
        request: &Request<'_>,
    ) -> Result<Viewer, Unauthenticated> {
        self.find_viewer(now, request)
            .map(|verified| verified.viewer.clone())
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
            .session_issuer
            .as_ref()
            .ok_or(NoSession::NotConfigured)?;
        let block = self.verifier.block_name(viewer.block);
        signer.make(now, viewer, block, self.verifier.plan())
    }

    /// Replaces an address's keys with a set that the host fetched.
    ///
    /// Answers with the faults of single keys, which are left out, as sentences for the log.
    ///
    /// # Errors
    ///
    /// The reasons for refusing the whole set, as sentences for the log. The previous keys stay, and the cool-down
    /// begins as after a failed fetch.
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

    /// The keys that are due for a fetch: a host may prefetch them before the first request needs them.
    pub fn keys_due(&self, now: Timestamp) -> Vec<NeedKeys> {
        self.verifier.keys_due(now)
    }

    pub(crate) fn token_sources(&self) -> &[TokenSource] {
        &self.token_sources
    }

    pub(crate) fn cors(&self) -> Option<&CorsPolicy> {
        self.cors.as_ref()
    }

    pub(crate) fn rules(&self) -> &RuleSet {
        &self.rules
    }

    pub(crate) fn verifier(&self) -> &Verifier {
        &self.verifier
    }

    pub(crate) fn sign_in(&self) -> Option<&SignInPage> {
        self.sign_in.as_ref()
    }

    fn find_viewer(
        &self,
        now: Timestamp,
        request: &Request<'_>,
    ) -> Result<std::sync::Arc<VerifiedToken>, Unauthenticated> {
        let found = credentials::find(request, &self.token_sources)
            .map_err(Refusal::from)
            .and_then(|token| token.ok_or(Refusal::NoToken));
        let (token, source) =
            found.map_err(|refusal| Unauthenticated::Denied(Denied::of(refusal, None)))?;
        self.verifier
            .verify(now, token)
            .map_err(|unverified| match unverified {
                Unverified::NeedKeys(need) => Unauthenticated::NeedKeys(need),
                Unverified::Refused(refused) => {
                    let is_session_cookie = self.verifier.has_sessions()
                        && self.token_sources[source].is_session_cookie();
                    Unauthenticated::Denied(Denied {
                        is_resolved_by_sign_in: is_resolved_by_sign_in(&refused, is_session_cookie),
                        refusal: refused.refusal,
                        rule: None,
                        issuer: refused.issuer,
                        kid: refused.kid,
                    })
                }
            })
    }

    fn deny(&self, request: &Request<'_>, denied: Denied) -> Decision {
        let page = self.sign_in.as_ref();
        match page.and_then(|page| page.location(request, &denied, &self.token_sources)) {
            Some(location) => Decision::Redirect(Redirect { location, denied }),
            None => Decision::Deny(denied),
        }
    }
}

impl TokenSource {
    fn is_session_cookie(&self) -> bool {
        matches!(self, Self::Cookie(name) if name == SESSION_COOKIE)
    }
}
