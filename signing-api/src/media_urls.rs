//! The URL at which a caller can fetch an object: its path, or a URL that is signed for the place that will check it.
//! `GET /api/media`, `GET /api/uploads/{id}` and `POST /api/links` use it.
//!
//! Nothing is signed before the rules have allowed the caller to read the object: a signed URL works without them.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use edge_auth::config::TokenSource;
use edge_auth::{Decision, Headers, Lines, Request};
use jiff::{SignedDuration, Timestamp};
use media_contract::{Manifest, ORIGIN_PATH, REVALIDATED, Status, object_key};
use serde_json::{Value, json};
use url_signing::cloudfront::Policy;
use url_signing::{Bucket, Credentials, PresignedGet, PresignedUrl, ResponseHeader};

use crate::api::Api;
use crate::caller::headers_of;
use crate::cloudfront::{CloudFront, Distribution};
use crate::cross_origin::SiteOrigin;
use crate::problem::Problem;
use crate::settings::DeliveryMode;
use crate::signer::Term;

/// The lifetime of the URLs in a listing: the default of a session.
const LISTED_LIFETIME: SignedDuration = SignedDuration::from_mins(15);
/// `Cache-Control` of an object that the distribution fetches with S3's signature. It may cache the object for a minute,
/// and may not answer from its cache after that, not even while S3 fails. Viewers see the value of the distribution.
const CACHED_FOR_A_MINUTE: &str = "max-age=60, stale-if-error=0";

/// Where a call came from, as far as URLs depend on it.
#[derive(Debug)]
pub(crate) struct CameFrom {
    /// Whether the caller sent a token by hand, and has no cookie for requests of pictures.
    is_by_hand: bool,
    headers: Headers,
    distribution: Option<Distribution>,
    site: Option<SiteOrigin>,
}

/// Makes the URLs of one answer.
pub(crate) struct MediaUrls<'a> {
    way: Way<'a>,
    now: Timestamp,
    lifetime: SignedDuration,
    window: SignedDuration,
}

/// How viewers are authorized at the URLs.
enum Way<'a> {
    /// By their cookies: a path is enough.
    Cookies,
    /// By `CloudFront`'s signature, at this address.
    CloudFront {
        cloudfront: &'a CloudFront,
        address: String,
    },
    /// By S3's signature, at the bucket's own address or through the distribution at this site.
    Bucket {
        bucket: &'a Bucket,
        credentials: Box<Credentials>,
        site: Option<String>,
    },
}

impl FromRequestParts<Api> for CameFrom {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, Problem> {
        let headers = headers_of(&parts.headers);
        let authorizer = api.authorizer.authorizer();
        let source = authorizer.token_source(&Request::from(&headers));
        Ok(Self {
            is_by_hand: !matches!(source, Some(TokenSource::Cookie(_))),
            headers,
            distribution: parts.extensions.get().cloned(),
            site: parts.extensions.get().cloned(),
        })
    }
}

impl CameFrom {
    /// Whether the edge would let the caller read a path.
    pub(crate) async fn decide(&self, api: &Api, path: &str) -> Decision {
        let request = Request {
            method: "GET",
            uri: path,
            querystring: "",
            // These headers describe this call, not a request for the object.
            accept: Lines::None,
            sec_fetch_mode: Lines::None,
            ..Request::from(&self.headers)
        };
        api.authorizer.decide(&request).await
    }
}

impl<'a> MediaUrls<'a> {
    /// The URLs of a listing.
    pub(crate) async fn listed(api: &'a Api, from: &CameFrom) -> Result<Self, Problem> {
        let term = (
            (api.clock)(),
            LISTED_LIFETIME.min(api.settings.max_link_lifetime),
        );
        let way = match api.settings.delivery {
            DeliveryMode::Presigned => Way::bucket(api, from, term).await?,
            _ if !from.is_by_hand => Way::Cookies,
            // Of another site's page, perhaps: only links may be shown there.
            _ => Way::of_links(api, from, term).await?,
        };
        // A longer window is for links, whose maker chooses a lifetime.
        let window = api.settings.links_shared_within.min(LISTED_LIFETIME);
        Ok(Self {
            window,
            ..Self::new(api, way, term)
        })
    }

    /// The URLs of links, which work for anyone.
    pub(crate) async fn links(
        api: &'a Api,
        from: &CameFrom,
        lifetime: SignedDuration,
    ) -> Result<Self, Problem> {
        let term = ((api.clock)(), lifetime);
        let way = Way::of_links(api, from, term).await?;
        Ok(Self::new(api, way, term))
    }

    fn new(api: &Api, way: Way<'a>, (now, lifetime): (Timestamp, SignedDuration)) -> Self {
        let window = api.settings.links_shared_within;
        Self {
            way,
            now,
            lifetime,
            window,
        }
    }

