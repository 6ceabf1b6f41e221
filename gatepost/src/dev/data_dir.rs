//! The data directory: everything that the local stack keeps, and the lock that one process holds on it.

use std::fs::{File, TryLockError};
use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use aws_credential_types::Credentials;
use serde_json::{Value, json};

const CREDENTIALS_FILE: &str = "s3-credentials.json";

/// An open data directory. While it lives, no other process has it open.
pub(super) struct DataDir {
    path: PathBuf,
    _lock: File,
}

impl DataDir {
    /// Opens it, and makes it if it is not there.
    pub(super) fn open(path: &Path) -> anyhow::Result<Self> {
        std::fs::create_dir_all(path)
            .with_context(|| format!("the data directory {} cannot be made", path.display()))?;
        let lock = File::create(path.join("lock")).with_context(|| {
            format!("the data directory {} cannot be written to", path.display())
        })?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => bail!(
                "the data directory {} is in use by another `gatepost dev`; stop that one or name another with --data-dir",
                path.display()
            ),
            Err(TryLockError::Error(error)) => {
                return Err(error).with_context(|| {
                    format!("the data directory {} cannot be locked", path.display())
                });
            }
        }
        Ok(Self {
            path: path.to_owned(),
            _lock: lock,
        })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Where the embedded S3 keeps its buckets.
    pub(super) fn objects(&self) -> PathBuf {
        self.path.join("s3")
    }

    /// Where messages wait.
    pub(super) fn queue(&self) -> PathBuf {
        self.path.join("queue")
    }

    /// Where messages are that were given up.
    pub(super) fn dead_letters(&self) -> PathBuf {
        self.path.join("dead-letters")
    }

    /// The key pair of the embedded S3, made on first use.
    pub(super) fn s3_credentials(&self) -> anyhow::Result<Credentials> {
        let file = self.path.join(CREDENTIALS_FILE);
        if !file.exists() {
            let mut random = [0; 30];
            getrandom::fill(&mut random)?;
            let key = data_encoding::BASE32_NOPAD.encode(&random[..10]);
            let content = json!({
                "access_key_id": format!("LOCL{key}"),
                "secret_access_key": data_encoding::HEXLOWER.encode(&random[10..]),
            });
            let mut temporary = tempfile::NamedTempFile::new_in(&self.path)?;
            temporary.write_all(content.to_string().as_bytes())?;
            temporary.persist(&file)?;
        }
        let unreadable = || {
            format!(
                "{} cannot be read; delete it to have a new one made",
                file.display()
            )
        };
        let content: Value =
            serde_json::from_slice(&std::fs::read(&file).with_context(unreadable)?)
                .with_context(unreadable)?;
        let text = |name: &str| content[name].as_str().with_context(unreadable);
        Ok(Credentials::new(
            text("access_key_id")?,
            text("secret_access_key")?,
            None,
            None,
            "gatepost-dev",
        ))
    }
}
