//! One schedule while it runs: the actors, the scripted S3 between them, what can happen next, and what must hold at the end.
//!
//! `actors` owns what an actor does; this file owns when it goes on, and what it meets.

mod actors;

use std::collections::{BTreeMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};

use media_contract::{Manifest, Status, object_key};
use sha2::{Digest as _, Sha256};
use tokio::task::JoinHandle;
use upload_processor::Processor;
use upload_processor::event::Message;

use super::explore::{Exploration, Search};
use super::guards::Guard;
use super::scenario::{Fault, Scenario};
use super::scripted_s3::{self, Answer, Pending, ScriptedS3};
use super::{PICTURES, buckets, message, now, rendered, settings_of, upload};
use actors::{Actor, Announced, End, sweep_of_all};

/// The actor that sweeps at the end, after everything else.
const SWEEPER: usize = 1000;
/// How often a message is delivered, and a deletion asked for, at most.
const MAX_ATTEMPTS: u32 = 3;

/// What happens next.
#[derive(Clone, Debug)]
pub(super) enum Step {
    Deliver(usize, scripted_s3::Request),
    Fault(usize, scripted_s3::Request, Fault),
    Post(usize),
    CarryOutLate,
}

impl Step {
    pub(super) fn shown(&self) -> String {
        match self {
            Step::Deliver(actor, request) => format!("{actor}: {}", request.shown()),
            Step::Fault(actor, request, fault) => format!("{actor}: {} {fault:?}", request.shown()),
            Step::Post(picture) => format!("picture {picture} arrives"),
            Step::CarryOutLate => "what a dead sender sent is carried out".to_owned(),
        }
    }
}

/// One schedule that runs.
pub(super) struct Run {
    search: Search,
    max_switches: usize,
    scenario: Scenario,
    s3: ScriptedS3,
    actors: BTreeMap<usize, (Actor, JoinHandle<End>)>,
    n_actors: usize,
    announced: Announced,
    is_posted: [bool; 2],
    /// Whether the other picture came after the deletion.
    is_posted_after_deletion: bool,
    fault: Option<Fault>,
    /// Whether an actor ended half way and does not come again: only a sweep finds what is left.
    pub(super) needs_sweep: bool,
    /// The actor that went on last.
    last: Option<usize>,
    /// How often another one went on although the last one could.
    pub(super) n_switches: usize,
    late: Option<Pending>,
    /// How often a deletion was answered with success.
    n_deleted: u32,
    /// Whether a worker said that it published.
    says_published: bool,
    /// Actors that failed although nothing was lost.
    n_failed_without_loss: u32,
}

impl Run {
    pub(super) fn new(search: Search) -> Self {
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
            announced: Announced::default(),
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
        if scenario.is_swept {
            run.start(Actor::Sweeper);
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
        let task = actor.start(id, &self.scenario, &self.s3, &self.announced);
        self.actors.insert(id, (actor, task));
    }

    /// Goes on until every actor waits for S3 or has ended.
    pub(super) async fn settle(&mut self) {
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
                    (End::Succeeded, Actor::Worker { .. } | Actor::Sweeper) => {}
                    (End::Published, _) => self.says_published = true,
                    (End::Failed, actor) => {
                        let is_harmed = self.fault.is_some_and(|fault| !fault.is_harmless());
                        self.n_failed_without_loss += u32::from(!is_harmed);
                        self.start_again(actor);
                    }
                }
            }
            let announced = std::mem::take(&mut *self.announced.lock().unwrap());
            for picture in announced {
                self.start(Actor::Worker {
                    picture,
                    attempt: 1,
                });
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
    pub(super) fn hashed(&self) -> u64 {
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

    pub(super) fn steps(&self) -> Vec<Step> {
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

    pub(super) fn take(&mut self, step: Step) {
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
    pub(super) async fn sweep(&self) {
        self.s3.open();
        for _ in 0..MAX_ATTEMPTS {
            let mut sweep = sweep_of_all(&self.s3, SWEEPER);
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
    pub(super) fn violations(&self) -> Vec<String> {
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
                    match self
                        .s3
                        .object(&format!("media/{}", object_key(&rendition.path)))
                    {
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
