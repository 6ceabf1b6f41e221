//! The published keys of one address as they change over time, and when the host is asked to fetch new ones.
//!
//! Nothing is fetched here. [`KeyRing::refresh_due`] says that a fetch is due, the host comes back with
//! [`KeyRing::accept`] or [`KeyRing::fetch_failed`], and either starts a cool-down in which nothing is asked for: a
//! flood of invented `kid`s costs the issuer one request in that time. While fetches fail the old keys serve.

use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use jiff::Timestamp;
use serde_json::Value;

use crate::address::check_key_address;
use crate::config::{Algorithm, PublishedKeys};
use crate::keys::{KeySet, Material};

/// How long after a fetch, successful or not, no other is asked for.
pub(crate) const COOL_DOWN_SECONDS: i64 = 30;

/// How long a fetch may be configured to take. Lambda@Edge has five seconds for everything.
const TIMEOUTS_MS: std::ops::RangeInclusive<u32> = 100..=4000;

/// The public keys of one address, or of one issuer block without an address.
pub(crate) struct KeyRing {
    algorithms: Vec<Algorithm>,
    published: Option<PublishedKeys>,
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
    /// When they were last known to be what the issuer publishes, if anybody knows.
    confirmed_at: Option<i64>,
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
    /// There is none, and the last fetch failed, so it may exist.
    Unavailable,
}

/// What the configuration says of a ring: the blocks that share an address share this.
pub(crate) struct RingSettings<'a> {
    pub(crate) algorithms: Vec<Algorithm>,
    pub(crate) jwks: Option<&'a Value>,
    pub(crate) jwks_as_of: Option<Timestamp>,
    pub(crate) published: Option<&'a PublishedKeys>,
}

impl KeyRing {
    /// Reads the keys that are known from the start; `fault` is told what is wrong, by key within the issuer block.
    pub(crate) fn new(settings: &RingSettings<'_>, fault: &mut dyn FnMut(&str, String)) -> Self {
        if let Some(published) = settings.published {
            if let Err(message) = check_key_address(&published.url) {
                fault("jwks.url", message.to_owned());
            }
            if i64::from(published.max_age_seconds) < COOL_DOWN_SECONDS {
                let message =
                    format!("at least {COOL_DOWN_SECONDS}s: keys are fetched no more often");
                fault("jwks.max_age", message);
            }
            if !TIMEOUTS_MS.contains(&published.timeout_ms) {
                fault(
                    "jwks.timeout",
                    "from 100ms to 4s: a viewer waits for it".to_owned(),
                );
            }
            if published.max_stale_seconds < published.max_age_seconds {
                fault("jwks.max_stale", "is shorter than max_age".to_owned());
            }
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
                // The issuer may have withdrawn one since they were packed: they are due for a fetch at once.
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

    /// Whether what was verified with the keys of this generation still holds: they are neither replaced nor due.
    pub(crate) fn still_vouches(&self, now: i64, generation: u64) -> bool {
        let state = self.read();
        state.generation == generation && !self.is_due(&state, now) && !self.is_stale(&state, now)
    }

    /// Whether the keys are older than they may be, and it is time to fetch them.
    pub(crate) fn refresh_due(&self, now: i64) -> bool {
        self.is_due(&self.read(), now)
    }

    fn is_due(&self, state: &State, now: i64) -> bool {
        self.published.is_some() && now >= state.fresh_until && now >= state.cool_until
    }

    /// Whether fetches have failed for so long that the keys are not trusted any more.
    fn is_stale(&self, state: &State, now: i64) -> bool {
        match (&self.published, state.confirmed_at) {
            (Some(published), Some(confirmed_at)) => {
                now >= confirmed_at.saturating_add(published.max_stale_seconds.into())
            }
            _ => false,
        }
    }

    /// Finds the key that a token's header names and does something with it.
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

    /// Takes a fetched set in place of the keys so far. Answers with what was wrong with single keys, or with why the
    /// set as a whole is refused, which counts as a failed fetch.
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
