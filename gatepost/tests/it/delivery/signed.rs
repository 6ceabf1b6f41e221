//! Delivery in mode `signed`: `CloudFront`'s cookies for folders, from the API to the emulated `CloudFront`, which checks
//! them by itself.

use std::collections::BTreeMap;

use data_encoding::BASE64;
use reqwest::{Method, Response};
use serde_json::{Value, json};

use super::{cache_result, raw_status};
use crate::harness::{Gatepost, gatepost, photo, repository, text};

/// The cookies of a browser by path and name, as `Set-Cookie` lines leave them.
#[derive(Default)]
struct Jar(BTreeMap<(String, String), String>);

impl Jar {
    fn take(&mut self, answer: &Response) {
        for line in answer.headers().get_all("set-cookie") {
            let line = line.to_str().unwrap();
            let mut parts = line.split("; ");
            let (name, value) = parts.next().unwrap().split_once('=').unwrap();
            let attributes: Vec<_> = parts.collect();
            for attribute in ["Secure", "HttpOnly", "SameSite=Lax"] {
                assert!(attributes.contains(&attribute), "{line}");
            }
            assert!(!line.contains("Domain"), "{line}");
            let of = |name: &str| {
                let mut values = attributes.iter();
                values
                    .find_map(|attribute| attribute.strip_prefix(name))
                    .unwrap()
            };
            let key = (of("Path=").to_owned(), name.to_owned());
            if of("Max-Age=") == "0" {
                self.0.remove(&key);
            } else {
                self.0.insert(key, value.to_owned());
            }
        }
    }

    /// The `Cookie` header of a request for a path.
    fn header(&self, path: &str) -> String {
        let sent = self
            .0
            .iter()
            .filter(|((folder, _), _)| path.starts_with(folder));
        let pairs = sent.map(|((_, name), value)| format!("{name}={value}"));
        pairs.collect::<Vec<_>>().join("; ")
    }

    /// The folders that have cookies of `CloudFront`.
    fn folders(&self) -> Vec<&str> {
        let of_policies = self
            .0
            .keys()
            .filter(|(_, name)| name == "CloudFront-Policy");
        of_policies.map(|(folder, _)| folder.as_str()).collect()
    }
}

/// A browser at a system.
struct Browser<'a> {
    system: &'a Gatepost,
    jar: Jar,
}

impl<'a> Browser<'a> {
    fn new(system: &'a Gatepost) -> Self {
        let jar = Jar::default();
        Self { system, jar }
    }

    async fn send(&mut self, method: Method, path: &str, token: Option<&str>) -> Response {
        let url = format!("{}{path}", self.system.url);
        let mut request = self.system.http.request(method, url);
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        let cookies = self.jar.header(path);
        if !cookies.is_empty() {
            request = request.header("cookie", cookies);
        }
        let answer = request.send().await.unwrap();
        self.jar.take(&answer);
        answer
    }

    async fn sign_in(&mut self, token: &str) -> Value {
        let answer = self.send(Method::POST, "/api/session", Some(token)).await;
        assert_eq!(answer.status(), 201);
        answer.json().await.unwrap()
    }

    async fn status(&mut self, path: &str) -> u16 {
        self.send(Method::GET, path, None).await.status().as_u16()
    }
}

fn start(folder: &std::path::Path) -> Gatepost {
    Gatepost::start_with(folder, &["--delivery", "signed"], &[])
}

