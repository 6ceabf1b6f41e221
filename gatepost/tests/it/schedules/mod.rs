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
//! - nothing deleted is left, the original included, and no tombstone was ever replaced.
//!
//! Where nobody ended for good in the midst of their work, it must hold before the sweep.
//!
//! So that this is known to notice something, each guard of the protocol is taken away once: then it must fail.

mod queues;
mod scripted_s3;

use std::collections::{BTreeMap, HashSet};
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
use upload_processor::{Buckets, Processor};
use url_signing::Bucket;

use scripted_s3::{Answer, Guard, Pending, ScriptedS3};

/// Who sweeps, at the end.
const SWEEPER: usize = 1000;
/// How often a message is delivered, and a deletion asked for, at most.
const MAX_ATTEMPTS: u32 = 3;

/// What meets.
#[derive(Clone, Copy, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "a row of a table")]
struct Scenario {
    name: &'static str,
    /// How often the event of the first picture is delivered at once.
    n_workers: usize,
    /// Whether the first picture is on its way still: it may arrive after everything else.
    is_late: bool,
    /// Whether the form is sent again, with another picture.
    is_posted_again: bool,
    is_deleted: bool,
    /// Whether a failing worker says so in a manifest.
    is_last_receive: bool,
}

const SCENARIOS: [Scenario; 5] = [
    Scenario {
        name: "two workers on one event, and a deletion",
        n_workers: 2,
        is_late: false,
        is_posted_again: false,
        is_deleted: true,
        is_last_receive: false,
    },
    Scenario {
        name: "a worker, another picture, and a deletion",
        n_workers: 1,
        is_late: false,
        is_posted_again: true,
        is_deleted: true,
        is_last_receive: false,
    },
    Scenario {
        name: "an upload that is deleted before it arrives",
        n_workers: 1,
        is_late: true,
        is_posted_again: false,
        is_deleted: true,
        is_last_receive: false,
    },
    Scenario {
        name: "two workers on one event, and another picture",
        n_workers: 2,
        is_late: false,
        is_posted_again: true,
        is_deleted: false,
        is_last_receive: false,
    },
    Scenario {
        name: "a worker on its last receive, another picture, and a deletion",
        n_workers: 1,
        is_late: false,
        is_posted_again: true,
        is_deleted: true,
        is_last_receive: true,
    },
];

/// What goes wrong with one request.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Fault {
    /// It is not carried out, and the connection breaks.
    Lost,
    /// It is carried out, and the answer does not arrive.
    AnswerLost,
    /// It is carried out, the answer does not arrive, and the SDK sends it again.
    Repeated,
    /// S3 answers 409: another conditional write is in progress.
    Conflict,
    /// One key of several cannot be deleted.
    KeyError,
    /// Its sender dies before it is carried out.
    DiesBefore,
    /// Its sender dies after it is carried out.
    DiesAfter,
    /// Its sender dies, and it is carried out at any time after that.
    CarriedOutLater,
}

