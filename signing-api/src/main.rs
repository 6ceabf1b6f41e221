//! The Lambda's `bootstrap`: it reads the package and the environment, connects to S3, and serves the router behind a
//! function URL.

mod invalidation;
mod secret;
mod session_refresh;

use std::sync::Arc;

use anyhow::{Context as _, ensure};
use aws_call::Caller;
use aws_config::sts::AssumeRoleProvider;
use aws_credential_types::provider::SharedCredentialsProvider;
use axum::Router;
use axum::extract::Request;
use axum::http::{HeaderName, header};
use axum::middleware::{self, Next};
use axum::response::Response;
use edge_auth::Authorizer;
use edge_auth_host::HostedAuthorizer;
use jiff::{SignedDuration, Timestamp};
use media_store::{Buckets, MediaStore};
use signing_api::{
    Api, CloudFront, Distribution, DistributionId, EdgeCache, PRIVATE_KEY_VARIABLE, PackedSettings,
    SESSION_KEY_VARIABLE, SESSION_SECRETS_MAX_AGE, SESSION_SECRETS_MAX_AGE_VARIABLE,
    SESSION_SECRETS_VARIABLE, Signer, SiteOrigin, router,
};
use url_signing::Bucket;

use invalidation::Invalidations;
use session_refresh::{Parts, RefreshingApi};

/// The header that has the viewer's `Authorization` behind `CloudFront`: origin access control replaces the original with
/// its own signature.
const VIEWER_AUTHORIZATION: HeaderName = HeaderName::from_static("x-gatepost-authorization");

/// The header that has the host of the viewer's request: `Host` names the function URL.
const VIEWER_HOST: HeaderName = HeaderName::from_static("x-gatepost-host");

/// The variable with further origins besides those of `[cors]`, separated by commas.
const ORIGINS: &str = "GATEPOST_ORIGINS";

/// The header that has the distribution's id.
const DISTRIBUTION_ID: HeaderName = HeaderName::from_static("x-gatepost-distribution-id");

/// The header that has the distribution's domain name.
const DISTRIBUTION: HeaderName = HeaderName::from_static("x-gatepost-distribution");

const NO_CREDENTIALS: &str =
    "there are no AWS credentials; Lambda sets them from the function's role";

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    tracing_subscriber::fmt()
        .json()
        .with_max_level(tracing::Level::INFO)
        .without_time()
        .init();
    let mut packed = read_settings()?;
    let aws = aws_config::load_defaults(aws_config::BehaviorVersion::latest()).await;
    let credentials = aws.credentials_provider();
    let caller = Caller::new(credentials.context(NO_CREDENTIALS)?)?;
    let secrets_arn = secret::arn_variable(SESSION_SECRETS_VARIABLE)?;
    let session_secrets = async {
        let Some(arn) = &secrets_arn else {
            return Ok(None);
        };
        let text = arn.read(&caller, &arn.endpoint()).await;
        anyhow::Ok(Some(text.context(SESSION_SECRETS_VARIABLE)?))
    };
    // Concurrently: a caller waits for this instance to start.
    let (session_keys, cloudfront_key, session_secrets) = tokio::try_join!(
        secret::variable(&caller, SESSION_KEY_VARIABLE),
        secret::variable(&caller, PRIVATE_KEY_VARIABLE),
        session_secrets,
    )?;
    if let Some(pem) = session_keys {
        packed
            .accept_session_keys(pem.as_encoded_bytes())
            .map_err(|reason| anyhow::anyhow!("{SESSION_KEY_VARIABLE}: {reason}"))?;
    }
    let region = aws
        .region()
        .context("there is no AWS region; Lambda sets AWS_REGION")?
        .to_string();
    // An explicit endpoint is another S3 server, which expects the bucket in the path.
    let endpoint = std::env::var("AWS_ENDPOINT_URL_S3")
        .or_else(|_| std::env::var("AWS_ENDPOINT_URL"))
        .ok();
    let bucket = |name: &str| match &endpoint {
        Some(endpoint) => Bucket::at_endpoint(name, &region, endpoint),
        None => Bucket::new(name, &region),
    };
    let s3 = aws_sdk_s3::config::Builder::from(&aws)
        .force_path_style(endpoint.is_some())
        .build();
    let buckets = Buckets {
        uploads: variable("GATEPOST_UPLOAD_BUCKET")?,
        media: variable("GATEPOST_MEDIA_BUCKET")?,
    };
    let cloudfront = CloudFront::from_variables(|name| match name {
        PRIVATE_KEY_VARIABLE => cloudfront_key.clone(),
        name => std::env::var_os(name),
    })?;
    let link_signer = CloudFront::link_signer(cloudfront.as_ref());
    let mut settings = packed.settings(
        bucket(&buckets.uploads)?,
        bucket(&buckets.media)?,
        link_signer,
    );
    if let Ok(origins) = variable(ORIGINS) {
        settings.cors_origins.extend(read_origins(&origins));
    }
    let signer = Arc::new(Signer::new(signer(&aws).await?));
    let cloudfront = cloudfront.map(Arc::new);
    let store = MediaStore::new(aws_sdk_s3::Client::from_conf(s3), buckets);
    let settings = Arc::new(settings);
    let endpoint = std::env::var("AWS_ENDPOINT_URL_CLOUDFRONT")
        .or_else(|_| std::env::var("AWS_ENDPOINT_URL"))
        .ok();
    let cache = Invalidations::new(caller.clone(), endpoint, packed.delivery);
    let cache: Arc<dyn EdgeCache> = Arc::new(cache);
    let build = move |authorizer: Authorizer| -> anyhow::Result<Router> {
        Ok(router(Api {
            authorizer: Arc::new(HostedAuthorizer::new(authorizer, Timestamp::now)?),
            signer: signer.clone(),
            cloudfront: cloudfront.clone(),
            edge_cache: Some(cache.clone()),
            store: store.clone(),
            settings: settings.clone(),
            clock: Timestamp::now,
        }))
    };
    let service = match secrets_arn.zip(session_secrets) {
        Some((arn, text)) => {
            let parts = Parts {
                edge: packed.edge,
                max_age: session_secrets_max_age()?,
                read: Box::new(move || {
                    let (arn, caller) = (arn.clone(), caller.clone());
                    Box::pin(async move { Ok(arn.read_once(&caller, &arn.endpoint()).await?) })
                }),
                build: Box::new(build),
                clock: Box::new(Timestamp::now),
            };
            let api = RefreshingApi::new(parts, text).context(SESSION_SECRETS_VARIABLE)?;
            api.router()
        }
        None => build(packed_authorizer(&packed.edge)?)?,
    };
    let service = service.layer(middleware::from_fn(trust_edge_headers));
    lambda_http::run(service)
        .await
        .map_err(|error| anyhow::anyhow!(error))
}

