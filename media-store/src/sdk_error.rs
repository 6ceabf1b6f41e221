//! Reads an error of the SDK: whether an object is missing, the status, and the reason as one line for a log or a
//! terminal.
//!
//! Everything that calls S3 or SQS uses it. It prints no `Debug` form: that of the SDK's errors has the whole answer in it,
//! with its headers.

use std::error::Error;

use aws_sdk_s3::error::{ErrorMetadata, ProvideErrorMetadata, SdkError};

/// Whether S3 says that an object, or a version of it, does not exist. A missing bucket is also a 404, but does not
/// count.
pub fn is_missing<E: ProvideErrorMetadata>(error: &SdkError<E>) -> bool {
    let code = error
        .as_service_error()
        .and_then(ProvideErrorMetadata::code);
    matches!(code, Some("NoSuchKey" | "NoSuchVersion"))
}

/// The HTTP status of an SDK error, if there was a response.
pub fn status<E>(error: &SdkError<E>) -> Option<u16> {
    error
        .raw_response()
        .map(|response| response.status().as_u16())
}

/// The code and message of the service's answer. An answer without a code, and a failed connection, are told with their
/// causes.
pub fn reason<E>(error: &SdkError<E>) -> String
where
    E: Error + ProvideErrorMetadata + 'static,
{
    match (error.code(), error.message()) {
        (Some(code), Some(message)) => one_line(&format!("{code}: {message}")),
        (Some(code), None) => one_line(code),
        (None, _) => match status(error) {
            Some(status) => format!("status {status}: {}", causes(error)),
            None => causes(error),
        },
    }
}

/// An error and its causes, each once: some errors already print their cause.
pub fn causes(error: &(dyn Error + 'static)) -> String {
    let mut text = one_line(&error.to_string());
    let mut next = error.source();
    while let Some(cause) = next {
        let shown = one_line(&cause.to_string());
        // Metadata has only a debug form. Its code and message are the caller's.
        if !cause.is::<ErrorMetadata>() && !text.contains(&shown) {
            text = format!("{text}: {shown}");
        }
        next = cause.source();
    }
    text
}

/// The text with every run of white space as one space.
fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use aws_sdk_s3::error::ConnectorError;
    use aws_sdk_s3::operation::get_object::GetObjectError;
    use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
    use aws_smithy_runtime_api::http::StatusCode;
    use aws_smithy_types::body::SdkBody;

    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("{text}")]
    struct Fault {
        text: &'static str,
        source: Option<Box<Fault>>,
    }

    fn fault(text: &'static str, source: Option<Fault>) -> Fault {
        Fault {
            text,
            source: source.map(Box::new),
        }
    }

    /// An answer with headers and a body that no log should have.
    fn answer(status: u16) -> HttpResponse {
        let body = SdkBody::from("<Secret>hunter2</Secret>");
        let mut response = HttpResponse::new(StatusCode::try_from(status).unwrap(), body);
        response
            .headers_mut()
            .insert("x-amz-security-token", "hunter2");
        response
    }

    fn refused(status: u16, metadata: ErrorMetadata) -> SdkError<GetObjectError> {
        SdkError::service_error(GetObjectError::generic(metadata), answer(status))
    }

    #[test]
    fn a_failed_call_has_its_reason_on_one_line() {
        let metadata = || ErrorMetadata::builder().custom("aws_request_id", "7Q");
        let denied = metadata().code("AccessDenied").message("Access\n Denied");
        let bare = metadata().code("SlowDown");
        let connection = fault("client error", Some(fault("connection refused", None)));
        for (error, told) in [
            (refused(403, denied.build()), "AccessDenied: Access Denied"),
            (refused(503, bare.build()), "SlowDown"),
            (
                refused(403, metadata().build()),
                "status 403: service error: unhandled error",
            ),
            (
                SdkError::dispatch_failure(ConnectorError::io(connection.into())),
                "dispatch failure: io error: client error: connection refused",
            ),
            (
                SdkError::timeout_error(fault("no answer after 3 s", None)),
                "request has timed out: no answer after 3 s",
            ),
            (
                SdkError::response_error(fault("the body ended early", None), answer(200)),
                "status 200: response error: the body ended early",
            ),
        ] {
            assert_eq!(reason(&error), told);
        }
    }

    #[test]
    fn an_error_is_told_with_its_causes_once() {
        for (error, told) in [
            (fault("a", None), "a"),
            (fault("a", Some(fault("b", None))), "a: b"),
            (
                fault("a: b", Some(fault("b", Some(fault("c", None))))),
                "a: b: c",
            ),
        ] {
            assert_eq!(causes(&error), told);
        }
    }
}
