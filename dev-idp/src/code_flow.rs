//! The provider's side of the code flow with PKCE (RFC 7636): a person is chosen at a page, the client gets a code, and
//! trades the code for a token.
//!
//! Programs serve a [`Provider`] alone or merge its router into their own. It checks the client, the address and the
//! challenge as a real provider does, and never a password.

use std::sync::Arc;

use axum::extract::{Query, RawQuery, Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse as _, Redirect, Response};
use axum::routing::{get, post};
use axum::{Form, Json, Router};
use data_encoding::BASE64URL_NOPAD;
use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use serde_json::{Map, json};
use sha2::{Digest as _, Sha256};
use tokio::net::TcpListener;

use crate::client::Client;
use crate::codes::{Code, Codes};
use crate::issuer::Issuer;
use crate::page::sign_in_page;

/// The path of the page on which a person is chosen.
pub const AUTHORIZE_PATH: &str = "/dev/sign-in";
/// The path at which a code is traded for a token.
pub const TOKEN_PATH: &str = "/dev/token";
/// The path of the issuer's JWK Set.
pub const KEYS_PATH: &str = "/.well-known/jwks.json";
/// How long the tokens last.
pub const TOKEN_LIFETIME: SignedDuration = SignedDuration::from_hours(12);
/// How long a code may be traded.
const CODE_LIFETIME: SignedDuration = SignedDuration::from_mins(1);

/// A page of the program's own, on which a person is chosen.
type Page = dyn Fn() -> Response + Send + Sync;

/// The provider. Clones share the codes.
#[derive(Clone)]
pub struct Provider {
    issuer: Arc<Issuer>,
    people: Arc<[String]>,
    clients: Arc<[Client]>,
    home: Option<Arc<str>>,
    page: Option<Arc<Page>>,
    codes: Arc<Codes>,
}

/// The form of the page: the person, and the parameters with which the page's address was opened.
#[derive(Deserialize)]
struct AuthorizeForm {
    sub: String,
    response_type: String,
    client_id: String,
    redirect_uri: String,
    state: String,
    code_challenge: String,
    code_challenge_method: String,
}

/// A request for a token. Other parameters are ignored.
#[derive(Deserialize)]
struct TokenRequest {
    grant_type: String,
    client_id: String,
    redirect_uri: String,
    code: String,
    code_verifier: String,
}

impl Provider {
    /// A provider that signs in these people, by subject, at these clients.
    pub fn new(issuer: Arc<Issuer>, people: Vec<String>, clients: Vec<Client>) -> Self {
        Self {
            issuer,
            people: people.into(),
            clients: clients.into(),
            home: None,
            page: None,
            codes: Arc::default(),
        }
    }

    /// Redirects a browser that opens the sign-in page without an authorization request: to the page that makes one.
    #[must_use]
    pub fn with_home(mut self, address: &str) -> Self {
        self.home = Some(address.into());
        self
    }

    /// Shows a page of the program's own to choose a person. Its form posts `sub` and the parameters of its own query
    /// to [`AUTHORIZE_PATH`].
    #[must_use]
    pub fn with_page(mut self, page: impl Fn() -> Response + Send + Sync + 'static) -> Self {
        self.page = Some(Arc::new(page));
        self
    }

    /// The routes: the page, the token endpoint and the key set.
    pub fn router(self) -> Router {
        Router::new()
            .route(KEYS_PATH, get(key_set))
            .route(TOKEN_PATH, post(trade))
            .layer(middleware::from_fn_with_state(
                self.clone(),
                readable_by_pages,
            ))
            .route(AUTHORIZE_PATH, get(page).post(enter))
            .with_state(self)
    }

    /// Serves the provider alone until `stop` is ready.
    ///
    /// # Errors
    ///
    /// The error of a listener that fails.
    pub async fn serve(
        self,
        listener: TcpListener,
        stop: impl Future<Output = ()> + Send + 'static,
    ) -> std::io::Result<()> {
        axum::serve(listener, self.router())
            .with_graceful_shutdown(stop)
            .await
    }

    fn client(&self, id: &str) -> Option<&Client> {
        self.clients.iter().find(|client| client.id == id)
    }
}

