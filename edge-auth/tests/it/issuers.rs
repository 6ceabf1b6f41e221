//! Several issuer blocks: which block a token is for, which rules it satisfies, and who its owner is.

use data_encoding::BASE64URL_NOPAD;
use edge_auth::config::{
    Access, Algorithm, Audiences, ClaimRequirement, ClaimValue, Issuer, PublishedKeys, Rule,
    RuleIssuers, Secret, Secrets, Tenants, TokenSource,
};
use edge_auth::lambda_edge::Outcome;
use edge_auth::{
    Authorizer, Config, Decision, Headers, Owner, OwnerNames, Request, Viewer, ViewerRequest,
};
use serde_json::{Value, json};

use crate::signer::{ISSUER, Signer, claims, header, now};

const STAFF: &str = "https://staff.example.com/";
const TEMPLATE: &str = "https://sts.example.com/{tenantid}/";

fn any_of(texts: &[&str]) -> ClaimRequirement {
    let values = texts.iter().map(|&text| ClaimValue::Text(text.to_owned()));
    ClaimRequirement::Any(values.collect())
}

fn texts(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|&text| text.to_owned()).collect()
}

fn config(signer: &Signer, blocks: Vec<Issuer>, rules: Vec<Rule>) -> Config {
    Config {
        issuers: blocks,
        rules,
        ..signer.config()
    }
}

fn block(signer: &Signer, name: &str, issuer: &str) -> Issuer {
    Issuer {
        name: Some(name.to_owned()),
        issuer: issuer.to_owned(),
        ..signer.config().issuers.remove(0)
    }
}

fn authorizer(config: &Config) -> Authorizer {
    Authorizer::new(config).unwrap_or_else(|faults| panic!("{faults:?}"))
}

fn bearer(token: &str) -> Headers {
    [("authorization", format!("Bearer {token}").as_str())]
        .into_iter()
        .collect()
}

/// `allowed`, or the refusal's code.
fn decide(authorizer: &Authorizer, uri: &str, token: &str) -> &'static str {
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

fn viewer(authorizer: &Authorizer, token: &str) -> Viewer {
    let headers = bearer(token);
    let viewer = authorizer.authenticate(now(), &Request::from(&headers));
    viewer.unwrap_or_else(|denied| panic!("{denied:?}"))
}

