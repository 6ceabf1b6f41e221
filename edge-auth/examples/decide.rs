//! Verifies a token against a JWK Set and rules, without network.
//!
//! Without arguments it decides on a table of requests with a token that is in this file. With arguments it decides on
//! one request as of now:
//!
//! ```sh
//! cargo run -p edge-auth --example decide -- jwks.json https://login.example.com/ media "$TOKEN" /media/k5x/photo.webp
//! ```

use std::process::ExitCode;

use anyhow::{Context as _, bail};
use edge_auth::config::{Access, Algorithm, Audiences, Issuer, Rule, TokenSource};
use edge_auth::{Authorizer, Config, Decision, Headers, Owner, Request};
use jiff::Timestamp;
use serde_json::{Value, json};

const ISSUER: &str = "https://login.example.com/";
const AUDIENCE: &str = "media";

/// A token of alice, whose group is red. It is valid for five minutes from [`ISSUED_AT`].
const TOKEN: &str = concat!(
    "eyJhbGciOiJFUzI1NiIsImtpZCI6IjIwMjYtMTEiLCJ0eXAiOiJKV1QifQ.",
    "eyJpc3MiOiJodHRwczovL2xvZ2luLmV4YW1wbGUuY29tLyIsImF1ZCI6Im1lZGlhIiwic3ViIjoiYWxpY2UiLCJncm91cHMiOlsi",
    "cmVkIl0sImlhdCI6MTc5NTQzNTIwMCwiZXhwIjoxNzk1NDM1NTAwfQ.",
    "nMNXLK9T2FuHpdxsIo4bqKfQLi1RJZgxHuyTlKoT7SS0yUrG4ogemtiqaIxNK4i0DnFzruTSpZEUPCJmP-i_OQ",
);
const ISSUED_AT: &str = "2026-11-23T12:00:00Z";

fn main() -> anyhow::Result<ExitCode> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => decide_on_table(),
        [file, issuer, audience, token, path] => {
            let jwks = std::fs::read(file).with_context(|| format!("{file} cannot be read"))?;
            let jwks = serde_json::from_slice(&jwks).context("the JWK Set is not JSON")?;
            let authorizer = authorizer(issuer, audience, jwks)?;
            let decision = decide(&authorizer, Timestamp::now(), token, path);
            println!("{path}: {}", in_words(&decision));
            Ok(match decision {
                Decision::Allow(_) => ExitCode::SUCCESS,
                _ => ExitCode::FAILURE,
            })
        }
        _ => bail!("usage: decide [JWKS-FILE ISSUER AUDIENCE TOKEN PATH]"),
    }
}

fn decide_on_table() -> anyhow::Result<ExitCode> {
    let jwks = json!({"keys": [{
        "kty": "EC", "crv": "P-256", "kid": "2026-11", "use": "sig", "alg": "ES256",
        "x": "pwH_Cdx9buGza0V0pkrm6hQg2kXDwEhaECbDqFnJHdc",
        "y": "4qsdLyDKU_7OJ2am1_sIu_p62NnJHWnC0vpWVSBorlk",
    }]});
    let authorizer = authorizer(ISSUER, AUDIENCE, jwks)?;
    let now: Timestamp = ISSUED_AT.parse()?;
    let (alice, bob) = (Owner::of(ISSUER, "alice"), Owner::of(ISSUER, "bob"));
    let forged = TOKEN.replace("nMNX", "nMNY");
    for (what, now, token, path) in [
        ("own photo", now, TOKEN, format!("/media/{alice}/1.webp")),
        ("another photo", now, TOKEN, format!("/media/{bob}/1.webp")),
        ("own group", now, TOKEN, "/team/red/plan.pdf".to_owned()),
        (
            "another group",
            now,
            TOKEN,
            "/team/blue/plan.pdf".to_owned(),
        ),
        ("a public file", now, "", "/public/logo.svg".to_owned()),
        (
            "an escape from it",
            now,
            "",
            "/public/..%2fteam/red/plan.pdf".to_owned(),
        ),
        ("without a token", now, "", "/team/red/plan.pdf".to_owned()),
        (
            "a forged signature",
            now,
            &forged,
            "/team/red/plan.pdf".to_owned(),
        ),
        (
            "an expired token",
            "2026-11-23T12:05:00Z".parse()?,
            TOKEN,
            "/team/red/plan.pdf".to_owned(),
        ),
    ] {
        let decision = decide(&authorizer, now, token, &path);
        println!("{what:<22}{path:<42}{}", in_words(&decision));
    }
    Ok(ExitCode::SUCCESS)
}

fn authorizer(issuer: &str, audience: &str, jwks: Value) -> anyhow::Result<Authorizer> {
    let public = |algorithm: &Algorithm| *algorithm != Algorithm::HS256;
    let config = Config {
        issuers: vec![Issuer {
            issuer: issuer.to_owned(),
            audiences: Audiences::OneOf(vec![audience.to_owned()]),
            algorithms: Algorithm::ALL.into_iter().filter(public).collect(),
            jwks: Some(jwks),
            ..Issuer::default()
        }],
        token_sources: vec![TokenSource::Authorization],
        rules: vec![
            Rule::new("/public/**", Access::Anyone),
            Rule::new("/media/{owner}/**", Access::Owner),
            Rule::new("/team/{claim:groups}/**", Access::Authenticated),
        ],
        ..Config::default()
    };
    Authorizer::new(&config)
        .map_err(|faults| anyhow::anyhow!(edge_auth::ConfigFault::listed(&faults)))
}

fn decide(authorizer: &Authorizer, now: Timestamp, token: &str, path: &str) -> Decision {
    let bearer = format!("Bearer {token}");
    let headers: Headers = [("authorization", bearer.as_str())].into_iter().collect();
    let request = Request {
        method: "GET",
        uri: path,
        ..Request::from(&headers)
    };
    authorizer.decide(now, &request)
}

fn in_words(decision: &Decision) -> String {
    match decision {
        Decision::Allow(allowed) => match &allowed.owner {
            Some(owner) => format!("allowed, as {owner}"),
            None => "allowed".to_owned(),
        },
        Decision::Deny(denied) => {
            let refusal = &denied.refusal;
            format!("{} {}: {refusal}", refusal.status(), refusal.code())
        }
        other => format!("{other:?}"),
    }
}
