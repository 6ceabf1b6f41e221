//! The AWS SDK's clients: for the embedded S3, a named endpoint, or AWS; and the credentials of the environment.
//!
//! The commands and `dev` call it. It never asks a metadata service that nobody configured.

use std::ffi::OsString;
use std::net::IpAddr;
use std::time::SystemTime;

use anyhow::bail;
use aws_config::ConfigLoader;
use aws_config::ecs::EcsCredentialsProvider;
use aws_config::environment::{
    EnvironmentVariableCredentialsProvider, EnvironmentVariableRegionProvider,
};
use aws_config::meta::region::RegionProviderChain;
use aws_config::profile::{ProfileFileCredentialsProvider, ProfileFileRegionProvider};
use aws_config::provider_config::ProviderConfig;
use aws_config::web_identity_token::WebIdentityTokenCredentialsProvider;
use aws_credential_types::Credentials;
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider, future};
use aws_sdk_s3::Client;
use aws_sdk_s3::config::{BehaviorVersion, Builder, Region};
use jiff::Timestamp;
use local_aws::REGION;

use crate::terminal::printable::printable;

/// The expiry of the credentials in environment variables, as the AWS CLI and the SDKs for other languages read it.
const EXPIRATION_VARIABLE: &str = "AWS_CREDENTIAL_EXPIRATION";

/// A client, and the credentials that it signs with.
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

/// The credentials of the environment.
pub(crate) struct Identity {
    /// The provider's first answer. Every further call may assume a role again, or start a program.
    pub(crate) found: Credentials,
    credentials: SharedCredentialsProvider,
}

/// The region of the AWS environment variables, else of the AWS profile. The rest of the SDK's chain asks a metadata
/// service.
pub(crate) async fn region() -> Option<Region> {
    RegionProviderChain::first_try(EnvironmentVariableRegionProvider::new())
        .or_else(ProfileFileRegionProvider::new())
        .region()
        .await
}

/// The credentials of the SDK's first source that has any, in this order: environment variables, the profile (keys,
/// roles, SSO, `credential_process`), a web identity, a container.
///
/// The container is asked only if its variables are set, and an instance's metadata service only if a profile names it:
/// outside AWS, any machine of the network could answer at that address.
pub(crate) async fn identify(region: Option<Region>) -> anyhow::Result<Identity> {
    let config = ProviderConfig::default().with_region(region);
    let sources = [
        (
            "the environment variables",
            SharedCredentialsProvider::new(EnvironmentCredentials),
        ),
        (
            "the AWS profile",
            SharedCredentialsProvider::new(
                ProfileFileCredentialsProvider::builder()
                    .configure(&config)
                    .build(),
            ),
        ),
        (
            "the web identity",
            SharedCredentialsProvider::new(
                WebIdentityTokenCredentialsProvider::builder()
                    .configure(&config)
                    .build(),
            ),
        ),
        (
            "the container",
            SharedCredentialsProvider::new(
                EcsCredentialsProvider::builder().configure(&config).build(),
            ),
        ),
    ];
    let asked = std::env::var("AWS_PROFILE").ok();
    for (name, credentials) in sources {
        match credentials.provide_credentials().await {
            Ok(found) => return Ok(Identity { found, credentials }),
            Err(CredentialsError::CredentialsNotLoaded(_)) if name != "the AWS profile" => {}
            // A profile that AWS_PROFILE names must exist.
            Err(CredentialsError::CredentialsNotLoaded(_)) if asked.is_none() => {}
            Err(error) => {
                let asked = asked.filter(|_| name == "the AWS profile");
                let profile = asked
                    .map(|profile| format!(" {profile:?}"))
                    .unwrap_or_default();
                bail!(
                    "the AWS credentials of {name}{profile} cannot be used: {}",
                    printable(&media_store::causes(&error))
                );
            }
        }
    }
    bail!(
        "there are no AWS credentials; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE"
    )
}

/// The credentials in environment variables, with their expiry, which the SDK's own provider ignores. Tools that export
/// a role's session set it, and no signature may outlive the session.
#[derive(Debug)]
struct EnvironmentCredentials;

