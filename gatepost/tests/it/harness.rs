//! A running `gatepost dev`, its HTTP client, and other helpers of the tests.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use image::{ImageEncoder, Rgb, RgbImage};
use reqwest::{Client, Method, RequestBuilder, Response};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

/// The timeout of every wait; generous, for busy machines.
pub(crate) const PATIENCE: Duration = Duration::from_mins(2);

/// A system that runs until it is dropped.
pub(crate) struct Gatepost {
    child: Child,
    pub(crate) url: String,
    pub(crate) data_dir: PathBuf,
    pub(crate) http: Client,
}

/// An upload's form, as the API handed it out.
pub(crate) struct Form(pub(crate) Value);

impl Gatepost {
    /// Starts it on a data directory.
    pub(crate) fn start(data_dir: &Path) -> Self {
        Self::start_with(data_dir, &[], &[])
    }

    /// Starts it with a configuration, which is put beside its data directory.
    pub(crate) fn start_configured(data_dir: &Path, config: &str) -> Self {
        let file = data_dir.with_extension("toml");
        std::fs::write(&file, config).unwrap();
        Self::start_with(data_dir, &["--config", file.to_str().unwrap()], &[])
    }

    /// Starts it with more arguments and variables.
    pub(crate) fn start_with(
        data_dir: &Path,
        arguments: &[&str],
        variables: &[(&str, &str)],
    ) -> Self {
        let mut child = gatepost()
            .args(["dev", "--port", "0", "--data-dir"])
            .arg(data_dir)
            .args(arguments)
            .env("RUST_LOG", "off")
            .envs(variables.iter().copied())
            .current_dir(env!("CARGO_TARGET_TMPDIR"))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        let url = line
            .trim()
            .strip_prefix("ready ")
            .unwrap_or_else(|| panic!("it did not get ready: {line:?}"))
            .to_owned();
        Self {
            child,
            url,
            data_dir: data_dir.to_owned(),
            http: Client::builder()
                .redirect(reqwest::redirect::Policy::none())
                .build()
                .unwrap(),
        }
    }

    /// Ends it as a crash would.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Ends it as Ctrl-C does; returns whether it succeeded.
    pub(crate) fn interrupt(mut self) -> bool {
        let pid = self.child.id().to_string();
        Command::new("kill").args(["-INT", &pid]).status().unwrap();
        self.child.wait().unwrap().success()
    }

    /// Its resident memory, in kB.
    #[cfg(target_os = "linux")]
    pub(crate) fn memory(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let number = line.unwrap().trim().trim_end_matches(" kB");
        number.parse().unwrap()
    }

