//! Every order in which workers, a deletion and another upload of the same form can meet, with one fault at every point:
//! the real processor and the real API over a scripted S3.
//!
//! The explorer runs one schedule after another. In each it lets one waiting request through at a time, in an order that
//! no schedule before had, and forgets about schedules that lead to a state which was already explored. A state is all
//! objects, what every actor has seen, and what is still to happen; actors are deterministic, so it decides everything
//! that follows. At the end of a schedule failed messages were delivered again, the sweep has run, and this must hold:
//!
//! - there is one manifest; a tombstone, if one was ever written;
//! - every rendition that exists is named by the manifest, every one that is named exists, and its bytes are those of the
//!   picture that the manifest is about;
//! - nothing deleted is left, the original included, and no tombstone was ever replaced;
//! - no manifest was ever written before the renditions that it names.
//!
//! Where nobody ended for good in the midst of their work, it must hold before the sweep.
//!
//! An actor fails only where a request or its answer was lost, and where nothing of a publishing worker was lost, one says
//! that it published.
//!
//! So that this is known to notice something, each guard of the protocol is taken out once, in `guards.rs`: then it must
//! fail.

mod guards;
mod queues;
mod scenario;
mod scripted_s3;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt::Write as _;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Arc, LazyLock};

use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use axum::Router;
use axum::body::Body;
use edge_auth::config::{Access, Algorithm, Audiences, Issuer, Rule, TokenSource};
use edge_auth::{Authorizer, Config};
use edge_auth_host::HostedAuthorizer;
use http::Method;
use image::{ImageEncoder, Rgb, RgbImage};
use jiff::{SignedDuration, Timestamp};
use media_contract::{Manifest, Status, UploadId, UploadKey};
use media_store::MediaStore;
use serde_json::json;
use sha2::{Digest as _, Sha256};
use signing_api::{Api, Settings as ApiSettings, Signer};
use thumbnailer::settings::Settings;
use tokio::task::JoinHandle;
use tower::ServiceExt as _;
use upload_processor::event::Message;
use upload_processor::sweep::{Options, Sweep};
use upload_processor::{Buckets, Outcome, Processor};
use url_signing::Bucket;

use guards::Guard;
use scenario::{Fault, SCENARIOS, Scenario};
use scripted_s3::{Answer, Pending, ScriptedS3};

/// The actor that sweeps at the end.
const SWEEPER: usize = 1000;
/// How often a message is delivered, and a deletion asked for, at most.
const MAX_ATTEMPTS: u32 = 3;

/// What happens next.
#[derive(Clone, Debug)]
enum Step {
    Deliver(usize, scripted_s3::Request),
    Fault(usize, scripted_s3::Request, Fault),
    Post(usize),
    CarryOutLate,
}

#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
enum Actor {
    Worker { picture: usize, attempt: u32 },
    Deleter { attempt: u32 },
}

/// Which schedules are run.
#[derive(Clone, Copy, Debug)]
enum Exploration {
    /// So many, drawn at random, the same ones each time.
    Sample(usize),
    /// All in which another actor goes on at most so often although the last one could.
    All { max_switches: usize },
}

impl Exploration {
    /// `GATEPOST_SCHEDULES` is the number of switches, or `all`. That takes long, and is meant for an optimised build.
    fn chosen() -> Option<Self> {
        let max_switches = match std::env::var("GATEPOST_SCHEDULES").ok()?.as_str() {
            "all" => usize::MAX,
            number => number.parse().unwrap(),
        };
        Some(Self::All { max_switches })
    }
}

/// What is explored.
#[derive(Clone, Copy)]
struct Search {
    scenario: Scenario,
    /// The guards that are taken out.
    without: &'static [Guard],
    exploration: Exploration,
    /// The faults that may happen.
    faults: &'static [Fault],
    /// A part of the violation that is looked for.
    symptom: &'static str,
}

