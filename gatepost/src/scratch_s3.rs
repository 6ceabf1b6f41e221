//! An embedded S3 that lives as long as a command: `replay` plays uploads in it, `dlq` puts copies into it.

use std::path::{Path, PathBuf};

use aws_credential_types::Credentials;
use local_aws::s3::{LocalS3, S3Options};
use tempfile::TempDir;
use upload_processor::Buckets;

use crate::aws::{self, Connection};

/// The server, and a folder with its objects, which is removed at the end.
pub(crate) struct ScratchS3 {
    pub(crate) connection: Connection,
    objects: PathBuf,
    _folder: TempDir,
}

impl ScratchS3 {
    /// Serves two empty buckets.
    pub(crate) async fn start(buckets: &Buckets) -> anyhow::Result<Self> {
        let folder = tempfile::tempdir()?;
        let credentials = Credentials::new(
            "LOCLSCRATCH",
            "for this run only",
            None,
            None,
            "gatepost-scratch",
        );
        let objects = folder.path().join("s3");
        let server = LocalS3::open(S3Options {
            folder: objects.clone(),
            buckets: vec![buckets.uploads.clone(), buckets.media.clone()],
            credentials: credentials.clone(),
            allowed_origins: Vec::new(),
            notifications: Vec::new(),
        })
        .await?;
        let connection = aws::connect_embedded(&server.endpoint(), credentials);
        tokio::spawn(server.serve(std::future::pending()));
        Ok(Self {
            connection,
            objects,
            _folder: folder,
        })
    }

    /// The folder with its objects.
    pub(crate) fn folder(&self) -> &Path {
        &self.objects
    }
}
