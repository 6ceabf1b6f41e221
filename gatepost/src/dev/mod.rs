//! `gatepost dev`: the whole system on this machine, wired as it is on AWS.
//!
//! An emulated S3 with its events, a queue, the processor behind it, `signing-api`, the edge in front of the media
//! bucket, a development identity provider, and the page. Everything listens on loopback only. This module connects
//! the emulators of `local-aws` and `dev-idp` with the products; each emulator knows only its own service.

pub(crate) mod data_dir;
mod dispatch;
mod edge;
pub(crate) mod gate;
mod generated;
mod guard;
pub(crate) mod issuer;
mod origins;
mod policy;
mod sign_in;
mod signatures;
mod signed;
mod take_up;
mod viewer;

use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, anyhow, bail};
use aws_sdk_s3::types::{CorsConfiguration, CorsRule, CreateBucketConfiguration};
use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse as _, Response};
use clap::Args;
use dev_idp::Issuer;
use edge_auth::config::{Session, SessionKey, TokenSource};
use edge_auth::{Authorizer, SESSION_COOKIE};
use edge_auth_host::HostedAuthorizer;
use jiff::Timestamp;
use local_aws::DrainOnDrop;
use local_aws::s3::{LocalS3, Notification, S3Options};
use local_aws::sqs::{Queue, QueueOptions};
use media_contract::upload_key::UPLOAD_PREFIX;
use media_store::MediaStore;
use signing_api::{Api, CloudFront, Signer, SiteOrigin, UploadsThrough};
use tokio::net::TcpListener;
use upload_processor::retry::MAX_RECEIVES;
use upload_processor::sweep::Report;
use upload_processor::{Buckets, Processor};
use url_signing::Bucket;

use crate::aws::{self, Connection};
use crate::config::{self, Config, DeliveryMode};
use crate::stop::Stop;
use crate::terminal::output;
use crate::web::Web;

use data_dir::DataDir;
use edge::Edge;
use guard::guard;
use origins::Origins;
use signatures::Uploads;

/// How long open requests may go on after Ctrl-C.
const GRACE: Duration = Duration::from_secs(3);

/// The bucket that forms post to.
pub(crate) const UPLOAD_BUCKET: &str = "gatepost-uploads";
/// The bucket that the edge reads.
pub(crate) const MEDIA_BUCKET: &str = "gatepost-media";

#[derive(Args, Debug)]
pub(crate) struct DevArgs {
    /// The port of loopback to serve on; 0 picks a free one.
    #[arg(long, default_value_t = 8080)]
    port: u16,
    /// Where everything is kept between starts.
    #[arg(long, default_value = ".gatepost", value_name = "DIR")]
    data_dir: PathBuf,
    /// The configuration [default: gatepost.toml, if there is one].
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// An S3 to use in place of the embedded one; region and credentials come from the AWS environment variables or profile. Its buckets
    /// gatepost-uploads and gatepost-media are made if they are missing, and the first one's CORS is set.
    #[arg(long, value_name = "URL", value_parser = aws::parse_endpoint)]
    endpoint_url: Option<String>,
    /// Another origin whose pages may use the stack, such as `http://localhost:5173` of a front end's own development
    /// server; repeatable, and beside the origins that the configuration names (section cors).
    #[arg(long = "origin", value_name = "ORIGIN", value_parser = origins::parse)]
    origins: Vec<String>,
    /// How viewers are authorized, in place of the configuration's mode (section delivery).
    #[arg(long, value_parser = config::delivery::mode_parser(), value_name = "MODE")]
    delivery: Option<DeliveryMode>,
}