impl Search {
    /// For any violation, with any fault.
    fn new(scenario: Scenario, without: &'static [Guard], exploration: Exploration) -> Self {
        Self {
            scenario,
            without,
            exploration,
            faults: &Fault::ALL,
            symptom: "",
        }
    }
}

/// A number from zero to below `n`.
fn draw(seed: &mut u64, n: usize) -> usize {
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    usize::try_from(*seed % n as u64).unwrap()
}

/// How an actor ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum End {
    /// A worker says that it published.
    Published,
    Succeeded,
    Failed,
}

/// Two pictures.
struct Pictures {
    files: [Vec<u8>; 2],
}

static PICTURES: LazyLock<Pictures> = LazyLock::new(|| Pictures {
    files: [[200, 40, 40], [40, 40, 200]].map(|colour| {
        let image = RgbImage::from_pixel(2, 2, Rgb(colour));
        let mut png = Vec::new();
        image::codecs::png::PngEncoder::new(&mut png)
            .write_image(image.as_raw(), 2, 2, image::ExtendedColorType::Rgb8)
            .unwrap();
        png
    }),
});

static AUTHORIZER: LazyLock<(Arc<HostedAuthorizer>, String)> = LazyLock::new(authorizer);

fn now() -> Timestamp {
    "2026-11-27T12:00:00Z".parse().unwrap()
}

fn upload() -> UploadKey {
    let owner = edge_auth::Owner::of("https://login.example.com/", "alice");
    UploadKey {
        owner: owner.as_str().to_owned(),
        id: UploadId::new(now() - SignedDuration::from_mins(1), [7; 10]),
    }
}

/// An authorizer with a key of its own, and a token of alice's.
fn authorizer() -> (Arc<HostedAuthorizer>, String) {
    use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
    let random = aws_lc_rs::rand::SystemRandom::new();
    let pkcs8 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random).unwrap();
    let key = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8.as_ref()).unwrap();
    let encode = |bytes: &[u8]| data_encoding::BASE64URL_NOPAD.encode(bytes);
    let (x, y) = key.public_key().as_ref()[1..].split_at(32);
    let jwk = json!({
        "kty": "EC", "crv": "P-256", "alg": "ES256", "kid": "test", "x": encode(x), "y": encode(y),
    });
    let config = Config {
        issuers: vec![Issuer {
            issuer: "https://login.example.com/".to_owned(),
            audiences: Audiences::OneOf(vec!["media".to_owned()]),
            algorithms: vec![Algorithm::ES256],
            jwks: Some(json!({"keys": [jwk]})),
            ..Issuer::default()
        }],
        token_sources: vec![TokenSource::Authorization],
        rules: vec![Rule::new("/media/{owner}/**", Access::Owner)],
        ..Config::default()
    };
    let authorizer = Authorizer::new(&config).unwrap();
    let claims = json!({
        "iss": "https://login.example.com/", "sub": "alice", "aud": "media",
        "iat": now().as_second(), "exp": now().as_second() + 3600,
    });
    let mut header = jsonwebtoken::Header::new(jsonwebtoken::Algorithm::ES256);
    header.kid = Some("test".to_owned());
    let key = jsonwebtoken::EncodingKey::from_ec_der(pkcs8.as_ref());
    let token = jsonwebtoken::encode(&header, &claims, &key).unwrap();
    (
        Arc::new(HostedAuthorizer::new(authorizer, now).unwrap()),
        token,
    )
}

fn buckets() -> Buckets {
    Buckets {
        uploads: "uploads".to_owned(),
        media: "media".to_owned(),
    }
}

/// Renditions of these widths.
fn settings_of(widths: &[u32]) -> Settings {
    serde_json::from_value(json!({
        "types": ["image/png"], "max_bytes": 1000, "max_pixels": 1_000_000, "widths": widths,
        "formats": ["webp"], "quality": 80,
    }))
    .unwrap()
}

/// One rendition of each picture.
fn settings() -> Settings {
    settings_of(&[2])
}

