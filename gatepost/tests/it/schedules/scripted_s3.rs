//! An S3 in memory whose requests wait until the test lets them through, fails them, or carries them out later.
//!
//! It implements what the API and the processor use, with S3's conditional writes and answers. Every client belongs to an
//! actor, so that the test knows who is waiting. It also takes out guards: it does what it would do if the product lacked them.

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
use media_contract::{Manifest, Rendition, Status, object_key};
use sha2::{Digest as _, Sha256};
use tokio::sync::{Notify, oneshot};

use super::guards::Guard;

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

/// A version of an object in a versioned bucket.
#[derive(Clone, Debug, Hash)]
struct Version {
    id: String,
    /// `None` is a delete marker.
    data: Option<Vec<u8>>,
}

/// The knowledge of an actor about the upload: the reason why it removes something.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
enum Knowledge {
    #[default]
    Nothing,
    /// It found a manifest before it wrote one.
    Finished,
    /// It found a tombstone before it wrote a manifest.
    Deleted,
    /// It wrote the manifest.
    Published,
    /// Its manifest was answered with 412.
    Refused,
    /// After that it found another manifest than its own.
    Lost,
    /// After that it found a tombstone.
    Late,
    /// It is not a worker, and wrote a tombstone.
    Deleting,
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
    /// Of a versioned bucket's keys, the newest last. The newest that is not a delete marker is in `objects` as well.
    versions: BTreeMap<String, Vec<Version>>,
    steps: u64,
    pending: Vec<Pending>,
    dead: BTreeSet<usize>,
    /// A hash of each actor's observations: with the objects, it determines the next step.
    histories: BTreeMap<usize, u64>,
    knowledge: BTreeMap<usize, Knowledge>,
    /// Without [`Guard::ManifestLast`], the renditions that wait until their actor has written its manifest.
    held: BTreeMap<usize, Vec<Request>>,
    /// The manifests that actors sent and that were answered with 412.
    refused: BTreeMap<usize, Vec<u8>>,
    /// The actors that sweep.
    sweepers: BTreeSet<usize>,
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
    without: &'static [Guard],
    /// Whether the bucket of the uploads keeps what is overwritten or deleted.
    is_versioned: bool,
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

    fn is_rendition(&self) -> bool {
        self.method == "PUT" && !self.is_manifest()
    }

