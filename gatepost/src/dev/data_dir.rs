//! The data directory: everything that the local stack keeps, and the lock that `gatepost dev` holds on it. Other
//! commands look into it without the lock; they write only the messages of [`local_aws::sqs::leave`].

use std::fs::{File, TryLockError};
use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use aws_credential_types::Credentials;
use dev_idp::TOKEN_LIFETIME;
use edge_auth::config::{Session, SessionKey};
use serde_json::{Value, json};

use super::signed;

const CREDENTIALS_FILE: &str = "s3-credentials.json";
const SESSION_FILE: &str = "session-key.json";
const CLOUDFRONT_FILE: &str = "cloudfront-key.pem";

/// A data directory.
pub(crate) struct DataDir {
    path: PathBuf,
    /// While it is held, no other process runs on the directory.
    _lock: Option<File>,
}

impl DataDir {
    /// The data directory of a stack that may be running; it must exist.
    pub(crate) fn look_into(path: &Path) -> anyhow::Result<Self> {
        let data_dir = Self {
            path: path.to_owned(),
            _lock: None,
        };
        if !data_dir.dead_letters().is_dir() {
            bail!(
                "{} is not the data directory of a local stack; start one with `gatepost dev`, or name another with --data-dir, or a queue of SQS with --queue-url",
                path.display()
            );
        }
        Ok(data_dir)
    }

    /// Opens it to run on it, and makes it if it is missing.
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
            _lock: Some(lock),
        })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Where the embedded S3 keeps its buckets.
    pub(crate) fn objects(&self) -> PathBuf {
        self.path.join("s3")
    }

    /// Where messages wait.
    pub(super) fn queue(&self) -> PathBuf {
        self.path.join("queue")
    }

    /// Where the dead letters are.
    pub(crate) fn dead_letters(&self) -> PathBuf {
        self.path.join("dead-letters")
    }

    /// Where `gatepost dlq redrive` leaves messages for the queue.
    pub(crate) fn redriven(&self) -> PathBuf {
        self.path.join("redriven")
    }

    /// The key pair of the embedded S3, made on first use.
    pub(super) fn s3_credentials(&self) -> anyhow::Result<Credentials> {
        let content = self.kept(CREDENTIALS_FILE, |random: [u8; 30]| {
            let key = data_encoding::BASE32_NOPAD.encode(&random[..10]);
            json!({
                "access_key_id": format!("LOCL{key}"),
                "secret_access_key": data_encoding::HEXLOWER.encode(&random[10..]),
            })
        })?;
        let text = |name: &str| {
            let text = content[name].as_str();
            text.with_context(|| {
                format!("{CREDENTIALS_FILE} holds no {name}; delete it to have a new one made")
            })
        };
        Ok(Credentials::new(
            text("access_key_id")?,
            text("secret_access_key")?,
            None,
            None,
            "gatepost-dev",
        ))
    }

    /// The key of sessions where none is configured, made on first use.
    pub(super) fn session(&self) -> anyhow::Result<Session> {
        let content = self.kept(SESSION_FILE, |random: [u8; 32]| {
            let secret = data_encoding::BASE64URL_NOPAD.encode(&random);
            json!({"kid": "dev", "material": {"HS256": {"secret": secret}}})
        })?;
        let key: SessionKey = serde_json::from_value(content).with_context(|| {
            format!("{SESSION_FILE} holds no session key; delete it to have a new one made")
        })?;
        Ok(Session {
            keys: vec![key],
            // As long as the token that it is made from: on this machine nobody has to sign in again before that.
            lifetime_seconds: u32::try_from(TOKEN_LIFETIME.as_secs())?,
        })
    }

    /// The private key of CloudFront's signatures in PEM, made on first use.
    pub(super) fn cloudfront_key(&self) -> anyhow::Result<String> {
        let file = self.path.join(CLOUDFRONT_FILE);
        if !file.exists() {
            let mut temporary = tempfile::NamedTempFile::new_in(&self.path)?;
            temporary.write_all(signed::new_key()?.as_bytes())?;
            temporary.persist(&file)?;
        }
        std::fs::read_to_string(&file).with_context(|| {
            format!(
                "{} cannot be read; delete it to have a new one made",
                file.display()
            )
        })
    }

    /// The content of a file, which is made from random bytes if it is missing.
    fn kept<const N: usize>(
        &self,
        name: &str,
        make: impl Fn([u8; N]) -> Value,
    ) -> anyhow::Result<Value> {
        let file = self.path.join(name);
        if !file.exists() {
            let mut random = [0; N];
            getrandom::fill(&mut random)?;
            let mut temporary = tempfile::NamedTempFile::new_in(&self.path)?;
            temporary.write_all(make(random).to_string().as_bytes())?;
            temporary.persist(&file)?;
        }
        let unreadable = || {
            format!(
                "{} cannot be read; delete it to have a new one made",
                file.display()
            )
        };
        serde_json::from_slice(&std::fs::read(&file).with_context(unreadable)?)
            .with_context(unreadable)
    }
}