fn processor(s3: &ScriptedS3, actor: usize) -> Processor {
    Processor::new(s3.client(actor), buckets(), settings(), now)
}

/// One schedule that runs.
struct Run {
    search: Search,
    max_switches: usize,
    scenario: Scenario,
    s3: ScriptedS3,
    actors: BTreeMap<usize, (Actor, JoinHandle<End>)>,
    n_actors: usize,
    is_posted: [bool; 2],
    /// Whether the other picture came after the deletion.
    is_posted_after_deletion: bool,
    fault: Option<Fault>,
    /// Whether somebody ended in the midst of it who does not come again: only a sweep finds what is left.
    needs_sweep: bool,
    /// Who went on last, and how often somebody else did although that actor could.
    last: Option<usize>,
    n_switches: usize,
    late: Option<Pending>,
    /// How often a deletion was answered with success.
    n_deleted: u32,
    /// Whether a worker said that it published.
    says_published: bool,
    /// Actors that failed although nothing was lost.
    n_failed_without_loss: u32,
}

impl Run {
    fn new(search: Search) -> Self {
        let scenario = search.scenario;
        let mut run = Self {
            search,
            max_switches: match search.exploration {
                Exploration::Sample(_) => usize::MAX,
                Exploration::All { max_switches } => max_switches,
            },
            scenario,
            s3: ScriptedS3::new(search.without).with_versions(scenario.is_versioned),
            actors: BTreeMap::new(),
            n_actors: 0,
            is_posted: [false; 2],
            is_posted_after_deletion: false,
            fault: None,
            needs_sweep: false,
            last: None,
            n_switches: 0,
            late: None,
            n_deleted: 0,
            says_published: false,
            n_failed_without_loss: 0,
        };
        if !scenario.is_late {
            run.post(0);
        }
        if scenario.is_deleted {
            run.start(Actor::Deleter { attempt: 1 });
        }
        run
    }

    fn post(&mut self, picture: usize) {
        let path = format!("uploads/{}", upload().original());
        self.s3.post(&path, &PICTURES.files[picture]);
        self.is_posted[picture] = true;
        self.is_posted_after_deletion = self.s3.was_deleted();
        let n_events = if picture == 0 {
            self.scenario.n_workers
        } else {
            1
        };
        for _ in 0..n_events {
            self.start(Actor::Worker {
                picture,
                attempt: 1,
            });
        }
    }

    fn start(&mut self, actor: Actor) {
        let id = self.n_actors;
        self.n_actors += 1;
        let task = match actor {
            Actor::Worker { picture, .. } => {
                let settings = settings_of(self.scenario.widths);
                let mut processor = Processor::new(self.s3.client(id), buckets(), settings, now);
                if self.scenario.is_last_receive {
                    processor = processor.with_max_receives(1);
                }
                let version = self
                    .scenario
                    .is_versioned
                    .then(|| scripted_s3::version_of(&PICTURES.files[picture]));
                let message = message_of(picture, version.as_deref());
                let changed = self.s3.changed.clone();
                tokio::spawn(async move {
                    let report = processor.process_batch(vec![message]).await;
                    changed.notify_one();
                    match &report.messages[0].1 {
                        Ok(outcomes) if matches!(outcomes[0], Outcome::Finished(_)) => {
                            End::Published
                        }
                        Ok(_) => End::Succeeded,
                        Err(_) => End::Failed,
                    }
                })
            }
            Actor::Deleter { .. } => {
                let (api, request) = call(&self.s3, id, Method::DELETE, "/api/media");
                let changed = self.s3.changed.clone();
                tokio::spawn(async move {
                    let answer = api.oneshot(request).await.unwrap();
                    changed.notify_one();
                    match answer.status().as_u16() {
                        204 => End::Succeeded,
                        503 => End::Failed,
                        other => panic!("a deletion is answered {other}"),
                    }
                })
            }
        };
        self.actors.insert(id, (actor, task));
    }

