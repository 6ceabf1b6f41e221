//! A form's policy: its conditions, and whether the form fulfils them.
//!
//! The rules are those of the S3 documentation, "POST policy": every condition must hold, and every field must have one.

use jiff::Timestamp;
use serde_json::Value;

use super::form::Fields;
use super::refusal::Refusal;
use super::signature::Version;

/// A parsed policy.
#[derive(Debug)]
pub(super) struct Policy {
    expires_at: Timestamp,
    conditions: Vec<Condition>,
}

#[derive(Debug)]
enum Condition {
    Match {
        operator: Operator,
        /// As the policy writes it, without `$`.
        field: String,
        value: String,
    },
    /// Bytes of the file, both ends included.
    Size { min: u64, max: u64 },
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Operator {
    Eq,
    StartsWith,
}

impl Policy {
    /// Parses a policy in base64.
    pub(super) fn parse(encoded: &str) -> Result<Self, Refusal> {
        let invalid = |what: &str| Refusal::InvalidPolicy(what.to_owned());
        let json = data_encoding::BASE64
            .decode(encoded.as_bytes())
            .map_err(|_| invalid("Invalid Base64 encoding."))?;
        let policy: Value = serde_json::from_slice(&json).map_err(|_| invalid("Invalid JSON."))?;
        let expiration = policy
            .get("expiration")
            .ok_or_else(|| invalid("Policy missing expiration."))?;
        let expires_at = expiration.as_str().and_then(expiration_time);
        let conditions = policy
            .get("conditions")
            .ok_or_else(|| invalid("Policy missing conditions."))?
            .as_array()
            .ok_or_else(|| invalid("Invalid 'conditions' value: must be a List."))?;
        Ok(Self {
            expires_at: expires_at.ok_or_else(|| {
                Refusal::InvalidPolicy(format!("Invalid 'expiration' value: {expiration}"))
            })?,
            conditions: conditions
                .iter()
                .map(Condition::parse)
                .collect::<Result<_, _>>()
                .map_err(Refusal::InvalidPolicy)?,
        })
    }

    /// Checks the fields of a form to `bucket` against the policy.
    pub(super) fn check(
        &self,
        now: Timestamp,
        bucket: &str,
        fields: &Fields,
        version: Version,
    ) -> Result<(), Refusal> {
        if now >= self.expires_at {
            return Err(Refusal::PolicyExpired);
        }
        for condition in &self.conditions {
            if !condition.holds(bucket, fields) {
                return Err(Refusal::ConditionFailed(condition.to_string()));
            }
        }
        for (name, value) in fields.iter() {
            let is_free = matches!(name, "policy" | "file")
                || name.starts_with("x-ignore-")
                || version.is_free_field(name);
            let is_covered = self.conditions.iter().any(|condition| match condition {
                Condition::Match { field, .. } => field.eq_ignore_ascii_case(name),
                Condition::Size { .. } => false,
            });
            if !is_free && !is_covered {
                return Err(Refusal::ExtraField(name.to_owned()));
            }
            if name == "bucket" && value != bucket {
                let condition = format!("[\"eq\", \"$bucket\", {}]", Value::from(bucket));
                return Err(Refusal::ConditionFailed(condition));
            }
        }
        Ok(())
    }

    /// The smallest and the largest size that all conditions allow, in bytes.
    pub(super) fn size_range(&self) -> (u64, u64) {
        let sizes = self.conditions.iter();
        let sizes = sizes.filter_map(|condition| match condition {
            Condition::Size { min, max } => Some((*min, *max)),
            Condition::Match { .. } => None,
        });
        sizes.fold((0, u64::MAX), |(min, max), (other_min, other_max)| {
            (min.max(other_min), max.min(other_max))
        })
    }
}

impl Condition {
    fn parse(condition: &Value) -> Result<Self, String> {
        match condition {
            Value::Object(simple) => {
                let mut members = simple.iter();
                let (Some((field, value)), None) = (members.next(), members.next()) else {
                    return Err("Invalid Simple-Condition: Simple-Conditions must have exactly one property specified.".to_owned());
                };
                let value = value
                    .as_str()
                    .ok_or("Invalid Simple-Condition: value must be a string.")?;
                Ok(Self::Match {
                    operator: Operator::Eq,
                    field: field.clone(),
                    value: value.to_owned(),
                })
            }
            Value::Array(items) => {
                let [operator, first, second] = &items[..] else {
                    return Err(format!(
                        "Invalid Condition: wrong number of arguments: {condition}"
                    ));
                };
                let operator = operator.as_str().unwrap_or_default().to_ascii_lowercase();
                let operator = match operator.as_str() {
                    "content-length-range" => {
                        let (Some(min), Some(max)) = (bytes(first), bytes(second)) else {
                            return Err(format!("Invalid content-length-range: {condition}"));
                        };
                        return Ok(Self::Size { min, max });
                    }
                    "eq" => Operator::Eq,
                    "starts-with" => Operator::StartsWith,
                    _ => {
                        return Err(format!(
                            "Invalid Condition: unknown operation '{operator}'."
                        ));
                    }
                };
                let field = first.as_str().and_then(|field| field.strip_prefix('$'));
                let (Some(field), Some(value)) = (field, second.as_str()) else {
                    return Err(format!(
                        "Invalid Condition: a field begins with '$', and its value is a string: {condition}"
                    ));
                };
                Ok(Self::Match {
                    operator,
                    field: field.to_owned(),
                    value: value.to_owned(),
                })
            }
            _ => Err(
                "Invalid 'conditions' value: must contain only Lists and Simple-Conditions."
                    .to_owned(),
            ),
        }
    }

