//! The files in which `s3s-fs` keeps an object: where they are, how they reach the disk, and how damaged ones are set
//! aside. The store calls it.
//!
//! An object's bytes are at `BUCKET/KEY`. Two JSON files beside the buckets hold its attributes and its digests.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use data_encoding::BASE64URL_NOPAD;
use jiff::Timestamp;
use walkdir::WalkDir;

use crate::atomic;

/// The kinds of files that `s3s-fs` keeps beside the buckets.
const KINDS: [&str; 2] = ["metadata", "internal"];

/// The longest name of a file on common file systems, in bytes.
const MAX_NAME_BYTES: usize = 255;
/// A UUID with its hyphens.
const UPLOAD_ID_BYTES: usize = 36;

/// The files of one object.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct ObjectFiles {
    root: PathBuf,
    pub(super) bucket: String,
    pub(super) key: String,
}

impl ObjectFiles {
    pub(super) fn new(root: &Path, bucket: &str, key: &str) -> Self {
        Self {
            root: root.to_owned(),
            bucket: bucket.to_owned(),
            key: key.to_owned(),
        }
    }

    /// The object whose attributes or digests a file holds, by the file's name.
    fn named_by(root: &Path, file: &str) -> Option<Self> {
        let rest = file.strip_prefix(".bucket-")?;
        let (bucket, rest) = rest.split_once(".object-")?;
        let key = KINDS
            .iter()
            .find_map(|kind| rest.strip_suffix(&format!(".{kind}.json")))?;
        let decode = |text: &str| {
            let bytes = BASE64URL_NOPAD.decode(text.as_bytes()).ok()?;
            String::from_utf8(bytes).ok()
        };
        Some(Self::new(root, &decode(bucket)?, &decode(key)?))
    }

    /// Whether a key can be a path: `s3s-fs` would make one object of `a/b` and `a//b`, and `..` would leave the bucket. XML, in
    /// which S3 answers, has no control characters.
    pub(super) fn is_possible_key(key: &str) -> bool {
        let is_writable = |c: char| !c.is_control() && !matches!(c, '\u{fffe}' | '\u{ffff}');
        key.chars().all(is_writable)
            && key
                .split('/')
                .all(|segment| !matches!(segment, "" | "." | "..") && segment.len() <= 255)
    }

    /// Whether the names of the files beside the object are short enough for a file system; those of an unfinished
    /// multipart upload are longest.
    pub(super) fn has_possible_names(&self, is_multipart: bool) -> bool {
        let longest = if is_multipart {
            self.attributes_of_upload(&"0".repeat(UPLOAD_ID_BYTES))
        } else {
            let [attributes, _] = self.beside();
            attributes
        };
        longest
            .file_name()
            .is_some_and(|name| name.len() <= MAX_NAME_BYTES)
    }

    /// The file with the attributes that an unfinished multipart upload will give the object.
    pub(super) fn attributes_of_upload(&self, id: &str) -> PathBuf {
        let encode = |text: &str| BASE64URL_NOPAD.encode(text.as_bytes());
        let (bucket, key) = (encode(&self.bucket), encode(&self.key));
        self.root.join(format!(
            ".bucket-{bucket}.object-{key}.upload-{id}.metadata.json"
        ))
    }

    pub(super) fn object(&self) -> PathBuf {
        self.root.join(&self.bucket).join(&self.key)
    }

    /// The files with its attributes and its digests.
    pub(super) fn beside(&self) -> [PathBuf; 2] {
        let encode = |text: &str| BASE64URL_NOPAD.encode(text.as_bytes());
        let (bucket, key) = (encode(&self.bucket), encode(&self.key));
        KINDS.map(|kind| {
            self.root
                .join(format!(".bucket-{bucket}.object-{key}.{kind}.json"))
        })
    }

    pub(super) fn exists(&self) -> bool {
        Self::is_possible_key(&self.key) && self.object().is_file()
    }

