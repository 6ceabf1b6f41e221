//! An account in MiniStack with a `KeyValueStore` and an empty secret, and the command with its outputs.

use std::io::Write as _;
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use edge_auth::shared_session_header;
use reqwest::{Client, Method};
use serde_json::{Value, json};

use crate::harness::{PATIENCE, gatepost, text};
use crate::ministack::MiniStack;

pub(super) struct Account {
    pub(super) stack: MiniStack,
    http: Client,
    store: String,
    pub(super) secret: String,
    /// Everything that the command has written.
    outputs: Mutex<String>,
}

/// A key as `list` tells it: name, whether it is in the store and in the secret, state.
pub(super) type Listed = (String, bool, bool, String);

pub(super) fn state((kid, in_store, in_secret, state): (&str, bool, bool, &str)) -> Listed {
    (kid.to_owned(), in_store, in_secret, state.to_owned())
}

/// A command that is killed when it is dropped.
pub(super) struct Running(Child);

pub(super) fn in_background(mut command: Command, input: &str) -> Running {
    let mut child = command.spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(input.as_bytes()).unwrap();
    Running(child)
}

impl Running {
    /// Waits for its end, and answers whether it succeeded.
    pub(super) fn wait(mut self) -> bool {
        self.0.wait().unwrap().success()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Account {
    pub(super) async fn start() -> Self {
        let stack = MiniStack::start_without_signatures();
        let http = Client::new();
        let name = "<Name>sessions</Name><Comment>of a test</Comment>";
        let space = "http://cloudfront.amazonaws.com/doc/2020-05-31/";
        let body = format!(
            "<CreateKeyValueStoreRequest xmlns=\"{space}\">{name}</CreateKeyValueStoreRequest>"
        );
        let url = format!("{}/2020-05-31/key-value-store", stack.endpoint);
        let answer = http.post(url).body(body).send().await.unwrap();
        let made = answer.text().await.unwrap();
        let arn = made
            .split("<ARN>")
            .nth(1)
            .and_then(|rest| rest.split("</ARN>").next());
        let store = arn.unwrap_or_else(|| panic!("{made}")).to_owned();
        let mut account = Self {
            stack,
            http,
            store,
            secret: String::new(),
            outputs: Mutex::default(),
        };
        // Without a value, as Terraform makes it.
        let made = json!({"Name": "sessions"});
        let made = account.secrets_manager("CreateSecret", &made).await;
        made["ARN"]
            .as_str()
            .unwrap()
            .clone_into(&mut account.secret);
        account
    }

    /// The command, whose standard input is a pipe.
    pub(super) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = gatepost();
        command
            .arg("session-key")
            .args(arguments)
            .args(["--endpoint-url", &self.stack.endpoint])
            .current_dir(env!("CARGO_TARGET_TMPDIR"))
            .envs([
                ("AWS_ACCESS_KEY_ID", "test"),
                ("AWS_SECRET_ACCESS_KEY", "test"),
                ("GATEPOST_SESSION_STORE_ARN", &self.store),
                ("GATEPOST_SESSION_SECRETS_ARN", &self.secret),
            ])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    async fn output(&self, arguments: &[&str], input: &str) -> (i32, String, String) {
        let mut child = self.command(arguments).spawn().unwrap();
        // A command that needs no input may have ended.
        let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
        let output = tokio::task::spawn_blocking(move || child.wait_with_output());
        let output = output.await.unwrap().unwrap();
        let (stdout, stderr) = text(&output);
        let mut outputs = self.outputs.lock().unwrap();
        *outputs += &stdout;
        *outputs += &stderr;
        (output.status.code().unwrap(), stdout, stderr)
    }

    /// Runs the command: its exit code and its results, or its error.
    pub(super) async fn run(&self, arguments: &[&str], input: &str) -> (i32, String) {
        let (code, stdout, stderr) = self.output(arguments, input).await;
        (code, if code == 0 { stdout } else { stderr })
    }

    /// Runs the command, which must fail: its error.
    pub(super) async fn run_failing(&self, arguments: &[&str], input: &str) -> String {
        let (code, stdout, stderr) = self.output(arguments, input).await;
        assert_eq!((code, stdout.as_str()), (1, ""), "{arguments:?}: {stderr}");
        stderr
    }

    /// The keys in the list.
    pub(super) async fn states(&self) -> Vec<Listed> {
        let (code, lines) = self.run(&["list", "--format", "json"], "").await;
        assert_eq!(code, 0, "{lines}");
        let lines = lines.lines().map(|line| {
            let line: Value = serde_json::from_str(line).unwrap();
            let is = |name: &str| line[name].as_bool().unwrap();
            let text = |name: &str| line[name].as_str().unwrap().to_owned();
            (text("kid"), is("in_store"), is("in_secret"), text("state"))
        });
        lines.collect()
    }

    pub(super) fn assert_no_secret_was_shown(&self, secrets: &[&str]) {
        let outputs = self.outputs.lock().unwrap();
        assert!(!outputs.is_empty());
        for secret in secrets {
            assert!(!outputs.contains(secret), "{secret}: {outputs}");
        }
    }

    /// The store's value of a key.
    pub(super) async fn stored(&self, kid: &str) -> Option<String> {
        let header = shared_session_header(kid);
        self.stored_at(&format!("session/{header}")).await
    }

    /// The store's value of an entry.
    pub(super) async fn stored_at(&self, key: &str) -> Option<String> {
        let answer = self.http.get(self.entry_url(key)).send().await.unwrap();
        let answer: Value = answer.json().await.unwrap();
        Some(answer["Value"].as_str()?.to_owned())
    }

    pub(super) async fn wait_until_stored(&self, kid: &str) {
        let started = Instant::now();
        while self.stored(kid).await.is_none() {
            assert!(started.elapsed() < PATIENCE, "{kid} is not stored");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Writes an entry past the command.
    pub(super) async fn store(&self, kid: &str, value: &str) {
        self.change(Method::PUT, kid, &json!({"Value": value}))
            .await;
    }

    pub(super) async fn remove_stored(&self, kid: &str) {
        self.change(Method::DELETE, kid, &Value::Null).await;
    }

    async fn change(&self, method: Method, kid: &str, body: &Value) {
        let described = self.http.get(self.store_url()).send().await.unwrap();
        let url = self.entry_url(&format!("session/{}", shared_session_header(kid)));
        let request = self.http.request(method, url).json(body);
        let request = request.header("if-match", &described.headers()["etag"]);
        let answer = request.send().await.unwrap();
        assert!(answer.status().is_success(), "{answer:?}");
    }

    fn store_url(&self) -> String {
        let arn = self.store.replace('/', "%2F");
        format!("{}/key-value-stores/{arn}", self.stack.endpoint)
    }

    fn entry_url(&self, key: &str) -> String {
        format!("{}/keys/{}", self.store_url(), key.replace('/', "%2F"))
    }

    /// The document that the API reads; null without a value.
    pub(super) async fn api_secret(&self) -> Value {
        let wanted = json!({"SecretId": self.secret});
        let answer = self.secrets_manager("GetSecretValue", &wanted).await;
        let text = answer["SecretString"].as_str();
        text.map_or(Value::Null, |text| serde_json::from_str(text).unwrap())
    }

    /// Writes the API's secret past the command.
    pub(super) async fn write_api_secret(&self, text: &str) {
        let input = json!({"SecretId": self.secret, "SecretString": text});
        self.secrets_manager("PutSecretValue", &input).await;
    }

    async fn secrets_manager(&self, operation: &str, input: &Value) -> Value {
        let request = self
            .http
            .post(&self.stack.endpoint)
            .header("x-amz-target", format!("secretsmanager.{operation}"))
            .header("content-type", "application/x-amz-json-1.1");
        let answer = request.body(input.to_string()).send().await.unwrap();
        let (status, text) = (answer.status(), answer.text().await.unwrap());
        assert!(status.is_success(), "{operation}: {status} {text}");
        serde_json::from_str(&text).unwrap()
    }
}
