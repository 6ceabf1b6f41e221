//! The wire: Lambda@Edge's viewer-request event, and what it takes for an answer.
//!
//! Shapes are those of the `CloudFront` developer guide, "Lambda@Edge event structure": header names are lower-case keys
//! of lists of `{key, value}`, a generated response has its status as a string. Members that we do not know travel
//! through untouched.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::config::TokenSource;
use crate::decide::{Allowed, Authorizer, Decision, Denied};

/// An event as Lambda@Edge sends it.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct ViewerRequestEvent {
    /// Always one.
    #[serde(rename = "Records")]
    pub records: Vec<Record>,
}

/// The one record of an event.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Record {
    /// What `CloudFront` says.
    pub cf: CloudFront,
}

/// What `CloudFront` says of a request.
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
    /// Such as `d111111abcdef8.cloudfront.net`.
    #[serde(default)]
    pub distribution_domain_name: String,
    /// Such as `EDFDVBD6EXAMPLE`.
    #[serde(default)]
    pub distribution_id: String,
    /// `viewer-request` is the one that we answer.
    pub event_type: String,
    /// `CloudFront`'s id of the request, for logs.
    #[serde(default)]
    pub request_id: String,
}

/// A request as the viewer sent it.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ViewerRequest {
    /// The address of the viewer.
    #[serde(default)]
    pub client_ip: String,
    /// The headers.
    #[serde(default)]
    pub headers: Headers,
    /// The method, upper-case.
    pub method: String,
    /// What follows the question mark, as it was sent.
    #[serde(default)]
    pub querystring: String,
    /// The path, as it was sent.
    pub uri: String,
    /// Whatever else `CloudFront` sends, such as `body`.
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
    /// The name as it was spelt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// The value.
    pub value: String,
}

/// An answer that `CloudFront` gives in our name.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct GeneratedResponse {
    /// The status, as text.
    pub status: String,
    /// The reason phrase.
    pub status_description: String,
    /// The headers.
    pub headers: Headers,
    /// The body.
    pub body: String,
}

/// What the handler returns: the request, to go on with, or a response.
#[derive(Clone, Debug, Serialize)]
#[serde(untagged)]
pub enum Outcome {
    /// `CloudFront` goes on with this request.
    Continue(ViewerRequest),
    /// `CloudFront` answers with this.
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
    /// Turns a decision into what Lambda@Edge takes for an answer.
    pub fn answer(&self, request: ViewerRequest, decision: &Decision) -> Outcome {
        match decision {
            Decision::Allow(allowed) => Outcome::Continue(self.forward(request, allowed)),
            Decision::Deny(denied) => Outcome::Respond(refuse(denied)),
            Decision::Redirect(redirect) => {
                let mut response = empty_response(302, "Found");
                response.headers.append("location", &redirect.location);
                Outcome::Respond(response)
            }
        }
    }

    /// The request without what was only for us: the origin learns who asks, never the token.
    fn forward(&self, mut request: ViewerRequest, allowed: &Allowed) -> ViewerRequest {
        let headers = &mut request.headers.0;
        headers.retain(|name, _| !name.starts_with("x-gatepost-"));
        for source in self.token_sources() {
            match source {
                TokenSource::Authorization => {
                    headers.remove("authorization");
                }
                TokenSource::Cookie(name) => {
                    if let Some(lines) = headers.get_mut("cookie") {
                        remove_cookie(lines, name);
                    }
                    if headers.get("cookie").is_some_and(Vec::is_empty) {
                        headers.remove("cookie");
                    }
                }
            }
        }
        if let Some(owner) = &allowed.owner {
            request.headers.append("x-gatepost-owner", owner.as_str());
        }
        request
    }
}

fn remove_cookie(lines: &mut Vec<HeaderValue>, name: &str) {
    let is_ours = |pair: &str| {
        pair.split('=')
            .next()
            .is_some_and(|found| found.trim() == name)
    };
    lines.retain_mut(|line| {
        if !line.value.split(';').any(is_ours) {
            return true;
        }
        let others: Vec<_> = line
            .value
            .split(';')
            .filter(|pair| !is_ours(pair))
            .map(str::trim)
            .collect();
        line.value = others.join("; ");
        !line.value.is_empty()
    });
}

fn refuse(denied: &Denied) -> GeneratedResponse {
    let refusal = &denied.refusal;
    let status = refusal.status();
    let mut response = empty_response(status, reason_phrase(status));
    if let Some(challenge) = refusal.challenge() {
        response.headers.append("www-authenticate", challenge);
    }
    response
        .headers
        .append("content-type", "application/problem+json");
    response.body = json!({
        "title": reason_phrase(status),
        "status": status,
        "detail": refusal.public_message(),
    })
    .to_string();
    response
}

fn empty_response(status: u16, phrase: &str) -> GeneratedResponse {
    GeneratedResponse {
        status: status.to_string(),
        status_description: phrase.to_owned(),
        headers: [
            ("cache-control", "no-store"),
            ("x-content-type-options", "nosniff"),
        ]
        .into_iter()
        .collect(),
        body: String::new(),
    }
}

fn reason_phrase(status: u16) -> &'static str {
    match status {
        400 => "Bad Request",
        401 => "Unauthorized",
        _ => "Forbidden",
    }
}