/// Runs until Ctrl-C.
pub(crate) async fn run(args: DevArgs) -> anyhow::Result<()> {
    let mut config = Config::load_for(args.config.as_deref(), args.delivery)?;
    origins::add(&mut config.edge.cors, &args.origins);
    if config.edge.rules.is_empty() {
        output::warn(
            "the configuration has no [[rules]], so every request for media is denied; add one, such as path = \"/media/{owner}/**\" with allow = \"owner\"",
        );
    }
    let listener = listen(args.port).await?;
    let origins = origins_of(&listener, &config, &args.origins)?;
    let buckets = Buckets {
        uploads: UPLOAD_BUCKET.to_owned(),
        media: MEDIA_BUCKET.to_owned(),
    };
    let elsewhere = match &args.endpoint_url {
        Some(endpoint) => {
            let connection = aws::connect(endpoint).await?;
            // Forms that come through the distribution are of the same origin as the page.
            let is_posted_to = config.uploads_through == UploadsThrough::Bucket;
            let pages = is_posted_to.then_some(&origins);
            prepare_buckets(&connection, &buckets, pages).await?;
            Some(connection)
        }
        None => None,
    };
    // Only now: a start that fails before leaves no new directory behind.
    let data_dir = DataDir::open(&args.data_dir)?;
    let issuer = Arc::new(issuer::open(data_dir.path())?);
    let stop = Stop::on_signal();

    let queue = Queue::open(QueueOptions {
        folder: data_dir.queue(),
        dead_letters: data_dir.dead_letters(),
        redriven: data_dir.redriven(),
        max_receives: MAX_RECEIVES,
    })
    .with_context(|| {
        format!(
            "the queue in {} cannot be opened",
            data_dir.path().display()
        )
    })?;
    let queue = Arc::new(queue);
    let connection = match elsewhere {
        Some(connection) => connection,
        None => start_embedded_s3(&data_dir, queue.clone(), &origins, &stop).await?,
    };
    let store = MediaStore::new(connection.s3.clone(), buckets.clone());
    let found = take_up::take_up(&store, &queue).await;
    let found = found.unwrap_or_else(|error| {
        // With an S3 elsewhere it is tried again soon; the embedded one is tried again at the next start.
        tracing::warn!(
            error = format!("{error:#}"),
            "the buckets cannot be looked through"
        );
        Report::default()
    });
    if found.n_announced + found.n_cleaned > 0 {
        tracing::info!(
            n_uploads = found.n_announced,
            n_deletions = found.n_cleaned,
            "work of an earlier run is taken up again"
        );
    }
    if args.endpoint_url.is_some() {
        let queue = queue.clone();
        tokio::spawn(async move { take_up::keep_taking_up(store, &queue).await });
    }
    let processor = Processor::new(
        connection.s3.clone(),
        buckets,
        config.images.clone(),
        Timestamp::now,
    )
    .with_max_receives(MAX_RECEIVES);
    let dispatcher = tokio::spawn(dispatch::run(UPLOAD_BUCKET, queue, processor));

    let edge = with_dev_identity(&config.edge, &issuer, &data_dir)?;
    // The provider of a deployment is replaced by the development issuer.
    let lacking = config::sign_in::lacking(&edge);
    if let Some(message) = &lacking {
        output::note(format_args!("nobody can sign in at the page: {message}"));
    }
    let config = Config {
        sign_in: lacking.is_none().then(sign_in::configuration),
        ..config
    };
    let router = site(&config, &edge, &connection, issuer, (&origins, &data_dir))?;
    if let Some(reason) = Web::missing() {
        output::note(format_args!("the page is not built: {reason}"));
    }
    output::note(format_args!("S3       {}", connection.endpoint));
    output::note(format_args!("data     {}", data_dir.path().display()));
    announce(&origins)?;
    let waiting = stop.clone();
    let server =
        axum::serve(listener, router).with_graceful_shutdown(async move { waiting.wait().await });
    tokio::select! {
        result = server => result?,
        ended = dispatcher => ended?,
        () = stop.wait_and(GRACE) => {}
    }
    output::note("stopped");
    Ok(())
}

async fn listen(port: u16) -> anyhow::Result<TcpListener> {
    match TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await {
        Ok(listener) => Ok(listener),
        Err(error) if error.kind() == std::io::ErrorKind::AddrInUse => {
            bail!(
                "port {port} is taken; stop what listens there or name another with --port (0 picks a free one)"
            )
        }
        Err(error) => Err(error).with_context(|| format!("port {port} cannot be listened on")),
    }
}

/// The one line of stdout: scripts wait for it.
fn announce(origins: &Origins) -> anyhow::Result<()> {
    Ok(output::print(format_args!("ready {}", origins.address()))?)
}

