//! Checks a form's signature: Signature Version 4 over the policy as it was sent, or version 2, which boto3 makes by
//! default for `us-east-1`.
//!
//! This shares no code with the libraries that sign forms, so that each is a check of the other.

use aws_credential_types::Credentials;
use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::hmac::{self, HMAC_SHA1_FOR_LEGACY_USE_ONLY, HMAC_SHA256};
use jiff::{SignedDuration, Timestamp};

use super::form::Fields;
use super::refusal::Refusal;
use crate::REGION;

/// S3 accepts a signing key for seven days.
const MAX_AGE: SignedDuration = SignedDuration::from_hours(7 * 24);

/// The version of a form's signature. Which fields need no condition in the policy depends on it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Version {
    V2,
    V4,
}

/// The fields of a signature of version 4, as S3 names them.
const V4_FIELDS: [&str; 4] = [
    "X-Amz-Signature",
    "X-Amz-Algorithm",
    "X-Amz-Credential",
    "X-Amz-Date",
];
const V2_FIELDS: [&str; 2] = ["Signature", "AWSAccessKeyId"];

impl Version {
    /// Whether a field, in lower case, belongs to the signature itself, so that it cannot have a condition.
    pub(super) fn is_free_field(self, name: &str) -> bool {
        match self {
            Self::V2 => matches!(name, "awsaccesskeyid" | "signature"),
            Self::V4 => name == "x-amz-signature",
        }
    }
}

/// Checks a form's signature against the credentials of this S3. The policy is not looked into.
pub(super) fn verify(
    now: Timestamp,
    fields: &Fields,
    credentials: &Credentials,
) -> Result<Version, Refusal> {
    // Without a policy a form is anonymous, and the buckets are not public.
    let policy = fields.get("policy").ok_or(Refusal::Anonymous)?;
    // These credentials have no session token.
    let has_token = fields.get("x-amz-security-token").is_some();
    let version = if let Some(values) = all_of(V4_FIELDS, fields)? {
        verify_v4(now, policy, values, credentials)?;
        Version::V4
    } else if let Some(values) = all_of(V2_FIELDS, fields)? {
        verify_v2(policy, values, credentials)?;
        Version::V2
    } else {
        return Err(Refusal::Anonymous);
    };
    if has_token {
        return Err(Refusal::UnknownToken);
    }
    Ok(version)
}

/// The values of all these fields; `None` if every one is missing.
fn all_of<'a, const N: usize>(
    names: [&'static str; N],
    fields: &'a Fields,
) -> Result<Option<[&'a str; N]>, Refusal> {
    let values = names.map(|name| fields.get(&name.to_ascii_lowercase()));
    if values.iter().all(Option::is_none) {
        return Ok(None);
    }
    let mut missing = names.iter().zip(values);
    match missing.find(|(_, value)| value.is_none()) {
        Some((name, _)) => Err(Refusal::MissingField(name)),
        None => Ok(Some(values.map(Option::unwrap_or_default))),
    }
}

fn verify_v2(
    policy: &str,
    [signature, access_key]: [&str; 2],
    credentials: &Credentials,
) -> Result<(), Refusal> {
    if access_key != credentials.access_key_id() {
        return Err(Refusal::UnknownAccessKey(access_key.to_owned()));
    }
    let key = hmac::Key::new(
        HMAC_SHA1_FOR_LEGACY_USE_ONLY,
        credentials.secret_access_key().as_bytes(),
    );
    let expected = data_encoding::BASE64.encode(hmac::sign(&key, policy.as_bytes()).as_ref());
    verify_slices_are_equal(expected.as_bytes(), signature.as_bytes())
        .map_err(|_| Refusal::SignatureDoesNotMatch)
}