    /// A token of the development issuer.
    pub(crate) fn token(&self, subject: &str) -> String {
        let output = gatepost()
            .args(["token", "--sub", subject, "--data-dir"])
            .arg(&self.data_dir)
            .output()
            .unwrap();
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    pub(crate) fn request(&self, method: Method, path: &str, token: &str) -> RequestBuilder {
        self.http
            .request(method, format!("{}{path}", self.url))
            .bearer_auth(token)
    }

    pub(crate) async fn get(&self, path: &str, token: &str) -> Response {
        self.request(Method::GET, path, token).send().await.unwrap()
    }

    /// Asks for a form for these bytes.
    pub(crate) async fn form(&self, token: &str, content_type: &str, bytes: &[u8]) -> Form {
        let intent = json!({
            "content_type": content_type,
            "size": bytes.len(),
            "sha256": data_encoding::HEXLOWER.encode(&Sha256::digest(bytes)),
            "filename": "Übung 1.jpg",
        });
        let response = self
            .request(Method::POST, "/api/uploads", token)
            .json(&intent)
            .send()
            .await
            .unwrap();
        assert_eq!(response.status(), 201);
        Form(response.json().await.unwrap())
    }

    /// Uploads bytes and waits for the outcome.
    pub(crate) async fn upload(&self, token: &str, content_type: &str, bytes: &[u8]) -> Value {
        let form = self.form(token, content_type, bytes).await;
        let response = form.send(&self.http, bytes).await;
        let status = response.status();
        assert_eq!(status, 204, "{}", response.text().await.unwrap());
        self.settled(token, &form.id()).await
    }

    /// Waits until an upload is no longer pending.
    pub(crate) async fn settled(&self, token: &str, id: &str) -> Value {
        let started = Instant::now();
        loop {
            let response = self.get(&format!("/api/uploads/{id}"), token).await;
            assert_eq!(response.status(), 200);
            let answer: Value = response.json().await.unwrap();
            if answer["status"] != "pending" {
                return answer;
            }
            assert!(started.elapsed() < PATIENCE, "upload {id} is still pending");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

impl Drop for Gatepost {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Form {
    pub(crate) fn id(&self) -> String {
        self.0["id"].as_str().unwrap().to_owned()
    }

    pub(crate) fn fields(&self) -> Vec<(String, String)> {
        let fields = self.0["fields"].as_object().unwrap();
        fields
            .iter()
            .map(|(name, value)| (name.clone(), value.as_str().unwrap().to_owned()))
            .collect()
    }

    pub(crate) fn url(&self) -> &str {
        self.0["url"].as_str().unwrap()
    }

    /// Posts it as a browser would.
    pub(crate) async fn send(&self, http: &Client, bytes: &[u8]) -> Response {
        post_form(http, self.url(), &self.fields(), bytes)
            .await
            .unwrap()
    }
}

/// Posts fields and a file.
pub(crate) async fn post_form(
    http: &Client,
    url: &str,
    fields: &[(impl AsRef<str>, String)],
    bytes: &[u8],
) -> reqwest::Result<Response> {
    let mut form = reqwest::multipart::Form::new();
    for (name, value) in fields {
        form = form.text(name.as_ref().to_owned(), value.clone());
    }
    let file = reqwest::multipart::Part::bytes(bytes.to_vec()).file_name("photo.jpg");
    http.post(url)
        .header("origin", "http://127.0.0.1:1")
        .multipart(form.part("file", file))
        .send()
        .await
}

/// The binary under test.
pub(crate) fn gatepost() -> Command {
    Command::new(env!("CARGO_BIN_EXE_gatepost"))
}

/// A command's stdout and stderr, as text.
pub(crate) fn text(output: &Output) -> (String, String) {
    (
        String::from_utf8_lossy(&output.stdout).into_owned(),
        String::from_utf8_lossy(&output.stderr).into_owned(),
    )
}

/// A picture with areas, edges and some grain, as JPEG.
pub(crate) fn photo(width: u32, height: u32) -> Vec<u8> {
    let mut noise = 0x9e37_79b9_u32;
    let image = RgbImage::from_fn(width, height, |x, y| {
        noise ^= noise << 13;
        noise ^= noise >> 17;
        noise ^= noise << 5;
        let grain = (noise & 15) as u8;
        let sky = (y * 160 / height) as u8;
        let hill = u8::from((x * 7 / width + y * 5 / height).is_multiple_of(2)) * 60;
        Rgb([40 + hill + grain, 70 + sky / 2 + grain, 200 - sky + grain])
    });
    let mut jpeg = Vec::new();
    image::codecs::jpeg::JpegEncoder::new_with_quality(&mut jpeg, 85)
        .write_image(
            image.as_raw(),
            width,
            height,
            image::ExtendedColorType::Rgb8,
        )
        .unwrap();
    jpeg
}

/// The path of something in the repository.
pub(crate) fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path)
}

/// Compares a command's whole output with the file `snapshots/it__NAME.snap`; times, ages and paths of this run are
/// redacted. `INSTA_UPDATE=always cargo test` writes the files anew.
#[track_caller]
pub(crate) fn assert_output(name: &str, folder: &Path, output: &str) {
    let folder = folder.to_string_lossy();
    let mut settings = insta::Settings::clone_current();
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.add_filter(r" *\b\d+ (ms|µs)\b", " [time]");
    settings.add_filter(r" *\b(\d+d \d+h|\d+h \d+m)\b", " [age]");
    settings.bind(|| insta::assert_snapshot!(name, output.replace(&*folder, "[folder]")));
}
