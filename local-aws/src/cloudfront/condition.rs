//! Conditional requests and ranges (RFC 9110 §13 and §14): the part of an object that a viewer asks for.
//! [`answer`](super::answer) calls it for each request.

use std::ops::RangeInclusive;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::http::{HeaderMap, HeaderName, header};

use super::origin::Object;

/// Checks `If-Match`, and only without it `If-Unmodified-Since`.
pub(super) fn is_precondition_met(request: &HeaderMap, object: &Object) -> bool {
    if request.contains_key(header::IF_MATCH) {
        let lines = request.get_all(header::IF_MATCH).iter();
        let mut tags = lines
            .filter_map(|line| line.to_str().ok())
            .flat_map(|line| line.split(','))
            .map(str::trim);
        // A weak tag never matches here (RFC 9110 §8.8.3.2).
        return tags.any(|tag| tag == "*" || Some(tag) == object.etag.as_deref());
    }
    match (
        text(request, &header::IF_UNMODIFIED_SINCE)
            .and_then(|date| httpdate::parse_http_date(date).ok()),
        last_modified(object),
    ) {
        (Some(since), Some(modified)) => modified <= since,
        _ => true,
    }
}

/// Whether the viewer has the object already, by `If-None-Match`, and only without it by `If-Modified-Since`.
pub(super) fn is_not_modified(request: &HeaderMap, object: &Object) -> bool {
    if let Some(wanted) = text(request, &header::IF_NONE_MATCH) {
        let strip = |tag: &str| tag.trim().trim_start_matches("W/").to_owned();
        return object.etag.as_ref().is_some_and(|etag| {
            wanted
                .split(',')
                .any(|tag| tag.trim() == "*" || strip(tag) == strip(etag))
        });
    }
    match (
        text(request, &header::IF_MODIFIED_SINCE)
            .and_then(|date| httpdate::parse_http_date(date).ok()),
        last_modified(object),
    ) {
        (Some(since), Some(modified)) => modified <= since,
        _ => false,
    }
}

/// The range that is requested: `None` to answer with the whole object, `Err` if the range is outside of it.
pub(super) fn requested_range(
    request: &HeaderMap,
    object: &Object,
) -> Option<Result<RangeInclusive<u64>, ()>> {
    let ranges = text(request, &header::RANGE)?.strip_prefix("bytes=")?;
    if let Some(condition) = text(request, &header::IF_RANGE) {
        let date = last_modified(object).map(httpdate::fmt_http_date);
        // A weak tag never matches here (RFC 9110 §13.1.5).
        if object.etag.as_deref() != Some(condition) && date.as_deref() != Some(condition) {
            return None;
        }
    }
    // Several ranges are answered with the whole object, and so is a range that is not understood.
    let (first, last) = ranges.split_once('-')?;
    let size = object.size();
    let number = |text: &str| {
        text.bytes()
            .all(|byte| byte.is_ascii_digit())
            .then(|| text.parse::<u64>().ok())?
    };
    let range = match (first.trim(), last.trim()) {
        ("", suffix) => {
            let length = number(suffix)?;
            if length == 0 || size == 0 {
                return Some(Err(()));
            }
            size.saturating_sub(length)..=size - 1
        }
        (first, "") => number(first)?..=size.saturating_sub(1),
        (first, last) => {
            let (first, last) = (number(first)?, number(last)?);
            if last < first {
                return None;
            }
            first..=last.min(size.saturating_sub(1))
        }
    };
    Some(if *range.start() < size {
        Ok(range)
    } else {
        Err(())
    })
}

pub(super) fn last_modified(object: &Object) -> Option<SystemTime> {
    let seconds = u64::try_from(object.last_modified?).ok()?;
    Some(UNIX_EPOCH + Duration::from_secs(seconds))
}

fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}
