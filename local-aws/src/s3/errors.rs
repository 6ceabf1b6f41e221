//! S3's error documents. `s3s` leaves the message out of most errors and has its own code for an unknown access key, so
//! the server completes each refusal of `s3s` and of the store here.

use axum::body::Body;
use axum::http::{HeaderValue, Response, StatusCode, header};
use http_body_util::BodyExt as _;

use super::encoding::escape;

/// A request, for the log.
pub(super) struct RequestLine {
    pub(super) method: http::Method,
    pub(super) path: String,
}

/// S3's error document: a code, a message, and elements with details.
pub(super) fn error_document(
    status: StatusCode,
    code: &str,
    message: &str,
    details: &[(&str, String)],
) -> Response<Body> {
    let mut body = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error>".to_owned();
    for (name, value) in [("Code", code), ("Message", message)]
        .into_iter()
        .chain(details.iter().map(|(name, value)| (*name, &**value)))
    {
        body = body + "<" + name + ">" + &escape(value) + "</" + name + ">";
    }
    body += "</Error>";
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    let xml = HeaderValue::from_static("application/xml");
    response.headers_mut().insert(header::CONTENT_TYPE, xml);
    response
}

/// Puts S3's code and message into a refusal, and logs it.
pub(super) async fn complete(request: &RequestLine, response: Response<Body>) -> Response<Body> {
    let status = response.status();
    if !status.is_client_error() && !status.is_server_error() {
        return response;
    }
    let (parts, body) = response.into_parts();
    let Ok(body) = body.collect().await else {
        return Response::from_parts(parts, Body::empty());
    };
    let body = body.to_bytes();
    let text = String::from_utf8_lossy(&body);
    // The answer to a HEAD has no document.
    let Some(found) = element(&text, "Code") else {
        return Response::from_parts(parts, Body::from(body));
    };
    let code = match found {
        "NotSignedUp" => "InvalidAccessKeyId",
        code => code,
    };
    let message = element(&text, "Message").filter(|message| !message.is_empty());
    tracing::debug!(
        method = %request.method,
        path = request.path.replace(char::is_control, "?"),
        status = status.as_u16(),
        code,
        "a request to the bucket is refused"
    );
    match (message, message_of(code)) {
        (None, Some(message)) => error_document(status, code, message, &[]),
        (_, Some(message)) if code != found => error_document(status, code, message, &[]),
        _ => Response::from_parts(parts, Body::from(body)),
    }
}

/// S3's message for a code.
pub(super) fn message_of(code: &str) -> Option<&'static str> {
    Some(match code {
        "AccessDenied" => "Access Denied",
        "BucketAlreadyExists" => "The requested bucket name is not available.",
        "EntityTooSmall" => "Your proposed upload is smaller than the minimum allowed object size.",
        "IncompleteBody" => {
            "You did not provide the number of bytes specified by the Content-Length HTTP header."
        }
        "InternalError" => "We encountered an internal error. Please try again.",
        "InvalidAccessKeyId" => "The AWS Access Key Id you provided does not exist in our records.",
        "InvalidPart" => {
            "One or more of the specified parts could not be found. The part might not have been uploaded, or the specified entity tag might not have matched the part's entity tag."
        }
        "InvalidRange" => "The requested range is not satisfiable",
        "InvalidRequest" => "Invalid Request",
        "InvalidStorageClass" => "The storage class you specified is not valid",
        "MethodNotAllowed" => "The specified method is not allowed against this resource.",
        "NoSuchBucket" => "The specified bucket does not exist",
        "NoSuchKey" => "The specified key does not exist.",
        "NoSuchUpload" => {
            "The specified multipart upload does not exist. The upload ID might be invalid, or the multipart upload might have been aborted or completed."
        }
        "NotImplemented" => "A header you provided implies functionality that is not implemented.",
        "PreconditionFailed" => "At least one of the pre-conditions you specified did not hold",
        "SignatureDoesNotMatch" => {
            "The request signature we calculated does not match the signature you provided. Check your key and signing method."
        }
        _ => return None,
    })
}

fn element<'a>(xml: &'a str, name: &str) -> Option<&'a str> {
    let (_, rest) = xml.split_once(&format!("<{name}>"))?;
    Some(rest.split_once(&format!("</{name}>"))?.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn completed(status: u16, body: &str) -> (u16, String) {
        let mut response = Response::new(Body::from(body.to_owned()));
        *response.status_mut() = status.try_into().unwrap();
        let request = RequestLine {
            method: http::Method::GET,
            path: "/b/k".to_owned(),
        };
        let response = complete(&request, response).await;
        let status = response.status().as_u16();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        let text = String::from_utf8(body.to_vec()).unwrap();
        let code = element(&text, "Code").unwrap_or_default();
        let message = element(&text, "Message").unwrap_or_default();
        (status, format!("{code}: {message}"))
    }

    #[tokio::test]
    async fn refusals_have_s3s_code_and_message() {
        for (status, body, found) in [
            (
                404,
                "<Error><Code>NoSuchKey</Code></Error>",
                "NoSuchKey: The specified key does not exist.",
            ),
            (
                404,
                "<Error><Code>NoSuchKey</Code><Message></Message></Error>",
                "NoSuchKey: The specified key does not exist.",
            ),
            (
                501,
                "<Error><Code>NotImplemented</Code><Message>why</Message></Error>",
                "NotImplemented: why",
            ),
            (
                403,
                "<Error><Code>NotSignedUp</Code><Message>Your account is not signed up</Message></Error>",
                "InvalidAccessKeyId: The AWS Access Key Id you provided does not exist in our records.",
            ),
            (404, "", ": "),
            (200, "<Code>NoSuchKey</Code>", "NoSuchKey: "),
        ] {
            assert_eq!(
                completed(status, body).await,
                (status, found.to_owned()),
                "{body}"
            );
        }
    }
}
