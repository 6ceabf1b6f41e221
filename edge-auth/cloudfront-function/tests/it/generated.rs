//! Generated viewer requests: random paths, methods, headers and sessions, most of them broken in one way.

use data_encoding::BASE64URL_NOPAD;
use edge_auth::{
    Headers, Owner, OwnerNames, SESSION_COOKIE, SESSION_ISSUER, ViewerRequest,
    shared_session_header,
};
use serde_json::{Map, Value, json};
use test_support::SeededRng;

use crate::sessions::{FOREIGN, ISSUER, KID, NOW, OTHER, SECRET, SHORT, TENANT, signed};

/// A request, and whether its session has a byte that CloudFront and the library may read differently.
pub(crate) fn request(rng: &mut SeededRng) -> ViewerRequest {
    let mut headers = Headers::default();
    let mut add = |name: &str, value: &str| headers.append(name, value);
    match rng.below(6) {
        0 => add("sec-fetch-mode", "navigate"),
        1 => add("accept", "text/html,*/*"),
        2 => add("sec-fetch-mode", "no-cors"),
        3 => {
            add("accept", "image/webp");
            add("accept", "text/html");
        }
        4 => {
            add("sec-fetch-mode", "navigate");
            add("sec-fetch-mode", "navigate");
        }
        _ => {}
    }
    if rng.one_in(3) {
        add(
            "origin",
            rng.choose(&[
                "https://app.example.com",
                "https://app.example.com",
                "null",
                "https://evil.example",
            ]),
        );
    }
    if rng.one_in(12) {
        add("origin", "https://app.example.com");
    }
    let is_preflight = rng.one_in(8);
    if is_preflight {
        add(
            "access-control-request-method",
            rng.choose(&["GET", "HEAD", "DELETE", "get"]),
        );
        if rng.one_in(2) {
            add(
                "access-control-request-headers",
                rng.choose(&[
                    "range",
                    "x-own, RANGE",
                    " ,range",
                    "x-other",
                    "rangé",
                    "x-\u{212a}ey",
                    "\u{feff}range",
                    "\u{85}range",
                    "\u{a0}x-own",
                ]),
            );
        }
    }
    if rng.one_in(10) {
        add("x-gatepost-owner", "k5xkwnqz2h6bnpvwdg3uz4yr4a");
        add("x-gatepost-allowed", "1");
    }
    if rng.one_in(10) {
        add("authorization", "Bearer x");
    }
    if rng.one_in(4) {
        add(
            "cookie",
            "theme=dark; __Host-gatepos=x; \u{2000}__Host-gatepost=x; __Host-gatepost\u{a0}=y",
        );
    }
    let session = (!rng.one_in(8)).then(|| session(rng));
    if let Some(session) = &session {
        let line = match rng.below(12) {
            0 => format!("{SESSION_COOKIE}=\"{session}\""),
            1 => format!("{SESSION_COOKIE}=; {SESSION_COOKIE}={session}"),
            2 => format!(" {SESSION_COOKIE}\t = {session}\t;x"),
            3 => format!("{SESSION_COOKIE}=\""),
            _ => format!("{SESSION_COOKIE}={session}"),
        };
        add("cookie", &line);
        if rng.one_in(15) {
            let other = if rng.one_in(2) {
                session.clone()
            } else {
                "x.y.z".to_owned()
            };
            add("cookie", &format!("{SESSION_COOKIE}={other}"));
        }
    }
    let method = if is_preflight && !rng.one_in(4) {
        "OPTIONS"
    } else {
        rng.choose(&[
            "GET", "GET", "GET", "GET", "GET", "GET", "HEAD", "OPTIONS", "POST", "DELETE",
        ])
    };
    let querystring = rng.choose(&["", "", "width=320", "a=1&a=2&b", "x=%C3%A9&y=/&z=?"]);
    ViewerRequest {
        client_ip: "192.0.2.1".to_owned(),
        headers,
        method: method.to_owned(),
        querystring: querystring.to_owned(),
        uri: path(rng),
        ..ViewerRequest::default()
    }
}

fn owner(claim: &str, issuer: &str, subject: &str) -> Owner {
    OwnerNames::default().owner(issuer, claim, subject)
}

/// How many of [`paths`], from the first, are matched by a rule with a viewer.
const N_FOR_VIEWERS: usize = 21;

