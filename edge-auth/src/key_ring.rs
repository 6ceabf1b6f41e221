//! The keys of one issuer as they change over time, and when the host is asked to fetch new ones.
//!
//! Nothing is fetched here. [`KeyRing::wanted`] says that a fetch is due, the host comes back with
//! [`KeyRing::accept`] or [`KeyRing::fetch_failed`], and either starts a cool-down in which nothing is asked for: a
//! flood of invented `kid`s costs the issuer one request in that time. While fetches fail the old keys serve.

use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use serde_json::Value;

use crate::config::{Algorithm, Issuer, PublishedKeys};
use crate::keys::{KeySet, Material};

/// How long after a fetch, good or failed, no other is asked for.
pub(crate) const COOL_DOWN_SECONDS: i64 = 30;

/// One issuer's keys.
pub(crate) struct KeyRing {
    algorithms: Vec<Algorithm>,
    published: Option<PublishedKeys>,
    secrets: KeySet,
    state: RwLock<State>,
}

struct State {
    keys: Arc<KeySet>,
    /// The set that the keys were made of, to see whether another fetch brought anything new.
    source: Option<Value>,
    /// Counts the changes of `keys`.
    generation: u64,
    /// Until when the keys are used without asking for new ones.
    fresh_until: i64,
    /// Until when nothing is asked for.
    cool_until: i64,
    last_fetch_failed: bool,
}

/// What a search for a key came to.
pub(crate) enum Search<T> {
    Found(T),
    /// There is none, and fetching may bring it.
    Fetch,
    /// There is none, and it is too early to ask again after a fetch that brought none.
    Unknown,
    /// There is none, and nobody knows whether there should be: the last fetch failed.
    Unavailable,
}

