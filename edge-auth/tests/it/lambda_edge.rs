//! The wire format: what Lambda@Edge sends, and what it receives.

use edge_auth::config::PublishedKeys;
use edge_auth::lambda_edge::{Outcome, ViewerRequestEvent};
use edge_auth::{Authorizer, Config, Decision, Headers, Request};
use serde_json::{Value, json};

use crate::session_settings::{hs256, with_session};
use crate::signer::{Signer, claims, header, now};

fn event(uri: &str, headers: &Value) -> ViewerRequestEvent {
    serde_json::from_value(json!({"Records": [{"cf": {
        "config": {
            "distributionDomainName": "d111111abcdef8.cloudfront.net",
            "distributionId": "EDFDVBD6EXAMPLE",
            "eventType": "viewer-request",
            "requestId": "4TyzHTaYWb1GX1qTfsHhEqV6HUDd_BzoBZnwfnvQc_1oF26ClkoUSEQ==",
        },
        "request": {
            "clientIp": "203.0.113.178",
            "headers": headers,
            "method": "GET",
            "querystring": "v=1",
            "uri": uri,
            "body": {"action": "read-only", "data": "", "encoding": "base64", "inputTruncated": false},
        },
    }}]}))
    .unwrap()
}

fn answer(authorizer: &Authorizer, event: ViewerRequestEvent) -> Value {
    let request = event.records.into_iter().next().unwrap().cf.request;
    let decision = authorizer.decide(now(), &Request::from(&request));
    serde_json::to_value(authorizer.answer(request, &decision)).unwrap()
}

#[test]
fn an_allowed_request_is_forwarded_without_credentials() {
    let signer = Signer::new();
    let token = signer.sign(&header("ec"), &claims(&json!({})));
    let headers = json!({
        "host": [{"key": "Host", "value": "d111111abcdef8.cloudfront.net"}],
        "authorization": [{"key": "Authorization", "value": format!("Bearer {token}")}],
        "cookie": [
            {"key": "Cookie", "value": format!("theme=dark; __Host-gatepost={token}; lang=de")},
            {"key": "Cookie", "value": format!("__Host-gatepost={token}")},
        ],
        "x-gatepost-owner": [{"key": "X-Gatepost-Owner", "value": "somebody else"}],
        "x-gatepost-admin": [{"key": "X-Gatepost-Admin", "value": "yes"}],
    });
    let answer = answer(&signer.authorizer(), event("/members/x", &headers));
    let owner = edge_auth::Owner::of(crate::signer::ISSUER, "alice");
    assert_eq!(
        answer,
        json!({
            "clientIp": "203.0.113.178",
            "headers": {
                "host": [{"key": "Host", "value": "d111111abcdef8.cloudfront.net"}],
                "cookie": [{"key": "Cookie", "value": "theme=dark; lang=de"}],
                "x-gatepost-owner": [{"key": "x-gatepost-owner", "value": owner}],
            },
            "method": "GET",
            "querystring": "v=1",
            "uri": "/members/x",
            "body": {"action": "read-only", "data": "", "encoding": "base64", "inputTruncated": false},
        })
    );
}

#[test]
fn a_public_path_is_forwarded_without_an_owner() {
    let signer = Signer::new();
    let headers = json!({"x-gatepost-owner": [{"key": "X-Gatepost-Owner", "value": "me"}]});
    let answer = answer(&signer.authorizer(), event("/public/x", &headers));
    assert_eq!(answer["headers"], json!({}));
}