fn paths() -> Vec<String> {
    let alice = owner("sub", ISSUER, "alice");
    vec![
        format!("/media/{alice}/1/320.webp"),
        format!("/media/{alice}/1/320.webp"),
        format!("/media/{}/1/320.webp", owner("oid", OTHER, "alice")),
        format!("/media/{}/1", owner("sub", ISSUER, "bob")),
        format!("/media/{alice}"),
        "/team/red/x".to_owned(),
        "/team/42/x".to_owned(),
        "/team/%72ed/x".to_owned(),
        "/team/a%20b/x".to_owned(),
        "/r/editor/1.webp".to_owned(),
        "/r/editor/.webp".to_owned(),
        "/admin/x".to_owned(),
        "/admin/y".to_owned(),
        "/admin/z".to_owned(),
        "/admin".to_owned(),
        "/verified/abc/x".to_owned(),
        "/verified/abc/y".to_owned(),
        "/verified/axbyc".to_owned(),
        "/departments/p".to_owned(),
        "/departments/q".to_owned(),
        "/departments/%72".to_owned(),
        "/r/editor/1.png".to_owned(),
        "/verified/ac/x".to_owned(),
        "/public/x".to_owned(),
        "/public-".to_owned(),
        "/public-1".to_owned(),
        "/caf%C3%A9/x".to_owned(),
        "/cafe/x".to_owned(),
        "/post".to_owned(),
        "/sign-in".to_owned(),
        "/o/media/x/y".to_owned(),
        "/".to_owned(),
    ]
}

fn path(rng: &mut SeededRng) -> String {
    let templates = paths();
    // Mostly one that a rule with a viewer matches.
    let end = if rng.one_in(4) {
        templates.len()
    } else {
        N_FOR_VIEWERS
    };
    let mut path = templates[rng.below(end)].clone();
    if rng.one_in(7) {
        let at = rng.below(path.len() + 1);
        let odd = [
            "/",
            "//",
            "%2f",
            "%5C",
            "\\",
            "..",
            "/../",
            "/./",
            "%2e%2e",
            "%252e",
            "%25",
            "%",
            "%zz",
            "+",
            "%2B",
            " ",
            "%20",
            "%00",
            "%0a",
            "%7F",
            "%C2%85",
            "%c2%A0",
            "%ff",
            "%C3",
            "%ed%a0%80",
            "%f0%9f%98%80",
            "%f4%90%80%80",
            "%c0%af",
            "%e2%80%a8",
            "é",
            "<",
            "[1]",
            "@",
            "~",
            "*",
            "%2A",
            "'",
            "%27",
            "|",
            "\"",
            "%25%32e",
            "%252",
            "%25%36",
            "\u{1}",
            "\u{7f}",
            "\n",
            "%0A",
            "%61",
            "-",
            "_",
            "!$&(),;=:",
        ];
        if path.is_char_boundary(at) {
            path.insert_str(at, odd[rng.below(odd.len())]);
        }
    }
    if rng.one_in(30) {
        let raw = format!("%{:02x}", rng.byte());
        path.push_str(&raw);
    }
    if rng.one_in(60) {
        path.push('\n');
    }
    path
}

