//! `gatepost sign`, and an S3 of somebody else that takes what it signs and nothing that was changed.

use serde_json::Value;

use crate::harness::{gatepost, post_form, repository, text};
use crate::ministack::MiniStack;

fn sign(arguments: &[&str]) -> Result<Value, String> {
    let output = gatepost()
        .arg("sign")
        .args(arguments)
        .env_remove("AWS_PROFILE")
        .env_remove("AWS_SESSION_TOKEN")
        .envs([
            ("AWS_ACCESS_KEY_ID", "test"),
            ("AWS_SECRET_ACCESS_KEY", "test"),
            ("AWS_REGION", "eu-central-1"),
        ])
        .output()
        .unwrap();
    let (stdout, stderr) = text(&output);
    if output.status.success() {
        Ok(serde_json::from_str(&stdout).unwrap())
    } else {
        Err(stderr)
    }
}

#[test]
fn the_same_time_makes_the_same_signature() {
    let arguments = [
        "get",
        "--bucket=example-media",
        "--key=media/k5x/640.webp",
        "--expires=15m",
        "--at=2026-11-24T12:00:00Z",
    ];
    let signed = sign(&arguments).unwrap();
    assert_eq!(signed, sign(&arguments).unwrap());
    assert_eq!(signed["expires_at"], "2026-11-24T12:15:00Z");
    // As botocore 1.44.8 signs the same.
    assert_eq!(
        signed["url"],
        "https://example-media.s3.eu-central-1.amazonaws.com/media/k5x/640.webp\
         ?X-Amz-Algorithm=AWS4-HMAC-SHA256\
         &X-Amz-Credential=test%2F20261124%2Feu-central-1%2Fs3%2Faws4_request\
         &X-Amz-Date=20261124T120000Z&X-Amz-Expires=900&X-Amz-SignedHeaders=host\
         &X-Amz-Signature=835c8392319b3ad4522ab5f21c6cb5b90a0f2511c80e677cb2ea462559bbbd0b"
    );

    for (arguments, said) in [
        (
            &["get", "--bucket=x", "--key=k"][..],
            "gatepost: bucket name \"x\" must have 3 to 63 bytes\n",
        ),
        (
            &["get", "--bucket=example", "--key=a/../b"],
            "gatepost: object key \"a/../b\" has a segment . or .., which browsers resolve\n",
        ),
        (
            &["post", "--bucket=example", "--key=k", "--sha256=12"],
            "gatepost: --sha256 takes 64 hexadecimal digits\n",
        ),
        (
            &["post", "--bucket=example", "--key=k", "--meta=owner"],
            "gatepost: --meta \"owner\" is not of the form NAME=VALUE\n",
        ),
    ] {
        assert_eq!(sign(arguments).unwrap_err(), said);
    }
}

#[test]
fn cloudfront_urls_and_cookies_are_signed() {
    let key = repository("url-signing/tests/keys/rsa-pkcs8.pem");
    let key = format!("--private-key={}", key.display());
    let id = "--key-pair-id=K2JCJMDEHXQW5F";
    let at = "--at=2026-11-25T12:00:00Z";
    let folder = "https://media.example.com/media/k5x/";
    let url = format!("--url={folder}640.webp");
    let canned = sign(&["cloudfront-url", &url, &key, id, at]).unwrap();
    assert_eq!(canned["expires_at"], "2026-11-25T12:15:00Z");
    let begin =
        format!("{folder}640.webp?Expires=1795608900&Key-Pair-Id=K2JCJMDEHXQW5F&Signature=");
    let signed = canned["url"].as_str().unwrap();
    assert!(signed.starts_with(&begin), "{signed}");
    assert!(signed.ends_with("&Hash-Algorithm=SHA256"), "{signed}");
    assert_eq!(
        canned,
        sign(&["cloudfront-url", &url, &key, id, at]).unwrap()
    );

    let below = format!("--below={folder}");
    let custom = [
        "cloudfront-url",
        &url,
        &below,
        &key,
        id,
        at,
        "--only-from=192.0.2.0/24",
        "--not-before=2026-11-25T11:00:00Z",
        "--shared-within=10m",
    ];
    let custom = sign(&custom).unwrap();
    assert_eq!(custom["expires_at"], "2026-11-25T12:25:00Z");
    assert!(custom["url"].as_str().unwrap().contains("?Policy="));

    let cookies = [
        "cloudfront-cookies",
        &below,
        &key,
        id,
        at,
        "--same-site=strict",
    ];
    let cookies = sign(&cookies).unwrap();
    assert_eq!(cookies["cookies"].as_object().unwrap().len(), 4);
    let line = cookies["set_cookie"][0].as_str().unwrap();
    let end = "; Path=/media/k5x/; Max-Age=900; Secure; HttpOnly; SameSite=Strict";
    assert!(
        line.starts_with("CloudFront-Policy=") && line.ends_with(end),
        "{line}"
    );

    for (arguments, said) in [
        (
            &["cloudfront-url", "--url=https://a.example/x y", &key, id][..],
            "gatepost: the URL may contain only the characters of RFC 3986 for a path and a query; percent-encode the rest\n",
        ),
        (
            &[
                "cloudfront-url",
                &url,
                "--below=https://media.example.com/other/",
                &key,
                id,
            ],
            "gatepost: the URL is not covered by the policy\n",
        ),
        (
            &["cloudfront-url", &url, "--private-key=/nowhere", id],
            "gatepost: the private key /nowhere cannot be read: No such file or directory (os error 2)\n",
        ),
        (
            &["cloudfront-url", &url, id],
            "gatepost: there is no private key; name it with --private-key, or set GATEPOST_CLOUDFRONT_PRIVATE_KEY to its text\n",
        ),
    ] {
        assert_eq!(sign(arguments).unwrap_err(), said);
    }
    let neither = sign(&["cloudfront-cookies", &key, id]).unwrap_err();
    assert!(neither.contains("--url <URL>"), "{neither}");
}

