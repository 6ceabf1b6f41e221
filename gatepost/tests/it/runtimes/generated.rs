//! Generated viewer-request events: random paths, tokens and sessions, most of them broken in one way.

use data_encoding::BASE64URL_NOPAD;
use edge_auth::{Headers, Owner, Request};
use jiff::Timestamp;
use serde_json::{Value, json};

use super::package::{ISSUER, NOW, Package, SECRET, signing_input};
use test_support::SeededRng;

/// A session that the API made of a good token, with one key or with the other.
pub(super) fn session(rng: &mut SeededRng, package: &Package) -> String {
    let claims = json!({
        "iss": ISSUER, "aud": "media", "sub": rng.choose(&["alice", "bob"]), "exp": NOW + 7200,
        "groups": rng.choose(&["red", "/red", "green"]), "scope": rng.choose(&["media:admin", "other"]),
        "realm_access": {"roles": ["editor"]}, "email_verified": true, "department": "sales",
    });
    let token = package.es256(&json!({"alg": "ES256", "kid": "ec"}), &claims);
    let headers: Headers = [("authorization", format!("Bearer {token}").as_str())]
        .into_iter()
        .collect();
    let now = Timestamp::from_second(NOW + [0, 3600][rng.below(2)]).unwrap();
    let viewer = package.api.authenticate(now, &Request::from(&headers));
    let viewer = viewer.unwrap_or_else(|denied| panic!("{denied:?}"));
    package.api.start_session(now, &viewer).unwrap().token
}

pub(super) fn hs256(header: &Value, claims: &Value) -> String {
    let input = signing_input(header, claims);
    let key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, SECRET);
    let mac = aws_lc_rs::hmac::sign(&key, input.as_bytes());
    format!("{input}.{}", BASE64URL_NOPAD.encode(mac.as_ref()))
}

pub(super) fn token(rng: &mut SeededRng, package: &Package) -> String {
    if rng.one_in(4) {
        let session = session(rng, package);
        return distorted(rng, session);
    }
    if rng.one_in(2) {
        let claims = json!({
            "iss": ISSUER, "aud": "media", "sub": "alice", "exp": NOW + 300, "groups": ["red", "a b"],
            "scope": "media:admin", "email_verified": true, "department": "sales",
        });
        return package.es256(&json!({"alg": "ES256", "kid": "ec"}), &claims);
    }
    let mut claims = json!({
        "iss": rng.choose(&[ISSUER, ISSUER, ISSUER, ISSUER, ISSUER, "https://elsewhere.example/"]),
        "aud": "media",
        "sub": rng.choose(&["alice", "alice", "bob", "名前"]),
        "exp": NOW + [300, 300, 300, 300, 1, 0, -4, -5, -6, -3600][rng.below(10)],
        "groups": ["red", "blue"],
    });
    let mut claim = |rng: &mut SeededRng, name: &str, values: &[Value]| {
        if rng.one_in(3) {
            claims[name] = values[rng.below(values.len())].clone();
        }
    };
    claim(
        rng,
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
        rng,
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
        rng,
        "scope",
        &[
            json!("media:admin"),
            json!("a media:admin b"),
            json!(["media:admin"]),
            json!("media:adm"),
        ],
    );
    claim(
        rng,
        "groups",
        &[
            json!("red"),
            json!(["green"]),
            json!(null),
            json!({"red": 1}),
        ],
    );
    claim(
        rng,
        "email_verified",
        &[json!(true), json!("true"), json!([true])],
    );
    claim(
        rng,
        "department",
        &[json!("sales"), json!(["finance"]), json!("hr")],
    );
    let alg = rng.choose(&["ES256", "ES256", "ES256", "HS256", "RS256", "none", "es256"]);
    let kid = if alg == "HS256" { "secret" } else { "ec" };
    let mut header = json!({"alg": alg, "kid": kid});
    if rng.one_in(10) {
        let odd = [
            ("kid", json!("unknown")),
            ("kid", json!("x\ny")),
            ("kid", json!(7)),
            ("crit", json!(["exp"])),
            ("b64", json!(false)),
            ("typ", json!("at+jwt")),
            ("jwk", json!({})),
        ];
        let (name, value) = &odd[rng.below(odd.len())];
        header[*name] = value.clone();
    }
    let token = if alg == "HS256" {
        hs256(&header, &claims)
    } else {
        package.es256(&header, &claims)
    };
    distorted(rng, token)
}