fn session(rng: &mut SeededRng) -> String {
    let block = rng.choose(&[0, 0, 0, 1, 2]);
    let (name, iss, subject) = [
        ("customers", ISSUER.to_owned(), "sub"),
        ("partners", OTHER.to_owned(), "oid"),
        (
            "tenants",
            format!("https://tenants.example.com/{TENANT}/v2.0"),
            "sub",
        ),
    ][block]
        .clone();
    let token = token(rng, block, &iss, subject);
    let mut claims = json!({
        "iss": SESSION_ISSUER, "aud": SESSION_ISSUER, "iat": NOW - 60,
        "exp": NOW + [840, 840, 840, 840, 840, 840, 840, 840, 840, 1, 0, -1][rng.below(12)],
        "block": name,
    });
    // The library derives the owner again; the function believes the session. So a session here has what the API writes.
    match token.get(subject) {
        Some(Value::String(text)) if !text.is_empty() => {
            let iss = token.get("iss").and_then(Value::as_str).unwrap_or_default();
            claims["owner"] = owner(subject, iss, text).as_str().into();
        }
        _ => {}
    }
    claims["token"] = Value::Object(token);
    if rng.one_in(20) {
        let odd = [
            ("iss", json!("urn:other")),
            ("aud", json!(["urn:gatepost:session"])),
            ("exp", json!("soon")),
            ("exp", json!(null)),
            ("block", json!("nobody")),
            ("token", json!("x")),
            ("token", json!(null)),
        ];
        let (name, value) = odd[rng.below(odd.len())].clone();
        claims[name] = value;
    }
    let header = match rng.below(60) {
        0 => shared_session_header(SHORT),
        1 => shared_session_header("unknown"),
        2 => FOREIGN.to_owned(),
        3 => "__proto__".to_owned(),
        4 => BASE64URL_NOPAD
            .encode(br#"{"alg":"none","kid":"2026-11","typ":"gatepost-session+jwt"}"#),
        5 => format!("{}=", shared_session_header(KID)),
        6 => String::new(),
        _ => shared_session_header(KID),
    };
    let secret = if rng.one_in(15) { &SECRET[1..] } else { SECRET };
    let mut token = signed(&header, &claims, secret);
    if rng.one_in(8) {
        distort(rng, &mut token);
    }
    token
}

/// The claims that a session retained of its token, now and then odd ones.
fn token(rng: &mut SeededRng, block: usize, iss: &str, subject: &str) -> Map<String, Value> {
    let person = rng.choose(&["alice", "alice", "bob", "名前"]);
    let mut token = Map::from_iter(
        [
            ("iss", json!(iss)),
            ("aud", json!("media")),
            (
                "tid",
                if block == 2 {
                    json!(TENANT)
                } else {
                    json!(null)
                },
            ),
            ("token_use", json!("access")),
            (
                subject,
                if rng.one_in(12) {
                    json!(null)
                } else {
                    json!(person)
                },
            ),
            ("groups", json!(["red", "/green"])),
            ("/realm_access/roles", json!(["editor"])),
            (
                "scope",
                rng.choose(&[json!("media:admin read"), json!("read"), json!(null)]),
            ),
            ("scp", json!(null)),
            ("email_verified", json!(true)),
            ("level", rng.choose(&[json!(42), json!(42), json!(43)])),
            (
                "departments",
                rng.choose(&[json!(["sales", "europe"]), json!("sales")]),
            ),
            ("https://zitadel.example/roles", json!({"editor": true})),
        ]
        .map(|(name, value)| (name.to_owned(), value)),
    );
    // Another value, no value, or a claim that the session did not retain.
    let names: Vec<String> = token.keys().cloned().collect();
    let values = [
        json!(null),
        json!("red"),
        json!(["red"]),
        json!("/red"),
        json!("//red"),
        json!(42),
        json!(42.0),
        json!(42.5),
        json!("42"),
        json!(-1),
        json!(9_007_199_254_740_993_i64),
        json!(true),
        json!(false),
        json!([]),
        json!({}),
        json!(""),
        json!([42, null]),
        json!(["media:admin", "read"]),
        json!("media:admin  read"),
        json!("read"),
        json!({"length": true}),
        json!({"editor": false}),
        json!(["web"]),
        json!([["red"]]),
        json!("a b"),
        json!({"__proto__": 1}),
        json!(["both", "x"]),
        json!("access"),
    ];
    while rng.one_in(3) {
        let name = names[rng.below(names.len())].clone();
        if rng.one_in(4) {
            token.remove(&name);
        } else {
            token.insert(name, values[rng.below(values.len())].clone());
        }
    }
    token
}

/// Something else in the text of a token.
fn distort(rng: &mut SeededRng, token: &mut String) {
    match rng.below(9) {
        // The last character of a signature has two bits that mean nothing.
        0 => {
            let last = token.pop().unwrap_or_default();
            token.push(rng.choose(&['A', 'B', 'C', 'Q', 'g', 'w', last]));
        }
        1 => token.push('='),
        2 => token.push('A'),
        3 => token.push_str(".x"),
        4 => *token = token.replacen('.', "..", 1),
        5 => token.truncate(token.len() / 2),
        6 => *token = token.replace('-', "+").replace('_', "/"),
        7 => token.push_str(&"A".repeat(8192)),
        _ => {
            let at = rng.below(token.len());
            let byte = rng.choose(&["A", ".", "é", " ", "~"]);
            token.replace_range(at..=at, byte);
        }
    }
}
