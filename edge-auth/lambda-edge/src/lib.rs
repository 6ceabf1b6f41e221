//! The native half of the Lambda@Edge face. `index.mjs` reads a viewer-request event, hands the texts that a decision
//! depends on over one by one, and does what it is told.
//!
//! | function | answers |
//! |---|---|
//! | `configure(config)` | the names of the headers that a token can be in, which `index.mjs` hands over and removes |
//! | `decide(now, request id, method, uri, querystring, …headers, other headers)` | see `face::decide` |
//! | `wantedKeys(now)` | `[{issuer, url, timeoutMs}]`: keys to fetch before the first request comes |
//! | `acceptKeys(now, url, jwks)` | what is wrong with single keys; throws if the set is refused |
//! | `keysNotFetched(now, url)` | nothing |
//!
//! Times are milliseconds since 1970, header lines a string or an array of strings, structures JSON. Other headers are an
//! array of names and lines in turns, or nothing where no token can be in one. Whatever goes
//! wrong is thrown, and `index.mjs` answers what it catches with a 503.

mod face;
mod node;
