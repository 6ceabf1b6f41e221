//! The codes that were given out and not traded yet. Each is taken once; the oldest is dropped when there are too many.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use jiff::Timestamp;

/// How many codes are kept that were not traded yet.
const MAX_CODES: usize = 64;

/// A code, and the request that it was given out for.
pub(crate) struct Code {
    pub(crate) text: String,
    pub(crate) subject: String,
    pub(crate) client_id: String,
    pub(crate) redirect_uri: String,
    pub(crate) challenge: String,
    pub(crate) ends_at: Timestamp,
}

/// The codes.
#[derive(Default)]
pub(crate) struct Codes(Mutex<VecDeque<Code>>);

impl Codes {
    pub(crate) fn keep(&self, code: Code) {
        let mut codes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if codes.len() == MAX_CODES {
            codes.pop_front();
        }
        codes.push_back(code);
    }

    pub(crate) fn take(&self, text: &str) -> Option<Code> {
        let mut codes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let idx = codes.iter().position(|code| code.text == text)?;
        codes.remove(idx)
    }
}
