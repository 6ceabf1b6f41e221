//! The AWS SDK's S3 client, pointed at the embedded S3, at an endpoint that somebody named, or at AWS.

use aws_config::environment::{
    EnvironmentVariableCredentialsProvider, EnvironmentVariableRegionProvider,
};
use aws_config::meta::credentials::CredentialsProviderChain;
use aws_config::meta::region::RegionProviderChain;
use aws_config::profile::{ProfileFileCredentialsProvider, ProfileFileRegionProvider};
use aws_credential_types::Credentials;
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider};
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

/// Who signs, and for which region.
pub(crate) struct Identity {
    pub(crate) credentials: SharedCredentialsProvider,
    pub(crate) region: Option<String>,
}

/// The region and credentials of the AWS environment variables, else of the AWS profile. The rest of the SDK's chain is
/// for machines on AWS; here it would ask networks that nobody named.
pub(crate) async fn identify() -> anyhow::Result<Identity> {
    let region = RegionProviderChain::first_try(EnvironmentVariableRegionProvider::new())
        .or_else(ProfileFileRegionProvider::new());
    let chain = CredentialsProviderChain::first_try(
        "environment",
        EnvironmentVariableCredentialsProvider::new(),
    )
    .or_else("profile", ProfileFileCredentialsProvider::builder().build());
    chain.provide_credentials().await.map_err(|_| {
        anyhow::anyhow!("there are no AWS credentials; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE")
    })?;
    Ok(Identity {
        credentials: SharedCredentialsProvider::new(chain),
        region: region.region().await.map(|region| region.to_string()),
    })
}

/// Connects to S3 and SQS: at an endpoint, or on AWS.
pub(crate) async fn connect_both(
    endpoint: Option<&str>,
) -> anyhow::Result<(Client, aws_sdk_sqs::Client)> {
    let identity = identify().await?;
    let mut aws = aws_config::defaults(BehaviorVersion::latest())
        .region(Region::new(
            identity.region.unwrap_or_else(|| REGION.to_owned()),
        ))
        .credentials_provider(identity.credentials);
    if let Some(endpoint) = endpoint {
        aws = aws.endpoint_url(endpoint);
    }
    let aws = aws.load().await;
    let s3 = Builder::from(&aws)
        .force_path_style(endpoint.is_some())
        .build();
    Ok((Client::from_conf(s3), aws_sdk_sqs::Client::new(&aws)))
}

/// Connects to an S3 elsewhere.
pub(crate) async fn connect(endpoint: &str) -> anyhow::Result<Connection> {
    let identity = identify().await?;
    let (credentials, region) = (
        identity.credentials,
        identity.region.unwrap_or_else(|| REGION.to_owned()),
    );
    let aws = aws_config::defaults(BehaviorVersion::latest())
        .region(Region::new(region.clone()))
        .credentials_provider(credentials.clone())
        .load()
        .await;
    let config = Builder::from(&aws)
        .endpoint_url(endpoint)
        .force_path_style(true)
        .build();
    Ok(Connection {
        s3: Client::from_conf(config),
        credentials,
        region,
        endpoint: endpoint.trim_end_matches('/').to_owned(),
    })
}
