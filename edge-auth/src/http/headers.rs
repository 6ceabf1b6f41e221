//! The headers of a request or response, and the names that are reserved for Gatepost.
//!
//! [`Headers`] has the JSON shape of `CloudFront`'s events: lower-case names, each with a list of `{key, value}`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// The reserved header prefix. Headers of this prefix that a viewer sends are always removed.
pub const RESERVED_HEADER_PREFIX: &str = "x-gatepost-";

/// The header that names the owner to the origin.
pub const OWNER_HEADER: &str = "x-gatepost-owner";

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

    /// Removes every header whose lower-case name has this prefix.
    pub(crate) fn remove_prefixed(&mut self, prefix: &str) {
        self.0.retain(|name, _| !name.starts_with(prefix));
    }

    /// Removes a header; the name is lower-case.
    pub(crate) fn remove(&mut self, name: &str) {
        self.0.remove(name);
    }

    /// Replaces the values of a header, line by line; a line whose value is `None` is removed.
    pub(crate) fn replace_values(&mut self, name: &str, values: Vec<Option<String>>) {
        let lines = self.0.remove(name).unwrap_or_default();
        let lines: Vec<_> = lines
            .into_iter()
            .zip(values)
            .filter_map(|(line, value)| value.map(|value| HeaderValue { value, ..line }))
            .collect();
        if !lines.is_empty() {
            self.0.insert(name.to_owned(), lines);
        }
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