    /// Goes on until every actor waits for S3 or has ended.
    async fn settle(&mut self) {
        loop {
            let ended: Vec<_> = self
                .actors
                .iter()
                .filter(|(_, (_, task))| task.is_finished())
                .map(|(id, _)| *id)
                .collect();
            for id in ended {
                let (actor, task) = self.actors.remove(&id).unwrap();
                match (task.await.unwrap(), actor) {
                    (End::Succeeded, Actor::Deleter { .. }) => self.n_deleted += 1,
                    (End::Succeeded, Actor::Worker { .. }) => {}
                    (End::Published, _) => self.says_published = true,
                    (End::Failed, actor) => {
                        let is_harmed = self.fault.is_some_and(|fault| !fault.is_harmless());
                        self.n_failed_without_loss += u32::from(!is_harmed);
                        self.start_again(actor);
                    }
                }
            }
            if let Some(abandoned) = self.s3.take_abandoned() {
                // It is on its way, and nobody hears what becomes of it.
                self.needs_sweep = true;
                assert!(self.late.replace(abandoned).is_none());
            }
            let waiting = self.s3.waiting();
            let is_waiting = |id| waiting.iter().any(|(actor, _)| actor == id);
            if self.actors.keys().all(is_waiting) {
                return;
            }
            self.s3.changed.notified().await;
        }
    }

    /// The queue delivers a message again. A person whose deletion failed does not ask again.
    fn start_again(&mut self, actor: Actor) {
        match actor {
            Actor::Worker { picture, attempt } if attempt < MAX_ATTEMPTS => {
                self.start(Actor::Worker {
                    picture,
                    attempt: attempt + 1,
                });
            }
            _ => self.needs_sweep = true,
        }
    }

    /// The hash of everything that decides what follows, but for the number of switches that are left.
    fn hashed(&self) -> u64 {
        // Without a bound it makes no difference who went last, nor how often that changed.
        let is_bounded = self.max_switches < usize::MAX;
        let actors = self
            .actors
            .iter()
            .map(|(id, (actor, _))| (*id, (*actor, is_bounded && self.last == Some(*id))));
        let state = (
            self.s3.state(actors),
            (self.fault.map(Fault::is_harmless), self.needs_sweep),
            (self.says_published, self.n_failed_without_loss > 0),
            self.late.as_ref().map(|late| late.request.shown()),
            (self.is_posted, self.is_posted_after_deletion),
            self.n_deleted > 0,
        );
        let mut hasher = DefaultHasher::new();
        state.hash(&mut hasher);
        hasher.finish()
    }

    fn steps(&self) -> Vec<Step> {
        let mut steps = Vec::new();
        let mut waiting = self.s3.waiting();
        let is_bounded = self.max_switches < usize::MAX;
        if is_bounded {
            // So that a state is reached with few switches first.
            waiting.sort_by_key(|(actor, _)| self.last != Some(*actor));
        }
        let can_go_on = waiting.iter().any(|(actor, _)| self.last == Some(*actor));
        let must_go_on = can_go_on && self.n_switches >= self.max_switches;
        if must_go_on {
            waiting.retain(|(actor, _)| self.last == Some(*actor));
        }
        // Two actors that have seen the same, and wait for the same, are one as far as the future goes.
        let mut seen = HashSet::new();
        waiting.retain(|(actor, request)| {
            let is_last = is_bounded && self.last == Some(*actor);
            let history = self.s3.history(*actor);
            seen.insert((self.actors[actor].0, is_last, history, request.shown()))
        });
        for (actor, request) in &waiting {
            steps.push(Step::Deliver(*actor, request.clone()));
        }
        if must_go_on {
        } else if !self.is_posted[0] {
            steps.push(Step::Post(0));
        } else if self.scenario.is_posted_again && !self.is_posted[1] {
            steps.push(Step::Post(1));
        }
        if self.late.is_some() && !must_go_on {
            steps.push(Step::CarryOutLate);
        }
        if self.fault.is_none() {
            for (actor, request) in &waiting {
                let faults = Fault::possible(request, self.scenario.is_last_receive).into_iter();
                let faults = faults.filter(|fault| self.search.faults.contains(fault));
                steps.extend(faults.map(|fault| Step::Fault(*actor, request.clone(), fault)));
            }
        }
        steps
    }

