//! The part of the file for `edge-auth`: issuers and their keys, token sources, rules, denials, CORS.
//!
//! [`Config::load`](super::Config::load) calls it. It reads the files of keys and secrets, and never fetches anything.

use std::path::Path;

use data_encoding::BASE64URL_NOPAD;
use edge_auth::config::{
    Access, Algorithm, Audiences, Cors, Issuer, PublishedKeys, Rule, RuleIssuers, Secret, Secrets,
    Session, SessionKey, SessionKeyMaterial, Tenants, TokenSource,
};
use jiff::Timestamp;
use rustls_pki_types::SubjectPublicKeyInfoDer;
use rustls_pki_types::pem::PemObject as _;
use serde_json::{Value, json};
use url_signing::cloudfront::private_key_der;

use super::delivery::{DEFAULT_SESSION_LIFETIME, DeliveryMode};
use super::document::Section;
use super::units::{parse_duration, parse_leeway, parse_milliseconds};
use crate::text_file;

/// How long a browser caches a preflight's answer by default.
const DEFAULT_PREFLIGHT_AGE: u32 = 600;

/// The advice for a missing name of a session's key.
const KID: &str = "write a name that is new for each key, such as \"2026-11\"";
/// The keys of `[[issuers]]`.
const ISSUER: [&str; 12] = [
    "algorithms",
    "audiences",
    "claims",
    "issuer",
    "jwks",
    "leeway",
    "name",
    "owner_as",
    "secrets",
    "subject",
    "tenants",
    "typ",
];
/// The keys of `jwks`.
const JWKS: [&str; 5] = ["file", "max_age", "max_stale", "timeout", "url"];
/// The keys of `[[rules]]`.
const RULE: [&str; 6] = ["allow", "claims", "issuers", "methods", "path", "scopes"];
/// The keys of `[cors]`.
const CORS: [&str; 5] = ["credentials", "headers", "max_age", "methods", "origins"];

/// The names of algorithms.
const ALGORITHMS: &str =
    "RS256, RS384, RS512, PS256, PS384, PS512, ES256, ES384, EdDSA (or Ed25519), or HS256";

pub(super) fn read(
    root: &Section<'_>,
    folder: &Path,
    jwks: Option<&Value>,
    (delivery, configured): (DeliveryMode, DeliveryMode),
) -> edge_auth::Config {
    let mut edge = edge_auth::Config {
        token_sources: vec![TokenSource::Authorization],
        ..Default::default()
    };
    for section in root.sections("issuers", &ISSUER) {
        edge.issuers.push(read_issuer(&section, folder, jwks));
    }
    let token = root.section("token", &["from"]);
    if let Some(sources) = token.as_ref().and_then(read_token_sources) {
        edge.token_sources = sources;
    }
    for section in root.sections("rules", &RULE) {
        edge.rules.push(read_rule(&section));
    }
    if let Some(section) = root.section("deny", &["login"]) {
        edge.login = section.text("login");
    }
    if let Some(section) = root.section("cors", &CORS) {
        edge.cors = Some(read_cors(&section));
    }
    if let Some(section) = root.section("session", &["keys", "lifetime", "secrets"]) {
        edge.session = Some(match delivery {
            DeliveryMode::Function => read_session_without_keys(&section, configured),
            DeliveryMode::Lambda | DeliveryMode::Signed | DeliveryMode::Presigned => {
                read_session(&section, folder)
            }
        });
    } else if delivery == DeliveryMode::Function {
        edge.session = Some(super::delivery::default_session());
    }
    if let Some(section) = root.section("owner", &["secret"]) {
        if let Some(secret) = section.section("secret", &["env", "file"]) {
            edge.owner_secret = read_secret(&secret, folder).map(Secret::from);
        } else if !section.has("secret") {
            section.fault(
                "secret",
                "is missing; name its place, such as { file = \"owner-secret\" }",
            );
        }
    }
    edge
}

