//! The command line: one clear message for each fault, no panic, no partial output, help and manual.

use std::net::TcpListener;
use std::path::Path;

use crate::harness::{Gatepost, assert_output, gatepost, repository, text};

/// Runs it and gives exit code, stdout and stderr.
fn run(arguments: &[&str], folder: &Path) -> (Option<i32>, String, String) {
    let output = gatepost()
        .args(arguments)
        .current_dir(folder)
        .output()
        .unwrap();
    let (stdout, stderr) = text(&output);
    assert!(!stderr.contains("panicked"), "{arguments:?}: {stderr}");
    assert!(!stderr.contains("backtrace"), "{arguments:?}: {stderr}");
    (output.status.code(), stdout, stderr)
}

#[test]
fn a_failure_is_one_sentence() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("file"), "").unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    for (arguments, code, said) in [
        (
            vec!["token", "--sub", "alice"],
            1,
            ".gatepost is not the data directory of a local stack",
        ),
        (vec!["--nonsense"], 2, "unexpected argument '--nonsense'"),
        (
            vec!["dev", "--port", "x"],
            2,
            "invalid value 'x' for '--port <PORT>'",
        ),
        (
            vec!["dev", "--port", &port],
            1,
            "is taken; stop what listens there or name another with --port",
        ),
        (
            vec!["dev", "--port", "0", "--data-dir", "file"],
            1,
            "the data directory file cannot be made",
        ),
        (
            vec!["dev", "--port", "0", "--data-dir", "file/below"],
            1,
            "the data directory file/below cannot be made",
        ),
        (
            vec!["dev", "--port", "0", "--config", "missing.toml"],
            1,
            "the configuration missing.toml cannot be read",
        ),
        (
            vec!["token", "--sub", "alice", "--data-dir", "file"],
            1,
            "file is not the data directory of a local stack",
        ),
        (
            vec!["token", "--sub", "alice", "--data-dir", "none"],
            1,
            "none is not the data directory of a local stack, so no stack would take the token; start `gatepost dev` here, or name the directory of one with --data-dir",
        ),
        (vec!["token", "--sub", ""], 1, "--sub is empty"),
        (
            vec!["token", "--sub", "a", "--claims", "[]"],
            2,
            "it is not a JSON object",
        ),
        (
            vec!["token", "--sub", "a", "--expires", "soon"],
            2,
            "is not a duration; write for example 30s, 5m, 1h or 30d",
        ),
        (
            vec!["token", "--sub", "a", "--expires", "99999999h"],
            1,
            "--expires must be at most ten years",
        ),
        (
            vec!["dev", "--port", "0", "--endpoint-url", "foo"],
            2,
            "\"foo\" is not the URL of an endpoint; write for example http://127.0.0.1:9000",
        ),
        (
            vec!["dev", "--origin", "localhost:5173"],
            2,
            "\"localhost:5173\" is not an origin; write its scheme and host, as in https://app.example.com or http://localhost:5173",
        ),
        (
            vec!["replay", "--at", "yesterday", "."],
            2,
            "\"yesterday\" is not a point in time; write for example 2026-12-01T09:00:00Z",
        ),
        (vec!["dlq", "redrive"], 2, "<ID|--all>"),
        (vec!["replay"], 2, "<PATH>..."),
        (vec!["replay", "missing"], 2, "missing does not exist"),
    ] {
        let (found, stdout, stderr) = run(&arguments, folder.path());
        assert_eq!(found, Some(code), "{arguments:?}: {stderr}");
        assert_eq!(stdout, "", "{arguments:?}");
        assert!(stderr.contains(said), "{arguments:?}: {stderr}");
    }
}

#[test]
fn a_failed_start_leaves_no_data_directory() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    // Nobody answers at a port that was free a moment ago.
    let free = TcpListener::bind("127.0.0.1:0").unwrap();
    let silent = format!("http://{}", free.local_addr().unwrap());
    drop(free);
    for (arguments, said) in [
        (["--port", &port], "is taken".to_owned()),
        (
            ["--port=0", &format!("--endpoint-url={silent}")],
            format!("{silent} does not answer: looking for the bucket: dispatch failure"),
        ),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let output = gatepost()
            .arg("dev")
            .args(arguments)
            .current_dir(folder.path())
            .envs([
                ("AWS_ACCESS_KEY_ID", "test"),
                ("AWS_SECRET_ACCESS_KEY", "test"),
                ("AWS_REGION", "us-east-1"),
            ])
            .output()
            .unwrap();
        let (_, stderr) = text(&output);
        assert_eq!(output.status.code(), Some(1), "{stderr}");
        assert!(stderr.contains(&said), "{stderr}");
        assert!(!stderr.contains("DispatchFailure"), "{stderr}");
        assert!(!folder.path().join(".gatepost").exists(), "{stderr}");
    }
}

