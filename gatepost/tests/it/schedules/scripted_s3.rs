//! An S3 in memory whose requests wait until the test lets them through, fails them, or carries them out later.
//!
//! It implements what the API and the processor use, with S3's conditional writes and answers. Every client belongs to an
//! actor, so that the test knows who is waiting.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Arc, Mutex};

use aws_sdk_s3::config::{
    BehaviorVersion, Credentials, HttpClient, Region, RequestChecksumCalculation,
    ResponseChecksumValidation, RuntimeComponents, retry::RetryConfig,
};
use aws_smithy_runtime_api::client::http::{
    HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::http::StatusCode;
use aws_smithy_types::body::SdkBody;
use jiff::Timestamp;
use sha2::{Digest as _, Sha256};
use tokio::sync::{Notify, oneshot};

/// What keeps the protocol right, and can be taken away to show that it does.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Guard {
    /// `If-None-Match` and `If-Match` on manifests.
    ConditionalWrites,
    /// Renditions are named by their content.
    ContentNames,
    /// A deletion leaves a tombstone.
    Tombstone,
    /// A worker removes what the manifest does not name.
    WorkersCleanUp,
    /// An error of one key within the 200 of `DeleteObjects` is an error.
    KeyErrors,
    /// The sweep completes what nobody else does.
    Sweep,
}

/// A request, as far as this S3 looks at it.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    method: String,
    /// `bucket/key` or `bucket`.
    path: String,
    query: String,
    if_match: Option<String>,
    if_none_match: bool,
    body: Vec<u8>,
}

#[derive(Clone, Debug)]
pub(crate) struct Answer {
    status: u16,
    etag: Option<String>,
    modified: Option<Timestamp>,
    body: Vec<u8>,
}

#[derive(Clone, Debug)]
pub(crate) struct Object {
    pub(crate) data: Vec<u8>,
    /// The number of the step in which it was written.
    modified: u64,
}

impl Object {
    /// Each step takes a second.
    fn time(&self) -> Timestamp {
        Timestamp::from_second(1_700_000_000 + self.modified.cast_signed()).unwrap()
    }
}

/// A request that waits.
pub(crate) struct Pending {
    pub(crate) actor: usize,
    pub(crate) request: Request,
    reply: oneshot::Sender<Option<Answer>>,
}

#[derive(Default)]
struct Inner {
    objects: BTreeMap<String, Object>,
    steps: u64,
    pending: Vec<Pending>,
    dead: BTreeSet<usize>,
    /// What each actor has seen so far: with the objects it decides what happens next.
    histories: BTreeMap<usize, u64>,
    is_open: bool,
    is_broken: bool,
    faults: Vec<String>,
    was_deleted: bool,
}

/// The S3.
#[derive(Clone)]
pub(crate) struct ScriptedS3 {
    inner: Arc<Mutex<Inner>>,
    pub(crate) changed: Arc<Notify>,
    without: Option<Guard>,
}

#[derive(Clone)]
struct Connector {
    s3: ScriptedS3,
    actor: usize,
}

impl Request {
    fn parse(request: &HttpRequest) -> Self {
        let uri = request.uri();
        let rest = uri.split_once("//").map_or(uri, |(_, rest)| rest);
        let (_, rest) = rest.split_once('/').unwrap_or((rest, ""));
        let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
        Self {
            method: request.method().to_owned(),
            path: path.trim_end_matches('/').to_owned(),
            query: query.replace("%2F", "/"),
            if_match: request.headers().get("if-match").map(str::to_owned),
            if_none_match: request.headers().get("if-none-match").is_some(),
            body: request.body().bytes().unwrap_or_default().to_vec(),
        }
    }

    /// Whether carrying it out changes anything.
    pub(crate) fn is_write(&self) -> bool {
        matches!(self.method.as_str(), "PUT" | "POST")
    }

    pub(crate) fn is_conditional(&self) -> bool {
        self.if_none_match || self.if_match.is_some()
    }

    pub(crate) fn is_delete(&self) -> bool {
        self.method == "POST"
    }

    fn is_manifest(&self) -> bool {
        self.path.ends_with("/manifest.json")
    }

    fn parameter(&self, name: &str) -> Option<&str> {
        self.query
            .split('&')
            .find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='))
    }

    pub(crate) fn shown(&self) -> String {
        let condition = match (&self.if_match, self.if_none_match) {
            (Some(_), _) => " if-match",
            (None, true) => " if-none-match",
            (None, false) => "",
        };
        let query = self.query.split('&').next().unwrap_or_default();
        format!("{} /{}?{query}{condition}", self.method, self.path)
    }
}

