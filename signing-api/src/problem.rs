//! The problems that callers see: RFC 9457 problem details, each with a stable `type`, and one log line each. Every handler
//! returns them. A problem's answer never has the text that is for the log.

use axum::Json;
use axum::extract::Request;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use edge_auth::{NoSession, Refusal};
use media_contract::size;
use media_store::StoreError;
use serde_json::json;
use thiserror::Error;

use crate::settings::MAX_BODY_BYTES;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Why a call failed. The error's own text is for the log; [`Problem::detail`] is for the caller.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum Problem {
    /// The body is longer than any call accepts.
    #[error("the body has more than {MAX_BODY_BYTES} bytes")]
    BodyTooLarge,
    /// The body is not valid for the call.
    #[error("the body is invalid: {0}")]
    InvalidBody(String),
    /// A parameter of the query or the path is not valid for the call.
    #[error("parameter {name} is invalid")]
    InvalidParameter {
        /// Its name.
        name: &'static str,
    },
    /// The content type is not JSON.
    #[error("the content type is not application/json")]
    NotJson,
    /// The caller's token has no subject, so the caller cannot own anything.
    #[error("the caller's token has no subject")]
    NoOwner,
    /// The upload does not exist, or belongs to another caller.
    #[error("the upload does not exist")]
    NoSuchUpload,
    /// The path is unknown.
    #[error("the path is unknown")]
    NoSuchCall,
    /// The caller may not read the object to be shared, or nothing could be decided.
    #[error("the caller may not read this: {}", .0.as_ref().map_or("undecided", Refusal::code))]
    NotReadable(Option<Refusal>),
    /// A session cannot be made for the caller.
    #[error("no session: {0}")]
    NoSession(#[from] NoSession),
    /// A fault in this service.
    #[error("{0}")]
    Internal(&'static str),
    /// The form or the link cannot be signed.
    #[error("it cannot be signed: {0}")]
    Signing(#[from] url_signing::SigningError),
    /// The credentials for signing are not available.
    #[error("the credentials for signing are not available: {0}")]
    Credentials(#[from] aws_credential_types::provider::error::CredentialsError),
    /// An S3 call failed.
    #[error("S3: {0}")]
    Storage(#[from] StoreError),
    /// The edge cache could not forget deleted objects.
    #[error("the edge cache: {0}")]
    EdgeCache(String),
    /// The system random number generator failed.
    #[error("the system random number generator failed: {0}")]
    Random(#[from] getrandom::Error),
    /// The upload is larger than allowed.
    #[error("{size} bytes exceed the limit of {max}")]
    TooLarge {
        /// The declared size.
        size: u64,
        /// The limit.
        max: u64,
    },
    /// The caller is not authenticated.
    #[error("{0}")]
    Unauthorized(#[from] Refusal),
    /// A page of another site sent the call, with the caller's cookie or to change the browser's session.
    #[error("the call comes from another site")]
    CrossSite,
    /// The type is not allowed.
    #[error("this content type is not allowed")]
    UnsupportedType {
        /// The allowed types.
        allowed: Vec<String>,
    },
    /// The path does not allow this method.
    #[error("the method is not allowed")]
    WrongMethod,
}

impl Problem {
    /// The last part of the problem's `type`.
    pub fn code(&self) -> &'static str {
        self.row().0
    }

    fn row(&self) -> (&'static str, StatusCode, &'static str) {
        use StatusCode as S;
        const UNAVAILABLE: (&str, StatusCode, &str) = (
            "unavailable",
            S::SERVICE_UNAVAILABLE,
            "The service is temporarily unavailable.",
        );
        match self {
            // The requested path cannot be signed, for example because browsers would change it.
            Self::Signing(error) if error.status() == 400 => {
                ("invalid_body", S::BAD_REQUEST, "The body is not valid.")
            }
            // Not 401: a page must not sign its user out because an issuer's keys cannot be fetched.
            Self::Unauthorized(Refusal::KeysUnavailable)
            | Self::Signing(_)
            | Self::Credentials(_)
            | Self::Random(_)
            | Self::Storage(_)
            | Self::EdgeCache(_)
            | Self::NoSession(NoSession::NoSigningKey)
            | Self::Internal(_) => UNAVAILABLE,
            Self::BodyTooLarge => (
                "body_too_large",
                S::PAYLOAD_TOO_LARGE,
                "The body is too large.",
            ),
            Self::InvalidBody(_) => ("invalid_body", S::BAD_REQUEST, "The body is not valid."),
            Self::InvalidParameter { .. } => (
                "invalid_parameter",
                S::BAD_REQUEST,
                "A parameter is not valid.",
            ),
            Self::NotJson => (
                "not_json",
                S::UNSUPPORTED_MEDIA_TYPE,
                "The body must be JSON.",
            ),
            Self::NotReadable(_) => ("not_readable", S::FORBIDDEN, "You may not read this."),
            Self::NoSession(NoSession::NotConfigured) => (
                "not_configured",
                S::NOT_IMPLEMENTED,
                "Sessions are not configured.",
            ),
            Self::NoSession(NoSession::OfASession) => (
                "token_needed",
                S::FORBIDDEN,
                "A session cannot be renewed with its own cookie.",
            ),
            Self::NoSession(_) => (
                "session_too_large",
                S::UNPROCESSABLE_ENTITY,
                "The session does not fit into a cookie.",
            ),
            Self::NoOwner => ("no_owner", S::FORBIDDEN, "The access token has no subject."),
            Self::NoSuchUpload => ("no_such_upload", S::NOT_FOUND, "The upload does not exist."),
            Self::NoSuchCall => ("no_such_call", S::NOT_FOUND, "The path is unknown."),
            Self::TooLarge { .. } => ("too_large", S::PAYLOAD_TOO_LARGE, "The file is too large."),
            Self::Unauthorized(_) => ("unauthorized", S::UNAUTHORIZED, "Sign in first."),
            Self::CrossSite => (
                "cross_site",
                S::FORBIDDEN,
                "Calls from other sites are refused.",
            ),
            Self::UnsupportedType { .. } => (
                "unsupported_type",
                S::UNSUPPORTED_MEDIA_TYPE,
                "This type of file is not accepted.",
            ),
            Self::WrongMethod => (
                "wrong_method",
                S::METHOD_NOT_ALLOWED,
                "This method is not allowed.",
            ),
        }
    }

    /// The sentence for the caller.
    pub fn detail(&self) -> String {
        match self {
            Self::BodyTooLarge => {
                format!("The body of a call may have at most {MAX_BODY_BYTES} bytes.")
            }
            Self::InvalidBody(what) => format!("The body is not valid: {what}."),
            Self::InvalidParameter { name } => format!("The parameter {name} is not valid."),
            Self::TooLarge { max, .. } => format!("A file may have at most {}.", size::limit(*max)),
            Self::Unauthorized(refusal) => refusal.public_message().to_owned(),
            Self::UnsupportedType { allowed } => {
                format!("Files may be of type {}.", allowed.join(", "))
            }
            Self::NoOwner => "The access token has no subject, so it cannot own media.".to_owned(),
            Self::NoSession(NoSession::OfASession) => {
                "A session cannot be renewed with its own cookie; send your provider's token."
                    .to_owned()
            }
            Self::Signing(error) if error.status() == 400 => error.public_message().to_owned(),
            Self::NotJson => "Send the body as application/json.".to_owned(),
            Self::Signing(_)
            | Self::Credentials(_)
            | Self::Random(_)
            | Self::Storage(_)
            | Self::EdgeCache(_)
            | Self::NoSession(NoSession::NoSigningKey)
            | Self::Internal(_) => "Please try again in a moment.".to_owned(),
            _ => self.row().2.to_owned(),
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let (code, status, title) = self.row();
        let body = json!({
            "type": format!("urn:gatepost:problem:{code}"),
            "title": title,
            "status": status.as_u16(),
            "detail": self.detail(),
        });
        let mut response = (status, Json(body)).into_response();
        let headers = response.headers_mut();
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/problem+json"),
        );
        if let Self::Unauthorized(refusal) = &self
            && let Some(challenge) = refusal.challenge()
        {
            headers.insert(
                header::WWW_AUTHENTICATE,
                HeaderValue::from_static(challenge),
            );
        }
        response.extensions_mut().insert(LogEntry {
            code,
            message: self.to_string(),
        });
        response
    }
}

/// The part of a problem that the middleware logs with the request.
#[derive(Clone)]
struct LogEntry {
    code: &'static str,
    message: String,
}

/// Gives every answer a request id and forbids caching it; logs failures. The id is always new: the layers of `tower-http`
/// would keep one that the caller sent, which could then repeat another request's.
pub(crate) async fn with_request_id(request: Request, next: Next) -> Response {
    let request_id = new_request_id();
    let method = request.method().clone();
    let path = request.uri().path().to_owned();
    let mut response = next.run(request).await;
    if let Some(entry) = response.extensions_mut().remove::<LogEntry>() {
        let status = response.status().as_u16();
        // It may quote the caller, who must not be able to write lines into the log (log injection).
        let message = entry.message.replace(char::is_control, "?");
        if status >= 500 {
            tracing::error!(request_id, %method, path, status, code = entry.code, "{message}");
        } else {
            tracing::info!(request_id, %method, path, status, code = entry.code, "{message}");
        }
    }
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    );
    if let Ok(value) = HeaderValue::from_str(&request_id) {
        headers.insert(REQUEST_ID, value);
    }
    response
}

pub(crate) async fn no_such_call() -> Problem {
    Problem::NoSuchCall
}

pub(crate) async fn wrong_method() -> Problem {
    Problem::WrongMethod
}

/// 64 random bits. If the random number generator fails, the id is zero: the request must still be answered.
fn new_request_id() -> String {
    let mut bytes = [0; 8];
    let _ = getrandom::fill(&mut bytes);
    data_encoding::HEXLOWER.encode(&bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_of_a_file_is_told_in_the_units_of_the_page() {
        let (size, max) = (26_214_401, 26_214_400);
        let problem = Problem::TooLarge { size, max };
        assert_eq!(problem.detail(), "A file may have at most 25 MB.");
        assert_eq!(
            problem.to_string(),
            "26214401 bytes exceed the limit of 26214400"
        );
    }
}
