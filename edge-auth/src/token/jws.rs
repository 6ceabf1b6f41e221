//! A token's parts, parsed without trusting them: compact JWS (RFC 7515).
//!
//! Anybody can write an `UnverifiedToken`. Its header and claims choose the key that verifies it, and are trusted for
//! nothing else. Only [`verify`](crate::verify) turns it into a viewer.

use std::sync::LazyLock;

use data_encoding::BASE64URL_NOPAD;
use serde_json::Value;

use crate::refusal::{Malformed, Refusal};
use crate::token::claim_plan::ClaimPlan;
use crate::token::claims::{ClaimId, ClaimSet};

/// Tokens longer than this are refused before anything is decoded. `CloudFront` accepts 20 KB per request in all.
pub const MAX_TOKEN_BYTES: usize = 8 * 1024;

/// A well-formed token whose signature has not been checked.
pub(crate) struct UnverifiedToken<'a> {
    pub(crate) header: Header,
    payload: Vec<u8>,
    /// `header.payload`, the text that the signature covers.
    pub(crate) signing_input: &'a str,
    pub(crate) signature: Vec<u8>,
}

/// The members of a JOSE header that are used. Members that name or carry keys (`jwk`, `jku`, `x5u`, `x5c`) are
/// ignored: keys come from the configuration alone (RFC 8725 §3.10).
#[derive(Debug)]
pub(crate) struct Header {
    pub(crate) alg: String,
    pub(crate) kid: Option<String>,
    pub(crate) typ: Option<String>,
}

/// The indices of the header's members in their plan.
struct HeaderMembers {
    plan: ClaimPlan,
    alg: ClaimId,
    b64: ClaimId,
    crit: ClaimId,
    kid: ClaimId,
    typ: ClaimId,
}

static HEADER: LazyLock<HeaderMembers> = LazyLock::new(|| {
    let mut plan = ClaimPlan::default();
    HeaderMembers {
        alg: plan.read("alg"),
        b64: plan.read("b64"),
        crit: plan.read("crit"),
        kid: plan.read("kid"),
        typ: plan.read("typ"),
        plan,
    }
});

impl Header {
    fn parse(json: &[u8]) -> Result<Self, Refusal> {
        const MALFORMED: Refusal = Refusal::MalformedToken(Malformed::Header);
        let mut members = HEADER.plan.parse(json).map_err(|_| MALFORMED)?;
        // RFC 7515 §4.1.11: a critical extension that is not understood makes the token invalid. `b64` would mean that
        // the payload is not base64url (RFC 7797).
        if members.get(HEADER.crit).is_some() || members.get(HEADER.b64).is_some() {
            return Err(Refusal::CriticalHeader);
        }
        let Some(Value::String(alg)) = members.take(HEADER.alg) else {
            return Err(MALFORMED);
        };
        let mut text = |id| match members.take(id) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(MALFORMED),
        };
        Ok(Self {
            alg,
            kid: text(HEADER.kid)?,
            typ: text(HEADER.typ)?,
        })
    }
}

impl<'a> UnverifiedToken<'a> {
    /// Splits a compact JWS (RFC 7515 §7.1) into its parts.
    pub(crate) fn parse(token: &'a str) -> Result<Self, Refusal> {
        if token.len() > MAX_TOKEN_BYTES {
            return Err(Refusal::TokenTooLong { bytes: token.len() });
        }
        let mut parts = token.split('.');
        let (Some(header), Some(payload), Some(signature), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(Refusal::MalformedToken(Malformed::Parts));
        };
        let header = Header::parse(&decode(header)?)?;
        let payload = decode(payload)?;
        Ok(Self {
            header,
            payload,
            signing_input: &token[..token.len() - signature.len() - 1],
            signature: decode(signature)?,
        })
    }

    /// The token's unverified claims, as far as `plan` lists them. Do not trust them: they only select the key.
    pub(crate) fn claims(&self, plan: &ClaimPlan) -> Result<ClaimSet, Refusal> {
        plan.parse(&self.payload)
            .map_err(|_| Refusal::MalformedToken(Malformed::Claims))
    }

    /// The payload's bytes.
    pub(crate) fn payload(&self) -> &[u8] {
        &self.payload
    }
}

/// Decodes base64url without padding and without stray bits (RFC 7515 §2), so each value has one encoding.
fn decode(part: &str) -> Result<Vec<u8>, Refusal> {
    BASE64URL_NOPAD
        .decode(part.as_bytes())
        .map_err(|_| Refusal::MalformedToken(Malformed::Base64Url))
}

/// RFC 7515 §4.1.9: a media type whose `application/` may be omitted.
pub(crate) fn media_type(typ: &str) -> String {
    let typ = typ.to_ascii_lowercase();
    typ.strip_prefix("application/")
        .map_or(typ.clone(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_malformed_jws_is_refused() {
        let encode = |text: &str| BASE64URL_NOPAD.encode(text.as_bytes());
        let header = encode(r#"{"alg":"ES256"}"#);
        let claims = encode(r#"{"sub":"a"}"#);
        for (token, refusal) in [
            (String::new(), Refusal::MalformedToken(Malformed::Parts)),
            (
                "garbage".to_owned(),
                Refusal::MalformedToken(Malformed::Parts),
            ),
            (
                format!("{header}.{claims}"),
                Refusal::MalformedToken(Malformed::Parts),
            ),
            (
                format!("{header}.{claims}.a.b"),
                Refusal::MalformedToken(Malformed::Parts),
            ),
            (
                format!("{header}=.{claims}.AA"),
                Refusal::MalformedToken(Malformed::Base64Url),
            ),
            (
                format!("{header}.{claims}\n.AA"),
                Refusal::MalformedToken(Malformed::Base64Url),
            ),
            (
                format!("{}.{claims}.AA", encode("[]")),
                Refusal::MalformedToken(Malformed::Header),
            ),
            (
                format!("{}.{claims}.AA", encode(r#"{"alg":"ES256","alg":"none"}"#)),
                Refusal::MalformedToken(Malformed::Header),
            ),
            (
                format!("{header}.{}.AA", encode(r#"{"sub":"a","sub":"b"}"#)),
                Refusal::MalformedToken(Malformed::Claims),
            ),
            (
                format!("{header}.{}.AA", encode("\"a\"")),
                Refusal::MalformedToken(Malformed::Claims),
            ),
            (
                format!(
                    "{}.{claims}.AA",
                    encode(r#"{"alg":"ES256","crit":["exp"],"exp":1}"#)
                ),
                Refusal::CriticalHeader,
            ),
            (
                format!("{}.{claims}.AA", encode(r#"{"alg":"ES256","b64":false}"#)),
                Refusal::CriticalHeader,
            ),
            (
                "a".repeat(MAX_TOKEN_BYTES + 1),
                Refusal::TokenTooLong {
                    bytes: MAX_TOKEN_BYTES + 1,
                },
            ),
        ] {
            let claims = UnverifiedToken::parse(&token)
                .and_then(|token| token.claims(&ClaimPlan::default()));
            assert_eq!(claims.err(), Some(refusal), "{token}");
        }
    }
}
