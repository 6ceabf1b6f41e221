//! The published keys of one address as they change over time, and when the host must fetch new ones.
//!
//! Nothing is fetched here. [`KeyRing::refresh_due`] says that a fetch is due, and the host reports back with
//! [`KeyRing::accept`] or [`KeyRing::fetch_failed`]. Either starts a cool-down without further fetches, so a flood of
//! invented `kid`s costs the issuer one request per cool-down. The previous keys stay in use while fetches fail.

use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use jiff::Timestamp;
use serde_json::Value;

use crate::config::{Algorithm, PublishedKeys};
use crate::http::address::check_key_address;
use crate::keys::jwk_set::KeySet;
use crate::keys::material::Material;

/// The cool-down after a fetch, successful or not.
pub(crate) const COOL_DOWN_SECONDS: i64 = 30;

/// The accepted timeouts of a fetch. Lambda@Edge has five seconds for everything.
const TIMEOUTS_MS: std::ops::RangeInclusive<u32> = 100..=4000;

/// The public keys of one address, or of one issuer block without an address.
pub(crate) struct KeyRing {
    algorithms: Vec<Algorithm>,
    published: Option<PublishedKeys>,
    state: RwLock<State>,
}

struct State {
    keys: Arc<KeySet>,
    /// The set that the keys were parsed from, to detect that a fetch brought nothing new.
    source: Option<Value>,
    /// Counts the changes of `keys`.
    generation: u64,
    /// Until when the keys are fresh.
    fresh_until: i64,
    /// When the keys last matched what the issuer publishes, if known.
    confirmed_at: Option<i64>,
    /// Until when no fetch is requested.
    cool_until: i64,
    last_fetch_failed: bool,
}

/// The result of searching for a key.
pub(crate) enum Search<T> {
    Found(T),
    /// Unknown key; a fetch may bring it.
    Fetch,
    /// Unknown key, and the cool-down after a fetch without it has not passed.
    Unknown,
    /// Unknown key, and the last fetch failed, so it may exist.
    Unavailable,
}

/// The settings of a ring, shared by the blocks of one address.
pub(crate) struct RingSettings<'a> {
    pub(crate) algorithms: Vec<Algorithm>,
    pub(crate) jwks: Option<&'a Value>,
    pub(crate) jwks_as_of: Option<Timestamp>,
    pub(crate) published: Option<&'a PublishedKeys>,
}

impl KeyRing {
    /// Parses the keys that are known at start. `fault` receives each fault, with its key within the issuer block.
    pub(crate) fn new(settings: &RingSettings<'_>, fault: &mut dyn FnMut(&str, String)) -> Self {
        if let Some(published) = settings.published {
            check_published(published, fault);
        }
        let keys = settings.jwks.map_or_else(
            || Ok(KeySet::default()),
            |jwks| KeySet::public(jwks, &settings.algorithms),
        );
        let keys = keys.unwrap_or_else(|found| {
            for message in found {
                fault("jwks", message);
            }
            KeySet::default()
        });
        Self {
            algorithms: settings.algorithms.clone(),
            published: settings.published.cloned(),
            state: RwLock::new(State {
                keys: Arc::new(keys),
                source: settings.jwks.cloned(),
                generation: 0,
                // The issuer may have withdrawn one since they were packed, so a fetch is due at once.
                fresh_until: i64::MIN,
                confirmed_at: settings.jwks_as_of.map(Timestamp::as_second),
                cool_until: i64::MIN,
                last_fetch_failed: false,
            }),
        }
    }

    /// Where the keys are published.
    pub(crate) fn published(&self) -> Option<&PublishedKeys> {
        self.published.as_ref()
    }

    /// Whether results verified with keys of this generation still hold: the keys were not replaced and are not due.
    pub(crate) fn still_vouches(&self, now: i64, generation: u64) -> bool {
        let state = self.read();
        state.generation == generation && !self.is_due(&state, now) && !self.is_stale(&state, now)
    }

    /// Whether the keys have reached their TTL and a fetch is allowed.
    pub(crate) fn refresh_due(&self, now: i64) -> bool {
        self.is_due(&self.read(), now)
    }

    fn is_due(&self, state: &State, now: i64) -> bool {
        self.published.is_some() && now >= state.fresh_until && now >= state.cool_until
    }

    /// Whether fetches have failed for so long that the keys are no longer trusted.
    fn is_stale(&self, state: &State, now: i64) -> bool {
        match (&self.published, state.confirmed_at) {
            (Some(published), Some(confirmed_at)) => {
                now >= confirmed_at.saturating_add(published.max_stale_seconds.into())
            }
            _ => false,
        }
    }

    /// Finds the key that a token's header names and passes it to a closure.
    pub(crate) fn with_key<T>(
        &self,
        now: i64,
        kid: Option<&str>,
        algorithm: Algorithm,
        is_for: impl Fn(&str) -> bool,
        then: impl FnOnce(&Material, u64) -> T,
    ) -> Search<T> {
        let (keys, generation, cool_until, last_fetch_failed) = {
            let state = self.read();
            let keys = (!self.is_stale(&state, now)).then(|| state.keys.clone());
            (
                keys,
                state.generation,
                state.cool_until,
                state.last_fetch_failed,
            )
        };
        let key = keys
            .as_ref()
            .and_then(|keys| keys.find(kid, algorithm, is_for));
        match key {
            Some(key) => Search::Found(then(key, generation)),
            None if self.published.is_none() => Search::Unknown,
            None if now >= cool_until => Search::Fetch,
            None if last_fetch_failed => Search::Unavailable,
            None => Search::Unknown,
        }
    }

    /// Replaces the keys with a fetched set. Answers with the faults of single keys. If the whole set is refused, it
    /// answers with the reasons, and that counts as a failed fetch.
    pub(crate) fn accept(&self, now: i64, jwks: &Value) -> Result<Vec<String>, Vec<String>> {
        let max_age = match &self.published {
            Some(published) => i64::from(published.max_age_seconds),
            None => return Err(vec!["no address is configured for these keys".to_owned()]),
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
        state.confirmed_at = Some(now);
        state.cool_until = now.saturating_add(COOL_DOWN_SECONDS);
        state.last_fetch_failed = false;
        Ok(faults)
    }

    /// Records that the keys could not be fetched.
    pub(crate) fn fetch_failed(&self, now: i64) {
        let mut state = self.write();
        state.cool_until = now.saturating_add(COOL_DOWN_SECONDS);
        state.last_fetch_failed = true;
    }

    // Poisoning is ignored: no thread leaves the state half-changed, so a panic elsewhere does not corrupt it.
    fn read(&self) -> RwLockReadGuard<'_, State> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, State> {
        self.state.write().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The faults of the address of published keys, and of its times.
pub(crate) fn check_published(published: &PublishedKeys, fault: &mut dyn FnMut(&str, String)) {
    if let Err(message) = check_key_address(&published.url) {
        fault("jwks.url", message.to_owned());
    }
    if i64::from(published.max_age_seconds) < COOL_DOWN_SECONDS {
        let message = format!("at least {COOL_DOWN_SECONDS}s: keys are fetched no more often");
        fault("jwks.max_age", message);
    }
    if !TIMEOUTS_MS.contains(&published.timeout_ms) {
        let message = "from 100ms to 4s: a viewer waits for it";
        fault("jwks.timeout", message.to_owned());
    }
    if published.max_stale_seconds < published.max_age_seconds {
        fault("jwks.max_stale", "is shorter than max_age".to_owned());
    }
}
