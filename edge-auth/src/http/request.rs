//! The parts of a request that a decision depends on, and no others.
//!
//! A [`Request`] borrows. The native runtime makes it from a fully parsed event. The Lambda@Edge runtime passes the
//! strings one by one, because parsing a whole event costs more than the decision.

use crate::http::headers::Headers;

/// A request, reduced to what a decision uses.
#[derive(Clone, Debug, Default)]
pub struct Request<'a> {
    /// The method, upper-case.
    pub method: &'a str,
    /// The path, as sent.
    pub uri: &'a str,
    /// The query string after the question mark, as sent.
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
    /// The other headers that may carry tokens: those that the configuration names.
    pub other: OtherHeaders<'a>,
}

/// Headers of any name, for token sources that name one.
#[derive(Clone, Debug, Default)]
pub enum OtherHeaders<'a> {
    /// None.
    #[default]
    None,
    /// All headers of the request.
    All(&'a Headers),
    /// Some headers, by lower-case name.
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
    /// The header is absent.
    #[default]
    None,
    /// One line, the usual case.
    One(&'a str),
    /// Several lines.
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

    /// The line, if there is exactly one.
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

/// A request with only its headers: enough to identify the sender.
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
