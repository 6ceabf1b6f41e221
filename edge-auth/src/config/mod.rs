//! The authorizer's configuration: issuers, token sources, path rules, and where a refused browser is sent.
//!
//! These are plain values, the same in `gatepost.toml` and in the JSON baked into a deployment package. They are not
//! checked yet: [`Authorizer::new`](crate::Authorizer::new) checks them and reports every [`ConfigFault`] at once.

mod algorithm;
mod seconds;
mod session;
mod warnings;

use std::collections::BTreeMap;
use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

pub use algorithm::Algorithm;
pub use session::{Secret, Session, SessionKey, SessionKeyMaterial};
pub use warnings::warnings;

/// The whole configuration of an authorizer.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub struct Config {
    /// The issuers whose tokens are accepted.
    pub issuers: Vec<Issuer>,
    /// Where a request carries its token, in the order of search.
    pub token_sources: Vec<TokenSource>,
    /// Path rules. The first rule that matches path and method decides; a request that matches none is denied.
    pub rules: Vec<Rule>,
    /// The page that browsers are sent to when a token is missing or refused; `{url}` becomes the return address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub login: Option<String>,
    /// The cross-origin policy. Without it a preflight is an ordinary request and needs a rule.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cors: Option<Cors>,
    /// Gatepost's own sessions; none without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<Session>,
    /// Makes owners an HMAC with this secret instead of a plain hash, so that a guessed subject cannot be tested
    /// against a URL. Changing it changes every owner, so choose it before the first upload.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner_secret: Option<Secret>,
}

impl Config {
    /// The same configuration without the private halves of session keys: a verifier needs no more.
    #[must_use]
    pub fn for_verifiers(mut self) -> Self {
        for key in self
            .session
            .iter_mut()
            .flat_map(|session| &mut session.keys)
        {
            if let SessionKeyMaterial::ES256 { private, .. } = &mut key.material {
                *private = None;
            }
        }
        self
    }
}

/// One identity provider, or one kind of its tokens.
///
/// One issuer may have several blocks if at most one of them can accept any given token: they must differ by `typ`, by
/// disjoint `audiences`, or by disjoint values of one required claim.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub struct Issuer {
    /// The block's name in rules, logs and sessions; the issuer by default. Unique, and not a URL.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The exact value of the `iss` claim. It may hold [`TENANT_PLACEHOLDER`] once, as Entra's metadata does.
    pub issuer: String,
    /// Which tenants are trusted where the issuer is a template: the token's `tid` must be one of these.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenants: Option<Tenants>,
    /// The claim that identifies a person, as a claim path; `sub` by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// The issuer of another block whose name is used for owners, because both issuers name the same people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner_as: Option<String>,
    /// The values of `aud` that are accepted.
    pub audiences: Audiences,
    /// The algorithms that this issuer signs with; a token that names another is refused.
    pub algorithms: Vec<Algorithm>,
    /// The public keys that are known at start: a JWK Set (RFC 7517 §5).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jwks: Option<Value>,
    /// When `jwks` was known to match what the issuer publishes. [`PublishedKeys::max_stale_seconds`] counts from then.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "seconds")]
    pub jwks_as_of: Option<Timestamp>,
    /// Where the issuer publishes its keys. A fetched set replaces `jwks`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub published: Option<PublishedKeys>,
    /// The secrets for HS256.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secrets: Option<Secrets>,
    /// The `typ` that a token's header must have, such as `at+jwt` (RFC 8725 §3.11); any `typ` by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub typ: Option<String>,
    /// Claims that every token must have, each with one of these values.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub claims: RequiredClaims,
    /// The leeway for clock skew: how many seconds a token is accepted before `nbf` and after `exp`.
    #[serde(default)]
    pub leeway_seconds: u32,
}

impl Issuer {
    /// The block's name in rules, logs and sessions.
    pub(crate) fn block_name(&self) -> &str {
        self.name.as_deref().unwrap_or(&self.issuer)
    }
}

/// The placeholder for the tenant in [`Issuer::issuer`] and in the `issuer` member of a key.
pub const TENANT_PLACEHOLDER: &str = "{tenantid}";

/// Which tenants of a multi-tenant issuer are trusted.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Tenants {
    /// Every tenant. Never a default: anybody can create a tenant.
    Any,
    /// The tenants with these ids.
    OneOf(Vec<String>),
}

/// Required claims by claim path: a JSON Pointer (RFC 6901) if it begins with a slash, otherwise the name of a
/// top-level claim.
pub type RequiredClaims = BTreeMap<String, ClaimRequirement>;

/// The requirement on one claim. Each item of an array counts as a value of the claim; an object is never a value.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ClaimRequirement {
    /// The claim has all of these values.
    All(Vec<ClaimValue>),
    /// The claim has at least one of these values.
    Any(Vec<ClaimValue>),
    /// The claim is an object with at least one of these members, whose value is not `false`, `null` or empty.
    Keys(Vec<String>),
}

/// A claim's value in a configuration.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(untagged)]
pub enum ClaimValue {
    /// `true` or `false`, as in `email_verified`.
    Bool(bool),
    /// An integer from −(2^53−1) to 2^53−1, the range that every JSON parser reads alike (RFC 8259 §6).
    Integer(i64),
    /// A string.
    Text(String),
}

