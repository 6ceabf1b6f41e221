//! What the API is told: in part from `gatepost.toml`, through the package, in part from where it runs.

use jiff::SignedDuration;
use serde::{Deserialize, Serialize};
use url_signing::Bucket;

/// The private halves of session keys whose public halves are packed: one or several keys in PEM.
pub const SESSION_KEY_VARIABLE: &str = "GATEPOST_SESSION_PRIVATE_KEY";

/// What signs links, and so how long they last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LinkSigner {
    /// S3's signature ends with the credentials. On AWS these are a role's session that another role's session asked for
    /// (role chaining), which lasts an hour at most.
    Bucket,
    /// A key of the distribution's key group, which does not end.
    CloudFront,
}

impl LinkSigner {
    /// How long a link may be asked for where `links.max_expires_in` is not configured. 45 minutes leave a session of an
    /// hour 15 minutes in which it can be used again.
    pub const fn default_lifetime(self) -> SignedDuration {
        match self {
            Self::Bucket => SignedDuration::from_mins(45),
            Self::CloudFront => SignedDuration::from_hours(24),
        }
    }
}

/// What the API is told.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The content types that a form may be made for.
    pub types: Vec<String>,
    /// The largest upload, in bytes.
    pub max_bytes: u64,
    /// How long a form is valid.
    pub form_lifetime: SignedDuration,
    /// How long a link may be asked for.
    pub max_link_lifetime: SignedDuration,
    /// For how long everybody who asks gets the same link; zero makes each its own.
    pub links_shared_within: SignedDuration,
    /// The origins whose pages' scripts may read answers; `*` means all.
    pub cors_origins: Vec<String>,
    /// Where forms are posted to.
    pub upload_bucket: Bucket,
    /// Where finished media lie.
    pub media_bucket: Bucket,
}

/// The part that `gatepost package` packs, as `settings.json`.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct PackedSettings {
    /// Who may call.
    pub edge: edge_auth::Config,
    /// [`Settings::types`].
    pub types: Vec<String>,
    /// [`Settings::max_bytes`].
    pub max_bytes: u64,
    /// [`Settings::form_lifetime`].
    pub form_lifetime_seconds: u32,
    /// [`Settings::max_link_lifetime`]; `None` is the default of what signs links.
    pub max_link_lifetime_seconds: Option<u32>,
    /// [`Settings::links_shared_within`].
    pub links_shared_within_seconds: u32,
}

impl PackedSettings {
    /// Gives session keys of which only the public half is packed their private half, from the text of
    /// [`SESSION_KEY_VARIABLE`].
    ///
    /// # Errors
    ///
    /// A sentence: a key in the text cannot be read, or is none of those that are packed.
    pub fn accept_session_keys(&mut self, pem: &[u8]) -> Result<(), String> {
        let keys = self
            .edge
            .session
            .iter_mut()
            .flat_map(|session| &mut session.keys);
        let mut keys: Vec<_> = keys.collect();
        for der in url_signing::cloudfront::private_keys_der(pem)? {
            let der = der.secret_der();
            if !keys.iter_mut().any(|key| key.accept_private_der(der)) {
                return Err(
                    "it holds the private half of no session key that is configured".to_owned(),
                );
            }
        }
        Ok(())
    }

    /// The whole, with the buckets and what signs links.
    pub fn settings(
        &self,
        upload_bucket: Bucket,
        media_bucket: Bucket,
        link_signer: LinkSigner,
    ) -> Settings {
        let seconds = |seconds: u32| SignedDuration::from_secs(seconds.into());
        let max_link_lifetime = self.max_link_lifetime_seconds.map(seconds);
        Settings {
            types: self.types.clone(),
            max_bytes: self.max_bytes,
            form_lifetime: seconds(self.form_lifetime_seconds),
            max_link_lifetime: max_link_lifetime.unwrap_or(link_signer.default_lifetime()),
            links_shared_within: seconds(self.links_shared_within_seconds),
            cors_origins: (self.edge.cors.iter())
                .flat_map(|cors| cors.origins.clone())
                .collect(),
            upload_bucket,
            media_bucket,
        }
    }
}