impl ProvideCredentials for EnvironmentCredentials {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(async {
            let mut found = EnvironmentVariableCredentialsProvider::new()
                .provide_credentials()
                .await?;
            if let Ok(end) = std::env::var(EXPIRATION_VARIABLE) {
                *found.expiry_mut() = Some(parse_expiration(&end)?);
            }
            Ok(found)
        })
    }
}

fn parse_expiration(text: &str) -> Result<SystemTime, CredentialsError> {
    let end = text.trim().parse::<Timestamp>().ok();
    let end = end.and_then(|end| SystemTime::try_from(end).ok());
    end.ok_or_else(|| {
        CredentialsError::invalid_configuration(format!(
            "{EXPIRATION_VARIABLE} is {text:?}, not a point in time such as 2026-12-01T09:00:00Z"
        ))
    })
}

/// A region as the SDK expects it, and whether its FIPS 140 endpoints are meant: `fips-us-east-1` and `us-east-1-fips`
/// are the old names for that.
fn without_fips(region: &str) -> (&str, bool) {
    let plain = region
        .strip_prefix("fips-")
        .or_else(|| region.strip_suffix("-fips"));
    (plain.unwrap_or(region), plain.is_some())
}

/// The SDK's configuration with the identity of the environment, and the region: the local one if none is named.
async fn sdk_config() -> anyhow::Result<(ConfigLoader, SharedCredentialsProvider, String)> {
    let named = region().await.map(|region| region.to_string());
    let named = named.unwrap_or_else(|| REGION.to_owned());
    let (plain, is_fips) = without_fips(&named);
    let region = Region::new(plain.to_owned());
    let Identity { credentials, .. } = identify(Some(region.clone())).await?;
    let mut loader = aws_config::defaults(BehaviorVersion::latest())
        .region(region)
        .credentials_provider(credentials.clone());
    if is_fips {
        loader = loader.use_fips(true);
    }
    Ok((loader, credentials, plain.to_owned()))
}

/// Reads the address of an endpoint on the command line.
pub(crate) fn parse_endpoint(text: &str) -> Result<String, String> {
    match host_of(text) {
        Some(_) => Ok(text.to_owned()),
        None => Err(format!(
            "{text:?} is not the URL of an endpoint; write for example http://127.0.0.1:9000"
        )),
    }
}

/// Refuses a queue of this machine or network if no endpoint is named: the SDK would send AWS a request about it.
pub(crate) fn check_queue_url(url: &str, endpoint: Option<&str>) -> anyhow::Result<()> {
    if endpoint.is_some() || is_endpoint_named("SQS", |name| std::env::var_os(name)) {
        return Ok(());
    }
    match host_of(url) {
        None => bail!(
            "the queue {} is not a URL; write its whole address, such as https://sqs.eu-central-1.amazonaws.com/123456789012/uploads",
            printable(url)
        ),
        Some(host) if is_local(&host) => bail!(
            "the queue {} is not at AWS; name the address of its SQS and S3 with --endpoint-url, or in AWS_ENDPOINT_URL",
            printable(url)
        ),
        // AWS has several domains, and its partitions add more.
        Some(_) => Ok(()),
    }
}

/// Whether the environment names an endpoint for a service, as the SDK reads it.
fn is_endpoint_named(service: &str, variable: impl Fn(&str) -> Option<OsString>) -> bool {
    let names = [
        "AWS_ENDPOINT_URL".to_owned(),
        format!("AWS_ENDPOINT_URL_{service}"),
    ];
    names
        .iter()
        .any(|name| variable(name).is_some_and(|value| !value.is_empty()))
}

/// The host of an HTTP or HTTPS address, in lower case.
fn host_of(url: &str) -> Option<String> {
    let address: http::Uri = url.parse().ok()?;
    let is_web = matches!(address.scheme_str(), Some("http" | "https"));
    let host = address.host().filter(|_| is_web)?;
    Some(host.trim_end_matches('.').to_ascii_lowercase())
}

/// Whether a host is loopback's name or an IP address, which AWS has for no queue.
fn is_local(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || host.ends_with(".localhost") || address.parse::<IpAddr>().is_ok()
}

