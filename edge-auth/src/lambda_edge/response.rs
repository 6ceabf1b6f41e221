//! The responses of a function: a generated response for everything but an allowed request.
//!
//! The shapes follow the `CloudFront` developer guide, "Lambda@Edge event structure". A generated response has its
//! status as a string.

use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::authorizer::Authorizer;
use crate::decision::{Decision, Denied};
use crate::http::headers::Headers;
use crate::http::request::Request;
use crate::keys::ring::COOL_DOWN_SECONDS;
use crate::lambda_edge::event::ViewerRequest;
use crate::refusal::Refusal;

/// An answer that `CloudFront` sends on the function's behalf.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct GeneratedResponse {
    /// The status, as text.
    pub status: String,
    /// The reason phrase.
    pub status_description: String,
    /// The headers.
    pub headers: Headers,
    /// The body; a 204 must not have one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<String>,
}

/// What the handler returns: the request to continue with, or a response.
#[derive(Clone, Debug, Serialize)]
#[serde(untagged)]
pub enum Outcome {
    /// `CloudFront` continues with this request.
    Continue(ViewerRequest),
    /// `CloudFront` answers with this response.
    Respond(GeneratedResponse),
}

impl Authorizer {
    /// Turns a decision into an answer for Lambda@Edge.
    pub fn answer(&self, request: ViewerRequest, decision: &Decision) -> Outcome {
        match decision {
            Decision::Allow(allowed) => Outcome::Continue(self.forward(request, allowed)),
            other => Outcome::Respond(self.response(&Request::from(&request), other)),
        }
    }

    /// The response to a request that is not allowed. An undecided request is not allowed either: it is answered with
    /// 503.
    pub fn response(&self, request: &Request<'_>, decision: &Decision) -> GeneratedResponse {
        let mut response = match decision {
            Decision::Deny(denied) => refuse(denied),
            Decision::Redirect(redirect) => {
                let mut response = empty_response(302);
                response.headers.append("location", &redirect.location);
                return response;
            }
            Decision::Preflight(preflight) => {
                let mut response = empty_response(204);
                for (name, value) in &preflight.headers {
                    response.headers.append(name, value);
                }
                response.headers.append("vary", "Origin");
                return response;
            }
            Decision::NeedKeys(_) | Decision::Allow(_) => {
                refuse(&Denied::of(Refusal::KeysUnavailable, None))
            }
        };
        // A script should learn that its token has expired, not only that the request failed.
        for (name, value) in self.readable_by(request) {
            response.headers.append(name, value);
        }
        response
    }

    /// The headers with which scripts of the origins in `cors` may read an answer.
    ///
    /// A viewer-request function cannot change the response to a request that it allows. The server of that response
    /// must add these headers; at `CloudFront` that is a response headers policy.
    pub fn readable_by(&self, request: &Request<'_>) -> Vec<(&'static str, String)> {
        let Some(cors) = self.cors() else {
            return Vec::new();
        };
        let mut headers = cors.readable_by(request).unwrap_or_default();
        headers.push(("vary", "Origin".to_owned()));
        headers
    }
}

fn refuse(denied: &Denied) -> GeneratedResponse {
    let refusal = &denied.refusal;
    let status = refusal.status();
    let mut response = empty_response(status);
    if let Some(challenge) = refusal.challenge() {
        response.headers.append("www-authenticate", challenge);
    }
    if status == 503 {
        let seconds = COOL_DOWN_SECONDS.to_string();
        response.headers.append("retry-after", seconds);
    }
    response
        .headers
        .append("content-type", "application/problem+json");
    response.body = Some(
        json!({
            "title": reason_phrase(status),
            "status": status,
            "detail": refusal.public_message(),
        })
        .to_string(),
    );
    response
}

fn empty_response(status: u16) -> GeneratedResponse {
    GeneratedResponse {
        status: status.to_string(),
        status_description: reason_phrase(status).to_owned(),
        headers: [
            ("cache-control", "no-store"),
            ("x-content-type-options", "nosniff"),
        ]
        .into_iter()
        .collect(),
        body: None,
    }
}

fn reason_phrase(status: u16) -> &'static str {
    match status {
        204 => "No Content",
        302 => "Found",
        400 => "Bad Request",
        401 => "Unauthorized",
        503 => "Service Unavailable",
        _ => "Forbidden",
    }
}
