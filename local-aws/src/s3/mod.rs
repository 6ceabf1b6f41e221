//! An S3 emulator: an HTTP server on loopback that the AWS SDK, browsers and signed forms use as they use S3.
//!
//! `s3s` speaks the protocol and checks the signatures of requests; `s3s-fs` keeps the objects. `post_form` receives
//! forms, and `store`, `cors` and `notification` add the other features that `s3s` lacks.

mod cors;
mod encoding;
mod errors;
mod notification;
mod post_form;
mod store;

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use aws_credential_types::Credentials;
use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{Method, StatusCode};
use axum::response::Response;
use s3s::auth::SimpleAuth;
use s3s::service::{S3Service, S3ServiceBuilder};
use thiserror::Error;
use tokio::net::TcpListener;

use crate::DrainOnDrop;
use cors::Cors;
use errors::{RequestLine, error_document};
pub use notification::Notification;
use post_form::PostForm;
use store::Store;

/// The options of an S3.
#[derive(Clone)]
pub struct S3Options {
    /// The folder that keeps the objects between starts. Damaged objects are moved to `set-aside` beside it.
    pub folder: PathBuf,
    /// The buckets: those that are missing are made.
    pub buckets: Vec<String>,
    /// The one key pair that requests and forms may be signed with.
    pub credentials: Credentials,
    /// The origins whose pages may post forms, such as `http://localhost:8080`: the buckets' CORS configuration.
    pub allowed_origins: Vec<String>,
    /// The events of created objects.
    pub notifications: Vec<Notification>,
}

/// Why an S3 cannot be started.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The folder cannot be made, read or written.
    #[error("the object store {} cannot be opened", folder.display())]
    Store {
        /// The folder of the options.
        folder: PathBuf,
        /// The disk's reason.
        source: io::Error,
    },
    /// No port of loopback can be listened on.
    #[error("the S3 emulator cannot listen on loopback")]
    Listen(#[source] io::Error),
}

/// A server that listens and does not serve yet.
pub struct LocalS3 {
    listener: TcpListener,
    address: SocketAddr,
    service: S3Service,
    post_form: PostForm,
    cors: Cors,
}

/// The parts of the server that answer requests.
#[derive(Clone)]
struct Answering {
    service: S3Service,
    post_form: PostForm,
    cors: Cors,
}

impl LocalS3 {
    /// Opens the store, makes the buckets and listens on loopback: on the port of the last time, if it is free.
    ///
    /// # Errors
    ///
    /// [`OpenError`] if the folder cannot be opened or no port can be listened on.
    pub async fn open(options: S3Options) -> Result<Self, OpenError> {
        let S3Options {
            folder,
            buckets,
            credentials,
            allowed_origins,
            notifications,
        } = options;
        let aside = folder.with_file_name("set-aside");
        let store = Store::open(&folder, &buckets, &aside, notifications);
        let store = store.map_err(|source| OpenError::Store {
            folder: folder.clone(),
            source,
        })?;
        let mut builder = S3ServiceBuilder::new(store.clone());
        builder.set_auth(SimpleAuth::from_single(
            credentials.access_key_id(),
            credentials.secret_access_key(),
        ));
        let listener = listen_as_before(&folder).await.map_err(OpenError::Listen)?;
        Ok(Self {
            address: listener.local_addr().map_err(OpenError::Listen)?,
            listener,
            service: builder.build(),
            post_form: PostForm::new(store, credentials),
            cors: Cors {
                origins: allowed_origins,
            },
        })
    }

    /// Such as `http://127.0.0.1:40123`.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Serves until `stop` is ready.
    ///
    /// # Errors
    ///
    /// The error of a listener that fails.
    pub async fn serve(self, stop: impl Future<Output = ()> + Send + 'static) -> io::Result<()> {
        let router = Router::new().fallback(answer).with_state(Answering {
            service: self.service,
            post_form: self.post_form,
            cors: self.cors,
        });
        axum::serve(self.listener, router)
            .with_graceful_shutdown(stop)
            .await
    }
}

/// Listens on the port of the last start, so that forms and scripts survive a restart; on a free port if that is taken.
async fn listen_as_before(folder: &Path) -> io::Result<TcpListener> {
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

async fn answer(State(answering): State<Answering>, request: Request) -> Response {
    let Answering {
        service,
        post_form,
        cors,
    } = answering;
    if let Some(response) = cors.preflight(&request) {
        return response;
    }
    let headers = request.headers().clone();
    let mut response = match Target::of(&request) {
        Target::Form { bucket } => post_form.answer(&bucket, request).await,
        Target::Nowhere => error_document(
            StatusCode::METHOD_NOT_ALLOWED,
            "MethodNotAllowed",
            "The specified method is not allowed against this resource.",
            &[],
        ),
        Target::Other => {
            let request_line = RequestLine {
                method: request.method().clone(),
                path: request.uri().path().to_owned(),
            };
            let request = request.map(|body| s3s::Body::http_body_unsync(DrainOnDrop::new(body)));
            let response = service.call(request).await.map_or_else(
                |error| {
                    tracing::error!(?error, "the S3 emulator failed");
                    let status = StatusCode::INTERNAL_SERVER_ERROR;
                    error_document(status, "InternalError", "The S3 emulator failed.", &[])
                },
                |response| response.map(Body::new),
            );
            errors::complete(&request_line, response).await
        }
    };
    cors.allow(&headers, &mut response);
    response
}

/// The purpose of a request.
enum Target {
    /// A form to a bucket: every `POST` to it, except for the one that deletes objects.
    Form { bucket: String },
    /// A form to anything else.
    Nowhere,
    /// A request that `s3s` answers.
    Other,
}

impl Target {
    fn of(request: &Request) -> Self {
        if request.method() != Method::POST {
            return Self::Other;
        }
        let is_form = post_form::is_form(request.headers());
        let path = request.uri().path().trim_start_matches('/');
        let (bucket, key) = path.split_once('/').unwrap_or((path, ""));
        let query = request.uri().query().unwrap_or_default();
        let deletes = query
            .split('&')
            .any(|parameter| matches!(parameter, "delete" | "delete="));
        match (bucket, key) {
            ("", _) => Self::Nowhere,
            (_, "") if is_form || !deletes => Self::Form {
                bucket: bucket.to_owned(),
            },
            // `s3s` would read it as a form, by its own rules.
            _ if is_form => Self::Nowhere,
            _ => Self::Other,
        }
    }
}
