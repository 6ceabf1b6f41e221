//! The objects: `s3s-fs` on disk, with what it lacks of S3's promises put around it.
//!
//! `s3s-fs` moves an upload into place before it has checked its digests, looks at `If-None-Match` and writes without
//! holding the two together, and does not know `If-Match` on reads. Here a body is checked whole before it is written,
//! writes happen one at a time, and a new object is announced before its sender is answered.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use futures::TryStreamExt;
use s3s::checksum::ChecksumHasher;
use s3s::crypto::{Checksum as _, Crc32, Crc32c, Crc64Nvme, Md5, Sha1, Sha256};
use s3s::dto::{
    ChecksumAlgorithm, DeleteObjectInput, DeleteObjectOutput, DeleteObjectsInput,
    DeleteObjectsOutput, DeletedObject, ETag, ETagCondition, GetObjectInput, GetObjectOutput,
    HeadBucketInput, HeadBucketOutput, HeadObjectInput, HeadObjectOutput, ListBucketsInput,
    ListBucketsOutput, ListObjectVersionsInput, ListObjectVersionsOutput, ListObjectsV2Input,
    ListObjectsV2Output, ObjectVersion, PutObjectInput, PutObjectOutput, StreamingBlob,
};
use s3s::{Body, S3, S3Error, S3Request, S3Response, S3Result, s3_error};
use s3s_fs::FileSystem;
use tokio::sync::Mutex;

use super::notification::{CreatedObject, Notifier};

/// What is taken in one request by those who have the key; whoever has only a form has its policy's limit.
const MAX_OBJECT_BYTES: usize = 256 << 20;

/// The content type of an object that was sent without one, as S3 has it.
pub(super) const DEFAULT_CONTENT_TYPE: &str = "binary/octet-stream";

/// The object store behind the embedded S3.
#[derive(Clone)]
pub(super) struct Store {
    root: PathBuf,
    files: Arc<FileSystem>,
    notifier: Notifier,
    /// Held from the check of a condition to the end of the write that it guards.
    writing: Arc<Mutex<()>>,
}

impl Store {
    pub(super) fn new(root: &Path, files: FileSystem, notifier: Notifier) -> Self {
        Self {
            root: root.to_owned(),
            files: Arc::new(files),
            notifier,
            writing: Arc::default(),
        }
    }

    /// Throws away what a process left that ended while it wrote: `s3s-fs` writes an object's bytes first and its
    /// content type after. Its sender was never answered.
    pub(super) async fn discard_unfinished(&self, bucket: &str) -> S3Result<()> {
        let listed = ListObjectsV2Input {
            bucket: bucket.to_owned(),
            max_keys: Some(i32::MAX),
            ..ListObjectsV2Input::default()
        };
        let listing = self.files.list_objects_v2(internal(listed)).await?.output;
        for key in listing
            .contents
            .into_iter()
            .flatten()
            .filter_map(|object| object.key)
        {
            let looked_at = HeadObjectInput {
                bucket: bucket.to_owned(),
                key: key.clone(),
                ..HeadObjectInput::default()
            };
            let found = self.files.head_object(internal(looked_at)).await?.output;
            if found.content_type.is_none() {
                tracing::warn!(
                    bucket,
                    key,
                    "the rest of an unfinished write is thrown away"
                );
                let deleted = DeleteObjectInput {
                    bucket: bucket.to_owned(),
                    key,
                    ..DeleteObjectInput::default()
                };
                self.delete(internal(deleted)).await?;
            }
        }
        Ok(())
    }
}

#[async_trait::async_trait]
impl S3 for Store {
    async fn list_buckets(
        &self,
        req: S3Request<ListBucketsInput>,
    ) -> S3Result<S3Response<ListBucketsOutput>> {
        self.files.list_buckets(req).await
    }

    async fn head_bucket(
        &self,
        req: S3Request<HeadBucketInput>,
    ) -> S3Result<S3Response<HeadBucketOutput>> {
        self.files.head_bucket(req).await
    }

    async fn list_objects_v2(
        &self,
        req: S3Request<ListObjectsV2Input>,
    ) -> S3Result<S3Response<ListObjectsV2Output>> {
        self.files.list_objects_v2(req).await
    }

    async fn head_object(
        &self,
        req: S3Request<HeadObjectInput>,
    ) -> S3Result<S3Response<HeadObjectOutput>> {
        self.files.head_object(req).await
    }

    async fn get_object(
        &self,
        req: S3Request<GetObjectInput>,
    ) -> S3Result<S3Response<GetObjectOutput>> {
        let wanted = req.input.if_match.clone();
        let answer = self.files.get_object(req).await?;
        if let Some(ETagCondition::ETag(wanted)) = wanted {
            let found = answer.output.e_tag.as_ref().map(ETag::value);
            if found != Some(wanted.value()) {
                return Err(precondition_failed());
            }
        }
        Ok(answer)
    }

