//! The presigned GET: a URL that reads one object until it expires, built as S3 verifies it. `signing-api` and the
//! command line call it. It also makes cacheable URLs: the same for all callers within a window.
//!
//! Source: AWS, "Authenticating Requests: Using Query Parameters (AWS Signature Version 4)".

use std::fmt;

use data_encoding::HEXLOWER;
use jiff::{SignedDuration, Timestamp};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Serialize;
use sha2::{Digest, Sha256};

use super::bucket::{Bucket, Region};
use super::field;
use super::key;
use super::sigv4;
use crate::credentials::Credentials;
use crate::error::SigningError;
use crate::expiry::{MAX_LIFETIME, whole_seconds};

/// Everything except the unreserved characters (RFC 3986 §2.3) is encoded in a query's values, as S3 signs them.
const VALUE: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'~');
/// Slashes of a key stay as they are.
const KEY: &AsciiSet = &VALUE.remove(b'/');

/// A request for one object, with a minimum lifetime.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub struct PresignedGet {
    bucket: Bucket,
    key: String,
    lifetime: SignedDuration,
    window: SignedDuration,
    clamped: bool,
    /// Query parameters besides those of the signature.
    parameters: Vec<(&'static str, String)>,
}

/// A header that S3 overrides in its response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ResponseHeader {
    /// `Cache-Control`
    CacheControl,
    /// `Content-Disposition`: `attachment` makes browsers save a file instead of showing it. Write non-ASCII names as
    /// in RFC 8187 (`filename*=`).
    ContentDisposition,
    /// `Content-Encoding`
    ContentEncoding,
    /// `Content-Language`
    ContentLanguage,
    /// `Content-Type`
    ContentType,
    /// `Expires`, an HTTP date.
    Expires,
}

/// A presigned URL. It is a bearer token for the object: `Debug` does not show it, and logs must not either.
///
/// As JSON it is `{"url":"…","expires_at":"2026-11-23T12:15:00Z"}`.
#[derive(Clone, PartialEq, Eq, Serialize)]
#[must_use]
pub struct PresignedUrl {
    /// The URL, to be fetched unchanged.
    pub url: String,
    /// When it expires at S3, in whole seconds.
    pub expires_at: Timestamp,
}

impl PresignedGet {
    /// A request for an object with this lifetime, in whole seconds, at most seven days.
    ///
    /// # Errors
    ///
    /// Fails with [`SigningError::Key`] if S3 cannot have such a key, or if browsers would request another one, because
    /// it has a segment `.` or `..`.
    pub fn new(bucket: &Bucket, key: &str, lifetime: SignedDuration) -> Result<Self, SigningError> {
        key::check_in_url(key)?;
        Ok(Self {
            bucket: bucket.clone(),
            key: key.to_owned(),
            lifetime,
            window: SignedDuration::ZERO,
            clamped: false,
            parameters: Vec::new(),
        })
    }

    /// Makes one URL for all callers within the same `window`, so that browsers and proxies can reuse their caches.
    ///
    /// Windows begin at whole multiples since 1970. The URL is signed as of the beginning of its window, and its
    /// lifetime includes the window: made in the last second, it still works for the lifetime. It stays the same as
    /// long as the credentials do; those of a session change with it.
    pub fn shared_within(mut self, window: SignedDuration) -> Self {
        self.window = window;
        self
    }

    /// Shortens the lifetime to that of the credentials instead of failing.
    pub fn clamp_to_credentials(mut self) -> Self {
        self.clamped = true;
        self
    }

    /// A response header that S3 sends instead of the stored one.
    ///
    /// # Errors
    ///
    /// Fails with [`SigningError::FieldValue`] or [`SigningError::DuplicateField`].
    pub fn response_header(
        self,
        header: ResponseHeader,
        value: &str,
    ) -> Result<Self, SigningError> {
        field::check_header(header.parameter(), value)?;
        self.with(header.parameter(), value)
    }

    /// Reads this version of the object, in a bucket with versioning.
    ///
    /// # Errors
    ///
    /// Fails with [`SigningError::FieldValue`] or [`SigningError::DuplicateField`].
    pub fn version_id(self, version_id: &str) -> Result<Self, SigningError> {
        field::check_header("versionId", version_id)?;
        self.with("versionId", version_id)
    }

    /// Signs the URL as of `now`, or of the window that contains `now`.
    ///
    /// # Errors
    ///
    /// Fails if the lifetime does not fit the time or the credentials, or if the credentials are malformed.
    pub fn sign(
        &self,
        now: Timestamp,
        credentials: &Credentials,
    ) -> Result<PresignedUrl, SigningError> {
        credentials.check()?;
        let signed_at = window_start(now, self.window);
        let (seconds, mut expires_at) = self.resolve(now, signed_at)?;
        if let Some(end) = credentials.expires_at {
            if end <= now {
                return Err(SigningError::CredentialsExpired {
                    expires_at: end,
                    now,
                });
            }
            let promised = whole_seconds(now) + SignedDuration::from_secs(self.lifetime.as_secs());
            if end < promised && !self.clamped {
                return Err(SigningError::ExpiryPastCredentials {
                    expires_at: promised,
                    credentials_expire_at: end,
                });
            }
            expires_at = expires_at.min(whole_seconds(end));
        }
        let (origin, host, folder) = self.bucket.address();
        let path = format!("{folder}{}", utf8_percent_encode(&self.key, KEY));
        let query = signed_query(
            (&host, &path),
            &self.parameters,
            (signed_at, seconds),
            self.bucket.region(),
            credentials,
        );
        let url = format!("{origin}{path}?{query}");
        Ok(PresignedUrl { url, expires_at })
    }

