//! What a decision depends on: these parts of a request, and nothing else of it.
//!
//! A [`Request`] borrows. The native face makes it of an event that was read as a whole; the Lambda@Edge face hands
//! over the texts one by one, for reading a whole event costs more than deciding on it.

use crate::lambda_edge::{Headers, ViewerRequest};

/// A request, as far as a decision looks at it.
#[derive(Clone, Debug, Default)]
pub struct Request<'a> {
    /// The method, upper-case.
    pub method: &'a str,
    /// The path, as it was sent.
    pub uri: &'a str,
    /// What follows the question mark, as it was sent.
    pub querystring: &'a str,
    /// `Authorization`.
    pub authorization: Lines<'a>,
    /// `Cookie`.
    pub cookie: Lines<'a>,
    /// `Accept`.
    pub accept: Lines<'a>,
    /// `Sec-Fetch-Mode`.
    pub sec_fetch_mode: Lines<'a>,
    /// `Origin`.
    pub origin: Lines<'a>,
    /// `Access-Control-Request-Method`.
    pub access_control_request_method: Lines<'a>,
    /// `Access-Control-Request-Headers`.
    pub access_control_request_headers: Lines<'a>,
    /// Where tokens may be besides: the headers that the configuration names.
    pub other: OtherHeaders<'a>,
}

/// Headers of any name, for token sources that name one.
#[derive(Clone, Debug, Default)]
pub enum OtherHeaders<'a> {
    /// There are none.
    #[default]
    None,
    /// All of the request's.
    All(&'a Headers),
    /// Some, by lower-case name.
    Some(Vec<(&'a str, Lines<'a>)>),
}

impl<'a> OtherHeaders<'a> {
    /// The lines of a header; the name is lower-case.
    pub(crate) fn lines(&self, name: &str) -> Lines<'a> {
        match self {
            Self::None => Lines::None,
            Self::All(headers) => headers.values(name).collect(),
            Self::Some(headers) => headers
                .iter()
                .find(|(found, _)| *found == name)
                .map_or(Lines::None, |(_, lines)| lines.clone()),
        }
    }
}

/// The lines of one header, in order.
#[derive(Clone, Debug, Default)]
pub enum Lines<'a> {
    /// The header is not there.
    #[default]
    None,
    /// It has one line, as nearly always.
    One(&'a str),
    /// It has several.
    Many(Vec<&'a str>),
}

impl<'a> Lines<'a> {
    /// The lines.
    pub fn as_slice(&self) -> &[&'a str] {
        match self {
            Self::None => &[],
            Self::One(line) => std::slice::from_ref(line),
            Self::Many(lines) => lines,
        }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &'a str> {
        self.as_slice().iter().copied()
    }

    /// The line, where there is exactly one.
    pub(crate) fn only(&self) -> Option<&'a str> {
        match self.as_slice() {
            [line] => Some(line),
            _ => None,
        }
    }
}

impl<'a> FromIterator<&'a str> for Lines<'a> {
    fn from_iter<T: IntoIterator<Item = &'a str>>(lines: T) -> Self {
        let mut lines = lines.into_iter();
        match (lines.next(), lines.next()) {
            (None, _) => Self::None,
            (Some(line), None) => Self::One(line),
            (Some(first), Some(second)) => {
                Self::Many([first, second].into_iter().chain(lines).collect())
            }
        }
    }
}

impl<'a> From<&'a ViewerRequest> for Request<'a> {
    fn from(request: &'a ViewerRequest) -> Self {
        Self {
            method: &request.method,
            uri: &request.uri,
            querystring: &request.querystring,
            ..Self::from(&request.headers)
        }
    }
}

/// A request of which nothing but its headers is known: enough to see who sends it.
impl<'a> From<&'a Headers> for Request<'a> {
    fn from(headers: &'a Headers) -> Self {
        let lines = |name: &str| headers.values(name).collect();
        Self {
            authorization: lines("authorization"),
            cookie: lines("cookie"),
            accept: lines("accept"),
            sec_fetch_mode: lines("sec-fetch-mode"),
            origin: lines("origin"),
            access_control_request_method: lines("access-control-request-method"),
            access_control_request_headers: lines("access-control-request-headers"),
            other: OtherHeaders::All(headers),
            ..Self::default()
        }
    }
}
