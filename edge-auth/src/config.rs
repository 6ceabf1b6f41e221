//! What the authorizer is told: issuers, where tokens are found, path rules, what a refused browser gets.
//!
//! These are plain values, the same in `gatepost.toml` and in the JSON baked into a deployment package. They promise
//! nothing yet: [`Authorizer::new`](crate::Authorizer::new) checks them and reports every [`Fault`] at once.

use std::collections::BTreeMap;
use std::fmt;

use data_encoding::BASE64URL_NOPAD;
use jiff::Timestamp;
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
    /// Makes owners an HMAC with this secret instead of a plain hash, so that nobody can test a guessed subject against
    /// a URL. Changing it changes every owner, so it is chosen before the first upload.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner_secret: Option<Secret>,
}

impl Config {
    /// The same configuration without the private halves of session keys: what a verifier needs and no more.
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

/// Sessions: short tokens of our own, made of an issuer's.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Session {
    /// Every key verifies; the newest whose [`from`](SessionKey::from) has passed signs.
    pub keys: Vec<SessionKey>,
    /// How many seconds a session lasts, unless the token that it is made of ends earlier.
    pub lifetime_seconds: u32,
}

/// One key that sessions are signed or verified with.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct SessionKey {
    /// Its name, in the header of every session that it signs. Unique among the keys.
    pub kid: String,
    /// When it begins to sign. Every verifier must have the key before then. A key without it signs from the start, and
    /// of several keys only one may lack it.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "seconds")]
    pub from: Option<Timestamp>,
    /// The key itself.
    pub material: SessionKeyMaterial,
}

/// Times as whole seconds since 1970: reading dates would add a tenth to the size of the addon at the edge.
mod seconds {
    use jiff::Timestamp;
    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    // Serde's form of such a function.
    #[expect(clippy::ref_option, reason = "the signature is serde's")]
    pub(super) fn serialize<S: Serializer>(
        time: &Option<Timestamp>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        time.map(Timestamp::as_second).serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Timestamp>, D::Error> {
        let seconds = Option::<i64>::deserialize(deserializer)?;
        let time = seconds.map(Timestamp::from_second).transpose();
        time.map_err(|_| D::Error::custom("a time is beyond the year 9999"))
    }
}

/// The key of a session, by algorithm.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[non_exhaustive]
pub enum SessionKeyMaterial {
    /// ECDSA on P-256: a verifier that holds only the public half cannot make sessions.
    ES256 {
        /// The public key: a JWK (RFC 7517).
        public: Value,
        /// The private key in DER (PKCS #8 or SEC 1). Without it the key only verifies.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        private: Option<Secret>,
    },
    /// HMAC with a secret of at least 32 bytes. Any verifier can make sessions, too.
    HS256 {
        /// The secret.
        secret: Secret,
    },
}

/// Secret bytes: base64url in JSON, and redacted in `Debug`.
#[derive(Clone, Deserialize, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct Secret(Vec<u8>);

impl Secret {
    /// The bytes, for the code that signs.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.0
    }
}

impl From<Vec<u8>> for Secret {
    fn from(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }
}

impl TryFrom<String> for Secret {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        BASE64URL_NOPAD
            .decode(text.as_bytes())
            .map(Self)
            .map_err(|_| "a secret is base64url without padding")
    }
}

