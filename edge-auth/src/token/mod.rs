//! Tokens: their parts, their claims, and the cache of verified ones. No keys and no rules.

pub(crate) mod cache;
mod claim_path;
mod claim_plan;
mod claim_reader;
mod claims;
pub(crate) mod jws;
pub(crate) mod requirements;

pub(crate) use claim_path::ClaimPath;
pub(crate) use claim_plan::ClaimPlan;
pub(crate) use claims::{ClaimId, ClaimSet, NotRetained};
