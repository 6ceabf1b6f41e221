//! The edge cache: finished objects in memory, by path, until they are old or the room is needed.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::origin::Object;

/// How many bytes of bodies are kept.
const CAPACITY: usize = 256 << 20;
/// An object beyond this is passed through.
const MAX_OBJECT: usize = 32 << 20;

/// What the processor wrote is kept at least so long, as the distribution's cache policy for it has it: its
/// `Cache-Control` is for viewers, whose own caches alone may keep it.
const MEDIA_MIN_TTL: Duration = Duration::from_hours(24);
const MEDIA_PREFIX: &str = "media/";

/// A cache that forgets what was not used for longest.
#[derive(Default)]
pub(crate) struct Cache {
    entries: Mutex<Entries>,
}

#[derive(Default)]
struct Entries {
    by_key: HashMap<String, Entry>,
    bytes: usize,
    /// Counts uses, to tell which entry was not used for longest.
    clock: u64,
    /// Counts how often something was forgotten.
    generation: u64,
}

struct Entry {
    object: Arc<Object>,
    stored_at: Instant,
    fresh_for: Duration,
    used_at: u64,
}

impl Cache {
    /// The object of a key and how long ago it was stored, if it is still fresh.
    pub(crate) fn get(&self, key: &str) -> Option<(Arc<Object>, Duration)> {
        let mut entries = self.lock();
        entries.clock += 1;
        let clock = entries.clock;
        let entry = entries.by_key.get_mut(key)?;
        let age = entry.stored_at.elapsed();
        if age >= entry.fresh_for {
            entries.remove(key);
            return None;
        }
        entry.used_at = clock;
        Some((entry.object.clone(), age))
    }

    /// What to say to [`Self::put`] about an object whose fetch begins now.
    pub(crate) fn generation(&self) -> u64 {
        self.lock().generation
    }

    /// Stores an object for as long as its origin allows. One that was fetched before something was forgotten may be
    /// what was deleted meanwhile, and is not stored. That one count for all folders passes over a few others costs
    /// less than a count for each would.
    pub(crate) fn put(&self, key: &str, object: Arc<Object>, generation: u64) {
        let size = object.body.len();
        let min_ttl = if key.starts_with(MEDIA_PREFIX) {
            MEDIA_MIN_TTL
        } else {
            Duration::ZERO
        };
        let fresh_for = object.fresh_for().max(min_ttl);
        if fresh_for.is_zero() || size > MAX_OBJECT {
            return;
        }
        let mut entries = self.lock();
        if entries.generation != generation {
            return;
        }
        entries.remove(key);
        while entries.bytes + size > CAPACITY {
            let oldest = entries
                .by_key
                .iter()
                .min_by_key(|(_, entry)| entry.used_at)
                .map(|(key, _)| key.clone());
            match oldest {
                Some(oldest) => entries.remove(&oldest),
                None => break,
            }
        }
        entries.clock += 1;
        let entry = Entry {
            object,
            stored_at: Instant::now(),
            fresh_for,
            used_at: entries.clock,
        };
        entries.bytes += size;
        entries.by_key.insert(key.to_owned(), entry);
    }

    /// Forgets all below a folder, such as `media/{owner}/{id}/`.
    pub(crate) fn forget(&self, folder: &str) {
        let mut entries = self.lock();
        entries.generation += 1;
        let keys = entries.by_key.keys();
        let below: Vec<_> = keys
            .filter(|key| key.starts_with(folder))
            .cloned()
            .collect();
        for key in below {
            entries.remove(&key);
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Entries> {
        // Nothing between two changes of the map can panic.
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Entries {
    fn remove(&mut self, key: &str) {
        if let Some(entry) = self.by_key.remove(key) {
            self.bytes -= entry.object.body.len();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(size: usize, cache_control: &str) -> Arc<Object> {
        Arc::new(Object {
            body: vec![0; size].into(),
            cache_control: Some(cache_control.to_owned()),
            ..Object::default()
        })
    }

    #[test]
    fn media_are_kept_and_else_what_the_origin_allows() {
        let cache = Cache::default();
        for (key, cache_control, kept) in [
            ("k", "public, max-age=60, immutable", true),
            ("k", "no-cache", false),
            ("k", "max-age=60, no-store", false),
            ("k", "max-age=0", false),
            ("k", "private, max-age=60", false),
            ("k", "", false),
            ("media/k", "private, max-age=60, immutable", true),
            ("media/k", "private, no-cache", true),
        ] {
            cache.put(key, object(1, cache_control), cache.generation());
            assert_eq!(cache.get(key).is_some(), kept, "{cache_control}");
            cache.lock().remove(key);
        }
    }

    #[test]
    fn what_was_on_its_way_while_something_was_forgotten_is_not_kept() {
        let cache = Cache::default();
        let before = cache.generation();
        cache.forget("media/o/1/");
        cache.put("media/o/1/a", object(1, ""), before);
        assert!(cache.get("media/o/1/a").is_none());
        cache.put("media/o/1/a", object(1, ""), cache.generation());
        assert!(cache.get("media/o/1/a").is_some());
        cache.forget("media/o/1/");
        assert!(cache.get("media/o/1/a").is_none());
    }

    #[test]
    fn what_was_not_used_for_longest_makes_room() {
        let cache = Cache::default();
        for idx in 0..8 {
            cache.put(&idx.to_string(), object(MAX_OBJECT, "max-age=60"), 0);
        }
        assert!(cache.get("0").is_some());
        cache.put("8", object(1, "max-age=60"), 0);
        assert!(cache.get("0").is_some());
        assert!(cache.get("1").is_none());
        assert_eq!(cache.lock().bytes, 7 * MAX_OBJECT + 1);
    }
}
