//! `POST /api/uploads` makes a form that uploads one file. `GET /api/uploads/{id}` answers with the upload's status, and
//! `GET /api/uploads?ids=` with those of many.

use axum::body::Bytes;
use axum::extract::rejection::{BytesRejection, PathRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use data_encoding::HEXLOWER;
use edge_auth::Owner;
use futures::{StreamExt, TryStreamExt, stream};
use jiff::{SignedDuration, Timestamp};
use media_contract::{MAX_PROCESSING, Reason, Status, UploadId, UploadKey};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use url_signing::{Expiry, PostPolicy, SignedForm};

use crate::api::Api;
use crate::body::{Members, essence};
use crate::caller::CallingOwner;
use crate::cross_origin::SiteOrigin;
use crate::media_urls::{CameFrom, MediaUrls};
use crate::problem::Problem;
use crate::settings::{UPLOAD_PATH, UploadsThrough};
use crate::signer::Term;

/// The most uploads that one call asks for.
const MAX_IDS: usize = 50;
/// How many uploads of a call are looked at concurrently.
const CONCURRENT_READS: usize = 8;
/// A longer name is truncated: S3 stores 2 KB of metadata per object.
const MAX_FILENAME_BYTES: usize = 512;
/// Everything except the unreserved characters (RFC 3986 §2.3) is encoded.
const UNRESERVED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'~');
/// The maximum difference between the clocks of two machines that make ids.
const CLOCK_SKEW: SignedDuration = SignedDuration::from_mins(5);
/// How long after the form's expiry an upload may still arrive: one that began in time, on a slow connection.
const ARRIVAL_GRACE: SignedDuration = SignedDuration::from_mins(15);

/// The body of `POST /api/uploads`.
#[derive(Debug)]
struct CreateUploadRequest {
    content_type: String,
    size: u64,
    sha256: Option<String>,
    filename: Option<String>,
}

impl CreateUploadRequest {
    fn read(mut members: Members) -> Result<Self, Problem> {
        let request = Self {
            content_type: canonical_type(&members.text("content_type")?),
            size: members.whole_number("size")?,
            sha256: members.optional_text("sha256")?,
            filename: members.optional_text("filename")?,
        };
        members.finish()?;
        Ok(request)
    }
}

/// The answer to `POST /api/uploads`.
#[derive(Debug, Serialize)]
struct Created {
    id: String,
    #[serde(flatten)]
    form: SignedForm,
    manifest: String,
}