    async fn delete_object(
        &self,
        req: S3Request<DeleteObjectInput>,
    ) -> S3Result<S3Response<DeleteObjectOutput>> {
        let _writing = self.writing.lock().await;
        if let Some(ETagCondition::ETag(wanted)) = &req.input.if_match {
            let looked_at = HeadObjectInput {
                bucket: req.input.bucket.clone(),
                key: req.input.key.clone(),
                ..HeadObjectInput::default()
            };
            let found = self.files.head_object(internal(looked_at)).await?.output;
            if found.e_tag.as_ref().map(ETag::value) != Some(wanted.value()) {
                return Err(precondition_failed());
            }
        }
        self.delete(req).await
    }

    /// S3's way to delete several keys, each with its own error.
    async fn delete_objects(
        &self,
        req: S3Request<DeleteObjectsInput>,
    ) -> S3Result<S3Response<DeleteObjectsOutput>> {
        let _writing = self.writing.lock().await;
        let DeleteObjectsInput { bucket, delete, .. } = req.input;
        let mut output = DeleteObjectsOutput::default();
        for object in delete.objects {
            let input = DeleteObjectInput {
                bucket: bucket.clone(),
                key: object.key.clone(),
                ..DeleteObjectInput::default()
            };
            match self.delete(internal(input)).await {
                Ok(_) if delete.quiet == Some(true) => {}
                Ok(_) => output.deleted.get_or_insert_default().push(DeletedObject {
                    key: Some(object.key),
                    ..DeletedObject::default()
                }),
                Err(error) => output.errors.get_or_insert_default().push(s3s::dto::Error {
                    code: Some(error.code().as_str().to_owned()),
                    key: Some(object.key),
                    message: error.message().map(str::to_owned),
                    ..s3s::dto::Error::default()
                }),
            }
        }
        Ok(S3Response::new(output))
    }

    /// These buckets keep no versions: as in S3, each object then has the one version `null`.
    async fn list_object_versions(
        &self,
        req: S3Request<ListObjectVersionsInput>,
    ) -> S3Result<S3Response<ListObjectVersionsOutput>> {
        let input = req.input;
        let listed = ListObjectsV2Input {
            bucket: input.bucket.clone(),
            prefix: input.prefix.clone(),
            max_keys: input.max_keys,
            start_after: input.key_marker.clone(),
            ..ListObjectsV2Input::default()
        };
        let listing = self.files.list_objects_v2(internal(listed)).await?.output;
        let objects = listing.contents.unwrap_or_default();
        let is_truncated = listing.is_truncated == Some(true);
        let last = objects.last().and_then(|object| object.key.clone());
        let versions = objects.into_iter().map(|object| ObjectVersion {
            key: object.key,
            size: object.size,
            last_modified: object.last_modified,
            e_tag: object.e_tag,
            is_latest: Some(true),
            version_id: Some("null".to_owned()),
            ..ObjectVersion::default()
        });
        Ok(S3Response::new(ListObjectVersionsOutput {
            name: Some(input.bucket),
            prefix: input.prefix,
            key_marker: input.key_marker,
            max_keys: input.max_keys,
            is_truncated: Some(is_truncated),
            next_key_marker: last.filter(|_| is_truncated),
            versions: Some(versions.collect()),
            ..ListObjectVersionsOutput::default()
        }))
    }

    /// Also what a form arrives at: `s3s` hands `PostObject` on to here.
    async fn put_object(
        &self,
        mut req: S3Request<PutObjectInput>,
    ) -> S3Result<S3Response<PutObjectOutput>> {
        let body = match req.input.body.take() {
            Some(body) => collect(body).await?,
            None => Bytes::new(),
        };
        take_trailing_digests(&mut req);
        check_digests(&req.input, &body)?;
        let created = CreatedObject {
            event_name: match req.method {
                http::Method::POST => "ObjectCreated:Post",
                _ => "ObjectCreated:Put",
            },
            bucket: req.input.bucket.clone(),
            key: req.input.key.clone(),
            size: body.len() as u64,
            etag: hex(Md5::checksum(&body).as_ref()),
            access_key: req
                .credentials
                .as_ref()
                .map(|credentials| credentials.access_key.clone())
                .unwrap_or_default(),
        };
        req.input
            .content_type
            .get_or_insert_with(|| DEFAULT_CONTENT_TYPE.to_owned());
        req.input.content_length = i64::try_from(body.len()).ok();
        req.input.body = Some(StreamingBlob::from(Body::from(body)));
        // A task of its own: a sender that hangs up after the last byte must not leave half of it.
        let store = self.clone();
        tokio::spawn(async move { store.write(req, created).await })
            .await
            .map_err(|error| s3_error!(error, InternalError, "the write was broken off"))?
    }
}