    /// Whether the object was written whole: its bytes, and then both files beside it.
    fn is_whole(&self) -> bool {
        let is_json = |path: &PathBuf| {
            std::fs::read(path).is_ok_and(|content| {
                serde_json::from_slice::<serde_json::Map<String, serde_json::Value>>(&content)
                    .is_ok()
            })
        };
        self.object().is_file() && self.beside().iter().all(is_json)
    }

    /// Waits until the object is on disk, and cannot be lost by a power failure.
    pub(super) fn sync(&self) -> io::Result<()> {
        for file in self.beside().iter().chain([&self.object()]) {
            File::open(file)?.sync_all()?;
        }
        // The names of files are in their folders.
        let object = self.object();
        let mut folder = object.parent();
        while let Some(found) = folder.filter(|folder| folder.starts_with(&self.root)) {
            File::open(found)?.sync_all()?;
            folder = found.parent();
        }
        Ok(())
    }

    /// Removes the digests that are not the object's own: completing a multipart upload, `s3s-fs` keeps those of the
    /// object that it replaces, and changes the `ETag` alone.
    pub(super) fn forget_digests(&self) -> io::Result<()> {
        let [_, digests] = self.beside();
        let mut kept: serde_json::Map<String, serde_json::Value> =
            serde_json::from_slice(&std::fs::read(&digests)?)?;
        kept.retain(|name, _| name == "e_tag");
        atomic::write(&digests, &serde_json::to_vec(&kept)?)
    }