#[test]
fn a_refusal_is_a_response_that_says_little() {
    let signer = Signer::new();
    let bob = signer.sign(&header("ec"), &claims(&json!({"sub": "bob"})));
    let bearer = |token: &str| json!({"authorization": [{"key": "Authorization", "value": format!("Bearer {token}")}]});
    for (uri, headers, status, phrase, challenge) in [
        (
            "/members/x",
            json!({}),
            "401",
            "Unauthorized",
            Some("Bearer"),
        ),
        (
            "/members/x",
            bearer("garbage"),
            "401",
            "Unauthorized",
            Some("Bearer error=\"invalid_token\""),
        ),
        (
            "/admin/x",
            bearer(&bob),
            "403",
            "Forbidden",
            Some("Bearer error=\"insufficient_scope\""),
        ),
        ("/a/../b", json!({}), "400", "Bad Request", None),
    ] {
        let answer = answer(&signer.authorizer(), event(uri, &headers));
        assert_eq!(
            (&answer["status"], &answer["statusDescription"]),
            (&status.into(), &phrase.into()),
            "{uri}"
        );
        let header = |name: &str| {
            answer["headers"][name][0]["value"]
                .as_str()
                .map(str::to_owned)
        };
        assert_eq!(header("www-authenticate").as_deref(), challenge, "{uri}");
        assert_eq!(
            header("cache-control").as_deref(),
            Some("no-store"),
            "{uri}"
        );
        assert_eq!(
            header("content-type").as_deref(),
            Some("application/problem+json"),
            "{uri}"
        );
        let body = answer["body"].as_str().unwrap();
        assert!(
            body.len() < 200 && !body.contains("scope") && !body.contains("rule"),
            "{body}"
        );
    }
}

#[test]
fn only_page_navigation_is_redirected_to_sign_in() {
    let signer = Signer::new();
    let mut config = signer.config();
    config.login = Some("https://login.example.com/authorize?return_to={url}".to_owned());
    let authorizer = Authorizer::new(&config).unwrap_or_else(|faults| panic!("{faults:?}"));
    let bob = signer.sign(&header("ec"), &claims(&json!({"sub": "bob"})));
    let lines = |pairs: &[(&str, &str)]| {
        let mut headers = json!({});
        for (name, value) in pairs {
            headers[*name] = json!([{"key": name, "value": value}]);
        }
        headers
    };
    let bearer = format!("Bearer {bob}");
    let elsewhere = signer.sign(&header("ec"), &claims(&json!({"aud": "elsewhere"})));
    let elsewhere = format!("Bearer {elsewhere}");
    for (uri, headers, status) in [
        (
            "/members/x",
            lines(&[("sec-fetch-mode", "navigate")]),
            "302",
        ),
        ("/members/x", lines(&[("accept", "text/html,*/*")]), "302"),
        (
            "/members/x",
            lines(&[("accept", "text/html"), ("sec-fetch-mode", "no-cors")]),
            "401",
        ),
        ("/members/x", lines(&[("accept", "image/webp")]), "401"),
        (
            "/admin/x",
            lines(&[("accept", "text/html"), ("authorization", &bearer)]),
            "403",
        ),
        ("//evil.example/x", lines(&[("accept", "text/html")]), "400"),
        // Signing in would bring the same token again, in an endless loop.
        (
            "/members/x",
            lines(&[("accept", "text/html"), ("authorization", &elsewhere)]),
            "401",
        ),
        // Without sessions this is a provider's token, and an opaque one stays opaque.
        (
            "/members/x",
            lines(&[
                ("sec-fetch-mode", "navigate"),
                ("cookie", "__Host-gatepost=garbage"),
            ]),
            "401",
        ),
    ] {
        let request = event(uri, &headers).records.remove(0).cf.request;
        let decision = authorizer.decide(now(), &Request::from(&request));
        let Outcome::Respond(response) = authorizer.answer(request, &decision) else {
            panic!("{uri} is allowed");
        };
        assert_eq!(response.status, status, "{uri} {headers}");
        if let Decision::Redirect(redirect) = decision {
            let location = "https://login.example.com/authorize?return_to=%2Fmembers%2Fx%3Fv%3D1";
            assert_eq!(redirect.location, location);
            assert_eq!(response.headers.values("location").next(), Some(location));
        }
    }
    // A sign-in page behind the authorizer does not redirect to itself.
    config.login = Some("/members/sign-in?return_to={url}".to_owned());
    let authorizer = Authorizer::new(&config).unwrap_or_else(|faults| panic!("{faults:?}"));
    let headers = lines(&[("accept", "text/html")]);
    let request = event("/members/sign-in", &headers)
        .records
        .remove(0)
        .cf
        .request;
    let decision = authorizer.decide(now(), &Request::from(&request));
    assert!(matches!(decision, Decision::Deny(_)), "{decision:?}");
}

