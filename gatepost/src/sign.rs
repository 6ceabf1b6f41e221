//! `gatepost sign`: forms and URLs as the API signs them, for scripts and for looking at.

use anyhow::{Context as _, bail};
use aws_credential_types::provider::ProvideCredentials;
use clap::{Args, Subcommand};
use data_encoding::HEXLOWER_PERMISSIVE;
use jiff::{SignedDuration, Timestamp};
use url_signing::{Bucket, Credentials, Expiry, PostPolicy, PresignedGet, ResponseHeader};

use crate::aws;
use crate::config::{parse_bytes, parse_duration};

#[derive(Args, Debug)]
pub(crate) struct SignArgs {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// A form with which a browser uploads one object: url, fields, `expires_at`
    Post(PostArgs),
    /// A URL that reads one object: url, `expires_at`
    Get(GetArgs),
}

/// Where the object lies.
#[derive(Args, Debug)]
struct ObjectArgs {
    #[arg(long)]
    bucket: String,
    #[arg(long)]
    key: String,
    /// Another S3 than AWS's, addressed by path.
    #[arg(long, value_name = "URL")]
    endpoint_url: Option<String>,
    /// The time of signing [default: now]. The same time, key and credentials make the same signature.
    #[arg(long, value_name = "RFC3339")]
    at: Option<Timestamp>,
}

#[derive(Args, Debug)]
struct PostArgs {
    #[command(flatten)]
    object: ObjectArgs,
    #[arg(long, value_name = "TYPE")]
    content_type: Option<String>,
    /// The least size, such as 1, or 10 KiB.
    #[arg(long, default_value = "1", value_name = "N", value_parser = parse_bytes)]
    min_bytes: u64,
    /// The largest size, such as 25 MiB.
    #[arg(long, default_value = "25 MiB", value_name = "N", value_parser = parse_bytes)]
    max_bytes: u64,
    /// The only bytes that are taken, by their SHA-256 in hexadecimal.
    #[arg(long, value_name = "HEX")]
    sha256: Option<String>,
    /// Metadata to be stored with the object.
    #[arg(long, value_name = "NAME=VALUE")]
    meta: Vec<String>,
    /// How long the form works.
    #[arg(long, default_value = "5m", value_name = "DURATION", value_parser = parse_duration)]
    expires: SignedDuration,
}

#[derive(Args, Debug)]
struct GetArgs {
    #[command(flatten)]
    object: ObjectArgs,
    /// How long the URL works at least.
    #[arg(long, default_value = "15m", value_name = "DURATION", value_parser = parse_duration)]
    expires: SignedDuration,
    /// Make the same URL for all who ask within such a while, so that caches can use it.
    #[arg(long, value_name = "DURATION", value_parser = parse_duration)]
    shared_within: Option<SignedDuration>,
    /// What S3 answers as Content-Disposition, such as attachment.
    #[arg(long, value_name = "VALUE")]
    response_content_disposition: Option<String>,
    /// What S3 answers as Content-Type.
    #[arg(long, value_name = "VALUE")]
    response_content_type: Option<String>,
    /// What S3 answers as Cache-Control.
    #[arg(long, value_name = "VALUE")]
    response_cache_control: Option<String>,
    /// A version of the object.
    #[arg(long, value_name = "ID")]
    version_id: Option<String>,
}

/// Prints what was signed, as JSON.
pub(crate) async fn run(args: SignArgs) -> anyhow::Result<()> {
    let signed = match args.what {
        What::Post(args) => serde_json::to_string(&post(&args).await?)?,
        What::Get(args) => serde_json::to_string(&get(&args).await?)?,
    };
    println!("{signed}");
    Ok(())
}

async fn post(args: &PostArgs) -> anyhow::Result<url_signing::SignedForm> {
    let (bucket, credentials) = args.object.resolve().await?;
    let expiry = Expiry::within(args.expires);
    let size = args.min_bytes..=args.max_bytes;
    let mut policy = PostPolicy::new(&bucket, &args.object.key, size, expiry)?;
    if let Some(content_type) = &args.content_type {
        policy = policy.content_type(content_type)?;
    }
    for entry in &args.meta {
        let Some((name, value)) = entry.split_once('=') else {
            bail!("--meta {entry:?} is not of the form NAME=VALUE");
        };
        policy = policy.metadata(name, value)?;
    }
    if let Some(text) = &args.sha256 {
        let digest = HEXLOWER_PERMISSIVE.decode(text.as_bytes()).ok();
        let digest = digest.and_then(|digest| digest.try_into().ok());
        policy = policy.sha256(digest.context("--sha256 takes 64 hexadecimal digits")?)?;
    }
    Ok(policy.sign(args.object.time(), &credentials)?)
}

async fn get(args: &GetArgs) -> anyhow::Result<url_signing::PresignedUrl> {
    let (bucket, credentials) = args.object.resolve().await?;
    let mut get = PresignedGet::new(&bucket, &args.object.key, args.expires)?;
    if let Some(window) = args.shared_within {
        get = get.shared_within(window);
    }
    for (header, value) in [
        (
            ResponseHeader::ContentDisposition,
            &args.response_content_disposition,
        ),
        (ResponseHeader::ContentType, &args.response_content_type),
        (ResponseHeader::CacheControl, &args.response_cache_control),
    ] {
        if let Some(value) = value {
            get = get.response_header(header, value)?;
        }
    }
    if let Some(version_id) = &args.version_id {
        get = get.version_id(version_id)?;
    }
    Ok(get.sign(args.object.time(), &credentials)?)
}

impl ObjectArgs {
    fn time(&self) -> Timestamp {
        self.at.unwrap_or_else(Timestamp::now)
    }

    /// The bucket in its region, and what signs for it.
    async fn resolve(&self) -> anyhow::Result<(Bucket, Credentials)> {
        let identity = aws::identify().await?;
        let region = identity
            .region
            .context("there is no AWS region; set AWS_REGION, or AWS_PROFILE")?;
        let bucket = match &self.endpoint_url {
            Some(endpoint) => Bucket::at_endpoint(&self.bucket, &region, endpoint)?,
            None => Bucket::new(&self.bucket, &region)?,
        };
        let found = identity.credentials.provide_credentials().await?;
        let expires_at = found.expiry().map(Timestamp::try_from).transpose()?;
        let credentials = Credentials {
            access_key_id: found.access_key_id().to_owned(),
            secret_access_key: found.secret_access_key().into(),
            session_token: found.session_token().map(Into::into),
            expires_at,
        };
        Ok((bucket, credentials))
    }
}
