//! How long the generated function takes for an allowed request in njs, beside a plain check of a JWT:
//! `cargo run --release -p edge-auth-function --example timing`.
//!
//! Both run in turns, each time in a new process. The least time of each is printed, in microseconds for each call, with
//! the size of the code. The time to make the event is measured with an empty function, and left out.
//!
//! njs frees nothing before its VM ends. CloudFront's VM ends with the request, but here two thousand calls share one, so
//! that page faults would be a third of the time: huge pages avoid them, where glibc and the kernel offer those.

use std::collections::BTreeMap;
use std::process::Command;

use anyhow::{Context as _, ensure};
use data_encoding::BASE64URL_NOPAD;
use edge_auth::config::{
    Access, Algorithm, Audiences, Config, Issuer, PublishedKeys, Rule, TokenSource,
};
use edge_auth::{
    Authorizer, Owner, SESSION_COOKIE, SESSION_ISSUER, ViewerRequest, shared_session_header,
};
use edge_auth_function::event;
use serde_json::json;

const N_CALLS: usize = 2_000;
const N_TURNS: usize = 40;
const HUGE_PAGES: &str = "glibc.malloc.hugetlb=1:glibc.malloc.top_pad=67108864";
/// Made for this example.
const SECRET: &[u8] = b"a session secret made for this example";
const ISSUER: &str = "https://login.example.com/";
const REFERENCE: &str = include_str!("reference.js");
const EMPTY: &str = "async function handler(event) { return event.request }";
/// Gives each call a new event, as CloudFront does, because functions change it.
const LOOP: &str = "
import fs from 'fs'
const text = fs.readFileSync(process.argv[2], 'utf8')
async function time(n) {
  let answer
  const started = Date.now()
  for (let idx = 0; idx < n; idx++) {
    const event = JSON.parse(text)
    answer = await handler(event)
  }
  const millis = Date.now() - started
  console.log(JSON.stringify({ micros: millis * 1000 / n, uri: answer.uri }))
}
time(+process.argv[3])
";

/// The rules of the `gatepost.toml` in this repository.
fn config() -> Config {
    Config {
        issuers: vec![Issuer {
            issuer: ISSUER.to_owned(),
            audiences: Audiences::OneOf(vec!["media".to_owned()]),
            algorithms: vec![Algorithm::ES256],
            published: Some(PublishedKeys::at("https://login.example.com/jwks.json")),
            ..Issuer::default()
        }],
        token_sources: vec![TokenSource::Authorization],
        rules: vec![
            Rule::new("/media/{owner}/**", Access::Owner),
            Rule::new("/team/{claim:groups}/**", Access::Authenticated),
            Rule::new("/admin/**", Access::Scopes(vec!["media:admin".to_owned()])),
            Rule::new("/public/**", Access::Anyone),
        ],
        login: Some("/?sign_in&return_to={url}".to_owned()),
        ..Config::default()
    }
}

fn session() -> String {
    let owner = Owner::of(ISSUER, "alice");
    let now = jiff::Timestamp::now().as_second();
    let claims = json!({
        "aud": SESSION_ISSUER, "block": ISSUER, "exp": now + 900, "iat": now, "iss": SESSION_ISSUER, "owner": owner,
        "token": {"aud": "media", "groups": ["red"], "iss": ISSUER, "scope": null, "scp": null, "sub": "alice"},
    });
    let claims = BASE64URL_NOPAD.encode(claims.to_string().as_bytes());
    let input = format!("{}.{claims}", shared_session_header("2026-11"));
    let key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, SECRET);
    let mac = aws_lc_rs::hmac::sign(&key, input.as_bytes());
    format!("{input}.{}", BASE64URL_NOPAD.encode(mac.as_ref()))
}

fn main() -> anyhow::Result<()> {
    let authorizer = Authorizer::new(&config())
        .map_err(|faults| anyhow::anyhow!("{}", edge_auth::ConfigFault::listed(&faults)))?;
    let gate = edge_auth_function::compile(&authorizer)?;
    let folder = tempfile::tempdir()?;
    let at = |name: &str| folder.path().join(name);
    let secret = BASE64URL_NOPAD.encode(SECRET);
    let entries = BTreeMap::from([
        (
            format!("session/{}", shared_session_header("2026-11")),
            &secret,
        ),
        ("session/reference".to_owned(), &secret),
    ]);
    std::fs::write(
        at("cloudfront"),
        format!(
            "const entries = {}\nexport default {{ kvs: () => ({{ get: async (key) => entries[key] }}) }}\n",
            serde_json::to_string(&entries)?
        ),
    )?;
    std::fs::write(at("gate.js"), format!("{gate}\n{LOOP}"))?;
    std::fs::write(at("reference.js"), format!("{REFERENCE}\n{LOOP}"))?;
    std::fs::write(at("empty.js"), format!("{EMPTY}\n{LOOP}"))?;
    let owner = Owner::of(ISSUER, "alice");
    let cookie = format!("{SESSION_COOKIE}={}", session());
    let request = ViewerRequest {
        method: "GET".to_owned(),
        uri: format!("/media/{owner}/01jd3v5x8m2k7q4w9z6n1c0b/640-1a2b3c4d5e6f.webp"),
        headers: [
            ("host", "photos.example.com"),
            ("accept", "image/avif,image/webp,*/*"),
            (
                "user-agent",
                "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
            ),
            ("sec-fetch-mode", "no-cors"),
            ("cookie", cookie.as_str()),
        ]
        .into_iter()
        .collect(),
        ..ViewerRequest::default()
    };
    std::fs::write(at("event"), event(&request, "id").to_string())?;

    let mut least = BTreeMap::new();
    for _ in 0..N_TURNS {
        for name in ["gate.js", "reference.js", "empty.js"] {
            let output = Command::new("njs")
                .args(["-t", "module", "-p"])
                .args([folder.path(), &at(name), &at("event")])
                .arg(N_CALLS.to_string())
                .env("GLIBC_TUNABLES", HUGE_PAGES)
                .output()
                .context("njs was not found; install it (Debian: apt-get install njs)")?;
            let text = String::from_utf8_lossy(&output.stdout);
            let line: serde_json::Value = serde_json::from_str(text.trim()).with_context(|| {
                format!("{name}: {text}{}", String::from_utf8_lossy(&output.stderr))
            })?;
            ensure!(line["uri"].is_string(), "{name} refuses the request");
            let micros = line["micros"].as_f64().context("no time")?;
            let known = least.entry(name).or_insert(micros);
            *known = known.min(micros);
        }
    }
    let of_call = |name| least[name] - least["empty.js"];
    let (ours, reference) = (of_call("gate.js"), of_call("reference.js"));
    println!("gate.js       {ours:6.1} µs   {} bytes", gate.len());
    println!(
        "reference.js  {reference:6.1} µs   {} bytes",
        REFERENCE.len()
    );
    println!("ratio         {:6.2}", ours / reference);
    Ok(())
}
