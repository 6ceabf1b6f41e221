//! An object's content from its arrival until it is stored: a small one in memory, a larger one on disk, checked as a
//! whole. The store and the receiver of forms call it.

use std::io::{self, Read as _, Seek as _, Write as _};
use std::path::Path;

use bytes::{Bytes, BytesMut};
use futures::{Stream, StreamExt as _};
use s3s::checksum::ChecksumHasher;
use s3s::crypto::{Checksum as _, Crc32, Crc32c, Crc64Nvme, Md5, Sha1, Sha256};
use s3s::dto::{ChecksumAlgorithm, PutObjectInput, StreamingBlob, UploadPartInput};
use s3s::{S3Error, S3ErrorCode, S3Result, TrailingHeaders, s3_error};
use tempfile::SpooledTempFile;

/// The most that is kept in memory, in bytes.
const MAX_IN_MEMORY: usize = 256 * 1024;
/// The number of bytes that are read at a time.
const PIECE_BYTES: usize = 64 * 1024;

/// Content that arrived. On disk it has no name, so it disappears when the process ends.
pub(in crate::s3) struct Received {
    file: SpooledTempFile,
    size: u64,
}

/// The digests that a sender gave, in base64.
#[derive(Default)]
pub(super) struct SentDigests {
    md5: Option<String>,
    crc32: Option<String>,
    crc32c: Option<String>,
    crc64nvme: Option<String>,
    sha1: Option<String>,
    sha256: Option<String>,
    /// The algorithm that the sender named.
    algorithm: Option<ChecksumAlgorithm>,
}

impl Received {
    pub(super) fn new(folder: &Path) -> Self {
        Self {
            file: tempfile::spooled_tempfile_in(MAX_IN_MEMORY, folder),
            size: 0,
        }
    }

    /// In bytes.
    pub(in crate::s3) fn size(&self) -> u64 {
        self.size
    }

    /// Appends a piece. It goes to memory or to the page cache, which is short enough to be done at once.
    pub(in crate::s3) fn write(&mut self, piece: &[u8]) -> S3Result<()> {
        self.file.write_all(piece).map_err(disk_error)?;
        self.size += piece.len() as u64;
        Ok(())
    }

    /// Appends a whole body of at most `max_bytes`.
    pub(super) async fn write_all(
        &mut self,
        body: Option<StreamingBlob>,
        max_bytes: u64,
    ) -> S3Result<()> {
        let Some(mut body) = body else {
            return Ok(());
        };
        while let Some(piece) = body.next().await {
            let piece =
                piece.map_err(|error| s3_error!(IncompleteBody, "the body broke off: {error}"))?;
            if self.size + piece.len() as u64 > max_bytes {
                return Err(s3_error!(
                    EntityTooLarge,
                    "Your proposed upload exceeds the maximum allowed size"
                ));
            }
            self.write(&piece)?;
        }
        Ok(())
    }

    /// Checks the content against every digest that was sent.
    pub(super) async fn check(self, sent: SentDigests) -> S3Result<Self> {
        let checking = tokio::task::spawn_blocking(move || self.check_now(&sent));
        checking
            .await
            .map_err(|error| s3_error!(error, InternalError, "the check was broken off"))?
    }

    fn check_now(mut self, sent: &SentDigests) -> S3Result<Self> {
        let mut md5 = sent.md5.is_some().then(Md5::new);
        let mut hasher = ChecksumHasher {
            crc32: sent.crc32.is_some().then(Crc32::new),
            crc32c: sent.crc32c.is_some().then(Crc32c::new),
            crc64nvme: sent.crc64nvme.is_some().then(Crc64Nvme::new),
            sha1: sent.sha1.is_some().then(Sha1::new),
            sha256: sent.sha256.is_some().then(Sha256::new),
        };
        self.file.rewind().map_err(disk_error)?;
        let mut piece = vec![0; PIECE_BYTES];
        loop {
            let n_bytes = self.file.read(&mut piece).map_err(disk_error)?;
            if n_bytes == 0 {
                break;
            }
            if let Some(md5) = &mut md5 {
                md5.update(&piece[..n_bytes]);
            }
            hasher.update(&piece[..n_bytes]);
        }
        let md5 = md5.map(|md5| data_encoding::BASE64.encode(md5.finalize().as_ref()));
        if sent.md5 != md5 {
            return Err(s3_error!(
                BadDigest,
                "The Content-MD5 you specified did not match what we received."
            ));
        }
        let found = hasher.finalize();
        for (name, sent_value, found) in [
            ("CRC32", &sent.crc32, found.checksum_crc32),
            ("CRC32C", &sent.crc32c, found.checksum_crc32c),
            ("CRC64NVME", &sent.crc64nvme, found.checksum_crc64nvme),
            ("SHA1", &sent.sha1, found.checksum_sha1),
            ("SHA256", &sent.sha256, found.checksum_sha256),
        ] {
            if *sent_value != found {
                return Err(s3_error!(
                    BadDigest,
                    "The {name} you specified did not match the calculated checksum."
                ));
            }
            // S3 requires the value of the named algorithm.
            let algorithm = sent.algorithm.as_ref().map(ChecksumAlgorithm::as_str);
            if sent_value.is_none() && algorithm == Some(name) {
                return Err(s3_error!(
                    InvalidRequest,
                    "x-amz-checksum-algorithm names {name}, whose value is missing."
                ));
            }
        }
        Ok(self)
    }

