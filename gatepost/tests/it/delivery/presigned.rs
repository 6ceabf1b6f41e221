//! Delivery in mode `presigned`: S3's signatures through the emulated distribution, and uploads through it.

use reqwest::Method;
use serde_json::{Value, json};

use super::cache_result;
use crate::harness::{Gatepost, gatepost, photo, post_form, repository, text};

fn start(folder: &std::path::Path) -> Gatepost {
    Gatepost::start_with(folder, &["--delivery", "presigned"], &[])
}

async fn listed(system: &Gatepost, token: &str) -> Value {
    let answer = system.get("/api/media", token).await;
    assert_eq!(answer.status(), 200);
    answer.json().await.unwrap()
}

fn first_url(listed: &Value) -> String {
    let rendition = &listed["items"][0]["renditions"][0];
    rendition["url"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_presigned_url_opens_one_object_and_nothing_opens_it_without() {
    let folder = tempfile::tempdir().unwrap();
    let system = start(folder.path());
    let (alice, bob) = (system.token("alice"), system.token("bob"));
    for person in [&alice, &bob] {
        system.upload(person, "image/jpeg", &photo(640, 480)).await;
    }
    let (hers, his) = (listed(&system, &alice).await, listed(&system, &bob).await);
    assert!(hers["urls_expire_at"].is_string());
    let (hers, his) = (first_url(&hers), first_url(&his));
    let (path, query) = hers.split_once('?').unwrap();
    assert!(
        path.starts_with(&format!("{}/media/", system.url)),
        "{path}"
    );
    let get = async |url: &str| system.http.get(url).send().await.unwrap();
    for expected in ["Miss from gatepost", "Hit from gatepost"] {
        let answer = get(&hers).await;
        assert_eq!(answer.status(), 200);
        assert_eq!(cache_result(&answer), expected);
        assert_eq!(answer.headers()["cache-control"], "private, no-cache");
        assert_eq!(answer.headers()["content-type"], "image/webp");
        // Who has the URL may see it, on any page.
        assert_eq!(
            answer.headers()["cross-origin-resource-policy"],
            "cross-origin"
        );
    }
    // The cache is warm. A request without a signature never reaches it, and another signature is another entry.
    let (other, _) = his.split_once('?').unwrap();
    let changed = query.replacen("X-Amz-Signature=", "X-Amz-Signature=0", 1);
    let later = query.replacen("X-Amz-Expires=", "X-Amz-Expires=9", 1);
    for (url, code) in [
        (path.to_owned(), None),
        (format!("{path}?"), None),
        (format!("{path}?X-Amz-Signature="), None),
        (format!("{path}?X-Amz-Signature=a&X-Amz-Signature=b"), None),
        (format!("{path}?X-Amz-Signature=ab"), Some("AccessDenied")),
        (format!("{path}?{changed}"), Some("SignatureDoesNotMatch")),
        (format!("{path}?{later}"), Some("SignatureDoesNotMatch")),
        (format!("{other}?{query}"), Some("SignatureDoesNotMatch")),
    ] {
        let answer = get(&url).await;
        let status = answer.status().as_u16();
        assert!([400, 403].contains(&status), "{status} {url}");
        let is_xml = answer.text().await.unwrap().contains("<Code>");
        assert_eq!(is_xml, code.is_some(), "{url}");
    }
    // Tokens are for the API.
    let relative = path.strip_prefix(&system.url).unwrap();
    assert_eq!(system.get(relative, &alice).await.status(), 403);
    // Within a window everybody gets the same URLs, so caches can use them.
    let window = |url: &str| url.split("X-Amz-Date=").nth(1).unwrap()[..16].to_owned();
    let again = first_url(&listed(&system, &alice).await);
    assert!(again == hers || window(&again) != window(&hers), "{again}");
    // A link of the same object is on the same site.
    let request = system.request(Method::POST, "/api/links", &alice);
    let link = request
        .json(&json!({"path": relative, "expires_in": 60}))
        .send()
        .await;
    let link: Value = link.unwrap().json().await.unwrap();
    let link = link["url"].as_str().unwrap();
    assert!(link.starts_with(path), "{link}");
    assert_eq!(get(link).await.status(), 200);
}

#[tokio::test]
async fn a_deleted_picture_is_gone_at_its_url_when_its_entry_has_expired() {
    let folder = tempfile::tempdir().unwrap();
    let system = start(folder.path());
    let alice = system.token("alice");
    let answer = system.upload(&alice, "image/jpeg", &photo(640, 480)).await;
    assert!(answer["urls_expire_at"].is_string());
    let [cached, other] = [0, 1].map(|n: usize| {
        let url = answer["manifest"]["renditions"][n]["url"].as_str();
        url.unwrap().to_owned()
    });
    let get = async |url: &str| system.http.get(url).send().await.unwrap();
    assert_eq!(get(&cached).await.status(), 200);
    let id = answer["id"].as_str().unwrap();
    let deleted = system.request(Method::DELETE, &format!("/api/media/{id}"), &alice);
    assert_eq!(deleted.send().await.unwrap().status(), 204);
    assert_eq!(get(&other).await.status(), 404);
    // An invalidation cannot name it; it is there for a minute at most.
    let kept = get(&cached).await;
    assert_eq!(cache_result(&kept), "Hit from gatepost");
}

/// What no rule matches is denied, so a behaviour without a signature must not be wider than the rules.
#[tokio::test]
async fn only_what_a_rule_opens_as_a_whole_needs_no_signature() {
    let folder = tempfile::tempdir().unwrap();
    let system = start(folder.path());
    let get = async |path: &str| {
        let url = format!("{}{path}", system.url);
        system.http.get(url).send().await.unwrap().status().as_u16()
    };
    assert_eq!(get("/public/none.txt").await, 404);
    assert_eq!(get("/team/red/none.txt").await, 403);
    let config = folder.path().with_extension("toml");
    std::fs::write(
        &config,
        "[token]\nfrom = [\"authorization\", \"cookie:__Host-gatepost\"]\n[delivery]\nmode = \"presigned\"\n\
         [[rules]]\npath = \"/albums/*/cover.webp\"\nallow = \"anyone\"\n",
    )
    .unwrap();
    let output = gatepost()
        .args(["dev", "--port", "0", "--data-dir"])
        .arg(folder.path().join("other"))
        .arg("--config")
        .arg(&config)
        .output()
        .unwrap();
    let (_, stderr) = text(&output);
    let expected = "rules[0].path: in mode \"presigned\" CloudFront opens only a whole folder";
    assert!(stderr.contains(expected), "{stderr}");
    assert_eq!(output.status.code(), Some(1), "{stderr}");
}

#[tokio::test]
async fn uploads_come_through_the_distribution() {
    let folder = tempfile::tempdir().unwrap();
    let system = start(folder.path());
    let alice = system.token("alice");
    let bytes = photo(64, 48);
    let form = system.form(&alice, "image/jpeg", &bytes).await;
    let url = format!("{}/upload", system.url);
    assert_eq!(form.url(), url);
    let answer = form.send(&system.http, &bytes).await;
    assert_eq!(answer.status(), 204);
    assert_eq!(answer.headers()["x-content-type-options"], "nosniff");
    assert!(
        answer.headers()["content-security-policy"]
            .to_str()
            .unwrap()
            .contains("sandbox")
    );
    let answer = system.settled(&alice, &form.id()).await;
    assert_eq!(answer["status"], "ready");
    // S3 checks the form as if it came directly.
    let form = system.form(&alice, "image/jpeg", &bytes).await;
    let mut fields = form.fields();
    fields[0].1.push('x');
    let refused = post_form(&system.http, &url, &fields, &bytes)
        .await
        .unwrap();
    assert_eq!(refused.status(), 403);
    let refused = form
        .send(&system.http, &[&bytes[..], b"more"].concat())
        .await;
    assert_eq!(refused.status(), 400);
    for (method, url, status) in [
        (Method::GET, url.clone(), 405),
        (Method::PUT, url.clone(), 405),
        (Method::POST, format!("{url}?acl"), 400),
        (Method::POST, format!("{url}/x"), 404),
    ] {
        let answer = system
            .http
            .request(method.clone(), &url)
            .send()
            .await
            .unwrap();
        assert_eq!(answer.status(), status, "{method} {url}");
    }
}

#[tokio::test]
async fn every_mode_can_take_uploads_through_the_distribution() {
    let folder = tempfile::tempdir().unwrap();
    let example = std::fs::read_to_string(repository("gatepost.toml")).unwrap();
    let config = example.replace("[uploads]\n", "[uploads]\nthrough = \"distribution\"\n");
    let system = Gatepost::start_configured(folder.path(), &config);
    let alice = system.token("alice");
    let answer = system.upload(&alice, "image/jpeg", &photo(64, 48)).await;
    let rendition = &answer["manifest"]["renditions"][0];
    assert_eq!(
        system
            .get(rendition["path"].as_str().unwrap(), &alice)
            .await
            .status(),
        200
    );
    // A caller with a token gets a signed URL, here of the bucket, because no key of CloudFront is configured.
    let url = rendition["url"].as_str().unwrap();
    assert!(!url.starts_with(&system.url), "{url}");
    assert_eq!(system.http.get(url).send().await.unwrap().status(), 200);
}

/// On AWS each instance of the API assumes the signer role itself, and its session's token is a part of the URL. What is
/// not in the credentials does not differ.
#[tokio::test]
async fn two_processes_with_the_same_credentials_make_the_same_urls() {
    let folders = [0; 3].map(|_| tempfile::tempdir().unwrap());
    // Its S3 is that of the others.
    let storage = Gatepost::start(folders[0].path());
    let alice = storage.token("alice");
    let bytes = photo(64, 48);
    let form = storage.form(&alice, "image/jpeg", &bytes).await;
    assert_eq!(form.send(&storage.http, &bytes).await.status(), 204);
    storage.settled(&alice, &form.id()).await;
    let endpoint = form.url().strip_suffix("/gatepost-uploads").unwrap();
    let credentials = std::fs::read(folders[0].path().join("s3-credentials.json")).unwrap();
    let credentials: Value = serde_json::from_slice(&credentials).unwrap();
    let of = |name: &str| credentials[name].as_str().unwrap();
    let [one, two] = [1, 2].map(|n: usize| {
        // The same person at each: the issuer's key is in the data directory.
        for entry in std::fs::read_dir(folders[0].path()).unwrap() {
            let file = entry.unwrap().path();
            let name = file.file_name().unwrap();
            if file.is_file() && name != "lock" {
                std::fs::copy(&file, folders[n].path().join(name)).unwrap();
            }
        }
        Gatepost::start_with(
            folders[n].path(),
            &["--delivery", "presigned", "--endpoint-url", endpoint],
            &[
                ("AWS_ACCESS_KEY_ID", of("access_key_id")),
                ("AWS_SECRET_ACCESS_KEY", of("secret_access_key")),
                ("AWS_REGION", "us-east-1"),
            ],
        )
    });
    let query = async |system: &Gatepost| {
        let url = first_url(&listed(system, &alice).await);
        assert_eq!(system.http.get(&url).send().await.unwrap().status(), 200);
        url.split_once('?').unwrap().1.to_owned()
    };
    let (one, two) = (query(&one).await, query(&two).await);
    let window = |query: &str| query.split("X-Amz-Date=").nth(1).unwrap()[..16].to_owned();
    assert!(one == two || window(&one) != window(&two), "{one} {two}");
}