/// The origins whose pages may use the stack.
fn origins_of(
    listener: &TcpListener,
    config: &Config,
    named: &[String],
) -> anyhow::Result<Origins> {
    let configured = config.edge.cors.iter().flat_map(|cors| &cors.origins);
    let mut others: Vec<_> = configured.chain(named).cloned().collect();
    others.sort_unstable();
    others.dedup();
    Ok(Origins::new(listener.local_addr()?.port(), &others))
}

async fn start_embedded_s3(
    data_dir: &DataDir,
    queue: Arc<Queue>,
    origins: &Origins,
    stop: &Stop,
) -> anyhow::Result<Connection> {
    let credentials = data_dir.s3_credentials()?;
    let notification = Notification::new(UPLOAD_BUCKET, UPLOAD_PREFIX, move |event| {
        let queue = queue.clone();
        async move { queue.send(event.to_string()).await }
    });
    let server = LocalS3::open(S3Options {
        folder: data_dir.objects(),
        buckets: [UPLOAD_BUCKET, MEDIA_BUCKET].map(str::to_owned).into(),
        credentials: credentials.clone(),
        allowed_origins: origins.iter().cloned().collect(),
        notifications: vec![notification],
    })
    .await?;
    let connection = aws::connect_embedded(&server.endpoint(), credentials);
    let stop = stop.clone();
    tokio::spawn(server.serve(async move { stop.wait().await }));
    Ok(connection)
}

/// Makes the buckets of an S3 elsewhere if they are missing, and lets these pages post to them.
async fn prepare_buckets(
    connection: &Connection,
    buckets: &Buckets,
    pages: Option<&Origins>,
) -> anyhow::Result<()> {
    let s3 = &connection.s3;
    for bucket in [&buckets.uploads, &buckets.media] {
        let looked_at = s3.head_bucket().bucket(bucket).send().await;
        let is_missing = match looked_at {
            Ok(_) => false,
            Err(error) if media_store::status(&error) == Some(404) => true,
            Err(error) => {
                let error = media_store::StoreError::new("looking for the bucket", &error);
                bail!("{} does not answer: {error}", connection.endpoint)
            }
        };
        if is_missing {
            s3.create_bucket()
                .bucket(bucket)
                .set_create_bucket_configuration(location(&connection.region))
                .send()
                .await
                .map_err(|error| {
                    anyhow!(
                        "the bucket {bucket} cannot be made at {}: {}",
                        connection.endpoint,
                        media_store::reason(&error)
                    )
                })?;
        }
    }
    let Some(pages) = pages else {
        return Ok(());
    };
    let rule = CorsRule::builder()
        .set_allowed_origins(Some(pages.iter().cloned().collect()))
        .allowed_methods("POST")
        .expose_headers("ETag")
        .expose_headers("Location")
        .build()?;
    let cors = CorsConfiguration::builder().cors_rules(rule).build()?;
    s3.put_bucket_cors()
        .bucket(&buckets.uploads)
        .cors_configuration(cors)
        .send()
        .await
        .map_err(|error| {
            let reason = media_store::reason(&error);
            anyhow!("the page cannot be allowed to post to the bucket: {reason}")
        })?;
    Ok(())
}

/// The region of a new bucket: `us-east-1` is the one region that must not be named.
fn location(region: &str) -> Option<CreateBucketConfiguration> {
    (region != "us-east-1").then(|| {
        CreateBucketConfiguration::builder()
            .location_constraint(region.into())
            .build()
    })
}

/// The configuration with the development issuer, and with sessions if a session cookie is a token source.
fn with_dev_identity(
    config: &edge_auth::Config,
    issuer: &Issuer,
    data_dir: &DataDir,
) -> anyhow::Result<edge_auth::Config> {
    let mut config = config.clone();
    issuer::join(issuer, &mut config);
    let cookie = TokenSource::Cookie(SESSION_COOKIE.to_owned());
    // A configuration may name public keys only, whose private halves never leave the deployed API.
    let cannot_sign = |session: &Session| !session.keys.iter().all(SessionKey::can_sign);
    let lacks_private_half = config.session.as_ref().is_some_and(cannot_sign);
    let has_no_keys = |session: &Session| session.keys.is_empty();
    if lacks_private_half {
        output::note(
            "[session] names a key without its private half: sessions are signed with a key of this data directory",
        );
    }
    let has_none = config.session.as_ref().is_none_or(has_no_keys) || lacks_private_half;
    if has_none && config.token_sources.contains(&cookie) {
        let configured = config.session.map(|session| session.lifetime_seconds);
        let own = data_dir.session()?;
        config.session = Some(Session {
            lifetime_seconds: configured.unwrap_or(own.lifetime_seconds),
            ..own
        });
    }
    Ok(config)
}

