//! AWS Signature Version 4 for S3: scope, signing key, signature. [`crate::PostPolicy`] builds on it; call it directly
//! to sign your own policy document. It does not read or check the document.
//!
//! Source: AWS, "Authenticating Requests: Browser-Based Uploads Using POST (AWS Signature Version 4)".

use std::fmt;

use data_encoding::{BASE64, HEXLOWER};
use hmac::{Hmac, KeyInit, Mac};
use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::Offset;
use sha2::Sha256;
use zeroize::Zeroizing;

use super::bucket::Region;

/// The value of `x-amz-algorithm`.
pub const ALGORITHM: &str = "AWS4-HMAC-SHA256";

const SERVICE: &str = "s3";
const TERMINATOR: &str = "aws4_request";

/// A key that signs for one day, one region and S3. It is zeroized on drop; `Debug` does not show it.
#[derive(Clone)]
pub struct SigningKey(Zeroizing<[u8; 32]>);

/// A signed policy document, as S3 receives it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedDocument {
    /// The document in base64: the form's `policy` field, and the string that was signed.
    pub policy: String,
    /// The signature in lower-case hexadecimal: the form's `x-amz-signature` field.
    pub signature: String,
}

/// Derives the signing key of a UTC day and a region from the secret access key.
pub fn signing_key(secret_access_key: &str, date: Date, region: &Region) -> SigningKey {
    let mut secret = Zeroizing::new(String::with_capacity(4 + secret_access_key.len()));
    secret.push_str("AWS4");
    secret.push_str(secret_access_key);
    let key = hmac_sha256(secret.as_bytes(), short_date(date).as_bytes());
    let key = hmac_sha256(&*key, region.as_str().as_bytes());
    let key = hmac_sha256(&*key, SERVICE.as_bytes());
    SigningKey(hmac_sha256(&*key, TERMINATOR.as_bytes()))
}

/// Signs a POST policy document, byte for byte as given. The string to sign is the document's base64.
pub fn sign_policy_document(key: &SigningKey, document: &[u8]) -> SignedDocument {
    let policy = BASE64.encode(document);
    let signature = key.sign(policy.as_bytes());
    SignedDocument { policy, signature }
}

/// The value of `x-amz-credential`: `AKID/20151229/us-east-1/s3/aws4_request`.
pub fn credential(access_key_id: &str, date: Date, region: &Region) -> String {
    format!("{access_key_id}/{}", scope(date, region))
}

/// The credential scope of a signature: day, region and service, as in `20151229/us-east-1/s3/aws4_request`.
pub fn scope(date: Date, region: &Region) -> String {
    format!("{}/{region}/{SERVICE}/{TERMINATOR}", short_date(date))
}

/// The value of `x-amz-date`: `20151229T000000Z`. Fractions of a second are truncated.
pub fn amz_date(moment: Timestamp) -> String {
    let utc = Offset::UTC.to_datetime(moment);
    let date = short_date(utc.date());
    let mut text = date;
    text.push('T');
    for number in [utc.hour(), utc.minute(), utc.second()] {
        push_two_digits(&mut text, number);
    }
    text.push('Z');
    text
}

/// The UTC day in the scope of a signature of this moment.
pub fn signing_date(moment: Timestamp) -> Date {
    Offset::UTC.to_datetime(moment).date()
}

impl SigningKey {
    /// The signature of a string to sign, in lower-case hexadecimal.
    pub fn sign(&self, string_to_sign: &[u8]) -> String {
        HEXLOWER.encode(&*hmac_sha256(&*self.0, string_to_sign))
    }

    /// The key itself, for callers that store or compare it. Handle it like the secret that it came from.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SigningKey").finish_non_exhaustive()
    }
}

fn short_date(date: Date) -> String {
    // Room for the time as well.
    let mut text = String::with_capacity(16);
    let year = date.year();
    for number in [year / 100, year % 100] {
        push_two_digits(&mut text, i8::try_from(number).unwrap_or(0));
    }
    push_two_digits(&mut text, date.month());
    push_two_digits(&mut text, date.day());
    text
}

/// A number from 0 to 99.
fn push_two_digits(text: &mut String, number: i8) {
    for digit in [number / 10, number % 10] {
        text.push(char::from(b'0' + digit.unsigned_abs()));
    }
}

#[expect(
    clippy::expect_used,
    reason = "HMAC takes a key of any length (RFC 2104 §2)"
)]
fn hmac_sha256(key: &[u8], message: &[u8]) -> Zeroizing<[u8; 32]> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes a key of any length");
    mac.update(message);
    Zeroizing::new(mac.finalize().into_bytes().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_utc_and_padded() {
        let moment: Timestamp = "2015-01-02T00:04:05.999+01:00".parse().unwrap();
        assert_eq!(amz_date(moment), "20150101T230405Z");
        assert_eq!(short_date(signing_date(moment)), "20150101");
    }

    #[test]
    fn debug_does_not_show_the_key() {
        assert_eq!(
            format!("{:?}", SigningKey(Zeroizing::new([7; 32]))),
            "SigningKey { .. }"
        );
    }
}