impl From<Secret> for String {
    fn from(secret: Secret) -> Self {
        BASE64URL_NOPAD.encode(&secret.0)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

/// One identity provider, or one kind of its tokens.
///
/// Several blocks may be for one issuer if at most one of them can accept any token: they must differ by `typ`, by
/// disjoint `audiences`, or by disjoint values of one required claim.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub struct Issuer {
    /// What rules, logs and sessions call this block; its issuer where this is not set. Unique, and not a URL.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The exact value of the `iss` claim. It may hold [`TENANT_PLACEHOLDER`] once, as Entra's metadata does.
    pub issuer: String,
    /// Whose tokens are accepted where the issuer is a template: the token's `tid` must be one of these.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenants: Option<Tenants>,
    /// The claim that identifies a person, as a claim path; `sub` where this is not set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// Another block's issuer, whose name is used for owners, because both name the same people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner_as: Option<String>,
    /// Which values of `aud` are meant for us.
    pub audiences: Audiences,
    /// The algorithms that this issuer signs with; a token that names another is refused.
    pub algorithms: Vec<Algorithm>,
    /// The public keys that are known from the start: a JWK Set (RFC 7517 §5).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jwks: Option<Value>,
    /// When `jwks` was known to be what the issuer publishes; it counts against [`PublishedKeys::max_stale_seconds`].
    #[serde(default, skip_serializing_if = "Option::is_none", with = "seconds")]
    pub jwks_as_of: Option<Timestamp>,
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

/// What stands for the tenant in [`Issuer::issuer`] and in the `issuer` member of a key.
pub const TENANT_PLACEHOLDER: &str = "{tenantid}";

/// Which tenants of a multi-tenant issuer are trusted.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Tenants {
    /// Every tenant. Never a default: anybody can create one.
    Any,
    /// The tenants with these ids.
    OneOf(Vec<String>),
}

/// What claims must say, by claim path: a JSON Pointer (RFC 6901) if it begins with a slash, otherwise the name of a
/// top-level claim.
pub type RequiredClaims = BTreeMap<String, ClaimRequirement>;

/// What one claim must say. A claim that is an array has each of its items as a value; an object is never a value.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ClaimRequirement {
    /// It has all of these values.
    All(Vec<ClaimValue>),
    /// It has at least one of these values.
    Any(Vec<ClaimValue>),
    /// It is an object with at least one of these members, which is not `false`, `null` or empty.
    Keys(Vec<String>),
}

/// A claim's value that a configuration can ask for.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(untagged)]
pub enum ClaimValue {
    /// `true` or `false`, as in `email_verified`.
    Bool(bool),
    /// A whole number, from −(2^53−1) to 2^53−1: what every JSON parser reads alike (RFC 8259 §6).
    Integer(i64),
    /// A text.
    Text(String),
}

/// An issuer's keys at a URL. The host fetches them when a decision asks for it.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct PublishedKeys {
    /// An HTTPS address that answers with a JWK Set; plain HTTP only on this machine itself.
    pub url: String,
    /// How many seconds a fetched set is used before it is fetched again. A key that the issuer withdraws is trusted
    /// no longer than this while the address answers. The keys known from the start count as older than that.
    pub max_age_seconds: u32,
    /// How long a fetch may take, in milliseconds: a viewer waits for it.
    pub timeout_ms: u32,
    /// How many seconds after the last successful fetch keys are still trusted while no fetch succeeds.
    pub max_stale_seconds: u32,
}

impl PublishedKeys {
    /// How long a fetched set is used by default: an hour.
    pub const DEFAULT_MAX_AGE_SECONDS: u32 = 3600;
    /// How long a fetch may take by default: two seconds.
    pub const DEFAULT_TIMEOUT_MS: u32 = 2000;
    /// How long keys are trusted by default while no fetch succeeds: 30 days.
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
    /// The header of this lower-case name, such as `cf-access-jwt-assertion`: one line with the token and nothing else.
    Header(String),
}

/// One path rule.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Rule {
    /// A path pattern: literal segments, `*` within a segment, `{owner}`, `{claim:PATH}`, and `**` as the last segment.
    pub path: String,
    /// What the viewer must be.
    pub access: Access,
    /// The methods that it holds for; empty means GET and HEAD.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub methods: Vec<String>,
    /// Claims that the viewer's token must have besides.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub claims: RequiredClaims,
    /// Whose tokens the rule is about.
    #[serde(default)]
    pub issuers: RuleIssuers,
}

impl Rule {
    /// A rule for reading, about any issuer's tokens.
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

/// Whose tokens a rule is about. Scopes and claims mean what their issuer means by them, so with several issuers a rule
/// about them must say whose it believes.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RuleIssuers {
    /// The rule does not say: any token will do.
    #[default]
    Unnamed,
    /// Any issuer's tokens, said explicitly.
    Any,
    /// The tokens of these issuers, each given by a block's name or by its issuer.
    OneOf(Vec<String>),
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
    /// All of these in one line: `key: message; key: message`.
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
