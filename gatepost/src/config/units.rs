//! Parses durations, sizes and pixel counts as people write them: `5m`, `25 MiB`, `50 MP`.
//!
//! `config` and the arguments of commands use it.

use std::time::Duration;

use jiff::{SignedDuration, Span, SpanRelativeTo, Timestamp};

/// A duration of at least one second, such as `30s`, `5m`, `1h 30m` or `30d`.
pub(crate) fn parse_duration(text: &str) -> Result<SignedDuration, String> {
    let duration = parse_signed(text).ok_or_else(|| {
        format!("{text:?} is not a duration; write for example 30s, 5m, 1h or 30d")
    })?;
    if duration < SignedDuration::from_secs(1) {
        return Err(format!("{text:?} is too short; the minimum is 1s"));
    }
    Ok(SignedDuration::from_secs(duration.as_secs()))
}

/// A duration of at most a year, such as `15m`, or `0`.
pub(crate) fn parse_duration_or_zero(text: &str) -> Result<Duration, String> {
    if text.trim() == "0" {
        return Ok(Duration::ZERO);
    }
    let duration = parse_signed(text)
        .ok_or_else(|| format!("{text:?} is not a duration; write for example 15m, 1h or 0"))?;
    if duration > SignedDuration::from_hours(365 * 24) {
        return Err(format!(
            "{text:?} is too long; the maximum is one year (365d)"
        ));
    }
    u64::try_from(duration.as_secs())
        .map(Duration::from_secs)
        .map_err(|_| format!("{text:?} is negative; write for example 15m, or 0"))
}

/// A number of milliseconds, from a duration such as `500ms` or `2s`.
pub(crate) fn parse_milliseconds(text: &str) -> Result<u32, String> {
    let duration = parse_signed(text)
        .ok_or_else(|| format!("{text:?} is not a duration; write for example 500ms or 2s"))?;
    u32::try_from(duration.as_millis()).map_err(|_| format!("{text:?} is out of range"))
}

/// A duration as `jiff` parses it, with days of 24 hours, like the upload processor's `--since` of a sweep.
fn parse_signed(text: &str) -> Option<SignedDuration> {
    let span: Span = text.trim().parse().ok()?;
    span.to_duration(SpanRelativeTo::days_are_24_hours()).ok()
}

/// A point in time, such as `2026-12-01T09:00:00Z`.
pub(crate) fn parse_time(text: &str) -> Result<Timestamp, String> {
    let time = text.trim().parse();
    time.map_err(|_| {
        format!("{text:?} is not a point in time; write for example 2026-12-01T09:00:00Z")
    })
}

/// A leeway: a duration of at most five minutes, or `0s`.
pub(crate) fn parse_leeway(text: &str) -> Result<u32, String> {
    let duration = parse_signed(text)
        .ok_or_else(|| format!("{text:?} is not a duration; write for example 0s or 30s"))?;
    u32::try_from(duration.as_secs())
        .ok()
        .filter(|seconds| *seconds <= 300)
        .ok_or_else(|| format!("{text:?} is out of range; a leeway is at most 5m"))
}

/// A number of bytes, such as `25 MiB`, `500 kB` or `1024`.
pub(crate) fn parse_bytes(text: &str) -> Result<u64, String> {
    parse_scaled(
        text,
        &[
            ("", 1),
            ("B", 1),
            ("kB", 1_000),
            ("KiB", 1 << 10),
            ("MB", 1_000_000),
            ("MiB", 1 << 20),
            ("GB", 1_000_000_000),
            ("GiB", 1 << 30),
        ],
    )
    .ok_or_else(|| format!("{text:?} is not a size; write for example 25 MiB or 500 kB"))
}

/// A number of pixels, such as `50 MP`.
pub(crate) fn parse_pixels(text: &str) -> Result<u64, String> {
    let pixels = parse_scaled(text, &[("", 1), ("MP", 1_000_000)])
        .ok_or_else(|| format!("{text:?} is not a pixel count; write for example 50 MP"))?;
    // Every photo has more: the unit is missing.
    if pixels < 10_000 {
        return Err(format!(
            "{text:?} is too small for a photo; write for example 50 MP"
        ));
    }
    Ok(pixels)
}

fn parse_scaled(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let text = text.trim();
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let number: u64 = text[..digits].parse().ok()?;
    let unit = text[digits..].trim();
    let (_, factor) = units.iter().find(|(name, _)| *name == unit)?;
    number.checked_mul(*factor)
}

/// The value whose name in `serde` this is.
pub(super) fn parse_name<T: serde::de::DeserializeOwned>(name: &str) -> Option<T> {
    serde_json::from_value(serde_json::Value::from(name)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_size_has_a_number_and_a_known_unit() {
        for (text, bytes) in [
            ("25 MiB", Some(26_214_400)),
            ("500kB", Some(500_000)),
            ("1024", Some(1024)),
            ("", None),
            ("MiB", None),
            ("-1", None),
            ("1.5 MiB", None),
            ("25 mib", None),
            ("99999999999999999 GiB", None),
        ] {
            assert_eq!(parse_bytes(text).ok(), bytes, "{text}");
        }
    }

    #[test]
    fn a_duration_is_at_least_one_second() {
        for (text, seconds) in [
            ("30s", Some(30)),
            ("5m", Some(300)),
            ("1h 30m", Some(5400)),
            ("30d", Some(30 * 86_400)),
            ("1 d 12h", Some(36 * 3600)),
            ("1d12h", Some(36 * 3600)),
            ("1 day", Some(86_400)),
            ("2w", Some(14 * 86_400)),
            ("d", None),
            ("1 month", None),
            ("99999999999999999999d", None),
            ("0s", None),
            ("-5m", None),
            ("soon", None),
        ] {
            let parsed = parse_duration(text).map(|duration| duration.as_secs());
            assert_eq!(parsed.ok(), seconds, "{text}");
        }
    }

    #[test]
    fn a_duration_or_zero_is_at_most_a_year() {
        for (text, seconds) in [
            ("15m", Some(900)),
            ("0", Some(0)),
            ("0s", Some(0)),
            ("365d", Some(31_536_000)),
            ("366d", None),
            ("-1s", None),
            ("15", None),
            ("soon", None),
        ] {
            let parsed = parse_duration_or_zero(text).map(|duration| duration.as_secs());
            assert_eq!(parsed.ok(), seconds, "{text}");
        }
    }
}