    fn take(&mut self, step: Step) {
        let actor = match &step {
            Step::Deliver(actor, _) | Step::Fault(actor, _, _) => Some(*actor),
            Step::Post(_) | Step::CarryOutLate => None,
        };
        let could_go_on = self
            .last
            .is_some_and(|last| self.actors.contains_key(&last));
        self.n_switches += usize::from(could_go_on && actor != self.last);
        self.last = actor.or(self.last);
        match step {
            Step::Deliver(actor, request) => {
                let pending = self.s3.take(actor, &request);
                let answer = self.s3.carry_out(actor, &request);
                self.s3.answer(pending, Some(answer));
            }
            Step::Post(picture) => self.post(picture),
            Step::CarryOutLate => {
                let late = self.late.take().unwrap();
                self.s3.carry_out(late.actor, &late.request);
            }
            Step::Fault(actor, request, fault) => {
                self.fault = Some(fault);
                self.fail(actor, &request, fault);
            }
        }
    }

    fn fail(&mut self, actor: usize, request: &scripted_s3::Request, fault: Fault) {
        if fault == Fault::Repeated {
            // The second one waits on.
            self.s3.carry_out(actor, request);
            return;
        }
        let pending = self.s3.take(actor, request);
        match fault {
            Fault::Lost => self.s3.answer(pending, None),
            Fault::AnswerLost => {
                self.s3.carry_out(actor, request);
                self.s3.answer(pending, None);
            }
            Fault::Conflict => {
                let is_repeated = !self.s3.is_without(Guard::ConflictsAreRepeated);
                // A request that is answered with 400 is not sent again.
                let status = if is_repeated { 409 } else { 400 };
                let answer = Answer::error(status, "ConditionalRequestConflict");
                self.s3.answer(pending, Some(answer));
            }
            Fault::KeyError => {
                let answer = self.s3.carry_out_but_one(actor, request);
                self.s3.answer(pending, Some(answer));
            }
            Fault::DiesBefore | Fault::DiesAfter | Fault::CarriedOutLater => {
                self.needs_sweep |= fault == Fault::CarriedOutLater;
                if fault == Fault::DiesAfter {
                    self.s3.carry_out(actor, request);
                }
                if fault == Fault::CarriedOutLater {
                    self.late = Some(pending);
                }
                self.s3.kill(actor);
                let (actor, task) = self.actors.remove(&actor).unwrap();
                task.abort();
                self.start_again(actor);
            }
            Fault::Repeated => unreachable!(),
        }
    }

    /// Sweeps, and works on what that finds, until there is nothing more.
    async fn sweep(&self) {
        self.s3.open();
        let store = MediaStore::new(self.s3.client(SWEEPER), buckets());
        for _ in 0..MAX_ATTEMPTS {
            let options = Options {
                since: None,
                failed: true,
                settling_time: SignedDuration::ZERO,
            };
            let mut sweep = Sweep::new(store.clone(), now(), options);
            let mut bodies = Vec::new();
            while let Some(forgotten) = sweep.next().await.unwrap() {
                bodies.push(forgotten.notification("uploads").to_string());
            }
            let report = sweep.report();
            assert_eq!(report.n_faults, 0);
            if bodies.is_empty() && report.n_cleaned == 0 {
                return;
            }
            for body in bodies {
                let message = Message { body, ..message(0) };
                let settings = settings_of(self.scenario.widths);
                Processor::new(self.s3.client(SWEEPER), buckets(), settings, now)
                    .process_batch(vec![message])
                    .await;
            }
        }
    }

