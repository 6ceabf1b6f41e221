//! The signer for `CloudFront`: the distribution's address, and a key of its key group. Links and sessions use it.
//!
//! The values come from the environment, because they exist only after the distribution. A distribution without an
//! alias is created after the API, so the API cannot know its address. Each call then names its distribution.

use std::ffi::OsString;
use std::fmt;

use media_contract::MEDIA_PATH;
use thiserror::Error;
use url_signing::SigningError;
use url_signing::cloudfront::{KeyPair, Policy};

use crate::{LinkSigner, Problem};

/// The distribution's address, such as `https://d111111abcdef8.cloudfront.net`, or the URL of the folder in which it checks
/// signatures. A path alone (`/shared`) is a folder of the [`Distribution`] that a call came through.
pub const URL_VARIABLE: &str = "GATEPOST_CLOUDFRONT_URL";
/// The id of the public key.
pub const KEY_PAIR_ID_VARIABLE: &str = "GATEPOST_CLOUDFRONT_KEY_PAIR_ID";
/// The private key in PEM. [`KeyPair::from_pem`] describes the accepted forms of its text.
pub const PRIVATE_KEY_VARIABLE: &str = "GATEPOST_CLOUDFRONT_PRIVATE_KEY";

/// Signs links and cookies for a distribution.
pub struct CloudFront {
    /// Without a trailing slash.
    address: String,
    key: KeyPair,
}

/// The domain name of the distribution that a call came through. The program that serves the router sets it as an
/// extension of the request, and accepts it only from the distribution.
#[derive(Clone, Debug)]
pub struct Distribution(pub String);