#[test]
fn a_private_key_from_a_variable_or_a_file_is_accepted() {
    let pem = std::fs::read_to_string(repository("url-signing/tests/keys/rsa-pkcs8.pem")).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("key.pem");
    let sign = |pem: &[u8], is_variable: bool| {
        let mut command = gatepost();
        command.args([
            "sign",
            "cloudfront-url",
            "--url=https://media.example.com/a",
            "--key-pair-id=K2JCJMDEHXQW5F",
            "--at=2026-11-25T12:00:00Z",
        ]);
        if is_variable {
            let pem = str::from_utf8(pem).unwrap();
            command.env("GATEPOST_CLOUDFRONT_PRIVATE_KEY", pem);
        } else {
            std::fs::write(&file, pem).unwrap();
            command.arg("--private-key").arg(&file);
        }
        text(&command.output().unwrap())
    };
    let (expected, complaint) = sign(pem.as_bytes(), true);
    assert_eq!(complaint, "");
    for written in [
        pem.replace('\n', "\\n"),
        format!("\"{pem}\""),
        pem.replace('\n', "\n    "),
        format!("\u{feff}{pem}"),
    ] {
        for is_variable in [true, false] {
            let signed = sign(written.as_bytes(), is_variable);
            assert_eq!(signed, (expected.clone(), String::new()), "{written}");
        }
    }
    let utf_16: Vec<u8> = pem.encode_utf16().flat_map(u16::to_le_bytes).collect();
    for written in [utf_16.clone(), [b"\xff\xfe", &utf_16[..]].concat()] {
        let said = "gatepost: the private key cannot be used: it is in UTF-16; save it as UTF-8\n";
        assert_eq!(sign(&written, false), (String::new(), said.to_owned()));
    }
}

#[tokio::test]
#[ignore = "needs MiniStack (cargo xtask test installs it)"]
async fn an_independent_s3_takes_what_is_signed_and_nothing_that_was_changed() {
    let stack = MiniStack::start();
    let http = reqwest::Client::new();
    // MiniStack checks signatures of objects only in existing buckets, and creates buckets for any holder of its keys.
    let folder = tempfile::tempdir().unwrap();
    let _system = crate::harness::Gatepost::start_with(
        folder.path(),
        &["--endpoint-url", &stack.endpoint],
        &[
            ("AWS_ACCESS_KEY_ID", "test"),
            ("AWS_SECRET_ACCESS_KEY", "test"),
            ("AWS_REGION", "eu-central-1"),
        ],
    );
    let object = |key: &str| {
        [
            "--bucket=gatepost-uploads".to_owned(),
            format!("--key={key}"),
            format!("--endpoint-url={}", stack.endpoint),
        ]
    };
    for key in ["letters/a b+&=?%/ä.txt", "plain"] {
        let [bucket, key, endpoint] = &object(key);
        let form = sign(&[
            "post",
            bucket,
            key,
            endpoint,
            "--content-type=text/plain",
            "--meta=owner=k5x",
        ])
        .unwrap();
        let fields: Vec<_> = form["fields"]
            .as_object()
            .unwrap()
            .iter()
            .map(|(name, value)| (name.clone(), value.as_str().unwrap().to_owned()))
            .collect();
        let url = form["url"].as_str().unwrap();
        let answer = post_form(&http, url, &fields, b"Dear Sir").await.unwrap();
        assert_eq!(answer.status(), 204, "{}", answer.text().await.unwrap());

        let get = ["get", bucket, key, endpoint];
        let signed = sign(&get).unwrap();
        let url = signed["url"].as_str().unwrap();
        let answer = http.get(url).send().await.unwrap();
        assert_eq!(answer.status(), 200, "{url}");
        assert_eq!(answer.text().await.unwrap(), "Dear Sir");

        let shown = sign(
            &[
                &get[..],
                &[
                    "--response-content-type=text/x-letter",
                    "--shared-within=5m",
                ],
            ]
            .concat(),
        );
        let shown = shown.unwrap();
        let answer = http
            .get(shown["url"].as_str().unwrap())
            .send()
            .await
            .unwrap();
        assert_eq!(answer.headers()["content-type"], "text/x-letter");

        let old = sign(&[&get[..], &["--at=2026-01-01T00:00:00Z"]].concat()).unwrap();
        for changed in [
            url.replace("X-Amz-Expires=900", "X-Amz-Expires=9000"),
            url.replace("X-Amz-Date=20", "X-Amz-Date=19"),
            url.replace("gatepost-uploads/", "gatepost-media/"),
            url.replace("?X-Amz", "?response-content-type=text%2Fhtml&X-Amz"),
            format!("{}0", &url[..url.len() - 1]),
            // MiniStack accepts requests without any signature.
            old["url"].as_str().unwrap().to_owned(),
        ] {
            if changed != url {
                let answer = http.get(&changed).send().await.unwrap();
                assert!(answer.status().is_client_error(), "{changed}");
            }
        }
        assert_eq!(http.put(url).body("x").send().await.unwrap().status(), 403);
    }
}
