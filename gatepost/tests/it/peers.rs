//! Compares our signatures with those of AWS's SDKs for Python and JavaScript, and checks URLs and cookies with an
//! independent verifier, as CloudFront would.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use data_encoding::BASE64;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value, json};
use test_support::SeededRng;
use url_signing::cloudfront::{CookieAttributes, KeyPair, Policy, SignedPolicy};
use url_signing::{
    Bucket, Checksum, Credentials, Expiry, FormField, PostPolicy, PrefixField, PresignedGet,
    Region, ResponseHeader, SignedForm, SuccessStatus, sigv4,
};

use crate::harness::repository;

const N_FORMS: usize = 400;
const N_URLS: usize = 300;
const N_POLICIES: usize = 200;
const ID: &str = "K2JCJMDEHXQW5F";
const BUCKETS: [&str; 4] = ["example-uploads", "a.b.example", "abc", "x-1-y"];
const REGIONS: [&str; 6] = [
    "us-east-1",
    "eu-central-1",
    "ap-southeast-2",
    "us-gov-west-1",
    "cn-north-1",
    "me-south-1",
];

/// The answers of a signer in another language, which `cargo xtask test` installs.
fn peer(program: &str, script: &str, cases: &[Value]) -> Vec<Value> {
    let folder = repository("bench/signing");
    let program = match program {
        "python" => PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("../venv/bin/python"),
        program => PathBuf::from(program),
    };
    let is_there = folder.join("node_modules/@aws-sdk").exists()
        && (program.parent() == Some("".as_ref()) || program.exists());
    assert!(
        is_there,
        "the test needs target/venv and bench/signing/node_modules; cargo xtask test makes both"
    );
    let mut child = Command::new(program)
        .arg(folder.join(script))
        .env_remove("AWS_PROFILE")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let input = Value::from(cases.to_vec()).to_string();
    let writing = std::thread::spawn(move || stdin.write_all(input.as_bytes()).unwrap());
    let output = child.wait_with_output().unwrap();
    writing.join().unwrap();
    assert!(output.status.success(), "{script} failed");
    let made: Vec<Value> = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(made.len(), cases.len());
    made
}

/// The bucket, time and credentials of a signature.
struct Setting {
    bucket: Bucket,
    region: Region,
    now: Timestamp,
    credentials: Credentials,
    json: Map<String, Value>,
}

fn setting(rng: &mut SeededRng) -> Setting {
    let (bucket, region) = (rng.choose(&BUCKETS), rng.choose(&REGIONS));
    let id = format!("AKIA{:016X}", rng.next_u64());
    let secret =
        BASE64.encode(&[rng.next_u64().to_le_bytes(), rng.next_u64().to_le_bytes()].concat());
    let token = rng
        .one_in(2)
        .then(|| BASE64.encode(&rng.next_u64().to_le_bytes().repeat(20)));
    let second = 1_400_000_000 + i64::try_from(rng.below(900_000_000)).unwrap();
    let json = json!({
        "bucket": bucket, "region": region, "now": second,
        "access_key_id": id, "secret_access_key": secret, "session_token": token,
    });
    let Value::Object(json) = json else {
        unreachable!()
    };
    Setting {
        bucket: Bucket::new(bucket, region).unwrap(),
        region: Region::new(region).unwrap(),
        now: Timestamp::from_second(second).unwrap(),
        credentials: Credentials {
            access_key_id: id,
            secret_access_key: secret.as_str().into(),
            session_token: token.as_deref().map(Into::into),
            expires_at: None,
        },
        json,
    }
}

fn key(rng: &mut SeededRng) -> String {
    let parts = [
        "uploads",
        "k5x",
        "a b",
        "é",
        "名前",
        "x+y",
        "100%",
        "a=b&c",
        "\"q\"",
        "back\\slash",
        "~.-_",
        "(1)",
        "it's",
        "a,b;c",
        "#",
        "?",
        "😀",
        "*",
        "[x]",
        "<y>",
        "a:b@c",
    ];
    let n = 1 + rng.below(4);
    let parts: Vec<_> = (0..n).map(|_| rng.choose(&parts)).collect();
    parts.join("/")
}

