//! Messages as files of a folder, one file a message: how they are named, read and written.
//!
//! The queue calls it, and so do programs that look at dead letters and redrive them.

use std::io;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::atomic;

/// A message as it is kept on disk.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Message {
    /// Ids sort by the time at which they were made.
    pub message_id: String,
    /// The text that was sent.
    pub body: String,
    /// The time at which it was sent.
    pub sent_at: Timestamp,
    /// How many times it was received and not taken back.
    pub receive_count: u32,
}

impl Message {
    /// A message that nobody has received.
    pub(super) fn new(body: String) -> io::Result<Self> {
        Ok(Self {
            message_id: new_message_id()?,
            body,
            sent_at: Timestamp::now(),
            receive_count: 0,
        })
    }
}

/// Leaves a message for the process that has the queue open, or for the next one; answers with its id. When this
/// returns, it is on disk.
///
/// # Errors
///
/// The error of a disk that cannot be written to.
pub fn leave(redriven: &Path, body: String) -> io::Result<String> {
    std::fs::create_dir_all(redriven)?;
    let message = Message::new(body)?;
    let path = redriven.join(file_name(&message.message_id));
    atomic::write(&path, &serde_json::to_vec_pretty(&message)?)?;
    // The name, too: the dead letter's own is removed next.
    std::fs::File::open(redriven)?.sync_all()?;
    Ok(message.message_id)
}

/// Reads every message in a folder, the oldest first. A file that is not a message is left alone.
///
/// # Errors
///
/// The error of a disk that cannot be read.
pub fn read_messages(folder: &Path) -> io::Result<Vec<Message>> {
    let mut messages = Vec::new();
    for path in message_files(folder)? {
        messages.extend(read_message(&path)?);
    }
    messages.sort_by(|a, b| a.message_id.cmp(&b.message_id));
    Ok(messages)
}

/// The files of a folder that may hold messages. A missing folder has none.
pub(super) fn message_files(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut files = Vec::new();
    for entry in entries {
        let path = entry?.path();
        let is_json = path
            .extension()
            .is_some_and(|extension| extension == "json");
        if is_json && path.is_file() {
            files.push(path);
        }
    }
    Ok(files)
}

/// Reads a message; `None` where the file is not one, or is gone by now: another process may redrive it. The name of a
/// message's file is its id, so that it can be found by it.
pub(super) fn read_message(path: &Path) -> io::Result<Option<Message>> {
    let content = match std::fs::read(path) {
        Ok(content) => content,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let file = path.display();
    match serde_json::from_slice::<Message>(&content) {
        Ok(message)
            if path
                .file_stem()
                .is_some_and(|stem| stem == &*message.message_id) =>
        {
            return Ok(Some(message));
        }
        Ok(message) => {
            let id = message.message_id;
            tracing::error!(%file, id, "a message is in a file of another name");
        }
        Err(error) => tracing::error!(%file, %error, "this is not a message"),
    }
    Ok(None)
}

/// Where the message with this id is in a folder; `None` for a text that is not an id.
pub fn file_of(folder: &Path, message_id: &str) -> Option<PathBuf> {
    let is_name = !message_id.is_empty() && !message_id.contains(['/', '\\', '\0']);
    is_name.then(|| folder.join(file_name(message_id)))
}

pub(super) fn file_name(message_id: &str) -> String {
    format!("{message_id}.json")
}

/// Ids sort by the time at which they were made.
fn new_message_id() -> io::Result<String> {
    let mut random = [0; 8];
    getrandom::fill(&mut random).map_err(io::Error::other)?;
    let micros = Timestamp::now().as_microsecond();
    Ok(format!(
        "{micros:016x}-{}",
        data_encoding::HEXLOWER.encode(&random)
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_ids_name_files() {
        let folder = Path::new("dead");
        for (id, file) in [
            ("0006-ab", Some("dead/0006-ab.json")),
            ("..", Some("dead/...json")),
            ("", None),
            ("../queue/1", None),
            ("a\\b", None),
        ] {
            assert_eq!(file_of(folder, id), file.map(PathBuf::from), "{id}");
        }
    }
}
