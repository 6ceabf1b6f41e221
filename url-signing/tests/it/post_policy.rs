//! Tests the public interface from end to end: a form and its policy, and every refusal.

use std::ops::RangeInclusive;

use data_encoding::BASE64;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use url_signing::{
    Bucket, Credentials, Expiry, FormField, MAX_FORM_BYTES, MAX_METADATA_BYTES, MAX_POST_BYTES,
    PostPolicy, Region, SignedForm, SigningError, SuccessStatus, Violation, sigv4,
};

const FIVE_MINUTES: Expiry = Expiry::within(SignedDuration::from_mins(5));

fn now() -> Timestamp {
    "2026-11-23T12:00:00.25Z".parse().unwrap()
}

fn credentials() -> Credentials {
    Credentials {
        access_key_id: "AKIAIOSFODNN7EXAMPLE".to_owned(),
        secret_access_key: "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY".into(),
        session_token: None,
        expires_at: None,
    }
}

fn bucket() -> Bucket {
    Bucket::new("example-uploads", "eu-central-1").unwrap()
}

fn policy() -> PostPolicy {
    PostPolicy::new(&bucket(), "uploads/k5x/5fq", 1..=1000, FIVE_MINUTES).unwrap()
}

fn document(form: &SignedForm) -> Value {
    let policy = form.field("policy").unwrap();
    serde_json::from_slice(&BASE64.decode(policy.as_bytes()).unwrap()).unwrap()
}

#[test]
fn full_form() {
    let session = Credentials {
        session_token: Some("token/with+base64==".into()),
        expires_at: Some("2026-11-23T13:00:00Z".parse().unwrap()),
        ..credentials()
    };
    let form = policy()
        .content_type("image/jpeg")
        .and_then(|policy| policy.metadata("Owner", "k5x"))
        .and_then(|policy| policy.sha256([0xff; 32]))
        .and_then(|policy| policy.success_action_status(SuccessStatus::Created))
        .and_then(|policy| policy.field(FormField::CacheControl, "private, max-age=60"))
        .and_then(|policy| policy.sign(now(), &session))
        .unwrap();

    let scope = "AKIAIOSFODNN7EXAMPLE/20261123/eu-central-1/s3/aws4_request";
    let digest = "//////////////////////////////////////////8=";
    assert_eq!(
        form.url,
        "https://example-uploads.s3.eu-central-1.amazonaws.com/"
    );
    assert_eq!(form.expires_at.to_string(), "2026-11-23T12:05:00Z");
    assert_eq!(
        document(&form),
        json!({
            "expiration": "2026-11-23T12:05:00Z",
            "conditions": [
                {"bucket": "example-uploads"},
                {"key": "uploads/k5x/5fq"},
                {"Content-Type": "image/jpeg"},
                {"x-amz-meta-owner": "k5x"},
                {"x-amz-checksum-algorithm": "SHA256"},
                {"x-amz-checksum-sha256": digest},
                {"success_action_status": "201"},
                {"Cache-Control": "private, max-age=60"},
                {"x-amz-algorithm": "AWS4-HMAC-SHA256"},
                {"x-amz-credential": scope},
                {"x-amz-date": "20261123T120000Z"},
                {"x-amz-security-token": "token/with+base64=="},
                ["content-length-range", 1, 1000],
            ]
        })
    );

    // The fields match the conditions in order, followed by the signature's fields.
    let key = sigv4::signing_key(
        "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
        sigv4::signing_date(now()),
        &Region::new("eu-central-1").unwrap(),
    );
    let policy = form.field("policy").unwrap();
    let signature = key.sign(policy.as_bytes());
    let expected = [
        ("key", "uploads/k5x/5fq"),
        ("Content-Type", "image/jpeg"),
        ("x-amz-meta-owner", "k5x"),
        ("x-amz-checksum-algorithm", "SHA256"),
        ("x-amz-checksum-sha256", digest),
        ("success_action_status", "201"),
        ("Cache-Control", "private, max-age=60"),
        ("x-amz-algorithm", "AWS4-HMAC-SHA256"),
        ("x-amz-credential", scope),
        ("x-amz-date", "20261123T120000Z"),
        ("x-amz-security-token", "token/with+base64=="),
        ("policy", policy),
        ("x-amz-signature", &signature),
    ];
    let fields: Vec<(&str, &str)> = form
        .fields
        .iter()
        .map(|(name, value)| (name.as_ref(), value.as_str()))
        .collect();
    assert_eq!(fields, expected);
}

