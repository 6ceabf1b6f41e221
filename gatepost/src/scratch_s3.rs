//! An embedded S3 that lives as long as a command: `replay` plays uploads in it, `dlq` puts copies into it.

use std::path::{Path, PathBuf};

use aws_credential_types::Credentials;
use tempfile::TempDir;
use upload_processor::Buckets;

use crate::aws::{self, Connection};
use crate::local_s3::{LocalS3, Notifier};

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
        let names = [buckets.uploads.as_str(), buckets.media.as_str()];
        let objects = folder.path().join("s3");
        let server = LocalS3::open(&objects, &names, &credentials, Notifier::silent()).await?;
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
