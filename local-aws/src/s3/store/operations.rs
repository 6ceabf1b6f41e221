//! S3's operations on the store, as `s3s` calls them: each checks what `s3s-fs` does not, and leaves the rest to it.

use s3s::dto::{
    AbortMultipartUploadInput, AbortMultipartUploadOutput, CompleteMultipartUploadInput,
    CompleteMultipartUploadOutput, CopyObjectInput, CopyObjectOutput, CopySource,
    CreateMultipartUploadInput, CreateMultipartUploadOutput, DeleteObjectInput, DeleteObjectOutput,
    DeleteObjectsInput, DeleteObjectsOutput, DeletedObject, GetBucketLocationInput,
    GetBucketLocationOutput, GetObjectInput, GetObjectOutput, HeadBucketInput, HeadBucketOutput,
    HeadObjectInput, HeadObjectOutput, ListBucketsInput, ListBucketsOutput,
    ListObjectVersionsInput, ListObjectVersionsOutput, ListObjectsInput, ListObjectsOutput,
    ListObjectsV2Input, ListObjectsV2Output, ListPartsInput, ListPartsOutput, PutObjectInput,
    PutObjectOutput, UploadPartCopyInput, UploadPartCopyOutput, UploadPartInput, UploadPartOutput,
};
use s3s::{S3, S3Request, S3Response, S3Result};

use super::multipart::{self, Begun};
use super::received::{SentDigests, disk_error};
use super::{Store, listing, request};

/// The largest body that S3 accepts in one request, in bytes.
const MAX_BYTES: u64 = 5 << 30;

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
        let access_key = request::access_key(&req);
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
        let (store, access_key) = (self.clone(), request::access_key(&req));
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
        request::set_content_type(&mut req.input.content_type);
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
        let (store, access_key) = (self.clone(), request::access_key(&req));
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
