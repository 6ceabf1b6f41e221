//! Delivery: the local stack in each mode. This file has mode `function`, whose edge is the generated function in njs, and
//! what a configuration may say.

mod presigned;
mod signed;

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use reqwest::{Method, Response};

use crate::harness::{Gatepost, gatepost, photo, repository, text};

/// The example's configuration in mode `function`, with more of its own.
fn configuration(more: &str) -> String {
    let example = std::fs::read_to_string(repository("gatepost.toml")).unwrap();
    format!("{example}\n[delivery]\nmode = \"function\"\n{more}")
}

/// The cookie of a new session.
async fn session(system: &Gatepost, subject: &str) -> String {
    let request = system.request(Method::POST, "/api/session", &system.token(subject));
    let answer = request.send().await.unwrap();
    assert_eq!(answer.status(), 201);
    let line = answer.headers()["set-cookie"].to_str().unwrap();
    line.split(';').next().unwrap().to_owned()
}

/// The status of a request whose path is sent as it is: HTTP clients remove dot segments.
fn raw_status(system: &Gatepost, path: &str, cookie: &str) -> u16 {
    let host = system.url.strip_prefix("http://").unwrap();
    let mut socket = TcpStream::connect(host).unwrap();
    let head = format!(
        "GET {path} HTTP/1.1\r\nHost: {host}\r\nCookie: {cookie}\r\nx-gatepost-allowed: 1\r\nConnection: close\r\n\r\n"
    );
    socket.write_all(head.as_bytes()).unwrap();
    let mut answer = Vec::new();
    socket.read_to_end(&mut answer).unwrap();
    let answer = String::from_utf8_lossy(&answer);
    answer.split(' ').nth(1).unwrap().parse().unwrap()
}

fn cache_result(answer: &Response) -> &str {
    let header = answer.headers().get("x-cache");
    header.map_or("", |header| header.to_str().unwrap())
}

#[tokio::test]
#[ignore = "needs njs (cargo xtask test installs it)"]
async fn the_function_lets_owners_see_their_photos_and_nobody_else() {
    let folder = tempfile::tempdir().unwrap();
    let system = Gatepost::start_configured(
        folder.path(),
        &configuration("[[rules]]\npath = \"/*/media/**\"\nallow = \"authenticated\"\n"),
    );
    let alice = system.token("alice");
    let answer = system.upload(&alice, "image/jpeg", &photo(640, 480)).await;
    let path = answer["manifest"]["renditions"][0]["path"]
        .as_str()
        .unwrap();
    let id = answer["id"].as_str().unwrap();
    let (hers, his) = (
        session(&system, "alice").await,
        session(&system, "bob").await,
    );
    let get = async |path: &str, cookie: Option<&str>| {
        let mut request = system.http.get(format!("{}{path}", system.url));
        if let Some(cookie) = cookie {
            request = request.header("cookie", cookie);
        }
        request.send().await.unwrap()
    };
    for expected in ["Miss from gatepost", "Hit from gatepost"] {
        let answer = get(path, Some(&hers)).await;
        assert_eq!(answer.status(), 200);
        assert_eq!(cache_result(&answer), expected);
        assert_eq!(answer.headers()["cache-control"], "private, no-cache");
    }
    assert_eq!(get(path, Some(&his)).await.status(), 403);
    assert_eq!(get(path, None).await.status(), 401);
    // The edge reads sessions alone.
    assert_eq!(system.get(path, &alice).await.status(), 401);
    let (start, signature) = hers.rsplit_once('.').unwrap();
    for changed in [
        format!("{start}.{signature}="),
        format!("{start}.A{signature}"),
        format!("{start}."),
    ] {
        assert_eq!(get(path, Some(&changed)).await.status(), 401, "{changed}");
    }
    // The cache is warm, and a rule lets alice see what is below any folder. A path that names the bucket's own folder
    // reaches no photo, in any spelling and with the header that only the function sets. Slashes and dots are normalized
    // for the choice of a behaviour; any other spelling is decided by the function, which adds the folder once more.
    for (name, status) in [
        ("/o", 403),
        ("/%6f", 404),
        ("/%6F", 404),
        ("/O", 404),
        ("//o", 403),
        ("/./o", 403),
        ("/x/../o", 403),
        ("/o%2f", 400),
    ] {
        let found = raw_status(&system, &format!("{name}{path}"), &hers);
        assert_eq!(found, status, "{name}");
    }
    let deleted = system
        .request(Method::DELETE, &format!("/api/media/{id}"), &alice)
        .send()
        .await;
    assert_eq!(deleted.unwrap().status(), 204);
    assert_eq!(get(path, Some(&hers)).await.status(), 404);
}

