//! The parameters `response-content-type` and so on of a `GetObject`, which `s3s-fs` does not read. S3 takes them in signed
//! requests, and this S3 takes no others.

use s3s::dto::{GetObjectInput, GetObjectOutput};

/// Gives an answer the headers that a signed request asks for by name, in the place of the object's own.
pub(super) fn apply(asked: &GetObjectInput, answer: &mut GetObjectOutput) {
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
