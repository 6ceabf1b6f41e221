//! `gatepost sign`: prints forms, URLs and cookies, signed as the API signs them.
//!
//! It does no network I/O of its own; the AWS credentials may come from a provider that does.

use std::path::PathBuf;

use anyhow::{anyhow, bail};
use clap::{Args, Subcommand};
use data_encoding::HEXLOWER_PERMISSIVE;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value, json};
use signing_api::{KEY_PAIR_ID_VARIABLE, PRIVATE_KEY_VARIABLE};
use url_signing::cloudfront::{
    AddressRange, CookieAttributes, KeyPair, Policy, SameSite, SignedPolicy,
};
use url_signing::{Bucket, Credentials, Expiry, PostPolicy, PresignedGet, ResponseHeader};

use crate::aws;
use crate::config::{parse_bytes, parse_duration, parse_time};
use crate::terminal::output;

#[derive(Args, Debug)]
pub(crate) struct SignArgs {
    #[command(subcommand)]
    command: SignCommand,
}

#[derive(Debug, Subcommand)]
enum SignCommand {
    /// A form with which a browser uploads one object: url, fields, `expires_at`
    #[command(after_long_help = "\
Examples:
  # One photo of at most 5 MiB, within five minutes
  gatepost sign post --bucket example-uploads --key uploads/k5x/1 --content-type image/jpeg --max-bytes '5 MiB' --meta owner=k5x")]
    Post(PostArgs),
    /// A URL that reads one object: url, `expires_at`
    #[command(after_long_help = "\
Examples:
  # The same URL for every call within five minutes
  gatepost sign get --bucket example-media --key o/media/k5x/640.webp --expires 15m --shared-within 5m")]
    Get(GetArgs),
    /// A URL for CloudFront: url, `expires_at`
    #[command(after_long_help = "\
Examples:
  # One URL, for an hour
  gatepost sign cloudfront-url --url https://media.example.com/media/k5x/640.webp --key-pair-id K2JCJMDEHXQW5F --private-key cloudfront.pem --expires 1h")]
    CloudfrontUrl(CloudfrontUrlArgs),
    /// Cookies for CloudFront: cookies, `set_cookie`, `expires_at`
    #[command(after_long_help = "\
Examples:
  # For everything in a folder
  gatepost sign cloudfront-cookies --below https://media.example.com/media/k5x/ --key-pair-id K2JCJMDEHXQW5F --private-key cloudfront.pem")]
    CloudfrontCookies(CloudfrontCookiesArgs),
}

/// The policy that CloudFront enforces.
#[derive(Args, Debug)]
struct PolicyArgs {
    /// Everything in this folder, a URL that ends in a slash.
    #[arg(long, value_name = "URL", conflicts_with = "matching")]
    below: Option<String>,
    /// All URLs of this pattern: * for any characters, ? for one.
    #[arg(long, value_name = "PATTERN")]
    matching: Option<String>,
    /// How long it is valid at least.
    #[arg(long, default_value = "15m", value_name = "DURATION", value_parser = parse_duration)]
    expires: SignedDuration,
    /// Make the same signature for every call within this time, so that browsers can use their caches.
    #[arg(long, value_name = "DURATION", value_parser = parse_duration)]
    shared_within: Option<SignedDuration>,
    /// Valid from this time on, for the same duration.
    #[arg(long, value_name = "RFC3339", value_parser = parse_time)]
    not_before: Option<Timestamp>,
    /// Only for viewers with these IPv4 addresses, such as 192.0.2.0/24.
    #[arg(long, value_name = "RANGE")]
    only_from: Option<AddressRange>,
    /// The id of the public key at CloudFront.
    #[arg(long, env = KEY_PAIR_ID_VARIABLE, value_name = "ID")]
    key_pair_id: Option<String>,
    /// The private key, in PEM [default: the text in `GATEPOST_CLOUDFRONT_PRIVATE_KEY`].
    #[arg(long, value_name = "FILE")]
    private_key: Option<PathBuf>,
    /// The time of signing [default: now].
    #[arg(long, value_name = "RFC3339", value_parser = parse_time)]
    at: Option<Timestamp>,
}

#[derive(Args, Debug)]
struct CloudfrontUrlArgs {
    /// The URL, exactly as browsers will send it.
    #[arg(long)]
    url: String,
    #[command(flatten)]
    policy: PolicyArgs,
}

#[derive(Args, Debug)]
struct CloudfrontCookiesArgs {
    /// A single URL, instead of --below or --matching.
    #[arg(long, conflicts_with_all = ["below", "matching"], required_unless_present_any = ["below", "matching"])]
    url: Option<String>,
    #[command(flatten)]
    policy: PolicyArgs,
    /// The path prefix for which browsers send the cookies [default: the folder that they allow].
    #[arg(long, value_name = "PATH")]
    cookie_path: Option<String>,
    /// The domain whose hosts receive the cookies [default: the host that sets them].
    #[arg(long, value_name = "DOMAIN")]
    cookie_domain: Option<String>,
    /// Whether browsers send the cookies with requests of other sites.
    #[arg(long, default_value = "lax", value_parser = parse_same_site, value_name = "lax|strict|none")]
    same_site: SameSite,
}