/// The token, now and then with something else in it.
pub(super) fn distorted(rng: &mut SeededRng, mut token: String) -> String {
    if rng.one_in(12) {
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
    if rng.one_in(12) {
        // Somewhere in it, something else: of one byte or more.
        let at = rng.below(token.len());
        token.replace_range(
            at..=at,
            rng.choose(&["A", "", "=", ".", " ", "é", "\u{1f511}", "/", "%41"]),
        );
    }
    token
}

pub(super) fn uri(rng: &mut SeededRng) -> String {
    let owner = Owner::of(ISSUER, rng.choose(&["alice", "alice", "bob"]));
    let mut uri = match rng.below(9) {
        8 => format!("/realm/{}/x", rng.choose(&["editor", "viewer", "[editor]"])),
        0..3 => format!("/media/{owner}/5fqabc/640.webp"),
        3 => format!(
            "/team/{}/plan",
            rng.choose(&["red", "green", "r%65d", "a%20b"])
        ),
        4 => "/admin/x".to_owned(),
        5 => format!(
            "/reports/{}",
            rng.choose(&["q3.pdf", "q3.txt", "caf%C3%A9.pdf", "ü.pdf"])
        ),
        6 => "/public/x".to_owned(),
        _ => format!("/{}", rng.choose(&["", "elsewhere", "media", "media/"])),
    };
    if rng.one_in(8) {
        let at = rng.below(uri.len());
        if uri.is_char_boundary(at) {
            let odd = [
                "/../", "//", "%2f", "%2e%2e/", "%252e", "%", "\\", "+", "\u{0}", "%ff", "é", "?",
                "\n",
            ];
            uri.insert_str(at, rng.choose(&odd));
        }
    }
    uri
}

pub(super) fn event(rng: &mut SeededRng, package: &Package, n: usize) -> String {
    let mut headers = serde_json::Map::new();
    let mut add = |name: &str, value: String| {
        let lines = headers.entry(name.to_owned()).or_insert_with(|| json!([]));
        let line = json!({"key": name, "value": value});
        lines.as_array_mut().unwrap().push(line);
    };
    add("host", "d111111abcdef8.cloudfront.net".to_owned());
    let mut querystring = rng
        .choose(&["", "", "", "v=1&w=%20", "&&=", "a=b?c"])
        .to_owned();
    for _ in 0..rng.choose(&[1, 1, 1, 1, 0, 2]) {
        let token = token(rng, package);
        match rng.below(7) {
            6 => add("cf-access-jwt-assertion", token),
            0..3 => {
                let scheme = rng.choose(&[
                    "Bearer ", "Bearer ", "Bearer ", "bearer  ", "Basic ", "Bearer",
                ]);
                add("authorization", format!("{scheme}{token}"));
            }
            3 | 4 => {
                let before = rng.choose(&["", "", "a=1; ", "a=1;b=\n2; ", "__Host-gatepost; "]);
                let after = rng.choose(&[
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
                let name = rng.choose(&["token", "token", "%74oken", "tokens"]);
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
        if rng.one_in(3) {
            add(name, rng.choose(values).to_owned());
        }
    }
    json!({"Records": [{"cf": {
        "config": {"distributionId": "EXAMPLE", "eventType": "viewer-request", "requestId": format!("request-{n}")},
        "request": {
            "clientIp": "203.0.113.178",
            "headers": headers,
            "method": rng.choose(&["GET", "GET", "GET", "GET", "HEAD", "OPTIONS", "OPTIONS", "POST"]),
            "querystring": querystring,
            "uri": uri(rng),
            "body": {"action": "read-only", "data": "", "encoding": "base64", "inputTruncated": false},
        },
    }}]})
    .to_string()
}