    /// Whether the form fulfils the condition. The file's size is checked as soon as it is known.
    fn holds(&self, bucket: &str, fields: &Fields) -> bool {
        let Self::Match {
            operator,
            field,
            value,
        } = self
        else {
            return true;
        };
        let name = field.to_ascii_lowercase();
        let found = if name == "bucket" {
            Some(bucket)
        } else {
            fields.get(&name)
        };
        // Without the field even the empty prefix does not hold.
        let Some(found) = found else {
            return false;
        };
        match operator {
            Operator::Eq => found == value,
            // A type may be a list, and then each of its items must begin like this.
            Operator::StartsWith if name == "content-type" => found
                .split(',')
                .all(|item| item.trim_start().starts_with(value.as_str())),
            Operator::StartsWith => found.starts_with(value.as_str()),
        }
    }
}

impl std::fmt::Display for Condition {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Match {
                operator,
                field,
                value,
            } => {
                let operator = match operator {
                    Operator::Eq => "eq",
                    Operator::StartsWith => "starts-with",
                };
                let (field, value) = (Value::from(format!("${field}")), Value::from(&**value));
                write!(f, "[\"{operator}\", {field}, {value}]")
            }
            Self::Size { min, max } => write!(f, "[\"content-length-range\", {min}, {max}]"),
        }
    }
}

/// A number of bytes, which may be written as a string.
fn bytes(value: &Value) -> Option<u64> {
    match value {
        Value::String(text) => text.parse().ok(),
        value => value.as_u64(),
    }
}