impl Answer {
    fn new(status: u16, body: impl Into<Vec<u8>>) -> Self {
        Self {
            status,
            etag: None,
            modified: None,
            body: body.into(),
        }
    }

    /// What S3 answers when it has deleted, or says that it has.
    pub(crate) fn nothing_deleted() -> Self {
        Self::new(200, "<DeleteResult></DeleteResult>")
    }

    pub(crate) fn error(status: u16, code: &str) -> Self {
        Self::new(
            status,
            format!("<Error><Code>{code}</Code><Message>scripted</Message></Error>"),
        )
    }
}

pub(super) fn etag_of(data: &[u8]) -> String {
    let digest = data_encoding::HEXLOWER.encode(&Sha256::digest(data)[..16]);
    format!("\"{digest}\"")
}

impl ScriptedS3 {
    pub(crate) fn new(without: Option<Guard>) -> Self {
        Self {
            inner: Arc::default(),
            changed: Arc::default(),
            without,
        }
    }

    /// A client whose requests are this actor's.
    pub(crate) fn client(&self, actor: usize) -> aws_sdk_s3::Client {
        let config = aws_sdk_s3::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::from_static("us-east-1"))
            .endpoint_url("http://scripted")
            .force_path_style(true)
            .credentials_provider(Credentials::new("test", "test", None, None, "test"))
            .retry_config(RetryConfig::disabled())
            .request_checksum_calculation(RequestChecksumCalculation::WhenRequired)
            .response_checksum_validation(ResponseChecksumValidation::WhenRequired)
            .http_client(Connector {
                s3: self.clone(),
                actor,
            })
            .build();
        aws_sdk_s3::Client::from_conf(config)
    }

    /// Whether an actor is dead, whether requests are carried out at once, and whether connections break.
    fn standing(&self, actor: usize) -> (bool, bool, bool) {
        let inner = self.lock();
        (inner.dead.contains(&actor), inner.is_open, inner.is_broken)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Inner> {
        self.inner.lock().unwrap()
    }

    /// From now on every request is carried out at once.
    pub(crate) fn open(&self) {
        let mut inner = self.lock();
        inner.is_open = true;
        inner.pending.clear();
    }

    /// Breaks every connection, or no longer.
    pub(crate) fn set_broken(&self, is_broken: bool) {
        self.lock().is_broken = is_broken;
    }

    /// Puts an object, as a form does.
    pub(crate) fn post(&self, path: &str, data: &[u8]) {
        self.lock().put(path.to_owned(), data.to_vec());
    }

    pub(crate) fn object(&self, path: &str) -> Option<Vec<u8>> {
        let inner = self.lock();
        inner.objects.get(path).map(|object| object.data.clone())
    }

    pub(crate) fn paths(&self) -> Vec<String> {
        self.lock().objects.keys().cloned().collect()
    }

    /// Whether a tombstone was ever written.
    pub(crate) fn was_deleted(&self) -> bool {
        self.lock().was_deleted
    }

    /// What must never happen in between.
    pub(crate) fn faults(&self) -> Vec<String> {
        self.lock().faults.clone()
    }

    /// The waiting requests of living actors: who waits, and for what.
    pub(crate) fn waiting(&self) -> Vec<(usize, Request)> {
        let inner = self.lock();
        let mut waiting: Vec<_> = inner
            .pending
            .iter()
            .filter(|pending| !inner.dead.contains(&pending.actor))
            .map(|pending| (pending.actor, pending.request.clone()))
            .collect();
        waiting.sort_by_key(|(actor, request)| (*actor, request.path.clone()));
        waiting
    }

    /// Everything here that decides what can still happen: the objects, and what these actors have seen. Which of two
    /// actors is which makes no difference, nor when an object was written, unless it is later than the manifest.
    pub(crate) fn state<A: Hash + Ord>(&self, actors: impl Iterator<Item = (usize, A)>) -> u64 {
        let inner = self.lock();
        let mut hasher = DefaultHasher::new();
        let manifest = inner
            .objects
            .iter()
            .find(|(path, _)| path.ends_with("/manifest.json"))
            .map(|(_, manifest)| manifest.modified);
        for (path, object) in &inner.objects {
            (path, &object.data, Some(object.modified) > manifest).hash(&mut hasher);
        }
        let mut seen: Vec<_> = actors
            .map(|(id, actor)| (actor, inner.histories.get(&id).copied().unwrap_or(0)))
            .collect();
        seen.sort_unstable();
        seen.hash(&mut hasher);
        inner.was_deleted.hash(&mut hasher);
        hasher.finish()
    }

    /// Ends an actor: what it waits for never comes, and it asks for nothing any more.
    pub(crate) fn kill(&self, actor: usize) {
        self.lock().dead.insert(actor);
    }

    /// Takes a waiting request out, to be carried out, or not, by [`Self::carry_out`], and answered.
    pub(crate) fn take(&self, actor: usize, request: &Request) -> Pending {
        let mut inner = self.lock();
        let shown = request.shown();
        let position = inner
            .pending
            .iter()
            .position(|pending| pending.actor == actor && pending.request.shown() == shown)
            .unwrap();
        inner.pending.remove(position)
    }

    pub(crate) fn carry_out(&self, request: &Request) -> Answer {
        let without = self.without;
        self.lock().carry_out(request, without)
    }

    /// Carries out a `DeleteObjects` but for its first key, whose error is in the answer.
    pub(crate) fn carry_out_but_one(&self, request: &Request) -> Answer {
        let text = String::from_utf8_lossy(&request.body).into_owned();
        let Some((key, _)) = keys_in(&text).first().cloned() else {
            return Answer::error(400, "MalformedXML");
        };
        let mut rest = request.clone();
        rest.body = text.replacen(&key, "nothing", 1).into_bytes();
        self.carry_out(&rest);
        if self.without == Some(Guard::KeyErrors) {
            return Answer::new(200, "<DeleteResult></DeleteResult>");
        }
        Answer::new(
            200,
            format!(
                "<DeleteResult><Error><Key>{key}</Key><Code>InternalError</Code><Message>scripted</Message></Error></DeleteResult>"
            ),
        )
    }

    /// `None` breaks the connection.
    pub(crate) fn answer(&self, pending: Pending, answer: Option<Answer>) {
        {
            let mut inner = self.lock();
            let history = inner.histories.entry(pending.actor).or_default();
            let mut hasher = DefaultHasher::new();
            (*history, pending.request.shown()).hash(&mut hasher);
            answer
                .as_ref()
                .map(|answer| (answer.status, &answer.body, &answer.etag))
                .hash(&mut hasher);
            *history = hasher.finish();
        }
        let _ = pending.reply.send(answer);
    }
}

