//! A request to look for uploads that no event told of.
//!
//! An operator or a schedule invokes the function with it. It is accepted as the whole payload of a direct invocation
//! only: people who can send a message to a queue or a topic must not be able to start a sweep.

use jiff::{SignedDuration, Span, SpanRelativeTo};
use media_contract::UploadKey;
use serde::Deserialize;
use serde_json::Value;

/// The member of the payload that makes it a sweep.
const MEMBER: &str = "sweep";

/// Longer than any bucket has existed, and short enough to be subtracted from any current time.
const MAX_SINCE: SignedDuration = SignedDuration::from_hours(100 * 365 * 24);

/// What a sweep looks for.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct SweepRequest {
    /// Only uploads that are not older than this, which is longer than zero; without it, uploads of any age.
    pub since: Option<SignedDuration>,
    /// Uploads that have failed are worked on again, too.
    pub failed: bool,
    /// Only uploads behind this one, in the order of their keys: where an earlier sweep ended early.
    pub after: Option<UploadKey>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawSweep {
    since: Option<String>,
    #[serde(default)]
    failed: bool,
    after: Option<String>,
}

impl SweepRequest {
    /// Reads the payload of an invocation, such as `{"sweep": {"since": "2h", "failed": false}}`.
    ///
    /// `None` is any other event. The error is a sentence about a payload that asks for a sweep, and is malformed.
    pub(super) fn parse(payload: &Value) -> Option<Result<Self, String>> {
        let members = payload.as_object()?;
        let request = members.get(MEMBER)?;
        if let Some(unknown) = members.keys().find(|name| *name != MEMBER) {
            return Some(Err(format!(
                "a payload with {MEMBER:?} has no other member; remove {unknown:?}"
            )));
        }
        Some(Self::read(request))
    }

    fn read(request: &Value) -> Result<Self, String> {
        // A list would be taken for a structure's members in their order.
        if !request.is_object() {
            return Err(format!(
                "{MEMBER:?} is not an object; write for example {{\"since\": \"2h\"}}"
            ));
        }
        let raw = RawSweep::deserialize(request)
            .map_err(|error| format!("the request of a sweep is malformed: {error}"))?;
        Ok(Self {
            since: raw.since.as_deref().map(parse_since).transpose()?,
            failed: raw.failed,
            after: raw.after.as_deref().map(parse_after).transpose()?,
        })
    }
}

/// Reads a duration such as `90m`, `2h` or `1d 12h`, where a day has 24 hours.
fn parse_since(text: &str) -> Result<SignedDuration, String> {
    let duration = text
        .parse::<Span>()
        .and_then(|span| span.to_duration(SpanRelativeTo::days_are_24_hours()))
        .map_err(|_| {
            format!(
                "\"since\" is {text:?}, which is not a duration; write for example 90m, 2h or 7d"
            )
        })?;
    if duration <= SignedDuration::ZERO || duration > MAX_SINCE {
        return Err(format!(
            "\"since\" is {text:?}, which is out of range; write for example 90m, 2h or 7d"
        ));
    }
    Ok(duration)
}

fn parse_after(text: &str) -> Result<UploadKey, String> {
    UploadKey::parse(text).ok_or_else(|| {
        format!(
            "\"after\" is {text:?}, which is not the key of an upload; take it from \"next\" in a sweep's answer"
        )
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_payload_is_a_sweep_by_its_only_member() {
        let sweep = |since, failed| {
            let since = Option::map(since, SignedDuration::from_mins);
            Some(Some(SweepRequest {
                since,
                failed,
                after: None,
            }))
        };
        let key = "uploads/mvbss32xiycek3hlzhe6yejbn4/7ybqtx5rqd7pcfe8gn11wj6j99";
        for (payload, expected) in [
            (json!({"sweep": {}}), sweep(None, false)),
            (
                json!({"sweep": {"since": "2h", "failed": false}}),
                sweep(Some(120), false),
            ),
            (json!({"sweep": {"failed": true}}), sweep(None, true)),
            (json!({"sweep": {"since": null}}), sweep(None, false)),
            (json!({"sweep": {"after": null}}), sweep(None, false)),
            (
                json!({"sweep": {"after": key}}),
                Some(Some(SweepRequest {
                    after: UploadKey::parse(key),
                    ..SweepRequest::default()
                })),
            ),
            (json!({"sweep": {"after": "uploads/"}}), Some(None)),
            (json!({"sweep": {"after": ""}}), Some(None)),
            (json!({"sweep": {"after": format!("{key}/x")}}), Some(None)),
            (json!({"sweep": {"after": 1}}), Some(None)),
            // Another event.
            (json!({}), None),
            (json!({"Records": []}), None),
            (json!("sweep"), None),
            (json!([{"sweep": {}}]), None),
            (json!({"detail": {"sweep": {}}}), None),
            // Malformed.
            (json!({"sweep": null}), Some(None)),
            (json!({"sweep": true}), Some(None)),
            (json!({"sweep": []}), Some(None)),
            (json!({"sweep": ["2h", false]}), Some(None)),
            (json!({"sweep": "{}"}), Some(None)),
            (json!({"sweep": {"since": 7200}}), Some(None)),
            (json!({"sweep": {"failed": "yes"}}), Some(None)),
            (json!({"sweep": {"failed": null}}), Some(None)),
            (json!({"sweep": {"Since": "2h"}}), Some(None)),
            (json!({"sweep": {"sinse": "2h"}}), Some(None)),
            (json!({"sweep": {}, "dry_run": true}), Some(None)),
            (json!({"sweep": {}, "Records": []}), Some(None)),
            (
                json!({"sweep": {}, "source": "aws.s3", "detail-type": "Object Created"}),
                Some(None),
            ),
        ] {
            let parsed = SweepRequest::parse(&payload).map(Result::ok);
            assert_eq!(parsed, expected, "{payload}");
        }
    }

    #[test]
    fn durations_are_positive_and_have_units() {
        for (text, minutes) in [
            ("90m", Some(90)),
            ("2h", Some(120)),
            ("1h 30m", Some(90)),
            ("7d", Some(7 * 24 * 60)),
            ("1d 12h", Some(36 * 60)),
            ("2w", Some(14 * 24 * 60)),
            ("PT2H", Some(120)),
            ("", None),
            ("2", None),
            ("soon", None),
            ("0s", None),
            ("-2h", None),
            ("2h ago", None),
            ("1 month", None),
            ("36501d", None),
            ("99999999999999999999h", None),
        ] {
            let parsed = parse_since(text);
            assert_eq!(
                parsed.as_ref().ok(),
                minutes.map(SignedDuration::from_mins).as_ref(),
                "{text}"
            );
            if let Err(reason) = parsed {
                assert!(reason.starts_with("\"since\" is "), "{reason}");
            }
        }
    }
}
