//! What S3 says to browsers: CORS on every answer, and its own words for a form that it refuses.
//!
//! `s3s` refuses the same forms as S3, but with other codes: a failed condition is its 400 `InvalidPolicyDocument`,
//! S3's 403 `AccessDenied`. Whoever writes an uploader against the local stack would learn the wrong ones.

use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::BodyExt;

use super::form_head::HeadFault;

/// The origins that a bucket's CORS configuration allows.
#[derive(Clone, Debug)]
pub(super) struct Cors {
    pub(super) origins: Vec<String>,
}

impl Cors {
    /// The origin of a request, if it is allowed.
    fn allowed(&self, headers: &HeaderMap) -> Option<HeaderValue> {
        let origin = headers.get(header::ORIGIN)?;
        let text = origin.to_str().ok()?;
        self.origins
            .iter()
            .any(|allowed| allowed == text)
            .then(|| origin.clone())
    }

    /// Answers a preflight; anything else is not one.
    pub(super) fn preflight<B>(&self, request: &Request<B>) -> Option<Response<Body>> {
        let wanted = request
            .headers()
            .get(header::ACCESS_CONTROL_REQUEST_METHOD)?;
        if request.method() != Method::OPTIONS {
            return None;
        }
        let allowed = self.allowed(request.headers()).filter(|_| wanted == "POST");
        let Some(origin) = allowed else {
            return Some(refuse(
                StatusCode::FORBIDDEN,
                "AccessForbidden",
                "CORSResponse: This CORS request is not allowed.",
            ));
        };
        let mut response = Response::new(Body::empty());
        let headers = response.headers_mut();
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        headers.insert(
            header::ACCESS_CONTROL_ALLOW_METHODS,
            HeaderValue::from_static("POST"),
        );
        if let Some(names) = request
            .headers()
            .get(header::ACCESS_CONTROL_REQUEST_HEADERS)
        {
            headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, names.clone());
        }
        headers.insert(
            header::ACCESS_CONTROL_MAX_AGE,
            HeaderValue::from_static("3000"),
        );
        headers.insert(header::VARY, HeaderValue::from_static("Origin"));
        Some(response)
    }

    /// Adds what lets the page read the answer to a request with these headers.
    pub(super) fn allow(&self, request_headers: &HeaderMap, response: &mut Response<Body>) {
        let headers = response.headers_mut();
        headers.append(header::VARY, HeaderValue::from_static("Origin"));
        if let Some(origin) = self.allowed(request_headers) {
            headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
            headers.insert(
                header::ACCESS_CONTROL_EXPOSE_HEADERS,
                HeaderValue::from_static("ETag, Location"),
            );
        }
    }
}

/// A POST that is no form: S3 names the condition that it lacks.
pub(super) fn not_a_form() -> Response<Body> {
    refuse(
        StatusCode::PRECONDITION_FAILED,
        "PreconditionFailed",
        "Bucket POST must be of the enclosure-type multipart/form-data",
    )
}

/// A form whose fields are too many, or twice there.
pub(super) fn faulty_head(fault: &HeadFault) -> Response<Body> {
    let (code, message) = match fault {
        HeadFault::Doubled(name) => (
            "InvalidArgument",
            format!("POST requires exactly one field of a name; {name} is given twice."),
        ),
        HeadFault::TooLong => (
            "MaxPostPreDataLengthExceeded",
            "Your POST request fields preceding the upload file were too large.".to_owned(),
        ),
    };
    tracing::info!(code, said = message, "a form is refused");
    refuse(StatusCode::BAD_REQUEST, code, &message)
}

/// Puts S3's status, code and message in the place of those that `s3s` gave a refused form.
pub(super) async fn translate_refused_form(response: Response<Body>) -> Response<Body> {
    if response.status().is_success() || response.status().is_redirection() {
        return response;
    }
    let (parts, body) = response.into_parts();
    let Ok(body) = body.collect().await else {
        return Response::from_parts(parts, Body::empty());
    };
    let body = body.to_bytes();
    let text = String::from_utf8_lossy(&body);
    let code = element(&text, "Code").unwrap_or_default();
    let message = element(&text, "Message").unwrap_or_default();
    tracing::info!(
        status = parts.status.as_u16(),
        code,
        said = message,
        "a form is refused"
    );
    match as_s3_says_it(&code, &message) {
        Some((status, code, message)) => refuse(status, code, &message),
        None => Response::from_parts(parts, Body::from(body)),
    }
}

