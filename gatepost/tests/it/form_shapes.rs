//! Forms in the notations of HTTP clients, all of which S3 accepts, and the bucket's answers.

use std::fmt::Write as _;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use url_signing::{
    Bucket, Credentials, Expiry, PostPolicy, PrefixField, SignedForm, SuccessStatus,
};

use crate::harness::{Gatepost, photo};

/// Signs forms with the local S3's key.
struct Signer {
    endpoint: String,
    credentials: Credentials,
}

impl Signer {
    async fn of(system: &Gatepost) -> Self {
        let file = system.data_dir.join("s3-credentials.json");
        let stored: Value = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
        let text = |name: &str| stored[name].as_str().unwrap().to_owned();
        let alice = system.token("alice");
        let form = system.form(&alice, "image/jpeg", b"x").await;
        Self {
            endpoint: form
                .url()
                .strip_suffix("/gatepost-uploads")
                .unwrap()
                .to_owned(),
            credentials: Credentials {
                access_key_id: text("access_key_id"),
                secret_access_key: text("secret_access_key").into(),
                session_token: None,
                expires_at: None,
            },
        }
    }

    fn policy(&self, key: &str) -> PostPolicy {
        let bucket = Bucket::at_endpoint("gatepost-uploads", "us-east-1", &self.endpoint).unwrap();
        let expiry = Expiry::within(SignedDuration::from_mins(5));
        PostPolicy::new(&bucket, key, 0..=10_000_000, expiry).unwrap()
    }

    fn sign(&self, policy: &PostPolicy) -> SignedForm {
        policy.sign(Timestamp::now(), &self.credentials).unwrap()
    }

    fn host(&self) -> &str {
        self.endpoint.strip_prefix("http://").unwrap()
    }

    /// Sends a request as it is; the status, the headers in lower case, and the body.
    fn send(&self, head: &str, body: &[u8]) -> (u16, String, String) {
        let mut socket = TcpStream::connect(self.host()).unwrap();
        let head = format!(
            "{head}\r\nHost: {}\r\nConnection: close\r\n\r\n",
            self.host()
        );
        socket.write_all(head.as_bytes()).unwrap();
        // The answer may come before the whole body was read.
        let _ = socket.write_all(body);
        let mut answer = Vec::new();
        socket.read_to_end(&mut answer).unwrap();
        let answer = String::from_utf8_lossy(&answer);
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        (status, head.to_ascii_lowercase(), body.to_owned())
    }

    fn post(&self, target: &str, body: &[u8]) -> (u16, String, String) {
        let head = format!(
            "POST {target} HTTP/1.1\r\nContent-Type: multipart/form-data; boundary=b\r\nContent-Length: {}",
            body.len()
        );
        self.send(&head, body)
    }
}

/// How a client writes the parts of a form.
#[derive(Clone, Copy)]
struct Shape {
    client: &'static str,
    preamble: &'static str,
    /// `{}` is the field's name.
    field: &'static str,
    /// More header lines of each field; `{}` is the length of its value.
    field_lines: &'static [&'static str],
    file: &'static str,
    file_lines: &'static [&'static str],
    are_lines_first: bool,
    epilogue: &'static str,
}

const BROWSER: Shape = Shape {
    client: "a browser",
    preamble: "",
    field: r#"form-data; name="{}""#,
    field_lines: &[],
    file: r#"form-data; name="file"; filename="p.jpg""#,
    file_lines: &["Content-Type: image/jpeg"],
    are_lines_first: false,
    epilogue: "",
};

