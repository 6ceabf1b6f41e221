//! Folders for signed cookies: which rules can be such folders, and which folders a viewer gets.

use edge_auth::config::{Access, ClaimRequirement, ClaimValue, RequiredClaims, Rule, RuleIssuers};
use edge_auth::{Authorizer, Config, Decision, Headers, Owner, Request};
use serde_json::{Value, json};

use crate::issuers::{authorizer, block, config, texts, viewer};
use crate::signer::{ISSUER, Signer, claims, header, now};

const OWNER: &str = "/media/{owner}/**";

fn rule(path: &str) -> Rule {
    let access = if path.contains("{owner}") {
        Access::Owner
    } else {
        Access::Authenticated
    };
    Rule::new(path, access)
}

fn anyone(path: &str) -> Rule {
    Rule::new(path, Access::Anyone)
}

fn with_rules(signer: &Signer, rules: Vec<Rule>) -> Authorizer {
    authorizer(&Config {
        rules,
        ..signer.config()
    })
}

/// The folders of a viewer with these claims, without `/media/…`, which has the owner in it.
fn folders(signer: &Signer, authorizer: &Authorizer, extra: &Value) -> Vec<String> {
    let token = signer.sign(&header("ec"), &claims(extra));
    let folders = authorizer.folders(&viewer(authorizer, &token));
    let others = folders
        .into_iter()
        .filter(|folder| !folder.starts_with("/media/"));
    others.collect()
}

#[test]
fn a_viewer_gets_the_folders_of_the_owner_and_of_each_value_of_a_claim() {
    let signer = Signer::new();
    let authorizer = with_rules(
        &signer,
        vec![
            rule(OWNER),
            rule("/team/{claim:groups}/**"),
            rule("/reports/2026/**"),
            anyone("/public/**"),
            anyone("/robots.txt"),
        ],
    );
    assert_eq!(authorizer.folder_faults(), []);
    let token = signer.sign(
        &header("ec"),
        &claims(&json!({"groups": ["red", "/blue", 7, "red"]})),
    );
    let viewer = viewer(&authorizer, &token);
    let owner = Owner::of(ISSUER, viewer.subject.as_deref().unwrap());
    assert_eq!(
        authorizer.folders(&viewer),
        [
            &format!("/media/{owner}/"),
            "/team/red/",
            "/team/blue/",
            "/team/7/",
            "/reports/2026/"
        ]
    );
}

#[test]
fn a_value_that_is_more_than_a_name_is_no_folder() {
    let signer = Signer::new();
    let authorizer = with_rules(&signer, vec![rule("/team/{claim:groups}/**")]);
    let long = "x".repeat(128);
    let too_long = "x".repeat(129);
    for (group, expected) in [
        (json!("a-Z.0_~"), Some("/team/a-Z.0_~/".to_owned())),
        (json!(long), Some(format!("/team/{long}/"))),
        (json!("..."), Some("/team/.../".to_owned())),
        (json!(too_long), None),
        (json!(""), None),
        (json!("*"), None),
        (json!("?"), None),
        (json!("."), None),
        (json!(".."), None),
        (json!("/.."), None),
        (json!("a/b"), None),
        (json!("//a"), None),
        (json!("a;Domain=x"), None),
        (json!("a b"), None),
        (json!("a%2fb"), None),
        (json!("a\\b"), None),
        (json!("a\nb"), None),
        (json!("a\""), None),
        (json!("é"), None),
        (json!(true), None),
        (json!(null), None),
        (json!({"red": 1}), None),
        (json!([["red"]]), None),
    ] {
        let found = folders(&signer, &authorizer, &json!({ "groups": group }));
        assert_eq!(found, Vec::from_iter(expected), "{group}");
    }
}

#[test]
fn a_folder_is_granted_by_the_first_rule_about_it_alone() {
    let signer = Signer::new();
    let board = Rule {
        claims: RequiredClaims::from([(
            "role".to_owned(),
            ClaimRequirement::Any(vec![ClaimValue::Text("board".to_owned())]),
        )]),
        ..rule("/team/board/**")
    };
    let authorizer = with_rules(
        &signer,
        vec![
            board,
            anyone("/team/open/**"),
            rule("/team/{claim:groups}/**"),
        ],
    );
    assert_eq!(authorizer.folder_faults(), []);
    // The name of a folder of another rule is only a name.
    let groups = json!(["red", "board", "open"]);
    let found = folders(&signer, &authorizer, &json!({ "groups": groups }));
    assert_eq!(found, ["/team/red/"]);
    let found = folders(
        &signer,
        &authorizer,
        &json!({"groups": groups, "role": "board"}),
    );
    assert_eq!(found, ["/team/board/", "/team/red/"]);
}

