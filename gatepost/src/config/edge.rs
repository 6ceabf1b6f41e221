//! The part of the file that `edge-auth` is told: issuers and their keys, where tokens stand, rules, denials, CORS.

use std::path::Path;

use data_encoding::BASE64URL_NOPAD;
use edge_auth::config::{
    Access, Algorithm, Audiences, Cors, Issuer, PublishedKeys, Rule, Secrets, Session, TokenSource,
};
use serde_json::{Value, json};

use super::document::Section;
use super::read_names;
use super::units::{parse_duration, parse_leeway};

/// How long a fetched key set is used where the file does not say.
const DEFAULT_MAX_AGE: u32 = 3600;
/// How long a session lasts where the file does not say.
const DEFAULT_SESSION_LIFETIME: u32 = 15 * 60;
/// How long a browser remembers a preflight's answer where the file does not say.
const DEFAULT_PREFLIGHT_AGE: u32 = 600;

pub(super) fn read(root: &Section<'_>, folder: &Path, jwks: Option<&Value>) -> edge_auth::Config {
    let mut edge = edge_auth::Config {
        token_sources: vec![TokenSource::Authorization],
        ..Default::default()
    };
    for section in root.sections("issuers") {
        edge.issuers.push(read_issuer(&section, folder, jwks));
        section.finish();
    }
    if let Some(section) = root.section("token") {
        if let Some(texts) = section.texts("from") {
            edge.token_sources = read_token_sources(&section, &texts);
        }
        section.finish();
    }
    for section in root.sections("rules") {
        edge.rules.push(read_rule(&section));
        section.finish();
    }
    if let Some(section) = root.section("deny") {
        edge.login = section.text("login");
        if let Some(login) = &edge.login
            && !(login.starts_with("https://") || login.starts_with('/'))
        {
            section.fault(
                "login",
                "it begins with https:// or, on the same site, with a slash",
            );
        }
        section.finish();
    }
    if let Some(section) = root.section("cors") {
        edge.cors = Some(read_cors(&section));
        section.finish();
    }
    if let Some(section) = root.section("session") {
        if !section.has("secrets") {
            section.fault("secrets", "it is missing; name one, such as [{ kid = \"2026-11\", file = \"session-secret\" }]");
        }
        edge.session = read_secrets(&section, folder).map(|secrets| Session {
            secrets,
            lifetime_seconds: section
                .parsed("lifetime", parse_seconds)
                .unwrap_or(DEFAULT_SESSION_LIFETIME),
        });
        section.finish();
    }
    edge
}

fn read_issuer(section: &Section<'_>, folder: &Path, given_jwks: Option<&Value>) -> Issuer {
    let issuer = section.required_text("issuer");
    let audiences = if !section.has("audiences") {
        section.required_text("audiences");
        Audiences::OneOf(vec![String::new()])
    } else if let Some(audiences) = section.texts_or_any("audiences") {
        audiences
    } else {
        Audiences::OneOf(vec![String::new()])
    };
    let algorithms = section.texts("algorithms").map_or_else(
        || vec![Algorithm::RS256, Algorithm::ES256],
        |names| read_names(section, "algorithms", &names, Algorithm::from_name),
    );
    let (jwks, published) = read_keys(section, folder, given_jwks);
    Issuer {
        issuer,
        audiences,
        algorithms,
        jwks,
        published,
        secrets: read_secrets(section, folder),
        typ: section.text("typ"),
        claims: section
            .section("claims")
            .map(|claims| claims.claim_values_by_name())
            .unwrap_or_default(),
        leeway_seconds: section.parsed("leeway", parse_leeway).unwrap_or(0),
    }
}

/// `jwks = { file, url, max_age }`: the set in the file, or the one that was given instead, and where newer ones are.
fn read_keys(
    section: &Section<'_>,
    folder: &Path,
    given: Option<&Value>,
) -> (Option<Value>, Option<PublishedKeys>) {
    let Some(keys) = section.section("jwks") else {
        // An issuer that shares a secret may have no public keys at all.
        let given = given.filter(|_| !section.has("secrets"));
        return (given.cloned(), None);
    };
    let url = keys.text("url");
    let max_age = keys.parsed("max_age", parse_seconds);
    if url.is_none() && max_age.is_some() {
        keys.fault("max_age", "it is about keys at a `url`, and none is named");
    }
    let published = url.map(|url| PublishedKeys {
        url,
        max_age_seconds: max_age.unwrap_or(DEFAULT_MAX_AGE),
    });
    let file = keys.text("file");
    if file.is_none() && published.is_none() && given.is_none() {
        keys.fault("file", "it is missing; name a `file`, a `url`, or both");
    }
    let jwks = match (given, file) {
        (Some(given), _) => Some(given.clone()),
        (None, Some(file)) => read_json(&folder.join(&file))
            .map_err(|reason| keys.fault("file", &format!("{file}: {reason}")))
            .ok(),
        (None, None) => None,
    };
    keys.finish();
    (jwks, published)
}

