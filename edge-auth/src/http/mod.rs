//! HTTP as the authorizer reads it: requests, paths, addresses. The lowest layer but one: it uses only the configuration.

pub(crate) mod address;
pub(crate) mod credentials;
pub(crate) mod headers;
pub(crate) mod path;
pub(crate) mod request;
pub(crate) mod syntax;
