//! `POST` of a form to a bucket, as S3 accepts it from a browser. The server calls it for every form.
//!
//! `s3s` reads a form into memory before it checks it, refuses notations that S3 accepts and accepts fields that S3
//! refuses. Here the fields are read first and the signature and the policy are checked. Only then the file is received,
//! on disk.

mod form;
mod parameter;
mod policy;
mod refusal;
mod signature;

use aws_credential_types::Credentials;
use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header};
use jiff::Timestamp;
use s3s::dto::{PutObjectInput, Timestamp as S3Timestamp, TimestampFormat};

use super::encoding::{encode_all, escape};
use super::store::{Received, Store};
use crate::DrainOnDrop;
use form::{Fields, FilePart, FormReader};
use parameter::parameter;
use policy::Policy;
use refusal::Refusal;

/// The largest form that S3 accepts, in bytes.
const MAX_BYTES: u64 = 5 << 30;
/// S3's limit on keys, in bytes.
const MAX_KEY_BYTES: usize = 1024;

/// The receiver of forms.
#[derive(Clone)]
pub(super) struct PostForm {
    store: Store,
    credentials: Credentials,
}

/// An object that a form has created.
struct Created {
    bucket: String,
    key: String,
    /// With its quotation marks.
    etag: String,
    fields: Fields,
}

/// Whether a request's body says that it is a form.
pub(super) fn is_form(headers: &HeaderMap) -> bool {
    let content_type = headers.get(header::CONTENT_TYPE);
    content_type
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split(';').next())
        .is_some_and(|value| value.trim().eq_ignore_ascii_case("multipart/form-data"))
}

impl PostForm {
    pub(super) fn new(store: Store, credentials: Credentials) -> Self {
        Self { store, credentials }
    }

    /// Answers a form that was sent to a bucket.
    pub(super) async fn answer(&self, bucket: &str, request: Request) -> Response<Body> {
        let host = request.headers().get(header::HOST).cloned();
        let host = host.as_ref().and_then(|host| host.to_str().ok());
        match self.create(bucket, request).await {
            Ok(created) => created.into_response(host.unwrap_or("localhost")),
            Err(refusal) => refusal.into_response(),
        }
    }

    async fn create(&self, bucket: &str, request: Request) -> Result<Created, Refusal> {
        let (parts, body) = request.into_parts();
        let body = DrainOnDrop::new(body);
        if !self.store.has_bucket(bucket) {
            return Err(Refusal::NoSuchBucket(bucket.to_owned()));
        }
        if !is_form(&parts.headers) {
            return Err(Refusal::NotAForm);
        }
        let text = |name| {
            parts
                .headers
                .get(name)
                .and_then(|value| value.to_str().ok())
        };
        let length: u64 = text(header::CONTENT_LENGTH)
            .and_then(|length| length.parse().ok())
            .ok_or(Refusal::MissingContentLength)?;
        let boundary = parameter(text(header::CONTENT_TYPE).unwrap_or_default(), "boundary")
            .filter(|boundary| !boundary.is_empty())
            .ok_or(Refusal::NotWellFormed)?;

        let mut reader = FormReader::new(&boundary, body);
        let (mut fields, file) = reader.read_fields().await?;
        if fields.get("key").is_none() {
            return Err(Refusal::MissingField("key"));
        }
        let file = file.ok_or(Refusal::NoFile)?;
        let now = Timestamp::now();
        let version = signature::verify(now, &fields, &self.credentials)?;
        let policy = Policy::parse(fields.get("policy").unwrap_or_default())?;
        fields.expand_file_name(file.name.as_deref());
        policy.check(now, bucket, &fields, version)?;
        let key = fields.get("key").unwrap_or_default().to_owned();
        if key.is_empty() {
            return Err(Refusal::EmptyKey);
        }
        if key.len() > MAX_KEY_BYTES {
            return Err(s3s::s3_error!(KeyTooLongError, "Your key is too long").into());
        }
        let input = input_of(bucket, &key, &fields);
        check_headers(&fields)?;
        let received = self.receive(file, &policy, length).await?;
        reader.finish().await?;
        let access_key = self.credentials.access_key_id();
        let etag = self
            .store
            .create(input, received, "ObjectCreated:Post", access_key)
            .await?;
        Ok(Created {
            bucket: bucket.to_owned(),
            key,
            etag,
            fields,
        })
    }

