//! The packages where they are meant to run: S3 tells SQS, SQS invokes the processor, and the API signs with a role's
//! session. Both Lambdas are the zips that `gatepost package` made. The AWS is MiniStack, which runs a `bootstrap` as it
//! is.

use std::path::Path;
use std::process::Command;
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
use data_encoding::{BASE64, BASE64URL_NOPAD};
use jiff::{SignedDuration, Timestamp};
use media_contract::{UploadId, object_key};
use reqwest::{Client, StatusCode};
use serde_json::{Value, json};

use crate::harness::{PATIENCE, photo, post_form, repository};
use crate::ministack::MiniStack;

const OWNER: &str = "k5xk5xk5xk5xk5xk5xk5xk5xk4";
const REGION: &str = "us-east-1";
/// A test key, known to everybody: sessions are signed with it.
const SESSION_KEY: &str = include_str!("../../../url-signing/tests/keys/p256-sec1.pem");
const TEST_KEY_X: &str = "MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4";
const TEST_KEY_Y: &str = "4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM";

struct Account {
    http: Client,
    endpoint: String,
}

#[tokio::test(flavor = "multi_thread")]
async fn uploads_reach_the_packaged_processor_and_what_fails_lies_in_the_dead_letters() {
    let Some(stack) = MiniStack::start_without_signatures() else {
        return;
    };
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

    // One upload whose manifest cannot be read will never be finished.
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
    // The bucket's lifecycle knows by it what may go.
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

/// The whole path with nothing of this process in it but the browser's part.
#[tokio::test(flavor = "multi_thread")]
async fn the_packaged_api_signs_what_the_packaged_processor_finishes() {
    let Some(stack) = MiniStack::start_without_signatures() else {
        return;
    };
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
    // The signer is a role's session, which ends, and with it the form.
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
    assert_eq!(cookies.len(), 5, "{session}");
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

/// Role chaining limits a session to an hour; one serves all that is signed meanwhile, so that shared links are equal.
#[tokio::test(flavor = "multi_thread")]
async fn forms_and_links_share_one_session_of_the_signer_role() {
    let Some(stack) = MiniStack::start_without_signatures() else {
        return;
    };
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

/// Neither the package nor the function's environment holds a private key: one is in Secrets Manager, one in SSM.
#[tokio::test(flavor = "multi_thread")]
async fn the_packaged_api_reads_its_private_keys_where_they_are() {
    let Some(stack) = MiniStack::start_without_signatures() else {
        return;
    };
    let dist = tempfile::tempdir().unwrap();
    package_with(dist.path(), "public = \"session-public.pem\"", "");
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
    // Our own session, and CloudFront's cookies.
    let cookies = session["cookies"].as_array().unwrap();
    assert_eq!(cookies.len(), 5, "{session}");
    assert!(cookies[0].as_str().unwrap().starts_with("__Host-gatepost="));
}

/// With the gate for malware nothing is worked on before somebody says that it is clean.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_known_to_be_clean_is_not_opened() {
    let Some(stack) = MiniStack::start_without_signatures() else {
        return;
    };
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
    // GuardDuty says the same the next time.
    let unsupported = account.manifest(&id('u')).await;
    assert_eq!(
        unsupported["reason"]["code"], "not_scanned",
        "{unsupported}"
    );

    // Nobody promises that the tag is there when the event comes.
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

    // As GuardDuty tells of a scan that is done.
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

/// Made again, elsewhere, it is the same, byte for byte; and Lambda may start what it is to start.
#[test]
fn what_is_packaged_twice_is_packaged_alike() {
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
    assert_eq!(manifest["edge_auth"]["paths"], json!(["/media/*"]));
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

/// A token of the issuer that the package trusts: its key is the example of RFC 7517, appendix A.2, known to everybody.
fn token(subject: &str) -> String {
    let octets = |text: &str| BASE64URL_NOPAD.decode(text.as_bytes()).unwrap();
    let public = [&[4][..], &octets(TEST_KEY_X), &octets(TEST_KEY_Y)].concat();
    let private = octets("870MB6gfuTJ4HtUnUvYMyJpr5eUZNP4Bk43bVdj3eAE");
    let key = EcdsaKeyPair::from_private_key_and_public_key(
        &ECDSA_P256_SHA256_FIXED_SIGNING,
        &private,
        &public,
    )
    .unwrap();
    let exp = jiff::Timestamp::now().as_second() + 3600;
    let header = json!({"alg": "ES256", "kid": "test key"});
    let claims = json!({
        "iss": "https://login.example.com/", "aud": "media", "sub": subject, "exp": exp,
    });
    let encode = |value: &Value| BASE64URL_NOPAD.encode(value.to_string().as_bytes());
    let input = format!("{}.{}", encode(&header), encode(&claims));
    let signature = key.sign(&SystemRandom::new(), input.as_bytes()).unwrap();
    format!("{input}.{}", BASE64URL_NOPAD.encode(signature.as_ref()))
}

/// An upload's id, told by its letter.
/// An id made a minute ago: the processor publishes nothing that is weeks old.
fn id(letter: char) -> String {
    static MADE_AT: LazyLock<Timestamp> =
        LazyLock::new(|| Timestamp::now() - SignedDuration::from_mins(1));
    UploadId::new(*MADE_AT, [letter as u8; 10]).to_string()
}

/// Runs `gatepost package` and reads the manifest that it writes.
pub(crate) fn package(dist: &Path) -> Value {
    package_with(dist, "file = \"session.pem\"", "")
}

/// The same with this key for sessions, and more sections of the configuration.
fn package_with(dist: &Path, session_key: &str, more: &str) -> Value {
    let config = dist.join("gatepost.toml");
    let key = json!({"keys": [{
        "kty": "EC", "crv": "P-256", "kid": "test key", "alg": "ES256",
        "x": TEST_KEY_X, "y": TEST_KEY_Y,
    }]});
    std::fs::write(dist.join("jwks.json"), key.to_string()).unwrap();
    std::fs::write(dist.join("session.pem"), SESSION_KEY).unwrap();
    let public = repository("url-signing/tests/keys/p256-public.pem");
    std::fs::copy(public, dist.join("session-public.pem")).unwrap();
    let sections = format!(
        "[[issuers]]\nissuer = \"https://login.example.com/\"\naudiences = [\"media\"]\n\
         algorithms = [\"ES256\"]\njwks = {{ file = \"jwks.json\" }}\n\
         [token]\nfrom = [\"authorization\", \"cookie:__Host-gatepost\"]\n\
         [session]\nkeys = [{{ kid = \"test\", {session_key} }}]\n\
         [[rules]]\npath = \"/media/{{owner}}/**\"\nallow = \"owner\"\n\
         [renditions]\nwidths = [320, 640]\nformats = [\"webp\", \"jpeg\"]\n"
    );
    std::fs::write(&config, format!("{sections}{more}")).unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_gatepost"))
        .args(["package", "--config"])
        .arg(&config)
        .arg("--out")
        .arg(dist)
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    serde_json::from_slice(&std::fs::read(dist.join("manifest.json")).unwrap()).unwrap()
}

impl Account {
    /// Makes buckets, queues and the function; answers with the queues' addresses.
    async fn deploy(&self, zip: &Path, more_variables: Value) -> [String; 3] {
        for bucket in ["uploads", "media"] {
            let url = format!("{}/{bucket}", self.endpoint);
            let answer = self.http.put(url).send().await.unwrap();
            assert!(answer.status().is_success(), "{answer:?}");
        }
        let (dead, dead_arn) = self.queue("gatepost-dead", json!({})).await;
        let redrive = json!({"deadLetterTargetArn": dead_arn, "maxReceiveCount": 2}).to_string();
        // Who waits for a scan takes some seconds; dead letters are waited for in the tests without one.
        let seconds = if more_variables["GATEPOST_MALWARE_SCAN"].is_string() {
            20
        } else {
            3
        };
        let attributes =
            json!({"RedrivePolicy": redrive, "VisibilityTimeout": seconds.to_string()});
        let (uploads, uploads_arn) = self.queue("gatepost-uploads", attributes).await;
        let (outcomes, _) = self.queue("gatepost-outcomes", json!({})).await;

        let mut function = json!({
            "FunctionName": "gatepost-upload-processor",
            "Runtime": "provided.al2023",
            "Handler": "bootstrap",
            "Role": "arn:aws:iam::000000000000:role/gatepost-upload-processor",
            "Code": {"ZipFile": BASE64.encode(&std::fs::read(zip).unwrap())},
            "Timeout": seconds,
            "MemorySize": 1024,
            "Environment": {"Variables": {
                "GATEPOST_UPLOAD_BUCKET": "uploads",
                "GATEPOST_MEDIA_BUCKET": "media",
                "GATEPOST_OUTCOMES_QUEUE_URL": outcomes,
                "AWS_ENDPOINT_URL": self.endpoint,
                "AWS_ACCESS_KEY_ID": "test",
                "AWS_SECRET_ACCESS_KEY": "test",
                "AWS_REGION": REGION,
            }},
        });
        let variables = &mut function["Environment"]["Variables"];
        for (name, value) in more_variables.as_object().unwrap() {
            variables[name] = value.clone();
        }
        self.call("/2015-03-31/functions", &function).await;
        let mapping = json!({
            "FunctionName": "gatepost-upload-processor",
            "EventSourceArn": uploads_arn,
            "BatchSize": 10,
            "FunctionResponseTypes": ["ReportBatchItemFailures"],
        });
        self.call("/2015-03-31/event-source-mappings", &mapping)
            .await;
        let notification = format!(
            "<NotificationConfiguration><QueueConfiguration><Queue>{uploads_arn}</Queue>\
             <Event>s3:ObjectCreated:*</Event></QueueConfiguration></NotificationConfiguration>"
        );
        let url = format!("{}/uploads?notification", self.endpoint);
        let answer = self.http.put(url).body(notification).send().await.unwrap();
        assert!(answer.status().is_success(), "{answer:?}");
        [dead, uploads, outcomes]
    }

    /// Makes the API's function.
    async fn deploy_api(&self, zip: &Path, more_variables: Value) {
        let mut function = json!({
            "FunctionName": "gatepost-signing-api",
            "Runtime": "provided.al2023",
            "Handler": "bootstrap",
            "Role": "arn:aws:iam::000000000000:role/gatepost-signing-api",
            "Code": {"ZipFile": BASE64.encode(&std::fs::read(zip).unwrap())},
            "Timeout": 10,
            "MemorySize": 256,
            "Environment": {"Variables": {
                "GATEPOST_UPLOAD_BUCKET": "uploads",
                "GATEPOST_MEDIA_BUCKET": "media",
                "GATEPOST_SIGNER_ROLE_ARN": "arn:aws:iam::000000000000:role/gatepost-signer",
                "AWS_ENDPOINT_URL": self.endpoint,
                "AWS_ACCESS_KEY_ID": "test",
                "AWS_SECRET_ACCESS_KEY": "test",
                "AWS_REGION": REGION,
            }},
        });
        let variables = &mut function["Environment"]["Variables"];
        for (name, value) in more_variables.as_object().unwrap() {
            variables[name] = value.clone();
        }
        self.call("/2015-03-31/functions", &function).await;
    }

    /// Switches MiniStack's `CloudTrail` on.
    async fn record_calls(&self) {
        let switch = json!({"cloudtrail._recording_enabled": "true"});
        self.call("/_ministack/config", &switch).await;
    }

    /// How often STS was asked to assume a role, as MiniStack's `CloudTrail` has recorded it.
    async fn n_assumed_roles(&self) -> usize {
        let wanted = json!({"LookupAttributes": [
            {"AttributeKey": "EventSource", "AttributeValue": "sts.amazonaws.com"},
        ]});
        let lookup = "com.amazonaws.cloudtrail.v20131101.CloudTrail_20131101.LookupEvents";
        let found = self.json_call(lookup, &wanted).await;
        let events = found["Events"].as_array().unwrap().iter();
        let events = events.map(|event| event["CloudTrailEvent"].as_str().unwrap());
        events
            .map(|event| serde_json::from_str::<Value>(event).unwrap())
            .filter(|event| event["requestParameters"]["Action"] == "AssumeRole")
            .count()
    }

    /// Calls the API as a function URL behind CloudFront does: the viewer's token is in another header, for the one that
    /// it stood in holds CloudFront's own signature.
    async fn ask(&self, token: &str, method: &str, path: &str, body: &Value) -> Value {
        let mut headers = json!({
            "host": "gatepost.lambda-url.us-east-1.on.aws",
            "content-type": "application/json",
            "authorization": "AWS4-HMAC-SHA256 Credential=cloudfront",
        });
        if !token.is_empty() {
            headers["x-gatepost-authorization"] = format!("Bearer {token}").into();
        }
        let event = json!({
            "version": "2.0", "routeKey": "$default", "rawPath": path, "rawQueryString": "",
            "headers": headers, "isBase64Encoded": false,
            "body": if body.is_null() { Value::Null } else { body.to_string().into() },
            "requestContext": {
                "accountId": "anonymous", "apiId": "gatepost", "domainName": "gatepost.lambda-url.us-east-1.on.aws",
                "domainPrefix": "gatepost", "requestId": "1", "routeKey": "$default", "stage": "$default",
                "time": "25/Nov/2026:12:00:00 +0000", "timeEpoch": 1_795_608_000_000_u64,
                "http": {"method": method, "path": path, "protocol": "HTTP/1.1", "sourceIp": "192.0.2.7", "userAgent": "test"},
            },
        });
        let url = format!(
            "{}/2015-03-31/functions/gatepost-signing-api/invocations",
            self.endpoint
        );
        let answer = self.http.post(url).json(&event).send().await.unwrap();
        assert!(answer.status().is_success(), "{answer:?}");
        answer.json().await.unwrap()
    }

    /// Makes a queue: its address and its name in policies.
    async fn queue(&self, name: &str, attributes: Value) -> (String, String) {
        let made = json!({"QueueName": name, "Attributes": attributes});
        let made = self.sqs("CreateQueue", &made).await;
        let url = made["QueueUrl"].as_str().unwrap().to_owned();
        let wanted = json!({"QueueUrl": url, "AttributeNames": ["QueueArn"]});
        let found = self.sqs("GetQueueAttributes", &wanted).await;
        let arn = found["Attributes"]["QueueArn"].as_str().unwrap().to_owned();
        (url, arn)
    }

    /// Takes messages off a queue.
    async fn receive(&self, queue: &str) -> Vec<String> {
        let wanted = json!({"QueueUrl": queue, "MaxNumberOfMessages": 10, "WaitTimeSeconds": 1});
        let received = self.sqs("ReceiveMessage", &wanted).await;
        let mut bodies = Vec::new();
        for message in received["Messages"].as_array().into_iter().flatten() {
            let handle = json!({"QueueUrl": queue, "ReceiptHandle": message["ReceiptHandle"]});
            self.sqs("DeleteMessage", &handle).await;
            bodies.push(message["Body"].as_str().unwrap().to_owned());
        }
        bodies
    }

    async fn sqs(&self, action: &str, body: &Value) -> Value {
        self.json_call(&format!("AmazonSQS.{action}"), body).await
    }

    /// Calls an operation of a service that speaks AWS's JSON.
    async fn json_call(&self, operation: &str, body: &Value) -> Value {
        let request = self
            .http
            .post(&self.endpoint)
            .header("x-amz-target", operation)
            .header("content-type", "application/x-amz-json-1.1")
            .body(body.to_string());
        let answer = request.send().await.unwrap();
        let (status, text) = (answer.status(), answer.text().await.unwrap());
        assert!(status.is_success(), "{operation}: {status} {text}");
        serde_json::from_str(&text).unwrap_or(Value::Null)
    }

    async fn call(&self, path: &str, body: &Value) {
        let url = format!("{}{path}", self.endpoint);
        let answer = self.http.post(url).json(body).send().await.unwrap();
        let status = answer.status();
        let text = answer.text().await.unwrap();
        assert!(status.is_success(), "{path}: {status} {text}");
    }

    async fn put(&self, bucket: &str, key: &str, content: Vec<u8>, content_type: &str) {
        let url = format!("{}/{bucket}/{key}", self.endpoint);
        let request = self.http.put(url).header("content-type", content_type);
        let answer = request.body(content).send().await.unwrap();
        assert!(answer.status().is_success(), "{answer:?}");
    }

    async fn get(&self, bucket: &str, key: &str) -> Option<Vec<u8>> {
        let url = format!("{}/{bucket}/{key}", self.endpoint);
        let answer = self.http.get(url).send().await.unwrap();
        match answer.status() {
            StatusCode::NOT_FOUND => None,
            status => {
                assert!(status.is_success(), "{key}: {status}");
                Some(answer.bytes().await.unwrap().to_vec())
            }
        }
    }

    /// Waits for an upload's manifest.
    async fn manifest(&self, id: &str) -> Value {
        let started = Instant::now();
        loop {
            let key = format!("o/media/{OWNER}/{id}/manifest.json");
            if let Some(manifest) = self.get("media", &key).await {
                return serde_json::from_slice(&manifest).unwrap();
            }
            assert!(started.elapsed() < 2 * PATIENCE, "{id} has no manifest");
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }
}
