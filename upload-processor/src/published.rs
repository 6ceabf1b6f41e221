//! Maps rendered thumbnails to published ones: the names of the files, and the manifest's status.

use data_encoding::{BASE64, HEXLOWER};
use jiff::Timestamp;
use media_contract::manifest::whole_seconds;
use media_contract::{Reason, Rendition, Source, Status};
use sha2::{Digest as _, Sha256};
use thumbnailer::rejection::Rejection;
use thumbnailer::render;
use thumbnailer::thumbnail::Thumbnailed;

/// How many bytes of a rendition's digest are in its name.
const NAMED_DIGEST_BYTES: usize = 8;

/// The file name of a published rendition: 16 hexadecimal digits of the SHA-256 of its own bytes, its width and its
/// type, such as `9f86d081884c7d65-640.webp`.
///
/// The name fences off late writers. A PUT that S3 completes after its sender died can only write the bytes that its
/// name identifies. It therefore never changes what a manifest names, for any worker, upload or settings.
pub fn file_name(rendition: &render::RenditionFile) -> String {
    let digest = Sha256::digest(&rendition.data);
    let digest = HEXLOWER.encode(&digest[..NAMED_DIGEST_BYTES]);
    format!("{digest}-{}", rendition.file_name)
}

/// The status of an upload whose renditions have these paths.
pub fn status(
    result: &Result<Thumbnailed, Rejection>,
    now: Timestamp,
    path: impl Fn(&render::RenditionFile) -> String,
) -> Status {
    let created_at = whole_seconds(now);
    match result {
        Ok(made) => Status::Ready {
            source: Source {
                media_type: made.source.image_type.content_type().to_owned(),
                width: made.source.width,
                height: made.source.height,
                bytes: made.source.bytes,
                sha256: HEXLOWER.encode(&made.source.sha256),
            },
            renditions: made
                .renditions
                .iter()
                .map(|rendition| Rendition {
                    path: path(rendition),
                    media_type: rendition.content_type.to_owned(),
                    width: rendition.width,
                    height: rendition.height,
                    bytes: rendition.data.len() as u64,
                })
                .collect(),
            placeholder: BASE64.encode(&made.placeholder),
            created_at,
        },
        Err(rejection) => Status::Rejected {
            reason: Reason {
                code: rejection.code().to_owned(),
                message: rejection.message(),
            },
            created_at,
        },
    }
}