/// `secrets = [{ kid, file | env, from }]` for HS256, `keys = [{ kid, file | public, from }]` for ES256: in this order,
/// which [`session_key_name`] knows.
fn read_session(section: &Section<'_>, folder: &Path) -> Session {
    let mut keys = Vec::new();
    for entry in section.sections("secrets", &["env", "file", "from", "kid"]) {
        let secret = read_secret(&entry, folder);
        keys.push(SessionKey {
            kid: entry.required_text("kid", KID),
            from: entry.time("from"),
            material: SessionKeyMaterial::HS256 {
                // After a fault a placeholder serves, if no other key has it.
                secret: secret.unwrap_or_else(|| vec![0; 32]).into(),
            },
        });
    }
    for entry in section.sections("keys", &["file", "from", "kid", "public"]) {
        let kid = entry.required_text("kid", KID);
        let key = match (entry.text("file"), entry.text("public")) {
            (Some(file), None) => std::fs::read(folder.join(&file))
                .map_err(|error| error.to_string())
                .and_then(|pem| {
                    let key = private_key_der(&pem).and_then(|der| {
                        SessionKey::from_private_der(kid.as_str(), der.secret_der())
                    });
                    key.map_err(|reason| format!("{reason}; openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 makes one"))
                })
                .map_err(|reason| entry.fault("file", &format!("{file}: {reason}"))),
            (None, Some(file)) => std::fs::read(folder.join(&file))
                .map_err(|error| error.to_string())
                .and_then(|pem| {
                    // Editors on Windows put a byte order mark before the first line.
                    let pem = pem.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&pem);
                    let key = SubjectPublicKeyInfoDer::from_pem_slice(pem)
                        .map_err(|_| "holds no public key in PEM")
                        .and_then(|der| SessionKey::from_public_der(kid.as_str(), der.as_ref()));
                    key.map_err(|reason| format!("{reason}; openssl pkey -in session.pem -pubout makes one"))
                })
                .map_err(|reason| entry.fault("public", &format!("{file}: {reason}"))),
            (None, None) if entry.is_faulty("file") || entry.is_faulty("public") => Err(()),
            _ => {
                entry.fault("file", "name either a `file` with the private key, or a `public` key whose private half the API reads when it starts");
                Err(())
            }
        };
        let from = entry.time("from");
        if let Ok(key) = key {
            keys.push(SessionKey { from, ..key });
        }
    }
    if !section.has("secrets") && !section.has("keys") {
        section.fault(
            "keys",
            "is missing; name one, such as [{ kid = \"2026-11\", file = \"session.pem\" }]",
        );
    }
    Session {
        keys,
        lifetime_seconds: read_session_lifetime(section),
    }
}

/// `[session]` of mode `function`, whose secrets are in the `KeyValueStore` and in the API's secret. Keys are a fault only if
/// the file itself has that mode.
fn read_session_without_keys(section: &Section<'_>, configured: DeliveryMode) -> Session {
    for name in ["keys", "secrets"] {
        if section.has(name) && configured == DeliveryMode::Function {
            section.fault(
                name,
                "mode \"function\" has its secrets in CloudFront's KeyValueStore, never in a package: remove this; `gatepost session-key push` writes them",
            );
        }
    }
    Session {
        keys: Vec::new(),
        lifetime_seconds: read_session_lifetime(section),
    }
}

fn read_session_lifetime(section: &Section<'_>) -> u32 {
    section
        .parsed("lifetime", parse_seconds)
        .unwrap_or(DEFAULT_SESSION_LIFETIME)
}

/// The key in the file for a fault of `session.keys[N]`: `edge-auth` has one list, the file has two.
pub(super) fn session_key_name(key: &str, session: Option<&Session>) -> String {
    let renamed = || {
        let rest = key.strip_prefix("session.keys[")?;
        let (idx, rest) = rest.split_once(']')?;
        let idx: usize = idx.parse().ok()?;
        let is_secret =
            |key: &&SessionKey| matches!(key.material, SessionKeyMaterial::HS256 { .. });
        let n_secrets = session?.keys.iter().filter(is_secret).count();
        Some(match idx.checked_sub(n_secrets) {
            None => format!("session.secrets[{idx}]{rest}"),
            Some(idx) => format!("session.keys[{idx}]{rest}"),
        })
    };
    renamed().unwrap_or_else(|| key.to_owned())
}

fn read_issuer(section: &Section<'_>, folder: &Path, given_jwks: Option<&Value>) -> Issuer {
    let issuer = section.required_text(
        "issuer",
        "write the `iss` of its tokens, such as \"https://login.example.com/\"",
    );
    let audiences = match section.texts_or_any("audiences", "audiences") {
        Some(TextsOrAny::Any) => Audiences::Any,
        Some(TextsOrAny::Texts(texts)) => Audiences::OneOf(texts),
        None => {
            if !section.has("audiences") {
                section.fault(
                    "audiences",
                    "is missing; write the values that `aud` may have, such as [\"https://api.example.com\"], or \"any\" to skip the check",
                );
            }
            Audiences::OneOf(Vec::new())
        }
    };
    let algorithms = section.names("algorithms", ALGORITHMS, Algorithm::from_name);
    let algorithms = algorithms.unwrap_or_else(|| vec![Algorithm::RS256, Algorithm::ES256]);
    let (jwks, published) = read_keys(section, folder, given_jwks);
    Issuer {
        name: section.text("name"),
        issuer,
        tenants: section
            .texts_or_any("tenants", "tenants")
            .map(|texts| match texts {
                TextsOrAny::Any => Tenants::Any,
                TextsOrAny::Texts(texts) => Tenants::OneOf(texts),
            }),
        subject: section.text("subject"),
        owner_as: section.text("owner_as"),
        audiences,
        algorithms,
        jwks,
        jwks_as_of: None,
        published,
        secrets: read_secrets(section, folder),
        typ: section.text("typ"),
        claims: section.claims("claims").unwrap_or_default(),
        leeway_seconds: section.parsed("leeway", parse_leeway).unwrap_or(0),
    }
}

