//! The objects: `s3s-fs` on disk, with what it lacks of S3's promises put around it.
//!
//! `s3s-fs` moves an upload into place before it has checked its digests, looks at `If-None-Match` and writes without
//! holding the two together, does not know `If-Match` on reads, and leaves it to the system when anything reaches the
//! disk. Here a body is checked whole before it is written, writes happen one at a time, and a new object is on disk
//! and announced before its sender is answered.

mod files;
mod listing;
mod multipart;
mod received;
mod request;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;
use s3s::dto::{
    AbortMultipartUploadInput, AbortMultipartUploadOutput, CompleteMultipartUploadInput,
    CompleteMultipartUploadOutput, CopyObjectInput, CopyObjectOutput, CopySource,
    CreateMultipartUploadInput, CreateMultipartUploadOutput, DeleteObjectInput, DeleteObjectOutput,
    DeleteObjectsInput, DeleteObjectsOutput, DeletedObject, ETag, GetBucketLocationInput,
    GetBucketLocationOutput, GetObjectInput, GetObjectOutput, HeadBucketInput, HeadBucketOutput,
    HeadObjectInput, HeadObjectOutput, ListBucketsInput, ListBucketsOutput,
    ListObjectVersionsInput, ListObjectVersionsOutput, ListObjectsInput, ListObjectsOutput,
    ListObjectsV2Input, ListObjectsV2Output, ListPartsInput, ListPartsOutput, PutObjectInput,
    PutObjectOutput, UploadPartCopyInput, UploadPartCopyOutput, UploadPartInput, UploadPartOutput,
};
use s3s::{S3, S3Error, S3Request, S3Response, S3Result, s3_error};
use s3s_fs::FileSystem;
use tokio::sync::RwLock;

use super::notification::{CreatedObject, Notification};
use files::ObjectFiles;
use multipart::Begun;
pub(in crate::s3) use received::Received;
use received::{SentDigests, disk_error};

/// What S3 takes in one request, in bytes.
const MAX_BYTES: u64 = 5 << 30;

/// The content type of an object that was sent without one, as S3 has it.
const DEFAULT_CONTENT_TYPE: &str = "binary/octet-stream";

/// The object store behind the embedded S3.
#[derive(Clone)]
pub(super) struct Store {
    root: PathBuf,
    files: Arc<FileSystem>,
    notifications: Arc<[Notification]>,
    /// Held by a writer from the check of a condition to the end of the write that it guards, and by readers while they
    /// open an object and read its attributes, which are other files.
    lock: Arc<RwLock<()>>,
}

impl Store {
    /// Opens the store in a folder, and makes the buckets that are missing. Damaged objects are moved to `aside`.
    pub(super) fn open(
        root: &Path,
        buckets: &[String],
        aside: &Path,
        notifications: Vec<Notification>,
    ) -> std::io::Result<Self> {
        for bucket in buckets {
            std::fs::create_dir_all(root.join(bucket))?;
        }
        files::set_damaged_aside(Timestamp::now(), root, buckets, aside)?;
        let files = FileSystem::new(root)
            .map_err(|error| std::io::Error::other(sentence(&S3Error::from(error))))?;
        Ok(Self {
            root: root.to_owned(),
            files: Arc::new(files),
            notifications: notifications.into(),
            lock: Arc::default(),
        })
    }

    pub(super) fn has_bucket(&self, bucket: &str) -> bool {
        ObjectFiles::is_possible_key(bucket)
            && !bucket.starts_with('.')
            && self.root.join(bucket).is_dir()
    }

    /// Begins to receive an object's content.
    pub(super) fn receive(&self) -> Received {
        Received::new(&self.root)
    }

    /// Stores an object that was received, and announces it; its `ETag`, with quotation marks. `event_name` is
    /// `ObjectCreated:Post`, say, and `access_key` that of the credentials that the request was signed with.
    pub(super) async fn create(
        &self,
        input: PutObjectInput,
        received: Received,
        event_name: &'static str,
        access_key: &str,
    ) -> S3Result<String> {
        let digests = SentDigests::of_object(&input, None);
        let received = received.check(digests).await?;
        let answer = self
            .put(internal(input), received, event_name, access_key.to_owned())
            .await?;
        let etag = answer.output.e_tag.as_ref().map(ETag::value);
        Ok(format!("\"{}\"", etag.unwrap_or_default()))
    }

