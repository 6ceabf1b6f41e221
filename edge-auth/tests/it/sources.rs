//! Where tokens are found, what is removed before forwarding, and what scripts of other sites may read.

use edge_auth::config::{
    Access, ClaimRequirement, ClaimValue, Cors, RequiredClaims, Rule, TokenSource,
};
use edge_auth::lambda_edge::{GeneratedResponse, Outcome};
use edge_auth::{Authorizer, Config, Decision, Headers, Request, ViewerRequest};
use serde_json::json;

use crate::signer::{Signer, claims, header, now};

fn authorizer(config: &Config) -> Authorizer {
    Authorizer::new(config).unwrap_or_else(|faults| panic!("{faults:?}"))
}

fn request(method: &str, uri: &str, querystring: &str, headers: &[(&str, &str)]) -> ViewerRequest {
    ViewerRequest {
        method: method.to_owned(),
        uri: uri.to_owned(),
        querystring: querystring.to_owned(),
        headers: headers.iter().copied().collect(),
        ..ViewerRequest::default()
    }
}

fn answer(authorizer: &Authorizer, request: ViewerRequest) -> (Decision, Outcome) {
    let decision = authorizer.decide(now(), &Request::from(&request));
    let outcome = authorizer.answer(request, &decision);
    (decision, outcome)
}

fn response(outcome: Outcome) -> GeneratedResponse {
    match outcome {
        Outcome::Respond(response) => response,
        Outcome::Continue(request) => panic!("{} goes on", request.uri),
    }
}

#[test]
fn a_token_in_the_query_needs_configuration_and_is_not_forwarded() {
    let signer = Signer::new();
    let mut config = signer.config();
    let token = signer.sign(&header("ec"), &claims(&json!({})));
    let query = format!("w=640&token={token}&v=%20");
    let (decision, _) = answer(
        &authorizer(&config),
        request("GET", "/members/x", &query, &[]),
    );
    assert!(matches!(decision, Decision::Deny(denied) if denied.refusal.code() == "no_token"));

    config
        .token_sources
        .push(TokenSource::Query("token".to_owned()));
    config.login = Some("https://login.example.com/?back={url}".to_owned());
    let authorizer = authorizer(&config);
    let (_, outcome) = answer(&authorizer, request("GET", "/members/x", &query, &[]));
    let Outcome::Continue(request_on) = outcome else {
        panic!("it is refused");
    };
    assert_eq!(request_on.querystring, "w=640&v=%20");
    // The way back after signing in does not contain the refused token.
    let browser = [("sec-fetch-mode", "navigate")];
    let expired = signer.sign(&header("ec"), &claims(&json!({"exp": 1})));
    let query = format!("w=640&token={expired}");
    let refused = request("GET", "/members/x", &query, &browser);
    let (decision, _) = answer(&authorizer, refused);
    let Decision::Redirect(redirect) = decision else {
        panic!("{decision:?}");
    };
    assert_eq!(
        redirect.location,
        "https://login.example.com/?back=%2Fmembers%2Fx%3Fw%3D640"
    );
}

#[test]
fn a_rule_can_require_claims() {
    let signer = Signer::new();
    let mut config = signer.config();
    let text = |text: &str| ClaimValue::Text(text.to_owned());
    let any = ClaimRequirement::Any;
    config.rules = vec![Rule {
        claims: RequiredClaims::from([
            (
                "email_verified".to_owned(),
                any(vec![ClaimValue::Bool(true)]),
            ),
            (
                "department".to_owned(),
                any(vec![text("sales"), text("finance")]),
            ),
            ("level".to_owned(), any(vec![ClaimValue::Integer(3)])),
        ]),
        ..Rule::new("/reports/**", Access::Authenticated)
    }];
    let authorizer = authorizer(&config);
    let good = json!({"email_verified": true, "department": "finance", "level": 3});
    for (changes, expected) in [
        (json!({}), "allowed"),
        (json!({"department": ["hr", "sales"]}), "allowed"),
        (json!({"department": "hr"}), "claim_required"),
        (json!({"department": []}), "claim_required"),
        (json!({"department": [["sales"]]}), "claim_required"),
        (json!({"email_verified": "true"}), "claim_required"),
        (json!({"email_verified": false}), "claim_required"),
        (json!({"level": 3.5}), "claim_required"),
        (json!({"level": "3"}), "claim_required"),
        (json!({"level": null}), "claim_required"),
    ] {
        let mut all = claims(&good);
        for (name, value) in changes.as_object().unwrap() {
            all[name] = value.clone();
        }
        let token = signer.sign(&header("ec"), &all);
        let bearer = format!("Bearer {token}");
        let request = request("GET", "/reports/q3", "", &[("authorization", &bearer)]);
        let found = match authorizer.decide(now(), &Request::from(&request)) {
            Decision::Allow(_) => "allowed",
            Decision::Deny(denied) => denied.refusal.code(),
            other => panic!("{other:?}"),
        };
        assert_eq!(found, expected, "{changes}");
    }
}

fn cors() -> Cors {
    Cors {
        origins: vec!["https://app.example.com".to_owned()],
        methods: vec!["GET".to_owned(), "HEAD".to_owned()],
        headers: vec!["authorization".to_owned(), "Range".to_owned()],
        credentials: false,
        max_age_seconds: 600,
    }
}

