//! Parses the `EventBridge` events of `GuardDuty` about scanned objects.
//!
//! The result is also in the object's tag. Only the tag can establish that an object is clean; either one can establish
//! a threat. The types are Gatepost's own and lenient: `aws_lambda_events` has none for these events.

use serde::Deserialize;
use serde_json::Value;

use super::{CreatedObject, Record};

/// The `detail-type` of a scan result.
pub(super) const SCAN_RESULT: &str = "GuardDuty Malware Protection Object Scan Result";

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawScan {
    s3_object_details: RawObject,
    scan_result_details: Option<RawResult>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawObject {
    bucket_name: String,
    object_key: String,
    e_tag: Option<String>,
    version_id: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawResult {
    scan_result_status: Option<String>,
}

/// Parses the detail of a scan result; the error is a sentence about it.
pub(super) fn read_detail(detail: Value) -> Result<Record, String> {
    let scan: RawScan = serde_json::from_value(detail)
        .map_err(|error| format!("its detail does not describe a scan of GuardDuty: {error}"))?;
    let status = scan
        .scan_result_details
        .and_then(|details| details.scan_result_status);
    let object = scan.s3_object_details;
    let created = CreatedObject::new(
        object.bucket_name,
        object.object_key,
        object.version_id,
        object.e_tag,
    )?;
    Ok(Record::Created(CreatedObject {
        is_from_scan: true,
        is_threat: status.as_deref() == Some("THREATS_FOUND"),
        ..created
    }))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_threat_is_recognised_by_its_event() {
        for (details, is_threat) in [
            (json!({"scanResultStatus": "THREATS_FOUND"}), true),
            (json!({"scanResultStatus": "NO_THREATS_FOUND"}), false),
            (json!({"scanResultStatus": null}), false),
            (json!({}), false),
            (Value::Null, false),
        ] {
            let detail = json!({
                "s3ObjectDetails": {"bucketName": "b", "objectKey": "a+b", "eTag": "\"e\"", "versionId": "v"},
                "scanResultDetails": details,
            });
            let expected = Record::Created(CreatedObject {
                bucket: "b".to_owned(),
                key: "a+b".to_owned(),
                version_id: Some("v".to_owned()),
                is_from_scan: true,
                is_threat,
                etag: Some("e".to_owned()),
            });
            assert_eq!(read_detail(detail), Ok(expected), "{details}");
        }
    }

    #[test]
    fn a_scan_result_without_an_object_is_not_understood() {
        for detail in [
            Value::Null,
            json!({}),
            json!({"s3ObjectDetails": {"bucketName": "b"}}),
            json!({"s3ObjectDetails": {"bucketName": "b", "objectKey": ""}}),
            json!({"s3ObjectDetails": {"bucketName": "", "objectKey": "k"}}),
        ] {
            assert!(read_detail(detail.clone()).is_err(), "{detail}");
        }
    }
}
