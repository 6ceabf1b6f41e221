//! The policy of a signed URL or of signed cookies: the resource, the time, the addresses; and its signed form. A
//! policy with one exact URL and only an expiry is canned: `CloudFront` reconstructs it, and the URL is shorter.

use std::fmt;
use std::fmt::Write as _;
use std::net::Ipv4Addr;
use std::str::FromStr;

use jiff::{SignedDuration, Timestamp};

use super::cookies::{CookieAttributes, SignedCookies};
use super::key::KeyPair;
use super::{encode, resource};
use crate::error::{SigningError, Violation};
use crate::expiry::whole_seconds;
use crate::s3::presigned_get::{PresignedUrl, window_start};

/// The last moment of `AWS:EpochTime`, in seconds since 1970.
const MAX_EPOCH_TIME: i64 = i32::MAX as i64;
/// The longest URL that `CloudFront` takes (AWS, "Quotas"). A policy is a part of it, or of a cookie.
const MAX_URL_BYTES: usize = 8192;

/// The resource that may be fetched, and how long it stays valid at least.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub struct Policy {
    resource: String,
    is_pattern: bool,
    lifetime: SignedDuration,
    window: SignedDuration,
    not_before: Option<Timestamp>,
    addresses: Option<AddressRange>,
}

/// A range of IPv4 addresses, such as `192.0.2.0/24`. `CloudFront` policies do not support IPv6: viewers that connect
/// over IPv6 are refused, so disable it on a distribution with such policies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AddressRange {
    address: Ipv4Addr,
    bits: u8,
}

/// A signed policy: makes URLs and cookies. These are bearer tokens for everything that it covers, so `Debug` does not
/// show it.
#[derive(Clone, PartialEq, Eq)]
#[must_use]
pub struct SignedPolicy {
    policy: Policy,
    /// Name and value of the query parameter; the cookie's name has the prefix `CloudFront-`.
    statement: (&'static str, String),
    key_pair_id: String,
    signature: String,
    signed_at: Timestamp,
    expires_at: Timestamp,
}

impl Policy {
    /// One URL, as browsers will send it: `https://d111111abcdef8.cloudfront.net/media/k5x/640.webp?v=1`. It may have a
    /// query; it must not have wildcards or a signature.
    ///
    /// # Errors
    ///
    /// Fails with [`SigningError::Url`].
    pub fn for_url(url: &str, lifetime: SignedDuration) -> Result<Self, SigningError> {
        resource::check_url(url)?;
        Ok(Self::new(url.to_owned(), false, lifetime))
    }

    /// Everything below a folder, which must end in a slash: without it `/media/k5x` would also match `/media/k5xy`.
    ///
    /// # Errors
    ///
    /// Fails with [`SigningError::Url`].
    pub fn below(folder: &str, lifetime: SignedDuration) -> Result<Self, SigningError> {
        resource::check_url(folder)?;
        if !folder.ends_with('/') || folder.contains('?') {
            return Err(Violation::NotFolder.into());
        }
        Ok(Self::new(format!("{folder}*"), true, lifetime))
    }

    /// A pattern: `*` matches any characters, including slashes and the query, `?` matches one. Scheme and host must be
    /// literal. Prefer [`Policy::below`].
    ///
    /// # Errors
    ///
    /// Fails with [`SigningError::Url`].
    pub fn matching(pattern: &str, lifetime: SignedDuration) -> Result<Self, SigningError> {
        resource::check_pattern(pattern)?;
        Ok(Self::new(pattern.to_owned(), true, lifetime))
    }

    fn new(resource: String, is_pattern: bool, lifetime: SignedDuration) -> Self {
        Self {
            resource,
            is_pattern,
            lifetime,
            window: SignedDuration::ZERO,
            not_before: None,
            addresses: None,
        }
    }

    /// Makes one signature for all callers within the same `window`, so that browsers can reuse their caches.
    ///
    /// Windows begin at whole multiples since 1970. The policy expires one lifetime after the end of its window, so a
    /// URL made in the last second still works for the lifetime.
    pub fn shared_within(mut self, window: SignedDuration) -> Self {
        self.window = window;
        self
    }