/// Lets the scripts of the clients read the answers, as providers do: a page is usually of another origin.
async fn readable_by_pages(
    State(provider): State<Provider>,
    request: Request,
    next: Next,
) -> Response {
    let origin = request.headers().get(header::ORIGIN).cloned();
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    headers.append(header::VARY, HeaderValue::from_static("Origin"));
    let mut known = provider.clients.iter().flat_map(|client| &client.origins);
    if let Some(origin) = origin.filter(|origin| known.any(|known| known == origin)) {
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    }
    response
}

async fn key_set(State(provider): State<Provider>) -> Response {
    (
        [(header::CACHE_CONTROL, "no-cache")],
        Json(provider.issuer.jwks()),
    )
        .into_response()
}

/// The page on which a person is chosen.
async fn page(
    State(provider): State<Provider>,
    RawQuery(query): RawQuery,
    Query(parameters): Query<Vec<(String, String)>>,
) -> Response {
    let is_requested = query.is_some_and(|query| query.contains("code_challenge="));
    match (&provider.home, &provider.page) {
        (Some(home), _) if !is_requested => Redirect::to(home).into_response(),
        (_, Some(page)) => page(),
        (_, None) => sign_in_page(AUTHORIZE_PATH, &provider.people, &parameters),
    }
}

/// Redirects the chosen person to the client, with a code.
async fn enter(
    State(provider): State<Provider>,
    headers: HeaderMap,
    Form(form): Form<AuthorizeForm>,
) -> Response {
    if is_cross_site(&headers) || !provider.people.contains(&form.sub) {
        return StatusCode::FORBIDDEN.into_response();
    }
    let client = provider.client(&form.client_id);
    let is_allowed = client.is_some_and(|client| client.allows_redirect(&form.redirect_uri));
    let is_code_flow = form.response_type == "code"
        && form.code_challenge_method == "S256"
        && form.code_challenge.len() == 43
        // base64url is enough for a state; other characters would have to be encoded below.
        && form.state.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte));
    if !is_allowed || !is_code_flow {
        return StatusCode::BAD_REQUEST.into_response();
    }
    let mut random = [0; 32];
    if let Err(error) = getrandom::fill(&mut random) {
        tracing::error!(%error, "the system random number generator failed, so there is no code");
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    }
    let text = BASE64URL_NOPAD.encode(&random);
    let back = format!("{}?code={text}&state={}", form.redirect_uri, form.state);
    provider.codes.keep(Code {
        text,
        subject: form.sub,
        client_id: form.client_id,
        redirect_uri: form.redirect_uri,
        challenge: form.code_challenge,
        ends_at: Timestamp::now() + CODE_LIFETIME,
    });
    ([(header::CACHE_CONTROL, "no-store")], Redirect::to(&back)).into_response()
}

/// Trades a code for a token, once, for a client that has the code's verifier.
async fn trade(State(provider): State<Provider>, Form(request): Form<TokenRequest>) -> Response {
    if request.grant_type != "authorization_code" {
        return refuse("unsupported_grant_type");
    }
    // A refused request uses the code up as well.
    let Some(code) = provider.codes.take(&request.code) else {
        return refuse("invalid_grant");
    };
    let challenge = BASE64URL_NOPAD.encode(&Sha256::digest(request.code_verifier.as_bytes()));
    let now = Timestamp::now();
    if request.client_id != code.client_id
        || request.redirect_uri != code.redirect_uri
        || challenge != code.challenge
        || now > code.ends_at
    {
        return refuse("invalid_grant");
    }
    let token = provider
        .issuer
        .token(now, &code.subject, TOKEN_LIFETIME, Map::new());
    match token {
        Ok(token) => (
            [(header::CACHE_CONTROL, "no-store")],
            Json(json!({
                "access_token": token,
                "token_type": "Bearer",
                "expires_in": TOKEN_LIFETIME.as_secs(),
            })),
        )
            .into_response(),
        Err(error) => {
            tracing::error!(%error, "there is no token");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

/// RFC 6749, section 5.2.
fn refuse(error: &str) -> Response {
    (
        StatusCode::BAD_REQUEST,
        [(header::CACHE_CONTROL, "no-store")],
        Json(json!({ "error": error })),
    )
        .into_response()
}

/// Whether a page of another site sent this form: login CSRF, which signs a person in unasked.
fn is_cross_site(headers: &HeaderMap) -> bool {
    headers
        .get("sec-fetch-site")
        .is_some_and(|site| site != "same-origin" && site != "none")
}
