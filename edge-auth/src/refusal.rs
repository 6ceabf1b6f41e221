//! Every reason for which a request is refused, as one table: code, status, and what is said outside and inside.
//!
//! Outside, a refusal says little: enough for a developer to look in the right place, nothing of the rule or the
//! claim that decided. The log's message ([`Display`](std::fmt::Display)) says all, but holds no token and no claim's
//! value.

use thiserror::Error;

use crate::path::PathFault;

/// Why a viewer may not have what it asked for.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
#[non_exhaustive]
pub enum Refusal {
    /// The algorithm in the token's header is not one that its issuer is configured with.
    #[error("the token's algorithm is not among its issuer's")]
    AlgorithmNotAllowed,
    /// The path can be read in two ways.
    #[error("the path is ambiguous: {0}")]
    AmbiguousPath(PathFault),
    /// The signature does not fit the key.
    #[error("the signature does not verify")]
    BadSignature,
    /// The path names a group or the like that the token's claim does not hold.
    #[error("claim {claim} does not hold what the path names")]
    ClaimMismatch {
        /// The claim's name.
        claim: String,
    },
    /// A claim that the rule asks for is missing or says something else.
    #[error("claim {claim} is not what the rule asks for")]
    ClaimRequired {
        /// The claim's name.
        claim: String,
    },
    /// A script of another site asks for more than the configuration grants.
    #[error("the preflight asks for {0} that is not granted")]
    CorsRefused(NotGranted),
    /// The token's header demands something that we do not do (RFC 7515 §4.1.11).
    #[error("the token's header has crit or b64, which are not supported")]
    CriticalHeader,
    /// The token's time is over.
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
    /// The rule is about other issuers' tokens.
    #[error("the rule is not about tokens of this issuer")]
    IssuerNotAllowed,
    /// The token's key is not known, and the last attempt to fetch the issuer's keys failed.
    #[error("the token's key is not known and its issuer's keys could not be fetched")]
    KeysUnavailable,
    /// The token has no form that could be verified.
    #[error("the token is malformed: {0}")]
    MalformedToken(Malformed),
    /// A claim that must be there is not.
    #[error("claim {claim} is missing")]
    MissingClaim {
        /// The claim's name.
        claim: &'static str,
    },
    /// The token does not grant a scope that the rule asks for.
    #[error("scope {scope} is not granted")]
    MissingScope {
        /// The scope.
        scope: String,
    },
    /// The rule wants an identity and the request has none.
    #[error("there is no token in the places that are configured")]
    NoToken,
    /// The rule wants an owner, and the token names no subject.
    #[error("the token names no subject, so it has no owner")]
    NoOwner,
    /// No rule is about this path and method.
    #[error("no rule matches this path and method")]
    NoRule,
    /// What the path names belongs to somebody else.
    #[error("the path belongs to another owner")]
    NotOwner,
    /// The token's time has not begun.
    #[error("the token is valid only in {} s", nbf - now)]
    NotYetValid {
        /// Its `nbf`, in seconds since 1970.
        nbf: i64,
        /// The time of the decision, in seconds since 1970.
        now: i64,
    },
    /// Several blocks of the token's issuer would accept it, and which of them is meant decides what it may do.
    #[error("the token fits several blocks of its issuer")]
    SeveralIssuers,
    /// Two tokens in one place.
    #[error("there are several tokens in one place")]
    SeveralTokens,
    /// The session was made before the configuration asked for a claim, so it does not say whether its token had it.
    #[error("the session was made before the configuration asked for {claim} as it does now")]
    StaleSession {
        /// The claim's path.
        claim: String,
    },
    /// The token is longer than any that we read.
    #[error("the token has {bytes} bytes, more than are read")]
    TokenTooLong {
        /// Its length.
        bytes: usize,
    },
    /// No issuer of this name is configured.
    #[error("no issuer block has the token's iss; compare the two, the slash at the end included")]
    UnknownIssuer,
    /// The issuer has no key of this name and algorithm.
    #[error("no key fits the token")]
    UnknownKey,
    /// A claim that the issuer's tokens must have says something else.
    #[error("claim {claim} is missing or is not what the issuer block asks for")]
    UnexpectedClaim {
        /// The claim's name.
        claim: String,
    },
    /// The token is of another kind: its `typ` is not the one that is configured.
    #[error("the token's typ is not the one that is configured")]
    UnexpectedType,
    /// The token is meant for somebody else.
    #[error("no value of the token's aud is among the audiences of its issuer block")]
    WrongAudience,
}

/// What a preflight asked for in vain.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
#[non_exhaustive]
pub enum NotGranted {
    /// A request header.
    #[error("a header")]
    Header,
    /// A method.
    #[error("a method")]
    Method,
    /// The site that the script belongs to.
    #[error("an origin")]
    Origin,
}

/// What keeps a text from being a token.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
#[non_exhaustive]
pub enum Malformed {
    /// A part is not base64url without padding.
    #[error("a part is not base64url")]
    Base64Url,
    /// The payload is not a JSON object with unique members.
    #[error("the payload is no JSON object of unique members")]
    Claims,
    /// The header is not a JSON object with a textual `alg`.
    #[error("the header is no JSON object with an alg")]
    Header,
    /// There are not three parts.
    #[error("it does not have three parts")]
    Parts,
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

    /// The sentence for the person outside.
    pub fn public_message(&self) -> &'static str {
        self.row().2
    }

    /// The `WWW-Authenticate` of the answer (RFC 6750 §3): who sent no token is told only the scheme.
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
            // To a client both are the same: a new token, or a new session, is needed.
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
