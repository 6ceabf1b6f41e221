//! The configuration of these tests, and sessions signed by hand, so that a test can sign what the API never would.

use std::collections::BTreeMap;

use data_encoding::BASE64URL_NOPAD;
use edge_auth::config::{
    Access, Algorithm, Audiences, ClaimRequirement, ClaimValue, Config, Cors, Issuer,
    RequiredClaims, Rule, RuleIssuers, Secret, Session, SessionKey, SessionKeyMaterial, Tenants,
    TokenSource,
};
use edge_auth::{Authorizer, SESSION_COOKIE, shared_session_header};
use edge_auth_function::njs::Njs;
use serde_json::{Value, json};

pub(crate) const NOW: i64 = 1_780_000_000;
pub(crate) const ISSUER: &str = "https://login.example.com/";
pub(crate) const OTHER: &str = "https://partner.example.com/";
pub(crate) const TENANT: &str = "11111111-aaaa-bbbb-cccc-222222222222";
/// Made for these tests.
pub(crate) const SECRET: &[u8] = b"a session secret made for these tests";
pub(crate) const KID: &str = "2026-11";
/// A secret in the store that is too short.
pub(crate) const SHORT: &str = "short";
/// An entry of the store that is not a secret of sessions.
pub(crate) const FOREIGN: &str = "settings";

fn rule(path: &str, access: Access) -> Rule {
    Rule {
        issuers: RuleIssuers::Any,
        ..Rule::new(path, access)
    }
}

fn any(values: &[&str]) -> ClaimRequirement {
    ClaimRequirement::Any(
        values
            .iter()
            .map(|value| ClaimValue::Text((*value).to_owned()))
            .collect(),
    )
}

/// Rules of every kind, three issuer blocks, a sign-in page and CORS.
pub(crate) fn config() -> Config {
    let anyone = |path: &str| Rule::new(path, Access::Anyone);
    let claims = |claims: &[(&str, ClaimRequirement)]| {
        claims
            .iter()
            .map(|(name, requirement)| ((*name).to_owned(), requirement.clone()))
            .collect::<RequiredClaims>()
    };
    let issuer = |issuer: &str, name: &str| Issuer {
        issuer: issuer.to_owned(),
        name: Some(name.to_owned()),
        audiences: Audiences::OneOf(vec!["media".to_owned(), "web".to_owned()]),
        algorithms: vec![Algorithm::HS256],
        secrets: Some(edge_auth::config::Secrets(json!({"keys": [{
            "kty": "oct", "alg": "HS256", "k": BASE64URL_NOPAD.encode(issuer.repeat(2).as_bytes()),
        }]}))),
        ..Issuer::default()
    };
    Config {
        issuers: vec![
            Issuer {
                claims: claims(&[("token_use", any(&["access", "both"]))]),
                ..issuer(ISSUER, "customers")
            },
            Issuer {
                audiences: Audiences::Any,
                subject: Some("oid".to_owned()),
                ..issuer(OTHER, "partners")
            },
            Issuer {
                tenants: Some(Tenants::OneOf(vec![TENANT.to_owned()])),
                audiences: Audiences::Any,
                ..issuer("https://tenants.example.com/{tenantid}/v2.0", "tenants")
            },
        ],
        token_sources: vec![
            TokenSource::Authorization,
            TokenSource::Cookie(SESSION_COOKIE.to_owned()),
        ],
        rules: vec![
            Rule {
                methods: vec!["GET".to_owned(), "HEAD".to_owned(), "OPTIONS".to_owned()],
                ..rule("/media/{owner}/**", Access::Owner)
            },
            rule("/team/{claim:groups}/**", Access::Authenticated),
            rule(
                "/r/{claim:/realm_access/roles}/*.webp",
                Access::Authenticated,
            ),
            Rule {
                issuers: RuleIssuers::OneOf(vec!["customers".to_owned()]),
                ..rule(
                    "/admin/**",
                    Access::Scopes(vec!["media:admin".to_owned(), "read".to_owned()]),
                )
            },
            Rule {
                claims: claims(&[
                    (
                        "email_verified",
                        ClaimRequirement::Any(vec![ClaimValue::Bool(true)]),
                    ),
                    (
                        "level",
                        ClaimRequirement::Any(vec![
                            ClaimValue::Integer(42),
                            ClaimValue::Integer(-1),
                        ]),
                    ),
                ]),
                ..rule("/verified/a*b*c/**", Access::Authenticated)
            },
            Rule {
                claims: claims(&[
                    (
                        "departments",
                        ClaimRequirement::All(vec![
                            ClaimValue::Text("sales".to_owned()),
                            ClaimValue::Text("europe".to_owned()),
                        ]),
                    ),
                    (
                        "https://zitadel.example/roles",
                        ClaimRequirement::Keys(vec!["editor".to_owned(), "length".to_owned()]),
                    ),
                ]),
                ..rule("/departments/**", Access::Authenticated)
            },
            anyone("/public/**"),
            anyone("/public-*"),
            anyone("/café/**"),
            Rule {
                methods: vec!["POST".to_owned()],
                ..rule("/post", Access::Authenticated)
            },
        ],
        login: Some("/sign-in?return_to={url}".to_owned()),
        cors: Some(Cors {
            origins: vec!["https://app.example.com".to_owned()],
            methods: vec!["GET".to_owned(), "HEAD".to_owned()],
            headers: vec!["Range".to_owned(), "x-own".to_owned(), "x-key".to_owned()],
            credentials: true,
            max_age_seconds: 600,
        }),
        session: Some(Session {
            keys: vec![SessionKey {
                kid: KID.to_owned(),
                from: None,
                material: SessionKeyMaterial::HS256 {
                    secret: Secret::from(SECRET.to_vec()),
                },
            }],
            lifetime_seconds: 900,
        }),
        owner_secret: None,
    }
}

/// The store's entries.
pub(crate) fn secrets() -> BTreeMap<String, String> {
    let text = |secret: &[u8]| BASE64URL_NOPAD.encode(secret);
    BTreeMap::from([
        (shared_session_header(KID), text(SECRET)),
        (shared_session_header(SHORT), text(&SECRET[..31])),
    ])
}

/// The function of a configuration in njs.
pub(crate) fn in_njs(config: &Config) -> Njs {
    let code = edge_auth_function::compile(&Authorizer::new(config).unwrap()).unwrap();
    println!("{} bytes", code.len());
    Njs::new(&code, &secrets()).unwrap()
}

/// A session with this header and these claims.
pub(crate) fn signed(header: &str, claims: &Value, secret: &[u8]) -> String {
    let input = format!(
        "{header}.{}",
        BASE64URL_NOPAD.encode(claims.to_string().as_bytes())
    );
    let key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, secret);
    let mac = aws_lc_rs::hmac::sign(&key, input.as_bytes());
    format!("{input}.{}", BASE64URL_NOPAD.encode(mac.as_ref()))
}
