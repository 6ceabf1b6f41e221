//! The object store: `s3s-fs` on disk, with the guarantees of S3 that it lacks.
//!
//! `s3s-fs` moves an upload into place before it has checked its digests, and has a race between the check of
//! `If-None-Match` and the write. It ignores `If-Match` on reads and never syncs to disk. Here a body is checked whole
//! before it is written, and writes happen one at a time. A new object is on disk and its event is handled before its
//! sender is answered.

mod files;
mod listing;
mod multipart;
mod operations;
mod received;
mod request;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;
use s3s::dto::{
    DeleteObjectInput, DeleteObjectOutput, ETag, HeadObjectInput, HeadObjectOutput, PutObjectInput,
    PutObjectOutput,
};
use s3s::{S3, S3Error, S3Request, S3Response, S3Result, s3_error};
use s3s_fs::FileSystem;
use tokio::sync::RwLock;

use super::notification::{CreatedObject, Notification};
use files::ObjectFiles;
use multipart::Begun;
pub(in crate::s3) use received::Received;
use received::{SentDigests, disk_error};
use request::internal;

/// The object store behind the server.
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

    /// Stores an object that was received, announces it, and returns its `ETag` with quotation marks. `event_name` is,
    /// for example, `ObjectCreated:Post`; `access_key` is that of the credentials that signed the request.
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
        request::set_content_type(&mut req.input.content_type);
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
                "The S3 emulator keeps objects as files: no part of a key between slashes may be empty, \".\", \"..\" or longer than 255 bytes, and a key has no control characters."
            ));
        }
        let files = ObjectFiles::new(&self.root, bucket, key);
        if !files.has_possible_names(is_multipart) {
            return Err(s3_error!(
                KeyTooLongError,
                "The S3 emulator keeps objects as files: with this bucket's name the key is too long."
            ));
        }
        let is_below_object = files.object().ancestors().skip(1).any(Path::is_file);
        if files.object().is_dir() || is_below_object {
            return Err(s3_error!(
                InvalidRequest,
                "The S3 emulator keeps objects as files: it cannot have an object whose key is also the folder of another one."
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

    /// Deletes an object and the files beside it. Idempotent: a missing object is a success.
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

/// An error with its cause, for people.
fn sentence(error: &S3Error) -> String {
    let message = error.message().unwrap_or(error.code().as_str());
    match error.source() {
        Some(source) => format!("{message}: {source}"),
        None => message.to_owned(),
    }
}
