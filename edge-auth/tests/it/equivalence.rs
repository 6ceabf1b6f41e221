//! A session means what its token meant: for every rule and every token, the decision with the token equals the
//! decision with the session made from it.

use std::collections::BTreeMap;

use edge_auth::config::{
    Access, Audiences, ClaimRequirement, ClaimValue, Issuer, Rule, RuleIssuers, Tenants,
    TokenSource,
};
use edge_auth::{Authorizer, Config, Decision, Headers, Request, SESSION_COOKIE};
use serde_json::{Value, json};
use test_support::SeededRng;

use crate::session_keys::es256;
use crate::session_settings::{hs256, with_session};
use crate::signer::{AUDIENCE, ISSUER, NOW, Signer, claims, now};

const STAFF: &str = "https://staff.example.com/";
const TENANTS: &str = "https://sts.example.com/{tenantid}/";

/// The claims that rules require: registered ones, those that sessions use themselves, and others at every depth.
const CLAIMS: [&str; 17] = [
    "iss",
    "aud",
    "sub",
    "exp",
    "nbf",
    "iat",
    "idp",
    "owner",
    "block",
    "token",
    "groups",
    "tier",
    "tid",
    "https://example.com/roles",
    "/realm/roles",
    "/realm/org/name",
    "roles",
];

fn texts() -> [String; 9] {
    [
        ISSUER,
        STAFF,
        AUDIENCE,
        "alice",
        "red",
        "/red",
        "gold",
        "urn:gatepost:session",
        "42",
    ]
    .map(str::to_owned)
}

fn value(rng: &mut SeededRng, depth: usize) -> Value {
    match rng.below(if depth == 0 { 6 } else { 9 }) {
        0..=2 => rng.choose(&texts()).as_str().into(),
        3 => rng.choose(&[42, NOW + 300, NOW - 10, 0]).into(),
        4 => rng.choose(&[true, false]).into(),
        5 => Value::Null,
        6 => (0..rng.below(4)).map(|_| value(rng, depth - 1)).collect(),
        _ => {
            let names = ["red", "gold", "roles", "org", "name"];
            let members = (0..rng.below(4)).map(|_| (rng.choose(&names), value(rng, depth - 1)));
            let members: BTreeMap<_, _> = members.collect();
            json!(members)
        }
    }
}

fn requirement(rng: &mut SeededRng) -> ClaimRequirement {
    let wanted = |rng: &mut SeededRng| match rng.below(4) {
        0 => ClaimValue::Integer(rng.choose(&[42, NOW + 300, NOW - 10])),
        1 => ClaimValue::Bool(rng.one_in(2)),
        _ => ClaimValue::Text(rng.choose(&texts()).clone()),
    };
    let n = 1 + rng.below(3);
    match rng.below(3) {
        0 => ClaimRequirement::Any((0..n).map(|_| wanted(rng)).collect()),
        1 => ClaimRequirement::All((0..=rng.below(2)).map(|_| wanted(rng)).collect()),
        _ => ClaimRequirement::Keys(vec![
            rng.choose(&["red", "gold", "roles", "org"]).to_owned(),
        ]),
    }
}

fn rule(rng: &mut SeededRng, idx: usize) -> Rule {
    let segment = match rng.below(4) {
        0 => "{owner}".to_owned(),
        1 => "*".to_owned(),
        _ => format!("{{claim:{}}}", rng.choose(&CLAIMS)),
    };
    let access = match rng.below(4) {
        0 => Access::Scopes(vec![rng.choose(&["read", "write"]).to_owned()]),
        _ => Access::Authenticated,
    };
    let mut rule = Rule::new(format!("/r{idx}/{segment}/x"), access);
    for _ in 0..rng.below(3) {
        let claim = rng.choose(&CLAIMS).to_owned();
        rule.claims.insert(claim, requirement(rng));
    }
    rule.issuers = match rng.below(4) {
        0 => RuleIssuers::Any,
        1 => RuleIssuers::OneOf(vec!["customers".to_owned()]),
        2 => RuleIssuers::OneOf(vec![STAFF.to_owned(), "tenants".to_owned()]),
        _ => RuleIssuers::OneOf(vec![ISSUER.to_owned(), "tenants".to_owned()]),
    };
    rule
}

fn issuers(signer: &Signer) -> Vec<Issuer> {
    let block = |name: &str, issuer: &str| Issuer {
        name: Some(name.to_owned()),
        issuer: issuer.to_owned(),
        ..signer.config().issuers.remove(0)
    };
    vec![
        Issuer {
            typ: Some("at+jwt".to_owned()),
            ..block("customers", ISSUER)
        },
        Issuer {
            typ: Some("JWT".to_owned()),
            audiences: Audiences::Any,
            ..block("customers-id", ISSUER)
        },
        Issuer {
            subject: Some("oid".to_owned()),
            ..block("staff", STAFF)
        },
        Issuer {
            tenants: Some(Tenants::OneOf(vec!["t1".to_owned(), "t2".to_owned()])),
            ..block("tenants", TENANTS)
        },
    ]
}