    /// Receives the file. `length` is that of the whole form, in bytes.
    async fn receive(
        &self,
        mut file: FilePart,
        policy: &Policy,
        length: u64,
    ) -> Result<Received, Refusal> {
        let (min, max) = policy.size_range();
        let max = max.min(MAX_BYTES);
        let declared = length.saturating_sub(file.surrounding_bytes);
        let mut received = self.store.receive();
        while let Some(piece) = file.next().await? {
            if received.size() + piece.len() as u64 > max {
                let proposed = declared.max(max + 1);
                return Err(Refusal::TooLarge { proposed, max });
            }
            received.write(&piece)?;
        }
        let proposed = received.size();
        if proposed < min {
            return Err(Refusal::TooSmall { proposed, min });
        }
        Ok(received)
    }
}

/// Checks that the fields that are kept can be headers of answers.
fn check_headers(fields: &Fields) -> Result<(), Refusal> {
    const KEPT: [&str; 7] = [
        "cache-control",
        "content-disposition",
        "content-encoding",
        "content-language",
        "content-type",
        "expires",
        "x-amz-website-redirect-location",
    ];
    for (name, value) in fields.iter() {
        let is_kept = KEPT.contains(&name) || name.starts_with("x-amz-meta-");
        let is_header = HeaderName::try_from(name).is_ok() && HeaderValue::from_str(value).is_ok();
        if is_kept && !is_header {
            return Err(Refusal::NotAHeader(name.to_owned()));
        }
    }
    Ok(())
}

/// The object's attributes in a form's fields. Fields that the emulator does not use, such as `acl` and `tagging`, are
/// checked like all others and not kept.
fn input_of(bucket: &str, key: &str, fields: &Fields) -> PutObjectInput {
    let text = |name: &str| fields.get(name).map(str::to_owned);
    let metadata = fields.iter().filter_map(|(name, value)| {
        let name = name.strip_prefix("x-amz-meta-")?;
        Some((name.to_owned(), value.to_owned()))
    });
    let expires = fields.get("expires");
    let expires = expires.and_then(|time| S3Timestamp::parse(TimestampFormat::HttpDate, time).ok());
    PutObjectInput {
        bucket: bucket.to_owned(),
        key: key.to_owned(),
        cache_control: text("cache-control"),
        checksum_algorithm: text("x-amz-checksum-algorithm").map(Into::into),
        checksum_crc32: text("x-amz-checksum-crc32"),
        checksum_crc32c: text("x-amz-checksum-crc32c"),
        checksum_crc64nvme: text("x-amz-checksum-crc64nvme"),
        checksum_sha1: text("x-amz-checksum-sha1"),
        checksum_sha256: text("x-amz-checksum-sha256"),
        content_disposition: text("content-disposition"),
        content_encoding: text("content-encoding"),
        content_language: text("content-language"),
        content_md5: text("content-md5"),
        content_type: text("content-type"),
        expires,
        metadata: Some(metadata.collect()),
        storage_class: text("x-amz-storage-class").map(Into::into),
        website_redirect_location: text("x-amz-website-redirect-location"),
        ..PutObjectInput::default()
    }
}