    /// The lifetime of the signature in seconds, and its expiry.
    fn resolve(
        &self,
        now: Timestamp,
        signed_at: Timestamp,
    ) -> Result<(i64, Timestamp), SigningError> {
        let lifetime = self.lifetime.as_secs();
        if lifetime < 1 || self.window.is_negative() {
            return Err(SigningError::ExpiryNotInFuture {
                expires_at: signed_at,
                now: whole_seconds(now),
            });
        }
        let latest = signed_at
            .checked_add(MAX_LIFETIME)
            .unwrap_or(Timestamp::MAX);
        let seconds = lifetime.saturating_add(self.window.as_secs());
        let expires_at = signed_at.checked_add(SignedDuration::from_secs(seconds));
        match expires_at {
            Ok(expires_at) if expires_at <= latest => Ok((seconds, expires_at)),
            _ => Err(SigningError::ExpiryTooLate { latest }),
        }
    }

    fn with(mut self, name: &'static str, value: &str) -> Result<Self, SigningError> {
        if self.parameters.iter().any(|(own, _)| *own == name) {
            return Err(SigningError::DuplicateField {
                name: name.to_owned(),
            });
        }
        self.parameters.push((name, value.to_owned()));
        Ok(self)
    }
}

impl ResponseHeader {
    /// The query parameter for it.
    pub const fn parameter(self) -> &'static str {
        match self {
            Self::CacheControl => "response-cache-control",
            Self::ContentDisposition => "response-content-disposition",
            Self::ContentEncoding => "response-content-encoding",
            Self::ContentLanguage => "response-content-language",
            Self::ContentType => "response-content-type",
            Self::Expires => "response-expires",
        }
    }
}

impl fmt::Debug for PresignedUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PresignedUrl")
            .field("expires_at", &self.expires_at)
            .finish_non_exhaustive()
    }
}

/// The beginning of the window that `now` is in: windows begin at whole multiples since 1970. See
/// [`PresignedGet::shared_within`].
pub fn window_start(now: Timestamp, window: SignedDuration) -> Timestamp {
    let window = window.as_secs().max(1);
    let second = now.as_second();
    // Saturates at `Timestamp::MIN`.
    Timestamp::from_second(second - second.rem_euclid(window)).unwrap_or(Timestamp::MIN)
}

/// The signed query for a host and a path, with the signature last.
fn signed_query(
    (host, path): (&str, &str),
    parameters: &[(&'static str, String)],
    (signed_at, seconds): (Timestamp, i64),
    region: &Region,
    credentials: &Credentials,
) -> String {
    let date = sigv4::signing_date(signed_at);
    let mut query: Vec<(&str, String)> = parameters
        .iter()
        .map(|(name, value)| (*name, value.clone()))
        .collect();
    let credential = sigv4::credential(&credentials.access_key_id, date, region);
    query.extend([
        ("X-Amz-Algorithm", sigv4::ALGORITHM.to_owned()),
        ("X-Amz-Credential", credential),
        ("X-Amz-Date", sigv4::amz_date(signed_at)),
        ("X-Amz-Expires", seconds.to_string()),
        ("X-Amz-SignedHeaders", "host".to_owned()),
    ]);
    if let Some(token) = &credentials.session_token {
        query.push(("X-Amz-Security-Token", token.reveal().to_owned()));
    }
    // The names need no encoding, and are unique.
    query.sort_unstable();
    let query: Vec<_> = query
        .iter()
        .map(|(name, value)| format!("{name}={}", utf8_percent_encode(value, VALUE)))
        .collect();
    let query = query.join("&");

    let request = format!("GET\n{path}\n{query}\nhost:{host}\n\nhost\nUNSIGNED-PAYLOAD");
    let key = credentials.secret_access_key.signing_key(date, region);
    let signature = key.sign(
        format!(
            "{}\n{}\n{}\n{}",
            sigv4::ALGORITHM,
            sigv4::amz_date(signed_at),
            sigv4::scope(date, region),
            HEXLOWER.encode(&Sha256::digest(request))
        )
        .as_bytes(),
    );
    format!("{query}&X-Amz-Signature={signature}")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// AWS's example on the page named above.
    #[test]
    fn aws_example() {
        let credentials = Credentials {
            access_key_id: "AKIAIOSFODNN7EXAMPLE".to_owned(),
            secret_access_key: "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY".into(),
            session_token: None,
            expires_at: None,
        };
        let query = signed_query(
            ("examplebucket.s3.amazonaws.com", "/test.txt"),
            &[],
            ("2013-05-24T00:00:00Z".parse().unwrap(), 86_400),
            &Region::new("us-east-1").unwrap(),
            &credentials,
        );
        assert_eq!(
            query,
            "X-Amz-Algorithm=AWS4-HMAC-SHA256\
             &X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20130524%2Fus-east-1%2Fs3%2Faws4_request\
             &X-Amz-Date=20130524T000000Z&X-Amz-Expires=86400&X-Amz-SignedHeaders=host\
             &X-Amz-Signature=aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404"
        );
    }
}
