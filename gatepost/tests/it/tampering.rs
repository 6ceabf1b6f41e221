//! Upload forms that somebody changed on their way: each field changed, dropped, doubled, and fields added; other bytes,
//! other sizes, other buckets. The embedded S3 and an S3 of somebody else refuse them all, and take the form itself.

use std::borrow::Cow;
use std::path::PathBuf;
use std::process::Command;

use jiff::{SignedDuration, Timestamp};
use reqwest::Client;
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use url_signing::{
    Bucket, Checksum, Credentials, Expiry, FormField, PostPolicy, PrefixField, SignedForm,
    SigningError, SuccessStatus,
};

use crate::harness::{Gatepost, photo, post_form, text};
use crate::ministack::MiniStack;

/// The default file, and its checksum.
const FILE: &[u8] = b"123456789";
const FILE_CRC32: u32 = 0xcbf4_3926;
const OWNER: &str = "k5xk5xk5xk5xk5xk5xk5xk5xk4";

/// A form as it is sent.
struct Sent {
    case: String,
    url: String,
    fields: Vec<(Cow<'static, str>, String)>,
    file: Vec<u8>,
}

struct Signer {
    endpoint: String,
    region: &'static str,
    credentials: Credentials,
}

impl Signer {
    /// A form with every kind of field, signed some minutes ago.
    fn form(&self, key: &str, file: &[u8], minutes_ago: i64) -> SignedForm {
        let bucket = Bucket::at_endpoint("gatepost-uploads", self.region, &self.endpoint).unwrap();
        let size = file.len() as u64..=file.len() as u64;
        let expiry = Expiry::within(SignedDuration::from_mins(5));
        let digest: [u8; 32] = Sha256::digest(file).into();
        PostPolicy::new(&bucket, key, size, expiry)
            .and_then(|policy| policy.content_type("image/jpeg"))
            .and_then(|policy| policy.checksum(Checksum::Sha256(digest)))
            .and_then(|policy| policy.metadata("filename", "beach.jpg"))
            .and_then(|policy| policy.success_action_status(SuccessStatus::Created))
            .and_then(|policy| {
                let now = Timestamp::now() - SignedDuration::from_mins(minutes_ago);
                policy.sign(now, &self.credentials)
            })
            .unwrap()
    }

    fn variants(&self) -> (Sent, Vec<Sent>) {
        let file = photo(64, 48);
        let key = format!("uploads/{OWNER}/{:026}", 1);
        let form = self.form(&key, &file, 0);
        let mut variants = Vec::new();
        let mut add = |case: String, fields: Vec<(Cow<'static, str>, String)>| {
            variants.push(Sent {
                case,
                url: form.url.clone(),
                fields,
                file: file.clone(),
            });
        };
        for (idx, (name, value)) in form.fields.iter().enumerate() {
            let mut changed = form.fields.clone();
            changed[idx].1 = match name.as_ref() {
                "key" => format!("uploads/{OWNER}/{:026}", 2),
                "Content-Type" => "text/html".to_owned(),
                "success_action_status" => "200".to_owned(),
                // The first letter another one.
                _ => format!(
                    "{}{}",
                    if value.starts_with('A') { 'B' } else { 'A' },
                    &value[1..]
                ),
            };
            add(format!("{name} changed"), changed);
            let mut dropped = form.fields.clone();
            dropped.remove(idx);
            add(format!("{name} dropped"), dropped);
            let mut doubled = form.fields.clone();
            doubled.insert(idx, doubled[idx].clone());
            doubled[idx].1 = format!("{value}x");
            add(format!("{name} doubled, another one before"), doubled);
            let mut doubled = form.fields.clone();
            doubled.insert(idx + 1, (name.clone(), format!("{value}x")));
            add(format!("{name} doubled, another one after"), doubled);
        }
        let mut of_another = form.fields.clone();
        of_another[0].1 = key.replace(OWNER, "a2a2a2a2a2a2a2a2a2a2a2a2ae");
        add("key of another owner".to_owned(), of_another);
        for (name, value) in [
            ("acl", "public-read"),
            ("Cache-Control", "public"),
            ("Content-Disposition", "inline"),
            ("Content-Encoding", "gzip"),
            ("Expires", "Thu, 01 Jan 2099 00:00:00 GMT"),
            ("success_action_redirect", "https://evil.example/"),
            ("redirect", "https://evil.example/"),
            ("tagging", "<Tagging><TagSet></TagSet></Tagging>"),
            ("x-amz-meta-owner", "somebody"),
            ("x-amz-storage-class", "GLACIER"),
            ("x-amz-website-redirect-location", "https://evil.example/"),
            ("x-amz-acl", "public-read"),
            ("x-amz-checksum-crc32", "AAAAAA=="),
            ("X-Amz-Security-Token", "token"),
            ("bucket", "gatepost-media"),
            ("anything", "else"),
        ] {
            if form.field(name).is_some() {
                continue;
            }
            let mut added = form.fields.clone();
            added.insert(0, (name.into(), value.to_owned()));
            add(format!("{name} added"), added);
        }
        let mut send = |case: &str, form: &SignedForm, url: &str, file: &[u8]| {
            variants.push(Sent {
                case: case.to_owned(),
                url: url.to_owned(),
                fields: form.fields.clone(),
                file: file.to_vec(),
            });
        };
        let longer = [&file[..], &[0]].concat();
        let mut other = file.clone();
        other[100] ^= 1;
        send("one byte more", &form, &form.url, &longer);
        send("one byte less", &form, &form.url, &file[..file.len() - 1]);
        send("nothing", &form, &form.url, &[]);
        send(
            "another bucket",
            &form,
            &form.url.replace("uploads", "media"),
            &file,
        );
        send("other bytes of the same size", &form, &form.url, &other);
        send("expired", &self.form(&key, &file, 6), &form.url, &file);
        // One part of another form of the same signer, each signed by itself.
        let second = self.form(&format!("uploads/{OWNER}/{:026}", 3), &file, 0);
        for name in ["policy", "x-amz-signature"] {
            let mut mixed = form.clone();
            let found = mixed.fields.iter_mut().find(|(own, _)| own == name);
            second
                .field(name)
                .unwrap()
                .clone_into(&mut found.unwrap().1);
            send(&format!("{name} of another form"), &mixed, &form.url, &file);
        }
        let good = Sent {
            case: "as it is".to_owned(),
            url: form.url.clone(),
            fields: form.fields,
            file,
        };
        (good, variants)
    }

