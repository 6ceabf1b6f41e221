//! Origins: a bucket, read as CloudFront reads it through origin access control, or a service that answers for itself.
//! [`Distribution`](super::Distribution) fetches from them; it never writes.

use std::error::Error;
use std::iter;
use std::time::Duration;

use aws_sdk_s3::Client;
use aws_sdk_s3::error::{ProvideErrorMetadata as _, SdkError};
use aws_sdk_s3::operation::get_object::GetObjectError;
use axum::Router;
use bytes::Bytes;

/// Where the answers of a behaviour come from.
#[derive(Clone)]
pub enum Origin {
    /// A bucket, whose objects are cached.
    Bucket(Bucket),
    /// A service in this process, such as an API. It gets every method and the body, and nothing of it is cached.
    Service(Router),
}

/// A bucket that is read with a client's credentials.
#[derive(Clone)]
pub struct Bucket {
    s3: Client,
    name: String,
    /// Prepended to the path of every request, such as `/o`; may be empty.
    origin_path: String,
}

impl Origin {
    /// A bucket: the key is the path without its first slash, percent-decoded.
    pub fn bucket(s3: Client, name: &str) -> Self {
        Self::bucket_below(s3, name, "")
    }

    /// A bucket behind an origin path such as `/o`: the path `/a` names the key `o/a`, and no path names a key outside
    /// of `o/`.
    pub fn bucket_below(s3: Client, name: &str, origin_path: &str) -> Self {
        Self::Bucket(Bucket {
            s3,
            name: name.to_owned(),
            origin_path: origin_path.to_owned(),
        })
    }

    /// A service.
    pub fn service(router: Router) -> Self {
        Self::Service(router)
    }
}

/// An object of the bucket, with the attributes that its answer names.
#[derive(Debug, Default)]
pub(super) struct Object {
    pub(super) body: Bytes,
    pub(super) content_type: Option<String>,
    /// With its quotation marks.
    pub(super) etag: Option<String>,
    /// In seconds since 1970.
    pub(super) last_modified: Option<i64>,
    pub(super) cache_control: Option<String>,
}

/// The reason that a fetch brought no object.
#[derive(Debug)]
pub(super) enum OriginFault {
    /// The bucket has no object with the key.
    NotFound,
    /// S3 does not answer as it should; the sentence is for the log.
    Unreachable(String),
}

impl Bucket {
    /// Fetches the object of a path, which is given without its first slash.
    pub(super) async fn fetch(&self, path: &str) -> Result<Object, OriginFault> {
        let key = format!("{}/{path}", self.origin_path);
        // One slash alone: the others belong to the key, and another key could be somebody else's object.
        let key = key.strip_prefix('/').unwrap_or(&key);
        let request = self.s3.get_object().bucket(&self.name).key(key);
        let output = match request.send().await {
            Ok(output) => output,
            Err(SdkError::ServiceError(error)) if error.raw().status().as_u16() == 404 => {
                return Err(OriginFault::NotFound);
            }
            Err(error) => return Err(OriginFault::Unreachable(reason(&error))),
        };
        Ok(Object {
            content_type: output.content_type,
            etag: output.e_tag,
            last_modified: output.last_modified.map(|time| time.secs()),
            cache_control: output.cache_control,
            body: output
                .body
                .collect()
                .await
                .map_err(|error| OriginFault::Unreachable(error.to_string()))?
                .into_bytes(),
        })
    }
}

impl Object {
    /// How long a shared cache may keep it by its `Cache-Control`: zero without one.
    pub(super) fn fresh_for(&self) -> Duration {
        let directives: Vec<_> = self
            .cache_control
            .as_deref()
            .unwrap_or_default()
            .split(',')
            .map(|directive| directive.trim().to_ascii_lowercase())
            .collect();
        if directives
            .iter()
            .any(|directive| matches!(directive.as_str(), "no-store" | "no-cache" | "private"))
        {
            return Duration::ZERO;
        }
        let seconds = |name: &str| {
            directives
                .iter()
                .find_map(|directive| directive.strip_prefix(name)?.parse().ok())
        };
        Duration::from_secs(
            seconds("s-maxage=")
                .or_else(|| seconds("max-age="))
                .unwrap_or(0),
        )
    }
}

/// The code and message of S3's answer, or the connection's fault with its causes.
fn reason(error: &SdkError<GetObjectError>) -> String {
    match (error.code(), error.message()) {
        (Some(code), Some(message)) => format!("{code}: {message}"),
        (Some(code), None) => code.to_owned(),
        (None, _) => {
            let first: &(dyn Error + 'static) = error;
            let causes = iter::successors(Some(first), |&error| error.source());
            let causes: Vec<_> = causes.map(ToString::to_string).collect();
            causes.join(": ")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_objects_cache_control_says_how_long_it_is_fresh() {
        for (cache_control, seconds) in [
            (Some("public, max-age=60, immutable"), 60),
            (Some("max-age=60, s-maxage=5"), 5),
            (Some("Max-Age=60"), 60),
            (Some("no-cache"), 0),
            (Some("max-age=60, no-store"), 0),
            (Some("max-age=0"), 0),
            (Some("private, max-age=60"), 0),
            (Some("max-age=-1"), 0),
            (Some(""), 0),
            (None, 0),
        ] {
            let object = Object {
                cache_control: cache_control.map(str::to_owned),
                ..Object::default()
            };
            assert_eq!(object.fresh_for().as_secs(), seconds, "{cache_control:?}");
        }
    }
}
