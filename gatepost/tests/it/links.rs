//! Links and deletion through the front door.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::harness::{Gatepost, photo, repository};

#[tokio::test]
async fn a_link_reads_what_its_maker_may_read() {
    let folder = tempfile::tempdir().unwrap();
    let system = Gatepost::start_configured(
        &folder.path().join("data"),
        r#"
        [[rules]]
        path  = "/media/{owner}/**"
        allow = "owner"
        [links]
        max_expires_in = "1h"
        shared_within  = "24h"
        "#,
    );
    let (alice, bob) = (system.token("alice"), system.token("bob"));
    let answer = system.upload(&alice, "image/jpeg", &photo(640, 480)).await;
    let path = answer["manifest"]["renditions"][0]["path"]
        .as_str()
        .unwrap();
    let ask = async |token: &str, path: &str, expires_in: Value| {
        let response = system
            .request(Method::POST, "/api/links", token)
            .json(&json!({"path": path, "expires_in": expires_in}))
            .send()
            .await
            .unwrap();
        let status = response.status().as_u16();
        (status, response.json::<Value>().await.unwrap())
    };

    let (status, link) = ask(&alice, path, json!(60)).await;
    assert_eq!(status, 201);
    let url = link["url"].as_str().unwrap();
    assert!(
        url.contains("&response-cache-control=private%2C%20no-cache&"),
        "{url}"
    );
    // It needs no sign-in.
    let shared = system.http.get(url).send().await.unwrap();
    assert_eq!(shared.status(), 200);
    assert_eq!(shared.headers()["content-type"], "image/webp");
    // Every request within a day gets the same link, so browsers can cache it.
    assert_eq!(ask(&alice, path, json!(60)).await.1["url"], link["url"]);
    let other = url.replace("640.webp", "manifest.json");
    assert_eq!(system.http.get(other).send().await.unwrap().status(), 403);

    for (token, path, expires_in, status, problem) in [
        (&bob, path, json!(60), 403, "not_readable"),
        (&alice, "/elsewhere/x", json!(60), 403, "not_readable"),
        (&alice, "media/x", json!(60), 400, "invalid_body"),
        (&alice, "/media/../x", json!(60), 400, "invalid_body"),
        (&alice, "/media/a%2fb", json!(60), 400, "invalid_body"),
        (&alice, "/media/a?b=c", json!(60), 400, "invalid_body"),
        (&alice, path, json!(0), 400, "invalid_body"),
        (&alice, path, json!(3601), 400, "invalid_body"),
        (&alice, path, json!(-1), 400, "invalid_body"),
        (&alice, path, json!("1h"), 400, "invalid_body"),
    ] {
        let (found, body) = ask(token, path, expires_in).await;
        assert_eq!(found, status, "{path} {body}");
        assert_eq!(body["type"], format!("urn:gatepost:problem:{problem}"));
    }
}

/// On AWS the bucket's signatures end with a session of an hour, and CloudFront's keys do not.
#[tokio::test]
async fn a_links_maximum_lifetime_depends_on_its_signer() {
    let key = std::fs::read_to_string(repository("url-signing/tests/keys/p256-sec1.pem")).unwrap();
    let cloudfront = [
        ("GATEPOST_CLOUDFRONT_URL", "https://media.example.com"),
        ("GATEPOST_CLOUDFRONT_KEY_PAIR_ID", "K2JCJMDEHXQW5F"),
        ("GATEPOST_CLOUDFRONT_PRIVATE_KEY", &*key),
    ];
    for (variables, config, max) in [
        ([].as_slice(), "", 45 * 60),
        (&cloudfront, "", 24 * 60 * 60),
        (&cloudfront, "[links]\nmax_expires_in = \"10m\"\n", 600),
        (&[], "[links]\nmax_expires_in = \"1h\"\n", 3600),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("gatepost.toml");
        let rule = "[[rules]]\npath = \"/media/{owner}/**\"\nallow = \"owner\"\n";
        std::fs::write(&file, format!("{rule}{config}")).unwrap();
        let arguments = ["--config", file.to_str().unwrap()];
        let system = Gatepost::start_with(&folder.path().join("data"), &arguments, variables);
        let settings = format!("{}/settings.json", system.url);
        let settings = system.http.get(settings).send().await.unwrap();
        let settings: Value = settings.json().await.unwrap();
        assert_eq!(settings["link_seconds"], max, "{config}");
        let alice = system.token("alice");
        let form = system.form(&alice, "image/jpeg", b"x").await;
        for (seconds, status) in [(max, 201), (max + 1, 400)] {
            let response = system
                .request(Method::POST, "/api/links", &alice)
                .json(&json!({"path": form.0["manifest"], "expires_in": seconds}))
                .send()
                .await
                .unwrap();
            assert_eq!(response.status(), status, "{config} {seconds}");
        }
    }
}

