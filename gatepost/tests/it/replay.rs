//! `gatepost replay`: the repository's own events, and the exit codes that scripts rely on.

use std::path::Path;

use serde_json::{Value, json};

use crate::harness::{assert_output, gatepost, repository, text};

fn replay(arguments: &[&str], path: &Path) -> (Option<i32>, String, String) {
    let output = gatepost()
        .arg("replay")
        .args(arguments)
        .arg(path)
        .current_dir(repository(""))
        .output()
        .unwrap();
    let (stdout, stderr) = text(&output);
    (output.status.code(), stdout, stderr)
}

#[test]
fn every_event_of_the_repository_meets_its_expectation() {
    let (code, stdout, stderr) = replay(&["--format", "json"], &repository("test-events"));
    assert_eq!(code, Some(0), "{stdout}{stderr}");
    let lines: Vec<Value> = stdout
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert!(lines.len() >= 12);
    for line in &lines {
        let mut names: Vec<_> = line
            .as_object()
            .unwrap()
            .keys()
            .map(String::as_str)
            .collect();
        names.sort_unstable();
        assert_eq!(
            names,
            [
                "expected", "file", "index", "kind", "matches", "micros", "outcome", "runtime"
            ]
        );
        assert_eq!(line["matches"], true, "{line}");
    }
    let (code, stdout, _) = replay(&[], &repository("test-events"));
    assert_eq!(code, Some(0));
    let summary = format!(
        "{} records: {} as expected, 0 not as expected",
        lines.len(),
        lines.len()
    );
    assert!(stdout.contains(&summary), "{stdout}");
}

#[test]
fn the_exit_code_reports_the_outcome() {
    let folder = tempfile::tempdir().unwrap();
    let event = folder.path().join("event.json");
    let expected = folder.path().join("event.expected.json");
    let request = json!({"Records": [{"cf": {
        "config": {"eventType": "viewer-request", "requestId": "r"},
        "request": {"method": "GET", "uri": "/public/x", "headers": {}},
    }}]});
    for (content, expectation, code, said) in [
        (request.to_string(), "{\"status\": 200}", 0, "1 as expected"),
        (request.to_string(), "{\"status\": 403}", 1, "FAILED"),
        (
            request.to_string(),
            "[]",
            2,
            "expects 0 records, but the event has 1",
        ),
        ("{".to_owned(), "{}", 2, "event.json: it is not JSON"),
        (
            "{}".to_owned(),
            "{}",
            2,
            "event.json is not an event that can be replayed",
        ),
        (
            "[]".to_owned(),
            "[]",
            2,
            "event.json is an empty list; add an event",
        ),
        (
            request
                .to_string()
                .replace("viewer-request", "origin-request"),
            "{}",
            2,
            "it is a CloudFront event of type origin-request; the function at the edge answers viewer-request events, and every other event with 503",
        ),
    ] {
        std::fs::write(&event, &content).unwrap();
        std::fs::write(&expected, expectation).unwrap();
        let (found, stdout, stderr) = replay(&[], folder.path());
        assert_eq!(found, Some(code), "{content}: {stdout}{stderr}");
        assert!(
            format!("{stdout}{stderr}").contains(said),
            "{content}: {stdout}{stderr}"
        );
    }
    std::fs::write(&event, request.to_string()).unwrap();
    std::fs::remove_file(&expected).unwrap();
    let (code, stdout, _) = replay(&["--format", "json"], &event);
    let line: Value = serde_json::from_str(&stdout).unwrap();
    assert_eq!(
        (code, &line["matches"], &line["expected"]),
        (Some(0), &Value::Null, &Value::Null)
    );
}

#[test]
fn differences_are_shown_line_by_line() {
    let folder = tempfile::tempdir().unwrap();
    let event = repository("test-events/viewer-requests/public.json");
    std::fs::copy(event, folder.path().join("event.json")).unwrap();
    std::fs::write(
        folder.path().join("event.expected.json"),
        r#"{"decision": "allow", "status": 403, "owner": "somebody"}"#,
    )
    .unwrap();
    let (code, stdout, _) = replay(&[], folder.path());
    assert_eq!(code, Some(1));
    assert_output("replay_differences", folder.path(), &stdout);
}