/// A random form, and its description for the peers.
fn form(rng: &mut SeededRng) -> (Setting, SignedForm, Value) {
    let setting = setting(rng);
    let key = key(rng);
    let min = rng.below(1000) as u64;
    let size = min..=min + rng.below(100_000_000) as u64;
    let seconds = 1 + i64::try_from(rng.below(86_400)).unwrap();
    let expiry = Expiry::within(SignedDuration::from_secs(seconds));
    let mut conditions = vec![json!(["content-length-range", min, size.end()])];
    let mut fields = Map::new();
    let mut policy = PostPolicy::new(&setting.bucket, &key, size, expiry).unwrap();
    let mut exact = |name: &str, value: &str| fields.insert(name.to_owned(), value.into());
    let type_is = rng.below(3);
    if type_is == 0 {
        let value = rng.choose(&["image/jpeg", "text/plain;charset=utf-8", "image/svg+xml"]);
        policy = policy.content_type(value).unwrap();
        exact("Content-Type", value);
    } else if type_is == 1 {
        let prefix = rng.choose(&["image/", ""]);
        policy = policy
            .starts_with(PrefixField::ContentType, prefix)
            .unwrap();
        conditions.push(json!(["starts-with", "$Content-Type", prefix]));
    }
    if rng.one_in(3) {
        policy = policy.metadata("Note", "a \"b\" \\ c").unwrap();
        exact("x-amz-meta-note", "a \"b\" \\ c");
    }
    if rng.one_in(3) {
        policy = policy
            .success_action_status(SuccessStatus::Created)
            .unwrap();
        exact("success_action_status", "201");
    }
    if rng.one_in(3) {
        policy = policy
            .field(FormField::CacheControl, "private, max-age=60")
            .unwrap();
        exact("Cache-Control", "private, max-age=60");
    }
    if rng.one_in(4) {
        policy = policy.checksum(Checksum::Sha256([7; 32])).unwrap();
        exact("x-amz-checksum-algorithm", "SHA256");
        exact("x-amz-checksum-sha256", &BASE64.encode(&[7; 32]));
    }
    if rng.one_in(4) {
        policy = policy.tags(&[("status", "pending")]).unwrap();
        exact(
            "tagging",
            "<Tagging><TagSet><Tag><Key>status</Key><Value>pending</Value></Tag></TagSet></Tagging>",
        );
    }
    if rng.one_in(4) {
        policy = policy
            .field(FormField::ServerSideEncryption, "aws:kms")
            .unwrap();
        exact("x-amz-server-side-encryption", "aws:kms");
    }
    let signed = policy.sign(setting.now, &setting.credentials).unwrap();
    // botocore takes conditions for fields from nowhere else.
    conditions.extend(fields.iter().map(|(name, value)| json!({ name: value })));
    let mut case = setting.json.clone();
    case.extend([
        ("kind".to_owned(), "post".into()),
        ("key".to_owned(), key.into()),
        ("fields".to_owned(), fields.into()),
        ("conditions".to_owned(), conditions.into()),
        ("expires_in".to_owned(), seconds.into()),
    ]);
    (setting, signed, case.into())
}

/// The meaning of a policy: its expiry, and its conditions in one notation, without their order.
fn meaning(policy: &str) -> (String, BTreeSet<String>) {
    let bytes = BASE64.decode(policy.as_bytes()).unwrap();
    let document: Value = serde_json::from_slice(&bytes).unwrap();
    let condition = |condition: &Value| match condition {
        Value::Object(exact) => {
            let (name, value) = exact.iter().next().unwrap();
            json!(["eq", format!("${}", name.to_lowercase()), value]).to_string()
        }
        Value::Array(parts) if parts[0] == "starts-with" => {
            let name = parts[1].as_str().unwrap().to_lowercase();
            json!(["starts-with", name, parts[2]]).to_string()
        }
        other => other.to_string(),
    };
    let conditions = document["conditions"].as_array().unwrap();
    (
        document["expiration"].as_str().unwrap().to_owned(),
        conditions.iter().map(condition).collect(),
    )
}

