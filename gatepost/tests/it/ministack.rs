//! MiniStack, an independent AWS emulator that checks signatures and policies, and the whole path against it.

use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::harness::{Gatepost, PATIENCE, photo, post_form};

/// A running MiniStack.
pub(crate) struct MiniStack {
    child: Child,
    pub(crate) endpoint: String,
}

impl MiniStack {
    /// Starts one that checks signatures.
    pub(crate) fn start() -> Self {
        Self::start_with(&[("AUTH", "true")])
    }

    /// Starts one that accepts every request.
    pub(crate) fn start_without_signatures() -> Self {
        Self::start_with(&[])
    }

    /// Starts the one that `cargo xtask test` installs.
    fn start_with(variables: &[(&str, &str)]) -> Self {
        let binary = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("../venv/bin/ministack");
        assert!(
            binary.exists(),
            "the test needs target/venv; cargo xtask test makes it"
        );
        let port = TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        let child = Command::new(binary)
            .envs([
                ("BIND_HOST", "127.0.0.1"),
                ("IOT_MTLS_ENABLED", "0"),
                ("SFTP_ENABLED", "0"),
            ])
            .envs(variables.iter().copied())
            .env("GATEWAY_PORT", port.to_string())
            .current_dir(env!("CARGO_TARGET_TMPDIR"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let stack = Self {
            child,
            endpoint: format!("http://127.0.0.1:{port}"),
        };
        let started = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(started.elapsed() < PATIENCE, "MiniStack does not listen");
            std::thread::sleep(Duration::from_millis(100));
        }
        stack
    }
}

impl Drop for MiniStack {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[tokio::test]
#[ignore = "needs MiniStack (cargo xtask test installs it)"]
async fn an_independent_s3_takes_our_forms_and_refuses_tampered_ones() {
    let stack = MiniStack::start();
    let folder = tempfile::tempdir().unwrap();
    let system = Gatepost::start_with(
        folder.path(),
        &["--endpoint-url", &stack.endpoint],
        &[
            ("AWS_ACCESS_KEY_ID", "test"),
            ("AWS_SECRET_ACCESS_KEY", "test"),
            ("AWS_REGION", "eu-central-1"),
        ],
    );
    let alice = system.token("alice");
    let jpeg = photo(800, 600);
    let form = system.form(&alice, "image/jpeg", &jpeg).await;
    assert!(form.url().starts_with(&stack.endpoint));

    for (name, value) in [
        ("key", "uploads/x/y"),
        ("Content-Type", "text/html"),
        ("x-amz-meta-filename", "x"),
        ("x-amz-checksum-sha256", "AAAA"),
        ("x-amz-signature", "0000"),
        ("acl", "public-read"),
    ] {
        let mut fields = form.fields();
        fields.retain(|(found, _)| found != name);
        fields.push((name.to_owned(), value.to_owned()));
        let response = post_form(&system.http, form.url(), &fields, &jpeg)
            .await
            .unwrap();
        assert_eq!(response.status(), 403, "{name}");
    }
    let mut longer = jpeg.clone();
    longer.push(0);
    assert_eq!(form.send(&system.http, &longer).await.status(), 400);

    assert_eq!(form.send(&system.http, &jpeg).await.status(), 204);
    let answer = system.settled(&alice, &form.id()).await;
    assert_eq!(answer["status"], "ready", "{answer}");
    let path = answer["manifest"]["renditions"][0]["path"]
        .as_str()
        .unwrap();
    assert_eq!(system.get(path, &alice).await.status(), 200);
    assert_eq!(system.get(path, &system.token("bob")).await.status(), 403);
}