fn fault_keys(config: &Config) -> Vec<String> {
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
fn a_tenant_is_trusted_by_its_id_in_both_claims() {
    let signer = Signer::new();
    let authorizer_of = |tenants: Tenants| {
        let block = Issuer {
            tenants: Some(tenants),
            subject: Some("oid".to_owned()),
            ..block(&signer, "entra", TEMPLATE)
        };
        let rules = vec![Rule::new("/members/**", Access::Authenticated)];
        authorizer(&config(&signer, vec![block], rules))
    };
    let listed = authorizer_of(Tenants::OneOf(texts(&["t1", "t2"])));
    let any = authorizer_of(Tenants::Any);
    let token = |iss: &str, changes: Value| {
        let mut all = claims(&changes);
        all["iss"] = iss.into();
        signer.sign(&header("ec"), &all)
    };
    let sts = |tenant: &str| format!("https://sts.example.com/{tenant}/");
    for (iss, changes, expected, with_any) in [
        (sts("t1"), json!({"tid": "t1"}), "allowed", "allowed"),
        (
            sts("t1"),
            json!({"tid": "t2"}),
            "unexpected_claim",
            "unexpected_claim",
        ),
        (
            sts("t3"),
            json!({"tid": "t3"}),
            "unexpected_claim",
            "allowed",
        ),
        (sts("t1"), json!({}), "unexpected_claim", "unexpected_claim"),
        (
            sts("{tenantid}"),
            json!({"tid": "{tenantid}"}),
            "unknown_issuer",
            "unknown_issuer",
        ),
        (
            sts("t1/../t2"),
            json!({"tid": "t1/../t2"}),
            "unknown_issuer",
            "unknown_issuer",
        ),
        (
            sts(""),
            json!({"tid": ""}),
            "unknown_issuer",
            "unknown_issuer",
        ),
    ] {
        let token = token(&iss, changes);
        assert_eq!(decide(&listed, "/members/x", &token), expected, "{iss}");
        assert_eq!(decide(&any, "/members/x", &token), with_any, "{iss}");
    }
    // The same subject in another tenant is another person.
    let owner = |tenant: &str| {
        let claims = json!({"tid": tenant, "oid": "a1"});
        viewer(&listed, &token(&sts(tenant), claims)).owner
    };
    assert_ne!(owner("t1"), owner("t2"));
    let names = OwnerNames::default();
    assert_eq!(owner("t1"), Some(names.owner(&sts("t1"), "oid", "a1")));

    // With several tenants, a rule about claims must say that it trusts all of them.
    let block = |tenants: Tenants| Issuer {
        tenants: Some(tenants),
        ..block(&signer, "entra", TEMPLATE)
    };
    let rules = || vec![Rule::new("/x/{claim:groups}", Access::Authenticated)];
    for (tenants, expected) in [
        (Tenants::OneOf(texts(&["t1"])), vec![]),
        (
            Tenants::OneOf(texts(&["t1", "t2"])),
            vec!["rules[0].issuers"],
        ),
        (Tenants::Any, vec!["rules[0].issuers"]),
        (Tenants::OneOf(vec![]), vec!["issuers[0].tenants"]),
        (Tenants::OneOf(texts(&[""])), vec!["issuers[0].tenants"]),
        (Tenants::OneOf(texts(&["T1"])), vec!["issuers[0].tenants"]),
        (Tenants::OneOf(texts(&["a/b"])), vec!["issuers[0].tenants"]),
    ] {
        let config = config(&signer, vec![block(tenants)], rules());
        assert_eq!(fault_keys(&config), expected);
    }
    // Tenants of two blocks are still several tenants.
    let one = Issuer {
        name: Some("staff".to_owned()),
        ..block(Tenants::OneOf(texts(&["t1"])))
    };
    let other = block(Tenants::OneOf(texts(&["t2"])));
    assert_eq!(
        fault_keys(&config(&signer, vec![one, other], rules())),
        ["rules[0].issuers"]
    );
    let mut without = config(&signer, vec![block(Tenants::Any)], vec![]);
    without.issuers[0].tenants = None;
    assert_eq!(fault_keys(&without), ["issuers[0].tenants"]);
}

#[test]
fn a_key_that_names_another_tenant_verifies_nothing() {
    let signer = Signer::new();
    let mut jwks = signer.jwks();
    let keys = jwks["keys"].as_array_mut().unwrap();
    // The RSA key is for one tenant, the P-256 key for all.
    keys[0]["issuer"] = "https://sts.example.com/t1/".into();
    keys[1]["issuer"] = TEMPLATE.into();
    let block = Issuer {
        tenants: Some(Tenants::Any),
        jwks: Some(jwks),
        ..block(&signer, "entra", TEMPLATE)
    };
    let rules = vec![Rule::new("/members/**", Access::Authenticated)];
    let authorizer = authorizer(&config(&signer, vec![block], rules));
    // In a block for one tenant, another tenant's key is rejected as well.
    let mut jwks = signer.jwks();
    jwks["keys"][0]["issuer"] = "https://sts.example.com/t9/".into();
    jwks["keys"][1]["issuer"] = TEMPLATE.into();
    let exact = Issuer {
        jwks: Some(jwks),
        ..super::issuers::block(&signer, "exact", "https://sts.example.com/t1/")
    };
    let rules = vec![Rule::new("/members/**", Access::Authenticated)];
    let exact = self::authorizer(&config(&signer, vec![exact], rules));
    for (kid, expected) in [("rsa", "unknown_key"), ("ec", "allowed")] {
        let claims = claims(&json!({"iss": "https://sts.example.com/t1/"}));
        let token = signer.sign(&header(kid), &claims);
        assert_eq!(decide(&exact, "/members/x", &token), expected, "{kid}");
    }
    for (kid, tenant, expected) in [
        ("rsa", "t1", "allowed"),
        ("rsa", "t2", "unknown_key"),
        ("ec", "t1", "allowed"),
        ("ec", "t2", "allowed"),
    ] {
        let iss = format!("https://sts.example.com/{tenant}/");
        let token = signer.sign(&header(kid), &claims(&json!({"iss": iss, "tid": tenant})));
        assert_eq!(
            decide(&authorizer, "/members/x", &token),
            expected,
            "{kid} {tenant}"
        );
    }
}

#[test]
fn one_person_of_two_issuers_has_one_owner_where_the_keys_are_the_same() {
    let signer = Signer::new();
    let published = |issuer: Issuer, url: &str| Issuer {
        published: Some(PublishedKeys::at(url)),
        ..issuer
    };
    let url = "https://accounts.example.com/keys";
    let one = published(block(&signer, "with", "https://accounts.example.com"), url);
    let other = |url: &str| Issuer {
        owner_as: Some("https://accounts.example.com".to_owned()),
        ..published(block(&signer, "without", "accounts.example.com"), url)
    };
    let whole = config(&signer, vec![one.clone(), other(url)], vec![]);
    let whole = authorizer(&whole);
    // Blocks with the same address need one fetch.
    assert_eq!(whole.keys_due(now()).len(), 1);
    whole.keys_not_fetched(now(), url);
    let owner = |iss: &str| {
        let token = signer.sign(&header("ec"), &claims(&json!({"iss": iss})));
        viewer(&whole, &token).owner
    };
    let expected = Owner::of("https://accounts.example.com", "alice");
    assert_eq!(
        owner("https://accounts.example.com"),
        Some(expected.clone())
    );
    assert_eq!(owner("accounts.example.com"), Some(expected));

    let with_secret = Issuer {
        algorithms: vec![Algorithm::ES256, Algorithm::HS256],
        secrets: Some(Secrets(json!({"keys": [
            {"kty": "oct", "alg": "HS256", "k": BASE64URL_NOPAD.encode(&[7; 32])},
        ]}))),
        ..other(url)
    };
    let elsewhere = other("https://evil.example/keys");
    let nobody = Issuer {
        owner_as: Some("https://nobody.example".to_owned()),
        ..other(url)
    };
    let by_oid = Issuer {
        subject: Some("oid".to_owned()),
        ..other(url)
    };
    for (case, other) in [
        ("a secret besides", with_secret),
        ("other keys", elsewhere),
        ("nobody", nobody),
        ("another subject", by_oid),
    ] {
        let config = config(&signer, vec![one.clone(), other], vec![]);
        assert_eq!(fault_keys(&config), ["issuers[1].owner_as"], "{case}");
    }
}

#[test]
fn a_subject_is_a_claim_that_nobody_can_change() {
    let signer = Signer::new();
    let with_subject = |subject: &str| {
        let block = Issuer {
            subject: Some(subject.to_owned()),
            ..block(&signer, "a", ISSUER)
        };
        let rules = vec![
            Rule::new("/media/{owner}/**", Access::Owner),
            Rule::new("/members/**", Access::Authenticated),
        ];
        config(&signer, vec![block], rules)
    };
    for (subject, is_fine) in [
        ("sub", true),
        ("oid", true),
        ("/user/id", true),
        ("email", false),
        ("/email", false),
        ("Email", false),
        ("iss", false),
        ("client_id", false),
        ("jti", false),
        ("/user_metadata/email", false),
        ("preferred_username", false),
        ("upn", false),
        ("unique_name", false),
        ("", false),
    ] {
        let faults = fault_keys(&with_subject(subject));
        let expected: &[&str] = if is_fine {
            &[]
        } else {
            &["issuers[0].subject"]
        };
        assert_eq!(faults, expected, "{subject}");
    }
    let authorizer = authorizer(&with_subject("oid"));
    let media = |owner: &Owner| format!("/media/{owner}/a");
    let owner = OwnerNames::default().owner(ISSUER, "oid", "a1");
    for (changes, uri, expected) in [
        (json!({"oid": "a1"}), media(&owner), "allowed"),
        (
            json!({"oid": "a1"}),
            media(&Owner::of(ISSUER, "a1")),
            "not_owner",
        ),
        (json!({"oid": "a2"}), media(&owner), "not_owner"),
        // Without the claim the viewer has no owner, even if `sub` is present.
        (json!({}), media(&Owner::of(ISSUER, "alice")), "no_owner"),
        (json!({"oid": ""}), media(&owner), "no_owner"),
        (json!({}), "/members/x".to_owned(), "allowed"),
        (
            json!({"oid": 7}),
            "/members/x".to_owned(),
            "unexpected_claim",
        ),
    ] {
        let token = signer.sign(&header("ec"), &claims(&changes));
        assert_eq!(
            decide(&authorizer, &uri, &token),
            expected,
            "{changes} {uri}"
        );
    }
}

#[test]
fn a_secret_makes_owners_that_nobody_can_guess() {
    let signer = Signer::new();
    let secret = |bytes: usize| Some(Secret::from(vec![7; bytes]));
    let mut config = signer.config();
    config.owner_secret = secret(32);
    let token = signer.sign(&header("ec"), &claims(&json!({})));
    let owner = viewer(&authorizer(&config), &token).owner;
    assert_ne!(owner, Some(Owner::of(ISSUER, "alice")));
    let names = OwnerNames::new(config.owner_secret.as_ref());
    assert_eq!(owner, Some(names.owner(ISSUER, "sub", "alice")));
    config.owner_secret = secret(31);
    assert_eq!(fault_keys(&config), ["owner.secret"]);
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
