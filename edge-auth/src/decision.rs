//! The outcomes of a decision, and what a log may say about a refusal.

use serde_json::{Value, json};

use crate::cors::Preflight;
use crate::http::path::CanonicalPath;
use crate::identity::Owner;
use crate::keys::rings::NeedKeys;
use crate::refusal::Refusal;

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
