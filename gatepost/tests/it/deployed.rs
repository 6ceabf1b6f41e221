//! The packages in their environment: S3 notifies SQS, SQS invokes the processor, and the API signs with a role's session.
//! Both Lambdas are the zips of `gatepost package`. AWS is MiniStack, which runs the unchanged `bootstrap`.

mod account;

use std::path::Path;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use media_contract::object_key;
use reqwest::Client;
use serde_json::{Value, json};

use crate::harness::{PATIENCE, photo, post_form, repository};
use crate::ministack::MiniStack;

use account::{Account, OWNER, REGION, SESSION_KEY, id, package_with};
pub(crate) use account::{TEST_KEY_X, TEST_KEY_Y, package, token};

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs MiniStack (cargo xtask test installs it)"]
async fn uploads_reach_the_packaged_processor_and_failures_the_dead_letters() {
    let stack = MiniStack::start_without_signatures();
    let dist = tempfile::tempdir().unwrap();
    let manifest = package(dist.path());
    let processor = &manifest["upload_processor"];
    assert!(
        processor["bytes"].as_u64().unwrap() < 8_000_000,
        "{processor}"
    );
    let account = Account {
        http: Client::new(),
        endpoint: stack.endpoint.clone(),
    };
    let [dead, uploads, outcomes] = account
        .deploy(&dist.path().join("upload-processor.zip"), json!({}))
        .await;

    // An upload whose manifest cannot be read is never finished.
    let broken = id('b');
    let path = format!("o/media/{OWNER}/{broken}/manifest.json");
    account
        .put("media", &path, b"no JSON".to_vec(), "application/json")
        .await;
    let jpeg = photo(1200, 900);
    for (id, content) in [
        (id('g'), jpeg.clone()),
        (broken, jpeg.clone()),
        (id('c'), jpeg[..jpeg.len() / 2].to_vec()),
    ] {
        let key = format!("uploads/{OWNER}/{id}");
        account.put("uploads", &key, content, "image/jpeg").await;
    }

    let good = account.manifest(&id('g')).await;
    assert_eq!(good["status"], "ready", "{good}");
    for rendition in good["renditions"].as_array().unwrap() {
        let path = rendition["path"].as_str().unwrap();
        let file = account.get("media", &object_key(path)).await.unwrap();
        let picture = image::load_from_memory(&file).unwrap();
        assert_eq!(
            u64::from(picture.width()),
            rendition["width"].as_u64().unwrap()
        );
    }
    let cut = account.manifest(&id('c')).await;
    assert_eq!(cut["reason"]["code"], "truncated", "{cut}");
    // The bucket's lifecycle rule uses the tag.
    for (letter, is_rejected) in [('c', true), ('g', false)] {
        let tags = format!("uploads/{OWNER}/{}?tagging", id(letter));
        let tags = account.get("uploads", &tags).await.unwrap();
        let tags = String::from_utf8(tags).unwrap();
        let tag = "<Key>gatepost</Key><Value>rejected</Value>";
        assert_eq!(tags.contains(tag), is_rejected, "{tags}");
    }

    let mut told = Vec::new();
    let started = Instant::now();
    while told.len() < 2 {
        assert!(started.elapsed() < PATIENCE, "{told:?}");
        for body in account.receive(&outcomes).await {
            let outcome: Value = serde_json::from_str(&body).unwrap();
            assert_eq!(outcome["owner"], OWNER);
            told.push((outcome["id"].clone(), outcome["status"].clone()));
            let path = format!(
                "/media/{OWNER}/{}/manifest.json",
                outcome["id"].as_str().unwrap()
            );
            assert_eq!(outcome["manifest"], path);
            assert!(outcome["timings"]["render_ms"].is_u64(), "{outcome}");
        }
    }
    told.sort_by_key(|(id, _)| id.to_string());
    assert_eq!(
        told,
        [
            (json!(id('c')), json!("rejected")),
            (json!(id('g')), json!("ready"))
        ]
    );

    let started = Instant::now();
    let dead_letters = loop {
        let found = account.receive(&dead).await;
        if !found.is_empty() {
            break found;
        }
        assert!(
            started.elapsed() < 2 * PATIENCE,
            "nothing lies in the dead-letter queue"
        );
        tokio::time::sleep(Duration::from_millis(500)).await;
    };
    assert_eq!(dead_letters.len(), 1);
    assert!(dead_letters[0].contains(&id('b')), "{dead_letters:?}");
    assert_eq!(account.receive(&uploads).await, Vec::<String>::new());
}