#[rustfmt::skip]
const SHAPES: [Shape; 17] = [
    BROWSER,
    Shape { client: ".NET HttpClient", field: "form-data; name={}", field_lines: &["Content-Type: text/plain; charset=utf-8"], file: "form-data; name=file; filename=p.jpg; filename*=utf-8''p.jpg", are_lines_first: true, ..BROWSER },
    Shape { client: "Postman", file: r#"form-data; name="file"; filename="p.jpg"; filename*=UTF-8''p.jpg"#, ..BROWSER },
    Shape { client: "requests with urllib3 1.24", file: r#"form-data; name="file"; filename*=utf-8''f%C3%BCr.jpg"#, ..BROWSER },
    Shape { client: "OkHttp 4", field_lines: &["Content-Length: {}"], file_lines: &["Content-Type: image/jpeg", "Content-Length: {}"], ..BROWSER },
    Shape { client: "Guzzle", field_lines: &["Content-Length: {}"], file_lines: &["Content-Length: {}", "Content-Type: image/jpeg"], are_lines_first: true, ..BROWSER },
    Shape { client: "Apache HttpClient", field_lines: &["Content-Type: text/plain; charset=ISO-8859-1", "Content-Transfer-Encoding: 8bit"], file_lines: &["Content-Type: image/jpeg", "Content-Transfer-Encoding: binary"], ..BROWSER },
    Shape { client: "Ruby multipart-post", field_lines: &["Content-Type: text/plain; charset=UTF-8"], file_lines: &["Content-Length: {}", "Content-Type: image/jpeg", "Content-Transfer-Encoding: binary"], epilogue: "\r\n", ..BROWSER },
    Shape { client: "curl with part headers", field_lines: &["X-Custom: a"], file_lines: &["Content-Type: image/jpeg", "X-Custom: b"], ..BROWSER },
    Shape { client: "curl before 7.81", file: r#"form-data; name="file"; filename="a\"b\\c.jpg""#, ..BROWSER },
    Shape { client: "a browser, quotation mark in the file's name", file: r#"form-data; name="file"; filename="a%22b.jpg""#, ..BROWSER },
    Shape { client: "the file's name first", file: r#"form-data; filename="p; name=x.jpg"; name="file""#, ..BROWSER },
    Shape { client: "other case and spaces", field: r#"Form-Data;  Name = "{}""#, file: r#"FORM-DATA;NAME="file";FILENAME="p.jpg""#, ..BROWSER },
    Shape { client: "a preamble (RFC 2046 5.1.1)", preamble: "This is a message with multiple parts.\r\n", ..BROWSER },
    Shape { client: "a line break before the first boundary", preamble: "\r\n", ..BROWSER },
    Shape { client: "an epilogue", epilogue: "\r\nthe end\r\n", ..BROWSER },
    Shape { client: "no name of the file", file: r#"form-data; name="file""#, file_lines: &[], ..BROWSER },
];

impl Shape {
    fn body(&self, form: &SignedForm, content: &[u8]) -> Vec<u8> {
        let mut body = self.preamble.as_bytes().to_vec();
        let mut part = |disposition: &str, lines: &[&str], content: &[u8]| {
            let disposition = format!("Content-Disposition: {disposition}");
            let length = content.len().to_string();
            let mut lines: Vec<_> = lines
                .iter()
                .map(|line| line.replace("{}", &length))
                .collect();
            let at = if self.are_lines_first { lines.len() } else { 0 };
            lines.insert(at, disposition);
            let mut head = "--b\r\n".to_owned();
            for line in lines {
                write!(head, "{line}\r\n").unwrap();
            }
            body.extend_from_slice(head.as_bytes());
            body.extend_from_slice(b"\r\n");
            body.extend_from_slice(content);
            body.extend_from_slice(b"\r\n");
        };
        for (name, value) in &form.fields {
            part(
                &self.field.replace("{}", name),
                self.field_lines,
                value.as_bytes(),
            );
        }
        part(self.file, self.file_lines, content);
        body.extend_from_slice(b"--b--\r\n");
        body.extend_from_slice(self.epilogue.as_bytes());
        body
    }
}

#[tokio::test]
async fn forms_of_every_client_are_accepted() {
    let folder = tempfile::tempdir().unwrap();
    let system = Gatepost::start(folder.path());
    let signer = Signer::of(&system).await;
    for (idx, shape) in SHAPES.iter().enumerate() {
        let key = format!("shapes/{idx}");
        let form = signer.sign(&signer.policy(&key));
        let content = photo(16 + idx as u32, 16);
        let (status, _, said) = signer.post("/gatepost-uploads", &shape.body(&form, &content));
        assert_eq!(status, 204, "{}: {said}", shape.client);
        let stored = folder.path().join("s3/gatepost-uploads").join(&key);
        assert!(
            std::fs::read(stored).unwrap() == content,
            "{}",
            shape.client
        );
    }
}

#[tokio::test]
async fn a_form_of_exactly_the_maximum_size_is_accepted() {
    const MAX_BYTES: usize = 26_214_400;
    let folder = tempfile::tempdir().unwrap();
    let system = Gatepost::start(folder.path());
    let alice = system.token("alice");
    // The photo, with comments before its end.
    let mut jpeg = photo(64, 48);
    let end = jpeg.split_off(jpeg.len() - 2);
    while jpeg.len() < MAX_BYTES - 2 {
        let left = MAX_BYTES - 2 - jpeg.len();
        // A comment has at least four bytes.
        let length = match left {
            0..=65_537 => left,
            _ => left.min(65_537).min(left - 4),
        };
        jpeg.extend([0xff, 0xfe]);
        jpeg.extend(u16::try_from(length - 2).unwrap().to_be_bytes());
        jpeg.resize(jpeg.len() + length - 4, 0);
    }
    jpeg.extend(end);
    assert_eq!(jpeg.len(), MAX_BYTES);
    let answer = system.upload(&alice, "image/jpeg", &jpeg).await;
    assert_eq!(answer["status"], "ready");
    // One byte more than the form allows is refused, at any size.
    let form = system.form(&alice, "image/jpeg", &jpeg).await;
    jpeg.push(0);
    let response = form.send(&system.http, &jpeg).await;
    assert_eq!(response.status(), 400);
    let said = response.text().await.unwrap();
    assert!(said.contains("<Code>EntityTooLarge</Code>"), "{said}");
    assert!(
        said.contains(
            "<ProposedSize>26214401</ProposedSize><MaxSizeAllowed>26214400</MaxSizeAllowed>"
        ),
        "{said}"
    );
}

/// Endless forms use no more memory than the fields that S3 reads.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn unsigned_forms_do_not_fill_the_memory() {
    let folder = tempfile::tempdir().unwrap();
    let system = Gatepost::start(folder.path());
    let signer = Signer::of(&system).await;
    let before = system.memory();
    let file = b"--b\r\nContent-Disposition: form-data; name=\"key\"\r\n\r\nk\r\n--b\r\nContent-Disposition: form-data; name=\"file\"\r\n\r\n";
    let fields = b"--b\r\nContent-Disposition: form-data; name=\"key\"\r\n\r\n";
    let mut sockets = Vec::new();
    for idx in 0..24 {
        let mut socket = TcpStream::connect(signer.host()).unwrap();
        let head = format!(
            "POST /gatepost-uploads HTTP/1.1\r\nHost: {}\r\nContent-Type: multipart/form-data; boundary=b\r\nContent-Length: 30000000\r\n\r\n",
            signer.host()
        );
        socket.write_all(head.as_bytes()).unwrap();
        socket
            .write_all(if idx % 2 == 0 { file } else { fields })
            .unwrap();
        // It may be refused and closed before all was read.
        let _ = socket.write_all(&vec![b'x'; 20_000_000]);
        sockets.push(socket);
    }
    let grown = system.memory().saturating_sub(before);
    assert!(grown < 60_000, "{grown} kB more than {before}");
}

#[tokio::test]
async fn answers_are_those_of_s3() {
    let folder = tempfile::tempdir().unwrap();
    let system = Gatepost::start(folder.path());
    let signer = Signer::of(&system).await;
    let form = signer.sign(&signer.policy("a b/ü.jpg"));
    let body = BROWSER.body(&form, b"content");
    let location = format!("{}/gatepost-uploads/a%20b%2F%C3%BC.jpg", signer.endpoint);
    let (status, head, _) = signer.post("/gatepost-uploads", &body);
    assert_eq!(status, 204);
    assert!(
        head.contains(&format!("\r\nlocation: {}", location.to_lowercase())),
        "{head}"
    );
    assert!(
        head.contains("\r\netag: \"9a0364b9e99bb480dd25e1f0284c8555\""),
        "{head}"
    );
    // The URL names the object, for a reader with permission.
    let stored = folder.path().join("s3/gatepost-uploads/a b/ü.jpg");
    assert_eq!(std::fs::read(stored).unwrap(), b"content");

    let policy = signer
        .policy("a")
        .success_action_status(SuccessStatus::Created)
        .unwrap();
    let form = signer.sign(&policy);
    let (status, _, document) = signer.post("/gatepost-uploads/", &BROWSER.body(&form, b"content"));
    assert_eq!(status, 201);
    assert_eq!(
        document.split_once('\n').unwrap().1,
        format!(
            "<PostResponse><Location>{}/gatepost-uploads/a</Location><Bucket>gatepost-uploads</Bucket><Key>a</Key><ETag>&quot;9a0364b9e99bb480dd25e1f0284c8555&quot;</ETag></PostResponse>",
            signer.endpoint
        )
    );

    // A query changes nothing: the same checks come first.
    let mut tampered = BROWSER.body(&form, b"content");
    let at = tampered
        .windows(9)
        .position(|window| window == b"signature")
        .unwrap();
    tampered[at + 15] ^= 1;
    for target in [
        "/gatepost-uploads?a=b",
        "/gatepost-uploads?delete",
        "/gatepost-uploads/?uploads",
    ] {
        assert_eq!(signer.post(target, &body).0, 204, "{target}");
        assert_eq!(signer.post(target, &tampered).0, 403, "{target}");
    }
    let chunked = "POST /gatepost-uploads HTTP/1.1\r\nContent-Type: multipart/form-data; boundary=b\r\nTransfer-Encoding: chunked";
    let policy = signer
        .policy("b")
        .starts_with(PrefixField::ContentType, "image/")
        .unwrap();
    let mut of_a_line = signer.sign(&policy);
    of_a_line
        .fields
        .push(("Content-Type".into(), "image/jpeg\u{b}".to_owned()));
    let of_a_line = BROWSER.body(&of_a_line, b"content");
    let cut = BROWSER.body(&form, b"content\r\n--bX\r\nmore");
    for (case, (status, _, document), expected, code) in [
        ("a value that is not a header", signer.post("/gatepost-uploads", &of_a_line), 400, "InvalidArgument"),
        ("a boundary that goes on", signer.post("/gatepost-uploads", &cut), 400, "MalformedPOSTRequest"),
        ("an object's path", signer.post("/gatepost-uploads/a", &body), 405, "MethodNotAllowed"),
        ("no path", signer.post("/", &body), 405, "MethodNotAllowed"),
        ("no such bucket", signer.post("/elsewhere", &body), 404, "NoSuchBucket"),
        ("the store's own files", signer.post("/..", &body), 404, "NoSuchBucket"),
        ("no length", signer.send(chunked, b"0\r\n\r\n"), 411, "MissingContentLength"),
        ("not a form", signer.post("/gatepost-uploads", b"x"), 400, "MalformedPOSTRequest"),
        (
            "another type",
            signer.send("POST /gatepost-uploads HTTP/1.1\r\nContent-Type: text/plain\r\nContent-Length: 1", b"x"),
            412,
            "PreconditionFailed",
        ),
        (
            "no boundary",
            signer.send("POST /gatepost-uploads HTTP/1.1\r\nContent-Type: multipart/form-data\r\nContent-Length: 1", b"x"),
            400,
            "MalformedPOSTRequest",
        ),
    ] {
        assert_eq!(status, expected, "{case}: {document}");
        assert!(document.contains(&format!("<Code>{code}</Code>")), "{case}: {document}");
    }
}