/// Why the variables cannot be used.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum CloudFrontError {
    /// Some are set and others are not.
    #[error("{0} is missing, but other variables of CloudFront are set; set all or none")]
    Missing(&'static str),
    /// The address or the id is not UTF-8.
    #[error("{0} is not UTF-8")]
    NotText(&'static str),
    /// A variable cannot be used.
    #[error("{variable} cannot be used: {error}")]
    Unusable {
        /// The variable.
        variable: &'static str,
        /// The reason.
        error: SigningError,
    },
}

impl CloudFront {
    /// Reads the variables; `None` if none of them is set.
    ///
    /// # Errors
    ///
    /// Fails with [`CloudFrontError`] if some are missing, or if one cannot be used.
    pub fn from_variables(
        variable: impl Fn(&str) -> Option<OsString>,
    ) -> Result<Option<Self>, CloudFrontError> {
        let names = [URL_VARIABLE, KEY_PAIR_ID_VARIABLE, PRIVATE_KEY_VARIABLE];
        match names.map(|name| variable(name).filter(|value| !value.is_empty())) {
            [None, None, None] => Ok(None),
            [Some(url), Some(id), Some(pem)] => {
                let url = url.to_str().ok_or(CloudFrontError::NotText(URL_VARIABLE))?;
                let id = (id.to_str()).ok_or(CloudFrontError::NotText(KEY_PAIR_ID_VARIABLE))?;
                Self::new(url, id, pem.as_encoded_bytes())
                    .map(Some)
                    .map_err(|error| {
                        let variable = match error {
                            SigningError::KeyPairId { .. } => KEY_PAIR_ID_VARIABLE,
                            SigningError::PrivateKey { .. } => PRIVATE_KEY_VARIABLE,
                            _ => URL_VARIABLE,
                        };
                        CloudFrontError::Unusable { variable, error }
                    })
            }
            [None, _, _] => Err(CloudFrontError::Missing(URL_VARIABLE)),
            [_, None, _] => Err(CloudFrontError::Missing(KEY_PAIR_ID_VARIABLE)),
            [_, _, None] => Err(CloudFrontError::Missing(PRIVATE_KEY_VARIABLE)),
        }
    }

    /// A signer from a distribution's address, the id of a public key of its key group, and the private half in PEM.
    ///
    /// # Errors
    ///
    /// Fails with [`SigningError`] if the key cannot sign, or if no link can be made below the address.
    pub fn new(
        address: &str,
        key_pair_id: &str,
        pem: impl AsRef<[u8]>,
    ) -> Result<Self, SigningError> {
        let cloudfront = Self {
            address: address.trim_end_matches('/').to_owned(),
            key: KeyPair::from_pem(key_pair_id, pem)?,
        };
        // An address for which no link can be made is reported at the start.
        let some = Distribution("d111111abcdef8.cloudfront.net".to_owned());
        let url = cloudfront.at(&some) + MEDIA_PATH;
        Policy::below(&url, jiff::SignedDuration::from_secs(1)).map(|_| cloudfront)
    }

    /// The full URL of a path, for a call that came through this distribution.
    pub(crate) fn url(
        &self,
        through: Option<&Distribution>,
        path: &str,
    ) -> Result<String, Problem> {
        match through {
            Some(distribution) => Ok(self.at(distribution) + path),
            None if !self.is_folder() => Ok(format!("{}{path}", self.address)),
            None => Err(Problem::Internal(
                "the call does not name the distribution that it came through",
            )),
        }
    }

    fn at(&self, Distribution(domain): &Distribution) -> String {
        if self.is_folder() {
            format!("https://{domain}{}", self.address)
        } else {
            self.address.clone()
        }
    }

    /// Whether the address is only a folder. Each call must then name its distribution.
    pub fn is_folder(&self) -> bool {
        self.address.starts_with('/')
    }

    /// The signer of links: this one, if it exists.
    pub fn link_signer(cloudfront: Option<&Self>) -> LinkSigner {
        cloudfront.map_or(LinkSigner::Bucket, |_| LinkSigner::CloudFront)
    }

    pub(crate) fn key(&self) -> &KeyPair {
        &self.key
    }
}

impl fmt::Debug for CloudFront {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CloudFront")
            .field("address", &self.address)
            .field("key", &self.key)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A published test key.
    const KEY: &str = include_str!("../../url-signing/tests/keys/p256-sec1.pem");

    #[test]
    fn a_key_is_accepted_in_every_transport_form_and_faults_name_the_variable() {
        let id = || Some(OsString::from("K2JCJMDEHXQW5F"));
        let address = || Some(OsString::from("https://photos.example.com"));
        let read = |variables: [Option<OsString>; 3]| {
            let names = [URL_VARIABLE, KEY_PAIR_ID_VARIABLE, PRIVATE_KEY_VARIABLE];
            CloudFront::from_variables(|name| {
                let place = names.iter().position(|known| *known == name)?;
                variables[place].clone()
            })
        };
        for text in [
            KEY.to_owned(),
            KEY.replace('\n', "\\n"),
            format!("\"{KEY}\""),
            format!("  {}", KEY.replace('\n', "\n  ")),
            format!("\u{feff}{KEY}"),
        ] {
            let found = read([address(), id(), Some(text.clone().into())]);
            assert!(found.unwrap().is_some(), "{text}");
        }
        assert!(read([None, None, None]).unwrap().is_none());
        for (variables, message) in [
            (
                [address(), id(), None],
                "GATEPOST_CLOUDFRONT_PRIVATE_KEY is missing, but other variables of CloudFront are set; set all or none",
            ),
            (
                [address(), id(), Some("-----BEGIN PRIVATE KEY-----".into())],
                "GATEPOST_CLOUDFRONT_PRIVATE_KEY cannot be used: the private key cannot be used: it has a BEGIN line and no END line; pass the whole text: where a variable ends with its first line, write each line break as \\n",
            ),
        ] {
            let refused = read(variables).unwrap_err();
            assert_eq!(refused.to_string(), message);
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_variable_that_is_not_utf8_is_named() {
        use std::os::unix::ffi::OsStringExt as _;

        let no_text = || Some(OsString::from_vec(vec![0xff, 0xfe, b'-']));
        let read = |which: &'static str| {
            let refused = CloudFront::from_variables(|name| match name {
                name if name == which => no_text(),
                URL_VARIABLE => Some("https://photos.example.com".into()),
                KEY_PAIR_ID_VARIABLE => Some("K2JCJMDEHXQW5F".into()),
                _ => Some(KEY.into()),
            });
            refused.unwrap_err().to_string()
        };
        assert_eq!(read(URL_VARIABLE), "GATEPOST_CLOUDFRONT_URL is not UTF-8");
        assert_eq!(
            read(KEY_PAIR_ID_VARIABLE),
            "GATEPOST_CLOUDFRONT_KEY_PAIR_ID is not UTF-8"
        );
        assert_eq!(
            read(PRIVATE_KEY_VARIABLE),
            "GATEPOST_CLOUDFRONT_PRIVATE_KEY cannot be used: the private key cannot be used: it is in UTF-16; save it as UTF-8"
        );
    }

    #[test]
    fn links_lead_to_where_signatures_are_checked() {
        let through = Distribution("d222222abcdef8.cloudfront.net".to_owned());
        for (address, through, url) in [
            (
                "https://photos.example.com/",
                None,
                Some("https://photos.example.com/media/x"),
            ),
            (
                "https://photos.example.com/shared",
                Some(&through),
                Some("https://photos.example.com/shared/media/x"),
            ),
            (
                "/shared",
                Some(&through),
                Some("https://d222222abcdef8.cloudfront.net/shared/media/x"),
            ),
            ("/shared", None, None),
        ] {
            let cloudfront = CloudFront::new(address, "K2JCJMDEHXQW5F", KEY).unwrap();
            let found = cloudfront.url(through, "/media/x");
            assert_eq!(found.ok().as_deref(), url, "{address}");
        }
        for address in [
            "photos.example.com",
            "/sha red",
            "",
            "https://photos.example.com:443",
            "https://photos.example.com:+8443",
            "http://127.0.0.1:80/shared",
        ] {
            assert!(
                CloudFront::new(address, "K2JCJMDEHXQW5F", KEY).is_err(),
                "{address}"
            );
        }
    }
}
