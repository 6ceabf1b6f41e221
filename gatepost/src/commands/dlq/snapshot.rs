//! Copies of single objects of the local stack, in a scratch S3.
//!
//! The stack may be running, and a second S3 over its folder would remove files that it is about to write. So objects
//! are copied before they are read, and nothing in the stack's folder can change.

use std::io;
use std::path::{Path, PathBuf};

use data_encoding::BASE64URL_NOPAD;
use media_contract::UploadKey;
use upload_processor::Buckets;

use crate::scratch_s3::ScratchS3;

/// An S3 with the latest copy of an upload.
pub(super) struct Snapshot {
    /// The stack's own objects.
    objects: PathBuf,
    s3: ScratchS3,
    buckets: Buckets,
}

impl Snapshot {
    pub(super) fn new(objects: PathBuf, s3: ScratchS3, buckets: Buckets) -> Self {
        Self {
            objects,
            s3,
            buckets,
        }
    }

    /// Brings the copies of an upload's original and manifest up to date.
    pub(super) fn take(&self, upload: &UploadKey) -> io::Result<()> {
        for (bucket, key) in [
            (&self.buckets.uploads, upload.original()),
            (&self.buckets.media, upload.manifest_key()),
        ] {
            for file in files_of(bucket, &key) {
                copy(&self.objects.join(&file), &self.s3.folder().join(&file))?;
            }
        }
        Ok(())
    }
}

/// The files of an object, as `s3s-fs` names them: its content, its attributes, its checksums.
fn files_of(bucket: &str, key: &str) -> [PathBuf; 3] {
    let encode = |text: &str| BASE64URL_NOPAD.encode(text.as_bytes());
    let beside = |kind: &str| {
        let name = format!(
            ".bucket-{}.object-{}.{kind}.json",
            encode(bucket),
            encode(key)
        );
        PathBuf::from(name)
    };
    [
        Path::new(bucket).join(key),
        beside("metadata"),
        beside("internal"),
    ]
}

/// Copies a file; if the source is missing, removes the destination.
fn copy(from: &Path, to: &Path) -> io::Result<()> {
    if let Some(folder) = to.parent() {
        std::fs::create_dir_all(folder)?;
    }
    let copied = std::fs::copy(from, to).map(|_| ());
    let is_missing = |error: &io::Error| error.kind() == io::ErrorKind::NotFound;
    match copied {
        Err(error) if is_missing(&error) => match std::fs::remove_file(to) {
            Err(error) if !is_missing(&error) => Err(error),
            _ => Ok(()),
        },
        copied => copied,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_is_as_new_as_its_file() {
        let folder = tempfile::tempdir().unwrap();
        let (from, to) = (folder.path().join("from"), folder.path().join("a/b/to"));
        copy(&from, &to).unwrap();
        assert!(!to.exists());
        for content in ["one", "another"] {
            std::fs::write(&from, content).unwrap();
            copy(&from, &to).unwrap();
            assert_eq!(std::fs::read_to_string(&to).unwrap(), content);
        }
        std::fs::remove_file(&from).unwrap();
        copy(&from, &to).unwrap();
        assert!(!to.exists());
    }
}
