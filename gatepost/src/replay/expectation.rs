//! Compares an outcome with its expectation, which names only the fields that matter.

use serde_json::Value;

/// One place where an outcome differs from its expectation.
#[derive(Debug, PartialEq)]
pub(crate) struct Difference<'a> {
    /// Such as `renditions[0].width`; empty for the whole.
    pub(crate) path: String,
    pub(crate) expected: &'a Value,
    pub(crate) found: &'a Value,
}

/// Every difference from the expectation. Objects are compared by the expected members, arrays by all elements, other
/// values by equality. Without a difference the expectation is met.
pub(crate) fn differences<'a>(expected: &'a Value, found: &'a Value) -> Vec<Difference<'a>> {
    let mut differences = Vec::new();
    compare(String::new(), expected, found, &mut differences);
    differences
}

fn compare<'a>(
    path: String,
    expected: &'a Value,
    found: &'a Value,
    differences: &mut Vec<Difference<'a>>,
) {
    match (expected, found) {
        (Value::Object(expected), Value::Object(found)) => {
            for (name, expected) in expected {
                let separator = if path.is_empty() { "" } else { "." };
                // An expected null may also be absent.
                let found = found.get(name).unwrap_or(&Value::Null);
                compare(
                    format!("{path}{separator}{name}"),
                    expected,
                    found,
                    differences,
                );
            }
        }
        (Value::Array(expected), Value::Array(found)) if expected.len() == found.len() => {
            for (idx, (expected, found)) in expected.iter().zip(found).enumerate() {
                compare(format!("{path}[{idx}]"), expected, found, differences);
            }
        }
        _ if expected == found => {}
        _ => differences.push(Difference {
            path,
            expected,
            found,
        }),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_expected_members_are_compared() {
        let found = json!({"status": 403, "reason": "not_owner", "list": [{"a": 1, "b": 2}]});
        for (expected, different) in [
            (json!({}), vec![]),
            (json!({"status": 403}), vec![]),
            (json!({"status": 403, "owner": null}), vec![]),
            (json!({"status": "403"}), vec!["status"]),
            (
                json!({"status": 401, "reason": "x"}),
                vec!["reason", "status"],
            ),
            (json!({"missing": 1}), vec!["missing"]),
            (json!({"status": {"a": 1}}), vec!["status"]),
            (json!({"list": [{"a": 1}]}), vec![]),
            (json!({"list": [{"a": 2}]}), vec!["list[0].a"]),
            (json!({"list": []}), vec!["list"]),
            (json!([]), vec![""]),
        ] {
            let found = differences(&expected, &found);
            let paths: Vec<_> = found.iter().map(|found| found.path.as_str()).collect();
            assert_eq!(paths, different, "{expected}");
        }
    }
}
