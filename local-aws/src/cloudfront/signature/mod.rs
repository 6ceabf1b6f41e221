//! The signature of a request to a behaviour with a trusted key group, as CloudFront checks it for signed URLs and
//! signed cookies. [`Distribution`](super::Distribution) calls it before any function, the cache and the origin.
//!
//! It shares no code with libraries that sign, so that each is a check of the other. Where AWS does not say what
//! CloudFront does, it refuses: names that come twice, `Expires` beside `Policy`, a missing `Resource`.
//!
//! Source: AWS, "Serve private content with signed URLs and signed cookies".

mod connection;
mod encoding;
mod key_group;
mod parameters;
mod policy;
mod refusal;

use axum::http::request::Parts;
use axum::http::uri::PathAndQuery;
use axum::http::{Uri, header};

pub(super) use connection::Connection;
pub use key_group::{KeyGroup, KeyGroupError};
pub(super) use refusal::Refusal;

use encoding::decode;
use key_group::Hash;
use parameters::{Presented, query_without_signature};
use policy::{Policy, canned_text};

/// Checks the signature of a request. The parameters that carry it are removed from the request's query.
pub(super) fn verify(
    connection: &Connection<'_>,
    keys: &KeyGroup,
    head: &mut Parts,
) -> Result<(), Refusal> {
    let presented = Presented::of(head)?;
    let id = presented.key_pair_id.filter(|id| !id.is_empty());
    let key = keys
        .find(id.ok_or(Refusal::NoKeyPairId)?)
        .ok_or(Refusal::UnknownKey)?;
    let hash = match presented.hash_algorithm {
        None | Some("SHA1") => Hash::Sha1,
        Some("SHA256") => Hash::Sha256,
        Some(_) => return Err(Refusal::UnknownHash),
    };
    let signature = presented.signature.ok_or(Refusal::NoSignature)?;
    let signature = decode(signature).ok_or(Refusal::MalformedSignature)?;
    let url = signed_url(connection.scheme, head)?;
    // No document is parsed before its signature is right.
    let policy = match (presented.expires, presented.policy) {
        (Some(expires), None) => {
            let expires = policy::expiry(expires).ok_or(Refusal::MalformedExpires)?;
            key.verify(hash, canned_text(&url, expires).as_bytes(), &signature)?;
            Policy::canned(expires)
        }
        (None, Some(document)) => {
            let document = decode(document).ok_or(Refusal::MalformedPolicy)?;
            key.verify(hash, &document, &signature)?;
            Policy::parse(&document).ok_or(Refusal::MalformedPolicy)?
        }
        (Some(_), Some(_)) => return Err(Refusal::Ambiguous),
        (None, None) => return Err(Refusal::NoPolicy),
    };
    policy.check(connection, &url)?;
    head.uri = without_signature(&head.uri)?;
    Ok(())
}

/// The address of a request as the viewer sent it, without the parameters of its signature. A canned policy is signed
/// with this text, and a custom policy's resource is compared with it.
fn signed_url(scheme: &str, head: &Parts) -> Result<String, Refusal> {
    let mut hosts = head.headers.get_all(header::HOST).iter();
    let host = hosts.next().and_then(|host| host.to_str().ok());
    let host = host.ok_or(Refusal::NoHost)?;
    let authority = head.uri.authority();
    if hosts.next().is_some() || authority.is_some_and(|authority| authority != host) {
        return Err(Refusal::NoHost);
    }
    let mut url = format!("{scheme}://{host}{}", head.uri.path());
    if let Some(query) = head.uri.query().and_then(query_without_signature) {
        url = url + "?" + &query;
    }
    // Within the JSON of a canned policy these would need an escape, and AWS documents none.
    let is_plain = |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\\');
    if head.uri.path().starts_with('/') && url.bytes().all(is_plain) {
        Ok(url)
    } else {
        Err(Refusal::UnusableUrl)
    }
}

fn without_signature(uri: &Uri) -> Result<Uri, Refusal> {
    let mut text = uri.path().to_owned();
    if let Some(query) = uri.query().and_then(query_without_signature) {
        text = text + "?" + &query;
    }
    let rest: PathAndQuery = text.parse().map_err(|_| Refusal::UnusableUrl)?;
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = Some(rest);
    Uri::from_parts(parts).map_err(|_| Refusal::UnusableUrl)
}
