//! Every reason for refusing a request, as one table: code, status, public message and log message.
//!
//! The public message says little: enough for a developer to look in the right place, and nothing about the rule or
//! claim that decided. The log message ([`Display`](std::fmt::Display)) is complete, but contains no token and no claim
//! value.

use thiserror::Error;

use crate::http::credentials::SeveralTokens;
use crate::http::path::PathFault;

/// Why a request is refused.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
#[non_exhaustive]
pub enum Refusal {
    /// The algorithm in the token's header is not configured for its issuer.
    #[error("the token's algorithm is not among its issuer's")]
    AlgorithmNotAllowed,
    /// The path is ambiguous.
    #[error("the path is ambiguous: {0}")]
    AmbiguousPath(PathFault),
    /// The signature does not verify with the key.
    #[error("the signature does not verify")]
    BadSignature,
    /// The token's claim does not contain the value that the path names, such as a group.
    #[error("claim {claim} does not contain what the path names")]
    ClaimMismatch {
        /// The claim's name.
        claim: String,
    },
    /// A claim that the rule requires is missing or has another value.
    #[error("claim {claim} is not what the rule requires")]
    ClaimRequired {
        /// The claim's name.
        claim: String,
    },
    /// A preflight asks for more than the configuration grants.
    #[error("the preflight asks for {0} that is not allowed")]
    CorsRefused(NotGranted),
    /// The token's header requires an extension that is not supported (RFC 7515 §4.1.11).
    #[error("the token's header has crit or b64, which are not supported")]
    CriticalHeader,
    /// The token has expired.
    #[error("the token expired {} s ago", now - exp)]
    Expired {
        /// Its `exp`, in seconds since 1970.
        exp: i64,
        /// The time of the decision, in seconds since 1970.
        now: i64,
    },
    /// A claim is of the wrong type or form.
    #[error("claim {claim} is not of the type that RFC 7519 gives it")]
    InvalidClaim {
        /// The claim's name.
        claim: &'static str,
    },
    /// The rule accepts only other issuers' tokens.
    #[error("the rule does not accept tokens of this issuer")]
    IssuerNotAllowed,
    /// The token's key is not known, and the last attempt to fetch the issuer's keys failed.
    #[error("the token's key is not known and its issuer's keys could not be fetched")]
    KeysUnavailable,
    /// The token is malformed.
    #[error("the token is malformed: {0}")]
    MalformedToken(Malformed),
    /// A required claim is missing.
    #[error("claim {claim} is missing")]
    MissingClaim {
        /// The claim's name.
        claim: &'static str,
    },
    /// The token does not grant a scope that the rule requires.
    #[error("scope {scope} is not granted")]
    MissingScope {
        /// The scope.
        scope: String,
    },
    /// The rule requires an identity and the request has no token.
    #[error("there is no token in the configured places")]
    NoToken,
    /// The rule requires an owner, and the token has no subject.
    #[error("the token has no subject, so it has no owner")]
    NoOwner,
    /// No rule matches this path and method.
    #[error("no rule matches this path and method")]
    NoRule,
    /// The path belongs to another owner.
    #[error("the path belongs to another owner")]
    NotOwner,
    /// The token is not valid yet.
    #[error("the token is valid only in {} s", nbf - now)]
    NotYetValid {
        /// Its `nbf`, in seconds since 1970.
        nbf: i64,
        /// The time of the decision, in seconds since 1970.
        now: i64,
    },
    /// Several blocks of the token's issuer would accept it, and they grant different access.
    #[error("the token fits several blocks of its issuer")]
    SeveralIssuers,
    /// One place contains two different tokens.
    #[error("there are several tokens in one place")]
    SeveralTokens,
    /// The session was made before the configuration required a claim, so it does not say whether its token had the
    /// claim.
    #[error("the session was made before the configuration required {claim} as it does now")]
    StaleSession {
        /// The claim's path.
        claim: String,
    },
    /// The token is longer than the limit.
    #[error("the token has {bytes} bytes, more than the limit")]
    TokenTooLong {
        /// Its length.
        bytes: usize,
    },
    /// No configured issuer has this `iss`.
    #[error("no issuer block has the token's iss; compare the two, including a slash at the end")]
    UnknownIssuer,
    /// The issuer has no key for this `kid` and algorithm.
    #[error("no key fits the token")]
    UnknownKey,
    /// A claim that the issuer block requires has another value.
    #[error("claim {claim} is missing or is not what the issuer block requires")]
    UnexpectedClaim {
        /// The claim's name.
        claim: String,
    },
    /// The token is of another kind: its `typ` is not the configured one.
    #[error("the token's typ is not the configured one")]
    UnexpectedType,
    /// The token is meant for another audience.
    #[error("no value of the token's aud is among the audiences of its issuer block")]
    WrongAudience,
}