    /// Deletes the files beside the object, which `s3s-fs` leaves: the attributes of a former object would make an
    /// unfinished one look whole.
    pub(super) fn delete_beside(&self) -> io::Result<()> {
        for file in self.beside() {
            match std::fs::remove_file(file) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        Ok(())
    }

    /// Removes the folders that are left empty by the object, which is gone: another object may have the name of one.
    pub(super) fn remove_empty_folders(&self) {
        let (object, bucket) = (self.object(), self.root.join(&self.bucket));
        let folders = object.ancestors().skip(1);
        for folder in folders.take_while(|folder| *folder != bucket) {
            // One that is not empty stays, with all above it.
            if std::fs::remove_dir(folder).is_err() {
                return;
            }
        }
    }

    /// Moves the object and the files beside it to a folder, and returns the new path of its bytes.
    fn set_aside(&self, folder: &Path) -> io::Result<PathBuf> {
        let target = ObjectFiles::new(folder, &self.bucket, &self.key);
        let to = target.object();
        if let Some(parent) = to.parent() {
            std::fs::create_dir_all(parent)?;
        }
        let files = self.beside().into_iter().chain([self.object()]);
        let targets = target.beside().into_iter().chain([to.clone()]);
        for (from, to) in files.zip(targets) {
            match std::fs::rename(from, to) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        Ok(to)
    }
}

/// Moves away the objects that were incomplete when a process or a machine stopped. Their senders were never answered.
/// Nothing is deleted, because an incomplete file may be the only copy.
pub(super) fn set_damaged_aside(
    now: Timestamp,
    root: &Path,
    buckets: &[String],
    aside: &Path,
) -> io::Result<()> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(root)? {
        let name = entry?.file_name();
        let named = name
            .to_str()
            .and_then(|name| ObjectFiles::named_by(root, name));
        found.extend(named);
    }
    for bucket in buckets {
        let folder = root.join(bucket);
        for entry in WalkDir::new(&folder) {
            let entry = entry?;
            if entry.file_type().is_dir() {
                continue;
            }
            let key = entry
                .path()
                .strip_prefix(&folder)
                .ok()
                .and_then(Path::to_str);
            found.extend(key.map(|key| ObjectFiles::new(root, bucket, key)));
        }
    }
    found.retain(|files| ObjectFiles::is_possible_key(&files.key));
    found.sort_unstable_by(|a, b| (&a.bucket, &a.key).cmp(&(&b.bucket, &b.key)));
    found.dedup();
    // A folder for each start: files that were set aside before are kept.
    let aside = aside.join(now.strftime("%Y%m%dT%H%M%SZ").to_string());
    for files in found.iter().filter(|files| !files.is_whole()) {
        let (bucket, key) = (&files.bucket, &files.key);
        let is_there = files.object().exists();
        match files.set_aside(&aside) {
            Ok(moved_to) if is_there => tracing::warn!(
                bucket,
                key,
                moved_to = %moved_to.display(),
                "an object was not written to its end, or its attributes are damaged; it is set aside"
            ),
            Ok(_) => {}
            // One object must not keep all others from being served.
            Err(error) => tracing::error!(
                bucket,
                key,
                %error,
                "a damaged object cannot be set aside; it is left where it is"
            ),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn damaged_objects_are_set_aside_and_others_are_kept() {
        let folder = tempfile::tempdir().unwrap();
        let (root, aside) = (folder.path().join("s3"), folder.path().join("set-aside"));
        let write = |key: &str, beside: [Option<&str>; 2]| {
            let files = ObjectFiles::new(&root, "b", key);
            std::fs::create_dir_all(files.object().parent().unwrap()).unwrap();
            std::fs::write(files.object(), key).unwrap();
            for (path, content) in files.beside().iter().zip(beside) {
                if let Some(content) = content {
                    std::fs::write(path, content).unwrap();
                }
            }
            files
        };
        let whole = write("u/whole", [Some("{}"), Some("{}")]);
        let damaged = [
            write("u/no-attributes", [None, None]),
            write("u/empty-attributes", [Some(""), Some("{}")]),
            write("u/empty-digests", [Some("{}"), Some("")]),
            write("u/cut-digests", [Some("{}"), Some("{\"a")]),
        ];
        // Attributes whose object is gone.
        let gone = write("u/gone", [Some("{}"), Some("{}")]);
        std::fs::remove_file(gone.object()).unwrap();

        let start = |second: i64| {
            let now = Timestamp::from_second(second).unwrap();
            set_damaged_aside(now, &root, &["b".to_owned()], &aside).unwrap();
        };
        start(0);
        assert!(whole.is_whole());
        for files in &damaged {
            assert!(!files.object().exists(), "{}", files.key);
            let moved = aside.join("19700101T000000Z/b").join(&files.key);
            assert_eq!(std::fs::read_to_string(moved).unwrap(), files.key);
        }
        assert!(gone.beside().iter().all(|file| !file.exists()));
        // A later start keeps what was set aside, also where the same keys, or ones below them, are damaged again.
        write("u/empty-digests", [Some("{}"), Some("")]);
        write("u/no-attributes/below", [None, None]);
        start(1);
        assert!(whole.is_whole());
        for moved in [
            "19700101T000000Z/b/u/empty-digests",
            "19700101T000001Z/b/u/empty-digests",
            "19700101T000000Z/b/u/no-attributes",
            "19700101T000001Z/b/u/no-attributes/below",
        ] {
            assert!(aside.join(moved).is_file(), "{moved}");
        }
    }

    #[test]
    fn keys_that_are_not_paths_are_impossible() {
        let long = "a".repeat(256);
        for (key, is_possible) in [
            ("uploads/a b.jpg", true),
            ("a", true),
            ("", false),
            ("a/", false),
            ("/a", false),
            ("a//b", false),
            ("a/../b", false),
            ("a/./b", false),
            ("a\0", false),
            ("a\r", false),
            ("a\u{1}", false),
            ("a\u{ffff}", false),
            (&long, false),
        ] {
            assert_eq!(ObjectFiles::is_possible_key(key), is_possible, "{key}");
        }
    }

    #[test]
    fn a_key_with_too_long_file_names_does_not_fit() {
        for (bytes, fits, fits_multipart) in [
            (121, true, true),
            (122, true, false),
            (154, true, false),
            (155, false, false),
        ] {
            let files = ObjectFiles::new(Path::new("/"), "example-bucket", &"k".repeat(bytes));
            let found = [false, true].map(|is_multipart| files.has_possible_names(is_multipart));
            assert_eq!(found, [fits, fits_multipart], "{bytes}");
        }
    }
}