#[test]
fn sign_in_is_offered_only_if_it_resolves_the_refusal() {
    let signer = Signer::new();
    let fixed = Config {
        login: Some("/?sign_in".to_owned()),
        ..signer.config()
    };
    let mut fetched = fixed.clone();
    fetched.issuers[0].published = Some(PublishedKeys::at("https://login.example.com/keys"));
    let with_sessions = with_session(fixed.clone(), &[hs256("s")]);
    let token = |header: Value, changes: Value| signer.sign(&header, &claims(&changes));
    let good = || json!({"alg": "ES256", "kid": "ec"});
    let unknown_key = token(json!({"alg": "ES256", "kid": "new"}), json!({}));
    let bad_signature = Signer::new().sign(&good(), &claims(&json!({})));
    let expired = token(good(), json!({"exp": 1}));
    let elsewhere = token(good(), json!({"aud": "elsewhere"}));
    let unknown_issuer = token(good(), json!({"iss": "https://other.example/"}));
    for (case, token, [with_fixed, with_fetched, in_session_cookie]) in [
        ("nothing", "", [302, 302, 302]),
        ("an expired token", expired.as_str(), [302, 302, 302]),
        ("an opaque token", "0b1d7e", [401, 401, 302]),
        ("an unknown key", &unknown_key, [401, 302, 302]),
        ("a bad signature", &bad_signature, [401, 302, 302]),
        ("another audience", &elsewhere, [401, 401, 302]),
        ("an unknown issuer", &unknown_issuer, [401, 401, 302]),
    ] {
        let bearer = format!("Bearer {token}");
        let cookie = format!("__Host-gatepost={token}");
        let authorization = ("authorization", bearer.as_str());
        for (config, header, expected) in [
            (&fixed, authorization, with_fixed),
            (&fetched, authorization, with_fetched),
            // With sessions configured, a provider's token in its header is still treated as one.
            (&with_sessions, authorization, with_fixed),
            (&with_sessions, ("cookie", &cookie), in_session_cookie),
        ] {
            let authorizer = Authorizer::new(config).unwrap_or_else(|faults| panic!("{faults:?}"));
            // The set was fetched, and brought nothing new.
            let _ = authorizer.accept_keys(now(), "https://login.example.com/keys", &signer.jwks());
            let mut headers: Headers = [("sec-fetch-mode", "navigate")].into_iter().collect();
            if !token.is_empty() {
                headers.append(header.0, header.1);
            }
            let request = Request {
                method: "GET",
                uri: "/members/x",
                ..Request::from(&headers)
            };
            let found = match authorizer.decide(now(), &request) {
                Decision::Redirect(_) => 302,
                Decision::Deny(denied) => denied.refusal.status(),
                other => panic!("{case}: {other:?}"),
            };
            assert_eq!(found, expected, "{case} {header:?}");
        }
    }
}

#[test]
fn a_login_that_is_not_a_header_value_is_a_fault() {
    let signer = Signer::new();
    for (login, is_fine) in [
        ("/?sign_in&return_to={url}", true),
        ("https://login.example.com/?to={url}", true),
        ("//evil.example", false),
        ("https://", false),
        ("/x\r\nset-cookie: a=b", false),
        ("/with space", false),
        ("", false),
    ] {
        let config = Config {
            login: Some(login.to_owned()),
            ..signer.config()
        };
        assert_eq!(Authorizer::new(&config).is_ok(), is_fine, "{login:?}");
    }
}