#[test]
fn smallest_form() {
    let form = policy().sign(now(), &credentials()).unwrap();
    assert_eq!(
        document(&form)["conditions"],
        json!([
            {"bucket": "example-uploads"},
            {"key": "uploads/k5x/5fq"},
            {"x-amz-algorithm": "AWS4-HMAC-SHA256"},
            {"x-amz-credential": "AKIAIOSFODNN7EXAMPLE/20261123/eu-central-1/s3/aws4_request"},
            {"x-amz-date": "20261123T120000Z"},
            ["content-length-range", 1, 1000],
        ])
    );
}

#[test]
fn keys_in_unicode_are_escaped_in_the_policy_only() {
    let key = "uploads/\"é\\😀";
    let form = PostPolicy::new(&bucket(), key, 0..=0, FIVE_MINUTES)
        .and_then(|policy| policy.sign(now(), &credentials()))
        .unwrap();
    let policy = BASE64
        .decode(form.field("policy").unwrap().as_bytes())
        .unwrap();
    let policy = String::from_utf8(policy).unwrap();
    assert!(
        policy.contains(r#"{"key":"uploads/\"\u00e9\\\ud83d\ude00"}"#),
        "{policy}"
    );
    assert_eq!(document(&form)["conditions"][1]["key"], key);
    assert_eq!(form.field("key"), Some(key));
}

#[test]
fn a_clamped_form_reports_its_real_expiry() {
    let session = Credentials {
        expires_at: Some("2026-11-23T12:01:00.9Z".parse().unwrap()),
        ..credentials()
    };
    let form = PostPolicy::new(&bucket(), "k", 1..=1, FIVE_MINUTES.clamp_to_credentials())
        .and_then(|policy| policy.sign(now(), &session))
        .unwrap();
    assert_eq!(form.expires_at.to_string(), "2026-11-23T12:01:00Z");
    assert_eq!(document(&form)["expiration"], "2026-11-23T12:01:00Z");
}

#[test]
fn largest_accepted() {
    let key = "é".repeat(512);
    let policy = PostPolicy::new(&bucket(), &key, 0..=MAX_POST_BYTES, FIVE_MINUTES).unwrap();
    let policy = policy
        .metadata("a", &"v".repeat(MAX_METADATA_BYTES - 1))
        .unwrap();
    assert!(policy.sign(now(), &credentials()).is_ok());
}

#[test]
fn keys_refused() {
    for (key, violation) in [
        ("", Violation::Empty),
        ("uploads/${filename}", Violation::Dollar),
        ("uploads/${anything", Violation::Dollar),
        ("uploads/a$$b", Violation::Dollar),
        ("uploads/a$b", Violation::Dollar),
        ("uploads/a\r\nb", Violation::ControlCharacter),
        ("uploads/a\u{85}b", Violation::ControlCharacter),
        (&"k".repeat(1025), Violation::Length { min: 1, max: 1024 }),
        (&"é".repeat(513), Violation::Length { min: 1, max: 1024 }),
    ] {
        let refused = PostPolicy::new(&bucket(), key, 1..=1, FIVE_MINUTES);
        assert_eq!(
            refused,
            Err(SigningError::Key {
                key: key.to_owned(),
                violation
            })
        );
    }
}

#[test]
fn sizes_refused() {
    let over = MAX_POST_BYTES + 1;
    for (size, expected) in [
        (
            RangeInclusive::new(2, 1),
            SigningError::SizeRangeEmpty { min: 2, max: 1 },
        ),
        (
            0..=over,
            SigningError::SizeTooLarge {
                max: over,
                limit: MAX_POST_BYTES,
            },
        ),
        (
            0..=u64::MAX,
            SigningError::SizeTooLarge {
                max: u64::MAX,
                limit: MAX_POST_BYTES,
            },
        ),
    ] {
        assert_eq!(
            PostPolicy::new(&bucket(), "k", size, FIVE_MINUTES),
            Err(expected)
        );
    }
}

#[test]
fn content_types() {
    for accepted in [
        "image/svg+xml",
        "application/vnd.api+json; charset=utf-8",
        "text/plain;charset=utf-8",
    ] {
        assert!(policy().content_type(accepted).is_ok(), "{accepted}");
    }
    for refused in [
        "",
        "image",
        "image/",
        "/jpeg",
        "image/*",
        "image/jpeg,image/png",
        "image/jpeg ",
        "imäge/jpeg",
        "a/b/c",
    ] {
        let expected = SigningError::ContentType {
            value: refused.to_owned(),
        };
        assert_eq!(policy().content_type(refused), Err(expected));
    }
    for (refused, violation) in [
        ("text/plain; charset=ü", Violation::NotAscii),
        ("text/plain; x=\r\n", Violation::ControlCharacter),
        ("text/plain; ", Violation::Edges("a visible character")),
    ] {
        let expected = SigningError::FieldValue {
            name: "Content-Type".to_owned(),
            violation,
        };
        assert_eq!(policy().content_type(refused), Err(expected));
    }
}

#[test]
fn metadata_names_refused() {
    let characters = Violation::Characters("letters, digits, hyphens, underscores and periods");
    for (name, violation) in [
        ("", Violation::Empty),
        ("a b", characters),
        ("a:b", characters),
        ("a\"b", characters),
        ("a$b", characters),
        ("ä", characters),
        ("x-amz-meta-owner", Violation::Prefixed("x-amz-meta-")),
        ("X-Amz-Meta-owner", Violation::Prefixed("x-amz-meta-")),
    ] {
        let expected = SigningError::MetadataName {
            name: name.to_owned(),
            violation,
        };
        assert_eq!(policy().metadata(name, "v"), Err(expected));
    }
}

#[test]
fn values_refused() {
    for (value, violation) in [
        ("", Violation::Empty),
        ("a\nb", Violation::ControlCharacter),
        ("a\u{7f}", Violation::ControlCharacter),
        ("${filename}", Violation::Dollar),
        ("a$b", Violation::Dollar),
        ("é", Violation::NotAscii),
        (" a", Violation::Edges("a visible character")),
        ("a ", Violation::Edges("a visible character")),
    ] {
        let refused = |name: &str| {
            Err(SigningError::FieldValue {
                name: name.to_owned(),
                violation,
            })
        };
        assert_eq!(policy().metadata("a", value), refused("x-amz-meta-a"));
        assert_eq!(
            policy().field(FormField::ContentDisposition, value),
            refused("Content-Disposition")
        );
    }
}

#[test]
fn metadata_size_refused() {
    let refused = policy()
        .metadata("a", &"v".repeat(MAX_METADATA_BYTES - 2))
        .and_then(|policy| policy.metadata("b", "v"));
    assert_eq!(
        refused,
        Err(SigningError::MetadataTooLarge {
            bytes: MAX_METADATA_BYTES + 1,
            max: MAX_METADATA_BYTES
        })
    );
}

#[test]
fn duplicates_refused() {
    type Step = fn(PostPolicy) -> Result<PostPolicy, SigningError>;
    let steps: [(&str, Step); 5] = [
        ("Content-Type", |policy| policy.content_type("image/png")),
        ("x-amz-meta-owner", |policy| policy.metadata("OWNER", "v")),
        ("x-amz-checksum-algorithm", |policy| policy.sha256([0; 32])),
        ("success_action_status", |policy| {
            policy.success_action_status(SuccessStatus::Ok)
        }),
        ("tagging", |policy| policy.tags(&[("status", "pending")])),
    ];
    for (name, step) in steps {
        let expected = SigningError::DuplicateField {
            name: name.to_owned(),
        };
        assert_eq!(step(policy()).and_then(step), Err(expected));
    }
}

#[test]
fn credentials_refused() {
    let text = |text: &str| text.to_owned();
    let visible = Violation::Characters("visible US-ASCII characters");
    let id = Violation::Characters("letters, digits, hyphens, underscores and periods");
    for (credentials, part, violation) in [
        (
            Credentials {
                access_key_id: text(""),
                ..credentials()
            },
            "access key id",
            Violation::Empty,
        ),
        (
            Credentials {
                access_key_id: text("AKID/20261123"),
                ..credentials()
            },
            "access key id",
            id,
        ),
        (
            Credentials {
                access_key_id: text("AKID\n"),
                ..credentials()
            },
            "access key id",
            visible,
        ),
        (
            Credentials {
                secret_access_key: "".into(),
                ..credentials()
            },
            "secret access key",
            Violation::Empty,
        ),
        (
            Credentials {
                secret_access_key: "secret\n".into(),
                ..credentials()
            },
            "secret access key",
            visible,
        ),
        (
            Credentials {
                session_token: Some("".into()),
                ..credentials()
            },
            "session token",
            Violation::Empty,
        ),
        (
            Credentials {
                session_token: Some("a b".into()),
                ..credentials()
            },
            "session token",
            visible,
        ),
    ] {
        let expected = SigningError::CredentialsMalformed { part, violation };
        assert_eq!(policy().sign(now(), &credentials), Err(expected));
    }
}

#[test]
fn expiries_refused() {
    let latest = "2026-11-30T12:00:00Z".parse().unwrap();
    let eight_days = Expiry::within(SignedDuration::from_hours(8 * 24));
    let refused = PostPolicy::new(&bucket(), "k", 1..=1, eight_days)
        .and_then(|policy| policy.sign(now(), &credentials()));
    assert_eq!(refused, Err(SigningError::ExpiryTooLate { latest }));

    let end = "2026-11-23T12:04:00Z".parse().unwrap();
    let session = Credentials {
        expires_at: Some(end),
        ..credentials()
    };
    assert_eq!(
        policy().sign(now(), &session),
        Err(SigningError::ExpiryPastCredentials {
            expires_at: "2026-11-23T12:05:00Z".parse().unwrap(),
            credentials_expire_at: end,
        })
    );
}

#[test]
fn forms_too_large_refused() {
    let session = Credentials {
        session_token: Some("t".repeat(9000).into()),
        ..credentials()
    };
    match policy().sign(now(), &session) {
        Err(SigningError::FormTooLarge {
            bytes,
            max: MAX_FORM_BYTES,
        }) => assert!(MAX_FORM_BYTES < bytes),
        other => panic!("{other:?}"),
    }
    let session = Credentials {
        session_token: Some("t".repeat(7000).into()),
        ..credentials()
    };
    assert!(policy().sign(now(), &session).is_ok());
}

#[test]
fn refusals_have_two_messages() {
    let refusal = policy().metadata("a", "é").unwrap_err();
    assert_eq!(refusal.code(), "field_value");
    assert_eq!(refusal.status(), 400);
    assert_eq!(
        refusal.public_message(),
        "A field of the upload has a value that cannot be used."
    );
    assert_eq!(
        refusal.to_string(),
        "the value of field \"x-amz-meta-a\" contains a character outside US-ASCII; percent-encode it"
    );
}