impl Inner {
    fn put(&mut self, path: String, data: Vec<u8>) {
        self.steps += 1;
        let modified = self.steps;
        self.objects.insert(path, Object { data, modified });
    }

    fn carry_out(&mut self, request: &Request, without: Option<Guard>) -> Answer {
        let path = request.path.clone();
        match (request.method.as_str(), path.contains('/')) {
            ("GET" | "HEAD", true) => self.get(request, &path),
            ("GET", false) => self.list(request, &path),
            ("PUT", true) => self.put_if(request, path, without),
            ("POST", false) => self.delete(request, &path),
            _ => Answer::error(501, "NotImplemented"),
        }
    }

    fn get(&self, request: &Request, path: &str) -> Answer {
        let Some(object) = self.objects.get(path) else {
            return Answer::error(404, "NoSuchKey");
        };
        let etag = etag_of(&object.data);
        if request
            .if_match
            .as_ref()
            .is_some_and(|wanted| *wanted != etag)
        {
            return Answer::error(412, "PreconditionFailed");
        }
        Answer {
            etag: Some(etag),
            modified: Some(object.time()),
            ..Answer::new(200, object.data.clone())
        }
    }

    fn put_if(&mut self, request: &Request, path: String, without: Option<Guard>) -> Answer {
        let found = self.objects.get(&path).map(|object| etag_of(&object.data));
        if without != Some(Guard::ConditionalWrites) {
            if request.if_none_match && found.is_some() {
                return Answer::error(412, "PreconditionFailed");
            }
            if let Some(wanted) = &request.if_match {
                match &found {
                    None => return Answer::error(404, "NoSuchKey"),
                    Some(found) if found != wanted => {
                        return Answer::error(412, "PreconditionFailed");
                    }
                    Some(_) => {}
                }
            }
        }
        let data = request.body.clone();
        if without == Some(Guard::ContentNames)
            && let Some((folder, name)) = path.rsplit_once('/')
            && let Some((_, name)) = name.split_once('-')
        {
            // All renditions of a width are one file.
            for (other, object) in &mut self.objects {
                if other.starts_with(folder) && other.ends_with(name) {
                    object.data.clone_from(&data);
                }
            }
        }
        if request.is_manifest() {
            let text = String::from_utf8_lossy(&data).into_owned();
            let is_tombstone = text.contains("\"deleted\"");
            let was_tombstone = self.objects.get(&path).is_some_and(|object| {
                String::from_utf8_lossy(&object.data).contains("\"deleted\"")
            });
            if was_tombstone && !is_tombstone {
                self.faults.push(format!("a tombstone is replaced: {text}"));
            }
            self.was_deleted |= is_tombstone;
            if is_tombstone && without == Some(Guard::Tombstone) {
                self.objects.remove(&path);
                return Answer::new(200, "");
            }
        }
        let etag = etag_of(&data);
        self.put(path, data);
        Answer {
            etag: Some(etag),
            ..Answer::new(200, "")
        }
    }

