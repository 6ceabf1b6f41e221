//! What requests ask for and `s3s-fs` does not look at: conditions of reads, headers of answers, storage classes.

use s3s::dto::{ETag, ETagCondition, GetObjectInput, GetObjectOutput, StorageClass};
use s3s::{S3Error, S3Result, s3_error};

/// Checks `If-Match`.
pub(super) fn check_match(wanted: Option<ETagCondition>, found: Option<&ETag>) -> S3Result<()> {
    match wanted {
        Some(ETagCondition::ETag(wanted)) if found.map(ETag::value) != Some(wanted.value()) => {
            Err(precondition_failed())
        }
        _ => Ok(()),
    }
}

fn precondition_failed() -> S3Error {
    s3_error!(
        PreconditionFailed,
        "At least one of the pre-conditions you specified did not hold"
    )
}

/// Gives an answer the headers that a signed request asks for by name, in the place of the object's own.
pub(super) fn override_headers(asked: &GetObjectInput, answer: &mut GetObjectOutput) {
    for (asked, header) in [
        (&asked.response_cache_control, &mut answer.cache_control),
        (
            &asked.response_content_disposition,
            &mut answer.content_disposition,
        ),
        (
            &asked.response_content_encoding,
            &mut answer.content_encoding,
        ),
        (
            &asked.response_content_language,
            &mut answer.content_language,
        ),
        (&asked.response_content_type, &mut answer.content_type),
    ] {
        if asked.is_some() {
            header.clone_from(asked);
        }
    }
    if asked.response_expires.is_some() {
        answer.expires.clone_from(&asked.response_expires);
    }
}

/// `s3s-fs` takes two of S3's classes; here all of them are the same.
pub(super) fn check_storage_class(class: Option<StorageClass>) -> S3Result<()> {
    const CLASSES: [&str; 11] = [
        "STANDARD",
        "REDUCED_REDUNDANCY",
        "STANDARD_IA",
        "ONEZONE_IA",
        "INTELLIGENT_TIERING",
        "GLACIER",
        "DEEP_ARCHIVE",
        "OUTPOSTS",
        "GLACIER_IR",
        "SNOW",
        "EXPRESS_ONEZONE",
    ];
    if class.is_some_and(|class| !CLASSES.contains(&class.as_str())) {
        return Err(s3_error!(InvalidStorageClass));
    }
    Ok(())
}
