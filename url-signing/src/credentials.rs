//! AWS credentials, resolved by the caller. Every signer takes them by reference; this module never fetches, refreshes
//! or prints them.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use jiff::Timestamp;
use jiff::civil::Date;
use zeroize::Zeroizing;

use crate::error::{SigningError, Violation};
use crate::s3::bucket::Region;
use crate::s3::sigv4::{self, SigningKey};

/// AWS credentials: a key pair and, for a role's session, a token and an expiry.
///
/// Signers check the parts before they use them. `Debug` shows the access key id and the expiry, nothing else.
#[derive(Clone)]
pub struct Credentials {
    /// For example `AKIAIOSFODNN7EXAMPLE`. Not secret: every signed form contains it.
    pub access_key_id: String,
    /// The secret that signing keys are derived from.
    pub secret_access_key: Secret,
    /// The session token. Without it S3 does not accept a session's access key.
    pub session_token: Option<Secret>,
    /// When the credentials expire, if they do. Everything that they signed expires with them.
    pub expires_at: Option<Timestamp>,
}

/// A secret string: zeroized on drop, redacted in `Debug`, no `PartialEq`.
///
/// Clones share the cached signing key, so keep one for as long as its credentials are valid.
#[derive(Clone)]
pub struct Secret(Arc<Inner>);

struct Inner {
    text: Zeroizing<String>,
    /// The signing key of a day and a region, cached: deriving it takes four HMACs.
    derived: Mutex<Option<(Date, Region, SigningKey)>>,
}

impl Secret {
    pub(crate) fn reveal(&self) -> &str {
        &self.0.text
    }

    pub(crate) fn signing_key(&self, date: Date, region: &Region) -> SigningKey {
        let mut derived = self
            .0
            .derived
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some((of_date, of_region, key)) = &*derived
            && (*of_date, of_region) == (date, region)
        {
            return key.clone();
        }
        let key = sigv4::signing_key(&self.0.text, date, region);
        *derived = Some((date, region.clone(), key.clone()));
        key
    }
}

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Self(Arc::new(Inner {
            text: Zeroizing::new(text),
            derived: Mutex::new(None),
        }))
    }
}

impl From<&str> for Secret {
    fn from(text: &str) -> Self {
        Self::from(text.to_owned())
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Secret").finish_non_exhaustive()
    }
}

impl Credentials {
    pub(crate) fn check(&self) -> Result<(), SigningError> {
        let id = &self.access_key_id;
        // The id precedes the first slash of the credential field: a slash inside it would shift the scope.
        match check_part("access key id", id) {
            Ok(())
                if !id
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte)) =>
            {
                Err(malformed(
                    "access key id",
                    Violation::Characters("letters, digits, hyphens, underscores and periods"),
                ))
            }
            checked => checked,
        }?;
        check_part("secret access key", self.secret_access_key.reveal())?;
        self.session_token
            .as_ref()
            .map_or(Ok(()), |token| check_part("session token", token.reveal()))
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials")
            .field("access_key_id", &self.access_key_id)
            .field("expires_at", &self.expires_at)
            .finish_non_exhaustive()
    }
}

/// A stray line break from a file or a variable is the usual mistake, and S3 reports it only as a wrong signature.
fn check_part(part: &'static str, value: &str) -> Result<(), SigningError> {
    if value.is_empty() {
        return Err(malformed(part, Violation::Empty));
    }
    if !value.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(malformed(
            part,
            Violation::Characters("visible US-ASCII characters"),
        ));
    }
    Ok(())
}

fn malformed(part: &'static str, violation: Violation) -> SigningError {
    SigningError::CredentialsMalformed { part, violation }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_shows_no_secret() {
        let credentials = Credentials {
            access_key_id: "AKID".to_owned(),
            secret_access_key: "the-secret".into(),
            session_token: Some("the-token".into()),
            expires_at: None,
        };
        assert_eq!(
            format!("{credentials:?}"),
            r#"Credentials { access_key_id: "AKID", expires_at: None, .. }"#
        );
        assert_eq!(
            format!("{:?}", credentials.secret_access_key),
            "Secret { .. }"
        );
    }
}
