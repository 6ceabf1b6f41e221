//! What the authorizer is told: issuers, where tokens are found, path rules, what a refused browser gets.
//!
//! These are plain values, the same in `gatepost.toml` and in the JSON baked into a deployment package. They promise
//! nothing yet: [`Authorizer::new`](crate::Authorizer::new) checks them and reports every [`Fault`] at once.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Everything that decides who may fetch what.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub struct Config {
    /// Who may issue tokens.
    pub issuers: Vec<Issuer>,
    /// Where a request carries its token, in the order they are looked at.
    pub token_sources: Vec<TokenSource>,
    /// Path rules: the first whose path and method match decides, and where none matches the request is denied.
    pub rules: Vec<Rule>,
    /// The page that browsers are sent to when a token is missing or refused; `{url}` becomes the return address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub login: Option<String>,
    /// Which other sites' scripts may fetch from here; without it preflights are held against the rules.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cors: Option<Cors>,
    /// Sessions of our own; without it there are none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<Session>,
}

/// Sessions: short tokens of our own, made of an issuer's.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Session {
    /// The secrets, the newest first: it signs, all verify, so that nobody is signed out when one is added.
    pub secrets: Secrets,
    /// How many seconds a session lasts, unless the token that it is made of ends earlier.
    pub lifetime_seconds: u32,
}

/// One identity provider.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Issuer {
    /// The exact value of the `iss` claim.
    pub issuer: String,
    /// Which values of `aud` are meant for us.
    pub audiences: Audiences,
    /// The algorithms that this issuer signs with; a token that names another is refused.
    pub algorithms: Vec<Algorithm>,
    /// The public keys that are known from the start: a JWK Set (RFC 7517 §5).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jwks: Option<Value>,
    /// Where the issuer publishes its keys. What is fetched from there takes the place of `jwks`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub published: Option<PublishedKeys>,
    /// The secrets that HS256 is verified with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secrets: Option<Secrets>,
    /// The `typ` that a token's header must have, such as `at+jwt` (RFC 8725 §3.11); without it any will do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub typ: Option<String>,
    /// Claims that every token must have, each with one of these values.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub claims: RequiredClaims,
    /// How many seconds a token is accepted before `nbf` and after `exp`.
    #[serde(default)]
    pub leeway_seconds: u32,
}

/// Claims by name, each with the values of which the token's claim must be one, or, as an array, hold one.
pub type RequiredClaims = BTreeMap<String, Vec<ClaimValue>>;

/// A claim's value that a configuration can ask for.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(untagged)]
pub enum ClaimValue {
    /// `true` or `false`, as in `email_verified`.
    Bool(bool),
    /// A whole number.
    Integer(i64),
    /// A text.
    Text(String),
}

/// An issuer's keys at a URL. The host fetches them when a decision asks for it.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct PublishedKeys {
    /// An HTTPS address that answers with a JWK Set; plain HTTP only on this machine itself.
    pub url: String,
    /// How many seconds a fetched set is used before it is fetched again. A key that the issuer withdraws is trusted
    /// no longer than this while the address answers. The keys known from the start count as older than that.
    pub max_age_seconds: u32,
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

/// What scripts of other sites may do (the Fetch standard's CORS protocol).
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub struct Cors {
    /// The sites, such as `https://app.example.com`; `*` alone means all.
    pub origins: Vec<String>,
    /// The methods that a preflight is granted.
    pub methods: Vec<String>,
    /// The request headers that a preflight is granted, lower-case.
    pub headers: Vec<String>,
    /// Whether cookies may be sent along.
    #[serde(default)]
    pub credentials: bool,
    /// How many seconds a browser may remember the answer to a preflight.
    pub max_age_seconds: u32,
}

/// Which values of the `aud` claim are accepted.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Audiences {
    /// Any value: the check is skipped. Never a default; whoever wants it spells it out.
    Any,
    /// At least one of these must be among the token's audiences.
    OneOf(Vec<String>),
}

/// A signature or MAC algorithm of RFC 7518 §3.1 or RFC 8037 §3.1.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[non_exhaustive]
pub enum Algorithm {
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    RS256,
    /// RSASSA-PKCS1-v1_5 with SHA-384.
    RS384,
    /// RSASSA-PKCS1-v1_5 with SHA-512.
    RS512,
    /// RSASSA-PSS with SHA-256.
    PS256,
    /// RSASSA-PSS with SHA-384.
    PS384,
    /// RSASSA-PSS with SHA-512.
    PS512,
    /// ECDSA on P-256 with SHA-256.
    ES256,
    /// ECDSA on P-384 with SHA-384.
    ES384,
    /// Ed25519; tokens may name it `EdDSA` or, as RFC 9864 has it, `Ed25519`.
    EdDSA,
    /// HMAC with SHA-256, for issuers that share a secret with us.
    HS256,
}

impl Algorithm {
    /// All that are supported, in the order in which messages list them.
    pub const ALL: [Self; 10] = [
        Self::RS256,
        Self::RS384,
        Self::RS512,
        Self::PS256,
        Self::PS384,
        Self::PS512,
        Self::ES256,
        Self::ES384,
        Self::EdDSA,
        Self::HS256,
    ];

    /// The name in a token's `alg` header.
    pub fn name(self) -> &'static str {
        match self {
            Self::RS256 => "RS256",
            Self::RS384 => "RS384",
            Self::RS512 => "RS512",
            Self::PS256 => "PS256",
            Self::PS384 => "PS384",
            Self::PS512 => "PS512",
            Self::ES256 => "ES256",
            Self::ES384 => "ES384",
            Self::EdDSA => "EdDSA",
            Self::HS256 => "HS256",
        }
    }

    /// The algorithm of that exact name.
    pub fn from_name(name: &str) -> Option<Self> {
        if name == "Ed25519" {
            return Some(Self::EdDSA);
        }
        Self::ALL
            .into_iter()
            .find(|algorithm| algorithm.name() == name)
    }
}

/// A place in a request where a token may stand.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum TokenSource {
    /// `Authorization: Bearer …` (RFC 6750 §2.1).
    Authorization,
    /// The cookie of this name.
    Cookie(String),
    /// The query parameter of this name (RFC 6750 §2.3). URLs end up in logs, histories and `Referer`s: for links that
    /// live shortly, and never a default.
    Query(String),
}

/// One path rule.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Rule {
    /// A path pattern: literal segments, `*` within a segment, `{owner}`, `{claim:NAME}`, and `**` as the last segment.
    pub path: String,
    /// What the viewer must be.
    pub access: Access,
    /// The methods that it holds for; empty means GET and HEAD.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub methods: Vec<String>,
    /// Claims that the viewer's token must have besides.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub claims: RequiredClaims,
}

/// What a rule asks of the viewer.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Access {
    /// Nothing: no token is looked at.
    Anyone,
    /// A valid token.
    Authenticated,
    /// A valid token whose owner is the one named by `{owner}` in the path.
    Owner,
    /// A valid token whose `scope` holds all of these.
    Scopes(Vec<String>),
}

/// Something wrong with a configuration, and where.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Fault {
    /// The key as it is written in `gatepost.toml`, such as `rules[2].path`.
    pub key: String,
    /// What is wrong with it and what to do.
    pub message: String,
}

impl Fault {
    pub(crate) fn new(key: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            key: key.into(),
            message: message.into(),
        }
    }
}