    /// Sends them all, and the form itself.
    ///
    /// `taken` are the ends of those cases that an S3 lacks the check for.
    async fn refuses_all_but(&self, taken: &[&str]) {
        let http = Client::new();
        let (good, variants) = self.variants();
        let mut refused = 0;
        for sent in &variants {
            let answer = post_form(&http, &sent.url, &sent.fields, &sent.file).await;
            let answer = answer.unwrap();
            let (status, case) = (answer.status(), &sent.case);
            assert!(status.as_u16() < 500, "{case}: {status}");
            if status.is_client_error() {
                refused += 1;
                continue;
            }
            assert!(taken.iter().any(|end| case.ends_with(end)), "{case}");
            let said = answer.text().await.unwrap();
            let key = good.fields[0].1.replace('/', "%2F");
            assert!(
                said.contains(&good.fields[0].1) || said.contains(&key),
                "{said}"
            );
        }
        println!("{refused} of {} refused", variants.len());
        assert!(refused >= 40, "{refused}");
        let answer = post_form(&http, &good.url, &good.fields, &good.file).await;
        let answer = answer.unwrap();
        let (status, case) = (answer.status(), good.case);
        assert_eq!(status, 201, "{case}: {}", answer.text().await.unwrap());
    }
}

#[tokio::test]
async fn the_embedded_s3_refuses_every_form_that_was_changed() {
    let folder = tempfile::tempdir().unwrap();
    let system = Gatepost::start(folder.path());
    let stored = std::fs::read(folder.path().join("s3-credentials.json")).unwrap();
    let stored: Value = serde_json::from_slice(&stored).unwrap();
    let text = |name: &str| stored[name].as_str().unwrap().to_owned();
    let form = system
        .form(&system.token("alice"), "image/jpeg", b"x")
        .await;
    let signer = Signer {
        endpoint: form
            .url()
            .strip_suffix("/gatepost-uploads")
            .unwrap()
            .to_owned(),
        region: "us-east-1",
        credentials: Credentials {
            access_key_id: text("access_key_id"),
            secret_access_key: text("secret_access_key").into(),
            session_token: None,
            expires_at: None,
        },
    };
    signer.makes_only_what_is_taken().await;
    signer.refuses_all_but(&[]).await;
    // One object came of it all.
    let uploads = folder
        .path()
        .join("s3/gatepost-uploads/uploads")
        .join(OWNER);
    assert_eq!(std::fs::read_dir(uploads).unwrap().count(), 1);
}

#[tokio::test]
#[ignore = "needs MiniStack (cargo xtask test installs it)"]
async fn an_independent_s3_refuses_them_too() {
    let stack = MiniStack::start();
    let folder = tempfile::tempdir().unwrap();
    let _system = Gatepost::start_with(
        folder.path(),
        &["--endpoint-url", &stack.endpoint],
        &[
            ("AWS_ACCESS_KEY_ID", "test"),
            ("AWS_SECRET_ACCESS_KEY", "test"),
            ("AWS_REGION", "eu-central-1"),
        ],
    );
    let session = session_of(&stack);
    let role = |name: &str| session[name].as_str().unwrap().to_owned();
    for (id, secret, token) in [
        ("test".to_owned(), "test".to_owned(), None),
        (
            role("AccessKeyId"),
            role("SecretAccessKey"),
            Some(role("SessionToken")),
        ),
    ] {
        let signer = Signer {
            endpoint: stack.endpoint.clone(),
            region: "eu-central-1",
            credentials: Credentials {
                access_key_id: id,
                secret_access_key: secret.into(),
                session_token: token.map(Into::into),
                expires_at: None,
            },
        };
        signer.makes_only_what_is_taken().await;
        // MiniStack 1.5.33 does not compute the SHA-256 of a form's file; our processor does. It takes the last of two
        // fields of one name: with the signed one last that is the original form.
        signer
            .refuses_all_but(&["other bytes of the same size", "another one before"])
            .await;
    }
}

impl Signer {
    /// A form of each kind that there is: all are taken.
    async fn makes_only_what_is_taken(&self) {
        type Part = fn(PostPolicy) -> Result<PostPolicy, SigningError>;
        let parts: [(&str, Part); 17] = [
            ("nothing else", Ok),
            ("type", |policy| {
                policy.content_type("text/plain;charset=utf-8")
            }),
            ("200", |policy| {
                policy.success_action_status(SuccessStatus::Ok)
            }),
            ("201", |policy| {
                policy.success_action_status(SuccessStatus::Created)
            }),
            ("204", |policy| {
                policy.success_action_status(SuccessStatus::NoContent)
            }),
            ("metadata", |policy| {
                policy
                    .metadata("a", "b \"c\" \\d")
                    .and_then(|policy| policy.metadata("e.f_g-h", "%C3%A9"))
            }),
            ("SHA-256", |policy| {
                policy.sha256(Sha256::digest(FILE).into())
            }),
            ("CRC-32", |policy| {
                policy.checksum(Checksum::Crc32(FILE_CRC32))
            }),
            ("tags", |policy| {
                policy.tags(&[("status", "pending"), ("a b", "")])
            }),
            ("cache", |policy| {
                policy.field(FormField::CacheControl, "private, max-age=60")
            }),
            ("disposition", |policy| {
                policy.field(
                    FormField::ContentDisposition,
                    "attachment; filename*=UTF-8''a%20b",
                )
            }),
            ("encoding", |policy| {
                policy.field(FormField::ContentEncoding, "gzip")
            }),
            ("expires", |policy| {
                policy.field(FormField::Expires, "Thu, 01 Jan 2099 00:00:00 GMT")
            }),
            ("encryption", |policy| {
                policy.field(FormField::ServerSideEncryption, "AES256")
            }),
            ("storage class", |policy| {
                policy.field(FormField::StorageClass, "STANDARD")
            }),
            ("open type", |policy| {
                policy.starts_with(PrefixField::ContentType, "text/")
            }),
            ("open metadata", |policy| {
                policy.starts_with(PrefixField::Metadata("note"), "")
            }),
        ];
        let http = Client::new();
        let bucket = Bucket::at_endpoint("gatepost-uploads", self.region, &self.endpoint).unwrap();
        let expiry = Expiry::within(SignedDuration::from_mins(5));
        for (case, part) in parts {
            for key in ["k/ä b+c%\"\\.txt", "below/"] {
                let policy = if key.ends_with('/') {
                    PostPolicy::below(&bucket, key, 0..=100, expiry)
                } else {
                    PostPolicy::new(&bucket, key, 0..=100, expiry)
                };
                let form = policy
                    .and_then(part)
                    .and_then(|policy| policy.sign(Timestamp::now(), &self.credentials))
                    .unwrap();
                let mut filled = form.clone();
                for open in &form.open {
                    let value = format!("{}x", open.prefix);
                    filled = filled.fill(&open.name, &value).unwrap();
                }
                let answer = post_form(&http, &filled.url, &filled.fields, FILE).await;
                let answer = answer.unwrap();
                let status = answer.status();
                let said = answer.text().await.unwrap();
                assert!(status.is_success(), "{case}: {status} {said}");
            }
        }
    }
}

/// Credentials of a session, as a role has them.
fn session_of(stack: &MiniStack) -> Value {
    let script = "import boto3, json, sys\n\
                  sts = boto3.client('sts', 'eu-central-1', endpoint_url=sys.argv[1])\n\
                  session = sts.get_session_token()['Credentials']\n\
                  print(json.dumps(session, default=str))";
    let output =
        Command::new(PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("../venv/bin/python"))
            .args(["-c", script, &stack.endpoint])
            .env_remove("AWS_PROFILE")
            .envs([
                ("AWS_ACCESS_KEY_ID", "test"),
                ("AWS_SECRET_ACCESS_KEY", "test"),
                ("AWS_REGION", "eu-central-1"),
            ])
            .output()
            .unwrap();
    let (stdout, stderr) = text(&output);
    serde_json::from_str(&stdout).unwrap_or_else(|_| panic!("{stderr}"))
}
