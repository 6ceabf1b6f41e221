//! Holding an outcome against what is expected of it: an expectation names the fields that it cares about.

use serde_json::Value;

/// Whether everything that is expected is there: members of objects, all elements of arrays, values as they are.
pub(super) fn is_met(expected: &Value, found: &Value) -> bool {
    match (expected, found) {
        (Value::Object(expected), Value::Object(found)) => {
            expected.iter().all(|(name, expected)| {
                // What is expected to be null may as well be absent.
                is_met(expected, found.get(name).unwrap_or(&Value::Null))
            })
        }
        (Value::Array(expected), Value::Array(found)) => {
            expected.len() == found.len()
                && expected
                    .iter()
                    .zip(found)
                    .all(|(expected, found)| is_met(expected, found))
        }
        _ => expected == found,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_expectation_names_what_it_cares_about() {
        let found = json!({"status": 403, "reason": "not_owner", "list": [{"a": 1, "b": 2}]});
        for (expected, met) in [
            (json!({}), true),
            (json!({"status": 403}), true),
            (json!({"status": 403, "owner": null}), true),
            (json!({"status": "403"}), false),
            (json!({"status": 401}), false),
            (json!({"missing": 1}), false),
            (json!({"list": [{"a": 1}]}), true),
            (json!({"list": [{"a": 2}]}), false),
            (json!({"list": []}), false),
        ] {
            assert_eq!(is_met(&expected, &found), met, "{expected}");
        }
    }
}
