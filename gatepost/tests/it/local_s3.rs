//! The local S3 as the AWS SDK and other tools use it, and after a power failure.

use aws_sdk_s3::Client;
use aws_sdk_s3::config::{BehaviorVersion, Credentials, Region};
use aws_sdk_s3::error::ProvideErrorMetadata as _;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{CompletedMultipartUpload, CompletedPart, Delete, ObjectIdentifier};
use reqwest::Method;
use serde_json::Value;

use crate::harness::{Gatepost, photo};

const UPLOADS: &str = "gatepost-uploads";

/// The SDK with the address and the credentials of docs/local.md.
async fn sdk(system: &Gatepost) -> Client {
    let stored = std::fs::read(system.data_dir.join("s3-credentials.json")).unwrap();
    let stored: Value = serde_json::from_slice(&stored).unwrap();
    let text = |name: &str| stored[name].as_str().unwrap();
    let alice = system.token("alice");
    let form = system.form(&alice, "image/jpeg", b"x").await;
    let endpoint = form.url().strip_suffix("/gatepost-uploads").unwrap();
    let (id, secret) = (text("access_key_id"), text("secret_access_key"));
    let config = aws_sdk_s3::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::from_static("us-east-1"))
        .endpoint_url(endpoint)
        .force_path_style(true)
        .credentials_provider(Credentials::new(id, secret, None, None, "test"))
        .build();
    Client::from_conf(config)
}

async fn put(s3: &Client, key: &str, content: &[u8]) {
    let put = s3.put_object().bucket(UPLOADS).key(key);
    let put = put.body(ByteStream::from(content.to_vec()));
    put.send().await.unwrap();
}

async fn content(s3: &Client, key: &str) -> Vec<u8> {
    let found = s3.get_object().bucket(UPLOADS).key(key).send().await;
    found.unwrap().body.collect().await.unwrap().to_vec()
}

#[tokio::test]
async fn tools_list_copy_and_delete() {
    let folder = tempfile::tempdir().unwrap();
    let system = Gatepost::start(folder.path());
    let s3 = sdk(&system).await;
    for key in ["tools/a", "tools/b c", "tools/d/e", "tools/d/f", "tools/g"] {
        put(&s3, key, key.as_bytes()).await;
    }
    let location = s3.get_bucket_location().bucket(UPLOADS).send().await;
    assert!(location.is_ok());

    // Version 1 of the listing, a page at a time.
    let (mut found, mut marker) = (Vec::new(), None);
    loop {
        let listed = s3.list_objects().bucket(UPLOADS).prefix("tools/");
        let listed = listed.delimiter("/").max_keys(2).set_marker(marker);
        let listed = listed.send().await.unwrap();
        let keys = listed.contents().iter().filter_map(|object| object.key());
        let folders = listed.common_prefixes().iter();
        let folders = folders.filter_map(|prefix| prefix.prefix());
        let mut page: Vec<_> = keys.chain(folders).map(str::to_owned).collect();
        page.sort_unstable();
        found.extend(page);
        marker = listed.next_marker().map(str::to_owned);
        if listed.is_truncated() != Some(true) {
            break;
        }
        assert!(marker.is_some());
    }
    assert_eq!(found, ["tools/a", "tools/b c", "tools/d/", "tools/g"]);

    let copy = s3.copy_object().bucket(UPLOADS).key("tools/copy");
    let copy = copy.copy_source("gatepost-uploads/tools/b%20c");
    copy.send().await.unwrap();
    assert_eq!(content(&s3, "tools/copy").await, b"tools/b c");

    let key = |key: &str| ObjectIdentifier::builder().key(key).build().unwrap();
    let keys = ["tools/a", "tools/copy", "tools/none", "tools/d"].map(key);
    let delete = Delete::builder().set_objects(Some(keys.to_vec()));
    let delete = delete.build().unwrap();
    let deleted = s3.delete_objects().bucket(UPLOADS).delete(delete);
    let deleted = deleted.send().await.unwrap();
    assert!(deleted.errors().is_empty());
    // A request may ask for other headers than the object's own.
    let get = s3.get_object().bucket(UPLOADS).key("tools/g");
    let get = get.response_content_type("text/plain");
    let get = get.response_cache_control("no-store");
    let get = get.response_content_disposition("attachment");
    let found = get.send().await.unwrap();
    assert_eq!(found.content_type(), Some("text/plain"));
    assert_eq!(found.cache_control(), Some("no-store"));
    assert_eq!(found.content_disposition(), Some("attachment"));
    // Listings and the object itself agree.
    let listed = s3.list_objects_v2().bucket(UPLOADS).prefix("tools/g");
    let listed = listed.send().await.unwrap();
    let head = s3.head_object().bucket(UPLOADS).key("tools/g");
    let head = head.send().await.unwrap();
    assert_eq!(listed.contents()[0].e_tag(), head.e_tag());
    // A folder is not an object: its contents are still there.
    let listed = s3.list_objects_v2().bucket(UPLOADS).prefix("tools/");
    let listed = listed.send().await.unwrap();
    let keys: Vec<_> = listed
        .contents()
        .iter()
        .filter_map(|object| object.key())
        .collect();
    assert_eq!(keys, ["tools/b c", "tools/d/e", "tools/d/f", "tools/g"]);
}

