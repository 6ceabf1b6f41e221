//! An S3 in memory whose requests wait until the test lets them through, fails them, or carries them out later.
//!
//! It implements what the API and the processor use, with S3's conditional writes and answers. Every client belongs to an
//! actor, so that the test knows who is waiting. It also takes out guards: it does what it would do if the product lacked them.
//!
//! This file owns who waits and what each actor has seen. `wire` owns requests and answers, `objects` what requests do,
//! `knowledge` why an actor removes something, and `connector` the clients.

mod connector;
mod knowledge;
mod objects;
mod wire;

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Arc, Mutex};

use tokio::sync::{Notify, oneshot};

use super::guards::Guard;
use knowledge::Knowledge;
use objects::{Objects, Version, keys_in};

pub(super) use objects::{etag_of, version_of};
pub(super) use wire::{Answer, Request};

/// A request that waits.
pub(crate) struct Pending {
    pub(crate) actor: usize,
    pub(crate) request: Request,
    reply: oneshot::Sender<Option<Answer>>,
}

#[derive(Default)]
struct Inner {
    objects: Objects,
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

impl ScriptedS3 {
    pub(crate) fn new(without: &'static [Guard]) -> Self {
        Self {
            inner: Arc::new(Mutex::new(Inner {
                objects: Objects::new(without),
                ..Inner::default()
            })),
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
            let versions = inner.objects.versions.entry(path.to_owned()).or_default();
            versions.push(version);
        }
        inner.objects.put(path.to_owned(), data.to_vec());
    }

    pub(crate) fn object(&self, path: &str) -> Option<Vec<u8>> {
        let inner = self.lock();
        inner
            .objects
            .current
            .get(path)
            .map(|object| object.data.clone())
    }

    /// Whether there is an object, or an old version of it.
    pub(crate) fn has_any_version(&self, path: &str) -> bool {
        let inner = self.lock();
        let mut versions = inner.objects.versions.get(path).into_iter().flatten();
        inner.objects.current.contains_key(path) || versions.any(|version| version.data.is_some())
    }

    pub(crate) fn paths(&self) -> Vec<String> {
        self.lock().objects.current.keys().cloned().collect()
    }

    /// Whether a tombstone was ever written.
    pub(crate) fn was_deleted(&self) -> bool {
        self.lock().objects.was_deleted
    }

    /// Violations of the invariants so far.
    pub(crate) fn faults(&self) -> Vec<String> {
        self.lock().objects.faults.clone()
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
            .current
            .iter()
            .find(|(path, _)| path.ends_with("/manifest.json"))
            .map(|(_, manifest)| manifest.modified);
        for (path, object) in &inner.objects.current {
            (path, &object.data, Some(object.modified) > manifest).hash(&mut hasher);
        }
        let mut seen: Vec<_> = actors
            .map(|(id, actor)| (actor, inner.histories.get(&id).copied().unwrap_or(0)))
            .collect();
        seen.sort_unstable();
        seen.hash(&mut hasher);
        (inner.objects.was_deleted, &inner.objects.versions).hash(&mut hasher);
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
        if request.is_delete()
            && knowledge
                .removal()
                .is_some_and(|guard| self.is_without(guard))
        {
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
                    .current
                    .retain(|path, _| !path.starts_with("uploads/"));
            }
        } else if request.is_media_list()
            && self.is_without(Guard::TombstonesAreSwept)
            && inner.objects.is_deleted()
            && !inner
                .objects
                .current
                .keys()
                .any(|path| path.starts_with("uploads/"))
        {
            return Answer::new(200, "<ListBucketResult></ListBucketResult>");
        }
        let mut answer = inner.objects.carry_out(request);
        if request.method == "PUT" && request.is_manifest() {
            for held in inner.held.remove(&actor).unwrap_or_default() {
                inner.objects.carry_out(&held);
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
        let knowledge = before.after(request, answer, self.refused.get(&actor));
        if knowledge == Knowledge::Refused
            && (request.method.as_str(), answer.status) == ("PUT", 412)
        {
            self.refused.insert(actor, request.body.clone());
        }
        *before = knowledge;
    }
}