#[tokio::test]
#[ignore = "needs njs (cargo xtask test installs it)"]
async fn a_mode_on_the_command_line_replaces_the_configurations() {
    let folder = tempfile::tempdir().unwrap();
    let system = Gatepost::start_with(folder.path(), &["--delivery", "function"], &[]);
    let alice = system.token("alice");
    let answer = system.upload(&alice, "image/jpeg", &photo(64, 48)).await;
    let path = answer["manifest"]["renditions"][0]["path"]
        .as_str()
        .unwrap();
    assert_eq!(system.get(path, &alice).await.status(), 401);
    let request = system.http.get(format!("{}{path}", system.url));
    let request = request.header("cookie", session(&system, "alice").await);
    assert_eq!(request.send().await.unwrap().status(), 200);
}

#[test]
fn faults_of_the_mode_are_told_with_their_lines() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("gatepost.toml");
    let many: Vec<_> = (0..60)
        .map(|n| {
            format!("[[rules]]\npath = \"/folder-number-{n}/{{owner}}/**\"\nallow = \"owner\"\n")
        })
        .collect();
    let few = "[token]\nfrom = [\"authorization\"]\n[delivery]\nmode = \"function\"\n[[rules]]\npath = \"/public/**\"\nallow = \"anyone\"\n";
    for (config, expected) in [
        (
            configuration("").replace("\"function\"", "\"edge\""),
            "delivery.mode: \"edge\" is not a mode; write \"lambda\", \"function\", \"signed\" or \"presigned\"",
        ),
        (
            configuration("[session]\nkeys = [{ kid = \"a\", file = \"session.pem\" }]"),
            "session.keys: mode \"function\" has its secrets in CloudFront's KeyValueStore, never in a package: remove this; `gatepost session-key push` writes them",
        ),
        (
            configuration(&many.concat()),
            "].path: the function would have ",
        ),
        (
            few.replace("\"function\"", "\"signed\""),
            "token.from: in mode \"signed\" sessions come in a cookie: add \"cookie:__Host-gatepost\"",
        ),
        (
            few.to_owned(),
            "token.from: in mode \"function\" sessions come in a cookie: add \"cookie:__Host-gatepost\"",
        ),
    ] {
        std::fs::write(&file, config).unwrap();
        let output = gatepost()
            .args(["replay", "test-events/sessions", "--config"])
            .arg(&file)
            .current_dir(repository(""))
            .output()
            .unwrap();
        let (_, stderr) = text(&output);
        assert!(stderr.contains(expected), "{stderr}");
        assert!(stderr.contains("gatepost.toml:"), "{stderr}");
        assert_eq!(output.status.code(), Some(2), "{stderr}");
    }
}

#[test]
#[ignore = "needs njs (cargo xtask test installs it)"]
fn sessions_replay_alike_in_the_library_and_in_njs() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("gatepost.toml");
    std::fs::write(&file, configuration("")).unwrap();
    for runtime in ["native", "njs"] {
        let output = gatepost()
            .args([
                "replay",
                "test-events/sessions",
                "--runtime",
                runtime,
                "--config",
            ])
            .arg(&file)
            .current_dir(repository(""))
            .output()
            .unwrap();
        let (stdout, stderr) = text(&output);
        assert!(output.status.success(), "{stdout}{stderr}");
        assert!(stdout.contains("21 records: 21 as expected"), "{stdout}");
    }
}
