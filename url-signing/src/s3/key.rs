//! Object keys, and what a form or a URL allows of them. The policy, the filled-in form and the presigned GET call the
//! checks. Nothing here asks S3 whether an object exists.

use super::field;
use crate::error::{SigningError, Violation};

/// S3 accepts keys of up to 1024 bytes in UTF-8.
pub const MAX_KEY_BYTES: usize = 1024;

/// Checks a key, or the prefix of keys, that a form contains.
///
/// # Errors
///
/// [`SigningError::Key`].
pub(crate) fn check_in_form(key: &str) -> Result<(), SigningError> {
    let checked = match key.len() {
        0..=MAX_KEY_BYTES => field::check_text(key),
        _ => Err(LENGTH),
    };
    refuse_violation(key, checked)
}

/// Checks a key that a URL contains. Browsers resolve dot segments, and would request another object.
///
/// # Errors
///
/// [`SigningError::Key`].
pub(crate) fn check_in_url(key: &str) -> Result<(), SigningError> {
    let checked = match key.len() {
        0 => Err(Violation::Empty),
        1..=MAX_KEY_BYTES if key.split('/').any(|part| part == "." || part == "..") => {
            Err(Violation::DotSegment)
        }
        1..=MAX_KEY_BYTES => Ok(()),
        _ => Err(LENGTH),
    };
    refuse_violation(key, checked)
}

const LENGTH: Violation = Violation::Length {
    min: 1,
    max: MAX_KEY_BYTES,
};

fn refuse_violation(key: &str, checked: Result<(), Violation>) -> Result<(), SigningError> {
    checked.map_err(|violation| SigningError::Key {
        key: key.to_owned(),
        violation,
    })
}