#[test]
#[ignore = "needs AWS's SDKs (cargo xtask test installs them)"]
fn forms_equal_those_of_the_sdks() {
    let mut rng = SeededRng::new(5);
    let forms: Vec<_> = (0..N_FORMS).map(|_| form(&mut rng)).collect();
    let cases: Vec<_> = forms.iter().map(|(_, _, case)| case.clone()).collect();
    for (program, script) in [("python", "botocore_signs.py"), ("node", "sdk-signs.mjs")] {
        let made = peer(program, script, &cases);
        for ((setting, ours, case), theirs) in forms.iter().zip(made) {
            let url = theirs["url"].as_str().unwrap();
            assert_eq!(ours.url.trim_end_matches('/'), url.trim_end_matches('/'));
            let theirs: Vec<(String, &str)> = theirs["fields"]
                .as_object()
                .unwrap()
                .iter()
                .map(|(name, value)| (name.to_lowercase(), value.as_str().unwrap()))
                .collect();
            let their = |name: &str| {
                let found = theirs.iter().find(|(own, _)| own == name);
                found.unwrap_or_else(|| panic!("{script} {name}")).1
            };
            assert_eq!(
                meaning(ours.field("policy").unwrap()),
                meaning(their("policy")),
                "{script} {case}"
            );
            // Apart from the policy's bytes, and with them the signature, the forms are the same.
            let secret = case["secret_access_key"].as_str().unwrap();
            for (name, value) in &ours.fields {
                if !["policy", "x-amz-signature"].contains(&name.as_ref()) {
                    assert_eq!(their(&name.to_lowercase()), value, "{script} {name}");
                }
            }
            // Of the same bytes we make the same signature.
            let date = sigv4::signing_date(setting.now);
            let key = sigv4::signing_key(secret, date, &setting.region);
            let document = BASE64.decode(their("policy").as_bytes()).unwrap();
            let signed = sigv4::sign_policy_document(&key, &document);
            assert_eq!(signed.policy, their("policy"));
            assert_eq!(signed.signature, their("x-amz-signature"), "{script}");
        }
    }
}

#[test]
#[ignore = "needs AWS's SDKs (cargo xtask test installs them)"]
fn presigned_gets_equal_botocores() {
    let mut rng = SeededRng::new(6);
    let mut urls = Vec::new();
    let mut cases = Vec::new();
    for _ in 0..N_URLS {
        let setting = setting(&mut rng);
        let key = key(&mut rng);
        let seconds = 1 + i64::try_from(rng.below(604_800)).unwrap();
        let lifetime = SignedDuration::from_secs(seconds);
        let mut get = PresignedGet::new(&setting.bucket, &key, lifetime).unwrap();
        let mut parameters = Map::new();
        for (name, header, value) in [
            (
                "ResponseContentType",
                ResponseHeader::ContentType,
                "image/webp",
            ),
            (
                "ResponseContentDisposition",
                ResponseHeader::ContentDisposition,
                "attachment; filename*=UTF-8''a%20b.webp",
            ),
            (
                "ResponseCacheControl",
                ResponseHeader::CacheControl,
                "private, max-age=60",
            ),
            (
                "ResponseContentLanguage",
                ResponseHeader::ContentLanguage,
                "de",
            ),
        ] {
            if rng.one_in(4) {
                get = get.response_header(header, value).unwrap();
                parameters.insert(name.to_owned(), value.into());
            }
        }
        if rng.one_in(4) {
            get = get.version_id("3HL4kqtJvjVBH40Nrjfkd.+/=").unwrap();
            parameters.insert("VersionId".to_owned(), "3HL4kqtJvjVBH40Nrjfkd.+/=".into());
        }
        urls.push(get.sign(setting.now, &setting.credentials).unwrap().url);
        let mut case = setting.json;
        case.extend([
            ("kind".to_owned(), "get".into()),
            ("key".to_owned(), key.into()),
            ("parameters".to_owned(), parameters.into()),
            ("expires_in".to_owned(), seconds.into()),
        ]);
        cases.push(case.into());
    }
    let made = peer("python", "botocore_signs.py", &cases);
    for ((ours, theirs), case) in urls.iter().zip(made).zip(&cases) {
        let theirs = theirs["url"].as_str().unwrap();
        assert_eq!(parameters_of(ours), parameters_of(theirs), "{case}");
    }
}

