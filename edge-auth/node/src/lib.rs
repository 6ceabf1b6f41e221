//! The native half of the Lambda@Edge runtime. `index.mjs` reads a viewer-request event, passes the inputs of a
//! decision one by one, and applies the answer.
//!
//! | function | answers |
//! |---|---|
//! | `configure(config)` | the names of the headers that can carry a token, which `index.mjs` passes and removes |
//! | `decide(now, request id, method, uri, querystring, …headers, other headers)` | see `runtime::decide` |
//! | `keysDue(now)` | `[{issuer, url, timeoutMs}]`: keys to prefetch before the first request |
//! | `acceptKeys(now, url, jwks)` | the faults of single keys; throws if the set is refused |
//! | `keysNotFetched(now, url)` | nothing |
//!
//! Times are milliseconds since 1970, header lines a string or an array of strings, structures JSON. Other headers are
//! an array of alternating names and lines, or `undefined` if no such header can carry a token. Every error is thrown,
//! and `index.mjs` answers with a 503.

mod node;
mod runtime;