fn token(rng: &mut SeededRng, signer: &Signer) -> String {
    let tenant = rng.choose(&["t1", "t2"]);
    let iss = match rng.below(3) {
        0 => ISSUER.to_owned(),
        1 => STAFF.to_owned(),
        _ => TENANTS.replace("{tenantid}", tenant),
    };
    let mut claims = claims(&json!({"iss": iss, "tid": tenant, "oid": "a1"}));
    if rng.one_in(2) {
        claims["scope"] = rng.choose(&["read", "read write", "write"]).into();
    }
    if rng.one_in(4) {
        claims.as_object_mut().unwrap().remove("sub");
    }
    for name in [
        "idp", "owner", "block", "token", "groups", "tier", "roles", "realm",
    ] {
        if rng.one_in(2) {
            claims[name] = value(rng, 2);
        }
    }
    if rng.one_in(2) {
        claims["https://example.com/roles"] = json!(["red", "gold"]);
    }
    if rng.one_in(3) {
        claims["aud"] = json!([AUDIENCE, "other"]);
    }
    let typ = rng.choose(&["at+jwt", "JWT"]);
    signer.sign(&json!({"alg": "ES256", "kid": "ec", "typ": typ}), &claims)
}

/// The decision, the status, the reason, and the owner that is sent to the origin.
fn decide(
    authorizer: &Authorizer,
    uri: &str,
    header: (&str, &str),
) -> (&'static str, u16, &'static str, Option<String>) {
    let headers: Headers = [header].into_iter().collect();
    let request = Request {
        method: "GET",
        uri,
        ..Request::from(&headers)
    };
    match authorizer.decide(now(), &request) {
        Decision::Allow(allowed) => {
            let changes = authorizer.changes(&request, &allowed);
            let owner = changes.owner.map(|owner| owner.to_string());
            ("allow", 200, "allowed", owner)
        }
        Decision::Deny(denied) => ("deny", denied.refusal.status(), denied.refusal.code(), None),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_session_gets_the_decision_of_its_token() {
    let signer = Signer::new();
    let mut rng = SeededRng::new(0x9E37_79B9_7F4A_7C15);
    let mut n_found: BTreeMap<&str, usize> = BTreeMap::new();
    for round in 0..150 {
        let config = Config {
            issuers: issuers(&signer),
            rules: (0..40).map(|idx| rule(&mut rng, idx)).collect(),
            token_sources: vec![
                TokenSource::Authorization,
                TokenSource::Cookie(SESSION_COOKIE.to_owned()),
            ],
            ..Config::default()
        };
        let key = if round % 2 == 0 {
            hs256("s")
        } else {
            es256("s")
        };
        let config = with_session(config, &[key]);
        let authorizer = Authorizer::new(&config).unwrap_or_else(|faults| panic!("{faults:?}"));
        for _ in 0..8 {
            let token = token(&mut rng, &signer);
            let bearer = format!("Bearer {token}");
            let headers: Headers = [("authorization", bearer.as_str())].into_iter().collect();
            let viewer = authorizer
                .authenticate(now(), &Request::from(&headers))
                .unwrap_or_else(|denied| panic!("{denied:?}"));
            let session = authorizer.start_session(now(), &viewer).unwrap();
            let cookie = format!("{SESSION_COOKIE}={}", session.token);
            let owner = viewer.owner.map_or_else(
                || "aaaaaaaaaaaaaaaaaaaaaaaaaa".to_owned(),
                |owner| owner.to_string(),
            );
            let exp = (NOW + 300).to_string();
            for idx in 0..config.rules.len() {
                let segments = [owner.as_str(), "red", "42", "alice", &exp, "gold"];
                let uri = format!("/r{idx}/{}/x", rng.choose(&segments));
                let with_token = decide(&authorizer, &uri, ("authorization", &bearer));
                let with_session = decide(&authorizer, &uri, ("cookie", &cookie));
                assert_eq!(with_token, with_session, "{uri} {:?}", config.rules[idx]);
                *n_found.entry(with_token.2).or_default() += 1;
            }
        }
    }
    // The comparison is meaningful only if it meets every outcome often.
    for reason in [
        "allowed",
        "claim_mismatch",
        "claim_required",
        "issuer_not_allowed",
        "missing_scope",
        "no_owner",
        "not_owner",
    ] {
        assert!(n_found.get(reason).is_some_and(|n| *n > 50), "{n_found:?}");
    }
}