fn as_s3_says_it(code: &str, message: &str) -> Option<(StatusCode, &'static str, String)> {
    let denied = |message: String| Some((StatusCode::FORBIDDEN, "AccessDenied", message));
    match code {
        "AccessDenied" if message == "Request has expired" => {
            denied("Invalid according to Policy: Policy expired.".to_owned())
        }
        "AccessDenied" if message.starts_with("Each form field") => {
            let name = message.split('"').nth(1).unwrap_or_default();
            denied(format!("Invalid according to Policy: Extra input fields: {name}"))
        }
        "InvalidPolicyDocument" => match failed_condition(message) {
            Some(condition) => {
                denied(format!("Invalid according to Policy: Policy Condition failed: {condition}"))
            }
            // A policy that does not parse was tampered with, and S3 looks at the signature first.
            None if message.contains("does not match policy") => denied(
                "Invalid according to Policy: Policy Condition failed: the signed fields".to_owned(),
            ),
            None => None,
        },
        "InvalidRequest" if message == "missing required multipart fields" => Some((
            StatusCode::BAD_REQUEST,
            "InvalidArgument",
            "Bucket POST must contain the fields policy, x-amz-algorithm, x-amz-credential, x-amz-date and x-amz-signature, before the file."
                .to_owned(),
        )),
        "NotImplemented" => Some((
            StatusCode::BAD_REQUEST,
            "InvalidArgument",
            "x-amz-algorithm only supports \"AWS4-HMAC-SHA256\"".to_owned(),
        )),
        "EntityTooLarge" => Some((
            StatusCode::BAD_REQUEST,
            "EntityTooLarge",
            "Your proposed upload exceeds the maximum allowed size".to_owned(),
        )),
        "EntityTooSmall" => Some((
            StatusCode::BAD_REQUEST,
            "EntityTooSmall",
            "Your proposed upload is smaller than the minimum allowed size".to_owned(),
        )),
        _ => None,
    }
}

/// The condition that failed, in the notation of policies, out of the sentence that `s3s` makes of it.
fn failed_condition(message: &str) -> Option<String> {
    if message.starts_with("Bucket in form field") {
        return Some("[\"eq\", \"$bucket\"]".to_owned());
    }
    let rest = message.strip_prefix("Policy condition '")?;
    let (operator, rest) = rest.split_once("' for field '")?;
    let (field, rest) = rest.split_once("' failed: expected ")?;
    let wanted = rest
        .trim_start_matches("prefix ")
        .strip_prefix('\'')?
        .split_once("', got '")?
        .0;
    Some(format!("[\"{operator}\", \"${field}\", \"{wanted}\"]"))
}

fn refuse(status: StatusCode, code: &str, message: &str) -> Response<Body> {
    let body = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>{code}</Code><Message>{}</Message></Error>",
        escape(message)
    );
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    response.headers_mut().insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/xml"),
    );
    response
}

fn element(xml: &str, name: &str) -> Option<String> {
    let (_, rest) = xml.split_once(&format!("<{name}>"))?;
    let (text, _) = rest.split_once(&format!("</{name}>"))?;
    Some(
        text.replace("&quot;", "\"")
            .replace("&apos;", "'")
            .replace("&lt;", "<")
            .replace("&gt;", ">")
            .replace("&amp;", "&"),
    )
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_are_in_s3s_own_words() {
        for (code, message, status, said) in [
            (
                "InvalidPolicyDocument",
                "Policy condition 'eq' for field 'content-type' failed: expected 'image/jpeg', got 'text/html'",
                403,
                "Invalid according to Policy: Policy Condition failed: [\"eq\", \"$content-type\", \"image/jpeg\"]",
            ),
            (
                "AccessDenied",
                "Request has expired",
                403,
                "Invalid according to Policy: Policy expired.",
            ),
            (
                "AccessDenied",
                "Each form field that you specify in a form must appear in the list of policy conditions. \"acl\" not specified in the policy.",
                403,
                "Invalid according to Policy: Extra input fields: acl",
            ),
        ] {
            let (found, _, sentence) = as_s3_says_it(code, message).unwrap();
            assert_eq!((found.as_u16(), sentence.as_str()), (status, said));
        }
        assert_eq!(as_s3_says_it("SignatureDoesNotMatch", ""), None);
    }
}