/// The part of a preflight that was not granted.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
#[non_exhaustive]
pub enum NotGranted {
    /// A request header.
    #[error("a header")]
    Header,
    /// A method.
    #[error("a method")]
    Method,
    /// The origin that the script belongs to.
    #[error("an origin")]
    Origin,
}

/// Why a text is not a token.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
#[non_exhaustive]
pub enum Malformed {
    /// A part is not base64url without padding.
    #[error("a part is not base64url")]
    Base64Url,
    /// The payload is not a JSON object with unique members.
    #[error("the payload is not a JSON object with unique members")]
    Claims,
    /// The header is not a JSON object with a string `alg`.
    #[error("the header is not a JSON object with an alg")]
    Header,
    /// It does not have three parts.
    #[error("it does not have three parts")]
    Parts,
}

impl From<SeveralTokens> for Refusal {
    fn from(SeveralTokens: SeveralTokens) -> Self {
        Self::SeveralTokens
    }
}

impl Refusal {
    /// A stable name for logs, tests and replay.
    pub fn code(&self) -> &'static str {
        self.row().0
    }

    /// The HTTP status of the answer.
    pub fn status(&self) -> u16 {
        self.row().1
    }

    /// The public message.
    pub fn public_message(&self) -> &'static str {
        self.row().2
    }

    /// The `WWW-Authenticate` of the answer (RFC 6750 §3). A request without a token learns only the scheme.
    pub fn challenge(&self) -> Option<&'static str> {
        match self {
            Self::NoToken => Some("Bearer"),
            Self::MissingScope { .. } => Some("Bearer error=\"insufficient_scope\""),
            other if other.status() == 401 => Some("Bearer error=\"invalid_token\""),
            _ => None,
        }
    }

    fn row(&self) -> (&'static str, u16, &'static str) {
        const TOKEN: &str = "The access token is not valid.";
        const FORBIDDEN: &str = "You may not access this.";
        match self {
            Self::AlgorithmNotAllowed => ("algorithm_not_allowed", 401, TOKEN),
            Self::AmbiguousPath(_) => (
                "ambiguous_path",
                400,
                "The path can be read in more than one way.",
            ),
            Self::BadSignature => ("bad_signature", 401, TOKEN),
            Self::ClaimMismatch { .. } => ("claim_mismatch", 403, FORBIDDEN),
            Self::ClaimRequired { .. } => ("claim_required", 403, FORBIDDEN),
            Self::CorsRefused(_) => ("cors_refused", 403, FORBIDDEN),
            Self::CriticalHeader => ("critical_header", 401, TOKEN),
            // To a client both are the same: it needs a new token or a new session.
            Self::Expired { .. } | Self::StaleSession { .. } => {
                ("expired", 401, "The access token expired.")
            }
            Self::InvalidClaim { .. } => ("invalid_claim", 401, TOKEN),
            Self::IssuerNotAllowed => ("issuer_not_allowed", 403, FORBIDDEN),
            Self::KeysUnavailable => (
                "keys_unavailable",
                503,
                "The access token cannot be checked at the moment.",
            ),
            Self::MalformedToken(_) => ("malformed_token", 401, TOKEN),
            Self::MissingClaim { .. } => ("missing_claim", 401, TOKEN),
            Self::MissingScope { .. } => ("missing_scope", 403, FORBIDDEN),
            Self::NoOwner => ("no_owner", 403, FORBIDDEN),
            Self::NoToken => ("no_token", 401, "An access token is needed."),
            Self::NoRule => ("no_rule", 403, FORBIDDEN),
            Self::NotOwner => ("not_owner", 403, FORBIDDEN),
            Self::NotYetValid { .. } => ("not_yet_valid", 401, TOKEN),
            Self::SeveralIssuers => ("several_issuers", 401, TOKEN),
            Self::SeveralTokens => (
                "several_tokens",
                401,
                "There is more than one access token.",
            ),
            Self::TokenTooLong { .. } => ("token_too_long", 401, TOKEN),
            Self::UnexpectedClaim { .. } => ("unexpected_claim", 401, TOKEN),
            Self::UnexpectedType => ("unexpected_type", 401, TOKEN),
            Self::UnknownIssuer => ("unknown_issuer", 401, TOKEN),
            Self::UnknownKey => ("unknown_key", 401, TOKEN),
            Self::WrongAudience => ("wrong_audience", 401, TOKEN),
        }
    }
}
