//! Owners: which claim and which issuer name a person, and owners that nobody can guess.

use data_encoding::BASE64URL_NOPAD;
use edge_auth::config::{Access, Algorithm, Issuer, PublishedKeys, Rule, Secret, Secrets};
use edge_auth::{Owner, OwnerNames};
use serde_json::json;

use crate::issuers::{authorizer, block, config, decide, fault_keys, viewer};
use crate::signer::{ISSUER, Signer, claims, header, now};

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
