//! The causes of an origin's fault, as a sentence for the log.

use std::error::Error;
use std::iter;

/// An error with its causes.
pub(super) fn causes(error: &(dyn Error + 'static)) -> String {
    let causes = iter::successors(Some(error), |&error| error.source());
    let causes: Vec<_> = causes.map(ToString::to_string).collect();
    causes.join(": ")
}