/// The object, and the S3 that holds it.
#[derive(Args, Debug)]
struct ObjectArgs {
    /// The bucket's name.
    #[arg(long)]
    bucket: String,
    /// The object's key, exactly.
    #[arg(long)]
    key: String,
    /// Use this S3 endpoint instead of AWS, with path-style addresses.
    #[arg(long, value_name = "URL", value_parser = aws::parse_endpoint)]
    endpoint_url: Option<String>,
    /// The time of signing [default: now]. The same time, key and credentials make the same signature.
    #[arg(long, value_name = "RFC3339", value_parser = parse_time)]
    at: Option<Timestamp>,
}

#[derive(Args, Debug)]
struct PostArgs {
    #[command(flatten)]
    object: ObjectArgs,
    /// The content type that the form must have, such as image/jpeg [default: any].
    #[arg(long, value_name = "TYPE")]
    content_type: Option<String>,
    /// The minimum size, such as 1, or 10 KiB.
    #[arg(long, default_value = "1", value_name = "N", value_parser = parse_bytes)]
    min_bytes: u64,
    /// The maximum size, such as 25 MiB.
    #[arg(long, default_value = "25 MiB", value_name = "N", value_parser = parse_bytes)]
    max_bytes: u64,
    /// Accept only the file with this SHA-256, in hexadecimal.
    #[arg(long, value_name = "HEX")]
    sha256: Option<String>,
    /// Metadata to be stored with the object.
    #[arg(long, value_name = "NAME=VALUE")]
    meta: Vec<String>,
    /// How long the form is valid.
    #[arg(long, default_value = "5m", value_name = "DURATION", value_parser = parse_duration)]
    expires: SignedDuration,
}

#[derive(Args, Debug)]
struct GetArgs {
    #[command(flatten)]
    object: ObjectArgs,
    /// How long the URL is valid at least.
    #[arg(long, default_value = "15m", value_name = "DURATION", value_parser = parse_duration)]
    expires: SignedDuration,
    /// Make the same URL for every call within this time, so that caches can use it.
    #[arg(long, value_name = "DURATION", value_parser = parse_duration)]
    shared_within: Option<SignedDuration>,
    /// The Content-Disposition of S3's answer, such as attachment.
    #[arg(long, value_name = "VALUE")]
    response_content_disposition: Option<String>,
    /// The Content-Type of S3's answer.
    #[arg(long, value_name = "VALUE")]
    response_content_type: Option<String>,
    /// The Cache-Control of S3's answer.
    #[arg(long, value_name = "VALUE")]
    response_cache_control: Option<String>,
    /// A version of the object.
    #[arg(long, value_name = "ID")]
    version_id: Option<String>,
}

/// Prints the signed form, URL or cookies as JSON.
pub(crate) async fn run(args: SignArgs) -> anyhow::Result<()> {
    let signed = match args.command {
        SignCommand::Post(args) => serde_json::to_string(&post(&args).await?)?,
        SignCommand::Get(args) => serde_json::to_string(&get(&args).await?)?,
        SignCommand::CloudfrontUrl(args) => {
            let signed = args.policy.sign(Some(&args.url))?;
            serde_json::to_string(&signed.url(&args.url)?)?
        }
        SignCommand::CloudfrontCookies(args) => serde_json::to_string(&cookies(args)?)?,
    };
    Ok(output::print(signed)?)
}

async fn post(args: &PostArgs) -> anyhow::Result<url_signing::SignedForm> {
    let mut problems = Vec::new();
    let mut metadata = Vec::new();
    for entry in &args.meta {
        match entry.split_once('=') {
            Some(entry) => metadata.push(entry),
            None => problems.push(format!("--meta {entry:?} is not of the form NAME=VALUE")),
        }
    }
    let mut sha256 = None;
    if let Some(text) = &args.sha256 {
        let digest = HEXLOWER_PERMISSIVE.decode(text.as_bytes()).ok();
        sha256 = digest.and_then(|digest| digest.try_into().ok());
        if sha256.is_none() {
            problems.push("--sha256 takes 64 hexadecimal digits".to_owned());
        }
    }
    let (bucket, credentials) = args.object.resolve(problems).await?;
    let expiry = Expiry::within(args.expires);
    let size = args.min_bytes..=args.max_bytes;
    let mut policy = PostPolicy::new(&bucket, &args.object.key, size, expiry)?;
    if let Some(content_type) = &args.content_type {
        policy = policy.content_type(content_type)?;
    }
    for (name, value) in metadata {
        policy = policy.metadata(name, value)?;
    }
    if let Some(digest) = sha256 {
        policy = policy.sha256(digest)?;
    }
    Ok(policy.sign(args.object.time(), &credentials)?)
}