#[tokio::test]
async fn a_multipart_upload_is_an_upload_like_others() {
    let folder = tempfile::tempdir().unwrap();
    let system = Gatepost::start(folder.path());
    let alice = system.token("alice");
    let s3 = sdk(&system).await;
    let form = system.form(&alice, "image/jpeg", b"x").await;
    let key = form.0["fields"]["key"].as_str().unwrap();
    let mut jpeg = photo(640, 480);
    // Bytes after the end of a picture are ignored; all parts but the last have at least 5 MiB.
    jpeg.resize(6 << 20, 0);

    let begun = s3.create_multipart_upload().bucket(UPLOADS).key(key);
    let begun = begun.content_type("image/jpeg").send().await.unwrap();
    let id = begun.upload_id().unwrap();
    let mut parts = CompletedMultipartUpload::builder();
    for (number, part) in (1..).zip(jpeg.chunks(5 << 20)) {
        let upload = s3.upload_part().bucket(UPLOADS).key(key).upload_id(id);
        let upload = upload.part_number(number).body(part.to_vec().into());
        let uploaded = upload.send().await.unwrap();
        let etag = uploaded.e_tag().unwrap();
        parts = parts.parts(
            CompletedPart::builder()
                .part_number(number)
                .e_tag(etag)
                .build(),
        );
    }
    let complete = s3.complete_multipart_upload().bucket(UPLOADS).key(key);
    let complete = complete.upload_id(id).multipart_upload(parts.build());
    complete.send().await.unwrap();
    let answer = system.settled(&alice, &form.id()).await;
    assert_eq!(answer["status"], "ready", "{answer}");
    assert_eq!(answer["manifest"]["source"]["width"], 640);

    // A completion that is refused changes nothing, and the right one succeeds after it.
    put(&s3, "twice", b"before").await;
    let begun = s3.create_multipart_upload().bucket(UPLOADS).key("twice");
    let begun = begun.content_type("text/html").send().await.unwrap();
    let id = begun.upload_id().unwrap();
    let mut sent = Vec::new();
    for (number, part) in [(1, vec![1; 5 << 20]), (2, vec![2; 5])] {
        let upload = s3.upload_part().bucket(UPLOADS).key("twice").upload_id(id);
        let upload = upload.part_number(number).body(part.into());
        sent.push((
            number,
            upload.send().await.unwrap().e_tag().unwrap().to_owned(),
        ));
    }
    let complete = async |key: &str, id: &str, parts: &[(i32, &str)]| {
        let parts = parts.iter().map(|(number, etag)| {
            CompletedPart::builder()
                .part_number(*number)
                .e_tag(*etag)
                .build()
        });
        let parts = CompletedMultipartUpload::builder().set_parts(Some(parts.collect()));
        let complete = s3.complete_multipart_upload().bucket(UPLOADS).key(key);
        let complete = complete.upload_id(id).multipart_upload(parts.build());
        let answer = complete.send().await;
        answer.map_err(|error| error.code().unwrap_or_default().to_owned())
    };
    let (first, second) = (sent[0].1.as_str(), sent[1].1.as_str());
    for (case, key, upload, parts, code) in [
        (
            "another key",
            "other",
            id,
            &[(1, first), (2, second)][..],
            "NoSuchUpload",
        ),
        (
            "another upload",
            "twice",
            "11111111-1111-4111-8111-111111111111",
            &[(1, first)],
            "NoSuchUpload",
        ),
        (
            "another ETag",
            "twice",
            id,
            &[(1, first), (2, first)],
            "InvalidPart",
        ),
        (
            "another order",
            "twice",
            id,
            &[(2, second), (1, first)],
            "InvalidPartOrder",
        ),
    ] {
        let refused = complete(key, upload, parts).await.unwrap_err();
        assert_eq!(refused, code, "{case}");
    }
    let head = s3.head_object().bucket(UPLOADS).key("twice").send().await;
    assert_eq!(
        head.unwrap().content_type(),
        Some("application/octet-stream")
    );
    complete("twice", id, &[(1, first), (2, second)])
        .await
        .unwrap();
    assert_eq!(content(&s3, "twice").await.len(), (5 << 20) + 5);

    // A part whose bytes are not those of its digest is refused.
    let begun = s3.create_multipart_upload().bucket(UPLOADS).key("a");
    let begun = begun.send().await.unwrap();
    let id = begun.upload_id().unwrap();
    let upload = s3.upload_part().bucket(UPLOADS).key("a").upload_id(id);
    let upload = upload
        .part_number(1)
        .content_md5("1B2M2Y8AsgTpgAmY7PhCfg==");
    let refused = upload.body(b"x".to_vec().into()).send().await.unwrap_err();
    assert_eq!(refused.raw_response().unwrap().status().as_u16(), 400);
}

