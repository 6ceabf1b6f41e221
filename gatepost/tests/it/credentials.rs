//! The credentials of `sign` and `--endpoint-url`: every source of the AWS SDK, but no metadata service.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use crate::harness::{gatepost, text};

/// A command without this machine's AWS configuration; its home is the test's folder.
fn command(home: &Path, arguments: &[&str]) -> Command {
    let mut command = gatepost();
    for (name, _) in std::env::vars() {
        if name.starts_with("AWS_") || name.starts_with("GATEPOST_") {
            command.env_remove(name);
        }
    }
    command.args(arguments).env("HOME", home).current_dir(home);
    command
}

fn sign(home: &Path, variables: &[(&str, &str)], more: &[&str]) -> Result<Value, String> {
    let arguments = ["sign", "get", "--bucket=example", "--key=k"];
    let output = command(home, &[&arguments[..], more].concat())
        .envs(variables.iter().copied())
        .output()
        .unwrap();
    let (stdout, stderr) = text(&output);
    match output.status.code() {
        Some(0) => Ok(serde_json::from_str(&stdout).unwrap()),
        Some(1) => Err(stderr),
        code => panic!("{code:?}: {stderr}"),
    }
}

fn configure(home: &Path, config: &str) {
    std::fs::create_dir_all(home.join(".aws")).unwrap();
    std::fs::write(home.join(".aws/config"), config).unwrap();
}

/// A program that prints credentials, or the reason why it cannot.
fn program(home: &Path, script: &str) -> String {
    let file = home.join("credentials.sh");
    std::fs::write(&file, format!("#!/bin/sh\n{script}\n")).unwrap();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o755)).unwrap();
    file.to_str().unwrap().to_owned()
}

#[test]
fn credentials_of_a_profiles_program_are_used() {
    let home = tempfile::tempdir().unwrap();
    let end = Timestamp::now() + SignedDuration::from_mins(10);
    let credentials = json!({
        "Version": 1, "AccessKeyId": "AKIDPROCESS", "SecretAccessKey": "secret",
        "SessionToken": "a-session", "Expiration": end.to_string(),
    });
    let program = program(home.path(), &format!("echo '{credentials}'"));
    configure(
        home.path(),
        &format!("[default]\nregion = eu-west-1\ncredential_process = {program}\n"),
    );
    let signed = sign(home.path(), &[], &["--expires=5m"]).unwrap();
    let url = signed["url"].as_str().unwrap();
    assert!(url.contains("AKIDPROCESS%2F"), "{url}");
    assert!(url.contains(".s3.eu-west-1.amazonaws.com/"), "{url}");
    // No link outlives the credentials that sign it.
    let refused = sign(home.path(), &[], &["--expires=15m"]).unwrap_err();
    assert!(refused.contains("credentials"), "{refused}");
}

#[test]
fn a_role_of_the_profile_is_assumed() {
    let home = tempfile::tempdir().unwrap();
    configure(
        home.path(),
        "[default]\nregion = eu-west-1\nrole_arn = arn:aws:iam::123456789012:role/signer\nsource_profile = keys\n\
         [profile keys]\naws_access_key_id = AKIDKEYS\naws_secret_access_key = secret\n",
    );
    let sts = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", sts.local_addr().unwrap());
    let end = Timestamp::now() + SignedDuration::from_hours(1);
    let answer = format!(
        "<AssumeRoleResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><AssumeRoleResult><Credentials>\
         <AccessKeyId>ASIAROLE</AccessKeyId><SecretAccessKey>secret</SecretAccessKey><SessionToken>a-session</SessionToken>\
         <Expiration>{end}</Expiration></Credentials></AssumeRoleResult></AssumeRoleResponse>"
    );
    let serving = std::thread::spawn(move || {
        let (mut stream, _) = sts.accept().unwrap();
        let mut request = [0; 16_384];
        let n = stream.read(&mut request).unwrap();
        write!(
            stream,
            "HTTP/1.1 200 OK\r\nContent-Type: text/xml\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{answer}",
            answer.len()
        )
        .unwrap();
        String::from_utf8_lossy(&request[..n]).into_owned()
    });
    let variables = [("AWS_ENDPOINT_URL_STS", endpoint.as_str())];
    let signed = sign(home.path(), &variables, &[]).unwrap();
    let request = serving.join().unwrap();
    assert!(request.contains("AKIDKEYS/"), "{request}");
    let url = signed["url"].as_str().unwrap();
    assert!(url.contains("ASIAROLE%2F"), "{url}");
}

