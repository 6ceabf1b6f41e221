//! Why CloudFront refuses a signature: a code and a message for the viewer, a sentence for the log.
//!
//! AWS's knowledge base and public reports show `MissingKey`, `InvalidKey` and `MalformedPolicy`. Everything else is
//! `AccessDenied` here.

use axum::body::Body;
use axum::http::{HeaderValue, Response, StatusCode, header};

/// The reason of a refusal.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Refusal {
    /// The request has no signature, or one without a key.
    NoKeyPairId,
    UnknownKey,
    /// A name comes twice, or `Expires` and `Policy` come together.
    Ambiguous,
    NoPolicy,
    MalformedExpires,
    MalformedPolicy,
    NoSignature,
    MalformedSignature,
    UnknownHash,
    WrongSignature,
    NoHost,
    UnusableUrl,
    OtherResource,
    NotYetValid,
    Expired,
    OtherAddress,
}

impl Refusal {
    /// The code and the message that the viewer gets.
    pub(super) fn code_and_message(self) -> (&'static str, &'static str) {
        match self {
            Self::NoKeyPairId => (
                "MissingKey",
                "Missing Key-Pair-Id query parameter or cookie value",
            ),
            Self::UnknownKey => ("InvalidKey", "Unknown Key"),
            Self::NoPolicy | Self::MalformedExpires | Self::MalformedPolicy => {
                ("MalformedPolicy", "Malformed Policy")
            }
            Self::Ambiguous
            | Self::NoSignature
            | Self::MalformedSignature
            | Self::UnknownHash
            | Self::WrongSignature
            | Self::NoHost
            | Self::UnusableUrl
            | Self::OtherResource
            | Self::NotYetValid
            | Self::Expired
            | Self::OtherAddress => ("AccessDenied", "Access denied"),
        }
    }

    /// The sentence for the log.
    pub(crate) fn reason(self) -> &'static str {
        match self {
            Self::NoKeyPairId => "the request has no signature, or it names no key pair",
            Self::UnknownKey => "the key group of the behaviour has no key with this id",
            Self::Ambiguous => {
                "a part of the signature comes twice, or Expires and Policy come together; send each name once"
            }
            Self::NoPolicy => "the signature has neither Expires nor Policy",
            Self::MalformedExpires => {
                "Expires is not a time in whole seconds since 1970, at most 2147483647"
            }
            Self::MalformedPolicy => {
                "the policy is not one statement with a Resource and DateLessThan, as AWS documents it"
            }
            Self::NoSignature => "the signature itself is missing",
            Self::MalformedSignature => "the signature is not in CloudFront's base64",
            Self::UnknownHash => "the hash algorithm is neither SHA1 nor SHA256",
            Self::WrongSignature => {
                "the signature is not that of this policy by the named key; a canned policy is signed with the whole URL"
            }
            Self::NoHost => "the request has no Host header, several, or another one in its URL",
            Self::UnusableUrl => {
                "the URL has characters that a policy cannot name; percent-encode them"
            }
            Self::OtherResource => "the policy is for other URLs",
            Self::NotYetValid => "the policy is not valid yet",
            Self::Expired => "the policy has expired",
            Self::OtherAddress => "the policy is for other addresses",
        }
    }

    /// CloudFront's answer.
    pub(crate) fn into_response(self) -> Response<Body> {
        let (code, message) = self.code_and_message();
        let document = format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?><Error><Code>{code}</Code><Message>{message}</Message></Error>"
        );
        let mut response = Response::new(Body::from(document));
        *response.status_mut() = StatusCode::FORBIDDEN;
        let xml = HeaderValue::from_static("text/xml");
        response.headers_mut().insert(header::CONTENT_TYPE, xml);
        response
    }
}