const PREFLIGHT: [(&str, &str); 3] = [
    ("origin", "https://app.example.com"),
    ("access-control-request-method", "GET"),
    ("access-control-request-headers", "authorization,range"),
];

fn with(name: &'static str, value: &'static str) -> Vec<(&'static str, &'static str)> {
    let changed = PREFLIGHT.into_iter().filter(|(found, _)| *found != name);
    changed.chain([(name, value)]).collect()
}

#[test]
fn a_preflight_is_answered_as_configured() {
    let signer = Signer::new();
    let mut config = signer.config();
    let options = |uri, headers: &[(&str, &str)]| request("OPTIONS", uri, "", headers);
    // Without `cors` it is an ordinary request, and no rule matches its method.
    let (decision, _) = answer(&authorizer(&config), options("/members/x", &PREFLIGHT));
    assert!(matches!(decision, Decision::Deny(denied) if denied.refusal.code() == "no_rule"));

    config.cors = Some(cors());
    let granting = authorizer(&config);
    let (_, outcome) = answer(&granting, options("/members/x", &PREFLIGHT));
    let granted = response(outcome);
    assert_eq!((granted.status.as_str(), &granted.body), ("204", &None));
    for (name, value) in [
        ("access-control-allow-origin", "https://app.example.com"),
        ("access-control-allow-methods", "GET, HEAD"),
        ("access-control-allow-headers", "authorization, Range"),
        ("access-control-max-age", "600"),
        ("vary", "Origin"),
        ("cache-control", "no-store"),
    ] {
        assert_eq!(
            granted.headers.values(name).collect::<Vec<_>>(),
            [value],
            "{name}"
        );
    }
    for (headers, status) in [
        (with("origin", "https://evil.example"), "403"),
        (
            with("origin", "https://app.example.com.evil.example"),
            "403",
        ),
        (with("origin", "null"), "403"),
        (with("access-control-request-method", "PUT"), "403"),
        (
            with("access-control-request-headers", "authorization, x-admin"),
            "403",
        ),
        (with("access-control-request-headers", ""), "204"),
        (PREFLIGHT[..2].to_vec(), "204"),
        // Without the method header it is not a preflight, and no rule matches it.
        (PREFLIGHT[..1].to_vec(), "403"),
    ] {
        let (_, outcome) = answer(&granting, options("/members/x", &headers));
        let response = response(outcome);
        assert_eq!(response.status, status, "{headers:?}");
    }
    // The path is checked first, as always.
    let (_, outcome) = answer(&granting, options("/a/../b", &PREFLIGHT));
    assert_eq!(response(outcome).status, "400");

    config.cors = Some(Cors {
        credentials: true,
        ..cors()
    });
    let (_, outcome) = answer(&authorizer(&config), options("/members/x", &PREFLIGHT));
    let credentials = "access-control-allow-credentials";
    assert_eq!(
        response(outcome).headers.values(credentials).next(),
        Some("true")
    );
}

#[test]
fn a_script_may_read_why_it_is_refused() {
    let signer = Signer::new();
    let mut config = signer.config();
    config.cors = Some(cors());
    let authorizer = authorizer(&config);
    for (origin, readable) in [
        ("https://app.example.com", Some("https://app.example.com")),
        ("https://evil.example", None),
    ] {
        let refused = request("GET", "/members/x", "", &[("origin", origin)]);
        let (_, outcome) = answer(&authorizer, refused);
        let refused = response(outcome);
        assert_eq!(refused.status, "401");
        let allowed = refused.headers.values("access-control-allow-origin").next();
        assert_eq!(allowed, readable, "{origin}");
        assert_eq!(refused.headers.values("vary").next(), Some("Origin"));
    }
}

#[test]
fn every_fault_of_cors_and_sources_is_reported() {
    let signer = Signer::new();
    let mut config = signer.config();
    config.token_sources = vec![
        TokenSource::Query("a&b".to_owned()),
        TokenSource::Authorization,
        TokenSource::Authorization,
    ];
    config.cors = Some(Cors {
        origins: vec!["https://app.example.com/".to_owned(), "*".to_owned()],
        methods: vec!["get".to_owned()],
        headers: vec!["*".to_owned()],
        credentials: false,
        max_age_seconds: 0,
    });
    let faults = Authorizer::new(&config).err().unwrap();
    let keys: Vec<_> = faults.iter().map(|fault| fault.key.as_str()).collect();
    assert_eq!(
        keys,
        [
            "cors.origins[0]",
            "cors.origins[1]",
            "cors.methods[0]",
            "cors.headers[0]",
            "token.from[0]",
            "token.from[2]",
        ]
    );
    config.token_sources.clear();
    config.cors = Some(Cors {
        origins: vec!["*".to_owned()],
        credentials: true,
        ..cors()
    });
    let faults = Authorizer::new(&config).err().unwrap();
    assert_eq!(faults[0].key, "cors.origins[0]");
    let headers = Headers::default();
    assert!(Request::from(&headers).authorization.as_slice().is_empty());
}