#[test]
fn the_expiry_of_credentials_in_variables_limits_signatures() {
    let home = tempfile::tempdir().unwrap();
    let keys = [
        ("AWS_REGION", "eu-west-1"),
        ("AWS_ACCESS_KEY_ID", "ASIAENV"),
        ("AWS_SECRET_ACCESS_KEY", "secret"),
        ("AWS_SESSION_TOKEN", "a-session"),
    ];
    let end = (Timestamp::now() + SignedDuration::from_mins(10)).to_string();
    for (end, expires, said) in [
        (end.as_str(), "--expires=5m", None),
        (&end, "--expires=15m", Some("credentials")),
        (
            "tomorrow",
            "--expires=5m",
            Some("AWS_CREDENTIAL_EXPIRATION is \"tomorrow\", not a point in time"),
        ),
    ] {
        let variables = [&keys[..], &[("AWS_CREDENTIAL_EXPIRATION", end)]].concat();
        let signed = sign(home.path(), &variables, &[expires]);
        match said {
            None => assert!(signed.is_ok(), "{signed:?}"),
            Some(said) => {
                let reason = signed.unwrap_err();
                assert!(reason.contains(said), "{reason}");
            }
        }
    }
}

#[test]
fn a_pseudo_region_selects_an_endpoint() {
    let home = tempfile::tempdir().unwrap();
    for region in ["fips-us-east-2", "us-east-2-fips"] {
        let variables = [
            ("AWS_REGION", region),
            ("AWS_ACCESS_KEY_ID", "AKID"),
            ("AWS_SECRET_ACCESS_KEY", "secret"),
        ];
        let signed = sign(home.path(), &variables, &[]).unwrap();
        let url = signed["url"].as_str().unwrap();
        let begin = "https://example.s3-fips.us-east-2.amazonaws.com/k?";
        assert!(url.starts_with(begin), "{url}");
        assert!(url.contains("%2Fus-east-2%2Fs3%2F"), "{url}");
    }
}

#[test]
fn the_root_cause_of_missing_credentials_is_reported() {
    let home = tempfile::tempdir().unwrap();
    let program = program(home.path(), "echo 'the vault is locked' >&2; exit 7");
    configure(
        home.path(),
        &format!(
            "[default]\nregion = eu-west-1\n[profile locked]\nregion = eu-west-1\ncredential_process = {program}\n\
             [profile sso]\nregion = eu-west-1\nsso_session = corp\nsso_account_id = 123456789012\nsso_role_name = dev\n\
             [sso-session corp]\nsso_region = eu-west-1\nsso_start_url = https://example.awsapps.com/start\n"
        ),
    );
    for (profile, said) in [
        (
            "locked",
            &["\"locked\" cannot be used: ", "the vault is locked"][..],
        ),
        ("missing", &["\"missing\" cannot be used: ", "not defined"]),
        ("sso", &["\"sso\" cannot be used: ", "SSO"]),
    ] {
        let variables = [("AWS_PROFILE", profile), ("AWS_REGION", "eu-west-1")];
        let reason = sign(home.path(), &variables, &[]).unwrap_err();
        for said in said {
            assert!(reason.contains(said), "{reason}");
        }
        assert_eq!(reason.lines().count(), 1, "{reason}");
    }
}

/// On any network, some machine may answer at the metadata service's address.
#[test]
fn no_metadata_service_is_asked_and_all_problems_are_reported() {
    let home = tempfile::tempdir().unwrap();
    let metadata = TcpListener::bind("127.0.0.1:0").unwrap();
    metadata.set_nonblocking(true).unwrap();
    let endpoint = format!("http://{}", metadata.local_addr().unwrap());
    let run = |arguments: &[&str]| {
        let output = command(home.path(), arguments)
            .env("AWS_EC2_METADATA_SERVICE_ENDPOINT", &endpoint)
            .output()
            .unwrap();
        let (stdout, stderr) = text(&output);
        assert_eq!((output.status.code(), stdout.as_str()), (Some(1), ""));
        stderr
    };
    let post = ["sign", "post", "--bucket=example", "--key=k"];
    assert_eq!(
        run(&[&post[..], &["--sha256=12", "--meta=owner"]].concat()),
        "gatepost: this cannot be signed:\n  \
         --meta \"owner\" is not of the form NAME=VALUE\n  \
         --sha256 takes 64 hexadecimal digits\n  \
         there is no AWS region; set AWS_REGION, or `region` in the AWS profile\n  \
         there are no AWS credentials; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE\n"
    );
    assert_eq!(
        run(&["sign", "cloudfront-url", "--url=https://a.example/x"]),
        "gatepost: this cannot be signed:\n  \
         there is no id of a public key at CloudFront; name it with --key-pair-id, or set GATEPOST_CLOUDFRONT_KEY_PAIR_ID\n  \
         there is no private key; name it with --private-key, or set GATEPOST_CLOUDFRONT_PRIVATE_KEY to its text\n"
    );
    let asked = metadata.accept();
    assert_eq!(
        asked.unwrap_err().kind(),
        std::io::ErrorKind::WouldBlock,
        "a metadata service was asked"
    );
}