    /// The signed URL of an object, by its path and its key; `None` if the path is enough.
    pub(crate) fn sign(&self, path: &str, key: &str) -> Result<Option<PresignedUrl>, Problem> {
        match &self.way {
            Way::Cookies => Ok(None),
            Way::CloudFront {
                cloudfront,
                address,
            } => {
                let url = format!("{address}{path}");
                let policy = Policy::for_url(&url, self.lifetime)?.shared_within(self.window);
                let signed = policy.sign(self.now, cloudfront.key())?;
                Ok(Some(signed.url(&url)?))
            }
            Way::Bucket {
                bucket,
                credentials,
                site,
            } => {
                // The stored header is for the edge. With it a browser would show the object after a link has expired.
                let cache_control = match site {
                    Some(_) => CACHED_FOR_A_MINUTE,
                    None => REVALIDATED,
                };
                let get = PresignedGet::new(bucket, key, self.lifetime)?
                    .shared_within(self.window)
                    .clamp_to_credentials()
                    .response_header(ResponseHeader::CacheControl, cache_control)?;
                let mut signed = get.sign(self.now, credentials)?;
                if let Some(site) = site {
                    signed.url = moved(&signed.url, &bucket.url(), site)?;
                }
                Ok(Some(signed))
            }
        }
    }

    /// A manifest for the caller, whose renditions have a `url` each, and the time at which the first of these expires. The
    /// URL of what the caller may not read is its path, which is refused.
    pub(crate) async fn add_to(
        &self,
        manifest: &Manifest,
        (api, from): (&Api, &CameFrom),
    ) -> Result<(Value, Option<Timestamp>), Problem> {
        let mut shown = json!(manifest);
        let mut end: Option<Timestamp> = None;
        if let Status::Ready { renditions, .. } = &manifest.status {
            for (idx, rendition) in renditions.iter().enumerate() {
                let path = &rendition.path;
                let is_readable = matches!(self.way, Way::Cookies)
                    || matches!(from.decide(api, path).await, Decision::Allow(_));
                let signed = if is_readable {
                    self.sign(path, &object_key(path))?
                } else {
                    None
                };
                let url = match signed {
                    Some(signed) => {
                        end = end.into_iter().chain([signed.expires_at]).min();
                        signed.url
                    }
                    None => path.clone(),
                };
                shown["renditions"][idx]["url"] = url.into();
            }
        }
        Ok((shown, end))
    }
}

impl<'a> Way<'a> {
    /// By `CloudFront`'s signature if the API has a key for links, otherwise by S3's.
    async fn of_links(
        api: &'a Api,
        from: &CameFrom,
        term: (Timestamp, SignedDuration),
    ) -> Result<Self, Problem> {
        match api.cloudfront.as_deref() {
            Some(cloudfront) => Ok(Self::CloudFront {
                cloudfront,
                address: cloudfront.url(from.distribution.as_ref(), "")?,
            }),
            None => Self::bucket(api, from, term).await,
        }
    }

    async fn bucket(
        api: &'a Api,
        from: &CameFrom,
        (now, lifetime): (Timestamp, SignedDuration),
    ) -> Result<Self, Problem> {
        let settings = &api.settings;
        let (longest, window) = (settings.max_link_lifetime, settings.links_shared_within);
        let term = Term::shared(now, lifetime, longest, window);
        let site = match settings.delivery {
            DeliveryMode::Presigned => Some(SiteOrigin::url(from.site.as_ref(), "")?),
            _ => None,
        };
        Ok(Self::Bucket {
            bucket: &settings.media_bucket,
            credentials: Box::new(api.signer.credentials(now, term).await?),
            site,
        })
    }
}

/// A presigned URL of the bucket at the site, whose distribution prepends the origin path and asks with the bucket's own
/// name. S3 finds the path and the host that were signed.
fn moved(url: &str, bucket: &str, site: &str) -> Result<String, Problem> {
    let path = url
        .strip_prefix(bucket)
        .and_then(|path| path.strip_prefix(ORIGIN_PATH))
        .filter(|path| path.starts_with('/'));
    let path = path.ok_or(Problem::Internal(
        "an object outside of the origin path has no URL at the distribution",
    ))?;
    Ok(format!("{site}{path}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_presigned_url_moves_to_the_site_without_the_origin_path() {
        let site = "https://photos.example.com";
        for (url, bucket, expected) in [
            (
                "https://m.s3.eu-central-1.amazonaws.com/o/media/a/1.webp?X-Amz-Signature=1",
                "https://m.s3.eu-central-1.amazonaws.com",
                Some("https://photos.example.com/media/a/1.webp?X-Amz-Signature=1"),
            ),
            (
                "http://127.0.0.1:9000/m/o/team/a%20b?X-Amz-Signature=1",
                "http://127.0.0.1:9000/m",
                Some("https://photos.example.com/team/a%20b?X-Amz-Signature=1"),
            ),
            ("https://m/other/a?b", "https://m", None),
            ("https://m/others", "https://m", None),
            ("https://elsewhere/o/a", "https://m", None),
        ] {
            assert_eq!(moved(url, bucket, site).ok().as_deref(), expected, "{url}");
        }
    }
}
