//! Caches verified tokens so that repeated requests skip the signature check. Two generations bound the memory,
//! approximating LRU.
//!
//! Only verified tokens are cached, so requests without a valid token cannot evict others. The key is the whole token:
//! a hash alone would let one token pass for another (CVE-2026-35039). When the young generation is full it becomes the
//! old one, and the previous old one is dropped.

use std::collections::HashMap;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher as _;
use std::sync::{Arc, Mutex, PoisonError};

/// The maximum number of tokens per generation.
const MAX_TOKENS: usize = 1000;
/// The maximum bytes of tokens per generation. Their claims take a few times that.
const MAX_BYTES: usize = 1 << 20;
/// How many bytes at a token's end are hashed: they belong to the signature, which two tokens never share.
const HASHED_BYTES: usize = 32;

/// A bounded map from a token's text to its verified content.
pub(crate) struct VerifiedTokenCache<V> {
    hasher: RandomState,
    halves: Mutex<Halves<V>>,
}

struct Halves<V> {
    young: HashMap<u64, Entry<V>>,
    young_bytes: usize,
    old: HashMap<u64, Entry<V>>,
}

struct Entry<V> {
    token: Box<str>,
    value: Arc<V>,
}

impl<V> VerifiedTokenCache<V> {
    pub(crate) fn new() -> Self {
        Self {
            hasher: RandomState::new(),
            halves: Mutex::new(Halves {
                young: HashMap::new(),
                young_bytes: 0,
                old: HashMap::new(),
            }),
        }
    }

    /// The cached result for exactly this token.
    pub(crate) fn get(&self, token: &str) -> Option<Arc<V>> {
        let hash = self.hash(token);
        let mut halves = self.lock();
        if let Some(entry) = halves.young.get(&hash)
            && *entry.token == *token
        {
            return Some(entry.value.clone());
        }
        // A hit in the old generation moves the entry to the young one.
        let entry = halves
            .old
            .remove(&hash)
            .filter(|entry| *entry.token == *token)?;
        let value = entry.value.clone();
        halves.insert(hash, entry);
        Some(value)
    }

    /// Stores a result.
    pub(crate) fn put(&self, token: &str, value: Arc<V>) {
        let hash = self.hash(token);
        let token = token.into();
        self.lock().insert(hash, Entry { token, value });
    }

    /// Removes a token.
    pub(crate) fn forget(&self, token: &str) {
        let hash = self.hash(token);
        let mut halves = self.lock();
        if let Some(entry) = halves.young.remove(&hash) {
            halves.young_bytes -= entry.token.len();
        }
        halves.old.remove(&hash);
    }

    fn hash(&self, token: &str) -> u64 {
        let start = token.len().saturating_sub(HASHED_BYTES);
        self.hasher.hash_one(&token.as_bytes()[start..])
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Halves<V>> {
        self.halves.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<V> Halves<V> {
    fn insert(&mut self, hash: u64, entry: Entry<V>) {
        let is_full =
            self.young.len() >= MAX_TOKENS || self.young_bytes + entry.token.len() > MAX_BYTES;
        if is_full {
            self.old = std::mem::take(&mut self.young);
            self.young_bytes = 0;
        }
        self.young_bytes += entry.token.len();
        if let Some(replaced) = self.young.insert(hash, entry) {
            self.young_bytes -= replaced.token.len();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_found_by_its_whole_text() {
        let cache = VerifiedTokenCache::new();
        let tail = "t".repeat(HASHED_BYTES);
        let (one, two) = (format!("one.{tail}"), format!("two.{tail}"));
        cache.put(&one, Arc::new(1));
        assert_eq!(cache.get(&one).as_deref(), Some(&1));
        assert_eq!(cache.get(&two), None);
        assert_eq!(cache.get(&tail), None);
        cache.forget(&one);
        assert_eq!(cache.get(&one), None);
        assert_eq!(cache.get(""), None);
    }

    #[test]
    fn used_entries_stay_and_others_are_evicted() {
        let cache = VerifiedTokenCache::new();
        cache.put("asked for", Arc::new(0));
        for n in 1..=10 * MAX_TOKENS {
            cache.put(&format!("token {n}"), Arc::new(n));
            assert!(cache.get("asked for").is_some(), "{n}");
        }
        assert_eq!(cache.get("token 1"), None);
        let halves = cache.lock();
        assert!(halves.young.len() + halves.old.len() <= 2 * MAX_TOKENS);
    }

    #[test]
    fn long_tokens_count_by_their_length() {
        let cache = VerifiedTokenCache::new();
        for n in 0..1000 {
            cache.put(&format!("{n:08192}"), Arc::new(n));
        }
        let halves = cache.lock();
        let kept = halves.young.values().chain(halves.old.values());
        let bytes: usize = kept.map(|entry| entry.token.len()).sum();
        assert!(bytes <= 2 * MAX_BYTES, "{bytes}");
        let young: usize = halves.young.values().map(|entry| entry.token.len()).sum();
        assert_eq!(young, halves.young_bytes);
    }
}