#[tokio::test]
async fn keys_that_cannot_be_files_are_refused_and_folders_are_not_found() {
    let folder = tempfile::tempdir().unwrap();
    let system = Gatepost::start(folder.path());
    let s3 = sdk(&system).await;
    put(&s3, "a/b", b"content").await;
    for key in [
        "a",
        "a/b/c",
        "c/",
        "c//d",
        "c/./d",
        "../c",
        "c/../../gatepost-media/d",
    ] {
        let put = s3.put_object().bucket(UPLOADS).key(key);
        let refused = put.body(b"other".to_vec().into()).send().await.unwrap_err();
        let refused = refused.raw_response().unwrap();
        assert_eq!(refused.status().as_u16(), 400, "{key}");
    }
    // The names of an object's companion files contain its key.
    let (long, longest) = ("l".repeat(153), "l".repeat(152));
    let put_long = s3.put_object().bucket(UPLOADS).key(&long);
    let refused = put_long.body(b"other".to_vec().into()).send().await;
    let refused = refused.unwrap_err();
    assert_eq!(refused.code(), Some("KeyTooLongError"));
    put(&s3, &longest, b"content").await;
    assert_eq!(content(&s3, "a/b").await, b"content");
    for key in ["a", "a/", "a/b/c", "c/../a/b", &"c".repeat(300)] {
        let missing = s3.get_object().bucket(UPLOADS).key(key).send().await;
        let missing = missing.unwrap_err();
        assert_eq!(
            missing.raw_response().unwrap().status().as_u16(),
            404,
            "{key}"
        );
        let missing = s3.head_object().bucket(UPLOADS).key(key).send().await;
        let missing = missing.unwrap_err();
        assert_eq!(
            missing.raw_response().unwrap().status().as_u16(),
            404,
            "{key}"
        );
    }
    // After an object's deletion its folder does not block another one.
    put(&s3, "f/g/h", b"content").await;
    let delete = s3.delete_object().bucket(UPLOADS).key("f/g/h");
    delete.send().await.unwrap();
    put(&s3, "f", b"content").await;
    assert_eq!(content(&s3, "f").await, b"content");
    // At the edge, too.
    let alice = system.token("alice");
    let answer = system.upload(&alice, "image/jpeg", &photo(64, 48)).await;
    let path = answer["manifest"]["renditions"][0]["path"]
        .as_str()
        .unwrap();
    let folder = path.rsplit_once('/').unwrap().0;
    for path in [
        folder.to_owned(),
        format!("{folder}/"),
        format!("{path}/x"),
        format!("{folder}/{}", "x".repeat(400)),
    ] {
        assert_eq!(system.get(&path, &alice).await.status(), 404, "{path}");
    }
    assert_eq!(system.get(path, &alice).await.status(), 200);
}