/// Connects to S3 and SQS: at an endpoint, or on AWS.
pub(crate) async fn connect_both(
    endpoint: Option<&str>,
) -> anyhow::Result<(Client, aws_sdk_sqs::Client)> {
    let (mut aws, _, _) = sdk_config().await?;
    let is_elsewhere = endpoint.is_some() || is_endpoint_named("S3", |name| std::env::var_os(name));
    if let Some(endpoint) = endpoint {
        aws = aws.endpoint_url(endpoint);
    }
    let aws = aws.load().await;
    let s3 = Builder::from(&aws).force_path_style(is_elsewhere).build();
    Ok((Client::from_conf(s3), aws_sdk_sqs::Client::new(&aws)))
}

/// Connects to an S3 elsewhere.
pub(crate) async fn connect(endpoint: &str) -> anyhow::Result<Connection> {
    let (aws, credentials, region) = sdk_config().await?;
    let config = Builder::from(&aws.load().await)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_queue_of_this_network_needs_an_endpoint() {
        let endpoint = Some("http://127.0.0.1:9");
        for (url, endpoint, is_fine) in [
            ("https://sqs.eu-central-1.amazonaws.com/1/q", None, true),
            ("https://sqs.cn-north-1.amazonaws.com.cn/1/q", None, true),
            ("https://sqs.eusc-de-east-1.amazonaws.eu/1/q", None, true),
            ("https://sqs.us-iso-east-1.c2s.ic.gov/1/q", None, true),
            ("https://SQS.EU-CENTRAL-1.AMAZONAWS.COM/1/q", None, true),
            ("HTTPS://queue.amazonaws.com:443/1/q", None, true),
            ("http://127.0.0.1:9/1/q", None, false),
            ("http://[::1]:9/1/q", None, false),
            ("http://10.0.0.7/1/q", None, false),
            ("http://localhost:4566/1/q", None, false),
            ("http://LocalHost/1/q", None, false),
            ("http://localhost.:4566/1/q", None, false),
            ("http://sqs.localhost:4566/1/q", None, false),
            ("q", None, false),
            ("ftp://example.com/q", None, false),
            ("", None, false),
            ("http://127.0.0.1:9/1/q", endpoint, true),
            ("http://localhost:9/1/q", endpoint, true),
            ("q", endpoint, true),
        ] {
            assert_eq!(check_queue_url(url, endpoint).is_ok(), is_fine, "{url}");
        }
    }

    #[test]
    fn the_environment_may_name_an_endpoint() {
        for (name, value, service, is_named) in [
            ("AWS_ENDPOINT_URL", "http://localhost:4566", "SQS", true),
            ("AWS_ENDPOINT_URL_SQS", "http://localhost:4566", "SQS", true),
            ("AWS_ENDPOINT_URL_SQS", "http://localhost:4566", "S3", false),
            ("AWS_ENDPOINT_URL", "", "SQS", false),
        ] {
            let variable = |asked: &str| (asked == name).then(|| value.into());
            assert_eq!(is_endpoint_named(service, variable), is_named, "{name}");
        }
    }

    #[test]
    fn fips_is_split_off_a_regions_name() {
        for (region, expected) in [
            ("us-east-1", ("us-east-1", false)),
            ("fips-us-east-1", ("us-east-1", true)),
            ("us-gov-west-1-fips", ("us-gov-west-1", true)),
        ] {
            assert_eq!(without_fips(region), expected);
        }
    }

    #[test]
    fn an_expiry_is_a_timestamp() {
        let end = parse_expiration(" 2026-11-23T12:00:00+01:00 ").unwrap();
        let expected: Timestamp = "2026-11-23T11:00:00Z".parse().unwrap();
        assert_eq!(Timestamp::try_from(end).unwrap(), expected);
        for wrong in ["", "soon", "2026-11-23"] {
            let error = parse_expiration(wrong).unwrap_err();
            assert!(
                printable(&media_store::causes(&error)).contains("not a point in time"),
                "{wrong}"
            );
        }
    }
}