impl Fault {
    /// Where failing leaves nothing behind, an actor that fails is like one that dies.
    fn possible(request: &scripted_s3::Request, is_last_receive: bool) -> Vec<Self> {
        let mut faults = vec![Self::Lost];
        if is_last_receive {
            faults.push(Self::DiesBefore);
        }
        if request.is_write() {
            faults.extend([Self::AnswerLost, Self::Repeated, Self::CarriedOutLater]);
            if is_last_receive {
                faults.push(Self::DiesAfter);
            }
        }
        if request.is_conditional() && request.is_write() {
            faults.push(Self::Conflict);
        }
        if request.is_delete() {
            faults.push(Self::KeyError);
        }
        faults
    }
}

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
    fn chosen() -> Vec<Self> {
        match std::env::var("GATEPOST_SCHEDULES").as_deref() {
            Ok("all") => vec![Self::All {
                max_switches: usize::MAX,
            }],
            Ok(number) => vec![Self::All {
                max_switches: number.parse().unwrap(),
            }],
            // Every order in which each goes on to its end, with a fault at every point; and some of all the others.
            Err(_) => vec![Self::All { max_switches: 0 }, Self::Sample(400)],
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
    Succeeded,
    Failed,
}

/// Two pictures, and their file of one rendition each.
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

/// One rendition of each picture.
fn settings() -> Settings {
    serde_json::from_value(json!({
        "types": ["image/png"], "max_bytes": 1000, "max_pixels": 1_000_000, "widths": [2],
        "formats": ["webp"], "quality": 80,
    }))
    .unwrap()
}

fn processor(s3: &ScriptedS3, actor: usize) -> Processor {
    Processor::new(s3.client(actor), buckets(), settings(), now)
}

/// One schedule that runs.
struct Run {
    scenario: Scenario,
    s3: ScriptedS3,
    without: Option<Guard>,
    actors: BTreeMap<usize, (Actor, JoinHandle<End>)>,
    n_actors: usize,
    is_posted: [bool; 2],
    has_failed: bool,
    /// Whether somebody ended in the midst of it who does not come again: only a sweep finds what is left.
    needs_sweep: bool,
    /// Who went on last, and how often somebody else did although that actor could.
    last: Option<usize>,
    n_switches: usize,
    max_switches: usize,
    late: Option<Pending>,
    /// How often a deletion was answered with success.
    n_deleted: u32,
}

impl Run {
    fn new(scenario: Scenario, without: Option<Guard>, max_switches: usize) -> Self {
        let mut run = Self {
            scenario,
            s3: ScriptedS3::new(without),
            without,
            actors: BTreeMap::new(),
            n_actors: 0,
            is_posted: [false; 2],
            has_failed: false,
            needs_sweep: false,
            last: None,
            n_switches: 0,
            max_switches,
            late: None,
            n_deleted: 0,
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
                let mut processor = processor(&self.s3, id);
                if self.scenario.is_last_receive {
                    processor = processor.with_max_receives(1);
                }
                let message = message(picture);
                let changed = self.s3.changed.clone();
                tokio::spawn(async move {
                    let report = processor.process_batch(vec![message]).await;
                    changed.notify_one();
                    match report.messages[0].1 {
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
                    (End::Failed, actor) => self.start_again(actor),
                }
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

    /// The hash of everything that decides what follows.
    fn hashed(&self) -> u64 {
        // Without a bound it makes no difference who went last, nor how often that changed.
        let is_bounded = self.max_switches < usize::MAX;
        let actors = self
            .actors
            .iter()
            .map(|(id, (actor, _))| (*id, (*actor, is_bounded && self.last == Some(*id))));
        let state = (
            self.s3.state(actors),
            (self.has_failed, self.needs_sweep),
            is_bounded.then_some(self.n_switches),
            self.late.as_ref().map(|late| late.request.shown()),
            self.is_posted,
            self.n_deleted > 0,
        );
        let mut hasher = DefaultHasher::new();
        state.hash(&mut hasher);
        hasher.finish()
    }

    fn steps(&self) -> Vec<Step> {
        let mut steps = Vec::new();
        let mut waiting = self.s3.waiting();
        let can_go_on = waiting.iter().any(|(actor, _)| self.last == Some(*actor));
        let must_go_on = can_go_on && self.n_switches >= self.max_switches;
        if must_go_on {
            waiting.retain(|(actor, _)| self.last == Some(*actor));
        }
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
        if !self.has_failed {
            for (actor, request) in &waiting {
                let faults = Fault::possible(request, self.scenario.is_last_receive).into_iter();
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
                let is_worker = matches!(self.actors[&actor].0, Actor::Worker { .. });
                let is_left_out =
                    self.without == Some(Guard::WorkersCleanUp) && is_worker && request.is_delete();
                let answer = if is_left_out {
                    Answer::nothing_deleted()
                } else {
                    self.s3.carry_out(&request)
                };
                self.s3.answer(pending, Some(answer));
            }
            Step::Post(picture) => self.post(picture),
            Step::CarryOutLate => {
                let late = self.late.take().unwrap();
                self.s3.carry_out(&late.request);
            }
            Step::Fault(actor, request, fault) => {
                self.has_failed = true;
                self.fail(actor, &request, fault);
            }
        }
    }

    fn fail(&mut self, actor: usize, request: &scripted_s3::Request, fault: Fault) {
        let pending = self.s3.take(actor, request);
        match fault {
            Fault::Lost => self.s3.answer(pending, None),
            Fault::AnswerLost => {
                self.s3.carry_out(request);
                self.s3.answer(pending, None);
            }
            Fault::Repeated => {
                self.s3.carry_out(request);
                let answer = self.s3.carry_out(request);
                self.s3.answer(pending, Some(answer));
            }
            Fault::Conflict => {
                let answer = Answer::error(409, "ConditionalRequestConflict");
                self.s3.answer(pending, Some(answer));
            }
            Fault::KeyError => {
                let answer = self.s3.carry_out_but_one(request);
                self.s3.answer(pending, Some(answer));
            }
            Fault::DiesBefore | Fault::DiesAfter | Fault::CarriedOutLater => {
                self.needs_sweep |= fault == Fault::CarriedOutLater;
                if fault == Fault::DiesAfter {
                    self.s3.carry_out(request);
                }
                if fault == Fault::CarriedOutLater {
                    self.late = Some(pending);
                }
                self.s3.kill(actor);
                let (actor, task) = self.actors.remove(&actor).unwrap();
                task.abort();
                self.start_again(actor);
            }
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
                processor(&self.s3, SWEEPER)
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
        let Some(data) = self.s3.object(&manifest_path) else {
            found.push("there is no manifest".to_owned());
            return found;
        };
        let manifest: Manifest = serde_json::from_slice(&data).unwrap();
        let beside: Vec<_> = self
            .s3
            .paths()
            .into_iter()
            .filter(|path| path.starts_with(&prefix) && *path != manifest_path)
            .collect();
        let is_deleted = self.s3.was_deleted() || self.n_deleted > 0;
        match &manifest.status {
            Status::Deleted { .. } => {
                if !beside.is_empty() {
                    found.push(format!("deleted, and readable: {beside:?}"));
                }
                let original = format!("uploads/{}", upload.original());
                if self.s3.object(&original).is_some() {
                    found.push("deleted, and the original is still there".to_owned());
                }
            }
            status if is_deleted => {
                found.push(format!("deleted, and {} again", status.name()));
            }
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
                        Some(data) if data != rendered(picture) => {
                            found.push(format!("{} is of another picture", rendition.path));
                        }
                        Some(_) => {}
                    }
                }
                if beside.len() != renditions.len() {
                    found.push(format!("not named by the manifest: {beside:?}"));
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
    let etag = scripted_s3::etag_of(&PICTURES.files[picture]);
    let event = json!({"Records": [{
        "eventVersion": "2.2", "eventSource": "aws:s3", "eventName": "ObjectCreated:Post",
        "s3": {
            "bucket": {"name": "uploads"},
            "object": {"key": upload().original(), "eTag": etag},
        },
    }]});
    Message {
        id: "message".to_owned(),
        body: event.to_string(),
        receive_count: 2,
        receipt_handle: None,
    }
}

/// The one rendition of a picture.
fn rendered(picture: usize) -> Vec<u8> {
    static RENDERED: LazyLock<[Vec<u8>; 2]> = LazyLock::new(|| {
        [0, 1].map(|picture| {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(async {
                let s3 = ScriptedS3::new(None);
                s3.open();
                let path = format!("uploads/{}", upload().original());
                s3.post(&path, &PICTURES.files[picture]);
                processor(&s3, 0)
                    .process_batch(vec![message(picture)])
                    .await;
                let paths = s3.paths();
                let path = paths.iter().find(|path| path.ends_with("-2.webp")).unwrap();
                s3.object(path).unwrap()
            })
        })
    });
    RENDERED[picture].clone()
}

/// What an exploration came to.
#[derive(Debug, Default)]
struct Explored {
    n_schedules: usize,
    n_steps: usize,
    n_states: usize,
    violation: Option<String>,
}

/// Runs schedules until one violates an invariant.
fn explore(scenario: Scenario, without: Option<Guard>, exploration: Exploration) -> Explored {
    // A runtime of its own makes it, and there can be only one at a time.
    rendered(0);
    let mut explored = Explored::default();
    let mut states = HashSet::new();
    match exploration {
        Exploration::Sample(n) => {
            let mut seed = 0x9e37_79b9_7f4a_7c15;
            while explored.n_schedules < n && explored.violation.is_none() {
                run(
                    scenario,
                    without,
                    usize::MAX,
                    &mut explored,
                    |run, steps| {
                        states.insert(run.hashed());
                        let n_faults = steps
                            .iter()
                            .filter(|step| matches!(step, Step::Fault(..)))
                            .count();
                        // One step in a dozen fails, so that faults come early and late.
                        Some(match draw(&mut seed, 12) {
                            0 if n_faults > 0 => steps.len() - 1 - draw(&mut seed, n_faults),
                            _ => draw(&mut seed, steps.len() - n_faults),
                        })
                    },
                );
            }
        }
        Exploration::All { max_switches } => {
            // The choices that led to the schedule, each with the number of choices there were.
            let mut path: Vec<(usize, usize)> = Vec::new();
            loop {
                let mut depth = 0;
                run(
                    scenario,
                    without,
                    max_switches,
                    &mut explored,
                    |run, steps| {
                        if depth == path.len() {
                            if !states.insert(run.hashed()) {
                                return None;
                            }
                            path.push((0, steps.len()));
                        }
                        let (choice, n_choices) = path[depth];
                        assert_eq!(n_choices, steps.len(), "a schedule cannot be repeated");
                        depth += 1;
                        Some(choice)
                    },
                );
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
    scenario: Scenario,
    without: Option<Guard>,
    max_switches: usize,
    explored: &mut Explored,
    mut choose: impl FnMut(&Run, &[Step]) -> Option<usize>,
) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .unwrap();
    explored.n_schedules += 1;
    explored.violation = runtime.block_on(async {
        let mut run = Run::new(scenario, without, max_switches);
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
        if without != Some(Guard::Sweep) {
            run.sweep().await;
        }
        violations.extend(run.violations());
        let violation = violations.first()?;
        Some(format!("{}: {violation}{trace}", scenario.name))
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
    for exploration in Exploration::chosen() {
        for scenario in SCENARIOS {
            let explored = explore(scenario, None, exploration);
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

#[test]
fn without_any_one_guard_something_goes_wrong() {
    for guard in [
        Guard::ConditionalWrites,
        Guard::ContentNames,
        Guard::Tombstone,
        Guard::WorkersCleanUp,
        Guard::KeyErrors,
        Guard::Sweep,
    ] {
        let found = SCENARIOS.into_iter().find_map(|scenario| {
            explore(scenario, Some(guard), Exploration::Sample(1000)).violation
        });
        let violation = found.unwrap_or_else(|| panic!("nobody misses {guard:?}"));
        println!("without {guard:?}: {violation}\n");
    }
}

#[tokio::test]
async fn an_upload_that_nobody_processed_has_failed_after_an_hour() {
    let s3 = ScriptedS3::new(None);
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
