//! Parses a request for a sweep: a search for uploads whose event was lost.
//!
//! An operator or a schedule invokes the function with it. It is accepted only as the whole payload of a direct
//! invocation: people who can send a message to a queue or a topic must not be able to start a sweep.

use jiff::{SignedDuration, Span, SpanRelativeTo};
use media_contract::{MAX_PROCESSING, UploadKey};
use serde::Deserialize;
use serde_json::{Map, Value, json};

/// The member of the payload that identifies a sweep.
const MEMBER: &str = "sweep";

/// Longer than any bucket has existed, and short enough to subtract from any current time.
const MAX_SINCE: SignedDuration = SignedDuration::from_hours(100 * 365 * 24);

/// The scope of a sweep.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct SweepRequest {
    /// Only uploads that arrived within this time, which must exceed an hour; by default, uploads of up to 14 days.
    pub since: Option<SignedDuration>,
    /// Whether uploads that failed are processed again, too.
    pub failed: bool,
    /// Only uploads after this one, in key order: the position where an earlier sweep ended early.
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
    /// Parses the payload of an invocation, such as `{"sweep": {"since": "2h", "failed": false}}`.
    ///
    /// `None` means any other event. The error is a sentence about a malformed sweep request.
    pub(super) fn parse(payload: &Value) -> Option<Result<Self, String>> {
        let members = payload.as_object()?;
        let request = members.get(MEMBER)?;
        if let Some(unknown) = members.keys().find(|name| *name != MEMBER) {
            return Some(Err(format!(
                "a payload with {MEMBER:?} must not have other members; remove {unknown:?}"
            )));
        }
        Some(Self::read(request))
    }

    /// The payload of an invocation with this request.
    pub(crate) fn payload(&self) -> Value {
        let mut members = Map::new();
        if let Some(since) = self.since {
            members.insert("since".to_owned(), json!(format!("{since:#}")));
        }
        if self.failed {
            members.insert("failed".to_owned(), json!(true));
        }
        if let Some(after) = &self.after {
            members.insert("after".to_owned(), json!(after.original()));
        }
        json!({ MEMBER: members })
    }

    fn read(request: &Value) -> Result<Self, String> {
        // Serde would accept a list as the structure's members in order.
        if !request.is_object() {
            return Err(format!(
                "{MEMBER:?} is not an object; write for example {{\"since\": \"2h\"}}"
            ));
        }
        let raw = RawSweep::deserialize(request)
            .map_err(|error| format!("the request of a sweep is malformed: {error}"))?;
        Ok(Self {
            since: raw
                .since
                .as_deref()
                .map(|text| {
                    parse_since(text).map_err(|reason| format!("\"since\" is {text:?}; {reason}"))
                })
                .transpose()?,
            failed: raw.failed,
            after: raw.after.as_deref().map(parse_after).transpose()?,
        })
    }
}

/// Parses how far back a sweep looks: a duration such as `90m`, `2h` or `1d 12h`, where a day has 24 hours.
///
/// # Errors
///
/// A sentence about a text that is not such a duration, or not more than an hour: uploads of the last hour are left to
/// the queue.
pub fn parse_since(text: &str) -> Result<SignedDuration, String> {
    let duration = text
        .trim()
        .parse::<Span>()
        .and_then(|span| span.to_duration(SpanRelativeTo::days_are_24_hours()))
        .map_err(|_| "it is not a duration; write for example 90m, 2h or 7d".to_owned())?;
    if duration <= MAX_PROCESSING {
        return Err(
            "uploads of the last hour are left to the queue, so it must be longer; write for example 90m, 2h or 7d"
                .to_owned(),
        );
    }
    if duration > MAX_SINCE {
        return Err("it is out of range; write for example 90m, 2h or 7d".to_owned());
    }
    Ok(duration)
}

fn parse_after(text: &str) -> Result<UploadKey, String> {
    UploadKey::parse(text).ok_or_else(|| {
        format!(
            "\"after\" is {text:?}, which is not the key of an upload; take it from the error of the sweep that ended early"
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
            ("1h", None),
            ("60m", None),
            ("61m", Some(61)),
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
        }
        let error = SweepRequest::parse(&json!({"sweep": {"since": "30m"}})).unwrap();
        assert_eq!(
            error.unwrap_err(),
            "\"since\" is \"30m\"; uploads of the last hour are left to the queue, so it must be longer; \
             write for example 90m, 2h or 7d"
        );
    }

    #[test]
    fn a_payload_can_be_written_and_read_again() {
        let key = "uploads/mvbss32xiycek3hlzhe6yejbn4/7ybqtx5rqd7pcfe8gn11wj6j99";
        for since in [None, Some(SignedDuration::from_mins(90))] {
            for failed in [false, true] {
                for after in [None, UploadKey::parse(key)] {
                    let request = SweepRequest {
                        since,
                        failed,
                        after,
                    };
                    let payload = request.payload();
                    assert_eq!(
                        SweepRequest::parse(&payload),
                        Some(Ok(request)),
                        "{payload}"
                    );
                }
            }
        }
    }
}