/// A URL's parts; botocore has its parameters in another order.
fn parameters_of(url: &str) -> (&str, BTreeSet<&str>) {
    let (base, query) = url.split_once('?').unwrap();
    (base, query.split('&').collect())
}

fn pem(name: &str) -> String {
    std::fs::read_to_string(repository("url-signing/tests/keys").join(name)).unwrap()
}

/// A random signed policy, with a URL that it covers and the text of a custom policy.
fn policy(rng: &mut SeededRng, key: &KeyPair) -> (SignedPolicy, String, Value) {
    let host = rng.choose(&["d111111abcdef8.cloudfront.net", "media.example.com"]);
    let folder = rng.choose(&["/", "/media/k5x/", "/a%20b/%C3%A9/"]);
    let file = rng.choose(&["640.webp", "x.y-z_~1", "a?v=1", "a?v=1&w=%2A%26", "a?b"]);
    let folder = format!("https://{host}{folder}");
    let url = format!("{folder}{file}");
    let second = 1_800_000_000 + i64::try_from(rng.below(100_000_000)).unwrap();
    let now = Timestamp::from_second(second).unwrap();
    let seconds = 1 + i64::try_from(rng.below(1_000_000)).unwrap();
    let lifetime = SignedDuration::from_secs(seconds);
    let is_pattern = rng.one_in(3);
    let mut policy = if is_pattern {
        Policy::below(&folder, lifetime).unwrap()
    } else {
        Policy::for_url(&url, lifetime).unwrap()
    };
    let not_before = rng.one_in(3).then_some(second - 60);
    if let Some(second) = not_before {
        policy = policy.not_before(Timestamp::from_second(second).unwrap());
    }
    let addresses = rng.one_in(3).then_some("192.0.2.0/24");
    if let Some(addresses) = addresses {
        policy = policy.only_from(addresses.parse().unwrap());
    }
    let signed = policy.sign(now, key).unwrap();
    let mut case = json!({
        "kind": "cloudfront", "now": second, "url": url, "key_pair_id": ID,
        "expires_at": second + seconds, "not_before": not_before, "addresses": addresses,
    });
    if is_pattern {
        // The SDK makes no patterns of its own; it signs the text that it is given.
        let cookies = signed.cookies(&CookieAttributes::default()).unwrap();
        let text = cookies.cookies[0].1.replace('-', "+").replace('_', "=");
        let text = BASE64.decode(text.replace('~', "/").as_bytes()).unwrap();
        case["policy"] = String::from_utf8(text).unwrap().into();
    }
    (signed, url, case)
}

#[test]
#[ignore = "needs AWS's SDKs (cargo xtask test installs them)"]
fn cloudfront_signatures_equal_the_sdks() {
    let mut rng = SeededRng::new(7);
    let key = KeyPair::from_pem(ID, pem("rsa-pkcs1.pem")).unwrap();
    let policies: Vec<_> = (0..N_POLICIES).map(|_| policy(&mut rng, &key)).collect();
    let cases: Vec<_> = policies
        .iter()
        .map(|(_, _, case)| {
            let mut case = case.clone();
            case["private_key"] = pem("rsa-pkcs8.pem").into();
            case
        })
        .collect();
    let made = peer("node", "sdk-signs.mjs", &cases);
    for ((signed, url, case), theirs) in policies.iter().zip(made) {
        let cookies = signed.cookies(&CookieAttributes::default()).unwrap();
        let cookies: Map<_, _> = cookies
            .cookies
            .iter()
            .map(|(name, value)| ((*name).to_owned(), value.as_str().into()))
            .collect();
        let mut their_cookies = theirs["cookies"].clone();
        if let Some(second) = their_cookies["CloudFront-Expires"].as_i64() {
            their_cookies["CloudFront-Expires"] = second.to_string().into();
        }
        assert_eq!(Value::from(cookies), their_cookies, "{case}");
        // Names without a value have an equals sign there.
        let theirs = theirs["url"].as_str().unwrap();
        if !url.ends_with("a?b") {
            assert_eq!(signed.url(url).unwrap().url, theirs, "{case}");
        }
    }
}