/// `secrets = [{ kid, file | env }]`: the bytes of a file without a line break at its end, or the text of a variable.
fn read_secrets(section: &Section<'_>, folder: &Path) -> Option<Secrets> {
    if !section.has("secrets") {
        return None;
    }
    let mut keys = Vec::new();
    for secret in section.sections("secrets") {
        let kid = secret.text("kid");
        let bytes = match (secret.text("file"), secret.text("env")) {
            (Some(file), None) => std::fs::read(folder.join(&file))
                .map(|mut bytes| {
                    let text = bytes.strip_suffix(b"\n").unwrap_or(&bytes);
                    let length = text.strip_suffix(b"\r").unwrap_or(text).len();
                    bytes.truncate(length);
                    bytes
                })
                .map_err(|error| secret.fault("file", &format!("{file}: {error}"))),
            (None, Some(name)) => std::env::var(&name)
                .map(String::into_bytes)
                .map_err(|_| secret.fault("env", &format!("the variable {name} is not set"))),
            _ => {
                secret.fault("file", "name one place of the secret: a `file` or an `env`");
                Err(())
            }
        };
        let mut key = json!({"kty": "oct", "alg": "HS256"});
        if let Some(kid) = kid {
            key["kid"] = kid.into();
        }
        if let Ok(bytes) = bytes {
            key["k"] = BASE64URL_NOPAD.encode(&bytes).into();
            keys.push(key);
        }
        secret.finish();
    }
    Some(Secrets(json!({ "keys": keys })))
}

impl Section<'_> {
    /// `audiences`: a list, or the word that skips the check.
    fn texts_or_any(&self, name: &'static str) -> Option<Audiences> {
        if self.is_text(name) {
            if self.text(name).as_deref() == Some("any") {
                return Some(Audiences::Any);
            }
            self.fault(
                name,
                "write a list of audiences, or \"any\" to skip the check",
            );
            return None;
        }
        self.texts(name).map(Audiences::OneOf)
    }
}

fn read_token_sources(section: &Section<'_>, texts: &[String]) -> Vec<TokenSource> {
    let sources = read_names(section, "from", texts, |text| match text.split_once(':') {
        None if text == "authorization" => Some(TokenSource::Authorization),
        Some(("cookie", name)) => Some(TokenSource::Cookie(name.to_owned())),
        Some(("query", name)) => Some(TokenSource::Query(name.to_owned())),
        _ => None,
    });
    if texts.is_empty() {
        section.fault(
            "from",
            "name at least one place, such as \"authorization\" or \"cookie:__Host-gatepost\"",
        );
    }
    sources
}

fn read_rule(section: &Section<'_>) -> Rule {
    let path = section.required_text("path");
    let allow = section.text("allow");
    let scopes = section.texts("scopes");
    let claims = section
        .section("claims")
        .map(|claims| claims.claim_values_by_name());
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
                &format!("{other:?} is none of \"anyone\", \"authenticated\", \"owner\""),
            );
            Access::Authenticated
        }
        (None, None) => {
            if !section.has("allow") && !section.has("scopes") && claims.is_none() {
                section.fault(
                    "allow",
                    "it is missing; write \"anyone\", \"authenticated\", \"owner\", or `scopes`, or `claims`",
                );
            }
            Access::Authenticated
        }
    };
    Rule {
        path,
        access,
        methods: section.texts("methods").unwrap_or_default(),
        claims: claims.unwrap_or_default(),
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
        .ok_or_else(|| format!("{text:?} is out of range; a year is the most"))
}

fn read_json(file: &Path) -> Result<Value, String> {
    let text = std::fs::read_to_string(file).map_err(|error| error.to_string())?;
    serde_json::from_str(&text).map_err(|error| format!("it is not JSON: {error}"))
}