/// The time of an expiration: ISO 8601, with `T` and in GMT.
fn expiration_time(text: &str) -> Option<Timestamp> {
    let is_gmt = text.ends_with('Z') && text.as_bytes().get(10) == Some(&b'T');
    is_gmt.then(|| text.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: &str = "2026-11-27T12:00:00Z";

    fn checked(conditions: &str, fields: &[(&str, &str)]) -> String {
        let json =
            format!(r#"{{"expiration": "2026-11-27T12:15:00.000Z", "conditions": {conditions}}}"#);
        let policy = Policy::parse(&data_encoding::BASE64.encode(json.as_bytes()));
        let fields = fields.iter().copied().collect();
        let checked =
            policy.and_then(|policy| policy.check(NOW.parse().unwrap(), "b", &fields, Version::V4));
        checked.map_or_else(|refusal| refusal.to_string(), |()| "ok".to_owned())
    }

    #[test]
    fn every_condition_must_hold_and_every_field_must_have_one() {
        const FAILED: &str = "Invalid according to Policy: Policy Condition failed: ";
        const EXTRA: &str = "Invalid according to Policy: Extra input fields: ";
        let failed = |condition: &str| format!("{FAILED}{condition}");
        for (conditions, fields, found) in [
            (r#"[{"key": "k"}]"#, &[("key", "k")][..], "ok".to_owned()),
            (
                r#"[["eq", "$Key", "k"], {"bucket": "b"}]"#,
                &[("key", "k")],
                "ok".to_owned(),
            ),
            (
                r#"[{"key": "k"}]"#,
                &[("key", "K")],
                failed(r#"["eq", "$key", "k"]"#),
            ),
            (
                r#"[["starts-with", "$key", "u/"]]"#,
                &[("key", "u/x")],
                "ok".to_owned(),
            ),
            (
                r#"[["starts-with", "$key", "u/"]]"#,
                &[("key", "v/x")],
                failed(r#"["starts-with", "$key", "u/"]"#),
            ),
            (
                r#"[["starts-with", "$x-amz-meta-a", ""]]"#,
                &[],
                failed(r#"["starts-with", "$x-amz-meta-a", ""]"#),
            ),
            (
                r#"[["starts-with", "$Content-Type", "image/"]]"#,
                &[("content-type", "image/png, image/gif")],
                "ok".to_owned(),
            ),
            (
                r#"[["starts-with", "$Content-Type", "image/"]]"#,
                &[("content-type", "image/png,text/html")],
                failed(r#"["starts-with", "$Content-Type", "image/"]"#),
            ),
            (
                r#"[{"bucket": "c"}]"#,
                &[],
                failed(r#"["eq", "$bucket", "c"]"#),
            ),
            (r#"[{"bucket": "b"}]"#, &[("bucket", "b")], "ok".to_owned()),
            (
                r#"[["starts-with", "$bucket", ""]]"#,
                &[("bucket", "c")],
                failed(r#"["eq", "$bucket", "b"]"#),
            ),
            ("[]", &[("bucket", "b")], format!("{EXTRA}bucket")),
            (
                "[]",
                &[("x-amz-server-side-encryption", "AES256")],
                format!("{EXTRA}x-amz-server-side-encryption"),
            ),
            ("[]", &[("submit", "Upload")], format!("{EXTRA}submit")),
            (
                "[]",
                &[("awsaccesskeyid", "A")],
                format!("{EXTRA}awsaccesskeyid"),
            ),
            ("[]", &[("signature", "s")], format!("{EXTRA}signature")),
            (
                r#"[["content-length-range", 1, "5"]]"#,
                &[("key", "k")],
                format!("{EXTRA}key"),
            ),
            (
                "[]",
                &[
                    ("policy", "p"),
                    ("x-amz-signature", "s"),
                    ("x-ignore-a", "a"),
                ],
                "ok".to_owned(),
            ),
        ] {
            assert_eq!(
                checked(conditions, fields),
                found,
                "{conditions} {fields:?}"
            );
        }
    }

    #[test]
    fn policies_that_cannot_be_read_say_why() {
        for (json, reason) in [
            ("{", "Invalid JSON."),
            (r#"{"conditions": []}"#, "Policy missing expiration."),
            (
                r#"{"expiration": "2026-11-27T12:15:00Z"}"#,
                "Policy missing conditions.",
            ),
            (
                r#"{"expiration": "2026-11-27T12:15:00+02:00", "conditions": []}"#,
                "Invalid 'expiration' value: \"2026-11-27T12:15:00+02:00\"",
            ),
            (
                r#"{"expiration": "2026-11-27 12:15:00Z", "conditions": []}"#,
                "Invalid 'expiration' value: \"2026-11-27 12:15:00Z\"",
            ),
            (
                r#"{"expiration": "2026-11-27T12:15:00Z", "conditions": {}}"#,
                "Invalid 'conditions' value: must be a List.",
            ),
            (
                r#"{"expiration": "2026-11-27T12:15:00Z", "conditions": [{"a": "1", "b": "2"}]}"#,
                "Invalid Simple-Condition: Simple-Conditions must have exactly one property specified.",
            ),
            (
                r#"{"expiration": "2026-11-27T12:15:00Z", "conditions": [["content-length-range", 1.5, 2]]}"#,
                "Invalid content-length-range: [\"content-length-range\",1.5,2]",
            ),
            (
                r#"{"expiration": "2026-11-27T12:15:00Z", "conditions": [["lt", "$key", "a"]]}"#,
                "Invalid Condition: unknown operation 'lt'.",
            ),
            (
                r#"{"expiration": "2026-11-27T12:15:00Z", "conditions": ["a"]}"#,
                "Invalid 'conditions' value: must contain only Lists and Simple-Conditions.",
            ),
        ] {
            let encoded = data_encoding::BASE64.encode(json.as_bytes());
            let refusal = Policy::parse(&encoded).unwrap_err();
            assert_eq!(
                refusal.to_string(),
                format!("Invalid Policy: {reason}"),
                "{json}"
            );
        }
        let refusal = Policy::parse("e!").unwrap_err();
        assert_eq!(
            refusal.to_string(),
            "Invalid Policy: Invalid Base64 encoding."
        );
    }

    #[test]
    fn a_policy_ends_at_its_expiration() {
        let json = br#"{"expiration": "2026-11-27T12:00:00Z", "conditions": []}"#;
        let policy = Policy::parse(&data_encoding::BASE64.encode(json)).unwrap();
        let at =
            |time: &str| policy.check(time.parse().unwrap(), "b", &Fields::default(), Version::V4);
        assert!(at("2026-11-27T11:59:59Z").is_ok());
        assert!(matches!(at(NOW), Err(Refusal::PolicyExpired)));
    }

    #[test]
    fn several_size_ranges_hold_together() {
        let json = br#"{"expiration": "2026-11-27T12:00:00Z", "conditions": [["content-length-range", 1, 9], ["content-length-range", 3, 20]]}"#;
        let policy = Policy::parse(&data_encoding::BASE64.encode(json)).unwrap();
        assert_eq!(policy.size_range(), (3, 9));
    }
}