/// Everything on one port, split as a distribution's behaviours split it: the API, the page, and otherwise the media.
fn site(
    config: &Config,
    edge: &edge_auth::Config,
    connection: &Connection,
    issuer: Arc<Issuer>,
    (origins, data_dir): (&Origins, &DataDir),
) -> anyhow::Result<Router> {
    let authorizer = Authorizer::new(edge).map_err(|faults| {
        anyhow!(
            "the configuration does not go with the development issuer: {}",
            edge_auth::ConfigFault::listed(&faults)
        )
    })?;
    let authorizer = Arc::new(HostedAuthorizer::new(authorizer, Timestamp::now)?);
    let bucket = |name| Bucket::at_endpoint(name, &connection.region, &connection.endpoint);
    let (guard, cloudfront) = guard(
        config,
        edge,
        &authorizer,
        (connection, MEDIA_BUCKET),
        (origins, data_dir),
    )?;
    let link_signer = CloudFront::link_signer(cloudfront.as_ref());
    let is_through = config.uploads_through == UploadsThrough::Distribution;
    let uploads = is_through.then(|| Uploads {
        endpoint: connection.endpoint.clone(),
        bucket: UPLOAD_BUCKET.to_owned(),
    });
    let media = (connection.s3.clone(), MEDIA_BUCKET);
    let local_edge = Edge::new(guard, media, uploads, config.browser_cache)?;
    let api = Api {
        edge_cache: Some(Arc::new(local_edge.clone())),
        authorizer: authorizer.clone(),
        signer: Arc::new(Signer::new(connection.credentials.clone())),
        store: MediaStore::new(
            connection.s3.clone(),
            Buckets {
                uploads: UPLOAD_BUCKET.to_owned(),
                media: MEDIA_BUCKET.to_owned(),
            },
        ),
        settings: Arc::new(config.api(edge).settings(
            bucket(UPLOAD_BUCKET)?,
            bucket(MEDIA_BUCKET)?,
            link_signer,
        )),
        cloudfront: cloudfront.map(Arc::new),
        clock: Timestamp::now,
    };
    let web = Web::new(&connection.endpoint, &config.page(link_signer))?;
    let provider = sign_in::router(issuer, web.clone(), origins);
    let pages = Router::new()
        .fallback(page_or_media)
        .with_state((web, local_edge));
    Ok(signing_api::router(api)
        .layer(middleware::from_fn_with_state(origins.clone(), name_site))
        .merge(provider)
        .fallback_service(pages)
        .layer(middleware::from_fn_with_state(
            origins.clone(),
            reject_unknown_hosts,
        )))
}

/// Names the site to the API, as the distribution does. [`reject_unknown_hosts`] has checked the host.
async fn name_site(State(origins): State<Origins>, mut request: Request, next: Next) -> Response {
    let host = request.headers().get(header::HOST);
    let host = host.and_then(|host| host.to_str().ok());
    if let Some(site) = host.and_then(|host| origins.with_host(host)) {
        let site = SiteOrigin(site.to_owned());
        request.extensions_mut().insert(site);
    }
    next.run(request).await
}

async fn page_or_media(State((web, edge)): State<(Web, Edge)>, request: Request) -> Response {
    match web.file(request.method(), request.uri().path()) {
        Some(page) => page,
        None => edge.answer(request).await,
    }
}

/// Refuses requests to other names than those of the origins. A page elsewhere could point its own name here (DNS
/// rebinding), and would then have the same origin as everything that we serve.
async fn reject_unknown_hosts(
    State(origins): State<Origins>,
    request: Request,
    next: Next,
) -> Response {
    let host = request.headers().get(header::HOST);
    let is_known = host
        .and_then(|host| host.to_str().ok())
        .is_some_and(|host| origins.has_host(host));
    if is_known {
        next.run(request.map(|body| Body::new(DrainOnDrop::new(body))))
            .await
    } else {
        (StatusCode::MISDIRECTED_REQUEST, origins.advice()).into_response()
    }
}
