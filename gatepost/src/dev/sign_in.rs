//! Signing in on this machine: the identity provider's side of `OpenID Connect`'s code flow with PKCE (RFC 7636), as far
//! as the page needs it, without passwords. In a deployment a provider of one's own does this.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use axum::extract::{RawQuery, Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use axum::{Form, Json, Router};
use data_encoding::BASE64URL_NOPAD;
use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use serde_json::{Map, json};
use sha2::{Digest as _, Sha256};

use crate::config::{SignIn, TokenKind};
use crate::issuer::DevIssuer;
use crate::web::Web;

use super::origins::Origins;

/// As this provider knows the page.
const CLIENT: &str = "gatepost-page";
const AUTHORIZE: &str = "/dev/sign-in";
const TOKEN: &str = "/dev/token";
/// How long its tokens last.
pub(super) const TOKEN_LIFETIME_SECONDS: u32 = 12 * 3600;
/// How long a code may be traded.
const CODE_LIFETIME: SignedDuration = SignedDuration::from_mins(1);
/// How many codes are kept that nobody has traded yet.
const MAX_CODES: usize = 64;
/// Who one can be.
const PEOPLE: [&str; 2] = ["alice", "bob"];

/// How the page signs people in on this machine.
pub(super) fn configuration() -> SignIn {
    SignIn {
        client_id: CLIENT.to_owned(),
        authorize: AUTHORIZE.to_owned(),
        token: TOKEN.to_owned(),
        scope: "openid".to_owned(),
        uses: TokenKind::AccessToken,
    }
}

/// The provider.
#[derive(Clone)]
pub(super) struct Provider {
    issuer: Arc<DevIssuer>,
    web: Web,
    /// Where the page may be: a code is sent to no other place.
    origins: Origins,
    codes: Arc<Mutex<VecDeque<Code>>>,
}

/// What somebody who signed in was given.
struct Code {
    text: String,
    subject: String,
    redirect_uri: String,
    challenge: String,
    ends_at: Timestamp,
}

/// The form of the page: who, and what the page's address was opened with.
#[derive(Deserialize)]
struct Choice {
    sub: String,
    response_type: String,
    client_id: String,
    redirect_uri: String,
    state: String,
    code_challenge: String,
    code_challenge_method: String,
}

/// A request for a token. What it has no use for may be left out or added.
#[derive(Deserialize)]
struct Trade {
    grant_type: String,
    client_id: String,
    redirect_uri: String,
    code: String,
    code_verifier: String,
}

/// The routes below `/dev`, and the key set.
pub(super) fn router(issuer: Arc<DevIssuer>, web: Web, origins: Origins) -> Router {
    let provider = Provider {
        issuer,
        web,
        origins,
        codes: Arc::default(),
    };
    Router::new()
        .route("/.well-known/jwks.json", get(key_set))
        .route(TOKEN, post(trade))
        .layer(middleware::from_fn_with_state(
            provider.clone(),
            readable_by_pages,
        ))
        .route(AUTHORIZE, get(page).post(enter))
        .with_state(provider)
}

/// Lets the scripts of the origins read the answers, as providers do: the page is mostly of another origin than they.
async fn readable_by_pages(
    State(provider): State<Provider>,
    request: Request,
    next: Next,
) -> Response {
    let origin = request.headers().get(header::ORIGIN).cloned();
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    headers.append(header::VARY, HeaderValue::from_static("Origin"));
    let is_known = |origin: &HeaderValue| provider.origins.iter().any(|known| known == origin);
    if let Some(origin) = origin.filter(is_known) {
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

/// Who one would like to be; for who comes without being sent, the page that sends.
async fn page(State(provider): State<Provider>, RawQuery(query): RawQuery) -> Response {
    if query.is_none_or(|query| !query.contains("code_challenge=")) {
        return Redirect::to("/?sign_in").into_response();
    }
    provider.web.sign_in_page()
}

/// Somebody has chosen: back to the page with a code.
async fn enter(
    State(provider): State<Provider>,
    headers: HeaderMap,
    Form(choice): Form<Choice>,
) -> Response {
    if is_cross_site(&headers) || !PEOPLE.contains(&choice.sub.as_str()) {
        return StatusCode::FORBIDDEN.into_response();
    }
    let is_ours = provider.origins.takes_sign_in(&choice.redirect_uri);
    let is_asked_for = choice.response_type == "code"
        && choice.client_id == CLIENT
        && choice.code_challenge_method == "S256"
        && choice.code_challenge.len() == 43
        // As the page makes it; anything else would have to be encoded below.
        && choice.state.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte));
    if !is_ours || !is_asked_for {
        return StatusCode::BAD_REQUEST.into_response();
    }
    let mut random = [0; 32];
    if let Err(error) = getrandom::fill(&mut random) {
        tracing::error!(%error, "no code");
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    }
    let text = BASE64URL_NOPAD.encode(&random);
    let back = format!("{}?code={text}&state={}", choice.redirect_uri, choice.state);
    provider.keep(Code {
        text,
        subject: choice.sub,
        redirect_uri: choice.redirect_uri,
        challenge: choice.code_challenge,
        ends_at: Timestamp::now() + CODE_LIFETIME,
    });
    ([(header::CACHE_CONTROL, "no-store")], Redirect::to(&back)).into_response()
}

/// A code for a token, once, by who has its verifier.
async fn trade(State(provider): State<Provider>, Form(trade): Form<Trade>) -> Response {
    if trade.grant_type != "authorization_code" {
        return refused("unsupported_grant_type");
    }
    // Whatever is wrong with a trade, its code is used up.
    let Some(code) = provider.take(&trade.code) else {
        return refused("invalid_grant");
    };
    let challenge = BASE64URL_NOPAD.encode(&Sha256::digest(trade.code_verifier.as_bytes()));
    if trade.client_id != CLIENT
        || trade.redirect_uri != code.redirect_uri
        || challenge != code.challenge
        || Timestamp::now() > code.ends_at
    {
        return refused("invalid_grant");
    }
    let now = Timestamp::now();
    let lifetime = SignedDuration::from_secs(TOKEN_LIFETIME_SECONDS.into());
    match provider
        .issuer
        .token(now, &code.subject, lifetime, Map::new())
    {
        Ok(token) => (
            [(header::CACHE_CONTROL, "no-store")],
            Json(json!({
                "access_token": token,
                "token_type": "Bearer",
                "expires_in": TOKEN_LIFETIME_SECONDS,
            })),
        )
            .into_response(),
        Err(error) => {
            tracing::error!(%error, "no token");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

impl Provider {
    fn keep(&self, code: Code) {
        let mut codes = self.codes.lock().unwrap_or_else(PoisonError::into_inner);
        if codes.len() == MAX_CODES {
            codes.pop_front();
        }
        codes.push_back(code);
    }

    fn take(&self, text: &str) -> Option<Code> {
        let mut codes = self.codes.lock().unwrap_or_else(PoisonError::into_inner);
        let idx = codes.iter().position(|code| code.text == text)?;
        codes.remove(idx)
    }
}

/// RFC 6749, section 5.2.
fn refused(error: &str) -> Response {
    (
        StatusCode::BAD_REQUEST,
        [(header::CACHE_CONTROL, "no-store")],
        Json(json!({ "error": error })),
    )
        .into_response()
}

/// Whether a page of another site sent this form. Signing somebody in unasked is an attack, too.
fn is_cross_site(headers: &HeaderMap) -> bool {
    headers
        .get("sec-fetch-site")
        .is_some_and(|site| site != "same-origin" && site != "none")
}