/// A power failure can leave an empty file.
#[tokio::test]
async fn an_object_whose_attributes_are_lost_is_set_aside() {
    let folder = tempfile::tempdir().unwrap();
    let system = Gatepost::start(folder.path());
    let alice = system.token("alice");
    let jpeg = photo(64, 48);
    let lost = system.upload(&alice, "image/jpeg", &jpeg).await;
    let kept = system.upload(&alice, "image/jpeg", &photo(32, 48)).await;
    system.kill();
    let owner = lost["manifest"]["owner"].as_str().unwrap();
    let key = format!("uploads/{owner}/{}", lost["id"].as_str().unwrap());
    let encode = |text: &str| data_encoding::BASE64URL_NOPAD.encode(text.as_bytes());
    for kind in ["metadata", "internal"] {
        let name = format!(
            ".bucket-{}.object-{}.{kind}.json",
            encode(UPLOADS),
            encode(&key)
        );
        let file = folder.path().join("s3").join(name);
        assert!(file.exists());
        std::fs::write(file, "").unwrap();
    }

    let system = Gatepost::start(folder.path());
    let start = folder.path().join("set-aside").read_dir().unwrap().next();
    let moved = start.unwrap().unwrap().path().join(UPLOADS).join(&key);
    assert!(std::fs::read(moved).unwrap() == jpeg);
    let kept = format!("/api/uploads/{}", kept["id"].as_str().unwrap());
    let answer = system.get(&kept, &alice).await;
    assert_eq!(answer.json::<Value>().await.unwrap()["status"], "ready");
    // Everything else still works.
    let answer = system.upload(&alice, "image/jpeg", &jpeg).await;
    assert_eq!(answer["status"], "ready");
}

#[tokio::test]
async fn a_front_end_on_its_own_server_may_send_forms_and_sign_people_in() {
    const FRONT: &str = "http://localhost:5173";
    let folder = tempfile::tempdir().unwrap();
    let data_dir = folder.path().join("data");
    let system = Gatepost::start_with(&data_dir, &["--origin", FRONT], &[]);
    let alice = system.token("alice");
    let form = system.form(&alice, "image/jpeg", b"x").await;
    let preflight = async |origin: &str| {
        let preflight = system.http.request(Method::OPTIONS, form.url());
        let preflight = preflight.header("origin", origin);
        let preflight = preflight.header("access-control-request-method", "POST");
        preflight.send().await.unwrap().status().as_u16()
    };
    assert_eq!(preflight(FRONT).await, 200);
    assert_eq!(preflight("http://localhost:5174").await, 403);
    // A development server passes on the Host header.
    let host = async |host: &str| {
        let request = system.request(Method::GET, "/api/session", &alice);
        let answer = request.header("host", host).send().await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    };
    assert_eq!(host("localhost:5173").await.0, 200);
    let (status, advice) = host("localhost:5174").await;
    assert_eq!(status, 421);
    assert!(advice.contains("gatepost dev --origin"), "{advice}");
    let token = system.http.post(format!("{}/dev/token", system.url));
    let token = token.header("origin", FRONT).form(&[
        ("grant_type", "x"),
        ("client_id", ""),
        ("redirect_uri", ""),
        ("code", ""),
        ("code_verifier", ""),
    ]);
    let answer = token.send().await.unwrap();
    assert_eq!(answer.headers()["access-control-allow-origin"], FRONT);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_read_never_mixes_two_contents_of_an_object() {
    let folder = tempfile::tempdir().unwrap();
    let system = Gatepost::start(folder.path());
    let s3 = sdk(&system).await;
    let contents = [vec![b'a'; 40_000], vec![b'b'; 50_000]];
    put(&s3, "overwritten", &contents[0]).await;
    let readers: Vec<_> = (0..4)
        .map(|_| {
            let s3 = s3.clone();
            tokio::spawn(async move {
                let mut etags = std::collections::BTreeMap::new();
                for _ in 0..60 {
                    let get = s3.get_object().bucket(UPLOADS).key("overwritten");
                    let found = get.send().await.unwrap();
                    let etag = found.e_tag().unwrap().to_owned();
                    // The SDK checks the digest that came with it.
                    let body = found.body.collect().await.unwrap().into_bytes();
                    assert_eq!(*etags.entry(etag).or_insert(body[0]), body[0]);
                }
            })
        })
        .collect();
    for n in 0..60 {
        put(&s3, "overwritten", &contents[n % 2]).await;
    }
    for reader in readers {
        reader.await.unwrap();
    }
}
