//! Issuer blocks: what each block of the configuration requires of its tokens.

mod block;
mod check;
mod name;
mod names;

pub(crate) use block::{IssuerBlock, StandardClaims};
pub(crate) use check::faults;
pub(crate) use name::IssuerName;
pub(crate) use names::IssuerNames;