#[test]
fn a_configuration_without_rules_is_warned_about() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("gatepost.toml"), "").unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let (_, _, stderr) = run(&["dev", "--port", &port], folder.path());
    let said = "warning: the configuration has no [[rules]], so every request for media is denied";
    assert!(stderr.contains(said), "{stderr}");
}

#[test]
fn every_fault_of_a_configuration_is_reported_with_its_line() {
    let folder = tempfile::tempdir().unwrap();
    let broken = r#"
[[issuers]]
issuer = "https://login.example.com/"
algorithms = ["RS256", "none"]
jwks = { file = "missing.json" }
claims = { token_use = [], client = { a = 1 } }

[token]
from = ["authorization", "heading:x"]

[sign_in]
client_id = "page"
authorize = "login.example.com"
token = "https://login.example.com/token?state=1"
uses = "refresh_token"

[[rules]]
path = "media/**"
allow = "everyone"
[[rules]]
path = "/admin/**"
scope = ["admin"]

[uploads]
max_bytes = "lots"
colour = "red"

[renditions]
quality = 101
widths = [320, "wide"]
effort = "best"
"#;
    std::fs::write(folder.path().join("gatepost.toml"), broken).unwrap();
    let (code, stdout, stderr) = run(&["dev", "--port", "0"], folder.path());
    assert_eq!((code, stdout.as_str()), (Some(1), ""));
    assert_output("config_faults", folder.path(), &stderr);
    assert!(!folder.path().join(".gatepost").exists());
}

/// One mistake is one fault: faults that only follow from it are left out, and unrelated ones are reported in their place.
#[test]
fn every_mistake_of_a_configuration_is_one_fault() {
    let folder = tempfile::tempdir().unwrap();
    let broken = r#"issuers = [1, { audiences = ["media"], algorithms = [1, "none", "RS256"], nmae = "customers", jwks = { file = 1 } }]
[token]
from = ["cookies:__Host-gatepost", "cookie:a b"]
[session]
keys = [{ kid = "a", file = "missing.pem" }, { kid = "b", public = 2 }]
lifetime = "13h"
[sign_in]
client_id = "x"
authorize = "https://a.example/"
token = "https://a.example/"
[[rules]]
path = "a/{ownr}/**"
scopes = ["a b"]
claims = { "" = 1 }
issuers = ["customers"]
methods = [1, "BREW"]
[owner]
secret = { file = 1 }
[uploads]
types = ["image/heic"]
expires_in = "1d"
[links]
max_expires_in = "2d"
[renditions]
quality = 800
widths = ["wide"]
formats = ["avif"]
"#;
    std::fs::write(folder.path().join("gatepost.toml"), broken).unwrap();
    let (code, _, stderr) = run(&["dev", "--port", "0"], folder.path());
    assert_eq!(code, Some(1));
    let faults: Vec<_> = stderr
        .lines()
        .filter_map(|line| line.trim().strip_prefix("gatepost.toml:"))
        .collect();
    let expected = [
        "1: issuers[0]: write [[issuers]] before each entry",
        "1: issuers[1].nmae: unknown key; the known keys are algorithms, audiences, claims, issuer, jwks, leeway, name, owner_as, secrets, subject, tenants, typ",
        "1: issuers[1].issuer: is missing; write the `iss` of its tokens, such as \"https://login.example.com/\"",
        "1: issuers[1].algorithms[0]: expected a string, found the number 1",
        "1: issuers[1].algorithms[1]: \"none\" is not supported; write RS256, RS384, RS512, PS256, PS384, PS512, ES256, ES384, EdDSA (or Ed25519), or HS256",
        "1: issuers[1].jwks.file: expected a string, found the number 1",
        "3: token.from[0]: \"cookies:__Host-gatepost\" is not supported; write \"authorization\", \"cookie:NAME\", \"header:NAME\" or \"query:NAME\"",
        "3: token.from[1]: is not a cookie name (RFC 6265 §4.1.1)",
        "5: session.keys[0].file: missing.pem: No such file or directory (os error 2)",
        "5: session.keys[1].public: expected a string, found the number 2",
        "6: session.lifetime: a session lasts at least a second and at most 12h",
        "12: rules[0].path: a path begins with a slash",
        "12: rules[0].path: {ownr} is not a placeholder; write {owner} or {claim:PATH}",
        "13: rules[0].scopes: a scope is one word without spaces",
        "14: rules[0].claims.: a claim's name is empty",
        "16: rules[0].methods[0]: expected a string, found the number 1",
        "16: rules[0].methods[1]: \"BREW\" is not a method that CloudFront forwards; those are GET, HEAD, OPTIONS, PUT, PATCH, POST, DELETE",
        "18: owner.secret.file: expected a string, found the number 1",
        "20: uploads.types[0]: \"image/heic\" is not supported; write \"image/jpeg\", \"image/png\", \"image/webp\" or \"image/gif\"",
        "21: uploads.expires_in: is too long; a form is valid for at most 12h",
        "25: renditions.quality: is 800, expected 1 to 100",
        "26: renditions.widths[0]: expected a whole number, found a string",
        "27: renditions.formats[0]: \"avif\" is not supported; write \"webp\" or \"jpeg\"",
    ];
    assert_eq!(faults, expected, "{stderr}");
}

