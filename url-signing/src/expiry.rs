//! The expiry of signed forms and URLs. Every signer resolves an [`Expiry`] against the time and the credentials. This
//! module owns AWS's two limits on it and never reads a clock.

use jiff::{SignedDuration, Timestamp};

use crate::credentials::Credentials;
use crate::error::SigningError;

/// S3 accepts a Signature Version 4 signing key for seven days (AWS, "Amazon S3 Signature Version 4 authentication
/// specific policy keys", `s3:signatureAge`).
pub const MAX_LIFETIME: SignedDuration = SignedDuration::from_hours(7 * 24);

/// When a signature expires: after a lifetime, or at a moment.
///
/// S3 reads whole seconds; fractions are truncated, so that nothing lasts longer than requested. An expiry past that of
/// the credentials is an error, unless [`clamp_to_credentials`](Self::clamp_to_credentials) allows shortening it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Expiry {
    end: End,
    clamped: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Within(SignedDuration),
    At(Timestamp),
}

impl Expiry {
    /// This long after the time of signing.
    pub const fn within(lifetime: SignedDuration) -> Self {
        Self {
            end: End::Within(lifetime),
            clamped: false,
        }
    }

    /// At this moment.
    pub const fn at(moment: Timestamp) -> Self {
        Self {
            end: End::At(moment),
            clamped: false,
        }
    }

    /// Shortens the expiry to that of the credentials instead of failing. The result's `expires_at` is then the
    /// shortened one.
    #[must_use]
    pub const fn clamp_to_credentials(self) -> Self {
        Self {
            clamped: true,
            ..self
        }
    }

    /// The moment in whole seconds: after `now`, within seven days, not past the credentials.
    pub(crate) fn resolve(
        self,
        now: Timestamp,
        credentials: &Credentials,
    ) -> Result<Timestamp, SigningError> {
        let signed_at = whole_seconds(now);
        // Saturates at `Timestamp::MAX`.
        let latest = signed_at
            .checked_add(MAX_LIFETIME)
            .unwrap_or(Timestamp::MAX);
        let wanted = match self.end {
            End::Within(lifetime) => now.checked_add(lifetime).ok(),
            End::At(moment) => Some(moment),
        };
        // Out of range for a timestamp: far beyond the upper limit, or before the lower one.
        let expires_at = match (wanted, self.end) {
            (Some(wanted), _) => whole_seconds(wanted),
            (None, End::Within(lifetime)) if lifetime.is_negative() => Timestamp::MIN,
            (None, _) => Timestamp::MAX,
        };
        if expires_at > latest {
            return Err(SigningError::ExpiryTooLate { latest });
        }
        if expires_at <= signed_at {
            return Err(SigningError::ExpiryNotInFuture {
                expires_at,
                now: signed_at,
            });
        }
        match credentials.expires_at {
            Some(end) if whole_seconds(end) <= signed_at => Err(SigningError::CredentialsExpired {
                expires_at: end,
                now,
            }),
            Some(end) if end < expires_at && self.clamped => Ok(whole_seconds(end)),
            Some(end) if end < expires_at => Err(SigningError::ExpiryPastCredentials {
                expires_at,
                credentials_expire_at: end,
            }),
            _ => Ok(expires_at),
        }
    }
}

/// The moment without its fraction of a second.
pub(crate) fn whole_seconds(moment: Timestamp) -> Timestamp {
    // This cannot fail: the seconds of a timestamp are within the range of timestamps.
    Timestamp::from_second(moment.as_second()).unwrap_or(moment)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn expiring(expires_at: Option<&str>) -> Credentials {
        Credentials {
            access_key_id: "AKID".to_owned(),
            secret_access_key: "secret".into(),
            session_token: None,
            expires_at: expires_at.map(at),
        }
    }

    const FIVE_MINUTES: Expiry = Expiry::within(SignedDuration::from_mins(5));

    #[test]
    fn resolves() {
        let now = at("2026-11-23T12:00:00.9Z");
        for (expiry, credentials, expected) in [
            (FIVE_MINUTES, None, "2026-11-23T12:05:00Z"),
            (
                FIVE_MINUTES,
                Some("2026-11-23T12:05:00Z"),
                "2026-11-23T12:05:00Z",
            ),
            (
                FIVE_MINUTES.clamp_to_credentials(),
                Some("2026-11-23T12:06:00Z"),
                "2026-11-23T12:05:00Z",
            ),
            (
                FIVE_MINUTES.clamp_to_credentials(),
                Some("2026-11-23T12:01:00.5Z"),
                "2026-11-23T12:01:00Z",
            ),
            (
                Expiry::within(SignedDuration::from_secs(1)),
                None,
                "2026-11-23T12:00:01Z",
            ),
            (
                Expiry::at(at("2026-11-23T12:00:01.5Z")),
                None,
                "2026-11-23T12:00:01Z",
            ),
            (Expiry::within(MAX_LIFETIME), None, "2026-11-30T12:00:00Z"),
        ] {
            assert_eq!(
                expiry.resolve(now, &expiring(credentials)),
                Ok(at(expected)),
                "{expiry:?}"
            );
        }
    }

    #[test]
    fn refuses() {
        let now = at("2026-11-23T12:00:00Z");
        let latest = at("2026-11-30T12:00:00Z");
        let past = at("2026-11-23T11:59:59Z");
        for (expiry, credentials, expected) in [
            (
                Expiry::at(now),
                None,
                SigningError::ExpiryNotInFuture {
                    expires_at: now,
                    now,
                },
            ),
            (
                Expiry::at(past),
                None,
                SigningError::ExpiryNotInFuture {
                    expires_at: past,
                    now,
                },
            ),
            (
                Expiry::within(SignedDuration::from_millis(999)),
                None,
                SigningError::ExpiryNotInFuture {
                    expires_at: now,
                    now,
                },
            ),
            (
                Expiry::within(SignedDuration::MIN),
                None,
                SigningError::ExpiryNotInFuture {
                    expires_at: Timestamp::MIN,
                    now,
                },
            ),
            (
                Expiry::within(SignedDuration::MAX),
                None,
                SigningError::ExpiryTooLate { latest },
            ),
            (
                Expiry::at(at("2026-11-30T12:00:01Z")),
                None,
                SigningError::ExpiryTooLate { latest },
            ),
            (
                Expiry::at(at("2026-12-30T12:00:00Z")).clamp_to_credentials(),
                Some("2026-11-23T13:00:00Z"),
                SigningError::ExpiryTooLate { latest },
            ),
            (
                FIVE_MINUTES,
                Some("2026-11-23T12:04:59Z"),
                SigningError::ExpiryPastCredentials {
                    expires_at: at("2026-11-23T12:05:00Z"),
                    credentials_expire_at: at("2026-11-23T12:04:59Z"),
                },
            ),
            (
                FIVE_MINUTES.clamp_to_credentials(),
                Some("2026-11-23T12:00:00.9Z"),
                SigningError::CredentialsExpired {
                    expires_at: at("2026-11-23T12:00:00.9Z"),
                    now,
                },
            ),
            (
                FIVE_MINUTES,
                Some("2026-11-23T11:59:59Z"),
                SigningError::CredentialsExpired {
                    expires_at: past,
                    now,
                },
            ),
        ] {
            assert_eq!(
                expiry.resolve(now, &expiring(credentials)),
                Err(expected),
                "{expiry:?}"
            );
        }
    }
}
