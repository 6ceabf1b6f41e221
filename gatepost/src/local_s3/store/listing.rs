//! The listings that `s3s-fs` lacks, made of the one that it has.

use s3s::dto::{
    ListObjectVersionsInput, ListObjectVersionsOutput, ListObjectsInput, ListObjectsOutput,
    ListObjectsV2Input, ObjectVersion,
};
use s3s::{S3, S3Response, S3Result};
use s3s_fs::FileSystem;

use super::internal;

/// Version 1 of the listing. A client goes on behind the last key of a page, or behind `NextMarker`, which S3 gives only
/// where there is a delimiter.
pub(super) async fn objects(
    files: &FileSystem,
    input: ListObjectsInput,
) -> S3Result<S3Response<ListObjectsOutput>> {
    let ListObjectsInput {
        bucket,
        delimiter,
        encoding_type,
        marker,
        max_keys,
        prefix,
        ..
    } = input;
    let listed = ListObjectsV2Input {
        bucket,
        delimiter: delimiter.clone(),
        encoding_type,
        max_keys,
        prefix,
        start_after: marker.clone(),
        ..ListObjectsV2Input::default()
    };
    let listing = files.list_objects_v2(internal(listed)).await?.output;
    let last_key = listing.contents.iter().flatten().last();
    let last_key = last_key.and_then(|object| object.key.clone());
    let last_prefix = listing.common_prefixes.iter().flatten().last();
    let last_prefix = last_prefix.and_then(|prefix| prefix.prefix.clone());
    let is_truncated = listing.is_truncated == Some(true);
    Ok(S3Response::new(ListObjectsOutput {
        common_prefixes: listing.common_prefixes,
        contents: listing.contents,
        delimiter: delimiter.clone(),
        encoding_type: listing.encoding_type,
        is_truncated: Some(is_truncated),
        marker: Some(marker.unwrap_or_default()),
        max_keys: listing.max_keys,
        name: listing.name,
        next_marker: last_key
            .max(last_prefix)
            .filter(|_| is_truncated && delimiter.is_some()),
        prefix: listing.prefix,
        ..ListObjectsOutput::default()
    }))
}

/// All objects, each with its one version.
pub(super) async fn versions(
    files: &FileSystem,
    input: ListObjectVersionsInput,
) -> S3Result<S3Response<ListObjectVersionsOutput>> {
    let listed = ListObjectsV2Input {
        bucket: input.bucket.clone(),
        prefix: input.prefix.clone(),
        max_keys: input.max_keys,
        start_after: input.key_marker.clone(),
        ..ListObjectsV2Input::default()
    };
    let listing = files.list_objects_v2(internal(listed)).await?.output;
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