    /// The content from its beginning.
    pub(super) fn into_body(mut self) -> S3Result<StreamingBlob> {
        self.file.rewind().map_err(disk_error)?;
        Ok(StreamingBlob::wrap(self.pieces()))
    }

    fn pieces(mut self) -> impl Stream<Item = io::Result<Bytes>> + Send + Sync + 'static {
        futures::stream::iter(std::iter::from_fn(move || {
            let mut piece = BytesMut::zeroed(PIECE_BYTES);
            match self.file.read(&mut piece) {
                Ok(0) => None,
                Ok(n_bytes) => {
                    piece.truncate(n_bytes);
                    Some(Ok(piece.freeze()))
                }
                Err(error) => Some(Err(error)),
            }
        }))
    }
}

/// The digests in an input's fields: both types of input have them under the same names.
macro_rules! sent_with {
    ($input:expr) => {
        SentDigests {
            md5: $input.content_md5.clone(),
            crc32: $input.checksum_crc32.clone(),
            crc32c: $input.checksum_crc32c.clone(),
            crc64nvme: $input.checksum_crc64nvme.clone(),
            sha1: $input.checksum_sha1.clone(),
            sha256: $input.checksum_sha256.clone(),
            algorithm: $input.checksum_algorithm.clone(),
        }
    };
}

impl SentDigests {
    pub(super) fn of_object(input: &PutObjectInput, trailers: Option<TrailingHeaders>) -> Self {
        sent_with!(input).or_trailing(trailers)
    }

    pub(super) fn of_part(input: &UploadPartInput, trailers: Option<TrailingHeaders>) -> Self {
        sent_with!(input).or_trailing(trailers)
    }

    /// Gives an object's input the digests that came after its body, so that they are kept with it.
    pub(super) fn put_into(&self, input: &mut PutObjectInput) {
        input.checksum_crc32.clone_from(&self.crc32);
        input.checksum_crc32c.clone_from(&self.crc32c);
        input.checksum_crc64nvme.clone_from(&self.crc64nvme);
        input.checksum_sha1.clone_from(&self.sha1);
        input.checksum_sha256.clone_from(&self.sha256);
    }

    /// The AWS SDKs send digests after the body.
    fn or_trailing(mut self, trailers: Option<TrailingHeaders>) -> Self {
        let Some(trailers) = trailers.and_then(|trailers| trailers.take()) else {
            return self;
        };
        for (name, value) in [
            ("x-amz-checksum-crc32", &mut self.crc32),
            ("x-amz-checksum-crc32c", &mut self.crc32c),
            ("x-amz-checksum-crc64nvme", &mut self.crc64nvme),
            ("x-amz-checksum-sha1", &mut self.sha1),
            ("x-amz-checksum-sha256", &mut self.sha256),
        ] {
            if let Some(sent) = trailers.get(name).and_then(|sent| sent.to_str().ok()) {
                *value = Some(sent.to_owned());
            }
        }
        self
    }
}

/// A full disk, mostly.
pub(super) fn disk_error(error: io::Error) -> S3Error {
    let message = format!("the disk of the S3 emulator fails: {error}");
    let mut failed = S3Error::with_message(S3ErrorCode::InternalError, message);
    failed.set_source(Box::new(error));
    failed
}
