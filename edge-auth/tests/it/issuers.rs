//! Several issuer blocks: which block a token is for, and which rules it satisfies.

use edge_auth::config::{
    Access, Audiences, ClaimRequirement, ClaimValue, Issuer, Rule, RuleIssuers, Tenants,
    TokenSource,
};
use edge_auth::lambda_edge::Outcome;
use edge_auth::{Authorizer, Config, Decision, Headers, Request, Viewer, ViewerRequest};
use serde_json::json;

use crate::signer::{ISSUER, Signer, claims, header, now};

const STAFF: &str = "https://staff.example.com/";
const TEMPLATE: &str = "https://sts.example.com/{tenantid}/";

fn any_of(texts: &[&str]) -> ClaimRequirement {
    let values = texts.iter().map(|&text| ClaimValue::Text(text.to_owned()));
    ClaimRequirement::Any(values.collect())
}

pub(crate) fn texts(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|&text| text.to_owned()).collect()
}

pub(crate) fn config(signer: &Signer, blocks: Vec<Issuer>, rules: Vec<Rule>) -> Config {
    Config {
        issuers: blocks,
        rules,
        ..signer.config()
    }
}

pub(crate) fn block(signer: &Signer, name: &str, issuer: &str) -> Issuer {
    Issuer {
        name: Some(name.to_owned()),
        issuer: issuer.to_owned(),
        ..signer.config().issuers.remove(0)
    }
}

pub(crate) fn authorizer(config: &Config) -> Authorizer {
    Authorizer::new(config).unwrap_or_else(|faults| panic!("{faults:?}"))
}

fn bearer(token: &str) -> Headers {
    [("authorization", format!("Bearer {token}").as_str())]
        .into_iter()
        .collect()
}

/// `allowed`, or the refusal's code.
pub(crate) fn decide(authorizer: &Authorizer, uri: &str, token: &str) -> &'static str {
    let headers = bearer(token);
    let request = Request {
        method: "GET",
        uri,
        ..Request::from(&headers)
    };
    match authorizer.decide(now(), &request) {
        Decision::Allow(_) => "allowed",
        Decision::Deny(denied) => denied.refusal.code(),
        other => panic!("{other:?}"),
    }
}

pub(crate) fn viewer(authorizer: &Authorizer, token: &str) -> Viewer {
    let headers = bearer(token);
    let viewer = authorizer.authenticate(now(), &Request::from(&headers));
    viewer.unwrap_or_else(|denied| panic!("{denied:?}"))
}

pub(crate) fn fault_keys(config: &Config) -> Vec<String> {
    let faults = Authorizer::new(config).err().unwrap_or_default();
    faults.into_iter().map(|fault| fault.key).collect()
}

fn about(path: &str, names: &[&str]) -> Rule {
    Rule {
        issuers: RuleIssuers::OneOf(texts(names)),
        ..Rule::new(path, Access::Authenticated)
    }
}

#[test]
fn a_rule_accepts_only_the_issuers_that_it_names() {
    let signer = Signer::new();
    let admin = Rule {
        issuers: RuleIssuers::OneOf(texts(&["staff"])),
        ..Rule::new("/admin/**", Access::Scopes(texts(&["media:admin"])))
    };
    let blocks = vec![
        block(&signer, "customers", ISSUER),
        block(&signer, "staff", STAFF),
    ];
    let rules = vec![admin, about("/either/**", &[ISSUER, "staff"])];
    let authorizer = authorizer(&config(&signer, blocks, rules));
    let of = |iss: &str| {
        let claims = claims(&json!({"iss": iss, "scope": "media:admin"}));
        signer.sign(&header("ec"), &claims)
    };
    for (iss, uri, expected) in [
        (STAFF, "/admin/x", "allowed"),
        // Either provider could grant the scope, but only one of them is trusted to.
        (ISSUER, "/admin/x", "issuer_not_allowed"),
        (ISSUER, "/either/x", "allowed"),
        (STAFF, "/either/x", "allowed"),
    ] {
        assert_eq!(decide(&authorizer, uri, &of(iss)), expected, "{iss} {uri}");
    }
}