async fn get(args: &GetArgs) -> anyhow::Result<url_signing::PresignedUrl> {
    let (bucket, credentials) = args.object.resolve(Vec::new()).await?;
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

fn cookies(args: CloudfrontCookiesArgs) -> anyhow::Result<Value> {
    let signed = args.policy.sign(args.url.as_deref())?;
    let cookies = signed.cookies(&CookieAttributes {
        path: args.cookie_path,
        domain: args.cookie_domain,
        same_site: args.same_site,
    })?;
    let by_name: Map<_, _> = cookies
        .cookies
        .iter()
        .map(|(name, value)| ((*name).to_owned(), value.as_str().into()))
        .collect();
    Ok(json!({
        "cookies": by_name,
        "set_cookie": cookies.set_cookie(),
        "expires_at": cookies.expires_at,
    }))
}

fn parse_same_site(text: &str) -> Result<SameSite, String> {
    match text {
        "lax" => Ok(SameSite::Lax),
        "strict" => Ok(SameSite::Strict),
        "none" => Ok(SameSite::None),
        _ => Err("write lax, strict or none".to_owned()),
    }
}

impl PolicyArgs {
    /// Signs a policy for the folder or the pattern, otherwise for the URL.
    fn sign(&self, url: Option<&str>) -> anyhow::Result<SignedPolicy> {
        let mut policy = match (&self.below, &self.matching, url) {
            (Some(folder), _, _) => Policy::below(folder, self.expires)?,
            (None, Some(pattern), _) => Policy::matching(pattern, self.expires)?,
            (None, None, Some(url)) => Policy::for_url(url, self.expires)?,
            (None, None, None) => bail!("name --url, --below or --matching"),
        };
        if let Some(window) = self.shared_within {
            policy = policy.shared_within(window);
        }
        if let Some(moment) = self.not_before {
            policy = policy.not_before(moment);
        }
        if let Some(addresses) = self.only_from {
            policy = policy.only_from(addresses);
        }
        let key = self.key_pair()?;
        Ok(policy.sign(self.at.unwrap_or_else(Timestamp::now), &key)?)
    }

    fn key_pair(&self) -> anyhow::Result<KeyPair> {
        let mut problems = Vec::new();
        if self.key_pair_id.is_none() {
            problems.push(format!("there is no id of a public key at CloudFront; name it with --key-pair-id, or set {KEY_PAIR_ID_VARIABLE}"));
        }
        let pem = match &self.private_key {
            Some(file) => std::fs::read(file)
                .map_err(|error| format!("the private key {} cannot be read: {error}", file.display())),
            None => std::env::var_os(PRIVATE_KEY_VARIABLE)
                .map(std::ffi::OsString::into_encoded_bytes)
                .ok_or_else(|| format!("there is no private key; name it with --private-key, or set {PRIVATE_KEY_VARIABLE} to its text")),
        };
        match (&self.key_pair_id, pem) {
            (Some(id), Ok(pem)) => Ok(KeyPair::from_pem(id, &pem)?),
            (_, pem) => {
                problems.extend(pem.err());
                Err(signing_error(&problems))
            }
        }
    }
}

impl ObjectArgs {
    fn time(&self) -> Timestamp {
        self.at.unwrap_or_else(Timestamp::now)
    }

    /// The bucket in its region, and the credentials. `problems` are those found so far: all of them are reported at once.
    async fn resolve(&self, mut problems: Vec<String>) -> anyhow::Result<(Bucket, Credentials)> {
        let region = aws::region().await;
        let mut bucket = None;
        if let Some(region) = &region {
            match self.bucket_in(region.as_ref()) {
                Ok(found) => bucket = Some(found),
                Err(error) => problems.push(error.to_string()),
            }
        } else {
            problems.push(
                "there is no AWS region; set AWS_REGION, or `region` in the AWS profile".to_owned(),
            );
        }
        let credentials = match aws::identify(region)
            .await
            .and_then(|found| read(&found.found))
        {
            Ok(credentials) => Some(credentials),
            Err(error) => {
                problems.push(format!("{error:#}"));
                None
            }
        };
        match (bucket, credentials) {
            (Some(bucket), Some(credentials)) if problems.is_empty() => Ok((bucket, credentials)),
            _ => Err(signing_error(&problems)),
        }
    }

    fn bucket_in(&self, region: &str) -> Result<Bucket, url_signing::SigningError> {
        match &self.endpoint_url {
            Some(endpoint) => Bucket::at_endpoint(&self.bucket, region, endpoint),
            None => Bucket::new(&self.bucket, region),
        }
    }
}

/// The SDK's credentials as `url-signing` takes them.
fn read(found: &aws_credential_types::Credentials) -> anyhow::Result<Credentials> {
    Ok(Credentials {
        access_key_id: found.access_key_id().to_owned(),
        secret_access_key: found.secret_access_key().into(),
        session_token: found.session_token().map(Into::into),
        expires_at: found.expiry().map(Timestamp::try_from).transpose()?,
    })
}

/// Everything that prevents a signature, in one error.
fn signing_error(problems: &[String]) -> anyhow::Error {
    match problems {
        [one] => anyhow!("{one}"),
        several => anyhow!("this cannot be signed:\n  {}", several.join("\n  ")),
    }
}
