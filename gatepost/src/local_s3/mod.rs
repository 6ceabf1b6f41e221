//! S3 on this machine: an HTTP server on loopback that the AWS SDK, browsers and signed forms reach as they reach S3.
//!
//! `s3s` speaks the protocol and checks signatures and policies, `s3s-fs` keeps the objects; [`store`], [`answers`]
//! and [`notification`] add what they lack.

mod answers;
mod form_head;
mod notification;
mod store;

use std::future::Future;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;

use anyhow::Context as _;
use aws_credential_types::Credentials;
use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{Method, header};
use axum::response::Response;
use bytes::BytesMut;
use s3s::auth::SimpleAuth;
use s3s::config::{S3Config, StaticConfigProvider};
use s3s::service::{S3Service, S3ServiceBuilder};
use s3s_fs::FileSystem;
use tokio::net::TcpListener;

use crate::lingering::Lingering;
use answers::Cors;
pub(crate) use notification::Notifier;
use store::Store;

/// The region that the embedded S3 says it is in.
pub(crate) const REGION: &str = "us-east-1";

/// `SigV4`'s own limit on how old a signature may be; a form's policy sets a lower one.
const MAX_SIGNATURE_AGE_SECS: u32 = 7 * 24 * 3600;

/// A server that listens and does not serve yet.
pub(crate) struct LocalS3 {
    listener: TcpListener,
    address: SocketAddr,
    service: S3Service,
    cors: Cors,
    /// A form with all that is around its file.
    max_body_bytes: usize,
}

impl LocalS3 {
    /// Opens the store in a folder, makes the buckets and listens on loopback. No form may bring more than
    /// `max_form_bytes`.
    pub(crate) async fn open(
        folder: &Path,
        buckets: &[&str],
        credentials: &Credentials,
        notifier: Notifier,
        max_form_bytes: u64,
    ) -> anyhow::Result<Self> {
        for bucket in buckets {
            let path = folder.join(bucket);
            std::fs::create_dir_all(&path)
                .with_context(|| format!("the bucket {} cannot be made", path.display()))?;
        }
        let files = FileSystem::new(folder)
            .map_err(|error| anyhow::anyhow!("{error:?}"))
            .with_context(|| format!("the object store {} cannot be opened", folder.display()))?;
        let store = Store::new(folder, files, notifier);
        for bucket in buckets {
            store
                .discard_unfinished(bucket)
                .await
                .map_err(|error| anyhow::anyhow!("{error:?}"))
                .with_context(|| format!("the bucket {bucket} cannot be read"))?;
        }
        let mut builder = S3ServiceBuilder::new(store);
        builder.set_auth(SimpleAuth::from_single(
            credentials.access_key_id(),
            credentials.secret_access_key(),
        ));
        let mut config = S3Config::default();
        // `s3s` measures a form's `x-amz-date` against the clock as if it were a request; S3 only looks at the policy.
        config.presigned_url_max_skew_time_secs = MAX_SIGNATURE_AGE_SECS;
        // `s3s` reads a form's file into memory before it looks whether anybody signed it.
        config.post_object_max_file_size = max_form_bytes;
        builder.set_config(Arc::new(StaticConfigProvider::new(Arc::new(config))));
        let listener = listen_as_before(folder).await?;
        Ok(Self {
            address: listener.local_addr()?,
            listener,
            service: builder.build(),
            max_body_bytes: usize::try_from(max_form_bytes)
                .unwrap_or(usize::MAX)
                .saturating_add(64 * 1024),
            cors: Cors {
                origins: Vec::new(),
            },
        })
    }

    /// Lets pages of these origins use it, as a bucket's CORS configuration does.
    pub(crate) fn allow_origins(&mut self, origins: Vec<String>) {
        self.cors.origins = origins;
    }

    /// Such as `http://127.0.0.1:40123`.
    pub(crate) fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Serves until `stop` is ready.
    pub(crate) async fn serve(
        self,
        stop: impl Future<Output = ()> + Send + 'static,
    ) -> std::io::Result<()> {
        let router = Router::new().fallback(answer).with_state((
            self.service,
            self.cors,
            self.max_body_bytes,
        ));
        axum::serve(self.listener, router)
            .with_graceful_shutdown(stop)
            .await
    }
}

/// Listens on the port of the last time, so that forms and scripts outlive a restart; on a free one if it is taken.
async fn listen_as_before(folder: &Path) -> anyhow::Result<TcpListener> {
    let file = folder.join(".port");
    let last = std::fs::read_to_string(&file)
        .ok()
        .and_then(|text| text.trim().parse::<u16>().ok());
    if let Some(port) = last
        && let Ok(listener) = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await
    {
        return Ok(listener);
    }
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    std::fs::write(file, listener.local_addr()?.port().to_string())?;
    Ok(listener)
}

async fn answer(
    State((service, cors, max_body_bytes)): State<(S3Service, Cors, usize)>,
    request: Request,
) -> Response {
    if let Some(response) = cors.preflight(&request) {
        return response;
    }
    let headers = request.headers().clone();
    let is_post = request.method() == Method::POST && request.uri().query().is_none();
    let is_form = headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .is_some_and(|value| {
            value
                .to_ascii_lowercase()
                .starts_with("multipart/form-data")
        });
    let mut response = if is_post && !is_form {
        answers::not_a_form()
    } else {
        let (parts, mut body) = request.into_parts();
        let (mut head, mut fault) = (BytesMut::new(), None);
        if is_post {
            let content_type = headers.get(header::CONTENT_TYPE);
            let content_type = content_type.and_then(|value| value.to_str().ok());
            (head, fault) = form_head::read(content_type.unwrap_or_default(), &mut body).await;
            if fault.is_none() {
                form_head::read_whole(&mut head, &mut body, max_body_bytes).await;
            }
        }
        let body = Lingering::after(head, body);
        if let Some(fault) = fault {
            let mut response = answers::faulty_head(&fault);
            cors.allow(&headers, &mut response);
            return response;
        }
        let request = axum::http::Request::from_parts(parts, s3s::Body::http_body_unsync(body));
        match service.call(request).await {
            Ok(response) if is_post => {
                answers::translate_refused_form(response.map(Body::new)).await
            }
            Ok(response) => response.map(Body::new),
            Err(error) => {
                tracing::error!(?error, "the embedded S3 failed");
                let mut response = Response::new(Body::empty());
                *response.status_mut() = axum::http::StatusCode::INTERNAL_SERVER_ERROR;
                response
            }
        }
    };
    cors.allow(&headers, &mut response);
    response
}
