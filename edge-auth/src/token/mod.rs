//! Tokens: their parts, their claims, and the cache of verified ones. No keys and no rules.

pub(crate) mod cache;
pub(crate) mod claims;
pub(crate) mod jws;
pub(crate) mod requirements;
