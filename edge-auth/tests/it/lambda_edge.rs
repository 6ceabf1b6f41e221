//! The wire: what Lambda@Edge sends, and what it is given back.

use edge_auth::lambda_edge::{Outcome, ViewerRequestEvent};
use edge_auth::{Authorizer, Decision, Request};
use serde_json::{Value, json};

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
fn an_allowed_request_goes_on_without_what_was_only_for_us() {
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
fn what_anyone_may_see_goes_on_without_an_owner() {
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
fn only_a_browser_that_opens_a_page_is_sent_to_sign_in() {
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
        // Signing in again would bring the same again, for ever.
        (
            "/members/x",
            lines(&[("accept", "text/html"), ("authorization", &elsewhere)]),
            "401",
        ),
        (
            "/members/x",
            lines(&[
                ("sec-fetch-mode", "navigate"),
                ("cookie", "__Host-gatepost=garbage"),
            ]),
            "302",
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
    // A login page behind the authorizer is not sent to itself.
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
