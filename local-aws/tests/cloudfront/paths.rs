//! Paths that try to reach another object than the one that they seem to name. S3 has no dot segments and no empty ones:
//! such a path is the key of another object, which does not exist.

use std::collections::BTreeSet;

use aws_sdk_s3::presigning::PresigningConfig;
use axum::http::Method;
use local_aws::cloudfront::{Behaviour, Distribution, Origin, Policy};

use crate::signed::{cookies as signed_cookies, keys, now, p256};
use crate::storage::S3;
use crate::viewer::{get, request};

const HOST: &str = "https://media.example.org";

/// Behind each of these is bob's object for a server that resolves what S3 does not resolve.
const HOSTILE: [&str; 30] = [
    "/media/alice/../bob/1.webp",
    "/media/alice/%2e%2e/bob/1.webp",
    "/media/alice/%2E./bob/1.webp",
    "/media/alice/.%2e/bob/1.webp",
    "/media/alice/..%2Fbob/1.webp",
    "/media/alice/%2e%2e%2fbob%2f1.webp",
    "/media/alice%2F..%2Fbob/1.webp",
    "/media/alice/..%5Cbob/1.webp",
    "/media/alice/..\\bob/1.webp",
    "/media\\bob\\1.webp",
    "/media/alice/%252e%252e/bob/1.webp",
    "/media/alice/..;/bob/1.webp",
    "/media/alice/../../media/bob/1.webp",
    "/media/alice/x/../../bob/1.webp",
    "/media/./bob/1.webp",
    "/media/bob/./1.webp",
    "/media/bob/%2e/1.webp",
    "/media/bob/1.webp/.",
    "/media/bob/1.webp/",
    "/media/bob/1.webp%2f",
    "/media/bob/x/../1.webp",
    "/media//bob/1.webp",
    "/media/%2Fbob/1.webp",
    "/media/bob//1.webp",
    "//media/bob/1.webp",
    "/%2Fmedia/bob/1.webp",
    "/../o/media/bob/1.webp",
    "/../../photos/o/media/bob/1.webp",
    "/%2e%2e/%2e%2e/photos/o/media/bob/1.webp",
    "/media/alice/%c0%ae%c0%ae/bob/1.webp",
];

/// The other spellings of bob's key, which S3 decodes.
const SPELLINGS: [&str; 5] = [
    "/media/bob/1.webp",
    "/media/%62ob/1.webp",
    "/media%2Fbob%2F1.webp",
    "/media%2fbob/1.webp",
    "/media/bob/1%2Ewebp",
];

async fn bucket(folder: &std::path::Path) -> S3 {
    let s3 = S3::start(folder).await;
    for (key, content) in [
        ("o/media/alice/1.webp", "alice's"),
        ("o/media/bob/1.webp", "bob's"),
        // With this beside `o/`, an origin path that can be left would be visible.
        ("media/bob/1.webp", "bob's"),
    ] {
        s3.put(key, content).await;
    }
    s3
}

fn served(origin: Origin) -> Distribution {
    let policy = Policy {
        query_in_key: true,
        ..Policy::default()
    };
    let behaviour = Behaviour::new("*", origin).with_policy(policy);
    Distribution::new("cloudfront", vec![behaviour])
}

#[tokio::test]
async fn no_path_reaches_another_object_of_a_bucket_with_origin_access_control() {
    let folder = tempfile::tempdir().unwrap();
    let s3 = bucket(folder.path()).await;
    let whole = served(Origin::bucket(s3.client.clone(), "photos"));
    let below = served(Origin::bucket_below(s3.client.clone(), "photos", "/o"));
    for (distribution, prefix) in [(&whole, ""), (&whole, "/o"), (&below, "")] {
        for path in HOSTILE {
            let answer = get(distribution, &format!("{HOST}{prefix}{path}")).await;
            assert!(
                matches!(answer.status, 400 | 404),
                "{prefix}{path}: {answer:?}"
            );
        }
        for path in SPELLINGS {
            let answer = get(distribution, &format!("{HOST}{prefix}{path}")).await;
            assert_eq!(answer.text, "bob's", "{prefix}{path}");
        }
    }
}

/// The query with which S3 lets the holder read the key, also one that `url-signing` refuses to sign.
async fn signed_query(s3: &S3, key: &str) -> String {
    let expires = PresigningConfig::expires_in(std::time::Duration::from_mins(5)).unwrap();
    let request = s3.client.get_object().bucket("photos").key(key);
    let request = request.presigned(expires).await.unwrap();
    request.uri().split_once('?').unwrap().1.to_owned()
}

