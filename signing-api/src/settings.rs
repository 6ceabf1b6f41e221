//! The settings of the API: one part comes from `gatepost.toml` through the package, the other from the environment.

use jiff::SignedDuration;
use serde::{Deserialize, Serialize};
use url_signing::Bucket;

/// The private halves of session keys whose public halves are packed: one or several keys in PEM.
pub const SESSION_KEY_VARIABLE: &str = "GATEPOST_SESSION_PRIVATE_KEY";
/// Reading stops here. The calls need a few hundred bytes.
pub(crate) const MAX_BODY_BYTES: usize = 16 * 1024;

/// The signer of links. It limits their lifetime.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LinkSigner {
    /// S3's signatures expire with the credentials. On AWS these are the session of a role that another role assumed (role
    /// chaining), which lasts at most an hour.
    Bucket,
    /// A key of the distribution's key group, which does not expire.
    CloudFront,
}

impl LinkSigner {
    /// The maximum lifetime of a link if `links.max_expires_in` is not configured. With 45 minutes, a session of an hour
    /// can be reused for 15 minutes.
    pub const fn default_lifetime(self) -> SignedDuration {
        match self {
            Self::Bucket => SignedDuration::from_mins(45),
            Self::CloudFront => SignedDuration::from_hours(24),
        }
    }
}

/// The path of the distribution that takes forms.
pub const UPLOAD_PATH: &str = "/upload";

/// The place where viewers' requests for media are authorized. The API signs what that place checks.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum DeliveryMode {
    /// `edge-auth` in Lambda@Edge: every rule, and any provider's token.
    #[default]
    Lambda,
    /// A generated `CloudFront` Function: sessions with HS256 alone.
    Function,
    /// `CloudFront` itself: signed cookies and URLs.
    Signed,
    /// S3: presigned URLs, which the distribution forwards.
    Presigned,
}

impl DeliveryMode {
    /// Every mode.
    pub const ALL: [Self; 4] = [Self::Lambda, Self::Function, Self::Signed, Self::Presigned];

    /// The name in `gatepost.toml`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Lambda => "lambda",
            Self::Function => "function",
            Self::Signed => "signed",
            Self::Presigned => "presigned",
        }
    }
}

/// Where browsers post their uploads.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum UploadsThrough {
    /// The upload bucket's own URL.
    #[default]
    Bucket,
    /// [`UPLOAD_PATH`] of the distribution, which passes forms on to the bucket.
    Distribution,
}

/// The settings of the API.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Who authorizes viewers.
    pub delivery: DeliveryMode,
    /// Where forms are posted.
    pub uploads_through: UploadsThrough,
    /// The content types that forms accept.
    pub types: Vec<String>,
    /// The largest upload, in bytes.
    pub max_bytes: u64,
    /// How long a form is valid.
    pub form_lifetime: SignedDuration,
    /// The maximum lifetime of a link.
    pub max_link_lifetime: SignedDuration,
    /// The window within which all callers get the same link; zero makes every link different.
    pub links_shared_within: SignedDuration,
    /// The origins whose pages may read answers (CORS); `*` means all.
    pub cors_origins: Vec<String>,
    /// The bucket that forms post to.
    pub upload_bucket: Bucket,
    /// The bucket of published media.
    pub media_bucket: Bucket,
}

/// The part of the settings that `gatepost package` writes, as `settings.json`.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct PackedSettings {
    /// [`Settings::delivery`].
    pub delivery: DeliveryMode,
    /// [`Settings::uploads_through`].
    pub uploads_through: UploadsThrough,
    /// The configuration of the authorizer.
    pub edge: edge_auth::Config,
    /// [`Settings::types`].
    pub types: Vec<String>,
    /// [`Settings::max_bytes`].
    pub max_bytes: u64,
    /// [`Settings::form_lifetime`].
    pub form_lifetime_seconds: u32,
    /// [`Settings::max_link_lifetime`]; `None` means the default of the link signer.
    pub max_link_lifetime_seconds: Option<u32>,
    /// [`Settings::links_shared_within`].
    pub links_shared_within_seconds: u32,
}

impl PackedSettings {
    /// Adds the private halves, from the text of [`SESSION_KEY_VARIABLE`], to the session keys whose public halves are packed.
    ///
    /// # Errors
    ///
    /// Fails with a sentence if a key in the text cannot be read, or if its public half is not packed.
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
                    "a private key in it does not belong to any configured session key".to_owned(),
                );
            }
        }
        Ok(())
    }

    /// All settings, with the buckets and the signer of links.
    pub fn settings(
        &self,
        upload_bucket: Bucket,
        media_bucket: Bucket,
        link_signer: LinkSigner,
    ) -> Settings {
        let seconds = |seconds: u32| SignedDuration::from_secs(seconds.into());
        let max_link_lifetime = self.max_link_lifetime_seconds.map(seconds);
        Settings {
            delivery: self.delivery,
            uploads_through: self.uploads_through,
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
