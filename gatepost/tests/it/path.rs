//! The whole path: a photo is uploaded, thumbnails are published, and only their owner sees them.

use reqwest::{Method, Response};
use serde_json::Value;

use crate::harness::{Gatepost, photo};

fn header<'a>(response: &'a Response, name: &str) -> &'a str {
    response
        .headers()
        .get(name)
        .map_or("", |value| value.to_str().unwrap())
}

#[tokio::test]
async fn a_photo_becomes_thumbnails_that_its_owner_can_fetch() {
    let folder = tempfile::tempdir().unwrap();
    let system = Gatepost::start(folder.path());
    let (alice, bob) = (system.token("alice"), system.token("bob"));

    let answer = system
        .upload(&alice, "image/jpeg", &photo(1500, 1000))
        .await;
    assert_eq!(answer["status"], "ready", "{answer}");
    let manifest = &answer["manifest"];
    let sizes: Vec<_> = manifest["renditions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|rendition| {
            (
                rendition["width"].as_u64().unwrap(),
                rendition["height"].as_u64().unwrap(),
            )
        })
        .collect();
    // 1920 would be larger than the source.
    assert_eq!(sizes, [(1280, 853), (640, 427), (320, 213)]);
    assert_eq!(
        (&manifest["source"]["width"], &manifest["source"]["height"]),
        (&1500.into(), &1000.into())
    );

    // What the manifest says of a file is true of the file.
    let rendition = &manifest["renditions"][1];
    let path = rendition["path"].as_str().unwrap();
    let response = system.get(path, &alice).await;
    assert_eq!(response.status(), 200);
    assert_eq!(header(&response, "content-type"), "image/webp");
    assert_eq!(header(&response, "x-cache"), "Miss from gatepost");
    assert_eq!(header(&response, "cache-control"), "private, no-cache");
    assert_eq!(
        header(&response, "cross-origin-resource-policy"),
        "same-site"
    );
    let etag = header(&response, "etag").to_owned();
    let bytes = response.bytes().await.unwrap();
    assert_eq!(bytes.len() as u64, rendition["bytes"].as_u64().unwrap());
    let decoded = image::load_from_memory(&bytes).unwrap();
    assert_eq!((decoded.width(), decoded.height()), (640, 427));

    // The second time it comes from the cache.
    let response = system.get(path, &alice).await;
    assert_eq!(header(&response, "x-cache"), "Hit from gatepost");
    assert!(header(&response, "age").parse::<u64>().is_ok());
    let response = system
        .request(Method::HEAD, path, &alice)
        .send()
        .await
        .unwrap();
    assert_eq!(header(&response, "content-length"), bytes.len().to_string());
    let response = system
        .request(Method::GET, path, &alice)
        .header("range", "bytes=0-3")
        .send()
        .await
        .unwrap();
    assert_eq!(
        (
            response.status().as_u16(),
            response.bytes().await.unwrap().as_ref()
        ),
        (206, b"RIFF".as_slice())
    );
    let response = system
        .request(Method::GET, path, &alice)
        .header("if-none-match", etag)
        .send()
        .await
        .unwrap();
    assert_eq!(response.status(), 304);

    // Other users do not get it, although it is cached, and the refusal reveals little.
    let response = system.get(path, &bob).await;
    assert_eq!(response.status(), 403);
    assert_eq!(
        (
            header(&response, "x-cache"),
            header(&response, "cache-control")
        ),
        ("", "no-store")
    );
    // A foreign cookie in any encoding does no harm.
    let mut cookie = b"x=\xf6; __Host-gatepost=".to_vec();
    cookie.extend_from_slice(alice.as_bytes());
    let cookie = reqwest::header::HeaderValue::from_bytes(&cookie).unwrap();
    for path in [path, "/api/media", "/api/session"] {
        let request = system
            .http
            .get(format!("{}{path}", system.url))
            .header("cookie", &cookie);
        assert_eq!(request.send().await.unwrap().status(), 200, "{path}");
    }
    let response = system
        .http
        .get(format!("{}{path}", system.url))
        .send()
        .await
        .unwrap();
    assert_eq!(response.status(), 401);
    assert_eq!(header(&response, "www-authenticate"), "Bearer");
    let browser = system
        .http
        .get(format!("{}{path}", system.url))
        .header("accept", "text/html");
    let response = browser.send().await.unwrap();
    assert_eq!(response.status(), 302);
    assert!(header(&response, "location").starts_with("/?sign_in&return_to=%2Fmedia%2F"));

    // The gallery is each one's own.
    let gallery: Value = system.get("/api/media", &alice).await.json().await.unwrap();
    assert_eq!(gallery["items"][0], *manifest);
    let gallery: Value = system.get("/api/media", &bob).await.json().await.unwrap();
    assert_eq!(gallery["items"].as_array().unwrap().len(), 0);
    let id = manifest["id"].as_str().unwrap();
    let stolen = format!("/api/uploads/{id}");
    let answer: Value = system.get(&stolen, &bob).await.json().await.unwrap();
    // For all that bob is told, somebody may just have been given a form of that id.
    assert_eq!(answer, serde_json::json!({"id": id, "status": "pending"}));

    // All of it is there after a restart.
    assert!(system.interrupt());
    let system = Gatepost::start(folder.path());
    let response = system.get(path, &alice).await;
    assert_eq!(
        (response.status().as_u16(), header(&response, "x-cache")),
        (200, "Miss from gatepost")
    );
}

