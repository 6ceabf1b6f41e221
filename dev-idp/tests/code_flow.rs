//! The code flow alone: a provider on a port, a client that is an HTTP client, and tokens that the key set verifies.

#![expect(clippy::unwrap_used, reason = "a test fails where an unwrap does")]

use std::sync::Arc;

use dev_idp::{AUTHORIZE_PATH, Client, Issuer, KEYS_PATH, Provider, Redirect, TOKEN_PATH};
use reqwest::{StatusCode, redirect};
use serde_json::Value;
use tokio::net::TcpListener;

/// The verifier and the challenge of RFC 7636, appendix B.
const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
const SHOP: &str = "http://127.0.0.1:8080";

struct Running {
    url: String,
    http: reqwest::Client,
}

async fn start() -> Running {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let issuer = Arc::new(Issuer::ephemeral(&url, "shop").unwrap());
    let client = |id: &str| Client {
        id: id.to_owned(),
        redirects: vec![Redirect::Exact(format!("{SHOP}/"))],
        origins: vec![SHOP.to_owned()],
    };
    let people = ["ann", "<ben>"].map(str::to_owned).to_vec();
    let provider = Provider::new(issuer, people, vec![client("shop"), client("other")]);
    tokio::spawn(provider.serve(listener, std::future::pending()));
    let http = reqwest::Client::builder().redirect(redirect::Policy::none());
    Running {
        url,
        http: http.build().unwrap(),
    }
}

impl Running {
    async fn choose(&self, sub: &str, client_id: &str, back: &str) -> reqwest::Response {
        let form = [
            ("sub", sub),
            ("response_type", "code"),
            ("client_id", client_id),
            ("redirect_uri", back),
            ("state", "a-state"),
            ("code_challenge", CHALLENGE),
            ("code_challenge_method", "S256"),
        ];
        let request = self.http.post(format!("{}{AUTHORIZE_PATH}", self.url));
        request.form(&form).send().await.unwrap()
    }

    async fn code(&self) -> String {
        let chosen = self.choose("ann", "shop", &format!("{SHOP}/")).await;
        assert_eq!(chosen.status(), StatusCode::SEE_OTHER);
        let location = chosen.headers()["location"].to_str().unwrap();
        let rest = location.strip_prefix(&format!("{SHOP}/?code=")).unwrap();
        rest.strip_suffix("&state=a-state").unwrap().to_owned()
    }

    async fn trade(&self, code: &str, client_id: &str, verifier: &str) -> (StatusCode, Value) {
        let form = [
            ("grant_type", "authorization_code"),
            ("client_id", client_id),
            ("redirect_uri", &format!("{SHOP}/")),
            ("code", code),
            ("code_verifier", verifier),
        ];
        let request = self.http.post(format!("{}{TOKEN_PATH}", self.url));
        let request = request.header("origin", SHOP).form(&form);
        let response = request.send().await.unwrap();
        assert_eq!(response.headers()["access-control-allow-origin"], SHOP);
        (response.status(), response.json().await.unwrap())
    }
}

#[tokio::test]
async fn a_person_signs_in_and_the_key_set_verifies_the_token() {
    let running = start().await;
    let query = format!("code_challenge={CHALLENGE}&state=%22%3E%3Cscript%3E");
    let page = format!("{}{AUTHORIZE_PATH}?{query}", running.url);
    let page = running.http.get(page).send().await.unwrap();
    let page = page.text().await.unwrap();
    assert!(page.contains("value=\"ann\""), "{page}");
    assert!(page.contains("value=\"&lt;ben&gt;\""), "{page}");
    assert!(
        page.contains("value=\"&quot;&gt;&lt;script&gt;\""),
        "{page}"
    );

    let code = running.code().await;
    let (status, answer) = running.trade(&code, "shop", VERIFIER).await;
    assert_eq!(status, StatusCode::OK, "{answer}");
    let token = answer["access_token"].as_str().unwrap();
    let keys = running.http.get(format!("{}{KEYS_PATH}", running.url));
    let keys: jsonwebtoken::jwk::JwkSet = keys.send().await.unwrap().json().await.unwrap();
    let kid = jsonwebtoken::decode_header(token).unwrap().kid.unwrap();
    let key = jsonwebtoken::DecodingKey::from_jwk(keys.find(&kid).unwrap()).unwrap();
    let mut validation = jsonwebtoken::Validation::new(jsonwebtoken::Algorithm::ES256);
    validation.set_issuer(&[&running.url]);
    validation.set_audience(&["shop"]);
    let claims = jsonwebtoken::decode::<Value>(token, &key, &validation).unwrap();
    assert_eq!(claims.claims["sub"], "ann");
}

#[tokio::test]
async fn a_code_is_good_once_for_its_client_and_its_verifier() {
    let running = start().await;
    for (client_id, verifier) in [("other", VERIFIER), ("shop", CHALLENGE)] {
        let code = running.code().await;
        for verifier in [verifier, VERIFIER] {
            let (status, answer) = running.trade(&code, client_id, verifier).await;
            assert_eq!(status, StatusCode::BAD_REQUEST);
            assert_eq!(answer["error"], "invalid_grant");
        }
    }
    let code = running.code().await;
    assert_eq!(
        running.trade(&code, "shop", VERIFIER).await.0,
        StatusCode::OK
    );
    let (status, _) = running.trade(&code, "shop", VERIFIER).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn unknown_people_clients_and_addresses_are_refused() {
    let running = start().await;
    let home = format!("{SHOP}/");
    for (sub, client_id, back, status) in [
        ("eve", "shop", &*home, StatusCode::FORBIDDEN),
        ("ann", "unknown", &home, StatusCode::BAD_REQUEST),
        (
            "ann",
            "shop",
            "http://evil.example/",
            StatusCode::BAD_REQUEST,
        ),
    ] {
        let chosen = running.choose(sub, client_id, back).await;
        assert_eq!(chosen.status(), status, "{sub} {client_id} {back}");
    }
}
