//! A request and an answer, as far as this S3 looks at them.
//!
//! The connector parses the one and sends the other. This file does not know which objects there are.

use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use jiff::Timestamp;

#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(super) method: String,
    /// `bucket/key` or `bucket`.
    pub(super) path: String,
    pub(super) query: String,
    pub(super) if_match: Option<String>,
    pub(super) if_none_match: bool,
    pub(super) body: Vec<u8>,
}

#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(super) status: u16,
    pub(super) etag: Option<String>,
    pub(super) modified: Option<Timestamp>,
    pub(super) body: Vec<u8>,
}

impl Request {
    pub(super) fn parse(request: &HttpRequest) -> Self {
        let uri = request.uri();
        let rest = uri.split_once("//").map_or(uri, |(_, rest)| rest);
        let (_, rest) = rest.split_once('/').unwrap_or((rest, ""));
        let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
        Self {
            method: request.method().to_owned(),
            path: path.trim_end_matches('/').to_owned(),
            query: query.replace("%2F", "/"),
            if_match: request.headers().get("if-match").map(str::to_owned),
            if_none_match: request.headers().get("if-none-match").is_some(),
            body: request.body().bytes().unwrap_or_default().to_vec(),
        }
    }

    /// Whether carrying it out changes anything.
    pub(crate) fn is_write(&self) -> bool {
        matches!(self.method.as_str(), "PUT" | "POST")
    }

    pub(crate) fn is_conditional(&self) -> bool {
        self.if_none_match || self.if_match.is_some()
    }

    pub(crate) fn is_delete(&self) -> bool {
        self.method == "POST"
    }

    pub(super) fn is_manifest(&self) -> bool {
        self.path.ends_with("/manifest.json")
    }

    pub(super) fn is_rendition(&self) -> bool {
        self.method == "PUT" && !self.is_manifest()
    }

    /// Whether it lists the objects beside a manifest.
    pub(super) fn is_media_list(&self) -> bool {
        self.method == "GET" && self.path == "media"
    }

    pub(super) fn parameter(&self, name: &str) -> Option<&str> {
        self.query
            .split('&')
            .find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='))
    }

    pub(crate) fn shown(&self) -> String {
        let condition = match (&self.if_match, self.if_none_match) {
            (Some(_), _) => " if-match",
            (None, true) => " if-none-match",
            (None, false) => "",
        };
        let query = self.query.split('&').next().unwrap_or_default();
        format!("{} /{}?{query}{condition}", self.method, self.path)
    }
}

impl Answer {
    pub(super) fn new(status: u16, body: impl Into<Vec<u8>>) -> Self {
        Self {
            status,
            etag: None,
            modified: None,
            body: body.into(),
        }
    }

    pub(crate) fn error(status: u16, code: &str) -> Self {
        Self::new(
            status,
            format!("<Error><Code>{code}</Code><Message>scripted</Message></Error>"),
        )
    }
}
