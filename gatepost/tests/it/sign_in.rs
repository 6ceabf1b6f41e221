//! Signing in on this machine: the provider's side of the code flow, and what the page is told of it.

use reqwest::Response;
use serde_json::{Value, json};

use crate::harness::Gatepost;

/// The verifier and the challenge of RFC 7636, appendix B.
const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

/// Chooses who to be, with some fields other than the page has them.
async fn choose(system: &Gatepost, changes: &[(&str, &str)]) -> Response {
    let back = format!("{}/", system.url);
    let fields = [
        ("sub", "alice"),
        ("response_type", "code"),
        ("client_id", "gatepost-page"),
        ("redirect_uri", &back),
        ("state", "a-state"),
        ("code_challenge", CHALLENGE),
        ("code_challenge_method", "S256"),
    ];
    let address = format!("{}/dev/sign-in", system.url);
    let form = system.http.post(address).form(&changed(&fields, changes));
    form.send().await.unwrap()
}

/// Trades a code, in the same manner.
async fn trade(system: &Gatepost, code: &str, changes: &[(&str, &str)]) -> (u16, Value) {
    let back = format!("{}/", system.url);
    let fields = [
        ("grant_type", "authorization_code"),
        ("client_id", "gatepost-page"),
        ("redirect_uri", &back),
        ("code", code),
        ("code_verifier", VERIFIER),
    ];
    let address = format!("{}/dev/token", system.url);
    let form = system.http.post(address).form(&changed(&fields, changes));
    let response = form.send().await.unwrap();
    assert_eq!(response.headers()["cache-control"], "no-store");
    (response.status().as_u16(), response.json().await.unwrap())
}

fn changed<'a>(
    fields: &[(&'a str, &'a str)],
    changes: &[(&'a str, &'a str)],
) -> Vec<(&'a str, &'a str)> {
    let fields = fields.iter().map(|&(name, value)| {
        let change = changes.iter().find(|(changed, _)| *changed == name);
        (name, change.map_or(value, |&(_, value)| value))
    });
    fields.collect()
}

fn code_of(response: &Response) -> String {
    let location = response.headers()["location"].to_str().unwrap();
    let (_, rest) = location.split_once("/?code=").unwrap();
    let (code, state) = rest.split_once("&state=").unwrap();
    assert_eq!(state, "a-state");
    code.to_owned()
}

#[tokio::test]
async fn a_code_yields_one_token_for_its_verifier() {
    let folder = tempfile::tempdir().unwrap();
    let system = Gatepost::start(folder.path());

    let chosen = choose(&system, &[]).await;
    assert_eq!(chosen.status(), 303);
    let location = chosen.headers()["location"].to_str().unwrap();
    assert!(
        location.starts_with(&format!("{}/?code=", system.url)),
        "{location}"
    );
    let code = code_of(&chosen);
    let (status, answer) = trade(&system, &code, &[]).await;
    assert_eq!(
        (status, &answer["token_type"]),
        (200, &json!("Bearer")),
        "{answer}"
    );
    let token = answer["access_token"].as_str().unwrap();
    let who: Value = system
        .get("/api/session", token)
        .await
        .json()
        .await
        .unwrap();
    assert_eq!(who["sub"], "alice");

    let refused = (400, json!({"error": "invalid_grant"}));
    assert_eq!(trade(&system, &code, &[]).await, refused, "twice");
    for change in [
        ("code_verifier", "another"),
        ("code_verifier", CHALLENGE),
        ("client_id", "another"),
        ("redirect_uri", "http://127.0.0.1:1/"),
        ("code", "guessed"),
    ] {
        let code = code_of(&choose(&system, &[]).await);
        assert_eq!(
            trade(&system, &code, &[change]).await,
            refused,
            "{change:?}"
        );
        if change.0 != "code" {
            assert_eq!(
                trade(&system, &code, &[]).await,
                refused,
                "after {change:?}"
            );
        }
    }
    let (status, answer) = trade(&system, "x", &[("grant_type", "password")]).await;
    assert_eq!(
        (status, answer),
        (400, json!({"error": "unsupported_grant_type"}))
    );
}

#[tokio::test]
async fn codes_are_sent_to_the_page_alone() {
    let folder = tempfile::tempdir().unwrap();
    let system = Gatepost::start(folder.path());
    let localhost = system.url.replace("127.0.0.1", "localhost") + "/";
    assert_eq!(
        choose(&system, &[("redirect_uri", &localhost)])
            .await
            .status(),
        303
    );
    for (change, status) in [
        (("redirect_uri", "https://evil.example/"), 400),
        (("redirect_uri", &*format!("{}/media/x", system.url)), 400),
        (
            ("redirect_uri", &*format!("{}.evil.example/", system.url)),
            400,
        ),
        (("redirect_uri", "/"), 400),
        (("client_id", "another"), 400),
        (("response_type", "token"), 400),
        (("code_challenge_method", "plain"), 400),
        (("code_challenge", ""), 400),
        (("state", "a&code=another"), 400),
        (("sub", "mallory"), 403),
    ] {
        let response = choose(&system, &[change]).await;
        assert_eq!(response.status(), status, "{change:?}");
        assert!(response.headers().get("location").is_none(), "{change:?}");
    }
    let elsewhere = system
        .http
        .post(format!("{}/dev/sign-in", system.url))
        .header("sec-fetch-site", "cross-site")
        .form(&[
            ("sub", "alice"),
            ("response_type", "code"),
            ("client_id", "gatepost-page"),
            ("redirect_uri", &localhost),
            ("state", "s"),
            ("code_challenge", CHALLENGE),
            ("code_challenge_method", "S256"),
        ]);
    assert_eq!(elsewhere.send().await.unwrap().status(), 403);

    // Whoever opens the address itself is sent there by way of the page.
    let opened = system.http.get(format!("{}/dev/sign-in", system.url));
    let opened = opened.send().await.unwrap();
    assert_eq!(
        (opened.status().as_u16(), &opened.headers()["location"]),
        (303, &"/?sign_in".parse().unwrap())
    );
}

#[tokio::test]
async fn the_pages_settings_name_the_sign_in_and_the_limits() {
    let folder = tempfile::tempdir().unwrap();
    let system = Gatepost::start_configured(
        &folder.path().join("data"),
        "[token]\nfrom = [\"authorization\", \"cookie:__Host-gatepost\"]\n\
         [uploads]\ntypes = [\"image/png\", \"image/gif\"]\nmax_bytes = \"1 MiB\"\n",
    );
    let response = system
        .http
        .get(format!("{}/settings.json", system.url))
        .send()
        .await
        .unwrap();
    assert_eq!(response.headers()["cache-control"], "no-cache");
    let settings: Value = response.json().await.unwrap();
    assert_eq!(
        settings,
        json!({
            "sign_in": {
                "client_id": "gatepost-page", "authorize": "/dev/sign-in", "token": "/dev/token",
                "issuer": null, "scope": "openid", "uses": "access_token",
            },
            "types": ["image/png", "image/gif"],
            "max_bytes": 1_048_576,
            "link_seconds": 2700,
        })
    );
}