    /// What does not hold.
    fn violations(&self) -> Vec<String> {
        let mut found = self.s3.faults();
        let upload = upload();
        let (prefix, manifest_path) = (
            format!("media/{}", upload.media_prefix()),
            format!("media/{}", upload.manifest_key()),
        );
        if self.n_failed_without_loss > 0 {
            found.push("somebody failed, and nothing was lost".to_owned());
        }
        let beside: Vec<_> = self
            .s3
            .paths()
            .into_iter()
            .filter(|path| path.starts_with(&prefix) && *path != manifest_path)
            .collect();
        let original = format!("uploads/{}", upload.original());
        let has_original = self.s3.has_any_version(&original);
        let is_deleted = self.s3.was_deleted() || self.n_deleted > 0;
        let Some(data) = self.s3.object(&manifest_path) else {
            if !is_deleted || !self.s3.is_without(Guard::Tombstone) {
                found.push("there is no manifest".to_owned());
            } else if !beside.is_empty() {
                found.push(format!("readable without a manifest: {beside:?}"));
            } else if self.is_posted_after_deletion {
                found.push(
                    "posted after the deletion, and neither published nor deleted".to_owned(),
                );
            } else if has_original {
                found.push("deleted, and the original is still there".to_owned());
            }
            return found;
        };
        let manifest: Manifest = serde_json::from_slice(&data).unwrap();
        if let Status::Deleted { .. } = &manifest.status {
            if !beside.is_empty() {
                found.push(format!("deleted, and readable: {beside:?}"));
            }
            if has_original {
                found.push("deleted, and the original is still there".to_owned());
            }
            return found;
        }
        if is_deleted {
            found.push(format!("deleted, and {} again", manifest.status.name()));
        }
        match &manifest.status {
            Status::Ready {
                source, renditions, ..
            } => {
                let picture = PICTURES.files.iter().position(|file| {
                    data_encoding::HEXLOWER.encode(&Sha256::digest(file)) == source.sha256
                });
                let picture = picture.unwrap();
                for rendition in renditions {
                    match self.s3.object(&format!("media{}", rendition.path)) {
                        None => found.push(format!("{} is not there", rendition.path)),
                        Some(data) if !rendered(picture).contains(&data) => {
                            found.push(format!("{} is of another picture", rendition.path));
                            if self.is_posted_after_deletion && picture == 1 {
                                found.push(
                                    "the deleted picture is in the new one's place".to_owned(),
                                );
                            }
                        }
                        Some(_) => {}
                    }
                }
                if beside.len() != renditions.len() {
                    found.push(format!("not named by the manifest: {beside:?}"));
                }
                let is_harmless = self.fault.is_none_or(Fault::is_harmless);
                if is_harmless && !self.says_published {
                    found.push("ready, and nobody says that it published".to_owned());
                }
            }
            status => found.push(format!("the upload ended as {}", status.name())),
        }
        found
    }
}

/// The API of an actor, and alice's call of it about the upload.
fn call(
    s3: &ScriptedS3,
    actor: usize,
    method: Method,
    path: &str,
) -> (Router, http::Request<Body>) {
    let (authorizer, token) = &*AUTHORIZER;
    let bucket = |name| Bucket::at_endpoint(name, "us-east-1", "http://scripted");
    let credentials = Credentials::new("test", "test", None, None, "test");
    let api = signing_api::router(Api {
        authorizer: authorizer.clone(),
        signer: Arc::new(Signer::new(SharedCredentialsProvider::new(credentials))),
        cloudfront: None,
        edge_cache: None,
        store: MediaStore::new(s3.client(actor), buckets()),
        settings: Arc::new(ApiSettings {
            types: vec!["image/png".to_owned()],
            max_bytes: 1000,
            form_lifetime: SignedDuration::from_mins(15),
            max_link_lifetime: SignedDuration::from_hours(1),
            links_shared_within: SignedDuration::ZERO,
            upload_bucket: bucket("uploads").unwrap(),
            media_bucket: bucket("media").unwrap(),
        }),
        clock: now,
    });
    let request = http::Request::builder()
        .method(method)
        .uri(format!("{path}/{}", upload().id))
        .header("authorization", format!("Bearer {token}"))
        .body(Body::empty())
        .unwrap();
    (api, request)
}