impl Created {
    /// S3's answer: a redirection, a document, or nothing.
    fn into_response(self, host: &str) -> Response<Body> {
        let (bucket, key) = (encode_all(&self.bucket), encode_all(&self.key));
        let location = format!("http://{host}/{bucket}/{key}");
        let etag = HeaderValue::try_from(&self.etag);
        let mut response = Response::new(Body::empty());
        if let Some(target) = self.redirection() {
            *response.status_mut() = StatusCode::SEE_OTHER;
            response.headers_mut().insert(header::LOCATION, target);
        } else {
            *response.status_mut() = match self.fields.get("success_action_status") {
                Some("200") => StatusCode::OK,
                Some("201") => StatusCode::CREATED,
                _ => StatusCode::NO_CONTENT,
            };
            if response.status() == StatusCode::CREATED {
                let document = format!(
                    "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<PostResponse><Location>{}</Location><Bucket>{}</Bucket><Key>{}</Key><ETag>{}</ETag></PostResponse>",
                    escape(&location),
                    escape(&self.bucket),
                    escape(&self.key),
                    escape(&self.etag)
                );
                *response.body_mut() = Body::from(document);
                let xml = HeaderValue::from_static("application/xml");
                response.headers_mut().insert(header::CONTENT_TYPE, xml);
            }
            if let Ok(location) = HeaderValue::try_from(location) {
                response.headers_mut().insert(header::LOCATION, location);
            }
        }
        if let Ok(etag) = etag {
            response.headers_mut().insert(header::ETAG, etag);
        }
        response
    }

    /// The address to which the form redirects, with the object's names. S3 ignores a text that is not a URL.
    fn redirection(&self) -> Option<HeaderValue> {
        let fields = &self.fields;
        let target = fields
            .get("success_action_redirect")
            .or_else(|| fields.get("redirect"))?;
        let uri: http::Uri = target.parse().ok()?;
        if !matches!(uri.scheme_str(), Some("http" | "https")) {
            return None;
        }
        let (target, fragment) = match target.split_once('#') {
            Some((target, fragment)) => (target, format!("#{fragment}")),
            None => (target, String::new()),
        };
        let separator = if uri.query().is_some() { '&' } else { '?' };
        let [bucket, key, etag] =
            [&self.bucket, &self.key, &self.etag].map(|text| encode_all(text));
        HeaderValue::try_from(format!(
            "{target}{separator}bucket={bucket}&key={key}&etag={etag}{fragment}"
        ))
        .ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(fields: &[(&str, &str)]) -> (u16, Option<String>) {
        let created = Created {
            bucket: "b".to_owned(),
            key: "u/a b".to_owned(),
            etag: "\"e\"".to_owned(),
            fields: fields.iter().copied().collect(),
        };
        let response = created.into_response("127.0.0.1:9000");
        let location = response.headers().get(header::LOCATION);
        let location = location.map(|value| value.to_str().unwrap().to_owned());
        (response.status().as_u16(), location)
    }

    #[test]
    fn a_forms_fields_decide_its_answer() {
        const OBJECT: &str = "http://127.0.0.1:9000/b/u%2Fa%20b";
        for (fields, status, location) in [
            (&[][..], 204, OBJECT),
            (&[("success_action_status", "200")], 200, OBJECT),
            (&[("success_action_status", "201")], 201, OBJECT),
            (&[("success_action_status", "302")], 204, OBJECT),
            (
                &[("success_action_redirect", "https://example.com/done")],
                303,
                "https://example.com/done?bucket=b&key=u%2Fa%20b&etag=%22e%22",
            ),
            (
                &[("redirect", "https://example.com/?a=1#top")],
                303,
                "https://example.com/?a=1&bucket=b&key=u%2Fa%20b&etag=%22e%22#top",
            ),
            (&[("success_action_redirect", "/done")], 204, OBJECT),
            (
                &[("success_action_redirect", "javascript:alert(1)")],
                204,
                OBJECT,
            ),
        ] {
            assert_eq!(
                answer(fields),
                (status, Some(location.to_owned())),
                "{fields:?}"
            );
        }
    }
}
