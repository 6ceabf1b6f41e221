//! Signed cookies, and the `Set-Cookie` lines that give them to a browser with the narrowest possible scope.

use std::fmt;

use jiff::Timestamp;

use crate::error::{SigningError, Violation};

/// The names of all cookies that a signed policy may need.
const NAMES: [&str; 5] = [
    "CloudFront-Expires",
    "CloudFront-Policy",
    "CloudFront-Key-Pair-Id",
    "CloudFront-Signature",
    "CloudFront-Hash-Algorithm",
];

/// The longest cookie, with its attributes, that every browser keeps (RFC 6265 §6.1).
const MAX_COOKIE_BYTES: usize = 4096;

/// Where a browser sends the cookies. All are `Secure` and `HttpOnly`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CookieAttributes {
    /// The path of the cookies; by default the folder of the policy, so that the cookies of two policies do not
    /// overwrite each other.
    pub path: Option<String>,
    /// The domain whose hosts receive them, such as `example.com`; `None` means only the host that sets them.
    pub domain: Option<String>,
    /// Whether browsers send them with requests from other sites' pages.
    pub same_site: SameSite,
}

/// Whether cookies are sent with cross-site requests (RFC 6265bis §5.6.7).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SameSite {
    /// Only for top-level navigation: not for images in other sites' pages.
    #[default]
    Lax,
    /// With every request: for pages of another site that embed these resources.
    None,
    /// Never.
    Strict,
}

/// Cookies that let a browser fetch everything that their policy covers. `Debug` does not show them.
#[derive(Clone, PartialEq, Eq)]
#[must_use]
pub struct SignedCookies {
    /// Names and values.
    pub cookies: Vec<(&'static str, String)>,
    /// When `CloudFront` stops accepting them, in whole seconds.
    pub expires_at: Timestamp,
    suffix: String,
}

impl SignedCookies {
    pub(super) fn new(
        cookies: Vec<(&'static str, String)>,
        attributes: &CookieAttributes,
        folder: &str,
        (now, expires_at): (Timestamp, Timestamp),
    ) -> Result<Self, SigningError> {
        let max_age = expires_at.duration_since(now).as_secs().max(0);
        let path = attributes.path.as_deref().unwrap_or(folder);
        let suffix = suffix(path, attributes, max_age)?;
        for (name, value) in &cookies {
            let bytes = name.len() + "=".len() + value.len() + suffix.len();
            if bytes > MAX_COOKIE_BYTES {
                let max = MAX_COOKIE_BYTES;
                let what = "cookie";
                return Err(SigningError::TooLong { what, bytes, max });
            }
        }
        Ok(Self {
            cookies,
            expires_at,
            suffix,
        })
    }

    /// The values of the `Set-Cookie` headers, one for each cookie.
    pub fn set_cookie(&self) -> Vec<String> {
        let line = |(name, value): &(&str, String)| format!("{name}={value}{}", self.suffix);
        self.cookies.iter().map(line).collect()
    }

    /// The values of the `Set-Cookie` headers that delete all such cookies from a browser. `path` and the attributes'
    /// domain must be those with which they were set.
    ///
    /// # Errors
    ///
    /// Fails with [`SigningError::CookieAttribute`].
    pub fn removal(path: &str, attributes: &CookieAttributes) -> Result<Vec<String>, SigningError> {
        let suffix = suffix(path, attributes, 0)?;
        Ok(NAMES
            .iter()
            .map(|name| format!("{name}={suffix}"))
            .collect())
    }
}

fn suffix(path: &str, attributes: &CookieAttributes, max_age: i64) -> Result<String, SigningError> {
    let refuse = |name, violation| Err(SigningError::CookieAttribute { name, violation });
    if !path.starts_with('/') {
        return refuse("Path", Violation::NotPath);
    }
    // A semicolon would start another attribute.
    let is_allowed = |byte: u8| byte.is_ascii_graphic() && byte != b';';
    if !path.bytes().all(is_allowed) {
        return refuse("Path", Violation::Characters("visible US-ASCII without ;"));
    }
    let mut suffix = format!("; Path={path}");
    if let Some(domain) = &attributes.domain {
        let is_name =
            |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b".-".contains(&byte);
        let is_domain = domain.contains('.') && !domain.starts_with('.') && !domain.ends_with('.');
        if !is_domain || !domain.bytes().all(is_name) {
            return refuse(
                "Domain",
                Violation::Characters("a domain such as example.com"),
            );
        }
        suffix.push_str("; Domain=");
        suffix.push_str(domain);
    }
    let same_site = match attributes.same_site {
        SameSite::Lax => "Lax",
        SameSite::None => "None",
        SameSite::Strict => "Strict",
    };
    let rest = format!("; Max-Age={max_age}; Secure; HttpOnly; SameSite={same_site}");
    suffix.push_str(&rest);
    Ok(suffix)
}

impl fmt::Debug for SignedCookies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SignedCookies")
            .field("expires_at", &self.expires_at)
            .finish_non_exhaustive()
    }
}
