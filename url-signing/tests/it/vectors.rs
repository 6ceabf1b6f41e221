//! Published signatures. Every change to `sigv4` must keep them.

use data_encoding::{BASE64, HEXLOWER};
use jiff::civil::date;
use url_signing::{Region, sigv4};

const SECRET: &str = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";

fn key() -> sigv4::SigningKey {
    sigv4::signing_key(
        SECRET,
        date(2015, 12, 29),
        &Region::new("us-east-1").unwrap(),
    )
}

/// AWS, "Example: Browser-Based Upload using HTTP POST (Using AWS Signature Version 4)". The page requires CRLF line
/// ends. The signing key is not on the page; it was computed with Python's `hmac`.
#[test]
fn aws_example() {
    let document = r#"{ "expiration": "2015-12-30T12:00:00.000Z",
  "conditions": [
    {"bucket": "sigv4examplebucket"},
    ["starts-with", "$key", "user/user1/"],
    {"acl": "public-read"},
    {"success_action_redirect": "http://sigv4examplebucket.s3.amazonaws.com/successful_upload.html"},
    ["starts-with", "$Content-Type", "image/"],
    {"x-amz-meta-uuid": "14365123651274"},
    {"x-amz-server-side-encryption": "AES256"},
    ["starts-with", "$x-amz-meta-tag", ""],

    {"x-amz-credential": "AKIAIOSFODNN7EXAMPLE/20151229/us-east-1/s3/aws4_request"},
    {"x-amz-algorithm": "AWS4-HMAC-SHA256"},
    {"x-amz-date": "20151229T000000Z" }
  ]
}"#
    .replace('\n', "\r\n");
    assert_eq!(document.len(), 648);

    let signed = sigv4::sign_policy_document(&key(), document.as_bytes());

    assert_eq!(
        HEXLOWER.encode(key().as_bytes()),
        "cbcef1ebeaefc82cce6530b9f0a9ae598846065f5c5bae0674bd5ebc4ba52d28"
    );
    assert_eq!(signed.policy.len(), 864);
    assert!(
        signed
            .policy
            .starts_with("eyAiZXhwaXJhdGlvbiI6ICIyMDE1LTEyLTMwVDEyOjAwOjAwLjAwMFoiLA0KICAiY29u")
    );
    assert_eq!(
        signed.signature,
        "8afdbf4008c03f22c2cd3cdb72e4afbb1f6a588f3255ac628749a66d7f09699e"
    );
}

/// botocore's `generate_presigned_post` with its clock fixed.
#[test]
fn botocore() {
    let document = r#"{"expiration": "2015-12-29T01:00:00Z", "conditions": [{"bucket": "sigv4examplebucket"}, {"key": "user/user1/photo.jpg"}, {"x-amz-algorithm": "AWS4-HMAC-SHA256"}, {"x-amz-credential": "AKIAIOSFODNN7EXAMPLE/20151229/us-east-1/s3/aws4_request"}, {"x-amz-date": "20151229T000000Z"}]}"#;

    let signed = sigv4::sign_policy_document(&key(), document.as_bytes());

    assert_eq!(
        BASE64.decode(signed.policy.as_bytes()).unwrap(),
        document.as_bytes()
    );
    assert_eq!(
        signed.signature,
        "3364624b39010d9b06f5d9b8c9a18a6e478d261c048159c92f2fd6fa885f14e6"
    );
}