impl Store {
    /// Deletes an object and what `s3s-fs` keeps beside it, which it leaves behind: the attributes of a former object
    /// would make an unfinished one look finished.
    async fn delete(
        &self,
        req: S3Request<DeleteObjectInput>,
    ) -> S3Result<S3Response<DeleteObjectOutput>> {
        let encode = |text: &str| data_encoding::BASE64URL_NOPAD.encode(text.as_bytes());
        let (bucket, key) = (encode(&req.input.bucket), encode(&req.input.key));
        let answer = self.files.delete_object(req).await?;
        for kind in ["metadata", "internal"] {
            let beside = format!(".bucket-{bucket}.object-{key}.{kind}.json");
            match tokio::fs::remove_file(self.root.join(beside)).await {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    return Err(s3_error!(
                        error,
                        InternalError,
                        "the attributes cannot be deleted"
                    ));
                }
                _ => {}
            }
        }
        Ok(answer)
    }

    /// Writes a checked object and announces it.
    async fn write(
        &self,
        req: S3Request<PutObjectInput>,
        created: CreatedObject,
    ) -> S3Result<S3Response<PutObjectOutput>> {
        let _writing = self.writing.lock().await;
        let is_form = req.method == http::Method::POST;
        let mut answer = self.files.put_object(req).await?;
        if is_form && let Ok(etag) = format!("\"{}\"", created.etag).parse() {
            // S3 names the ETag in its answer to a form, too.
            answer.headers.insert(http::header::ETAG, etag);
        }
        self.notifier
            .object_created(&created)
            .await
            .map_err(|error| s3_error!(error, InternalError, "the event could not be queued"))?;
        Ok(answer)
    }
}

/// A request of our own, as if it had come in and been checked.
fn internal<T>(input: T) -> S3Request<T> {
    S3Request {
        input,
        method: http::Method::GET,
        uri: http::Uri::default(),
        headers: http::HeaderMap::default(),
        extensions: http::Extensions::default(),
        credentials: None,
        region: None,
        service: None,
        trailing_headers: None,
    }
}

fn precondition_failed() -> S3Error {
    s3_error!(
        PreconditionFailed,
        "At least one of the pre-conditions you specified did not hold"
    )
}

async fn collect(body: StreamingBlob) -> S3Result<Bytes> {
    let collected = body
        .map_err(|error| s3_error!(IncompleteBody, "the body broke off: {error}"))
        .try_fold(BytesMut::new(), |mut collected, part| async move {
            if collected.len() + part.len() > MAX_OBJECT_BYTES {
                return Err(s3_error!(
                    EntityTooLarge,
                    "the embedded S3 takes objects of at most 256 MiB"
                ));
            }
            collected.extend_from_slice(&part);
            Ok(collected)
        })
        .await?;
    Ok(collected.freeze())
}

/// Moves the digests that the AWS SDKs send after the body to where the others stand.
fn take_trailing_digests(req: &mut S3Request<PutObjectInput>) {
    let Some(trailers) = req.trailing_headers.take().and_then(|handle| handle.take()) else {
        return;
    };
    let input = &mut req.input;
    for (name, field) in [
        ("x-amz-checksum-crc32", &mut input.checksum_crc32),
        ("x-amz-checksum-crc32c", &mut input.checksum_crc32c),
        ("x-amz-checksum-crc64nvme", &mut input.checksum_crc64nvme),
        ("x-amz-checksum-sha1", &mut input.checksum_sha1),
        ("x-amz-checksum-sha256", &mut input.checksum_sha256),
    ] {
        if let Some(value) = trailers.get(name).and_then(|value| value.to_str().ok()) {
            *field = Some(value.to_owned());
        }
    }
}

/// Holds the body against every digest that was sent, before a byte of it is kept.
fn check_digests(input: &PutObjectInput, body: &[u8]) -> S3Result<()> {
    if let Some(sent) = &input.content_md5
        && *sent != data_encoding::BASE64.encode(Md5::checksum(body).as_ref())
    {
        return Err(s3_error!(
            BadDigest,
            "The Content-MD5 you specified did not match what we received."
        ));
    }
    let mut hasher = ChecksumHasher {
        crc32: input.checksum_crc32.is_some().then(Crc32::new),
        crc32c: input.checksum_crc32c.is_some().then(Crc32c::new),
        crc64nvme: input.checksum_crc64nvme.is_some().then(Crc64Nvme::new),
        sha1: input.checksum_sha1.is_some().then(Sha1::new),
        sha256: input.checksum_sha256.is_some().then(Sha256::new),
    };
    hasher.update(body);
    let found = hasher.finalize();
    for (name, sent, found) in [
        ("CRC32", &input.checksum_crc32, found.checksum_crc32),
        ("CRC32C", &input.checksum_crc32c, found.checksum_crc32c),
        (
            "CRC64NVME",
            &input.checksum_crc64nvme,
            found.checksum_crc64nvme,
        ),
        ("SHA1", &input.checksum_sha1, found.checksum_sha1),
        ("SHA256", &input.checksum_sha256, found.checksum_sha256),
    ] {
        if *sent != found {
            return Err(s3_error!(
                BadDigest,
                "The {name} you specified did not match the calculated checksum."
            ));
        }
        // S3 wants the value of the algorithm that was named.
        if sent.is_none()
            && input
                .checksum_algorithm
                .as_ref()
                .map(ChecksumAlgorithm::as_str)
                == Some(name)
        {
            return Err(s3_error!(
                InvalidRequest,
                "x-amz-checksum-algorithm names {name}, whose value is missing."
            ));
        }
    }
    Ok(())
}

fn hex(bytes: &[u8]) -> String {
    data_encoding::HEXLOWER.encode(bytes)
}