fn message(picture: usize) -> Message {
    message_of(picture, None)
}

/// The message about a picture, in this version of a versioned bucket's object.
fn message_of(picture: usize, version: Option<&str>) -> Message {
    let etag = scripted_s3::etag_of(&PICTURES.files[picture]);
    let event = json!({"Records": [{
        "eventVersion": "2.2", "eventSource": "aws:s3", "eventName": "ObjectCreated:Post",
        "s3": {
            "bucket": {"name": "uploads"},
            "object": {"key": upload().original(), "eTag": etag, "versionId": version},
        },
    }]});
    Message {
        id: "message".to_owned(),
        body: event.to_string(),
        receive_count: 2,
        receipt_handle: None,
    }
}

/// The renditions of a picture.
fn rendered(picture: usize) -> &'static [Vec<u8>] {
    static RENDERED: LazyLock<[Vec<Vec<u8>>; 2]> = LazyLock::new(|| {
        [0, 1].map(|picture| {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(async {
                let s3 = ScriptedS3::new(&[]);
                s3.open();
                let path = format!("uploads/{}", upload().original());
                s3.post(&path, &PICTURES.files[picture]);
                Processor::new(s3.client(0), buckets(), settings_of(&[1, 2]), now)
                    .process_batch(vec![message(picture)])
                    .await;
                let paths = s3.paths();
                let renditions = paths
                    .iter()
                    .filter(|path| path.starts_with("media/") && !path.ends_with("/manifest.json"));
                renditions.map(|path| s3.object(path).unwrap()).collect()
            })
        })
    });
    &RENDERED[picture]
}

/// What an exploration came to.
#[derive(Debug, Default)]
struct Explored {
    n_schedules: usize,
    n_steps: usize,
    n_states: usize,
    violation: Option<String>,
}

/// Runs schedules until one shows the violation that is looked for.
fn explore(search: Search) -> Explored {
    // A runtime of its own makes it, and there can be only one at a time.
    rendered(0);
    let mut explored = Explored::default();
    // With how few switches each was reached: with more, no more follows.
    let mut states: HashMap<u64, usize> = HashMap::new();
    match search.exploration {
        Exploration::Sample(n) => {
            let mut seed = 0x9e37_79b9_7f4a_7c15;
            while explored.n_schedules < n && explored.violation.is_none() {
                run(search, &mut explored, |run, steps| {
                    states.insert(run.hashed(), run.n_switches);
                    let n_faults = steps
                        .iter()
                        .filter(|step| matches!(step, Step::Fault(..)))
                        .count();
                    // One step in a dozen fails, so that faults come early and late.
                    Some(match draw(&mut seed, 12) {
                        0 if n_faults > 0 => steps.len() - 1 - draw(&mut seed, n_faults),
                        _ => draw(&mut seed, steps.len() - n_faults),
                    })
                });
            }
        }
        Exploration::All { max_switches } => {
            let is_bounded = max_switches < usize::MAX;
            // The choices that led to the schedule, each with the number of choices there were.
            let mut path: Vec<(usize, usize)> = Vec::new();
            loop {
                let mut depth = 0;
                run(search, &mut explored, |run, steps| {
                    if depth == path.len() {
                        let n_switches = if is_bounded { run.n_switches } else { 0 };
                        let fewest = states.entry(run.hashed()).or_insert(usize::MAX);
                        if *fewest <= n_switches {
                            return None;
                        }
                        *fewest = n_switches;
                        path.push((0, steps.len()));
                    }
                    let (choice, n_choices) = path[depth];
                    assert_eq!(n_choices, steps.len(), "a schedule cannot be repeated");
                    depth += 1;
                    Some(choice)
                });
                if explored.n_schedules.is_multiple_of(10_000) {
                    let (n, n_states) = (explored.n_schedules, states.len());
                    println!("{}: {n} schedules, {n_states} states", search.scenario.name);
                }
                while path.last().is_some_and(|(choice, n)| choice + 1 == *n) {
                    path.pop();
                }
                match path.last_mut() {
                    Some((choice, _)) if explored.violation.is_none() => *choice += 1,
                    _ => break,
                }
            }
        }
    }
    explored.n_states = states.len();
    explored
}

