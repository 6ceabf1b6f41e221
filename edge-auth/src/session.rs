//! Sessions of our own: a token that is verified once becomes a short HS256 token, for a cookie.
//!
//! An identity provider's token belongs to a script, which images on a page do not ask. The session says whom that
//! token spoke of and who vouched for it (`idp`), so its holder is the same owner at the edge, in `signing-api` and
//! wherever else the secrets are known. It ends no later than the token that it was made of, and no session is made of
//! a session: whoever wants to go on shows a token again.

use aws_lc_rs::hmac;
use data_encoding::BASE64URL_NOPAD;
use jiff::Timestamp;
use serde_json::{Map, Value, json};
use thiserror::Error;

use crate::config::{Algorithm, Audiences, Issuer, RequiredClaims, Session};
use crate::identity::Viewer;

/// The `iss` and the `aud` of sessions. No issuer that is configured may have this name.
pub const SESSION_ISSUER: &str = "urn:gatepost:session";

/// The cookie that holds a session. A browser takes a `__Host-` cookie only from the host itself, with `Secure`, for
/// all paths, so that no other host of the domain can put its own in its place (RFC 6265bis §4.1.3.2).
pub const SESSION_COOKIE: &str = "__Host-gatepost";

/// The `typ` of sessions: no token of an identity provider has it by chance.
const TYP: &str = "gatepost-session+jwt";

/// The claim that names the issuer who vouched.
pub(crate) const VOUCHER: &str = "idp";

/// Browsers keep cookies of up to 4096 bytes, name, value and attributes together (RFC 6265bis §5.6).
pub const MAX_SESSION_BYTES: usize = 3800;

/// The longest lifetime that may be configured.
pub(crate) const MAX_LIFETIME_SECONDS: u32 = 12 * 3600;

/// Claims that a session has of its own.
const OWN_CLAIMS: [&str; 7] = ["iss", "aud", "sub", "exp", "iat", "nbf", VOUCHER];

/// A session, ready for its cookie. Whoever has it is its viewer, so `Debug` does not show it.
#[derive(Clone, PartialEq, Eq)]
pub struct SessionToken {
    /// The token.
    pub token: String,
    /// When it ends, in whole seconds.
    pub expires_at: Timestamp,
}

/// Why there is no session.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum NoSession {
    /// None are configured.
    #[error("no sessions are configured")]
    NotConfigured,
    /// The viewer came with a session.
    #[error("a session is not made of a session")]
    OfASession,
    /// The claims that rules ask for do not fit into a cookie.
    #[error("the session has {bytes} bytes, more than the {MAX_SESSION_BYTES} that a cookie holds")]
    TooLarge {
        /// Its size.
        bytes: usize,
    },
}

/// What makes sessions.
pub(crate) struct Mint {
    key: hmac::Key,
    kid: Option<String>,
    lifetime_seconds: i64,
}

impl Mint {
    /// The first of the secrets signs: that of a rotation that everybody has heard of. Its form has been checked.
    pub(crate) fn new(session: &Session) -> Option<Self> {
        let newest = session.secrets.0.get("keys")?.get(0)?;
        let secret = BASE64URL_NOPAD
            .decode(newest.get("k")?.as_str()?.as_bytes())
            .ok()?;
        Some(Self {
            key: hmac::Key::new(hmac::HMAC_SHA256, &secret),
            kid: newest.get("kid").and_then(Value::as_str).map(str::to_owned),
            lifetime_seconds: session.lifetime_seconds.into(),
        })
    }

    pub(crate) fn make(&self, now: Timestamp, viewer: &Viewer) -> Result<SessionToken, NoSession> {
        if viewer.is_session {
            return Err(NoSession::OfASession);
        }
        let iat = now.as_second();
        let exp = iat
            .saturating_add(self.lifetime_seconds)
            .min(viewer.expires_at_second);
        let mut header = json!({"alg": "HS256", "typ": TYP});
        if let Some(kid) = &self.kid {
            header["kid"] = kid.as_str().into();
        }
        let mut claims = Map::from_iter([
            ("iss".to_owned(), SESSION_ISSUER.into()),
            ("aud".to_owned(), SESSION_ISSUER.into()),
            (VOUCHER.to_owned(), viewer.issuer.as_str().into()),
            ("sub".to_owned(), viewer.subject.as_str().into()),
            ("iat".to_owned(), iat.into()),
            ("exp".to_owned(), exp.into()),
        ]);
        // What rules may ask for; the rest of the token is of no use to anybody here.
        let asked_for = viewer.claims.iter();
        for (name, value) in asked_for.filter(|(name, _)| !OWN_CLAIMS.contains(&name.as_str())) {
            claims.insert(name.clone(), value.clone());
        }
        let encode = |value: &Value| BASE64URL_NOPAD.encode(value.to_string().as_bytes());
        let mut token = format!("{}.{}", encode(&header), encode(&Value::Object(claims)));
        let signature = hmac::sign(&self.key, token.as_bytes());
        token.push('.');
        token.push_str(&BASE64URL_NOPAD.encode(signature.as_ref()));
        match token.len() {
            bytes if bytes > MAX_SESSION_BYTES => Err(NoSession::TooLarge { bytes }),
            _ => Ok(SessionToken {
                token,
                expires_at: Timestamp::from_second(exp).unwrap_or(now),
            }),
        }
    }
}

/// What is wrong with the secrets besides what is wrong with any: without a `kid` none could ever be added.
pub(crate) fn faults(session: &Session) -> Vec<String> {
    let keys = session.secrets.0.get("keys").and_then(Value::as_array);
    let is_named = |key: &Value| key["kid"].is_string() && key["alg"] == "HS256";
    let unnamed = keys.into_iter().flatten().enumerate();
    unnamed
        .filter(|(_, key)| !is_named(key))
        .map(|(idx, _)| format!("keys[{idx}]: a session's secret has a `kid`, and is for HS256"))
        .collect()
}

/// What a verifier trusts sessions as: an issuer like others, with secrets.
pub(crate) fn issuer(session: &Session) -> Issuer {
    Issuer {
        issuer: SESSION_ISSUER.to_owned(),
        audiences: Audiences::OneOf(vec![SESSION_ISSUER.to_owned()]),
        algorithms: vec![Algorithm::HS256],
        jwks: None,
        published: None,
        secrets: Some(session.secrets.clone()),
        typ: Some(TYP.to_owned()),
        claims: RequiredClaims::new(),
        leeway_seconds: 0,
    }
}

impl std::fmt::Debug for SessionToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SessionToken")
            .field("expires_at", &self.expires_at)
            .finish_non_exhaustive()
    }
}
