//! Fields that the sender fills in, tags, and values that S3 would refuse.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use url_signing::{
    Bucket, Checksum, Credentials, Expiry, FormField, OpenField, PostPolicy, PrefixField,
    SignedForm, SigningError, Violation,
};

const FIVE_MINUTES: Expiry = Expiry::within(SignedDuration::from_mins(5));

fn bucket() -> Bucket {
    Bucket::new("example-uploads", "eu-central-1").unwrap()
}

fn policy() -> PostPolicy {
    PostPolicy::new(&bucket(), "k", 1..=1000, FIVE_MINUTES).unwrap()
}

fn sign(policy: &PostPolicy) -> SignedForm {
    let credentials = Credentials {
        access_key_id: "AKIAIOSFODNN7EXAMPLE".to_owned(),
        secret_access_key: "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY".into(),
        session_token: None,
        expires_at: None,
    };
    let now: Timestamp = "2026-11-25T12:00:00Z".parse().unwrap();
    policy.sign(now, &credentials).unwrap()
}

fn conditions(form: &SignedForm) -> Value {
    let policy = data_encoding::BASE64
        .decode(form.field("policy").unwrap().as_bytes())
        .unwrap();
    let document: Value = serde_json::from_slice(&policy).unwrap();
    document["conditions"].clone()
}

fn refused(name: &str, violation: Violation) -> SigningError {
    SigningError::FieldValue {
        name: name.to_owned(),
        violation,
    }
}

#[test]
fn open_fields_are_filled_in_by_the_sender() {
    let policy = PostPolicy::below(&bucket(), "drop/box/", 0..=10, FIVE_MINUTES)
        .and_then(|policy| policy.starts_with(PrefixField::ContentType, "image/"))
        .and_then(|policy| policy.starts_with(PrefixField::Metadata("Note"), ""))
        .unwrap();
    let form = sign(&policy);
    assert_eq!(
        conditions(&form).as_array().unwrap()[4..],
        [
            json!(["starts-with", "$key", "drop/box/"]),
            json!(["starts-with", "$Content-Type", "image/"]),
            json!(["starts-with", "$x-amz-meta-note", ""]),
            json!(["content-length-range", 0, 10]),
        ]
    );
    assert_eq!(form.fields[0].0, "x-amz-algorithm");
    assert_eq!(
        serde_json::to_value(&form).unwrap()["open"],
        json!({"key": "drop/box/", "Content-Type": "image/", "x-amz-meta-note": ""})
    );

    let filled = form
        .clone()
        .fill("x-amz-meta-note", "a b")
        .and_then(|form| form.fill("key", "drop/box/a.png"))
        .and_then(|form| form.fill("content-type", "image/png"))
        .unwrap();
    assert_eq!(filled.open, Vec::<OpenField>::new());
    assert_eq!(filled.fields[0], ("key".into(), "drop/box/a.png".into()));
    assert_eq!(filled.field("Content-Type"), Some("image/png"));
    assert_eq!(filled.field("policy"), form.field("policy"));

    let outside = Violation::OutsidePrefix;
    for (name, value, error) in [
        ("key", "drop/boxes/a", refused("key", outside)),
        ("key", "drop/box/", refused("key", outside)),
        (
            "key",
            "drop/box/${filename}",
            SigningError::Key {
                key: "drop/box/${filename}".to_owned(),
                violation: Violation::Dollar,
            },
        ),
        (
            "Content-Type",
            "text/html",
            refused("Content-Type", outside),
        ),
        (
            "Content-Type",
            "image/png,text/html",
            SigningError::ContentType {
                value: "image/png,text/html".to_owned(),
            },
        ),
        (
            "x-amz-meta-note",
            "",
            refused("x-amz-meta-note", Violation::Empty),
        ),
        (
            "acl",
            "public-read",
            SigningError::FieldNotOpen {
                name: "acl".to_owned(),
            },
        ),
        (
            "x-amz-date",
            "20261125T120000Z",
            SigningError::FieldNotOpen {
                name: "x-amz-date".to_owned(),
            },
        ),
    ] {
        assert_eq!(form.clone().fill(name, value), Err(error), "{name} {value}");
    }
    let twice = form
        .fill("x-amz-meta-note", "a")
        .and_then(|form| form.fill("x-amz-meta-note", "b"));
    assert!(matches!(twice, Err(SigningError::FieldNotOpen { .. })));
}

