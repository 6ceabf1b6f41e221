//! One key set over HTTP.

use std::time::Duration;

use edge_auth::NeedKeys;
use reqwest::header::{ACCEPT, CONNECTION, HeaderMap, HeaderValue};
use serde_json::Value;
use thiserror::Error;

/// The user agent of a fetch. `index.mjs` sends the same headers; AWS WAF's common rules refuse requests without a user
/// agent.
const USER_AGENT: &str = "gatepost";

/// The largest key set that is read. The largest in the wild have about 20 KB.
pub const MAX_SET_BYTES: usize = 256 * 1024;

/// Why a key set could not be fetched.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum FetchError {
    /// It is larger than the limit.
    #[error("the answer has more than {MAX_SET_BYTES} bytes")]
    TooLarge,
    /// It is not JSON.
    #[error("the answer is not JSON")]
    NotJson,
    /// The status is not 200; redirects are not followed.
    #[error("the answer's status is {0}")]
    Status(u16),
    /// No answer, or none before the timeout.
    #[error("no answer: {0}")]
    NoAnswer(#[from] reqwest::Error),
}

/// Fetches one key set without an authorizer, for packing it.
///
/// # Errors
///
/// The reason why there is not a key set. The text contains neither the address nor anything that was received.
pub async fn fetch_key_set(need: &NeedKeys) -> Result<Value, FetchError> {
    key_set(&client()?, need).await
}

pub(crate) fn client() -> Result<reqwest::Client, FetchError> {
    let headers = HeaderMap::from_iter([
        (ACCEPT, HeaderValue::from_static("application/json")),
        // The next fetch is an hour away.
        (CONNECTION, HeaderValue::from_static("close")),
    ]);
    Ok(reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .default_headers(headers)
        .user_agent(USER_AGENT)
        .build()?)
}

pub(crate) async fn key_set(http: &reqwest::Client, need: &NeedKeys) -> Result<Value, FetchError> {
    // From the name lookup to the last byte: a viewer waits for it.
    let timeout = Duration::from_millis(need.timeout_ms.into());
    let mut response = http.get(&need.url).timeout(timeout).send().await?;
    if response.status() != reqwest::StatusCode::OK {
        return Err(FetchError::Status(response.status().as_u16()));
    }
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        if body.len() + chunk.len() > MAX_SET_BYTES {
            return Err(FetchError::TooLarge);
        }
        body.extend_from_slice(&chunk);
    }
    // A set may begin with a byte order mark, which is not valid JSON (RFC 8259 §8.1).
    let json = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&body);
    serde_json::from_slice(json).map_err(|_| FetchError::NotJson)
}