#[tokio::test]
async fn a_file_that_is_not_an_image_is_rejected_with_a_reason() {
    let folder = tempfile::tempdir().unwrap();
    let system = Gatepost::start(folder.path());
    let alice = system.token("alice");
    let jpeg = photo(640, 480);
    let mut png = Vec::new();
    image::DynamicImage::new_rgb8(8, 8)
        .write_to(&mut std::io::Cursor::new(&mut png), image::ImageFormat::Png)
        .unwrap();
    for (content_type, bytes, code) in [
        (
            "image/jpeg",
            b"This is a text, whatever its name.".as_slice(),
            "unsupported_type",
        ),
        ("image/jpeg", &jpeg[..jpeg.len() / 2], "truncated"),
        ("image/jpeg", &png, "type_mismatch"),
        ("image/png", &jpeg, "type_mismatch"),
    ] {
        let answer = system.upload(&alice, content_type, bytes).await;
        assert_eq!(
            (&answer["status"], &answer["reason"]["code"]),
            (&"rejected".into(), &code.into()),
            "{answer}"
        );
        assert!(
            answer["reason"]["message"].as_str().unwrap().ends_with('.'),
            "{answer}"
        );
    }
    let gallery: Value = system.get("/api/media", &alice).await.json().await.unwrap();
    assert_eq!(gallery["items"].as_array().unwrap().len(), 0);
}

#[tokio::test]
async fn a_gallery_is_paged_newest_first() {
    let folder = tempfile::tempdir().unwrap();
    let system = Gatepost::start(folder.path());
    let alice = system.token("alice");
    let jpeg = photo(64, 48);
    let mut ids = Vec::new();
    for _ in 0..27 {
        let answer = system.upload(&alice, "image/jpeg", &jpeg).await;
        ids.insert(0, answer["id"].as_str().unwrap().to_owned());
    }
    let mut listed = Vec::new();
    let mut path = "/api/media".to_owned();
    let mut n_pages = 0;
    loop {
        let page: Value = system.get(&path, &alice).await.json().await.unwrap();
        listed.extend(
            page["items"]
                .as_array()
                .unwrap()
                .iter()
                .map(|item| item["id"].as_str().unwrap().to_owned()),
        );
        n_pages += 1;
        match page["cursor"].as_str() {
            Some(cursor) => path = format!("/api/media?cursor={cursor}"),
            None => break,
        }
    }
    assert_eq!(n_pages, 2);
    assert_eq!(listed, ids);
    assert_eq!(
        system.get("/api/media?cursor=../x", &alice).await.status(),
        400
    );
}

#[tokio::test]
async fn a_request_by_another_name_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let system = Gatepost::start(folder.path());
    let response = system
        .http
        .get(&system.url)
        .header("host", "evil.example")
        .send()
        .await
        .unwrap();
    assert_eq!(response.status(), 421);
    let key_set: Value = system
        .get("/.well-known/jwks.json", "")
        .await
        .json()
        .await
        .unwrap();
    assert_eq!(key_set["keys"][0]["kty"], "EC");
    assert_eq!(key_set["keys"][0].get("d"), None);
}

/// Keys begin with the origin path, and paths do not: a path that names it is the path of another object.
#[tokio::test]
async fn a_path_that_names_the_origin_path_reaches_no_object() {
    let folder = tempfile::tempdir().unwrap();
    let config = r#"
        [[rules]]
        path  = "/media/{owner}/**"
        allow = "owner"

        [[rules]]
        path  = "/o/**"
        allow = "anyone"
    "#;
    let system = Gatepost::start_configured(folder.path(), config);
    let alice = system.token("alice");
    let answer = system.upload(&alice, "image/jpeg", &photo(640, 480)).await;
    let path = answer["manifest"]["renditions"][0]["path"]
        .as_str()
        .unwrap();
    let stored = folder.path().join("s3/gatepost-media/o");
    assert!(stored.join(&path[1..]).exists(), "{path}");

    let direct = format!("/o{path}");
    for (path, key, status) in [
        (path, format!("o{path}"), 200),
        (&direct, format!("o{direct}"), 404),
    ] {
        assert_eq!(system.get(path, &alice).await.status(), status, "{path}");

        let wish = serde_json::json!({"path": path, "expires_in": 60});
        let link = system.request(Method::POST, "/api/links", &alice);
        let link = link.json(&wish).send().await.unwrap();
        let link: Value = link.json().await.unwrap();
        let url = link["url"].as_str().unwrap();
        assert!(url.contains(&format!("/gatepost-media/{key}?")), "{url}");
        let shared = system.http.get(url).send().await.unwrap();
        assert_eq!(shared.status(), status, "{url}");
    }
}