#[test]
fn blocks_of_one_issuer_are_distinguished_in_any_order() {
    let signer = Signer::new();
    let with_claim = |name: &str, value: &str| Issuer {
        audiences: Audiences::Any,
        claims: [("token_use".to_owned(), any_of(&[value]))].into(),
        ..block(&signer, name, ISSUER)
    };
    let with_typ = |name: &str, typ: &str| Issuer {
        typ: Some(typ.to_owned()),
        ..block(&signer, name, ISSUER)
    };
    let with_audience = |name: &str, audience: &str| Issuer {
        audiences: Audiences::OneOf(texts(&[audience])),
        ..block(&signer, name, ISSUER)
    };
    for (blocks, cases) in [
        (
            [with_claim("access", "access"), with_claim("id", "id")],
            vec![
                ("JWT", json!({"token_use": "access"}), "allowed"),
                ("JWT", json!({"token_use": "id"}), "issuer_not_allowed"),
                ("JWT", json!({"token_use": "other"}), "unexpected_claim"),
                (
                    "JWT",
                    json!({"token_use": ["access", "id"]}),
                    "several_issuers",
                ),
            ],
        ),
        (
            [with_typ("access", "at+jwt"), with_typ("id", "JWT")],
            vec![
                ("at+jwt", json!({}), "allowed"),
                ("application/at+JWT", json!({}), "allowed"),
                ("jwt", json!({}), "issuer_not_allowed"),
                ("other", json!({}), "unexpected_type"),
                // The closest block gives the reason.
                ("at+jwt", json!({"aud": "other"}), "wrong_audience"),
            ],
        ),
        (
            [with_audience("access", "api"), with_audience("id", "web")],
            vec![
                ("JWT", json!({"aud": "api"}), "allowed"),
                ("JWT", json!({"aud": ["api", "userinfo"]}), "allowed"),
                ("JWT", json!({"aud": "web"}), "issuer_not_allowed"),
                ("JWT", json!({"aud": ["api", "web"]}), "several_issuers"),
                ("JWT", json!({"aud": "other"}), "wrong_audience"),
            ],
        ),
    ] {
        let [one, other] = blocks;
        for blocks in [vec![one.clone(), other.clone()], vec![other, one]] {
            let rules = vec![about("/x", &["access"])];
            let authorizer = authorizer(&config(&signer, blocks, rules));
            for (typ, changes, expected) in &cases {
                let header = json!({"alg": "ES256", "kid": "ec", "typ": typ});
                let token = signer.sign(&header, &claims(changes));
                let found = decide(&authorizer, "/x", &token);
                assert_eq!(found, *expected, "{typ} {changes}");
            }
        }
    }
}

