//! An object of an origin, or the reason that a fetch failed. Origins make objects, and the cache keeps them.

use std::time::Duration;

use axum::http::HeaderMap;
use bytes::Bytes;

/// An object of the bucket, with the attributes that its answer names.
#[derive(Debug, Default)]
pub(crate) struct Object {
    pub(crate) body: Bytes,
    /// The size that the answer to a `HEAD` names, which has no body.
    pub(crate) size_of_head: Option<u64>,
    pub(crate) content_type: Option<String>,
    /// With its quotation marks.
    pub(crate) etag: Option<String>,
    /// In seconds since 1970.
    pub(crate) last_modified: Option<i64>,
    pub(crate) cache_control: Option<String>,
    /// The other headers that are passed on.
    pub(crate) headers: HeaderMap,
}

/// The reason that a fetch brought no object.
#[derive(Debug)]
pub(crate) enum OriginFault {
    /// The bucket has no object with the key.
    NotFound,
    /// S3 does not answer as it should; the sentence is for the log.
    Unreachable(String),
}

impl Object {
    /// The size of the whole object, in bytes.
    pub(crate) fn size(&self) -> u64 {
        self.size_of_head.unwrap_or(self.body.len() as u64)
    }

    /// How long a shared cache may keep it by its `Cache-Control`: zero without one.
    pub(crate) fn fresh_for(&self) -> Duration {
        let directives: Vec<_> = self
            .cache_control
            .as_deref()
            .unwrap_or_default()
            .split(',')
            .map(|directive| directive.trim().to_ascii_lowercase())
            .collect();
        if directives
            .iter()
            .any(|directive| matches!(directive.as_str(), "no-store" | "no-cache" | "private"))
        {
            return Duration::ZERO;
        }
        let seconds = |name: &str| {
            directives
                .iter()
                .find_map(|directive| directive.strip_prefix(name)?.parse().ok())
        };
        Duration::from_secs(
            seconds("s-maxage=")
                .or_else(|| seconds("max-age="))
                .unwrap_or(0),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_objects_cache_control_says_how_long_it_is_fresh() {
        for (cache_control, seconds) in [
            (Some("public, max-age=60, immutable"), 60),
            (Some("max-age=60, s-maxage=5"), 5),
            (Some("Max-Age=60"), 60),
            (Some("no-cache"), 0),
            (Some("max-age=60, no-store"), 0),
            (Some("max-age=0"), 0),
            (Some("private, max-age=60"), 0),
            (Some("max-age=-1"), 0),
            (Some(""), 0),
            (None, 0),
        ] {
            let object = Object {
                cache_control: cache_control.map(str::to_owned),
                ..Object::default()
            };
            assert_eq!(object.fresh_for().as_secs(), seconds, "{cache_control:?}");
        }
    }
}
