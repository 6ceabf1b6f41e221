//! An account in MiniStack with the packaged functions, and the client that calls them.

use std::path::Path;
use std::process::Command;
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
use data_encoding::{BASE64, BASE64URL_NOPAD};
use jiff::{SignedDuration, Timestamp};
use media_contract::UploadId;
use reqwest::{Client, StatusCode};
use serde_json::{Value, json};

use crate::harness::{PATIENCE, repository};

pub(super) const OWNER: &str = "k5xk5xk5xk5xk5xk5xk5xk5xk4";
pub(super) const REGION: &str = "us-east-1";
/// A published test key, which signs sessions.
pub(super) const SESSION_KEY: &str =
    include_str!("../../../../url-signing/tests/keys/p256-sec1.pem");
pub(crate) const TEST_KEY_X: &str = "MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4";
pub(crate) const TEST_KEY_Y: &str = "4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM";

pub(super) struct Account {
    pub(super) http: Client,
    pub(super) endpoint: String,
}

/// A token of the issuer that the package trusts, signed with the example key of RFC 7517, appendix A.2.
pub(crate) fn token(subject: &str) -> String {
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
/// An id made a minute ago: the processor does not publish uploads that are weeks old.
pub(super) fn id(letter: char) -> String {
    static MADE_AT: LazyLock<Timestamp> =
        LazyLock::new(|| Timestamp::now() - SignedDuration::from_mins(1));
    UploadId::new(*MADE_AT, [letter as u8; 10]).to_string()
}

/// Runs `gatepost package` and reads the manifest that it writes.
pub(crate) fn package(dist: &Path) -> Value {
    package_with(dist, "file = \"session.pem\"", "")
}

/// The same with this key for sessions, and more sections of the configuration.
pub(super) fn package_with(dist: &Path, session_key: &str, more: &str) -> Value {
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
    pub(super) async fn deploy(&self, zip: &Path, more_variables: Value) -> [String; 3] {
        for bucket in ["uploads", "media"] {
            let url = format!("{}/{bucket}", self.endpoint);
            let answer = self.http.put(url).send().await.unwrap();
            assert!(answer.status().is_success(), "{answer:?}");
        }
        let (dead, dead_arn) = self.queue("gatepost-dead", json!({})).await;
        let redrive = json!({"deadLetterTargetArn": dead_arn, "maxReceiveCount": 2}).to_string();
        // Waiting for a scan takes some seconds; the tests without a scan wait for dead letters.
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
    pub(super) async fn deploy_api(&self, zip: &Path, more_variables: Value) {
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
    pub(super) async fn record_calls(&self) {
        let switch = json!({"cloudtrail._recording_enabled": "true"});
        self.call("/_ministack/config", &switch).await;
    }

    /// The number of `AssumeRole` calls in MiniStack's `CloudTrail`.
    pub(super) async fn n_assumed_roles(&self) -> usize {
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

    /// Calls the API as a function URL behind CloudFront does: the viewer's token is in another header, because its own
    /// header contains CloudFront's signature.
    pub(super) async fn ask(&self, token: &str, method: &str, path: &str, body: &Value) -> Value {
        let mut headers = json!({
            "host": "gatepost.lambda-url.us-east-1.on.aws",
            "content-type": "application/json",
            "authorization": "AWS4-HMAC-SHA256 Credential=cloudfront",
            "x-gatepost-host": "photos.example.com",
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
    pub(super) async fn queue(&self, name: &str, attributes: Value) -> (String, String) {
        let made = json!({"QueueName": name, "Attributes": attributes});
        let made = self.sqs("CreateQueue", &made).await;
        let url = made["QueueUrl"].as_str().unwrap().to_owned();
        let wanted = json!({"QueueUrl": url, "AttributeNames": ["QueueArn"]});
        let found = self.sqs("GetQueueAttributes", &wanted).await;
        let arn = found["Attributes"]["QueueArn"].as_str().unwrap().to_owned();
        (url, arn)
    }

    /// Takes messages off a queue.
    pub(super) async fn receive(&self, queue: &str) -> Vec<String> {
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

    pub(super) async fn sqs(&self, action: &str, body: &Value) -> Value {
        self.json_call(&format!("AmazonSQS.{action}"), body).await
    }

    /// Calls an operation of a service that speaks AWS's JSON.
    pub(super) async fn json_call(&self, operation: &str, body: &Value) -> Value {
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

    pub(super) async fn call(&self, path: &str, body: &Value) {
        let url = format!("{}{path}", self.endpoint);
        let answer = self.http.post(url).json(body).send().await.unwrap();
        let status = answer.status();
        let text = answer.text().await.unwrap();
        assert!(status.is_success(), "{path}: {status} {text}");
    }

    pub(super) async fn put(&self, bucket: &str, key: &str, content: Vec<u8>, content_type: &str) {
        let url = format!("{}/{bucket}/{key}", self.endpoint);
        let request = self.http.put(url).header("content-type", content_type);
        let answer = request.body(content).send().await.unwrap();
        assert!(answer.status().is_success(), "{answer:?}");
    }

    pub(super) async fn get(&self, bucket: &str, key: &str) -> Option<Vec<u8>> {
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
    pub(super) async fn manifest(&self, id: &str) -> Value {
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