#[test]
fn blocks_that_could_accept_one_token_are_a_fault() {
    let signer = Signer::new();
    let claim = |value: &str| [("use".to_owned(), any_of(&["both", value]))].into();
    let base = |name: &str| block(&signer, name, ISSUER);
    let tenants = |name: &str, ids: &[&str]| Issuer {
        tenants: Some(match ids {
            ["any"] => Tenants::Any,
            ids => Tenants::OneOf(texts(ids)),
        }),
        ..block(&signer, name, TEMPLATE)
    };
    for (case, one, other, expected) in [
        ("the same", base("a"), base("b"), vec!["issuers[1].issuer"]),
        (
            "one name",
            base("a"),
            block(&signer, "a", STAFF),
            vec!["issuers[1].name"],
        ),
        (
            "a common value",
            Issuer {
                claims: claim("a"),
                ..base("a")
            },
            Issuer {
                claims: claim("b"),
                ..base("b")
            },
            vec!["issuers[1].issuer"],
        ),
        (
            "a common audience",
            Issuer {
                audiences: Audiences::OneOf(texts(&["x", "y"])),
                ..base("a")
            },
            Issuer {
                audiences: Audiences::OneOf(texts(&["y", "z"])),
                ..base("b")
            },
            vec!["issuers[1].issuer"],
        ),
        (
            "one typ of two",
            Issuer {
                typ: Some("JWT".to_owned()),
                ..base("a")
            },
            base("b"),
            vec!["issuers[1].issuer"],
        ),
        (
            "one typ in two spellings",
            Issuer {
                typ: Some("at+jwt".to_owned()),
                ..base("a")
            },
            Issuer {
                typ: Some("application/AT+JWT".to_owned()),
                ..base("b")
            },
            vec!["issuers[1].issuer"],
        ),
        (
            "a common tenant",
            tenants("a", &["1", "2"]),
            tenants("b", &["2"]),
            vec!["issuers[1].issuer"],
        ),
        (
            "other tenants",
            tenants("a", &["1"]),
            tenants("b", &["2"]),
            vec![],
        ),
        (
            "any tenant and one of them by its issuer",
            tenants("a", &["any"]),
            block(&signer, "b", "https://sts.example.com/1/"),
            vec!["issuers[1].issuer"],
        ),
        (
            "two templates that could name one issuer",
            tenants("a", &["any"]),
            Issuer {
                tenants: Some(Tenants::Any),
                ..block(&signer, "b", "https://sts.example.com/a{tenantid}/")
            },
            vec!["issuers[1].issuer"],
        ),
        (
            "one claim in two spellings",
            Issuer {
                claims: [("use".to_owned(), any_of(&["a"]))].into(),
                ..base("a")
            },
            Issuer {
                claims: [("/use".to_owned(), any_of(&["b"]))].into(),
                ..base("b")
            },
            vec![],
        ),
        (
            "another tenant by its issuer",
            tenants("a", &["2"]),
            block(&signer, "b", "https://sts.example.com/1/"),
            vec![],
        ),
        (
            "a name that is an address",
            block(&signer, "https://a/", ISSUER),
            block(&signer, "b", STAFF),
            vec!["issuers[0].name"],
        ),
        (
            "a name that is another's issuer",
            block(&signer, "accounts", ISSUER),
            block(&signer, "b", "accounts"),
            vec!["issuers[0].name"],
        ),
    ] {
        let config = config(&signer, vec![one, other], vec![]);
        assert_eq!(fault_keys(&config), expected, "{case}");
    }
}

#[test]
fn a_header_without_another_use_can_carry_the_token() {
    let signer = Signer::new();
    let with = |name: &str| Config {
        token_sources: vec![TokenSource::Header(name.to_owned())],
        ..signer.config()
    };
    for (name, is_fine) in [
        ("cf-access-jwt-assertion", true),
        ("x-amzn-oidc-data", false),
        ("Cf-Access-Jwt-Assertion", false),
        ("cookie", false),
        ("host", false),
        ("authorization", false),
        ("x-gatepost-owner", false),
        ("via", false),
        ("accept", false),
        ("constructor", false),
        ("__proto__", false),
        ("a b", false),
        ("", false),
    ] {
        let faults = fault_keys(&with(name));
        let expected: &[&str] = if is_fine { &[] } else { &["token.from[0]"] };
        assert_eq!(faults, expected, "{name}");
    }
    let authorizer = authorizer(&with("cf-access-jwt-assertion"));
    let token = signer.sign(&header("ec"), &claims(&json!({})));
    let request = ViewerRequest {
        method: "GET".to_owned(),
        uri: "/members/x".to_owned(),
        headers: [
            ("cf-access-jwt-assertion", token.as_str()),
            ("accept", "*/*"),
        ]
        .into_iter()
        .collect(),
        ..ViewerRequest::default()
    };
    let decision = authorizer.decide(now(), &Request::from(&request));
    let Outcome::Continue(request) = authorizer.answer(request, &decision) else {
        panic!("it is refused: {decision:?}");
    };
    // The token is not forwarded to the origin.
    let names: Vec<_> = request.headers.iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["accept", "x-gatepost-owner"]);
}
