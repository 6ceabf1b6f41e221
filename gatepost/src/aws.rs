//! The AWS SDK's S3 client, pointed at the embedded S3, at an endpoint that somebody named, or at AWS.

use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_sdk_s3::Client;
use aws_sdk_s3::config::{BehaviorVersion, Builder, Region};

use crate::local_s3::REGION;

/// A client and what it signs with.
#[derive(Clone)]
pub(crate) struct Connection {
    pub(crate) s3: Client,
    pub(crate) credentials: SharedCredentialsProvider,
    pub(crate) region: String,
    pub(crate) endpoint: String,
}

/// Connects to the embedded S3.
pub(crate) fn connect_embedded(endpoint: &str, credentials: Credentials) -> Connection {
    let provider = SharedCredentialsProvider::new(credentials);
    let config = Builder::new()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::from_static(REGION))
        .endpoint_url(endpoint)
        .force_path_style(true)
        .credentials_provider(provider.clone())
        .build();
    Connection {
        s3: Client::from_conf(config),
        credentials: provider,
        region: REGION.to_owned(),
        endpoint: endpoint.to_owned(),
    }
}

/// Connects to an S3 elsewhere, with the region and credentials that the AWS SDK finds as usual.
pub(crate) async fn connect(endpoint: &str) -> anyhow::Result<Connection> {
    let region = aws_config::meta::region::RegionProviderChain::default_provider().or_else(REGION);
    let aws = aws_config::defaults(BehaviorVersion::latest())
        .region(region)
        .load()
        .await;
    let config = aws_sdk_s3::config::Builder::from(&aws)
        .endpoint_url(endpoint)
        .force_path_style(true)
        .build();
    let credentials = aws.credentials_provider().ok_or_else(|| {
        anyhow::anyhow!(
            "there are no AWS credentials; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
        )
    })?;
    Ok(Connection {
        s3: Client::from_conf(config),
        credentials,
        region: aws
            .region()
            .map_or(REGION, |region| region.as_ref())
            .to_owned(),
        endpoint: endpoint.trim_end_matches('/').to_owned(),
    })
}
