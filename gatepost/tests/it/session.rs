//! Sessions through the front door: what carries them, whom they let in, and where `CloudFront`'s cookies go.

use reqwest::{Method, Response};
use serde_json::Value;

use crate::harness::{Gatepost, gatepost, photo, repository, text};

fn cookies(response: &Response) -> Vec<String> {
    let lines = response.headers().get_all("set-cookie");
    lines
        .iter()
        .map(|line| line.to_str().unwrap().to_owned())
        .collect()
}

#[tokio::test]
async fn a_session_sees_what_its_token_sees_until_it_ends() {
    let folder = tempfile::tempdir().unwrap();
    let system = Gatepost::start(folder.path());
    let alice = system.token("alice");
    let answer = system.upload(&alice, "image/jpeg", &photo(640, 480)).await;
    let path = answer["manifest"]["renditions"][0]["path"]
        .as_str()
        .unwrap();
    let url = format!("{}{path}", system.url);

    let started = system
        .request(Method::POST, "/api/session", &alice)
        .send()
        .await
        .unwrap();
    assert_eq!(started.status(), 201);
    let lines = cookies(&started);
    let [line] = lines.as_slice() else {
        panic!("{lines:?}");
    };
    let (cookie, attributes) = line.split_once("; ").unwrap();
    assert!(cookie.starts_with("__Host-gatepost="), "{cookie}");
    let attributes: Vec<_> = attributes.split("; ").collect();
    let [others @ .., age] = attributes.as_slice() else {
        panic!("{attributes:?}");
    };
    assert_eq!(others, ["HttpOnly", "SameSite=Lax", "Secure", "Path=/"]);
    // As long as the token: it lasts an hour.
    let age: u32 = age.strip_prefix("Max-Age=").unwrap().parse().unwrap();
    assert!((3540..=3600).contains(&age), "{age}");
    let get = |url: String, cookie: &str| system.http.get(url).header("cookie", cookie).send();
    assert_eq!(get(url.clone(), cookie).await.unwrap().status(), 200);
    let media = format!("{}/api/media", system.url);
    assert_eq!(get(media.clone(), cookie).await.unwrap().status(), 200);

    // Bob's session is bob's.
    let bob = system
        .request(Method::POST, "/api/session", &system.token("bob"))
        .send()
        .await
        .unwrap();
    let bob = cookies(&bob).remove(0);
    let bob = bob.split(';').next().unwrap();
    assert_eq!(get(url.clone(), bob).await.unwrap().status(), 403);
    // One that was changed is nobody's.
    let (start, signature) = cookie.rsplit_once('.').unwrap();
    let changed = format!("{start}.A{}", &signature[1..]);
    if changed != cookie {
        assert_eq!(get(media, &changed).await.unwrap().status(), 401);
    }

    let ended = system
        .http
        .delete(format!("{}/api/session", system.url))
        .send()
        .await
        .unwrap();
    assert_eq!(ended.status(), 204);
    assert_eq!(
        cookies(&ended),
        ["__Host-gatepost=; HttpOnly; SameSite=Lax; Secure; Path=/; Max-Age=0"]
    );

    // Whoever started it may have gone on meanwhile: it is kept with the data.
    drop(system);
    let system = Gatepost::start(folder.path());
    let url = format!("{}{path}", system.url);
    let answer = system.http.get(url).header("cookie", cookie).send().await;
    assert_eq!(answer.unwrap().status(), 200);
}

/// A key for links alone: only mode `signed` has its cookies.
#[tokio::test]
async fn no_cloudfront_cookies_are_set_if_it_signs_only_links() {
    let folder = tempfile::tempdir().unwrap();
    let key = repository("url-signing/tests/keys/p256-sec1.pem");
    let key = std::fs::read_to_string(key).unwrap();
    let system = Gatepost::start_with(
        folder.path(),
        &[],
        &[
            (
                "GATEPOST_CLOUDFRONT_URL",
                "https://photos.example.com/shared",
            ),
            ("GATEPOST_CLOUDFRONT_KEY_PAIR_ID", "K2JCJMDEHXQW5F"),
            ("GATEPOST_CLOUDFRONT_PRIVATE_KEY", &key),
        ],
    );
    let alice = system.token("alice");
    let started = system
        .request(Method::POST, "/api/session", &alice)
        .send()
        .await
        .unwrap();
    assert_eq!(cookies(&started).len(), 1);
    let form = system.form(&alice, "image/png", b"x").await;
    let path = form.0["manifest"].as_str().unwrap();
    let link: Value = system
        .request(Method::POST, "/api/links", &alice)
        .json(&serde_json::json!({"path": path, "expires_in": 60}))
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    let url = link["url"].as_str().unwrap();
    let begin = format!("https://photos.example.com/shared{path}?Expires=");
    assert!(url.starts_with(&begin), "{url}");
}

/// A link that nobody can open is worse than no start.
#[test]
fn an_unusable_link_address_is_refused_at_the_start() {
    let key = repository("url-signing/tests/keys/p256-sec1.pem");
    let key = std::fs::read_to_string(key).unwrap();
    for (address, id, key, said) in [
        (
            "/shared",
            "K2JCJMDEHXQW5F",
            &*key,
            "GATEPOST_CLOUDFRONT_URL is a folder alone, and no distribution is here that it could be of; name the whole address",
        ),
        (
            "https://photos.example.com:443",
            "K2JCJMDEHXQW5F",
            &key,
            "GATEPOST_CLOUDFRONT_URL cannot be used: the URL names the scheme's own port, which browsers leave out; remove it",
        ),
        (
            "http://photos.example.com:+80",
            "K2JCJMDEHXQW5F",
            &key,
            "GATEPOST_CLOUDFRONT_URL cannot be used: the URL has a port that is not a number from 1 to 65535",
        ),
        (
            "https://photos.example.com",
            "K2&x",
            &key,
            "GATEPOST_CLOUDFRONT_KEY_PAIR_ID cannot be used: key pair id",
        ),
        (
            "https://photos.example.com",
            "K2JCJMDEHXQW5F",
            "no key",
            "GATEPOST_CLOUDFRONT_PRIVATE_KEY cannot be used: the private key cannot be used",
        ),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let output = gatepost()
            .args(["dev", "--port", "0", "--data-dir"])
            .arg(folder.path().join("data"))
            .env("GATEPOST_CLOUDFRONT_URL", address)
            .env("GATEPOST_CLOUDFRONT_KEY_PAIR_ID", id)
            .env("GATEPOST_CLOUDFRONT_PRIVATE_KEY", key)
            .current_dir(folder.path())
            .output()
            .unwrap();
        let (stdout, stderr) = text(&output);
        assert_eq!((output.status.code(), &*stdout), (Some(1), ""), "{stderr}");
        assert!(stderr.contains(said), "{address}: {stderr}");
    }
}
