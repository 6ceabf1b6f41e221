//! A distribution's cache: finished objects in memory, by behaviour, key, and the query and headers of the cache policy.
//! An object leaves it when its TTL has passed, when its folder is invalidated, or as the least recently used one (LRU)
//! when the memory is full.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::http::HeaderValue;
use jiff::Timestamp;
use lru::LruCache;

use super::origin::Object;

/// How many bytes of bodies are kept.
const CAPACITY: usize = 256 << 20;
/// A larger object is passed through.
const MAX_OBJECT: usize = 32 << 20;

/// An LRU cache whose entries have a TTL.
#[derive(Default)]
pub(super) struct Cache {
    entries: Mutex<Entries>,
}

/// The key under which an answer is stored.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub(super) struct CacheKey {
    /// The index of the behaviour, because two behaviours may have different origins; always 0 where behaviours share.
    pub(super) behaviour: usize,
    /// The path as an object key.
    pub(super) path: String,
    /// The query, if the policy has it in the key; otherwise empty. A missing query and an empty one are one entry.
    pub(super) query: String,
    /// The values of the policy's headers, in its order.
    pub(super) headers: Vec<Option<HeaderValue>>,
}

struct Entries {
    by_key: LruCache<CacheKey, Entry>,
    bytes: usize,
    /// Counts the invalidations.
    generation: u64,
}

struct Entry {
    object: Arc<Object>,
    stored_at: Timestamp,
    ttl: Duration,
}

impl Default for Entries {
    fn default() -> Self {
        Self {
            // Bounded by the bytes of the bodies.
            by_key: LruCache::unbounded(),
            bytes: 0,
            generation: 0,
        }
    }
}

impl Cache {
    /// The object of a key and how long ago it was stored, if it is still fresh.
    pub(super) fn get(&self, key: &CacheKey, now: Timestamp) -> Option<(Arc<Object>, Duration)> {
        let mut entries = self.lock();
        let entry = entries.by_key.get(key)?;
        // A clock that was set back says nothing about the age.
        let age = Duration::try_from(now.duration_since(entry.stored_at));
        match age {
            Ok(age) if age < entry.ttl => Some((entry.object.clone(), age)),
            _ => {
                entries.remove(key);
                None
            }
        }
    }

    /// The generation to pass to [`Self::put`] with an object whose fetch begins now.
    pub(super) fn generation(&self) -> u64 {
        self.lock().generation
    }

    /// Stores an object for as long as the policy says.
    ///
    /// An object that was fetched before an invalidation may be the deleted one, and is not stored. One generation for
    /// all folders discards a few other objects as well, which costs less than a generation for each.
    pub(super) fn put(
        &self,
        key: CacheKey,
        object: Arc<Object>,
        ttl: Duration,
        generation: u64,
        now: Timestamp,
    ) {
        let size = object.body.len();
        if ttl.is_zero() || size > MAX_OBJECT {
            return;
        }
        let mut entries = self.lock();
        if entries.generation != generation {
            return;
        }
        entries.remove(&key);
        while entries.bytes + size > CAPACITY {
            let Some((_, oldest)) = entries.by_key.pop_lru() else {
                break;
            };
            entries.bytes -= oldest.object.body.len();
        }
        let entry = Entry {
            object,
            stored_at: now,
            ttl,
        };
        entries.bytes += size;
        entries.by_key.put(key, entry);
    }

    /// Removes the entries of a path, or of all paths that begin so if it ends in `*`. As in CloudFront, a path alone does not
    /// name entries that have a query in their key.
    pub(super) fn forget(&self, path: &str) {
        let mut entries = self.lock();
        entries.generation += 1;
        let keys = entries.by_key.iter().map(|(key, _)| key);
        let below: Vec<_> = keys
            .filter(|key| match path.strip_suffix('*') {
                Some(begin) => key.path.starts_with(begin),
                None => key.path == path && key.query.is_empty(),
            })
            .cloned()
            .collect();
        for key in below {
            entries.remove(&key);
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Entries> {
        // No code between two changes of the map can panic.
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Entries {
    fn remove(&mut self, key: &CacheKey) {
        if let Some(entry) = self.by_key.pop(key) {
            self.bytes -= entry.object.body.len();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: Duration = Duration::from_hours(24);
    const NOW: Timestamp = Timestamp::UNIX_EPOCH;

    fn key(behaviour: usize, path: &str) -> CacheKey {
        CacheKey {
            behaviour,
            path: path.to_owned(),
            query: String::new(),
            headers: Vec::new(),
        }
    }

    fn object(size: usize) -> Arc<Object> {
        Arc::new(Object {
            body: vec![0; size].into(),
            ..Object::default()
        })
    }

    #[test]
    fn an_object_is_kept_for_its_ttl() {
        let cache = Cache::default();
        let at = |second| Timestamp::from_second(second).unwrap();
        for (ttl, second, age) in [
            (10, 100, Some(0)),
            (10, 109, Some(9)),
            (10, 110, None),
            (10, 99, None),
            (0, 100, None),
        ] {
            let ttl = Duration::from_secs(ttl);
            cache.put(key(0, "k"), object(1), ttl, cache.generation(), at(100));
            assert!(
                cache.get(&key(1, "k"), at(100)).is_none(),
                "other behaviour"
            );
            let found = cache.get(&key(0, "k"), at(second));
            assert_eq!(found.map(|(_, age)| age.as_secs()), age, "{ttl:?} {second}");
            // An entry that was too old is gone.
            assert_eq!(cache.lock().bytes, usize::from(age.is_some()));
            cache.forget("*");
        }
    }

    #[test]
    fn an_object_that_is_fetched_during_an_invalidation_is_not_kept() {
        let cache = Cache::default();
        let a = key(0, "media/o/1/a");
        let put = |generation| cache.put(a.clone(), object(1), DAY, generation, NOW);
        let before = cache.generation();
        cache.forget("media/o/1/*");
        put(before);
        assert!(cache.get(&a, NOW).is_none());
        put(cache.generation());
        assert!(cache.get(&a, NOW).is_some());
        cache.forget("media/o/1/*");
        assert!(cache.get(&a, NOW).is_none());
    }

    #[test]
    fn the_least_recently_used_object_makes_room() {
        let cache = Cache::default();
        for idx in 0..8 {
            cache.put(key(0, &idx.to_string()), object(MAX_OBJECT), DAY, 0, NOW);
        }
        assert!(cache.get(&key(0, "0"), NOW).is_some());
        cache.put(key(0, "8"), object(1), DAY, 0, NOW);
        assert!(cache.get(&key(0, "0"), NOW).is_some());
        assert!(cache.get(&key(0, "1"), NOW).is_none());
        assert_eq!(cache.lock().bytes, 7 * MAX_OBJECT + 1);
    }
}
