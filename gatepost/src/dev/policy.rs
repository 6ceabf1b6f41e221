//! The cache policies and response headers policies of `infra/modules/gatepost/distribution.tf`, as the emulated CloudFront
//! takes them. The behaviours of every mode use this file.

use std::time::Duration;

use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use local_aws::cloudfront::{CacheControl, Policy};
use media_contract::{IMMUTABLE, MEDIA_PATH, REVALIDATED};

/// The minimum TTL of media, as the distribution's cache policy for them has it: their `Cache-Control` is for viewers,
/// whose own caches alone may keep them.
const MEDIA_MIN_TTL: Duration = Duration::from_hours(24);

/// An object that is opened as a page runs nothing and loads nothing.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; sandbox";

/// Who reads an object.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Readers {
    /// Everybody.
    Anyone,
    /// A viewer, by a token or a session.
    Viewer,
    /// The bearer of a signed URL. No cookie decides, so pages of other sites may show the object, as with a link.
    Bearer,
}

impl Readers {
    /// Those of a rule.
    pub(super) fn of(is_for_anyone: bool) -> Self {
        if is_for_anyone {
            Self::Anyone
        } else {
            Self::Viewer
        }
    }
}

/// The policy of an allowed request. On AWS a behaviour's cache policy and response headers policy are these.
///
/// `Cache-Control` is always `private`, since only the edge may keep an answer for others. If a rule is for anyone,
/// other sites may show the object, and a browser may keep an immutable one. If a token or a session decided, a browser
/// revalidates each time or keeps the object for `browser_cache`: the next person in the same browser would see it.
pub(super) fn policy_of(
    path: &str,
    readers: Readers,
    browser_cache: Duration,
    readable: Vec<(&'static str, String)>,
) -> Policy {
    // Objects that others put into the bucket may change under their name.
    let is_media = path.starts_with(MEDIA_PATH);
    let revalidated = HeaderValue::from_static(REVALIDATED);
    let resource_policy = match readers {
        Readers::Viewer => "same-site",
        Readers::Anyone | Readers::Bearer => "cross-origin",
    };
    let cache_control = if readers == Readers::Anyone {
        let immutable = HeaderValue::from_static(IMMUTABLE);
        let other = revalidated;
        CacheControl { immutable, other }
    } else {
        let kept = format!("private, max-age={}", browser_cache.as_secs());
        let kept = HeaderValue::try_from(kept).ok();
        let kept = kept.filter(|_| is_media && !browser_cache.is_zero());
        let value = kept.unwrap_or(revalidated);
        let (immutable, other) = (value.clone(), value);
        CacheControl { immutable, other }
    };
    let mut object_headers = sandboxed();
    object_headers.insert(
        HeaderName::from_static("cross-origin-resource-policy"),
        HeaderValue::from_static(resource_policy),
    );
    let readable = readable.into_iter().filter_map(|(name, value)| {
        let value = HeaderValue::try_from(value).ok()?;
        Some((HeaderName::from_static(name), value))
    });
    Policy {
        min_ttl: if is_media {
            MEDIA_MIN_TTL
        } else {
            Duration::ZERO
        },
        cache_control: Some(cache_control),
        object_headers,
        headers: readable.collect(),
        ..Policy::default()
    }
}

/// The headers of everything that a bucket answers: a browser neither guesses its type nor runs it.
pub(super) fn sandboxed() -> HeaderMap {
    HeaderMap::from_iter([
        (
            header::X_CONTENT_TYPE_OPTIONS,
            HeaderValue::from_static("nosniff"),
        ),
        (
            header::CONTENT_SECURITY_POLICY,
            HeaderValue::from_static(CONTENT_SECURITY_POLICY),
        ),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(path: &str, is_for_anyone: bool, browser_cache: u64) -> Policy {
        let readable = vec![("vary", "Origin".to_owned())];
        policy_of(
            path,
            Readers::of(is_for_anyone),
            Duration::from_secs(browser_cache),
            readable,
        )
    }

    #[test]
    fn a_browser_keeps_public_objects_and_what_is_configured() {
        const MEDIA: &str = "/media/o/1/320.webp";
        let day = MEDIA_MIN_TTL;
        for (path, is_for_anyone, browser_cache, immutable, other, resource_policy, min_ttl) in [
            (MEDIA, false, 0, REVALIDATED, REVALIDATED, "same-site", day),
            (
                MEDIA,
                false,
                900,
                "private, max-age=900",
                "private, max-age=900",
                "same-site",
                day,
            ),
            (
                "/other/a",
                false,
                900,
                REVALIDATED,
                REVALIDATED,
                "same-site",
                Duration::ZERO,
            ),
            (MEDIA, true, 0, IMMUTABLE, REVALIDATED, "cross-origin", day),
            (
                "/other/a",
                true,
                900,
                IMMUTABLE,
                REVALIDATED,
                "cross-origin",
                Duration::ZERO,
            ),
        ] {
            let policy = policy(path, is_for_anyone, browser_cache);
            let cache_control = policy.cache_control.unwrap();
            assert_eq!(
                (cache_control.immutable, cache_control.other),
                (
                    HeaderValue::from_static(immutable),
                    HeaderValue::from_static(other)
                ),
                "{path} {is_for_anyone}"
            );
            let headers = &policy.object_headers;
            assert_eq!(headers["cross-origin-resource-policy"], resource_policy);
            assert_eq!(headers["x-content-type-options"], "nosniff");
            assert_eq!(headers["content-security-policy"], CONTENT_SECURITY_POLICY);
            assert_eq!(policy.headers["vary"], "Origin");
            assert_eq!(policy.min_ttl, min_ttl, "{path}");
        }
    }
}