#[test]
fn lists_and_lines_of_events_are_replayed_in_order() {
    let folder = tempfile::tempdir().unwrap();
    let of = |uri: &str| {
        json!({"Records": [{"cf": {
            "config": {"eventType": "viewer-request"},
            "request": {"method": "GET", "uri": uri, "headers": {}},
        }}]})
    };
    let (first, second) = (of("/public/x"), of("/nowhere"));
    std::fs::write(
        folder.path().join("events.expected.json"),
        r#"[{"status": 200}, {"status": 403, "reason": "no_rule"}]"#,
    )
    .unwrap();
    for (name, content) in [
        ("events.json", json!([first, second]).to_string()),
        ("events.jsonl", format!("\u{feff}{first}\r\n{second}\r\n")),
        ("events.ndjson", format!("{first}\n\n{second}")),
    ] {
        let file = folder.path().join(name);
        std::fs::write(&file, content).unwrap();
        let (code, stdout, stderr) = replay(&[], &file);
        assert_eq!(code, Some(0), "{name}: {stdout}{stderr}");
        assert!(stdout.contains("2 records: 2 as expected"), "{stdout}");
        std::fs::remove_file(file).unwrap();
    }
}

/// A logged text from a stranger must not become a token.
#[test]
fn templates_are_expanded_only_on_request() {
    let folder = tempfile::tempdir().unwrap();
    let event = |token: &str| {
        json!({"Records": [{"cf": {
            "config": {"eventType": "viewer-request"},
            "request": {"method": "GET", "uri": "/team/red/x", "headers": {
                "authorization": [{"key": "Authorization", "value": format!("Bearer {token}")}],
            }},
        }}]})
        .to_string()
    };
    let good = event("{{token sub=alice groups=red}}");
    let bad = event("{{token nonsense}}");
    let hint = "contains a template that is not expanded; name the file NAME.template.json, or use --templates";
    for (name, content, arguments, code, said) in [
        ("a.json", &good, &[][..], 0, "deny 401 malformed_token"),
        ("a.json", &good, &[], 0, hint),
        ("a.json", &good, &["--templates"], 0, "allow 200 allowed"),
        ("a.template.json", &good, &[], 0, "allow 200 allowed"),
        ("a.json", &bad, &[], 0, "deny 401 malformed_token"),
        (
            "a.template.json",
            &bad,
            &[],
            2,
            "contains a template that cannot be expanded",
        ),
    ] {
        let file = folder.path().join(name);
        std::fs::write(&file, content).unwrap();
        let (found, stdout, stderr) = replay(arguments, &file);
        let all = format!("{stdout}{stderr}");
        assert_eq!(found, Some(code), "{name} {arguments:?}: {all}");
        assert!(all.contains(said), "{name} {arguments:?}: {all}");
    }
}

#[test]
fn a_handler_that_cannot_start_is_not_a_decision() {
    let output = gatepost()
        .args(["replay", "--runtime", "node"])
        .arg(repository("test-events/viewer-requests/public.json"))
        .current_dir(repository(""))
        // Node.js loads no addon then.
        .env("NODE_OPTIONS", "--no-addons")
        .output()
        .unwrap();
    let (stdout, stderr) = text(&output);
    assert_eq!((output.status.code(), stdout.as_str()), (Some(2), ""));
    let said = "the package's handler cannot start in Node.js: ";
    assert!(stderr.contains(said), "{stderr}");
}

#[test]
fn the_callers_clock_is_used() {
    let folder = tempfile::tempdir().unwrap();
    let event = folder.path().join("event.template.json");
    let uri = "/media/{{owner sub=alice}}/x";
    let request = json!({"Records": [{"cf": {
        "config": {"eventType": "viewer-request", "requestId": "r"},
        "request": {"method": "GET", "uri": uri, "headers": {
            "authorization": [{"key": "Authorization", "value": "Bearer {{token sub=alice nbf=10}}"}],
        }},
    }}]});
    std::fs::write(&event, request.to_string()).unwrap();
    std::fs::write(
        folder.path().join("event.expected.json"),
        "{\"reason\": \"not_yet_valid\"}",
    )
    .unwrap();
    let (code, stdout, _) = replay(&["--at", "2030-01-01T00:00:00Z"], &event);
    assert_eq!(code, Some(0), "{stdout}");
}