    /// Not valid before this moment, in whole seconds. The lifetime begins there if that is later than the time of
    /// signing.
    pub fn not_before(mut self, moment: Timestamp) -> Self {
        self.not_before = Some(moment);
        self
    }

    /// Valid only for viewers with such an address.
    pub fn only_from(mut self, addresses: AddressRange) -> Self {
        self.addresses = Some(addresses);
        self
    }

    /// Signs it as of `now`, or of the window that contains `now`.
    ///
    /// # Errors
    ///
    /// Fails when the time does not fit, with [`SigningError::TooLong`], or with [`SigningError::PrivateKey`].
    pub fn sign(&self, now: Timestamp, key: &KeyPair) -> Result<SignedPolicy, SigningError> {
        let expires_at = self.expires_at(now)?;
        let document = self.document(expires_at);
        check_length("policy", document.len())?;
        let is_canned = !self.is_pattern && self.not_before.is_none() && self.addresses.is_none();
        let statement = if is_canned {
            ("Expires", expires_at.as_second().to_string())
        } else {
            ("Policy", encode(document.as_bytes()))
        };
        Ok(SignedPolicy {
            statement,
            key_pair_id: key.id().to_owned(),
            signature: encode(&key.sign(document.as_bytes())?),
            policy: self.clone(),
            signed_at: now,
            expires_at,
        })
    }

    fn expires_at(&self, now: Timestamp) -> Result<Timestamp, SigningError> {
        let seconds = self.lifetime.as_secs();
        if seconds < 1 || self.window.is_negative() {
            return Err(SigningError::ExpiryNotInFuture {
                expires_at: whole_seconds(now),
                now: whole_seconds(now),
            });
        }
        let after = |moment: Timestamp, seconds: i64| {
            moment
                .checked_add(SignedDuration::from_secs(seconds))
                .unwrap_or(Timestamp::MAX)
        };
        let of_window = seconds.saturating_add(self.window.as_secs());
        let mut expires_at = after(window_start(now, self.window), of_window);
        if let Some(moment) = self.not_before {
            check_time(whole_seconds(moment))?;
            expires_at = expires_at.max(after(whole_seconds(moment), seconds));
        }
        check_time(expires_at)?;
        Ok(expires_at)
    }

    /// The policy as signed: no white space; for a canned policy exactly the text that `CloudFront` reconstructs.
    fn document(&self, expires_at: Timestamp) -> String {
        // The characters of a resource need no escaping in JSON.
        let mut document = format!(
            r#"{{"Statement":[{{"Resource":"{}","Condition":{{"DateLessThan":{{"AWS:EpochTime":{}}}"#,
            self.resource,
            expires_at.as_second()
        );
        // Writing to a string cannot fail.
        if let Some(moment) = self.not_before {
            let _ = write!(
                document,
                r#","DateGreaterThan":{{"AWS:EpochTime":{}}}"#,
                moment.as_second()
            );
        }
        if let Some(addresses) = self.addresses {
            let _ = write!(document, r#","IpAddress":{{"AWS:SourceIp":"{addresses}"}}"#);
        }
        document.push_str("}}]}");
        document
    }
}

impl SignedPolicy {
    /// The signed form of a URL that the policy covers.
    ///
    /// # Errors
    ///
    /// Fails with [`SigningError::Url`], with [`Violation::NotCovered`] among others.
    pub fn url(&self, url: &str) -> Result<PresignedUrl, SigningError> {
        resource::check_url(url)?;
        let is_covered = if self.policy.is_pattern {
            resource::covers(&self.policy.resource, url)
        } else {
            self.policy.resource == url
        };
        if !is_covered {
            return Err(Violation::NotCovered.into());
        }
        let separator = if url.contains('?') { '&' } else { '?' };
        let (name, value) = &self.statement;
        let url = format!(
            "{url}{separator}{name}={value}&Key-Pair-Id={}&Signature={}&Hash-Algorithm=SHA256",
            self.key_pair_id, self.signature
        );
        check_length("signed URL", url.len())?;
        Ok(PresignedUrl {
            url,
            expires_at: self.expires_at,
        })
    }

