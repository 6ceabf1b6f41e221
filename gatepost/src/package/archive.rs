//! Makes reproducible zips: the bytes depend on the files alone, not on the clock, the user or the order of a folder.

use std::io::{Cursor, Write as _};

use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, DateTime, ZipWriter};

use super::PackedFile;

/// Packs files in the order in which they are given.
pub(super) fn zip(files: &[PackedFile]) -> anyhow::Result<Vec<u8>> {
    // The time is the oldest that a zip can hold. Lambda needs files that every user can read.
    let options = SimpleFileOptions::default()
        .compression_method(CompressionMethod::Deflated)
        .compression_level(Some(9))
        .last_modified_time(DateTime::default());
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    for file in files {
        let mode = if file.is_program { 0o755 } else { 0o644 };
        writer.start_file(file.name, options.unix_permissions(mode))?;
        writer.write_all(&file.content)?;
    }
    Ok(writer.finish()?.into_inner())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_files_make_the_same_bytes() {
        let files = || {
            [("a", vec![7; 10_000]), ("b", b"text".to_vec())].map(|(name, content)| PackedFile {
                name,
                content,
                is_program: name == "b",
            })
        };
        let packed = zip(&files()).unwrap();
        assert_eq!(packed, zip(&files()).unwrap());
        let mut archive = zip::ZipArchive::new(Cursor::new(packed)).unwrap();
        let file = archive.by_name("a").unwrap();
        assert_eq!(file.unix_mode().map(|mode| mode & 0o777), Some(0o644));
        assert_eq!(file.last_modified(), Some(DateTime::default()));
        drop(file);
        let program = archive.by_name("b").unwrap();
        assert_eq!(program.unix_mode().map(|mode| mode & 0o777), Some(0o755));
    }
}