/// `jwks = { file, url, max_age, timeout, max_stale }`: the set in the file, or the given one instead, and the URL of
/// newer ones.
fn read_keys(
    section: &Section<'_>,
    folder: &Path,
    given: Option<&Value>,
) -> (Option<Value>, Option<PublishedKeys>) {
    let Some(keys) = section.section("jwks", &JWKS) else {
        // An issuer that shares a secret may have no public keys at all.
        let given = given.filter(|_| !section.has("secrets"));
        return (given.cloned(), None);
    };
    let url = keys.text("url");
    let max_age = keys.parsed("max_age", parse_seconds);
    let timeout = keys.parsed("timeout", parse_milliseconds);
    let max_stale = keys.parsed("max_stale", parse_seconds);
    for name in ["max_age", "timeout", "max_stale"] {
        if !keys.has("url") && keys.has(name) {
            keys.fault(
                name,
                "applies only to keys at a `url`; add `url`, or remove this key",
            );
        }
    }
    let published = url.map(|url| {
        let default = PublishedKeys::at(url);
        PublishedKeys {
            max_age_seconds: max_age.unwrap_or(default.max_age_seconds),
            timeout_ms: timeout.unwrap_or(default.timeout_ms),
            max_stale_seconds: max_stale.unwrap_or(default.max_stale_seconds),
            ..default
        }
    });
    let file = keys.text("file");
    let is_named = keys.has("file") || keys.has("url");
    if !is_named && given.is_none() {
        keys.fault("file", "is missing; name a `file`, a `url`, or both");
    }
    let jwks = match (given, file) {
        (Some(given), _) => Some(given.clone()),
        (None, Some(file)) => text_file::read_json(&folder.join(&file))
            .map_err(|reason| keys.fault("file", &format!("{file}: {reason}")))
            .ok(),
        (None, None) => None,
    };
    (jwks, published)
}

/// `secrets = [{ kid, file | env }]`: the secrets that verify HS256.
fn read_secrets(section: &Section<'_>, folder: &Path) -> Option<Secrets> {
    if !section.has("secrets") {
        return None;
    }
    let mut keys = Vec::new();
    let secrets = section.sections("secrets", &["env", "file", "kid"]);
    for (idx, secret) in secrets.into_iter().enumerate() {
        let mut key = json!({"kty": "oct", "alg": "HS256"});
        if let Some(kid) = secret.text("kid") {
            key["kid"] = kid.into();
        }
        // After a fault a unique placeholder serves, so that the others keep their places.
        let bytes = read_secret(&secret, folder).unwrap_or_else(|| format!("{idx:032}").into());
        key["k"] = BASE64URL_NOPAD.encode(&bytes).into();
        keys.push(key);
    }
    Some(Secrets(json!({ "keys": keys })))
}

/// The secret from the one source that a section names: the content of a `file`, or the text of a variable, `env`.
fn read_secret(section: &Section<'_>, folder: &Path) -> Option<Vec<u8>> {
    match (section.text("file"), section.text("env")) {
        (Some(file), None) => text_file::secret_bytes(&folder.join(&file))
            .map_err(|reason| section.fault("file", &format!("{file}: {reason}")))
            .ok(),
        (None, Some(name)) => std::env::var(&name)
            .map(String::into_bytes)
            .map_err(|error| {
                let reason = match error {
                    std::env::VarError::NotPresent => "is not set",
                    std::env::VarError::NotUnicode(_) => "is not text in UTF-8",
                };
                section.fault("env", &format!("the variable {name} {reason}"));
            })
            .ok()
            .filter(|secret| match text_file::not_a_secret(secret) {
                None => true,
                Some(reason) => {
                    section.fault("env", &format!("the variable {name}: {reason}"));
                    false
                }
            }),
        (None, None) if section.is_faulty("file") || section.is_faulty("env") => None,
        _ => {
            section.fault(
                "file",
                "name one source of the secret: a `file` or an `env`",
            );
            None
        }
    }
}

/// A list, or the word `any`.
enum TextsOrAny {
    Any,
    Texts(Vec<String>),
}