/// Runs one schedule; `choose` picks the next of the possible steps, or gives up.
fn run(
    search: Search,
    explored: &mut Explored,
    mut choose: impl FnMut(&Run, &[Step]) -> Option<usize>,
) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .unwrap();
    explored.n_schedules += 1;
    explored.violation = runtime.block_on(async {
        let mut run = Run::new(search);
        let mut trace = String::new();
        loop {
            run.settle().await;
            let mut steps = run.steps();
            if steps.is_empty() {
                break;
            }
            let step = steps.swap_remove(choose(&run, &steps)?);
            let _ = write!(trace, "\n  {}", shown(&step));
            run.take(step);
            explored.n_steps += 1;
        }
        let mut violations = Vec::new();
        if !run.needs_sweep {
            violations.extend(run.violations());
        }
        if !search.without.contains(&Guard::Sweep) {
            run.sweep().await;
        }
        violations.extend(run.violations());
        let mut violations = violations.into_iter();
        let violation = violations.find(|violation| violation.contains(search.symptom))?;
        Some(format!("{}: {violation}{trace}", search.scenario.name))
    });
}

fn shown(step: &Step) -> String {
    match step {
        Step::Deliver(actor, request) => format!("{actor}: {}", request.shown()),
        Step::Fault(actor, request, fault) => format!("{actor}: {} {fault:?}", request.shown()),
        Step::Post(picture) => format!("picture {picture} arrives"),
        Step::CarryOutLate => "what a dead sender sent is carried out".to_owned(),
    }
}

#[test]
fn no_schedule_brings_back_what_was_deleted_or_leaves_anything_behind() {
    for scenario in SCENARIOS {
        let explorations = match Exploration::chosen() {
            Some(chosen) => vec![chosen],
            // Some of all orders, and where no other scenario contains this one, every order in which each goes on to
            // its end, with a fault at every point.
            None if scenario.is_contained => vec![Exploration::Sample(100)],
            None => vec![
                Exploration::All { max_switches: 0 },
                Exploration::Sample(100),
            ],
        };
        for exploration in explorations {
            let explored = explore(Search::new(scenario, &[], exploration));
            if let Some(violation) = explored.violation {
                panic!("{violation}");
            }
            println!(
                "{exploration:?}, {}: {} schedules, {} steps, {} states",
                scenario.name, explored.n_schedules, explored.n_steps, explored.n_states
            );
        }
    }
}

#[tokio::test]
async fn an_upload_that_nobody_processed_has_failed_after_an_hour() {
    let s3 = ScriptedS3::new(&[]);
    s3.open();
    let status = async || -> serde_json::Value {
        let (api, request) = call(&s3, 0, Method::GET, "/api/uploads");
        let answer = api.oneshot(request).await.unwrap();
        let body = axum::body::to_bytes(answer.into_body(), 10_000)
            .await
            .unwrap();
        serde_json::from_slice(&body).unwrap()
    };
    assert_eq!(status().await["status"], "pending");
    // Objects of this S3 are years old.
    s3.post(
        &format!("uploads/{}", upload().original()),
        &PICTURES.files[0],
    );
    let failed = status().await;
    assert_eq!(failed["status"], "failed");
    assert_eq!(failed["reason"]["code"], "not_processed");
    // A message that comes after all is worked on.
    processor(&s3, 0).process_batch(vec![message(0)]).await;
    assert_eq!(status().await["status"], "ready");
}
