//! The connection over which a request came, and when: what a signature is checked against besides the request itself.

use std::net::Ipv4Addr;

use jiff::Timestamp;

/// What the distribution knows of a request that the request does not say.
pub(crate) struct Connection<'a> {
    pub(crate) now: Timestamp,
    /// `https` or `http`.
    pub(crate) scheme: &'a str,
    /// The viewer's address.
    pub(crate) address: Ipv4Addr,
}