impl KeyRing {
    /// Reads what the configuration says of an issuer's keys; faults are named by key within the issuer.
    pub(crate) fn new(issuer: &Issuer) -> (Self, Vec<(&'static str, String)>) {
        let mut faults: Vec<(&'static str, String)> = Vec::new();
        let mut fault = |key, message: &str| faults.push((key, message.to_owned()));
        let shares_secret = issuer.algorithms.contains(&Algorithm::HS256);
        let has_public = issuer.algorithms.iter().any(|a| *a != Algorithm::HS256);
        match (&issuer.secrets, shares_secret) {
            (None, true) => fault("algorithms", "HS256 needs `secrets`"),
            (Some(_), false) => fault("secrets", "they serve HS256 alone: add it to `algorithms`"),
            _ => {}
        }
        let names_keys = issuer.jwks.is_some() || issuer.published.is_some();
        if has_public && !names_keys {
            fault("jwks", "it is missing: the algorithms need public keys");
        }
        if !has_public && names_keys && !issuer.algorithms.is_empty() {
            fault(
                "jwks",
                "HS256 has no public keys: name another algorithm besides",
            );
        }
        if let Some(published) = &issuer.published {
            if !is_safe_url(&published.url) {
                fault(
                    "jwks.url",
                    "it begins with https:// (http:// on 127.0.0.1 alone)",
                );
            }
            if published.max_age_seconds == 0 {
                fault("jwks.max_age", "a second is the least");
            }
        }
        let mut read = |key, set: Option<Result<KeySet, Vec<String>>>| {
            let set = set.unwrap_or_else(|| Ok(KeySet::default()));
            set.unwrap_or_else(|found| {
                faults.extend(found.into_iter().map(|fault| (key, fault)));
                KeySet::default()
            })
        };
        let public = issuer.jwks.as_ref().filter(|_| has_public);
        let keys = read(
            "jwks",
            public.map(|jwks| KeySet::public(jwks, &issuer.algorithms)),
        );
        let secrets = read(
            "secrets",
            issuer
                .secrets
                .as_ref()
                .filter(|_| shares_secret)
                .map(|secrets| KeySet::secrets(&secrets.0, &issuer.algorithms)),
        );
        let ring = Self {
            algorithms: issuer.algorithms.clone(),
            published: issuer.published.clone(),
            secrets,
            state: RwLock::new(State {
                keys: Arc::new(keys),
                source: issuer.jwks.clone(),
                generation: 0,
                // How old the keys of a configuration are nobody knows.
                fresh_until: i64::MIN,
                cool_until: i64::MIN,
                last_fetch_failed: false,
            }),
        };
        (ring, faults)
    }

    /// Where the issuer publishes its keys.
    pub(crate) fn url(&self) -> Option<&str> {
        self.published
            .as_ref()
            .map(|published| published.url.as_str())
    }

    /// Counts the changes of the keys: what was verified under another count was verified with other keys.
    pub(crate) fn generation(&self) -> u64 {
        self.read().generation
    }

    /// Whether the keys are older than they may be, and it is time to fetch them.
    pub(crate) fn wanted(&self, now: i64) -> bool {
        if self.published.is_none() {
            return false;
        }
        let state = self.read();
        now >= state.fresh_until && now >= state.cool_until
    }

    /// Finds the key that a token's header names and does something with it.
    pub(crate) fn with_key<T>(
        &self,
        now: i64,
        kid: Option<&str>,
        algorithm: Algorithm,
        then: impl FnOnce(&Material, u64) -> T,
    ) -> Search<T> {
        let (keys, generation, cool_until, last_fetch_failed) = {
            let state = self.read();
            let cool_until = state.cool_until;
            (
                state.keys.clone(),
                state.generation,
                cool_until,
                state.last_fetch_failed,
            )
        };
        if algorithm == Algorithm::HS256 {
            return match self.secrets.find(kid, algorithm) {
                Some(secret) => Search::Found(then(secret, generation)),
                None => Search::Unknown,
            };
        }
        match keys.find(kid, algorithm) {
            Some(key) => Search::Found(then(key, generation)),
            None if self.published.is_none() => Search::Unknown,
            None if now >= cool_until => Search::Fetch,
            None if last_fetch_failed => Search::Unavailable,
            None => Search::Unknown,
        }
    }

    /// Takes a fetched set in place of the keys so far. Answers with what was wrong with single keys, or with why the
    /// set as a whole is refused, which counts as a failed fetch.
    pub(crate) fn accept(&self, now: i64, jwks: &Value) -> Result<Vec<String>, Vec<String>> {
        let max_age = match &self.published {
            Some(published) => i64::from(published.max_age_seconds),
            None => return Err(vec!["no address is configured for its keys".to_owned()]),
        };
        let (keys, faults) = match KeySet::fetched(jwks, &self.algorithms) {
            Ok(read) => read,
            Err(faults) => {
                self.fetch_failed(now);
                return Err(faults);
            }
        };
        let mut state = self.write();
        if state.source.as_ref() != Some(jwks) {
            state.keys = Arc::new(keys);
            state.source = Some(jwks.clone());
            state.generation += 1;
        }
        state.fresh_until = now.saturating_add(max_age);
        state.cool_until = now.saturating_add(COOL_DOWN_SECONDS);
        state.last_fetch_failed = false;
        Ok(faults)
    }

    /// Notes that the keys could not be fetched.
    pub(crate) fn fetch_failed(&self, now: i64) {
        let mut state = self.write();
        state.cool_until = now.saturating_add(COOL_DOWN_SECONDS);
        state.last_fetch_failed = true;
    }

    // No thread leaves the state half-changed: a panic elsewhere does not spoil it.
    fn read(&self) -> RwLockReadGuard<'_, State> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, State> {
        self.state.write().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether nobody on the way can put other keys in place of the issuer's.
fn is_safe_url(url: &str) -> bool {
    let is_plain = !url.bytes().any(|byte| byte <= b' ' || byte == 0x7f) && !url.contains('@');
    let has_host = |rest: &str| !rest.is_empty() && !rest.starts_with(['/', ':', '?', '#']);
    let is_loopback = |rest: &str| rest.starts_with("127.0.0.1:") || rest.starts_with("127.0.0.1/");
    is_plain
        && (url.strip_prefix("https://").is_some_and(has_host)
            || url.strip_prefix("http://").is_some_and(is_loopback))
}