fn verify_v4(
    now: Timestamp,
    policy: &str,
    [signature, algorithm, credential, date]: [&str; 4],
    credentials: &Credentials,
) -> Result<(), Refusal> {
    if algorithm != "AWS4-HMAC-SHA256" {
        return Err(Refusal::Algorithm);
    }
    let scope = Scope::parse(credential, date).map_err(|reason| Refusal::Credential {
        reason,
        value: credential.to_owned(),
    })?;
    if scope.access_key != credentials.access_key_id() {
        return Err(Refusal::UnknownAccessKey(scope.access_key.to_owned()));
    }
    let expected = signature_of(policy, scope.day, credentials.secret_access_key());
    verify_slices_are_equal(expected.as_bytes(), signature.as_bytes())
        .map_err(|_| Refusal::SignatureDoesNotMatch)?;
    let is_old = signed_at(date).is_none_or(|at| now.duration_since(at) > MAX_AGE);
    if is_old {
        return Err(Refusal::PolicyExpired);
    }
    Ok(())
}

/// The parts of a credential: `ACCESSKEY/yyyymmdd/region/s3/aws4_request`.
struct Scope<'a> {
    access_key: &'a str,
    day: &'a str,
}

impl<'a> Scope<'a> {
    fn parse(credential: &'a str, date: &str) -> Result<Self, String> {
        let mut parts = credential.rsplitn(5, '/');
        let mut next = || parts.next();
        let (Some(end), Some(service), Some(region), Some(day), Some(access_key)) =
            (next(), next(), next(), next(), next())
        else {
            return Err("Error parsing the X-Amz-Credential parameter; the Credential is mal-formed; expecting \"<YOUR-AKID>/YYYYMMDD/REGION/SERVICE/aws4_request\".".to_owned());
        };
        let fault = |reason: String| {
            Err(format!(
                "Error parsing the X-Amz-Credential parameter; {reason}"
            ))
        };
        if end != "aws4_request" {
            return fault(format!(
                "incorrect terminal \"{end}\". This endpoint uses \"aws4_request\"."
            ));
        }
        if service != "s3" {
            return fault(format!(
                "incorrect service \"{service}\". This endpoint belongs to \"s3\"."
            ));
        }
        if region != REGION {
            return fault(format!(
                "the region '{region}' is wrong; expecting '{REGION}'"
            ));
        }
        if date.get(..8) != Some(day) {
            return fault(format!(
                "the date '{day}' is not that of X-Amz-Date, '{date}'."
            ));
        }
        Ok(Self { access_key, day })
    }
}

/// The time of an `x-amz-date`, such as `20251201T000000Z`.
fn signed_at(date: &str) -> Option<Timestamp> {
    let time = jiff::civil::DateTime::strptime("%Y%m%dT%H%M%SZ", date).ok()?;
    jiff::tz::Offset::UTC.to_timestamp(time).ok()
}

