//! Atomic writes of files: a reader finds a file whole or not at all, also after a crash. The queue and the object store
//! call it.

use std::io::{self, Write as _};
use std::path::Path;

/// The prefix of the names of unfinished files, as `tempfile` has it.
const UNFINISHED: &[u8] = b".tmp";

/// Writes a file: first under another name in the same folder, then renamed.
pub(crate) fn write(path: &Path, content: &[u8]) -> io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    file.write_all(content)?;
    file.as_file().sync_data()?;
    file.persist(path)?;
    Ok(())
}

/// Removes the unfinished files of a process that ended during [`write()`].
pub(crate) fn remove_unfinished(folder: &Path) -> io::Result<()> {
    for file in std::fs::read_dir(folder)? {
        let file = file?;
        if file.file_name().as_encoded_bytes().starts_with(UNFINISHED) {
            std::fs::remove_file(file.path())?;
        }
    }
    Ok(())
}