#[test]
#[ignore = "needs AWS's SDKs (cargo xtask test installs them)"]
fn an_independent_verifier_accepts_signed_urls_and_refuses_changed_ones() {
    let mut rng = SeededRng::new(8);
    let keys = json!({ID: pem("rsa-public.pem"), "KP256": pem("p256-public.pem")});
    let mut cases: Vec<Value> = Vec::new();
    let mut expected: Vec<(&str, String)> = Vec::new();
    for n in 0..N_POLICIES {
        let (id, file) = [(ID, "rsa-pkcs8.pem"), ("KP256", "p256-sec1.pem")][n % 2];
        let key = KeyPair::from_pem(id, pem(file)).unwrap();
        let (signed, url, case) = policy(&mut rng, &key);
        let signed_url = signed.url(&url).unwrap().url;
        let cookies = signed.cookies(&CookieAttributes::default()).unwrap();
        let cookies: Map<_, _> = cookies
            .cookies
            .iter()
            .map(|(name, value)| ((*name).to_owned(), value.as_str().into()))
            .collect();
        let (now, end) = (
            case["now"].as_i64().unwrap(),
            case["expires_at"].as_i64().unwrap(),
        );
        let is_canned = signed_url.contains("Expires=");
        let has_times = !case["not_before"].is_null();
        let mut add = |verdict, url: &str, now: i64, address: &str, cookies: Option<Value>| {
            cases.push(json!({
                "url": url, "now": now, "address": address, "cookies": cookies, "keys": keys,
            }));
            expected.push((verdict, format!("{n} {case}")));
        };
        let (home, away) = ("192.0.2.7", "198.51.100.7");
        let cookies = || Some(Value::from(cookies.clone()));
        add("allowed", &signed_url, now, home, None);
        add("allowed", &signed_url, end - 1, home, None);
        add("allowed", &url, now, home, cookies());
        add("no signature", &url, now, home, None);
        add("expired", &signed_url, end, home, None);
        add("expired", &url, end, home, cookies());
        if has_times {
            add("too early", &signed_url, now - 60, home, None);
        }
        if !case["addresses"].is_null() {
            add("another address", &signed_url, now, away, None);
        }
        let elsewhere = |url: &str| url.replacen("https://", "https://x", 1);
        let other = if is_canned {
            "wrong signature"
        } else {
            "another resource"
        };
        add(other, &elsewhere(&signed_url), now, home, None);
        add(other, &elsewhere(&url), now, home, cookies());
        let mut changed = |from: &str, to: &str| {
            add(
                "wrong signature",
                &signed_url.replace(from, to),
                now,
                home,
                None,
            );
        };
        changed("&Hash-Algorithm=SHA256", "");
        if is_canned {
            changed("Expires=1", "Expires=2");
        } else {
            // The first character of the policy's time.
            changed("Policy=eyJ", "Policy=eyK");
        }
        add(
            "unknown key",
            &signed_url.replace("Key-Pair-Id=K", "Key-Pair-Id=L"),
            now,
            home,
            None,
        );
    }
    let verdicts = peer("node", "edge-verifies.mjs", &cases);
    for ((verdict, case), found) in expected.iter().zip(verdicts) {
        assert_eq!(*verdict, found, "{case}");
    }
}
