//! The parts of requests that `s3s-fs` ignores: conditions of reads, headers of answers, content types and storage
//! classes. The store and its operations call it.

use s3s::dto::{ETag, ETagCondition, GetObjectInput, GetObjectOutput, StorageClass};
use s3s::{S3Error, S3Request, S3Result, s3_error};

/// The content type of an object that was sent without one, as S3 has it.
const DEFAULT_CONTENT_TYPE: &str = "binary/octet-stream";

/// The access key that a request was signed with.
pub(super) fn access_key<T>(req: &S3Request<T>) -> String {
    let credentials = req.credentials.as_ref();
    credentials.map_or_else(String::new, |credentials| credentials.access_key.clone())
}

/// A request that the store itself makes, as if it had been received and checked.
pub(super) fn internal<T>(input: T) -> S3Request<T> {
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

/// Sets the content type if it is missing.
pub(super) fn set_content_type(content_type: &mut Option<String>) {
    content_type.get_or_insert_with(|| DEFAULT_CONTENT_TYPE.to_owned());
}

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
