//! Finds the input files: those that were named, and those in the folders that were named.
//!
//! An unreadable file is an entry, too, with the reason: one dangling link must not end a run over thousands of photos.

use std::collections::HashSet;
use std::fs::FileType;
use std::os::unix::fs::FileTypeExt as _;
use std::path::{Path, PathBuf};

use anyhow::bail;
use walkdir::{DirEntry, WalkDir};

/// A file, and the folder of its renditions below `--out`.
#[derive(Debug, PartialEq)]
pub(super) struct Input {
    pub(super) file: PathBuf,
    pub(super) folder: String,
}

/// An entry.
#[derive(Debug, PartialEq)]
pub(super) enum Found {
    /// A file to be read.
    Input(Input),
    /// A file that cannot be read, and the reason.
    Unreadable { file: PathBuf, reason: String },
}

impl Found {
    pub(super) fn file(&self) -> &Path {
        match self {
            Self::Input(Input { file, .. }) | Self::Unreadable { file, .. } => file,
        }
    }
}

/// Every named file and every file in a named folder, sorted by name. Renditions of an earlier run, in `out`, are left
/// out.
pub(super) fn find(paths: &[PathBuf], out: &Path) -> anyhow::Result<Vec<Found>> {
    // A folder that does not exist yet is empty.
    let out = out.canonicalize().ok();
    let is_out = |path: &Path| out.is_some() && path.canonicalize().ok() == out;
    let mut found = Vec::new();
    for path in paths {
        if path.symlink_metadata().is_err_and(|error| {
            matches!(
                error.kind(),
                std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory
            )
        }) {
            bail!("{} does not exist", path.display());
        }
        if !path.is_dir() {
            let name = path.file_name().unwrap_or_default();
            let folder = name.to_string_lossy().into_owned();
            found.push(match path.metadata() {
                Ok(metadata) => of_type(path, folder, metadata.file_type()),
                Err(error) => unreadable(path, link_or(path, &error)),
            });
            continue;
        }
        if is_out(path) {
            bail!(
                "--out is {}, whose images are to be read; name another folder",
                path.display()
            );
        }
        let before = found.len();
        let entries = WalkDir::new(path)
            .min_depth(1)
            .follow_links(true)
            .sort_by_file_name()
            .into_iter()
            .filter_entry(|entry| !(entry.file_type().is_dir() && is_out(entry.path())));
        found.extend(entries.filter_map(|entry| entry_below(path, entry)));
        if found.len() == before {
            bail!("no files were found in {}", path.display());
        }
    }
    check_folders(&found)?;
    Ok(found)
}

/// Classifies an entry of a folder; `None` for a folder.
fn entry_below(root: &Path, entry: walkdir::Result<DirEntry>) -> Option<Found> {
    let entry = match entry {
        Ok(entry) => entry,
        Err(error) => {
            let file = error.path().unwrap_or(root);
            let reason = match (error.loop_ancestor(), error.io_error()) {
                (Some(ancestor), _) => {
                    format!("it is a link to {}, which contains it", ancestor.display())
                }
                (None, Some(io_error)) => link_or(file, io_error),
                (None, None) => error.to_string(),
            };
            return Some(unreadable(file, reason));
        }
    };
    if entry.file_type().is_dir() {
        return None;
    }
    let below = entry.path().strip_prefix(root).unwrap_or(entry.path());
    let folder = below.to_string_lossy().into_owned();
    Some(of_type(entry.path(), folder, entry.file_type()))
}

/// Only a file can be read: reading a pipe could block without end, and a device is not a photo.
fn of_type(file: &Path, folder: String, file_type: FileType) -> Found {
    let what = match file_type {
        _ if file_type.is_file() => {
            return Found::Input(Input {
                file: file.to_owned(),
                folder,
            });
        }
        _ if file_type.is_fifo() => "a named pipe",
        _ if file_type.is_socket() => "a socket",
        _ => "a device",
    };
    unreadable(file, format!("it is {what}, not a file"))
}

fn unreadable(file: &Path, reason: String) -> Found {
    Found::Unreadable {
        file: file.to_owned(),
        reason,
    }
}

/// The reason why a link cannot be followed, otherwise the system's message.
fn link_or(path: &Path, error: &std::io::Error) -> String {
    match path.read_link() {
        Ok(target) if error.kind() == std::io::ErrorKind::NotFound => {
            format!("it is a link to {}, which does not exist", target.display())
        }
        _ => error.to_string(),
    }
}

fn check_folders(found: &[Found]) -> anyhow::Result<()> {
    let mut folders = HashSet::new();
    for input in found {
        if let Found::Input(Input { folder, .. }) = input
            && !folders.insert(folder)
        {
            bail!(
                "two files would write their renditions to {folder}; name them, or their folders, in two runs"
            );
        }
    }
    Ok(())
}