#[test]
fn text_that_is_not_toml_is_reported_with_its_line() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(
        folder.path().join("gatepost.toml"),
        "[uploads]\nmax_bytes = \nx = [",
    )
    .unwrap();
    let (code, _, stderr) = run(&["replay", "."], folder.path());
    assert_eq!(code, Some(2));
    assert!(stderr.contains("gatepost.toml:2:"), "{stderr}");
    std::fs::write(
        folder.path().join("gatepost.toml"),
        "[uploads]\nmax_bytes = \"1 MiB\"\nmax_bytes = \"2 MiB\"\n[uploads]\n",
    )
    .unwrap();
    let (_, _, stderr) = run(&["replay", "."], folder.path());
    for said in [
        "gatepost.toml:3: max_bytes: duplicate key; remove one of the two",
        "gatepost.toml:4: uploads: duplicate key; remove one of the two",
    ] {
        assert!(stderr.contains(said), "{stderr}");
    }
}

#[test]
fn a_toolchain_that_cannot_build_for_arm64_is_told_what_it_lacks() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("secret"), [7; 32]).unwrap();
    let config = folder.path().join("gatepost.toml");
    std::fs::write(
        &config,
        "[[issuers]]\nissuer = \"https://login.example.com/\"\naudiences = [\"media\"]\n\
         algorithms = [\"HS256\"]\nsecrets = [{ kid = \"test\", file = \"secret\" }]\n\
         [[rules]]\npath = \"/media/{owner}/**\"\nallow = \"owner\"\n",
    )
    .unwrap();
    let out = folder.path().join("dist");
    let output = gatepost()
        .args(["package", "--arch", "arm64", "--config"])
        .arg(&config)
        .arg("--out")
        .arg(&out)
        .current_dir(repository(""))
        // A compiler that prints no folder of libraries for any target.
        .env("RUSTC", "true")
        .output()
        .unwrap();
    let (stdout, stderr) = text(&output);
    assert_eq!((output.status.code(), stdout.as_str()), (Some(1), ""));
    let said = "has no standard library for aarch64-unknown-linux-gnu: rustup target add aarch64-unknown-linux-gnu";
    assert!(stderr.contains(said), "{stderr}");
    assert!(!out.exists());
}

#[test]
fn an_undeployable_configuration_is_not_built() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(folder.path().join("taken/web")).unwrap();
    std::fs::write(folder.path().join("taken/web/main.ts"), "source").unwrap();
    // A checkout with other source code.
    std::fs::create_dir_all(folder.path().join("edge-auth/node")).unwrap();
    let issuer = |url: &str| {
        format!(
            "[[issuers]]\nissuer = \"https://login.example.com/\"\naudiences = [\"media\"]\n\
             jwks = {{ url = \"{url}\" }}\n"
        )
    };
    let rule = |path: &str| format!("[[rules]]\npath = \"{path}\"\nallow = \"authenticated\"\n");
    let remote = issuer("https://login.example.com/jwks.json");
    for (config, out, said) in [
        (rule("/media/**"), "dist", "names no issuer"),
        (
            issuer("http://127.0.0.1:8080/jwks.json") + &rule("/media/**"),
            "dist",
            "name an https:// address in jwks",
        ),
        (remote.clone(), "dist", "has no [[rules]]"),
        (
            remote.clone() + &rule("/settings.json"),
            "dist",
            "rules[0].path: it overlaps with paths of the page, the API, shared links, uploads or the bucket's own folder; use another folder, such as /media\n",
        ),
        (
            remote.clone() + &rule("/media/**") + &rule("/shared/**"),
            "dist",
            "rules[1].path: it overlaps with paths of the page",
        ),
        (
            remote.clone() + &rule("/my photos/**") + &rule("/media/**") + "methods = [\"PUT\"]\n",
            "dist",
            "rules[0].path: CloudFront's path patterns cannot contain ' '; before the first variable use only letters, digits and _-.$/~'@:&\n\
             rules[1].methods: CloudFront refuses PUT for media before it calls the authorizer; only GET, HEAD, OPTIONS arrive there\n",
        ),
        (
            remote.clone() + &rule("/media/**"),
            "taken",
            "taken/web already exists, and `gatepost package` did not write it; choose another --out",
        ),
        (
            remote.clone() + &rule("/media/**"),
            "dist",
            "use `cargo run -- package`",
        ),
    ] {
        std::fs::write(folder.path().join("gatepost.toml"), &config).unwrap();
        let (code, stdout, stderr) = run(&["package", "--out", out], folder.path());
        assert_eq!((code, stdout.as_str()), (Some(1), ""), "{config}{stderr}");
        assert!(stderr.contains(said), "{config}{stderr}");
    }
    assert!(!folder.path().join("dist").exists());
    let kept = std::fs::read_to_string(folder.path().join("taken/web/main.ts"));
    assert_eq!(kept.unwrap(), "source");
}