/// Makes an upload's id and its form.
pub(crate) async fn create(
    State(api): State<Api>,
    CallingOwner(owner): CallingOwner,
    site: Option<Extension<SiteOrigin>>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, Problem> {
    let request = CreateUploadRequest::read(Members::read(&headers, body)?)?;
    let digest = check(&api, &request)?;
    let now = (api.clock)();
    let id = new_id(now)?;
    let upload = UploadKey {
        owner: owner.as_str().to_owned(),
        id,
    };

    // The size is exact: a form for 3 KB does not accept 25 MB.
    let expiry = Expiry::within(api.settings.form_lifetime).clamp_to_credentials();
    let size = request.size..=request.size;
    let mut policy = PostPolicy::new(
        &api.settings.upload_bucket,
        &upload.original(),
        size,
        expiry,
    )?
    .content_type(&request.content_type)?;
    if let Some((text, bytes)) = digest {
        policy = policy.sha256(bytes)?.metadata("sha256", &text)?;
    }
    if let Some(filename) = request.filename.as_ref().filter(|name| !name.is_empty()) {
        policy = policy.metadata("filename", &encode_filename(filename))?;
    }
    let term = Term::of(now, api.settings.form_lifetime);
    let mut form = policy.sign(now, &api.signer.credentials(now, term).await?)?;
    // A form's signature does not cover the address that it is posted to.
    if api.settings.uploads_through == UploadsThrough::Distribution {
        form.url = SiteOrigin::url(site.as_deref(), UPLOAD_PATH)?;
    }
    tracing::info!(owner = %owner, %id, size = request.size, "a form was signed");
    let created = Created {
        manifest: upload.manifest_path(),
        id: id.to_string(),
        form,
    };
    Ok((StatusCode::CREATED, Json(created)).into_response())
}

/// Answers with the status of one of the caller's uploads.
pub(crate) async fn show(
    State(api): State<Api>,
    CallingOwner(owner): CallingOwner,
    from: CameFrom,
    id: Result<Path<String>, PathRejection>,
) -> Result<Response, Problem> {
    let upload = upload_of(&owner, id)?;
    let (mut answer, end) = status_of(&api, &from, &upload).await?;
    if let Some(end) = end {
        answer["urls_expire_at"] = json!(end);
    }
    Ok(Json(answer).into_response())
}

/// The query of `GET /api/uploads`: ids with commas between them.
#[derive(Debug, Deserialize)]
pub(crate) struct Asked {
    ids: String,
}

/// The answer to `GET /api/uploads`.
#[derive(Debug, Serialize)]
pub(crate) struct Statuses {
    items: Vec<Value>,
    /// When the first URL of a rendition expires, if they are signed.
    #[serde(skip_serializing_if = "Option::is_none")]
    urls_expire_at: Option<Timestamp>,
}

/// Answers with the status of several of the caller's uploads, in the order of the ids. One that does not exist is
/// `unknown`, so that it does not hide the others.
pub(crate) async fn show_many(
    State(api): State<Api>,
    CallingOwner(owner): CallingOwner,
    from: CameFrom,
    asked: Result<Query<Asked>, QueryRejection>,
) -> Result<Json<Statuses>, Problem> {
    const INVALID: Problem = Problem::InvalidParameter { name: "ids" };
    let Query(Asked { ids }) = asked.map_err(|_| INVALID)?;
    let ids: Option<Vec<_>> = ids.split(',').map(UploadId::parse).collect();
    let ids = ids.filter(|ids| ids.len() <= MAX_IDS).ok_or(INVALID)?;
    let (api, from, owner) = (&api, &from, owner.as_str());
    let reads: Vec<_> = ids
        .into_iter()
        .map(|id| async move {
            let owner = owner.to_owned();
            match status_of(api, from, &UploadKey { owner, id }).await {
                Err(Problem::NoSuchUpload) => Ok((json!({"id": id, "status": "unknown"}), None)),
                found => found,
            }
        })
        .collect();
    let found: Vec<_> = stream::iter(reads)
        .buffered(CONCURRENT_READS)
        .try_collect()
        .await?;
    let urls_expire_at = found.iter().filter_map(|(_, end)| *end).min();
    let items = found.into_iter().map(|(item, _)| item).collect();
    Ok(Json(Statuses {
        items,
        urls_expire_at,
    }))
}

/// The status of an upload, and when the first of its URLs expires, if they are signed.
async fn status_of(
    api: &Api,
    from: &CameFrom,
    upload: &UploadKey,
) -> Result<(Value, Option<Timestamp>), Problem> {
    let id = upload.id;
    let Some(found) = api.store.manifest(upload).await? else {
        return Ok((without_manifest(api, upload).await?, None));
    };
    let manifest = found.manifest;
    let status = manifest.status.name();
    Ok(match &manifest.status {
        Status::Ready { .. } => {
            let urls = MediaUrls::listed(api, from).await?;
            let (manifest, end) = urls.add_to(&manifest, (api, from)).await?;
            (
                json!({"id": id, "status": status, "manifest": manifest}),
                end,
            )
        }
        Status::Rejected { reason, .. } | Status::Failed { reason, .. } => {
            (json!({"id": id, "status": status, "reason": reason}), None)
        }
        Status::Deleted { .. } => (json!({"id": id, "status": status}), None),
    })
}

/// The caller's own upload with the id in a path.
pub(crate) fn upload_of(
    owner: &Owner,
    id: Result<Path<String>, PathRejection>,
) -> Result<UploadKey, Problem> {
    let Path(id) = id.map_err(|_| Problem::NoSuchUpload)?;
    Ok(UploadKey {
        owner: owner.as_str().to_owned(),
        id: UploadId::parse(&id).ok_or(Problem::NoSuchUpload)?,
    })
}

/// The answer for an upload that has no manifest.
async fn without_manifest(api: &Api, upload: &UploadKey) -> Result<Value, Problem> {
    let (now, made_at) = ((api.clock)(), upload.id.made_at());
    if let Some(arrived_at) = api.arrival(upload).await? {
        if now.duration_since(arrived_at) > MAX_PROCESSING {
            let reason = Reason {
                code: "not_processed".to_owned(),
                message: "This file has arrived, but it could not be processed. It is kept."
                    .to_owned(),
            };
            // A worker that is killed on every attempt writes no manifest; this is what it would say.
            let status = Status::Failed {
                reason,
                created_at: now,
            };
            let (name, reason) = (status.name(), status.reason());
            return Ok(json!({"id": upload.id, "status": name, "reason": reason}));
        }
        return Ok(json!({"id": upload.id, "status": "pending"}));
    }
    // Forms are not recorded. Until a form made at the id's time has expired, its upload may arrive.
    let open_until = made_at.saturating_add(api.settings.form_lifetime + ARRIVAL_GRACE);
    // This API makes no ids of the future, except for clock skew.
    let is_of_the_past = made_at.duration_since(now) < CLOCK_SKEW;
    if is_of_the_past && open_until.is_ok_and(|until| now < until) {
        return Ok(json!({"id": upload.id, "status": "pending"}));
    }
    Err(Problem::NoSuchUpload)
}

/// Checks a request against the settings; returns the digest as text and bytes.
fn check(api: &Api, request: &CreateUploadRequest) -> Result<Option<(String, [u8; 32])>, Problem> {
    let settings = &api.settings;
    if !settings.types.contains(&request.content_type) {
        return Err(Problem::UnsupportedType {
            allowed: settings.types.clone(),
        });
    }
    if request.size == 0 {
        return Err(Problem::InvalidBody(
            "size is 0: the file is empty".to_owned(),
        ));
    }
    if request.size > settings.max_bytes {
        return Err(Problem::TooLarge {
            size: request.size,
            max: settings.max_bytes,
        });
    }
    let Some(text) = &request.sha256 else {
        return Ok(None);
    };
    let bytes = HEXLOWER
        .decode(text.as_bytes())
        .ok()
        .and_then(|bytes| <[u8; 32]>::try_from(bytes).ok())
        .ok_or_else(|| {
            Problem::InvalidBody("sha256 must be 64 lower-case hexadecimal digits".to_owned())
        })?;
    Ok(Some((text.clone(), bytes)))
}

/// A media type under its registered name. Some systems use other names for JPEG.
fn canonical_type(content_type: &str) -> String {
    match essence(content_type) {
        alias if alias == "image/jpg" || alias == "image/pjpeg" => "image/jpeg".to_owned(),
        essence => essence,
    }
}

fn new_id(now: Timestamp) -> Result<UploadId, Problem> {
    let mut random = [0; 10];
    getrandom::fill(&mut random)?;
    Ok(UploadId::new(now, random))
}

/// A file's name as metadata: percent-encoded, because headers are ASCII, and truncated between two characters.
fn encode_filename(filename: &str) -> String {
    let mut encoded = String::new();
    for character in filename.chars() {
        let mut buffer = [0; 4];
        let piece = utf8_percent_encode(character.encode_utf8(&mut buffer), UNRESERVED).to_string();
        if encoded.len() + piece.len() > MAX_FILENAME_BYTES {
            break;
        }
        encoded.push_str(&piece);
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_alias_of_a_media_type_becomes_its_registered_name() {
        for (written, canonical) in [
            ("image/jpeg", "image/jpeg"),
            ("image/jpg", "image/jpeg"),
            ("Image/PJPEG", "image/jpeg"),
            ("IMAGE/PNG; name=\"a;b.png\"", "image/png"),
            (" image/webp ;", "image/webp"),
            ("image/svg+xml", "image/svg+xml"),
            ("", ""),
        ] {
            assert_eq!(canonical_type(written), canonical);
        }
    }

    #[test]
    fn a_filename_becomes_harmless_metadata() {
        for (filename, encoded) in [
            ("photo.jpg", "photo.jpg"),
            ("Ferien in Köln.jpg", "Ferien%20in%20K%C3%B6ln.jpg"),
            ("../../etc/passwd", "..%2F..%2Fetc%2Fpasswd"),
            (
                "a\r\nx-amz-acl: public-read",
                "a%0D%0Ax-amz-acl%3A%20public-read",
            ),
            ("${filename}", "%24%7Bfilename%7D"),
        ] {
            assert_eq!(encode_filename(filename), encoded);
        }
        assert_eq!(encode_filename(&"é".repeat(1000)).len(), 510);
    }
}
