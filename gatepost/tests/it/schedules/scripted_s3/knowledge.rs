//! An actor's knowledge of the upload, from the answers about its manifest.
//!
//! It decides why an actor removes something, and so which guard that removal is.

use super::objects::is_tombstone;
use super::wire::{Answer, Request};
use crate::schedules::guards::Guard;

/// The knowledge of an actor about the upload: the reason why it removes something.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) enum Knowledge {
    #[default]
    Nothing,
    /// It found a manifest before it wrote one.
    Finished,
    /// It found a tombstone before it wrote a manifest.
    Deleted,
    /// It wrote the manifest.
    Published,
    /// Its manifest was answered with 412.
    Refused,
    /// After that it found another manifest than its own.
    Lost,
    /// After that it found a tombstone.
    Late,
    /// It is not a worker, and wrote a tombstone.
    Deleting,
}

impl Knowledge {
    /// The knowledge after an answer about the manifest. `refused` is this actor's manifest that was answered with 412.
    pub(super) fn after(
        self,
        request: &Request,
        answer: &Answer,
        refused: Option<&Vec<u8>>,
    ) -> Self {
        let finds_tombstone = is_tombstone(&answer.body);
        match (request.method.as_str(), answer.status, self) {
            (_, _, Self::Deleting) => Self::Deleting,
            ("PUT", 200 | 412, _) if is_tombstone(&request.body) => Self::Deleting,
            ("PUT", 200, _) => Self::Published,
            ("PUT", 412, _) => Self::Refused,
            ("GET", 200, Self::Refused) if finds_tombstone => Self::Late,
            ("GET", 200, Self::Refused) if refused == Some(&answer.body) => Self::Published,
            ("GET", 200, Self::Refused) => Self::Lost,
            ("GET", 200, _) if finds_tombstone => Self::Deleted,
            ("GET", 200, _) => Self::Finished,
            (_, _, before) => before,
        }
    }

    /// The guard that makes an actor remove something once it knows this.
    pub(super) fn removal(self) -> Option<Guard> {
        Some(match self {
            Self::Nothing | Self::Refused | Self::Deleting => return None,
            Self::Finished => Guard::FinishedCleansUp,
            Self::Deleted => Guard::DeletedCleansUp,
            Self::Published => Guard::PublisherCleansUp,
            Self::Lost => Guard::LoserCleansUp,
            Self::Late => Guard::LateWorkerCleansUp,
        })
    }
}
