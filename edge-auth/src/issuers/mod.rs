//! Issuer blocks: what each block of the configuration requires of its tokens.

mod block;

pub(crate) use block::{IssuerBlock, IssuerNames, StandardClaims, faults};