/// A token with more claims.
fn token_with(system: &Gatepost, subject: &str, claims: &Value) -> String {
    let output = gatepost()
        .args([
            "token",
            "--sub",
            subject,
            "--claims",
            &claims.to_string(),
            "--data-dir",
        ])
        .arg(&system.data_dir)
        .output()
        .unwrap();
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// The path of the first rendition of a new photo.
async fn uploaded(system: &Gatepost, token: &str) -> String {
    let answer = system.upload(token, "image/jpeg", &photo(64, 48)).await;
    let path = &answer["manifest"]["renditions"][0]["path"];
    path.as_str().unwrap().to_owned()
}

fn policy_of(jar: &Jar, folder: &str) -> Value {
    let name = "CloudFront-Policy".to_owned();
    let policy = &jar.0[&(folder.to_owned(), name)];
    let policy = policy.replace('-', "+").replace('_', "=").replace('~', "/");
    serde_json::from_slice(&BASE64.decode(policy.as_bytes()).unwrap()).unwrap()
}

#[tokio::test]
async fn cookies_open_the_viewers_own_folder_and_no_other() {
    let folder = tempfile::tempdir().unwrap();
    let system = start(folder.path());
    let (alice, bob) = (system.token("alice"), system.token("bob"));
    let (hers, his) = (
        uploaded(&system, &alice).await,
        uploaded(&system, &bob).await,
    );
    let mut browser = Browser::new(&system);
    assert_eq!(browser.status(&hers).await, 403);
    let refused = system.get(&hers, &alice).await;
    assert_eq!(refused.status(), 403, "a token is not read here");
    assert_eq!(refused.headers()["content-type"], "text/xml");
    let body = refused.text().await.unwrap();
    assert!(body.contains("<Code>MissingKey</Code>"), "{body}");

    let answer = browser.sign_in(&alice).await;
    let own = format!("/media/{}/", hers.split('/').nth(2).unwrap());
    assert_eq!(answer["folders"], json!([own]));
    assert_eq!(browser.jar.folders(), [&own]);
    for expected in ["Miss from gatepost", "Hit from gatepost"] {
        let answer = browser.send(Method::GET, &hers, None).await;
        assert_eq!(answer.status(), 200);
        assert_eq!(cache_result(&answer), expected);
        assert_eq!(answer.headers()["cache-control"], "private, no-cache");
    }
    // The cache is warm, and she has cookies for her folder alone.
    let cookies = browser.jar.header(&hers);
    let other = his.strip_prefix("/media/").unwrap();
    for path in [
        his.clone(),
        format!("{own}../{other}"),
        format!("{own}%2e%2e/{other}"),
        format!("{own}..%2f{other}"),
        format!("{own}/../../{other}"),
        format!("/media/./{other}"),
        format!("/o{his}"),
    ] {
        assert_ne!(raw_status(&system, &path, &cookies), 200, "{path}");
    }
    assert_eq!(raw_status(&system, &hers, &cookies), 200);
    // The policy ends with the session at the latest, and names this site.
    let policy = policy_of(&browser.jar, &own);
    let statement = &policy["Statement"][0];
    assert_eq!(statement["Resource"], format!("{}{own}*", system.url));
    let ends = statement["Condition"]["DateLessThan"]["AWS:EpochTime"]
        .as_i64()
        .unwrap();
    let session: jiff::Timestamp = answer["expires_at"].as_str().unwrap().parse().unwrap();
    assert!(ends <= session.as_second(), "{ends} {session}");
}

#[tokio::test]
async fn the_next_person_at_a_browser_has_no_cookies_of_the_last_one() {
    let folder = tempfile::tempdir().unwrap();
    let system = start(folder.path());
    let (alice, bob) = (system.token("alice"), system.token("bob"));
    let (hers, his) = (
        uploaded(&system, &alice).await,
        uploaded(&system, &bob).await,
    );
    let mut browser = Browser::new(&system);
    browser.sign_in(&alice).await;
    assert_eq!(browser.status(&hers).await, 200);
    // Without signing out.
    let answer = browser.sign_in(&bob).await;
    assert_eq!(
        browser.jar.folders(),
        [answer["folders"][0].as_str().unwrap()]
    );
    assert_eq!(browser.status(&hers).await, 403);
    assert_eq!(browser.status(&his).await, 200);
    let ended = browser.send(Method::DELETE, "/api/session", None).await;
    assert_eq!(ended.status(), 204);
    assert!(browser.jar.0.is_empty(), "{:?}", browser.jar.0);
    assert_eq!(browser.status(&his).await, 403);
    // Idempotent, and harmless without a session.
    let ended = browser.send(Method::DELETE, "/api/session", None).await;
    assert_eq!(ended.status(), 204);
}

#[tokio::test]
async fn cookies_are_removed_whatever_else_has_changed() {
    let folder = tempfile::tempdir().unwrap();
    let mut system = start(folder.path());
    let (alice, bob) = (system.token("alice"), system.token("bob"));
    let hers = uploaded(&system, &alice).await;
    let mut browser = Browser::new(&system);
    browser.sign_in(&alice).await;
    // A cookie of another application, or of a sibling domain, that is not text.
    let planted = ("/".to_owned(), "a".to_owned());
    browser.jar.0.insert(planted.clone(), "é".to_owned());
    let ended = browser.send(Method::DELETE, "/api/session", None).await;
    assert_eq!(ended.status(), 204);
    browser.jar.0.remove(&planted);
    assert!(browser.jar.0.is_empty(), "{:?}", browser.jar.0);
    // Her session's key is replaced, so that her session is refused.
    browser.sign_in(&alice).await;
    let jar = std::mem::take(&mut browser.jar);
    drop(browser);
    drop(system);
    std::fs::remove_file(folder.path().join("session-key.json")).unwrap();
    system = start(folder.path());
    let mut browser = Browser {
        system: &system,
        jar,
    };
    browser.sign_in(&bob).await;
    assert_eq!(
        browser.jar.folders().len(),
        1,
        "{:?}",
        browser.jar.folders()
    );
    assert_eq!(browser.status(&hers).await, 403);
}

#[tokio::test]
async fn groups_become_folders_only_if_they_are_names() {
    let folder = tempfile::tempdir().unwrap();
    let system = start(folder.path());
    let groups = json!([
        "red",
        "*",
        "?",
        "..",
        ".",
        "a;Domain=x",
        "a/b",
        "",
        "é",
        "blue",
        "red"
    ]);
    let token = token_with(&system, "alice", &json!({ "groups": groups }));
    let mut browser = Browser::new(&system);
    browser.sign_in(&token).await;
    let folders = browser.jar.folders();
    assert_eq!(folders[1..], ["/team/blue/", "/team/red/"]);
    // Scopes are checked before a folder is granted.
    let token = token_with(&system, "alice", &json!({"scope": "media:admin"}));
    let answer = browser.sign_in(&token).await;
    assert_eq!(answer["folders"][1], "/admin/");
    assert_eq!(
        browser.jar.folders().len(),
        2,
        "{:?}",
        browser.jar.folders()
    );
    // A file without a rule for its owner is open to anyone.
    assert_eq!(browser.status("/public/none.txt").await, 404);
}

#[tokio::test]
async fn a_session_has_at_most_ten_folders_and_says_how_many_are_left_out() {
    let folder = tempfile::tempdir().unwrap();
    let system = start(folder.path());
    let groups: Vec<_> = (0..20).map(|n| format!("g{n}")).collect();
    let token = token_with(&system, "alice", &json!({ "groups": groups }));
    let mut browser = Browser::new(&system);
    let answer = browser.sign_in(&token).await;
    assert_eq!(answer["folders"].as_array().unwrap().len(), 10);
    assert_eq!(answer["n_folders_left_out"], 11);
    assert_eq!(browser.jar.folders().len(), 10);
    browser.send(Method::DELETE, "/api/session", None).await;
    assert!(browser.jar.0.is_empty());
}

#[tokio::test]
async fn a_caller_without_cookies_gets_signed_urls() {
    let folder = tempfile::tempdir().unwrap();
    let system = start(folder.path());
    let alice = system.token("alice");
    let path = uploaded(&system, &alice).await;
    let listed: Value = system.get("/api/media", &alice).await.json().await.unwrap();
    let rendition = &listed["items"][0]["renditions"][0];
    assert_eq!(rendition["path"], path);
    let url = rendition["url"].as_str().unwrap();
    // Below the folder of links, whose pictures pages of other sites may show.
    let begin = format!("{}/shared{path}?Expires=", system.url);
    assert!(url.starts_with(&begin), "{url}");
    assert!(listed["urls_expire_at"].is_string());
    let answer = system.http.get(url).send().await.unwrap();
    assert_eq!(
        answer.headers()["cross-origin-resource-policy"],
        "cross-origin"
    );
    let get = async |url: &str| system.http.get(url).send().await.unwrap().status().as_u16();
    assert_eq!(get(url).await, 200);
    assert_eq!(get(&url.replacen("Expires=", "Expires=1", 1)).await, 403);
    assert_eq!(get(url.split('?').next().unwrap()).await, 403);
    assert_eq!(get(&url.replace("/shared", "")).await, 403);
    // With a cookie the path is enough.
    let mut browser = Browser::new(&system);
    browser.sign_in(&alice).await;
    let listed = browser.send(Method::GET, "/api/media", None).await;
    let listed: Value = listed.json().await.unwrap();
    assert_eq!(listed["items"][0]["renditions"][0]["url"], path);
    assert!(listed["urls_expire_at"].is_null());
}

/// A URL works without the rules, so it is signed only if they allow its caller.
#[tokio::test]
async fn a_listing_signs_nothing_that_the_caller_may_not_read() {
    let folder = tempfile::tempdir().unwrap();
    let example = std::fs::read_to_string(repository("gatepost.toml")).unwrap();
    let rule = "path  = \"/media/{owner}/**\"\nallow = \"owner\"";
    assert!(example.contains(rule));
    let scoped = "path  = \"/media/{owner}/**\"\nscopes = [\"photos:read\"]";
    for mode in ["lambda", "signed", "presigned"] {
        let config = format!(
            "{}\n[delivery]\nmode = \"{mode}\"\n",
            example.replace(rule, scoped)
        );
        let data_dir = folder.path().join(mode);
        let system = Gatepost::start_configured(&data_dir, &config);
        let reads = token_with(&system, "alice", &json!({"scope": "photos:read"}));
        let writes = token_with(&system, "alice", &json!({"scope": "photos:write"}));
        let path = uploaded(&system, &reads).await;
        for (token, is_signed) in [(&reads, true), (&writes, false)] {
            let listed: Value = system.get("/api/media", token).await.json().await.unwrap();
            let url = listed["items"][0]["renditions"][0]["url"].as_str().unwrap();
            assert_eq!(url != path, is_signed, "{mode} {url}");
            assert_eq!(listed["urls_expire_at"].is_string(), is_signed, "{mode}");
        }
    }
}

#[test]
fn rules_that_are_not_folders_are_told_with_their_lines() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("gatepost.toml");
    let example = std::fs::read_to_string(repository("gatepost.toml")).unwrap();
    let rule = "[[rules]]\npath = \"/team/red/logo.svg\"\nallow = \"anyone\"\n";
    let example = example.replacen("[[rules]]", &format!("{rule}[[rules]]"), 1);
    let config = format!("{example}\n[delivery]\nmode = \"signed\"\n");
    std::fs::write(&file, &config).unwrap();
    let output = gatepost()
        .args(["replay", "test-events/uploads", "--config"])
        .arg(&file)
        .current_dir(repository(""))
        .output()
        .unwrap();
    let (_, stderr) = text(&output);
    let mut lines = config.lines();
    let line = 1 + lines
        .position(|line| line.contains("{claim:groups}"))
        .unwrap();
    let expected = format!(
        "gatepost.toml:{line}: rules[2].path: its folder and that of rules[0] are within each other"
    );
    assert!(stderr.contains(&expected), "{stderr}");
    assert_eq!(output.status.code(), Some(2));
}