    /// The same as cookies, for the folder of the policy.
    ///
    /// # Errors
    ///
    /// Fails with [`SigningError::CookieAttribute`], also where the domain does not cover the policy's host, or with
    /// [`SigningError::TooLong`].
    pub fn cookies(&self, attributes: &CookieAttributes) -> Result<SignedCookies, SigningError> {
        if let Some(domain) = &attributes.domain {
            // A browser would refuse them, or send them where CloudFront does not look for them.
            let host = resource::host(&self.policy.resource)?;
            let above = host.strip_suffix(domain.as_str());
            if !above.is_some_and(|above| above.is_empty() || above.ends_with('.')) {
                return Err(SigningError::CookieAttribute {
                    name: "Domain",
                    violation: Violation::NotHost,
                });
            }
        }
        let (name, value) = &self.statement;
        let name = match *name {
            "Expires" => "CloudFront-Expires",
            _ => "CloudFront-Policy",
        };
        SignedCookies::new(
            vec![
                (name, value.clone()),
                ("CloudFront-Key-Pair-Id", self.key_pair_id.clone()),
                ("CloudFront-Signature", self.signature.clone()),
                ("CloudFront-Hash-Algorithm", "SHA256".to_owned()),
            ],
            attributes,
            &folder(&self.policy.resource),
            (whole_seconds(self.signed_at), self.expires_at),
        )
    }

    /// When `CloudFront` stops accepting it, in whole seconds.
    pub fn expires_at(&self) -> Timestamp {
        self.expires_at
    }
}

/// `CloudFront` reads seconds since 1970, and nothing before or behind them.
fn check_time(moment: Timestamp) -> Result<(), SigningError> {
    if (0..=MAX_EPOCH_TIME).contains(&moment.as_second()) {
        Ok(())
    } else {
        Err(SigningError::CloudFrontTime { moment })
    }
}

fn check_length(what: &'static str, bytes: usize) -> Result<(), SigningError> {
    let max = MAX_URL_BYTES;
    if bytes <= max {
        Ok(())
    } else {
        Err(SigningError::TooLong { what, bytes, max })
    }
}

/// The path up to the last slash before anything that varies.
fn folder(resource: &str) -> String {
    let path = resource::split(resource).map_or("/", |(_, path)| path);
    let fixed = path.split(['*', '?']).next().unwrap_or_default();
    match fixed.rfind('/') {
        Some(at) => fixed[..=at].to_owned(),
        None => "/".to_owned(),
    }
}

impl fmt::Debug for SignedPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SignedPolicy")
            .field("policy", &self.policy)
            .field("key_pair_id", &self.key_pair_id)
            .field("expires_at", &self.expires_at)
            .finish_non_exhaustive()
    }
}

impl FromStr for AddressRange {
    type Err = SigningError;

    /// Parses `192.0.2.0/24`, or one address. Fails with [`SigningError::AddressRange`].
    fn from_str(text: &str) -> Result<Self, SigningError> {
        let refuse = || SigningError::AddressRange {
            text: text.to_owned(),
        };
        let (address, bits) = text.split_once('/').unwrap_or((text, "32"));
        let address: Ipv4Addr = address.parse().map_err(|_| refuse())?;
        let is_number = bits.len() <= 2 && bits.bytes().all(|byte| byte.is_ascii_digit());
        let bits: u8 = bits.parse().map_err(|_| refuse())?;
        // Bits outside the mask are a mistake: 192.0.2.7/24 is not what it looks like.
        let outside = u64::from(u32::MAX) >> bits.min(32);
        if !is_number || bits > 32 || u64::from(u32::from(address)) & outside != 0 {
            return Err(refuse());
        }
        Ok(Self { address, bits })
    }
}

impl fmt::Display for AddressRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.bits)
    }
}