#[test]
fn keys_that_are_given_are_not_for_an_issuer_that_shares_a_secret() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let file = folder.path().join(name);
        std::fs::write(&file, text).unwrap();
        file.to_str().unwrap().to_owned()
    };
    write("session.key", "a secret of this test, 32 bytes or more");
    let config = write(
        "gatepost.toml",
        r#"
[[issuers]]
issuer     = "https://media.example.com"
audiences  = ["media"]
algorithms = ["HS256"]
secrets    = [{ file = "session.key" }]
[[issuers]]
issuer     = "https://login.example.com/"
audiences  = ["media"]
algorithms = ["ES256"]
jwks       = { url = "https://login.example.com/jwks.json" }
[[rules]]
path  = "/public/**"
allow = "anyone"
"#,
    );
    // RFC 7517, appendix A.1.
    let jwks = write(
        "jwks.json",
        r#"{"keys": [{"kty": "EC", "crv": "P-256", "kid": "1", "x": "MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4",
            "y": "4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM"}]}"#,
    );
    let event = repository("test-events/viewer-requests/public.json");
    let (code, stdout, stderr) = replay(&["--config", &config, "--jwks", &jwks], &event);
    assert_eq!(code, Some(0), "{stdout}{stderr}");
    // Without them the keys are missing, because replay fetches nothing.
    let (code, _, stderr) = replay(&["--config", &config], &event);
    assert_eq!(code, Some(2));
    assert!(stderr.contains("name the file with --jwks"), "{stderr}");
}

#[test]
fn an_unknown_key_is_decided_as_in_production() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let file = folder.path().join(name);
        std::fs::write(&file, text).unwrap();
        file.to_str().unwrap().to_owned()
    };
    let config = write(
        "gatepost.toml",
        r#"
[[issuers]]
issuer     = "https://fetched.example.com/"
audiences  = ["media"]
algorithms = ["ES256"]
jwks       = { url = "https://fetched.example.com/keys" }
[[issuers]]
issuer     = "https://fixed.example.com/"
audiences  = ["media"]
algorithms = ["ES256"]
jwks       = { file = "jwks.json" }
[[rules]]
path  = "/members/**"
allow = "authenticated"
[deny]
login = "/?sign_in"
"#,
    );
    // RFC 7517, appendix A.1.
    let jwks = write(
        "jwks.json",
        r#"{"keys": [{"kty": "EC", "crv": "P-256", "kid": "1", "x": "MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4",
            "y": "4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM"}]}"#,
    );
    for (issuer, decision, status) in [("fetched", "redirect", 302), ("fixed", "deny", 401)] {
        let encode =
            |value: Value| data_encoding::BASE64URL_NOPAD.encode(value.to_string().as_bytes());
        let claims = json!({"iss": format!("https://{issuer}.example.com/"), "aud": "media", "exp": 4_102_444_800_i64});
        let token = format!(
            "{}.{}.AA",
            encode(json!({"alg": "ES256", "kid": "new"})),
            encode(claims)
        );
        let event = write(
            "event.json",
            &json!({"Records": [{"cf": {
                "config": {"eventType": "viewer-request"},
                "request": {"method": "GET", "uri": "/members/x", "headers": {
                    "authorization": [{"value": format!("Bearer {token}")}],
                    "sec-fetch-mode": [{"value": "navigate"}],
                }},
            }}]})
            .to_string(),
        );
        for runtime in ["native", "node"] {
            let arguments = [
                "--config",
                &config,
                "--jwks",
                &jwks,
                "--runtime",
                runtime,
                "--format",
                "json",
            ];
            let (code, stdout, stderr) = replay(&arguments, Path::new(&event));
            assert_eq!(code, Some(0), "{stderr}");
            let line: Value = serde_json::from_str(&stdout).unwrap();
            let outcome = &line["outcome"];
            assert_eq!(
                (&outcome["decision"], &outcome["status"], &outcome["reason"]),
                (&json!(decision), &json!(status), &json!("unknown_key")),
                "{issuer} {runtime}: {line}"
            );
        }
    }
}