#[test]
fn scopes_claims_and_issuers_are_checked_before_a_folder_is_granted() {
    let signer = Signer::new();
    let staff = Rule {
        issuers: RuleIssuers::OneOf(texts(&["staff"])),
        ..rule("/staff/**")
    };
    let scoped = Rule {
        issuers: RuleIssuers::Any,
        ..Rule::new("/admin/**", Access::Scopes(texts(&["media:admin"])))
    };
    let blocks = vec![
        block(&signer, "customers", ISSUER),
        block(&signer, "staff", "https://staff.example.com/"),
    ];
    let authorizer = authorizer(&config(&signer, blocks, vec![staff, scoped]));
    for (claims, expected) in [
        (json!({}), vec![]),
        (json!({"scope": "media:admin"}), vec!["/admin/"]),
        (
            json!({"iss": "https://staff.example.com/"}),
            vec!["/staff/"],
        ),
    ] {
        assert_eq!(folders(&signer, &authorizer, &claims), expected, "{claims}");
    }
}

#[test]
fn what_a_folder_grants_is_what_a_request_is_granted() {
    let signer = Signer::new();
    let authorizer = with_rules(
        &signer,
        vec![
            rule(OWNER),
            rule("/team/{claim:groups}/**"),
            rule("/all/**"),
        ],
    );
    let token = signer.sign(&header("ec"), &claims(&json!({"groups": ["red"]})));
    let granted = authorizer.folders(&viewer(&authorizer, &token));
    assert_eq!(granted.len(), 3);
    let bearer = format!("Bearer {token}");
    let headers = Headers::from_iter([("authorization", bearer.as_str())]);
    let others = ["/team/blue/", "/media/aaaaaaaaaaaaaaaaaaaaaaaaaa/"].map(str::to_owned);
    for folder in granted.iter().chain(&others) {
        let uri = format!("{folder}a/b.webp");
        let request = Request {
            method: "GET",
            uri: &uri,
            ..Request::from(&headers)
        };
        let is_allowed = matches!(authorizer.decide(now(), &request), Decision::Allow(_));
        assert_eq!(is_allowed, granted.contains(folder), "{folder}");
    }
}

#[test]
fn rules_that_are_not_folders_are_faults() {
    let signer = Signer::new();
    let methods = |path: &str, methods: &[&str]| Rule {
        methods: texts(methods),
        ..rule(path)
    };
    for (rules, faulty) in [
        (vec![rule(OWNER), rule("/team/{claim:groups}/**")], vec![]),
        (vec![rule("/team/{claim:groups}/photos/**")], vec![]),
        (vec![anyone("/robots.txt"), anyone("/public/**")], vec![]),
        (vec![methods("/all/**", &["GET", "HEAD"])], vec![]),
        (vec![rule("/all/report.pdf")], vec!["rules[0].path"]),
        (vec![rule("/all/*")], vec!["rules[0].path"]),
        (vec![rule("/all/*/**")], vec!["rules[0].path"]),
        (vec![rule("/all/x-*/**")], vec!["rules[0].path"]),
        (vec![anyone("/all/*")], vec!["rules[0].path"]),
        (vec![rule("/{owner}/**")], vec!["rules[0].path"]),
        (vec![rule("/**")], vec!["rules[0].path"]),
        (
            vec![rule("/x/{owner}/{claim:groups}/**")],
            vec!["rules[0].path"],
        ),
        (vec![rule("/my photos/**")], vec!["rules[0].path"]),
        (vec![rule("/a;b/**")], vec!["rules[0].path"]),
        (vec![methods("/all/**", &["GET"])], vec!["rules[0].methods"]),
        (
            vec![methods("/all/**", &["GET", "HEAD", "OPTIONS"])],
            vec!["rules[0].methods"],
        ),
        // Folders within folders, and earlier rules about a part of one.
        (
            vec![
                rule("/team/red/private/**"),
                rule("/team/{claim:groups}/**"),
            ],
            vec!["rules[1].path"],
        ),
        (
            vec![anyone("/media/robots.txt/x"), rule(OWNER), rule("/all/**")],
            vec!["rules[1].path"],
        ),
        (
            vec![
                rule("/media/{owner}/originals/**"),
                rule("/media/shared/**"),
            ],
            vec!["rules[1].path"],
        ),
        (
            vec![
                anyone("/team/red/logo.svg"),
                rule("/team/{claim:groups}/**"),
            ],
            vec!["rules[1].path"],
        ),
        (
            vec![rule("/a/b/c/**"), rule("/x/**"), rule("/a/**")],
            vec!["rules[2].path"],
        ),
        // Side by side.
        (
            vec![rule("/team/board/**"), rule("/team/{claim:groups}/**")],
            vec![],
        ),
        (vec![anyone("/media/open/**"), rule(OWNER)], vec![]),
    ] {
        let paths: Vec<_> = rules.iter().map(|rule| rule.path.clone()).collect();
        let authorizer = with_rules(&signer, rules);
        let found = authorizer.folder_faults();
        let keys: Vec<_> = found.iter().map(|fault| fault.key.as_str()).collect();
        assert_eq!(keys, faulty, "{paths:?}: {found:?}");
    }
}