    fn delete(&mut self, request: &Request, bucket: &str) -> Answer {
        for (key, _) in keys_in(&String::from_utf8_lossy(&request.body)) {
            if key.ends_with("/manifest.json") {
                self.faults.push(format!("{key} is deleted"));
            }
            self.objects.remove(&format!("{bucket}/{key}"));
        }
        Answer::new(200, "<DeleteResult></DeleteResult>")
    }

    fn list(&self, request: &Request, bucket: &str) -> Answer {
        let prefix = format!(
            "{bucket}/{}",
            request.parameter("prefix").unwrap_or_default()
        );
        let has_versions = request
            .query
            .split('&')
            .any(|name| name.starts_with("versions"));
        let after = request.parameter("start-after").unwrap_or_default();
        let mut entries = String::new();
        for (path, object) in self.objects.range(prefix.clone()..) {
            if !path.starts_with(&prefix) {
                break;
            }
            let key = path.split_once('/').map_or("", |(_, key)| key);
            if key <= after {
                continue;
            }
            let (size, etag) = (object.data.len(), etag_of(&object.data));
            let time = object.time();
            let common = format!(
                "<Key>{key}</Key><Size>{size}</Size><ETag>{etag}</ETag><LastModified>{time:.3}</LastModified>"
            );
            let _ = if has_versions {
                write!(
                    entries,
                    "<Version>{common}<VersionId>null</VersionId></Version>"
                )
            } else {
                write!(entries, "<Contents>{common}</Contents>")
            };
        }
        let name = if has_versions {
            "ListVersionsResult"
        } else {
            "ListBucketResult"
        };
        Answer::new(
            200,
            format!("<{name}><IsTruncated>false</IsTruncated>{entries}</{name}>"),
        )
    }
}

/// The keys of a `DeleteObjects`, with their versions.
fn keys_in(text: &str) -> Vec<(String, Option<String>)> {
    text.split("<Object>")
        .skip(1)
        .map(|object| {
            let between = |name: &str| {
                let (_, rest) = object.split_once(&format!("<{name}>"))?;
                Some(rest.split_once("</")?.0.to_owned())
            };
            (between("Key").unwrap_or_default(), between("VersionId"))
        })
        .collect()
}

impl std::fmt::Debug for Connector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "actor {}", self.actor)
    }
}

impl HttpClient for Connector {
    fn http_connector(
        &self,
        _: &HttpConnectorSettings,
        _: &RuntimeComponents,
    ) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}

impl HttpConnector for Connector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let request = Request::parse(&request);
        let Self { s3, actor } = self.clone();
        HttpConnectorFuture::new(async move {
            let (reply, answer) = oneshot::channel();
            let (is_dead, is_open, is_broken) = s3.standing(actor);
            if is_dead {
                return std::future::pending().await;
            }
            let answer = if is_broken {
                None
            } else if is_open {
                Some(s3.carry_out(&request))
            } else {
                s3.lock().pending.push(Pending {
                    actor,
                    request,
                    reply,
                });
                s3.changed.notify_one();
                match answer.await {
                    Ok(answer) => answer,
                    Err(_) => std::future::pending().await,
                }
            };
            let Some(answer) = answer else {
                return Err(ConnectorError::io("the connection broke".into()));
            };
            let mut response = HttpResponse::new(
                StatusCode::try_from(answer.status).unwrap(),
                SdkBody::from(answer.body),
            );
            let headers = response.headers_mut();
            if let Some(etag) = answer.etag {
                headers.insert("etag", etag);
            }
            if let Some(modified) = answer.modified {
                let date = modified.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string();
                headers.insert("last-modified", date);
            }
            Ok(response)
        })
    }
}
