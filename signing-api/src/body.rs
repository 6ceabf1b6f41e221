//! Reading a call's body: JSON, said to be JSON, and not much of it.

use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::http::{HeaderMap, header};
use serde::de::DeserializeOwned;

use crate::Problem;

/// A body beyond this is not read on: what is asked for here has a few hundred bytes.
const MAX_BODY_BYTES: usize = 16 * 1024;

/// Reads what a call takes.
pub(crate) fn read<T: DeserializeOwned>(
    headers: &HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<T, Problem> {
    let body = body.map_err(|_| too_long())?;
    let is_json = headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split(';').next())
        .is_some_and(|mime| mime.trim().eq_ignore_ascii_case("application/json"));
    if !is_json {
        return Err(Problem::NotJson);
    }
    if body.len() > MAX_BODY_BYTES {
        return Err(too_long());
    }
    serde_json::from_slice(&body).map_err(|error| Problem::InvalidBody(error.to_string()))
}

fn too_long() -> Problem {
    Problem::InvalidBody(format!("it has more than {MAX_BODY_BYTES} bytes"))
}