#[tokio::test]
async fn deletion_is_idempotent() {
    let folder = tempfile::tempdir().unwrap();
    let system = Gatepost::start(folder.path());
    let (alice, bob) = (system.token("alice"), system.token("bob"));
    let jpeg = photo(640, 480);
    let answer = system.upload(&alice, "image/jpeg", &jpeg).await;
    let kept = system.upload(&alice, "image/jpeg", &photo(320, 240)).await;
    let id = answer["id"].as_str().unwrap();
    let manifest = &answer["manifest"];
    let owner = manifest["owner"].as_str().unwrap();
    let delete = async |token: &str, id: &str| -> StatusCode {
        let path = format!("/api/media/{id}");
        let request = system.request(Method::DELETE, &path, token);
        request.send().await.unwrap().status()
    };
    let media = folder
        .path()
        .join("s3/gatepost-media/o/media")
        .join(owner)
        .join(id);
    let upload = folder
        .path()
        .join("s3/gatepost-uploads/uploads")
        .join(owner)
        .join(id);
    assert!(media.join("manifest.json").exists() && upload.exists());

    // Bob's request deletes nothing of alice's: it names a missing upload of bob.
    assert_eq!(delete(&bob, id).await, 204);
    assert!(media.join("manifest.json").exists() && upload.exists());

    // It is in the edge's cache.
    let path = manifest["renditions"][0]["path"].as_str().unwrap();
    for cache in ["Miss from gatepost", "Hit from gatepost"] {
        assert_eq!(system.get(path, &alice).await.headers()["x-cache"], cache);
    }
    for _ in 0..2 {
        assert_eq!(delete(&alice, id).await, 204);
        // The tombstone.
        let left = std::fs::read_dir(&media).map_or(0, Iterator::count);
        assert_eq!(left, 1);
        assert!(!upload.exists());
        let path = format!("/api/uploads/{id}");
        let status: Value = system.get(&path, &alice).await.json().await.unwrap();
        assert_eq!(status, json!({"id": id, "status": "deleted"}));
    }
    let page: Value = system.get("/api/media", &alice).await.json().await.unwrap();
    assert_eq!(page["items"].as_array().unwrap().len(), 1);
    assert_eq!(page["items"][0]["id"], kept["id"]);
    assert_eq!(system.get(path, &alice).await.status(), 404);
    assert_eq!(delete(&alice, "x").await, 404);
    assert_eq!(delete(&alice, "..%2F..%2Fx").await, 404);

    // The next start does not find it again.
    drop(system);
    let system = Gatepost::start(folder.path());
    let page: Value = system.get("/api/media", &alice).await.json().await.unwrap();
    assert_eq!(page["items"].as_array().unwrap().len(), 1);
    assert!(!upload.exists());

    // A rejected upload can be deleted, too.
    let bad = system.upload(&alice, "image/jpeg", b"no picture").await;
    let path = format!("/api/media/{}", bad["id"].as_str().unwrap());
    let answer = system.request(Method::DELETE, &path, &alice).send().await;
    assert_eq!(answer.unwrap().status(), 204);
}

#[tokio::test]
async fn scripts_of_the_sites_that_are_named_read_what_they_may_fetch() {
    let folder = tempfile::tempdir().unwrap();
    let system = Gatepost::start_configured(
        &folder.path().join("data"),
        r#"
        [[rules]]
        path  = "/media/{owner}/**"
        allow = "owner"
        [cors]
        origins     = ["https://app.example.com"]
        credentials = true
        "#,
    );
    let (alice, bob) = (system.token("alice"), system.token("bob"));
    let answer = system.upload(&alice, "image/jpeg", &photo(640, 480)).await;
    let path = answer["manifest"]["renditions"][0]["path"]
        .as_str()
        .unwrap();
    let missing = path.replace("640.webp", "1.webp");
    // From the bucket, from the cache, refused, and missing.
    for (token, path, status) in [
        (&alice, path, 200),
        (&alice, path, 200),
        (&bob, path, 403),
        (&alice, &missing, 404),
    ] {
        for (origin, granted) in [
            ("https://app.example.com", Some("https://app.example.com")),
            ("https://evil.example.com", None),
        ] {
            let request = system.request(Method::GET, path, token);
            let response = request.header("origin", origin).send().await.unwrap();
            assert_eq!(response.status().as_u16(), status);
            let header = |name| {
                let value = response.headers().get(name);
                value.map(|value| value.to_str().unwrap())
            };
            assert_eq!(header("access-control-allow-origin"), granted, "{status}");
            let credentials = granted.map(|_| "true");
            assert_eq!(header("access-control-allow-credentials"), credentials);
            assert_eq!(header("vary"), Some("Origin"));
        }
    }
}