    /// Whether it lists the objects beside a manifest.
    fn is_media_list(&self) -> bool {
        self.method == "GET" && self.path == "media"
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
    pub(crate) fn new(without: &'static [Guard]) -> Self {
        Self {
            inner: Arc::default(),
            changed: Arc::default(),
            without,
            is_versioned: false,
        }
    }

    /// The bucket of the uploads keeps what is overwritten or deleted.
    pub(crate) fn with_versions(mut self, is_versioned: bool) -> Self {
        self.is_versioned = is_versioned;
        self
    }

    pub(crate) fn is_without(&self, guard: Guard) -> bool {
        self.without.contains(&guard)
    }

    /// Says that an actor is a sweep.
    pub(crate) fn note_sweeper(&self, actor: usize) {
        self.lock().sweepers.insert(actor);
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
        let mut inner = self.lock();
        if self.is_versioned {
            let version = Version {
                id: version_of(data),
                data: Some(data.to_vec()),
            };
            let versions = inner.versions.entry(path.to_owned()).or_default();
            versions.push(version);
        }
        inner.put(path.to_owned(), data.to_vec());
    }

    pub(crate) fn object(&self, path: &str) -> Option<Vec<u8>> {
        let inner = self.lock();
        inner.objects.get(path).map(|object| object.data.clone())
    }

    /// Whether there is an object, or an old version of it.
    pub(crate) fn has_any_version(&self, path: &str) -> bool {
        let inner = self.lock();
        let mut versions = inner.versions.get(path).into_iter().flatten();
        inner.objects.contains_key(path) || versions.any(|version| version.data.is_some())
    }

    pub(crate) fn paths(&self) -> Vec<String> {
        self.lock().objects.keys().cloned().collect()
    }

    /// Whether a tombstone was ever written.
    pub(crate) fn was_deleted(&self) -> bool {
        self.lock().was_deleted
    }

    /// Violations of the invariants so far.
    pub(crate) fn faults(&self) -> Vec<String> {
        self.lock().faults.clone()
    }

    /// The waiting requests of living actors: who waits, and for what.
    pub(crate) fn waiting(&self) -> Vec<(usize, Request)> {
        let inner = self.lock();
        let mut waiting: Vec<_> = inner
            .pending
            .iter()
            .filter(|pending| !inner.dead.contains(&pending.actor) && !pending.reply.is_closed())
            .map(|pending| (pending.actor, pending.request.clone()))
            .collect();
        waiting.sort_by_key(|(actor, request)| (*actor, request.path.clone()));
        waiting
    }

    /// What this actor has seen so far.
    pub(crate) fn history(&self, actor: usize) -> u64 {
        self.lock().histories.get(&actor).copied().unwrap_or(0)
    }

    /// A request whose sender lives and no longer waits for its answer, because another of its requests failed.
    pub(crate) fn take_abandoned(&self) -> Option<Pending> {
        let mut inner = self.lock();
        let position = inner.pending.iter().position(|pending| {
            pending.reply.is_closed() && !inner.dead.contains(&pending.actor)
        })?;
        Some(inner.pending.remove(position))
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
        (inner.was_deleted, &inner.versions).hash(&mut hasher);
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

    pub(crate) fn carry_out(&self, actor: usize, request: &Request) -> Answer {
        let mut inner = self.lock();
        let knowledge = inner.knowledge.get(&actor).copied().unwrap_or_default();
        if request.is_delete() && self.leaves_out_removal(knowledge) {
            return Answer::new(200, "<DeleteResult></DeleteResult>");
        }
        let removes_all = matches!(
            knowledge,
            Knowledge::Deleted | Knowledge::Late | Knowledge::Deleting
        );
        if request.is_rendition() && self.is_without(Guard::ManifestLast) && !inner.is_open {
            inner.held.entry(actor).or_default().push(request.clone());
            return Answer::new(200, "");
        }
        let is_sweeper = inner.sweepers.contains(&actor);
        if request.is_media_list() && !is_sweeper {
            if self.is_without(Guard::OriginalLast) && removes_all {
                inner
                    .objects
                    .retain(|path, _| !path.starts_with("uploads/"));
            }
        } else if request.is_media_list()
            && self.is_without(Guard::TombstonesAreSwept)
            && inner.is_deleted()
            && !inner
                .objects
                .keys()
                .any(|path| path.starts_with("uploads/"))
        {
            return Answer::new(200, "<ListBucketResult></ListBucketResult>");
        }
        let mut answer = inner.carry_out(request, self);
        if request.method == "PUT" && request.is_manifest() {
            for held in inner.held.remove(&actor).unwrap_or_default() {
                inner.carry_out(&held, self);
            }
        }
        if self.is_without(Guard::OwnWriteIsKnown)
            && request.method == "GET"
            && request.is_manifest()
            && inner.refused.get(&actor) == Some(&answer.body)
        {
            // The worker takes it for another one.
            let text = String::from_utf8_lossy(&answer.body);
            answer.body = text
                .replace(r#""created_at":"20"#, r#""created_at":"19"#)
                .into_bytes();
        }
        if self.is_without(Guard::FailureIsNotFinal) && is_sweeper && request.is_manifest() {
            // The sweep takes it for a state that only a deletion ends.
            let text = String::from_utf8_lossy(&answer.body);
            answer.body = text
                .replace(r#""status":"failed""#, r#""status":"rejected""#)
                .into_bytes();
        }
        answer
    }

    /// Whether the guard is taken out that makes an actor remove something once it knows this.
    fn leaves_out_removal(&self, knowledge: Knowledge) -> bool {
        let guard = match knowledge {
            Knowledge::Nothing | Knowledge::Refused | Knowledge::Deleting => return false,
            Knowledge::Finished => Guard::FinishedCleansUp,
            Knowledge::Deleted => Guard::DeletedCleansUp,
            Knowledge::Published => Guard::PublisherCleansUp,
            Knowledge::Lost => Guard::LoserCleansUp,
            Knowledge::Late => Guard::LateWorkerCleansUp,
        };
        self.is_without(guard)
    }

    /// Carries out a `DeleteObjects` but for its first key, whose error is in the answer.
    pub(crate) fn carry_out_but_one(&self, actor: usize, request: &Request) -> Answer {
        let text = String::from_utf8_lossy(&request.body).into_owned();
        let Some((key, _)) = keys_in(&text).first().cloned() else {
            return Answer::error(400, "MalformedXML");
        };
        let mut rest = request.clone();
        rest.body = text.replacen(&key, "nothing", 1).into_bytes();
        self.carry_out(actor, &rest);
        if self.is_without(Guard::KeyErrors) {
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
        let mut inner = self.lock();
        inner.note(&pending, answer.as_ref());
        drop(inner);
        let _ = pending.reply.send(answer);
    }
}

impl Inner {
    /// Notes what an actor sees.
    fn note(&mut self, pending: &Pending, answer: Option<&Answer>) {
        let (actor, request) = (pending.actor, &pending.request);
        let history = self.histories.entry(actor).or_default();
        let mut hasher = DefaultHasher::new();
        request.shown().hash(&mut hasher);
        answer
            .map(|answer| (answer.status, &answer.body, &answer.etag))
            .hash(&mut hasher);
        if request.is_rendition() {
            // Several wait at once, and it makes no difference which one is answered first.
            *history = history.wrapping_add(hasher.finish());
        } else {
            history.hash(&mut hasher);
            *history = hasher.finish();
        }
        let Some(answer) = answer else {
            return;
        };
        if !request.is_manifest() {
            return;
        }
        let before = self.knowledge.entry(actor).or_default();
        let finds_tombstone = is_tombstone(&answer.body);
        *before = match (request.method.as_str(), answer.status, *before) {
            (_, _, Knowledge::Deleting) => Knowledge::Deleting,
            ("PUT", 200 | 412, _) if is_tombstone(&request.body) => Knowledge::Deleting,
            ("PUT", 200, _) => Knowledge::Published,
            ("PUT", 412, _) => {
                self.refused.insert(actor, request.body.clone());
                Knowledge::Refused
            }
            ("GET", 200, Knowledge::Refused) if finds_tombstone => Knowledge::Late,
            ("GET", 200, Knowledge::Refused) if self.refused[&actor] == answer.body => {
                Knowledge::Published
            }
            ("GET", 200, Knowledge::Refused) => Knowledge::Lost,
            ("GET", 200, _) if finds_tombstone => Knowledge::Deleted,
            ("GET", 200, _) => Knowledge::Finished,
            (_, _, before) => before,
        };
    }

    fn is_deleted(&self) -> bool {
        let mut manifests = self.objects.iter();
        manifests
            .any(|(path, object)| path.ends_with("/manifest.json") && is_tombstone(&object.data))
    }

    fn put(&mut self, path: String, data: Vec<u8>) {
        self.steps += 1;
        let modified = self.steps;
        self.objects.insert(path, Object { data, modified });
    }

    fn carry_out(&mut self, request: &Request, s3: &ScriptedS3) -> Answer {
        let path = request.path.clone();
        match (request.method.as_str(), path.contains('/')) {
            ("GET" | "HEAD", true) => self.get(request, &path),
            ("GET", false) => self.list(request, &path),
            ("PUT", true) => self.put_if(request, path, s3),
            ("POST", false) => self.delete(request, &path, s3),
            _ => Answer::error(501, "NotImplemented"),
        }
    }

    fn get(&self, request: &Request, path: &str) -> Answer {
        if let Some(id) = request.parameter("versionId") {
            let versions = self.versions.get(path).into_iter().flatten();
            let data = versions
                .filter(|version| version.id == id)
                .find_map(|version| version.data.clone());
            return match data {
                Some(data) => Answer {
                    etag: Some(etag_of(&data)),
                    ..Answer::new(200, data)
                },
                None => Answer::error(404, "NoSuchVersion"),
            };
        }
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

    fn put_if(&mut self, request: &Request, path: String, s3: &ScriptedS3) -> Answer {
        let found = self.objects.get(&path).map(|object| etag_of(&object.data));
        if request.if_none_match && found.is_some() && !s3.is_without(Guard::IfNoneMatch) {
            return Answer::error(412, "PreconditionFailed");
        }
        if let Some(wanted) = &request.if_match
            && !s3.is_without(Guard::IfMatch)
        {
            match &found {
                None => return Answer::error(404, "NoSuchKey"),
                Some(found) if found != wanted => {
                    return Answer::error(412, "PreconditionFailed");
                }
                Some(_) => {}
            }
        }
        let data = request.body.clone();
        if s3.is_without(Guard::ContentNames)
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
            let is_tombstone = is_tombstone(&data);
            if self.is_deleted() && !is_tombstone {
                let text = String::from_utf8_lossy(&data);
                self.faults.push(format!("a tombstone is replaced: {text}"));
            }
            self.was_deleted |= is_tombstone;
            let manifest: Manifest = serde_json::from_slice(&data).unwrap();
            if let Status::Ready { renditions, .. } = &manifest.status {
                for Rendition { path, .. } in renditions {
                    if !self
                        .objects
                        .contains_key(&format!("media/{}", object_key(path)))
                    {
                        let fault = format!("a manifest is written before {path}");
                        self.faults.push(fault);
                    }
                }
            }
            if is_tombstone && s3.is_without(Guard::Tombstone) {
                self.objects.remove(&path);
                return Answer::new(200, "");
            }
            if is_tombstone && request.if_none_match && s3.is_without(Guard::EarlyTombstone) {
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

    fn delete(&mut self, request: &Request, bucket: &str, s3: &ScriptedS3) -> Answer {
        for (key, version) in keys_in(&String::from_utf8_lossy(&request.body)) {
            if key.ends_with("/manifest.json") {
                self.faults.push(format!("{key} is deleted"));
            }
            let path = format!("{bucket}/{key}");
            let Some(versions) = self.versions.get_mut(&path) else {
                self.objects.remove(&path);
                continue;
            };
            match version.filter(|_| !s3.is_without(Guard::AllVersions)) {
                Some(version) => versions.retain(|other| other.id != version),
                None => versions.push(Version {
                    id: "marker".to_owned(),
                    data: None,
                }),
            }
            match versions.last().and_then(|version| version.data.clone()) {
                Some(data) => self.put(path, data),
                None => {
                    self.objects.remove(&path);
                }
            }
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
        if has_versions && self.versions.keys().any(|path| path.starts_with(&prefix)) {
            return self.list_versions(&prefix);
        }
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

    fn list_versions(&self, prefix: &str) -> Answer {
        let mut entries = String::new();
        for (path, versions) in &self.versions {
            let Some((_, key)) = path.split_once('/').filter(|_| path.starts_with(prefix)) else {
                continue;
            };
            for Version { id, data } in versions.iter().rev() {
                let element = if data.is_some() {
                    "Version"
                } else {
                    "DeleteMarker"
                };
                let _ = write!(
                    entries,
                    "<{element}><Key>{key}</Key><VersionId>{id}</VersionId></{element}>"
                );
            }
        }
        Answer::new(
            200,
            format!(
                "<ListVersionsResult><IsTruncated>false</IsTruncated>{entries}</ListVersionsResult>"
            ),
        )
    }
}

/// Whether a manifest says that its upload is deleted.
fn is_tombstone(manifest: &[u8]) -> bool {
    String::from_utf8_lossy(manifest).contains("\"deleted\"")
}

/// The id of the version with this content: each content is posted once.
pub(super) fn version_of(data: &[u8]) -> String {
    etag_of(data)[1..9].to_owned()
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
                Some(s3.carry_out(actor, &request))
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
