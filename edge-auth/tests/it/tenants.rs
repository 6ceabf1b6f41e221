//! Issuers with tenants: which tenants are trusted, and which keys verify their tokens.

use edge_auth::OwnerNames;
use edge_auth::config::{Access, Issuer, Rule, Tenants};
use serde_json::{Value, json};

use crate::issuers::{authorizer, block, config, decide, fault_keys, texts, viewer};
use crate::signer::{Signer, claims, header};

const TEMPLATE: &str = "https://sts.example.com/{tenantid}/";

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
        ..crate::issuers::block(&signer, "exact", "https://sts.example.com/t1/")
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
