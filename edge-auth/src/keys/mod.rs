//! The issuers' keys: JWK Sets, and how each set changes over time. Nothing is fetched here.

mod jwk;
pub(crate) mod jwk_set;
pub(crate) mod material;
pub(crate) mod ring;
pub(crate) mod rings;
mod roca;

#[cfg(test)]
mod wycheproof;
