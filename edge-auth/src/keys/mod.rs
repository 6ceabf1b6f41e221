//! The issuers' keys: JWK Sets, and how each set changes over time. Nothing is fetched here.

pub(crate) mod jwk_set;
pub(crate) mod ring;
mod roca;