/// The authorizer with the session keys of the package.
fn packed_authorizer(edge: &edge_auth::Config) -> anyhow::Result<Authorizer> {
    if let Some(session) = &edge.session {
        ensure!(
            !session.keys.is_empty(),
            "[session] of the package has no keys; set {SESSION_SECRETS_VARIABLE}, or package keys"
        );
        for key in session.keys.iter().filter(|key| !key.can_sign()) {
            let kid = key.kid.as_str();
            tracing::error!(
                kid,
                "a session key has no private half, so it cannot sign sessions; set {SESSION_KEY_VARIABLE} or {SESSION_KEY_VARIABLE}_SECRET_ARN"
            );
        }
    }
    Authorizer::new(edge).map_err(|faults| {
        anyhow::anyhow!("settings.json is not what `gatepost package` writes: {faults:?}")
    })
}

/// How old the copy of the session keys may become.
fn session_secrets_max_age() -> anyhow::Result<SignedDuration> {
    let Ok(text) = variable(SESSION_SECRETS_MAX_AGE_VARIABLE) else {
        return Ok(SESSION_SECRETS_MAX_AGE);
    };
    let age = text.parse::<SignedDuration>().ok();
    let is_valid = |age: &SignedDuration| (1..=3600).contains(&age.as_secs());
    age.filter(is_valid).with_context(|| {
        format!("{SESSION_SECRETS_MAX_AGE_VARIABLE} is {text:?}; write a duration from 1s to 1h, such as 5m")
    })
}

/// The credentials that sign forms and links: those of a separate role with no other permissions, if one is configured.
async fn signer(aws: &aws_config::SdkConfig) -> anyhow::Result<SharedCredentialsProvider> {
    if let Ok(role) = variable("GATEPOST_SIGNER_ROLE_ARN") {
        let provider = AssumeRoleProvider::builder(role)
            .session_name("gatepost-signing")
            .configure(aws)
            .build()
            .await;
        return Ok(SharedCredentialsProvider::new(provider));
    }
    aws.credentials_provider().context(NO_CREDENTIALS)
}

/// Restores the header that a function at the edge moved, and notes the distribution and the site. These headers can be
/// trusted: the function URL answers only to the distribution, which replaces any that a viewer sent.
async fn trust_edge_headers(mut request: Request, next: Next) -> Response {
    if let Some(domain) = request.headers_mut().remove(DISTRIBUTION)
        && let Ok(domain) = domain.to_str()
    {
        let distribution = Distribution(domain.to_owned());
        request.extensions_mut().insert(distribution);
    }
    if let Some(id) = request.headers_mut().remove(DISTRIBUTION_ID)
        && let Ok(id) = id.to_str()
    {
        let id = DistributionId(id.to_owned());
        request.extensions_mut().insert(id);
    }
    if let Some(host) = request.headers_mut().remove(VIEWER_HOST)
        && let Ok(host) = host.to_str()
    {
        // The distribution answers only over TLS.
        let origin = SiteOrigin(format!("https://{host}"));
        request.extensions_mut().insert(origin);
    }
    if let Some(value) = request.headers_mut().remove(VIEWER_AUTHORIZATION) {
        request.headers_mut().insert(header::AUTHORIZATION, value);
    }
    next.run(request).await
}

/// The settings that `gatepost package` put beside this program.
fn read_settings() -> anyhow::Result<PackedSettings> {
    let folder = std::env::var_os("LAMBDA_TASK_ROOT").unwrap_or_else(|| ".".into());
    let file = std::path::Path::new(&folder).join("settings.json");
    let text = std::fs::read_to_string(&file)
        .with_context(|| format!("{} cannot be read", file.display()))?;
    serde_json::from_str(&text)
        .with_context(|| format!("{} is not what `gatepost package` writes", file.display()))
}

fn read_origins(text: &str) -> impl Iterator<Item = String> {
    let origins = text.split(',').map(str::trim);
    origins
        .filter(|origin| !origin.is_empty())
        .map(str::to_owned)
}

fn variable(name: &str) -> anyhow::Result<String> {
    std::env::var(name).with_context(|| format!("the environment variable {name} is missing"))
}