#[test]
fn open_fields_that_would_open_too_much_are_refused() {
    for folder in ["merchants/1234", "/", "", "a$/"] {
        let refused = PostPolicy::below(&bucket(), folder, 0..=1, FIVE_MINUTES);
        assert!(matches!(refused, Err(SigningError::Key { .. })), "{folder}");
    }
    for (field, prefix, error) in [
        (
            PrefixField::SuccessActionRedirect,
            "https://example.com",
            refused("success_action_redirect", Violation::NotUrl),
        ),
        (
            PrefixField::SuccessActionRedirect,
            "",
            refused("success_action_redirect", Violation::NotUrl),
        ),
        (
            PrefixField::SuccessActionRedirect,
            "https://example.com@evil.example/",
            refused("success_action_redirect", Violation::NotUrl),
        ),
        (
            PrefixField::CacheControl,
            "é",
            refused("Cache-Control", Violation::NotAscii),
        ),
        (
            PrefixField::ContentDisposition,
            "a\nb",
            refused("Content-Disposition", Violation::ControlCharacter),
        ),
        (
            PrefixField::Metadata("a b"),
            "",
            SigningError::MetadataName {
                name: "a b".to_owned(),
                violation: Violation::Characters(
                    "letters, digits, hyphens, underscores and periods",
                ),
            },
        ),
    ] {
        assert_eq!(policy().starts_with(field, prefix), Err(error), "{field:?}");
    }
    let twice = policy()
        .content_type("image/png")
        .and_then(|policy| policy.starts_with(PrefixField::ContentType, "image/"));
    assert!(matches!(twice, Err(SigningError::DuplicateField { .. })));
    let twice = policy()
        .starts_with(PrefixField::Metadata("A"), "")
        .and_then(|policy| policy.metadata("a", "v"));
    assert!(matches!(twice, Err(SigningError::DuplicateField { .. })));
}

#[test]
fn checksums() {
    for (checksum, expected) in [
        (
            Checksum::Crc32(0xcbf4_3926),
            &[
                ("x-amz-checksum-algorithm", "CRC32"),
                ("x-amz-checksum-crc32", "y/Q5Jg=="),
            ][..],
        ),
        (
            Checksum::Crc32c(0xe306_9283),
            &[
                ("x-amz-checksum-algorithm", "CRC32C"),
                ("x-amz-checksum-crc32c", "4waSgw=="),
            ],
        ),
        (
            Checksum::Sha1([0; 20]),
            &[
                ("x-amz-checksum-algorithm", "SHA1"),
                ("x-amz-checksum-sha1", "AAAAAAAAAAAAAAAAAAAAAAAAAAA="),
            ],
        ),
        (
            Checksum::Md5([0; 16]),
            &[("Content-MD5", "AAAAAAAAAAAAAAAAAAAAAA==")],
        ),
    ] {
        let form = sign(&policy().checksum(checksum).unwrap());
        for (name, value) in expected {
            assert_eq!(form.field(name), Some(*value), "{checksum:?}");
        }
        assert_eq!(
            conditions(&form).as_array().unwrap().len(),
            6 + expected.len()
        );
    }
    let two = policy()
        .sha256([0; 32])
        .and_then(|policy| policy.checksum(Checksum::Crc32(0)));
    assert!(matches!(two, Err(SigningError::DuplicateField { .. })));
}

#[test]
fn tags() {
    let form = sign(
        &policy()
            .tags(&[("status", "pending"), ("a b", "")])
            .unwrap(),
    );
    assert_eq!(
        form.field("tagging"),
        Some(
            "<Tagging><TagSet><Tag><Key>status</Key><Value>pending</Value></Tag>\
             <Tag><Key>a b</Key><Value></Value></Tag></TagSet></Tagging>"
        )
    );
    let long = "k".repeat(129);
    let eleven: Vec<_> = "abcdefghijk".char_indices().collect();
    let names: Vec<_> = eleven.iter().map(|(_, name)| name.to_string()).collect();
    let eleven: Vec<_> = names.iter().map(|name| (name.as_str(), "")).collect();
    for tags in [
        &[][..],
        &eleven,
        &[("", "v")],
        &[(long.as_str(), "v")],
        &[("a<b", "v")],
        &[("a", "</Value>")],
        &[("aws:a", "v")],
    ] {
        let refused = policy().tags(tags);
        assert!(
            matches!(refused, Err(SigningError::Tags { .. })),
            "{tags:?}"
        );
    }
    let twice = policy().tags(&[("a", "1"), ("a", "2")]);
    assert!(matches!(twice, Err(SigningError::DuplicateField { .. })));
}

#[test]
fn values_that_s3_would_refuse_are_refused() {
    for (field, good, bad) in [
        (FormField::Acl, "bucket-owner-full-control", "Public Read"),
        (FormField::ServerSideEncryption, "aws:kms", "AES128"),
        (
            FormField::ServerSideEncryptionBucketKeyEnabled,
            "true",
            "yes",
        ),
        (FormField::ServerSideEncryptionContext, "e30=", "{}"),
        (FormField::StorageClass, "STANDARD_IA", "standard"),
        (
            FormField::SuccessActionRedirect,
            "https://example.com/done?x=1",
            "/done",
        ),
    ] {
        let form = sign(&policy().field(field, good).unwrap());
        assert_eq!(form.field(field.name()), Some(good));
        let refused = policy().field(field, bad);
        assert!(
            matches!(refused, Err(SigningError::FieldValue { .. })),
            "{field:?}"
        );
    }
}
