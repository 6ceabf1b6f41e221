//! The wire format: Lambda@Edge's viewer-request event, and the answers that it accepts.
//!
//! The shapes follow the `CloudFront` developer guide, "Lambda@Edge event structure". Header names are lower-case keys
//! of lists of `{key, value}`, and a generated response has its status as a string. Unknown members are passed through
//! unchanged.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::authorizer::{Allowed, Authorizer, Decision, Denied};
use crate::http::request::Request;
use crate::lambda_edge::{OWN_HEADERS, OWNER_HEADER};
use crate::refusal::Refusal;

/// An event as Lambda@Edge sends it.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct ViewerRequestEvent {
    /// Always exactly one.
    #[serde(rename = "Records")]
    pub records: Vec<Record>,
}

/// The one record of an event.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Record {
    /// The `CloudFront` part of the record.
    pub cf: CloudFront,
}

/// The `CloudFront` part of a record.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct CloudFront {
    /// The distribution and the request's id.
    pub config: EventConfig,
    /// The request.
    pub request: ViewerRequest,
}

/// Where the event comes from.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct EventConfig {
    /// For example `d111111abcdef8.cloudfront.net`.
    #[serde(default)]
    pub distribution_domain_name: String,
    /// For example `EDFDVBD6EXAMPLE`.
    #[serde(default)]
    pub distribution_id: String,
    /// Only `viewer-request` is answered.
    pub event_type: String,
    /// `CloudFront`'s id of the request, for logs.
    #[serde(default)]
    pub request_id: String,
}

/// A request as the viewer sent it.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ViewerRequest {
    /// The viewer's IP address.
    #[serde(default)]
    pub client_ip: String,
    /// The headers.
    #[serde(default)]
    pub headers: Headers,
    /// The method, upper-case.
    pub method: String,
    /// The query string after the question mark, as sent.
    #[serde(default)]
    pub querystring: String,
    /// The path, as sent.
    pub uri: String,
    /// All other members that `CloudFront` sends, such as `body`.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

/// Headers by lower-case name, each with its values in order.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(transparent)]
pub struct Headers(BTreeMap<String, Vec<HeaderValue>>);

/// One line of a header.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct HeaderValue {
    /// The name as the viewer spelled it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// The value.
    pub value: String,
}

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

impl Headers {
    /// The values of a header; the name is lower-case.
    pub fn values(&self, name: &str) -> impl Iterator<Item = &str> {
        self.0
            .get(name)
            .into_iter()
            .flatten()
            .map(|line| line.value.as_str())
    }

    /// Adds a line.
    pub fn append(&mut self, name: &str, value: impl Into<String>) {
        let line = HeaderValue {
            key: Some(name.to_owned()),
            value: value.into(),
        };
        self.0
            .entry(name.to_ascii_lowercase())
            .or_default()
            .push(line);
    }

    /// Every line as name and value.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().flat_map(|(name, lines)| {
            lines
                .iter()
                .map(move |line| (name.as_str(), line.value.as_str()))
        })
    }
}

impl<'a> FromIterator<(&'a str, &'a str)> for Headers {
    fn from_iter<T: IntoIterator<Item = (&'a str, &'a str)>>(pairs: T) -> Self {
        let mut headers = Self::default();
        for (name, value) in pairs {
            headers.append(name, value);
        }
        headers
    }
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

    /// Changes an allowed request: the origin receives the owner, never the token.
    fn forward(&self, mut request: ViewerRequest, allowed: &Allowed) -> ViewerRequest {
        let changes = self.changes(&Request::from(&request), allowed);
        let headers = &mut request.headers.0;
        headers.retain(|name, _| !name.starts_with(OWN_HEADERS));
        for name in self.token_headers() {
            headers.remove(name);
        }
        if let Some(changed) = changes.cookie {
            let lines = headers.remove("cookie").unwrap_or_default();
            let lines: Vec<_> = lines
                .into_iter()
                .zip(changed)
                .filter_map(|(line, value)| value.map(|value| HeaderValue { value, ..line }))
                .collect();
            if !lines.is_empty() {
                headers.insert("cookie".to_owned(), lines);
            }
        }
        if let Some(querystring) = changes.querystring {
            request.querystring = querystring;
        }
        if let Some(owner) = &changes.owner {
            request.headers.append(OWNER_HEADER, owner.as_str());
        }
        request
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
        let seconds = crate::keys::ring::COOL_DOWN_SECONDS.to_string();
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
