//! One key set over HTTP.

use std::time::Duration;

use serde_json::Value;
use thiserror::Error;

/// How long a fetch may take, from the name lookup to the last byte: somebody waits for it.
pub const FETCH_TIMEOUT: Duration = Duration::from_secs(2);

/// The largest key set that is read. The largest in the wild have some 20 KB.
pub const MAX_SET_BYTES: usize = 256 * 1024;

/// Why there is no key set.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum FetchError {
    /// It is larger than any that is read.
    #[error("the answer has more than {MAX_SET_BYTES} bytes")]
    TooLarge,
    /// It is not JSON.
    #[error("the answer is not JSON")]
    NotJson,
    /// The answer is another than 200; redirects are not followed.
    #[error("the answer's status is {0}")]
    Status(u16),
    /// There is no answer, or none in time.
    #[error("there is no answer: {0}")]
    NoAnswer(#[from] reqwest::Error),
}

pub(crate) fn client() -> Result<reqwest::Client, FetchError> {
    Ok(reqwest::Client::builder()
        .timeout(FETCH_TIMEOUT)
        .redirect(reqwest::redirect::Policy::none())
        .user_agent("gatepost")
        .build()?)
}

pub(crate) async fn key_set(http: &reqwest::Client, url: &str) -> Result<Value, FetchError> {
    let mut response = http.get(url).send().await?;
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
    serde_json::from_slice(&body).map_err(|_| FetchError::NotJson)
}
