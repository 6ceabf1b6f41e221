//! The age limits of an upload: which uploads may still be published.
//!
//! The pipeline asks before its first write of a manifest, and the sweep uses the same limit. The age is that of the
//! upload's id, not of the object: a form can be used late, and again.

use jiff::SignedDuration;
use media_contract::UploadKey;

use crate::error::{Cause, TransientError};
use crate::processor::Processor;

/// The maximum age of an upload's form for publishing. A tombstone expires 30 days after the deletion, and a deleted
/// upload must not come back afterwards.
pub(crate) const MAX_AGE: SignedDuration = SignedDuration::from_hours(28 * 24);
/// The maximum clock skew of the clock that made an id. An id from further in the future would outlive its tombstone.
const MAX_CLOCK_DIFFERENCE: SignedDuration = SignedDuration::from_hours(24);

impl Processor {
    /// Refuses an upload that is too old to be published, or whose id is from the future.
    pub(crate) fn check_age(&self, upload: &UploadKey) -> Result<(), TransientError> {
        let age = (self.clock)().duration_since(upload.id.made_at());
        if self.has_age_limit && age < -MAX_CLOCK_DIFFERENCE {
            return Err(TransientError {
                reason: "the upload's id is from the future: a clock is wrong".to_owned(),
                cause: Cause::Other,
            });
        }
        if self.has_age_limit && age > MAX_AGE {
            return Err(TransientError {
                reason: format!(
                    "the upload is {} days old; uploads older than 28 days are not published, because they may have been deleted",
                    age.as_hours() / 24
                ),
                cause: Cause::Other,
            });
        }
        Ok(())
    }
}