impl Section<'_> {
    /// A list, or `"any"`, which is never a default.
    fn texts_or_any(&self, name: &'static str, what: &str) -> Option<TextsOrAny> {
        if self.is_text(name) {
            if self.text(name).as_deref() == Some("any") {
                return Some(TextsOrAny::Any);
            }
            self.fault(
                name,
                &format!("write a list of {what}, or \"any\" to accept all"),
            );
            return None;
        }
        self.texts(name).map(TextsOrAny::Texts)
    }

    /// A point in time, if the key is there: a date with a time and an offset, quoted or not.
    fn time(&self, name: &'static str) -> Option<Timestamp> {
        let text = self.text_or_date(name)?;
        text.parse()
            .map_err(|_| {
                let message = format!(
                    "{text} is not a point in time; write for example 2026-12-01T09:00:00Z"
                );
                self.fault(name, &message);
            })
            .ok()
    }
}

fn read_token_sources(section: &Section<'_>) -> Option<Vec<TokenSource>> {
    const PLACES: &str = "\"authorization\", \"cookie:NAME\", \"header:NAME\" or \"query:NAME\"";
    let sources = section.names("from", PLACES, |text| match text.split_once(':') {
        None if text == "authorization" => Some(TokenSource::Authorization),
        Some(("cookie", name)) => Some(TokenSource::Cookie(name.to_owned())),
        Some(("query", name)) => Some(TokenSource::Query(name.to_owned())),
        // Header names are case-insensitive (RFC 9110 §5.1).
        Some(("header", name)) => Some(TokenSource::Header(name.to_ascii_lowercase())),
        _ => None,
    })?;
    if sources.is_empty() && !section.is_faulty("from") {
        section.fault(
            "from",
            "name at least one place, such as \"authorization\" or \"cookie:__Host-gatepost\"",
        );
    }
    Some(sources)
}

fn read_rule(section: &Section<'_>) -> Rule {
    let path = section.required_text("path", "write for example \"/media/{owner}/**\"");
    let allow = section.text("allow");
    let scopes = section.texts("scopes");
    let claims = section.claims("claims");
    let issuers = match section.texts_or_any("issuers", "issuers") {
        None => RuleIssuers::Unnamed,
        Some(TextsOrAny::Any) => RuleIssuers::Any,
        Some(TextsOrAny::Texts(names)) => RuleIssuers::OneOf(names),
    };
    let access = match (allow.as_deref(), scopes) {
        (None, Some(scopes)) => Access::Scopes(scopes),
        (Some("anyone"), None) => Access::Anyone,
        (Some("authenticated"), None) => Access::Authenticated,
        (Some("owner"), None) => Access::Owner,
        (Some(_), Some(_)) => {
            section.fault("allow", "a rule has `allow` or `scopes`, not both");
            Access::Authenticated
        }
        (Some(other), None) => {
            section.fault(
                "allow",
                &format!("{other:?} is not one of \"anyone\", \"authenticated\", \"owner\""),
            );
            Access::Authenticated
        }
        (None, None) => {
            if !section.has("allow") && !section.has("scopes") && claims.is_none() {
                section.fault(
                    "allow",
                    "is missing; write \"anyone\", \"authenticated\", \"owner\", or `scopes`, or `claims`",
                );
            }
            Access::Authenticated
        }
    };
    let methods = section.texts("methods");
    if methods.as_ref().is_some_and(Vec::is_empty) && !section.is_faulty("methods") {
        section.fault(
            "methods",
            "name at least one method, or leave it out for GET and HEAD",
        );
    }
    Rule {
        path,
        access,
        methods: methods.unwrap_or_default(),
        claims: claims.unwrap_or_default(),
        issuers,
    }
}

fn read_cors(section: &Section<'_>) -> Cors {
    let texts = |name, default: &[&str]| {
        let default = || default.iter().map(|&text| text.to_owned()).collect();
        section.texts(name).unwrap_or_else(default)
    };
    Cors {
        origins: texts("origins", &[]),
        methods: texts("methods", &["GET", "HEAD"]),
        headers: texts("headers", &["authorization"]),
        credentials: section.truth("credentials").unwrap_or(false),
        max_age_seconds: section
            .parsed("max_age", parse_seconds)
            .unwrap_or(DEFAULT_PREFLIGHT_AGE),
    }
}

/// A duration in whole seconds, of at most a year.
fn parse_seconds(text: &str) -> Result<u32, String> {
    u32::try_from(parse_duration(text)?.as_secs())
        .ok()
        .filter(|seconds| *seconds <= 366 * 24 * 3600)
        .ok_or_else(|| format!("{text:?} is out of range; the maximum is one year"))
}
