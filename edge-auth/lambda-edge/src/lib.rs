//! The native half of the Lambda@Edge face. `index.mjs` reads a viewer-request event, hands the texts that a decision
//! depends on over one by one, and does what it is told.
//!
//! | function | answers |
//! |---|---|
//! | `configure(config)` | whether `Authorization` is a place of tokens, so that `index.mjs` removes it |
//! | `decide(now, request id, method, uri, querystring, …headers)` | see `face::decide` |
//! | `wantedKeys(now)` | `[{issuer, url}]`: keys to fetch before the first request comes |
//! | `acceptKeys(now, issuer, jwks)` | what is wrong with single keys; throws if the set is refused |
//! | `keysNotFetched(now, issuer)` | nothing |
//!
//! Times are milliseconds since 1970, header lines a string or an array of strings, structures JSON. Whatever goes
//! wrong is thrown, and `index.mjs` answers what it catches with a 503.

mod face;
mod node;