    /// Writes content that was checked, and announces it.
    async fn put(
        &self,
        mut req: S3Request<PutObjectInput>,
        received: Received,
        event_name: &'static str,
        access_key: String,
    ) -> S3Result<S3Response<PutObjectOutput>> {
        let files = self.writable(&req.input.bucket, &req.input.key, false)?;
        req.input
            .content_type
            .get_or_insert_with(|| DEFAULT_CONTENT_TYPE.to_owned());
        req.input.content_length = i64::try_from(received.size()).ok();
        request::check_storage_class(req.input.storage_class.take())?;
        let store = self.clone();
        self.finish(async move {
            req.input.body = Some(received.into_body()?);
            let answer = store.files.put_object(req).await?;
            store.created(&files, event_name, access_key).await?;
            Ok(answer)
        })
        .await
    }

    /// Writes, one at a time, in a task of its own: a sender that hangs up after the last byte must not leave half of
    /// an object.
    async fn finish<T: Send + 'static>(
        &self,
        write: impl Future<Output = S3Result<T>> + Send + 'static,
    ) -> S3Result<T> {
        let lock = self.lock.clone();
        tokio::spawn(async move {
            let _writing = lock.write().await;
            write.await
        })
        .await
        .map_err(|error| s3_error!(error, InternalError, "the write was broken off"))?
    }

    /// An object was written: waits until it is on disk, and announces it.
    async fn created(
        &self,
        files: &ObjectFiles,
        event_name: &'static str,
        access_key: String,
    ) -> S3Result<()> {
        let synced = files.clone();
        tokio::task::spawn_blocking(move || synced.sync())
            .await
            .map_err(|error| s3_error!(error, InternalError, "the write was broken off"))?
            .map_err(disk_error)?;
        let found = self.head(&files.bucket, &files.key).await?;
        let created = CreatedObject {
            event_name,
            bucket: files.bucket.clone(),
            key: files.key.clone(),
            size: found
                .content_length
                .and_then(|size| u64::try_from(size).ok())
                .unwrap_or(0),
            etag: found.e_tag.map(ETag::into_value).unwrap_or_default(),
            access_key,
        };
        for notification in self.notifications.iter() {
            let told = notification.object_created(&created).await;
            told.map_err(|error| s3_error!(error, InternalError, "the event could not be queued"))?;
        }
        Ok(())
    }

    async fn head(&self, bucket: &str, key: &str) -> S3Result<HeadObjectOutput> {
        let input = HeadObjectInput {
            bucket: bucket.to_owned(),
            key: key.to_owned(),
            ..HeadObjectInput::default()
        };
        Ok(self.files.head_object(internal(input)).await?.output)
    }

    /// The files of an object that may be written. Objects are files here, so some keys of S3 cannot be kept.
    fn writable(&self, bucket: &str, key: &str, is_multipart: bool) -> S3Result<ObjectFiles> {
        if !self.has_bucket(bucket) {
            return Err(s3_error!(NoSuchBucket));
        }
        if !ObjectFiles::is_possible_key(key) {
            return Err(s3_error!(
                InvalidRequest,
                "The embedded S3 keeps objects as files: no part of a key between slashes may be empty, \".\", \"..\" or longer than 255 bytes, and a key has no control characters."
            ));
        }
        let files = ObjectFiles::new(&self.root, bucket, key);
        if !files.has_possible_names(is_multipart) {
            return Err(s3_error!(
                KeyTooLongError,
                "The embedded S3 keeps objects as files: with this bucket's name the key is too long."
            ));
        }
        let is_below_object = files.object().ancestors().skip(1).any(Path::is_file);
        if files.object().is_dir() || is_below_object {
            return Err(s3_error!(
                InvalidRequest,
                "The embedded S3 keeps objects as files: it cannot have an object whose key is also the folder of another one."
            ));
        }
        Ok(files)
    }

    /// Checks that an upload was begun to an object.
    fn begun(&self, bucket: &str, key: &str, id: &str) -> S3Result<()> {
        let files = self.writable(bucket, key, true)?;
        Begun::find(&self.root, &files, id).map(drop)
    }

    /// Checks that an object is there. `s3s-fs` would open a folder.
    fn readable(&self, bucket: &str, key: &str) -> S3Result<()> {
        if !self.has_bucket(bucket) {
            return Err(s3_error!(NoSuchBucket));
        }
        if !ObjectFiles::new(&self.root, bucket, key).exists() {
            return Err(s3_error!(NoSuchKey));
        }
        Ok(())
    }

    /// Deletes an object and what is beside it. It succeeds where there is none.
    async fn delete(&self, bucket: &str, key: &str) -> S3Result<DeleteObjectOutput> {
        let files = ObjectFiles::new(&self.root, bucket, key);
        if !files.exists() {
            return Ok(DeleteObjectOutput::default());
        }
        let input = DeleteObjectInput {
            bucket: bucket.to_owned(),
            key: key.to_owned(),
            ..DeleteObjectInput::default()
        };
        let answer = self.files.delete_object(internal(input)).await?;
        files.delete_beside().map_err(disk_error)?;
        files.remove_empty_folders();
        Ok(answer.output)
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

    async fn get_bucket_location(
        &self,
        req: S3Request<GetBucketLocationInput>,
    ) -> S3Result<S3Response<GetBucketLocationOutput>> {
        self.files.get_bucket_location(req).await
    }

    async fn list_objects(
        &self,
        req: S3Request<ListObjectsInput>,
    ) -> S3Result<S3Response<ListObjectsOutput>> {
        let _reading = self.lock.read().await;
        listing::objects(&self.files, req.input).await
    }

    async fn list_objects_v2(
        &self,
        req: S3Request<ListObjectsV2Input>,
    ) -> S3Result<S3Response<ListObjectsV2Output>> {
        let _reading = self.lock.read().await;
        listing::objects_v2(&self.files, req.input).await
    }

    async fn list_object_versions(
        &self,
        req: S3Request<ListObjectVersionsInput>,
    ) -> S3Result<S3Response<ListObjectVersionsOutput>> {
        let _reading = self.lock.read().await;
        listing::versions(&self.files, req.input).await
    }

    async fn head_object(
        &self,
        req: S3Request<HeadObjectInput>,
    ) -> S3Result<S3Response<HeadObjectOutput>> {
        let _reading = self.lock.read().await;
        self.readable(&req.input.bucket, &req.input.key)?;
        let wanted = req.input.if_match.clone();
        let answer = self.files.head_object(req).await?;
        request::check_match(wanted, answer.output.e_tag.as_ref())?;
        Ok(answer)
    }

    async fn get_object(
        &self,
        req: S3Request<GetObjectInput>,
    ) -> S3Result<S3Response<GetObjectOutput>> {
        let _reading = self.lock.read().await;
        self.readable(&req.input.bucket, &req.input.key)?;
        let wanted = req.input.if_match.clone();
        let asked = req.input.clone();
        let mut answer = self.files.get_object(req).await?;
        request::check_match(wanted, answer.output.e_tag.as_ref())?;
        request::override_headers(&asked, &mut answer.output);
        Ok(answer)
    }

    async fn delete_object(
        &self,
        req: S3Request<DeleteObjectInput>,
    ) -> S3Result<S3Response<DeleteObjectOutput>> {
        let DeleteObjectInput {
            bucket,
            key,
            if_match,
            ..
        } = req.input;
        let store = self.clone();
        self.finish(async move {
            if if_match.is_some() {
                let found = store.head(&bucket, &key).await?;
                request::check_match(if_match, found.e_tag.as_ref())?;
            }
            Ok(S3Response::new(store.delete(&bucket, &key).await?))
        })
        .await
    }

    /// S3's way to delete several keys, each with its own error.
    async fn delete_objects(
        &self,
        req: S3Request<DeleteObjectsInput>,
    ) -> S3Result<S3Response<DeleteObjectsOutput>> {
        let DeleteObjectsInput { bucket, delete, .. } = req.input;
        let store = self.clone();
        self.finish(async move {
            let mut output = DeleteObjectsOutput::default();
            for object in delete.objects {
                match store.delete(&bucket, &object.key).await {
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
        })
        .await
    }

    async fn put_object(
        &self,
        mut req: S3Request<PutObjectInput>,
    ) -> S3Result<S3Response<PutObjectOutput>> {
        let mut received = self.receive();
        received.write_all(req.input.body.take(), MAX_BYTES).await?;
        let digests = SentDigests::of_object(&req.input, req.trailing_headers.take());
        digests.put_into(&mut req.input);
        let received = received.check(digests).await?;
        let access_key = access_key(&req);
        self.put(req, received, "ObjectCreated:Put", access_key)
            .await
    }

    async fn copy_object(
        &self,
        req: S3Request<CopyObjectInput>,
    ) -> S3Result<S3Response<CopyObjectOutput>> {
        if let CopySource::Bucket { bucket, key, .. } = &req.input.copy_source {
            self.readable(bucket, key)?;
        }
        let files = self.writable(&req.input.bucket, &req.input.key, false)?;
        let (store, access_key) = (self.clone(), access_key(&req));
        self.finish(async move {
            let answer = store.files.copy_object(req).await?;
            store
                .created(&files, "ObjectCreated:Copy", access_key)
                .await?;
            Ok(answer)
        })
        .await
    }

    async fn create_multipart_upload(
        &self,
        mut req: S3Request<CreateMultipartUploadInput>,
    ) -> S3Result<S3Response<CreateMultipartUploadOutput>> {
        self.writable(&req.input.bucket, &req.input.key, true)?;
        req.input
            .content_type
            .get_or_insert_with(|| DEFAULT_CONTENT_TYPE.to_owned());
        self.files.create_multipart_upload(req).await
    }

    async fn upload_part(
        &self,
        mut req: S3Request<UploadPartInput>,
    ) -> S3Result<S3Response<UploadPartOutput>> {
        multipart::check_number(req.input.part_number)?;
        self.begun(&req.input.bucket, &req.input.key, &req.input.upload_id)?;
        let mut received = self.receive();
        received.write_all(req.input.body.take(), MAX_BYTES).await?;
        let digests = SentDigests::of_part(&req.input, req.trailing_headers.take());
        let received = received.check(digests).await?;
        req.input.body = Some(received.into_body()?);
        self.files.upload_part(req).await
    }

    async fn upload_part_copy(
        &self,
        req: S3Request<UploadPartCopyInput>,
    ) -> S3Result<S3Response<UploadPartCopyOutput>> {
        multipart::check_number(req.input.part_number)?;
        self.begun(&req.input.bucket, &req.input.key, &req.input.upload_id)?;
        if let CopySource::Bucket { bucket, key, .. } = &req.input.copy_source {
            self.readable(bucket, key)?;
        }
        self.files.upload_part_copy(req).await
    }

    async fn list_parts(
        &self,
        req: S3Request<ListPartsInput>,
    ) -> S3Result<S3Response<ListPartsOutput>> {
        self.begun(&req.input.bucket, &req.input.key, &req.input.upload_id)?;
        self.files.list_parts(req).await
    }

    async fn abort_multipart_upload(
        &self,
        req: S3Request<AbortMultipartUploadInput>,
    ) -> S3Result<S3Response<AbortMultipartUploadOutput>> {
        self.begun(&req.input.bucket, &req.input.key, &req.input.upload_id)?;
        self.files.abort_multipart_upload(req).await
    }

    async fn complete_multipart_upload(
        &self,
        req: S3Request<CompleteMultipartUploadInput>,
    ) -> S3Result<S3Response<CompleteMultipartUploadOutput>> {
        let files = self.writable(&req.input.bucket, &req.input.key, false)?;
        let (store, access_key) = (self.clone(), access_key(&req));
        self.finish(async move {
            Begun::find(&store.root, &files, &req.input.upload_id)?.check(&req.input)?;
            let answer = store.files.complete_multipart_upload(req).await?;
            files.forget_digests().map_err(disk_error)?;
            store
                .created(&files, "ObjectCreated:CompleteMultipartUpload", access_key)
                .await?;
            Ok(answer)
        })
        .await
    }
}

/// The access key that a request was signed with.
fn access_key<T>(req: &S3Request<T>) -> String {
    let credentials = req.credentials.as_ref();
    credentials.map_or_else(String::new, |credentials| credentials.access_key.clone())
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

/// An error with its cause, for people.
fn sentence(error: &S3Error) -> String {
    let message = error.message().unwrap_or(error.code().as_str());
    match error.source() {
        Some(source) => format!("{message}: {source}"),
        None => message.to_owned(),
    }
}