#[test]
fn shells_and_man_know_every_command() {
    let folder = tempfile::tempdir().unwrap();
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let (code, script, stderr) = run(&["completions", shell], folder.path());
        assert_eq!((code, stderr.as_str()), (Some(0), ""), "{shell}");
        assert!(script.contains("cloudfront-cookies"), "{shell}");
    }
    let (code, pages, _) = run(&["man"], folder.path());
    assert_eq!(code, Some(0));
    assert!(pages.contains(".TH gatepost-sign-post 1"), "{pages}");
    let (code, stdout, stderr) = run(&["man", "--out", "new/man1"], folder.path());
    assert_eq!((code, stdout.as_str(), stderr.as_str()), (Some(0), "", ""));
    for page in ["gatepost.1", "gatepost-replay.1", "gatepost-sign-get.1"] {
        assert!(folder.path().join("new/man1").join(page).exists(), "{page}");
    }
}

/// Every command, by the words that lead to it.
const COMMANDS: [&[&str]; 24] = [
    &[],
    &["completions"],
    &["dev"],
    &["dlq"],
    &["dlq", "list"],
    &["dlq", "redrive"],
    &["dlq", "replay"],
    &["dlq", "show"],
    &["man"],
    &["package"],
    &["replay"],
    &["session-key"],
    &["session-key", "list"],
    &["session-key", "prune"],
    &["session-key", "push"],
    &["session-key", "rotate"],
    &["sign"],
    &["sign", "cloudfront-cookies"],
    &["sign", "cloudfront-url"],
    &["sign", "get"],
    &["sign", "post"],
    &["sweep"],
    &["thumbnail"],
    &["token"],
];

/// Lines of help are wrapped, and colours are only for terminals.
#[test]
fn help_is_plain_text_with_examples() {
    let folder = tempfile::tempdir().unwrap();
    for words in COMMANDS {
        let (code, help, _) = run(&[words, &["--help"]].concat(), folder.path());
        assert_eq!(code, Some(0));
        assert!(!help.contains('\u{1b}'), "{help:?}");
        let name = [&["help"], words].concat().join("_");
        assert_output(&name, folder.path(), &help);
    }
}

#[test]
fn a_manual_page_keeps_examples_and_names_variables() {
    let folder = tempfile::tempdir().unwrap();
    let (_, _, stderr) = run(&["man", "--out", "man1"], folder.path());
    assert_eq!(stderr, "");
    let page = std::fs::read_to_string(folder.path().join("man1/gatepost-sweep.1")).unwrap();
    assert_output("man_sweep", folder.path(), &page);
    let page = |name: &str| {
        let file = folder.path().join(format!("man1/gatepost{name}.1"));
        std::fs::read_to_string(file).unwrap()
    };
    for (name, said) in [
        ("", r"[\fB\-\-port\fR \fIPORT\fR]"),
        ("-sign-post", r"\fBAWS_ACCESS_KEY_ID\fR"),
        (
            "-sign-cloudfront-url",
            r"\fBGATEPOST_CLOUDFRONT_PRIVATE_KEY\fR",
        ),
        ("-dlq-redrive", r"\fIID\fR... | \fB\-\-all\fR"),
    ] {
        let page = page(name);
        assert!(page.contains(said), "{name}: {page}");
        assert!(!page.contains('`'), "{name}: {page}");
    }
}

#[test]
fn a_data_directory_belongs_to_one_process() {
    let folder = tempfile::tempdir().unwrap();
    let _running = Gatepost::start(folder.path());
    let output = gatepost()
        .args(["dev", "--port", "0", "--data-dir"])
        .arg(folder.path())
        .output()
        .unwrap();
    let (_, stderr) = text(&output);
    assert_eq!(output.status.code(), Some(1));
    assert!(
        stderr.contains("is in use by another `gatepost dev`"),
        "{stderr}"
    );
}