/// The hexadecimal signature of a policy in base64.
fn signature_of(policy: &str, day: &str, secret: &str) -> String {
    let mac = |key: &[u8], data: &str| {
        let key = hmac::Key::new(HMAC_SHA256, key);
        hmac::sign(&key, data.as_bytes())
    };
    let mut key = mac(format!("AWS4{secret}").as_bytes(), day);
    for part in [REGION, "s3", "aws4_request"] {
        key = mac(key.as_ref(), part);
    }
    data_encoding::HEXLOWER.encode(mac(key.as_ref(), policy).as_ref())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The signature is botocore 1.43's for these inputs, with AWS's example credentials.
    #[test]
    fn a_signature_is_botocores() {
        let policy = data_encoding::BASE64.encode(
            br#"{"expiration": "2015-12-29T01:00:00Z", "conditions": [{"bucket": "sigv4examplebucket"}, {"key": "user/user1/photo.jpg"}, {"x-amz-algorithm": "AWS4-HMAC-SHA256"}, {"x-amz-credential": "AKIAIOSFODNN7EXAMPLE/20151229/us-east-1/s3/aws4_request"}, {"x-amz-date": "20151229T000000Z"}]}"#,
        );
        let credentials = Credentials::new(
            "AKIAIOSFODNN7EXAMPLE",
            "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
            None,
            None,
            "AWS's example",
        );
        let fields = |changed: &str, value: Option<&str>| -> Fields {
            [
                ("policy", policy.as_str()),
                ("x-amz-algorithm", "AWS4-HMAC-SHA256"),
                (
                    "x-amz-credential",
                    "AKIAIOSFODNN7EXAMPLE/20151229/us-east-1/s3/aws4_request",
                ),
                ("x-amz-date", "20151229T000000Z"),
                (
                    "x-amz-signature",
                    "3364624b39010d9b06f5d9b8c9a18a6e478d261c048159c92f2fd6fa885f14e6",
                ),
                ("x-amz-security-token", ""),
            ]
            .into_iter()
            .filter_map(|(name, original)| match (name == changed, value) {
                (true, value) => Some((name, value?)),
                (false, _) if name == "x-amz-security-token" => None,
                (false, _) => Some((name, original)),
            })
            .collect()
        };
        let now: Timestamp = "2015-12-29T00:30:00Z".parse().unwrap();
        let verified = verify(now, &fields("", None), &credentials);
        assert_eq!(verified.unwrap(), Version::V4);
        let later = now + SignedDuration::from_hours(7 * 24);
        for (now, changed, value, code) in [
            (now, "policy", None, "AccessDenied"),
            (now, "policy", Some("e30="), "SignatureDoesNotMatch"),
            (now, "x-amz-signature", None, "InvalidArgument"),
            (now, "x-amz-signature", Some(""), "SignatureDoesNotMatch"),
            (now, "x-amz-algorithm", None, "InvalidArgument"),
            (
                now,
                "x-amz-algorithm",
                Some("AWS4-HMAC-SHA1"),
                "InvalidArgument",
            ),
            (now, "x-amz-date", None, "InvalidArgument"),
            (
                now,
                "x-amz-date",
                Some("20151230T000000Z"),
                "InvalidArgument",
            ),
            (
                now,
                "x-amz-credential",
                Some("A/20151229/us-east-1/s3/aws4_request"),
                "InvalidAccessKeyId",
            ),
            (
                now,
                "x-amz-credential",
                Some("A/20151229/eu-west-1/s3/aws4_request"),
                "InvalidArgument",
            ),
            (
                now,
                "x-amz-credential",
                Some("A/20151229/us-east-1/sqs/aws4_request"),
                "InvalidArgument",
            ),
            (now, "x-amz-credential", Some("A"), "InvalidArgument"),
            (now, "x-amz-security-token", Some("t"), "InvalidToken"),
            (later, "", None, "AccessDenied"),
        ] {
            let refusal = verify(now, &fields(changed, value), &credentials).unwrap_err();
            assert_eq!(refusal.status_and_code().1, code, "{changed}: {value:?}");
        }
    }
    #[test]
    fn version_2_is_taken_as_well() {
        let credentials = Credentials::new("AKIA", "secret", None, None, "test");
        let verified = |access_key: &str, signature: &str| {
            let fields = [
                ("policy", "e30="),
                ("awsaccesskeyid", access_key),
                ("signature", signature),
            ];
            verify(
                Timestamp::UNIX_EPOCH,
                &fields.into_iter().collect(),
                &credentials,
            )
            .map_err(|refusal| refusal.status_and_code().1.to_owned())
        };
        // `printf e30= | openssl dgst -sha1 -hmac secret -binary | base64`
        let signature = "3KeROaoASbxgUSU+Qu1QG4MqvzI=";
        assert_eq!(verified("AKIA", signature), Ok(Version::V2));
        assert_eq!(
            verified("AKIA", "AAAA"),
            Err("SignatureDoesNotMatch".to_owned())
        );
        assert_eq!(
            verified("AKIB", signature),
            Err("InvalidAccessKeyId".to_owned())
        );
    }
}