#[tokio::test]
async fn no_path_reaches_another_object_of_a_bucket_without_origin_access_control() {
    let folder = tempfile::tempdir().unwrap();
    let s3 = bucket(folder.path()).await;
    let whole = served(Origin::unsigned_bucket(&s3.endpoint, "photos", "").unwrap());
    let below = served(Origin::unsigned_bucket(&s3.endpoint, "photos", "/o").unwrap());
    let of_alice = signed_query(&s3, "o/media/alice/1.webp").await;
    let of_bob = signed_query(&s3, "o/media/bob/1.webp").await;
    for (distribution, prefix) in [(&whole, "/o"), (&below, "")] {
        for path in HOSTILE {
            let url = format!("{HOST}{prefix}{path}");
            // The key that the path is for S3, signed: the signature is right, and there is no such object.
            let decoded = percent_encoding::percent_decode_str(path).decode_utf8();
            let of_path = match &decoded {
                Ok(path) => signed_query(&s3, &format!("o{path}")).await,
                Err(_) => String::new(),
            };
            for query in ["", &of_alice, &of_bob] {
                let answer = get(distribution, &format!("{url}?{query}")).await;
                assert!(matches!(answer.status, 400 | 403), "{url}: {answer:?}");
            }
            let answer = get(distribution, &format!("{url}?{of_path}")).await;
            let expected = if decoded.is_ok() { "NoSuchKey" } else { "400" };
            assert_eq!(answer.code(), expected, "{url}");
        }
        for path in SPELLINGS {
            let url = format!("{HOST}{prefix}{path}");
            let answer = get(distribution, &format!("{url}?{of_bob}")).await;
            assert_eq!(answer.text, "bob's", "{url}");
            let answer = get(distribution, &format!("{url}?{of_alice}")).await;
            assert_eq!(answer.code(), "SignatureDoesNotMatch", "{url}");
        }
    }
}

#[tokio::test]
async fn no_path_within_a_signed_folder_reaches_another_object() {
    let folder = tempfile::tempdir().unwrap();
    let s3 = bucket(folder.path()).await;
    let origin = Origin::bucket_below(s3.client.clone(), "photos", "/o");
    let behaviour = Behaviour::new("*", origin).with_trusted_keys(keys());
    let distribution = Distribution::new("cloudfront", vec![behaviour]).with_clock(now);
    let cookies = |name: &str| signed_cookies(&format!("{HOST}/media/{name}/"), &p256());
    let (hers, his) = (cookies("alice"), cookies("bob"));
    let get_with = async |path: &str, cookies: &str| {
        let url = format!("{HOST}{path}");
        let headers = [("cookie", cookies)];
        request(&distribution, Method::GET, &url, &headers).await
    };
    // The cache is warm for both.
    for (name, cookies) in [("alice", &hers), ("bob", &his)] {
        let answer = get_with(&format!("/media/{name}/1.webp"), cookies).await;
        assert_eq!(answer.text, format!("{name}'s"));
    }
    let mut statuses = BTreeSet::new();
    for path in HOSTILE.iter().chain(&SPELLINGS) {
        let answer = get_with(path, &hers).await;
        assert!(
            matches!(answer.status, 400 | 403 | 404),
            "{path}: {answer:?}"
        );
        statuses.insert(answer.status);
        assert_eq!(get_with(path, "").await.code(), "MissingKey", "{path}");
    }
    // The text of some is within her folder.
    assert!(statuses.contains(&404));
}

#[tokio::test]
async fn the_behaviour_is_that_of_the_normalized_path_and_the_origin_gets_the_path_as_it_came() {
    let echo = |name: &'static str| {
        Origin::service(
            axum::Router::new().fallback(move |request: axum::extract::Request| async move {
                format!("{name} {}", request.uri())
            }),
        )
    };
    let distribution = Distribution::new(
        "cloudfront",
        vec![
            Behaviour::new("/public/*", echo("public")),
            Behaviour::new("/media/*", echo("media")),
            Behaviour::new("*", echo("rest")),
        ],
    );
    for (path, name) in [
        ("/public/a", "public"),
        ("/public/../media/a", "media"),
        ("/media/../public/a", "public"),
        ("//media//a", "media"),
        ("/x/./../media/a", "media"),
        ("/media/..", "rest"),
        ("/public/%2e%2e/media/a", "public"),
        ("/Media/a", "rest"),
    ] {
        let answer = get(&distribution, &format!("{HOST}{path}?a=../b")).await;
        assert_eq!(answer.text, format!("{name} {path}?a=../b"));
    }
}