/// An issuer's keys at a URL. The host fetches them when a decision needs them.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct PublishedKeys {
    /// An HTTPS address that answers with a JWK Set; plain HTTP only for this machine itself.
    pub url: String,
    /// The TTL of a fetched set in seconds. While the address answers, a key that the issuer withdraws is trusted no
    /// longer than this. The keys that are known at start count as expired.
    pub max_age_seconds: u32,
    /// The timeout of a fetch in milliseconds: a viewer waits for it.
    pub timeout_ms: u32,
    /// How many seconds after the last successful fetch keys are still trusted while every fetch fails.
    pub max_stale_seconds: u32,
}

impl PublishedKeys {
    /// The default TTL of a fetched set: an hour.
    pub const DEFAULT_MAX_AGE_SECONDS: u32 = 3600;
    /// The default timeout of a fetch: two seconds.
    pub const DEFAULT_TIMEOUT_MS: u32 = 2000;
    /// How long keys are trusted by default while every fetch fails: 30 days.
    pub const DEFAULT_MAX_STALE_SECONDS: u32 = 30 * 24 * 3600;

    /// Keys at this address, with the defaults.
    pub fn at(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            max_age_seconds: Self::DEFAULT_MAX_AGE_SECONDS,
            timeout_ms: Self::DEFAULT_TIMEOUT_MS,
            max_stale_seconds: Self::DEFAULT_MAX_STALE_SECONDS,
        }
    }
}

/// Symmetric keys: a JWK Set of keys of type `oct` (RFC 7518 §6.4), each of at least 32 bytes.
#[derive(Clone, Deserialize, Serialize)]
#[serde(transparent)]
pub struct Secrets(pub Value);

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secrets")
    }
}

/// The permissions of other sites' scripts (the Fetch standard's CORS protocol).
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub struct Cors {
    /// The allowed origins, such as `https://app.example.com`; `*` alone means all.
    pub origins: Vec<String>,
    /// The methods that a preflight may ask for.
    pub methods: Vec<String>,
    /// The request headers that a preflight may ask for, lower-case.
    pub headers: Vec<String>,
    /// Whether requests may carry cookies.
    #[serde(default)]
    pub credentials: bool,
    /// How many seconds a browser may cache the answer to a preflight.
    pub max_age_seconds: u32,
}

/// The accepted values of the `aud` claim.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Audiences {
    /// Any value: the check is skipped. Never a default; it must be spelled out.
    Any,
    /// At least one of these must be among the token's audiences.
    OneOf(Vec<String>),
}

impl Default for Audiences {
    fn default() -> Self {
        Self::OneOf(Vec::new())
    }
}

/// A place in a request where a token may be.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum TokenSource {
    /// `Authorization: Bearer …` (RFC 6750 §2.1).
    Authorization,
    /// The cookie of this name.
    Cookie(String),
    /// The query parameter of this name (RFC 6750 §2.3). Never a default, and only for short-lived links: URLs end up
    /// in logs, histories and `Referer`s.
    Query(String),
    /// The header of this lower-case name, such as `cf-access-jwt-assertion`: one line with the token and nothing else.
    Header(String),
}

/// One path rule.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Rule {
    /// A path pattern: literal segments, `*` within a segment, `{owner}`, `{claim:PATH}`, and `**` as the last segment.
    pub path: String,
    /// What the rule requires of the viewer.
    pub access: Access,
    /// The methods that the rule applies to; empty means GET and HEAD.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub methods: Vec<String>,
    /// Claims that the viewer's token must have as well.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub claims: RequiredClaims,
    /// The issuers whose tokens the rule accepts.
    #[serde(default)]
    pub issuers: RuleIssuers,
}

impl Rule {
    /// A rule for GET and HEAD that accepts any issuer's tokens.
    pub fn new(path: impl Into<String>, access: Access) -> Self {
        Self {
            path: path.into(),
            access,
            methods: Vec::new(),
            claims: RequiredClaims::new(),
            issuers: RuleIssuers::Unnamed,
        }
    }
}

/// The issuers whose tokens a rule accepts. Each issuer defines its own scopes and claims, so with several issuers a
/// rule that requires them must name the issuers that it trusts.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RuleIssuers {
    /// Not configured: any issuer's token is accepted.
    #[default]
    Unnamed,
    /// Any issuer's token, configured explicitly.
    Any,
    /// The tokens of these issuers, each named by a block's name or by its `iss`.
    OneOf(Vec<String>),
}

/// The requirement of a rule on the viewer.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Access {
    /// Nothing: the token is not read.
    Anyone,
    /// A valid token.
    Authenticated,
    /// A valid token whose owner is the one that `{owner}` in the path names.
    Owner,
    /// A valid token whose `scope` contains all of these.
    Scopes(Vec<String>),
}

/// A fault in a configuration, and where it is.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ConfigFault {
    /// The key as it is written in `gatepost.toml`, such as `rules[2].path`.
    pub key: String,
    /// The fault and how to correct it.
    pub message: String,
}

impl ConfigFault {
    /// All faults in one line: `key: message; key: message`.
    pub fn listed(faults: &[Self]) -> String {
        let faults = faults.iter();
        let faults: Vec<_> = faults
            .map(|Self { key, message }| format!("{key}: {message}"))
            .collect();
        faults.join("; ")
    }

    pub(crate) fn new(key: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            key: key.into(),
            message: message.into(),
        }
    }
}