/// The whole path; this process plays only the browser.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs MiniStack (cargo xtask test installs it)"]
async fn the_packaged_api_signs_what_the_packaged_processor_finishes() {
    let stack = MiniStack::start_without_signatures();
    let dist = tempfile::tempdir().unwrap();
    let manifest = package(dist.path());
    let api = &manifest["signing_api"];
    assert!(api["bytes"].as_u64().unwrap() < 8_000_000, "{api}");
    let account = Account {
        http: Client::new(),
        endpoint: stack.endpoint.clone(),
    };
    account
        .deploy(&dist.path().join("upload-processor.zip"), json!({}))
        .await;
    let key = std::fs::read_to_string(repository("url-signing/tests/keys/p256-pkcs8.pem"));
    let cloudfront = json!({
        "GATEPOST_CLOUDFRONT_URL": "https://media.example.com",
        "GATEPOST_CLOUDFRONT_KEY_PAIR_ID": "K2JCJMDEHXQW5F",
        "GATEPOST_CLOUDFRONT_PRIVATE_KEY": key.unwrap(),
    });
    account
        .deploy_api(&dist.path().join("signing-api.zip"), cloudfront)
        .await;
    let (alice, bob) = (token("alice"), token("bob"));

    let jpeg = photo(800, 600);
    let intent = json!({"content_type": "image/jpeg", "size": jpeg.len()});
    let form = account.ask(&alice, "POST", "/api/uploads", &intent).await;
    assert_eq!(form["statusCode"], 201, "{form}");
    let form: Value = serde_json::from_str(form["body"].as_str().unwrap()).unwrap();
    let fields: Vec<_> = form["fields"]
        .as_object()
        .unwrap()
        .iter()
        .map(|(name, value)| (name.clone(), value.as_str().unwrap().to_owned()))
        .collect();
    // The signer is a role's session, and the form ends with it.
    assert!(
        fields
            .iter()
            .any(|(name, _)| name == "x-amz-security-token")
    );
    let url = form["url"].as_str().unwrap();
    let answer = post_form(&account.http, url, &fields, &jpeg).await.unwrap();
    assert_eq!(answer.status(), 204, "{}", answer.text().await.unwrap());

    let id = form["id"].as_str().unwrap();
    let path = format!("/api/uploads/{id}");
    let started = Instant::now();
    let ready = loop {
        let answer = account.ask(&alice, "GET", &path, &Value::Null).await;
        assert_eq!(answer["statusCode"], 200, "{answer}");
        let answer: Value = serde_json::from_str(answer["body"].as_str().unwrap()).unwrap();
        if answer["status"] != "pending" {
            break answer;
        }
        assert!(started.elapsed() < 2 * PATIENCE, "{answer}");
        tokio::time::sleep(Duration::from_millis(200)).await;
    };
    assert_eq!(ready["status"], "ready", "{ready}");

    let rendition = ready["manifest"]["renditions"][0]["path"].as_str().unwrap();
    let wish = json!({"path": rendition, "expires_in": 60});
    let link = account.ask(&alice, "POST", "/api/links", &wish).await;
    assert_eq!(link["statusCode"], 201, "{link}");
    let link: Value = serde_json::from_str(link["body"].as_str().unwrap()).unwrap();
    let url = link["url"].as_str().unwrap();
    assert!(url.starts_with("https://media.example.com/media/"), "{url}");
    assert!(url.contains("&Signature="), "{url}");
    let refused = account.ask(&bob, "POST", "/api/links", &wish).await;
    assert_eq!(refused["statusCode"], 403, "{refused}");

    let session = account
        .ask(&alice, "POST", "/api/session", &Value::Null)
        .await;
    assert_eq!(session["statusCode"], 201, "{session}");
    let cookies: Vec<_> = session["cookies"].as_array().unwrap().iter().collect();
    assert_eq!(cookies.len(), 1, "{session}");
    assert!(cookies[0].as_str().unwrap().starts_with("__Host-gatepost="));

    let path = format!("/api/media/{id}");
    for _ in 0..2 {
        let deleted = account.ask(&alice, "DELETE", &path, &Value::Null).await;
        assert_eq!(deleted["statusCode"], 204, "{deleted}");
        assert_eq!(account.get("media", &object_key(rendition)).await, None);
    }
    let page = account.ask(&alice, "GET", "/api/media", &Value::Null).await;
    assert_eq!(page["body"], r#"{"items":[]}"#, "{page}");
    let nobody = account.ask("", "GET", "/api/media", &Value::Null).await;
    assert_eq!(nobody["statusCode"], 401, "{nobody}");
}

/// Role chaining limits a session to an hour; one session signs everything in that time, so shared links are equal.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs MiniStack (cargo xtask test installs it)"]
async fn forms_and_links_share_one_session_of_the_signer_role() {
    let stack = MiniStack::start_without_signatures();
    let dist = tempfile::tempdir().unwrap();
    package_with(
        dist.path(),
        "file = \"session.pem\"",
        "[links]\nshared_within = \"24h\"\n",
    );
    let account = Account {
        http: Client::new(),
        endpoint: stack.endpoint.clone(),
    };
    account.record_calls().await;
    account
        .deploy_api(&dist.path().join("signing-api.zip"), json!({}))
        .await;
    let alice = token("alice");
    let ask = async |path: &str, body: Value| -> Value {
        let answer = account.ask(&alice, "POST", path, &body).await;
        assert_eq!(answer["statusCode"], 201, "{answer}");
        serde_json::from_str(answer["body"].as_str().unwrap()).unwrap()
    };
    let (mut credentials, mut urls) = (Vec::new(), Vec::new());
    for _ in 0..3 {
        let form = ask(
            "/api/uploads",
            json!({"content_type": "image/jpeg", "size": 3}),
        )
        .await;
        credentials.push(form["fields"]["x-amz-credential"].clone());
        // A longer lifetime would end with the session.
        let link = json!({"path": form["manifest"], "expires_in": 2700});
        let link = ask("/api/links", link).await;
        let ends: Timestamp = link["expires_at"].as_str().unwrap().parse().unwrap();
        let seconds = ends.duration_since(Timestamp::now()).as_secs();
        assert!((2690..=3600).contains(&seconds), "{link}");
        let (_, query) = link["url"].as_str().unwrap().split_once('?').unwrap();
        let (signed, _) = query.split_once("&X-Amz-Signature=").unwrap();
        urls.push(signed.to_owned());
    }
    for what in [&credentials.iter().map(Value::to_string).collect(), &urls] {
        assert!(what.iter().all(|other| *other == what[0]), "{what:?}");
    }
    assert_eq!(account.n_assumed_roles().await, 1);
}

/// Neither the package nor the function's environment contains a private key: one is in Secrets Manager, one in SSM.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs MiniStack (cargo xtask test installs it)"]
async fn the_packaged_api_reads_its_private_keys_where_they_are() {
    let stack = MiniStack::start_without_signatures();
    let dist = tempfile::tempdir().unwrap();
    package_with(
        dist.path(),
        "public = \"session-public.pem\"",
        "[delivery]\nmode = \"signed\"\n",
    );
    let account = Account {
        http: Client::new(),
        endpoint: stack.endpoint.clone(),
    };
    let key = std::fs::read_to_string(repository("url-signing/tests/keys/p256-pkcs8.pem")).unwrap();
    let secret =
        json!({"Name": "links", "SecretString": key, "ClientRequestToken": "0".repeat(32)});
    let secret = account.json_call("secretsmanager.CreateSecret", &secret);
    let secret = secret.await["ARN"].as_str().unwrap().to_owned();
    let parameter = json!({"Name": "/session", "Value": SESSION_KEY, "Type": "SecureString"});
    account
        .json_call("AmazonSSM.PutParameter", &parameter)
        .await;
    let variables = json!({
        "GATEPOST_CLOUDFRONT_URL": "https://media.example.com",
        "GATEPOST_CLOUDFRONT_KEY_PAIR_ID": "K2JCJMDEHXQW5F",
        "GATEPOST_CLOUDFRONT_PRIVATE_KEY_SECRET_ARN": secret,
        "GATEPOST_SESSION_PRIVATE_KEY_SECRET_ARN":
            format!("arn:aws:ssm:{REGION}:000000000000:parameter/session"),
    });
    account
        .deploy_api(&dist.path().join("signing-api.zip"), variables)
        .await;
    let alice = token("alice");
    let session = account
        .ask(&alice, "POST", "/api/session", &Value::Null)
        .await;
    assert_eq!(session["statusCode"], 201, "{session}");
    // Our own session, CloudFront's cookies for one folder, and the note about it.
    let cookies = session["cookies"].as_array().unwrap();
    assert_eq!(cookies.len(), 6, "{session}");
    assert!(cookies[0].as_str().unwrap().starts_with("__Host-gatepost="));
}

/// With the malware gate no upload is opened before the scan says that it is clean.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs MiniStack (cargo xtask test installs it)"]
async fn an_upload_without_a_clean_scan_is_not_opened() {
    let stack = MiniStack::start_without_signatures();
    let dist = tempfile::tempdir().unwrap();
    package(dist.path());
    let account = Account {
        http: Client::new(),
        endpoint: stack.endpoint.clone(),
    };
    let gate = json!({"GATEPOST_MALWARE_SCAN": "guardduty"});
    account
        .deploy(&dist.path().join("upload-processor.zip"), gate)
        .await;
    let jpeg = photo(640, 480);
    for (letter, tag) in [
        ('g', Some("NO_THREATS_FOUND")),
        ('t', Some("THREATS_FOUND")),
        ('u', Some("UNSUPPORTED")),
        ('f', Some("FAILED")),
        ('n', None),
    ] {
        let url = format!(
            "{}/uploads/uploads/{OWNER}/{}",
            account.endpoint,
            id(letter)
        );
        let mut request = account.http.put(url).header("content-type", "image/jpeg");
        if let Some(tag) = tag {
            request = request.header("x-amz-tagging", format!("GuardDutyMalwareScanStatus={tag}"));
        }
        let answer = request.body(jpeg.clone()).send().await.unwrap();
        assert!(answer.status().is_success(), "{answer:?}");
    }
    assert_eq!(account.manifest(&id('g')).await["status"], "ready");
    let threat = account.manifest(&id('t')).await;
    assert_eq!(threat["reason"]["code"], "malware", "{threat}");
    assert!(threat["renditions"].is_null(), "{threat}");
    // GuardDuty repeats its finding.
    let unsupported = account.manifest(&id('u')).await;
    assert_eq!(
        unsupported["reason"]["code"], "not_scanned",
        "{unsupported}"
    );

    // The tag may be missing when the event arrives.
    let late = format!("{}/uploads/uploads/{OWNER}/{}", account.endpoint, id('l'));
    let put = account.http.put(&late).header("content-type", "image/jpeg");
    put.body(jpeg.clone()).send().await.unwrap();
    let tagging = "<Tagging><TagSet><Tag><Key>GuardDutyMalwareScanStatus</Key>\
                   <Value>NO_THREATS_FOUND</Value></Tag></TagSet></Tagging>";
    let tag = account.http.put(format!("{late}?tagging")).body(tagging);
    let tagged = tokio::spawn(async move {
        tokio::time::sleep(Duration::from_millis(1500)).await;
        tag.send().await.unwrap()
    });

    // GuardDuty's event of a finished scan.
    let scanned = |letter: char| {
        json!({
            "version": "0", "source": "aws.guardduty",
            "detail-type": "GuardDuty Malware Protection Object Scan Result",
            "detail": {"s3ObjectDetails": {
                "bucketName": "uploads", "objectKey": format!("uploads/{OWNER}/{}", id(letter)),
                "versionId": "null",
            }},
        })
    };
    let messages: Vec<_> = "gfln"
        .chars()
        .map(|letter| {
            json!({"messageId": letter, "eventSource": "aws:sqs", "body": scanned(letter).to_string()})
        })
        .collect();
    let url = format!(
        "{}/2015-03-31/functions/gatepost-upload-processor/invocations",
        account.endpoint
    );
    let request = account.http.post(url).json(&json!({"Records": messages}));
    let answer: Value = request.send().await.unwrap().json().await.unwrap();
    assert_eq!(
        answer,
        json!({"batchItemFailures": [{"itemIdentifier": "f"}, {"itemIdentifier": "n"}]})
    );
    assert!(tagged.await.unwrap().status().is_success());
    assert_eq!(account.manifest(&id('l')).await["status"], "ready");
    for letter in ['f', 'n'] {
        let path = format!("o/media/{OWNER}/{}/manifest.json", id(letter));
        assert_eq!(account.get("media", &path).await, None);
    }
}

/// A second package, made in another folder, has the same bytes; and Lambda may start the programs.
#[test]
fn packaging_is_reproducible() {
    let (one, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let manifest = package(one.path());
    assert_eq!(manifest, package(other.path()));
    let mut files = vec!["manifest.json".to_owned()];
    for part in ["edge_auth", "signing_api", "upload_processor"] {
        files.push(manifest[part]["file"].as_str().unwrap().to_owned());
    }
    for file in manifest["web"].as_array().unwrap() {
        files.push(format!("web/{}", file["path"].as_str().unwrap()));
    }
    assert!(files.contains(&"web/index.html".to_owned()), "{files:?}");
    assert!(
        !files.iter().any(|file| file.contains("sign-in")),
        "{files:?}"
    );
    for file in &files {
        let read = |folder: &Path| std::fs::read(folder.join(file)).unwrap();
        assert!(read(one.path()) == read(other.path()), "{file}");
    }
    assert_eq!(manifest["delivery"]["paths"], json!(["/media/*"]));
    for (zip, program, others) in [
        (
            "edge-auth.zip",
            None,
            vec!["config.json", "edge-auth.node", "index.mjs"],
        ),
        ("signing-api.zip", Some("bootstrap"), vec!["settings.json"]),
        (
            "upload-processor.zip",
            Some("bootstrap"),
            vec!["settings.json"],
        ),
    ] {
        let file = std::fs::File::open(one.path().join(zip)).unwrap();
        let mut archive = zip::ZipArchive::new(file).unwrap();
        let mut mode = |name: &str| archive.by_name(name).unwrap().unix_mode().unwrap() & 0o777;
        if let Some(program) = program {
            assert_eq!(mode(program), 0o755, "{zip} {program}");
        }
        for name in others {
            assert_eq!(mode(name), 0o644, "{zip} {name}");
        }
    }
}
