//! What signs in `CloudFront`'s name: the distribution's address, and a key of its key group.
//!
//! All three come from the environment, because they exist only once the distribution does.

use std::fmt;

use thiserror::Error;
use url_signing::SigningError;
use url_signing::cloudfront::{KeyPair, Policy};

/// The distribution's address, such as `https://d111111abcdef8.cloudfront.net`, or a folder there below which it checks
/// signatures.
pub const URL_VARIABLE: &str = "GATEPOST_CLOUDFRONT_URL";
/// The id of the public key.
pub const KEY_PAIR_ID_VARIABLE: &str = "GATEPOST_CLOUDFRONT_KEY_PAIR_ID";
/// The private key, in PEM.
pub const PRIVATE_KEY_VARIABLE: &str = "GATEPOST_CLOUDFRONT_PRIVATE_KEY";

/// Signs links and cookies for a distribution.
pub struct CloudFront {
    /// Without a slash at its end.
    url: String,
    key: KeyPair,
}

/// Why the variables are of no use.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum CloudFrontError {
    /// Some are there and some are not.
    #[error("{0} is missing, and the others about CloudFront are set")]
    Missing(&'static str),
    /// One of them cannot be used.
    #[error("CloudFront cannot be signed for: {0}")]
    Unusable(#[from] SigningError),
}

impl CloudFront {
    /// What these variables say; nothing, where none of them is set.
    pub fn from_variables(
        variable: impl Fn(&str) -> Option<String>,
    ) -> Result<Option<Self>, CloudFrontError> {
        let names = [URL_VARIABLE, KEY_PAIR_ID_VARIABLE, PRIVATE_KEY_VARIABLE];
        match names.map(|name| variable(name).filter(|value| !value.is_empty())) {
            [None, None, None] => Ok(None),
            [Some(url), Some(id), Some(pem)] => Ok(Some(Self::new(&url, &id, &pem)?)),
            [None, _, _] => Err(CloudFrontError::Missing(URL_VARIABLE)),
            [_, None, _] => Err(CloudFrontError::Missing(KEY_PAIR_ID_VARIABLE)),
            [_, _, None] => Err(CloudFrontError::Missing(PRIVATE_KEY_VARIABLE)),
        }
    }

    /// A distribution's address, the id of a public key of its key group, and the private half in PEM.
    pub fn new(url: &str, key_pair_id: &str, pem: &str) -> Result<Self, SigningError> {
        let cloudfront = Self {
            url: url.trim_end_matches('/').to_owned(),
            key: KeyPair::from_pem(key_pair_id, pem)?,
        };
        // What no link could be made for is better known at the start.
        let second = jiff::SignedDuration::from_secs(1);
        cloudfront.below("/media/", second).map(|_| cloudfront)
    }

    /// The whole URL of a path.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}{path}", self.url)
    }

    /// Whether media lie at their own paths there, and not below another: only then its cookies are sent to them.
    pub(crate) fn is_whole_site(&self) -> bool {
        let host = self.url.split_once("://").map_or("", |(_, rest)| rest);
        !host.contains('/')
    }

    /// A policy for all below a folder.
    pub(crate) fn below(
        &self,
        folder: &str,
        lifetime: jiff::SignedDuration,
    ) -> Result<Policy, SigningError> {
        Policy::below(&self.url(folder), lifetime)
    }

    pub(crate) fn key(&self) -> &KeyPair {
        &self.key
    }
}

impl fmt::Debug for CloudFront {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CloudFront")
            .field("url", &self.url)
            .field("key", &self.key)
            .finish()
    }
}
