//! Checks of multipart uploads. `s3s-fs` checks a completion only while it carries it out: a refused one has already
//! changed the object's attributes and lost the parts. Here everything is checked first.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use s3s::crypto::{Checksum as _, Md5};
use s3s::dto::{CompleteMultipartUploadInput, ETag};
use s3s::{S3Result, s3_error};

use super::files::ObjectFiles;
use super::received::disk_error;

/// S3's limits: the number of parts, and the least that any part but the last has, in bytes.
const MAX_PARTS: i32 = 10_000;
const MIN_PART_BYTES: u64 = 5 << 20;

/// An upload that was begun, and not yet completed or aborted.
pub(super) struct Begun<'a> {
    root: &'a Path,
    id: &'a str,
}

impl<'a> Begun<'a> {
    /// Finds the upload with an id to an object.
    pub(super) fn find(root: &'a Path, files: &ObjectFiles, id: &'a str) -> S3Result<Self> {
        let is_id = id
            .bytes()
            .all(|byte| byte.is_ascii_hexdigit() || byte == b'-');
        if !is_id || !files.attributes_of_upload(id).is_file() {
            return Err(s3_error!(NoSuchUpload));
        }
        Ok(Self { root, id })
    }

    fn part(&self, number: i32) -> PathBuf {
        let id = self.id;
        self.root.join(format!(".upload_id-{id}.part-{number}"))
    }

    /// Checks that the parts of a completion are there, are the ones that were sent, and are large enough.
    pub(super) fn check(&self, completion: &CompleteMultipartUploadInput) -> S3Result<()> {
        let parts = completion.multipart_upload.as_ref();
        let parts = parts
            .and_then(|parts| parts.parts.as_deref())
            .unwrap_or(&[]);
        if parts.is_empty() {
            return Err(s3_error!(
                MalformedXML,
                "You must specify at least one part"
            ));
        }
        for (expected, part) in (1..).zip(parts) {
            let number = part.part_number.unwrap_or(0);
            if number != expected {
                return Err(s3_error!(
                    InvalidPartOrder,
                    "The parts are not 1, 2, 3 and so on. The S3 emulator accepts them in order and without gaps only."
                ));
            }
            let (size, found) = digest(&self.part(number)).ok_or_else(|| s3_error!(InvalidPart))?;
            let sent = part.e_tag.as_ref().map(ETag::value);
            if sent.is_some_and(|sent| sent.trim_matches('"') != found) {
                return Err(s3_error!(InvalidPart));
            }
            let is_last = usize::try_from(expected).is_ok_and(|n| n == parts.len());
            if size < MIN_PART_BYTES && !is_last {
                return Err(s3_error!(EntityTooSmall));
            }
        }
        Ok(())
    }
}

/// Checks the number of a part that is sent.
pub(super) fn check_number(number: i32) -> S3Result<()> {
    if !(1..=MAX_PARTS).contains(&number) {
        return Err(s3_error!(
            InvalidArgument,
            "Part number must be an integer between 1 and 10000, inclusive"
        ));
    }
    Ok(())
}

/// The size and the MD5 of a part.
fn digest(part: &Path) -> Option<(u64, String)> {
    let mut file = std::fs::File::open(part).ok()?;
    let (mut md5, mut size) = (Md5::new(), 0);
    let mut piece = vec![0; 64 * 1024];
    loop {
        match file.read(&mut piece).map_err(disk_error).ok()? {
            0 => break,
            n_bytes => {
                md5.update(&piece[..n_bytes]);
                size += n_bytes as u64;
            }
        }
    }
    Some((
        size,
        data_encoding::HEXLOWER.encode(md5.finalize().as_ref()),
    ))
}
