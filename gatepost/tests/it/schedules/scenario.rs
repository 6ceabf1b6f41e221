//! The actors of a schedule, and the faults of a request.

use super::scripted_s3;

/// The actors of a schedule.
#[derive(Clone, Copy, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "a row of a table")]
pub(crate) struct Scenario {
    pub(crate) name: &'static str,
    /// How often the event of the first picture is delivered at once.
    pub(crate) n_workers: usize,
    /// Whether the first picture is on its way still: it may arrive after everything else.
    pub(crate) is_late: bool,
    /// Whether the form is sent again, with another picture.
    pub(crate) is_posted_again: bool,
    pub(crate) is_deleted: bool,
    /// Whether there is a sweep at any time. One is at the end in any case.
    pub(crate) is_swept: bool,
    /// Whether a failing worker says so in a manifest.
    pub(crate) is_last_receive: bool,
    /// Whether the bucket of the uploads keeps what is overwritten or deleted.
    pub(crate) is_versioned: bool,
    /// The widths of the renditions.
    pub(crate) widths: &'static [u32],
    /// Whether another scenario contains it, or nearly.
    pub(crate) is_contained: bool,
}

const A_WORKER: Scenario = Scenario {
    name: "a worker",
    n_workers: 1,
    is_late: false,
    is_posted_again: false,
    is_deleted: false,
    is_swept: false,
    is_last_receive: false,
    is_versioned: false,
    widths: &[2],
    is_contained: false,
};

pub(crate) const TWO_WORKERS_AND_A_DELETION: Scenario = Scenario {
    name: "two workers on one event, and a deletion",
    n_workers: 2,
    is_deleted: true,
    is_contained: true,
    ..A_WORKER
};

pub(crate) const A_WORKER_ANOTHER_PICTURE_AND_A_DELETION: Scenario = Scenario {
    name: "a worker, another picture, and a deletion",
    is_posted_again: true,
    is_deleted: true,
    is_contained: true,
    ..A_WORKER
};

pub(crate) const AN_UPLOAD_DELETED_BEFORE_IT_ARRIVES: Scenario = Scenario {
    name: "an upload that is deleted before it arrives",
    is_late: true,
    is_deleted: true,
    ..A_WORKER
};

pub(crate) const TWO_WORKERS_AND_ANOTHER_PICTURE: Scenario = Scenario {
    name: "two workers on one event, and another picture",
    n_workers: 2,
    is_posted_again: true,
    ..A_WORKER
};

pub(crate) const A_WORKER_ON_ITS_LAST_RECEIVE: Scenario = Scenario {
    name: "a worker on its last receive, another picture, and a deletion",
    is_posted_again: true,
    is_deleted: true,
    is_last_receive: true,
    ..A_WORKER
};

/// Between the removal of one rendition and of the other there are states with half of an upload.
pub(crate) const TWO_RENDITIONS_AND_A_DELETION: Scenario = Scenario {
    name: "a worker on two renditions, another picture, and a deletion",
    is_posted_again: true,
    is_deleted: true,
    widths: &[1, 2],
    ..A_WORKER
};

pub(crate) const AN_UPLOAD_IN_A_VERSIONED_BUCKET: Scenario = Scenario {
    name: "a worker, another picture, and a deletion, in a versioned bucket",
    is_posted_again: true,
    is_deleted: true,
    is_versioned: true,
    is_contained: true,
    ..A_WORKER
};

/// A message on its last receive is delivered again during a sweep.
pub(crate) const A_SWEEP_BESIDE_A_FAILURE: Scenario = Scenario {
    name: "a worker on its last receive, another picture, and a sweep",
    is_posted_again: true,
    is_swept: true,
    is_last_receive: true,
    ..A_WORKER
};

pub(crate) const A_SWEEP_BESIDE_A_DELETION: Scenario = Scenario {
    name: "a worker, a deletion, and a sweep",
    is_deleted: true,
    is_swept: true,
    ..A_WORKER
};

pub(crate) const EVERYTHING: Scenario = Scenario {
    name: "two workers on one event, another picture, and a deletion",
    n_workers: 2,
    is_posted_again: true,
    is_deleted: true,
    ..A_WORKER
};

pub(crate) const SCENARIOS: [Scenario; 10] = [
    TWO_WORKERS_AND_A_DELETION,
    A_WORKER_ANOTHER_PICTURE_AND_A_DELETION,
    AN_UPLOAD_DELETED_BEFORE_IT_ARRIVES,
    TWO_WORKERS_AND_ANOTHER_PICTURE,
    A_WORKER_ON_ITS_LAST_RECEIVE,
    TWO_RENDITIONS_AND_A_DELETION,
    AN_UPLOAD_IN_A_VERSIONED_BUCKET,
    A_SWEEP_BESIDE_A_FAILURE,
    A_SWEEP_BESIDE_A_DELETION,
    EVERYTHING,
];

/// The fault of one request.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(crate) enum Fault {
    /// It is not carried out, and the connection breaks.
    Lost,
    /// It is carried out, and the answer does not arrive.
    AnswerLost,
    /// It is carried out, the answer does not arrive, and the SDK sends it again: that arrives at any time after that.
    Repeated,
    /// S3 answers 409: another conditional write is in progress.
    Conflict,
    /// One key of several cannot be deleted.
    KeyError,
    /// Its sender dies before it is carried out.
    DiesBefore,
    /// Its sender dies after it is carried out.
    DiesAfter,
    /// Its sender dies, and it is carried out at any time after that.
    CarriedOutLater,
}

impl Fault {
    pub(crate) const ALL: [Self; 8] = [
        Self::Lost,
        Self::AnswerLost,
        Self::Repeated,
        Self::Conflict,
        Self::KeyError,
        Self::DiesBefore,
        Self::DiesAfter,
        Self::CarriedOutLater,
    ];

    /// Where failing leaves nothing behind, an actor that fails is like one that dies.
    pub(crate) fn possible(request: &scripted_s3::Request, is_last_receive: bool) -> Vec<Self> {
        let mut faults = vec![Self::Lost];
        if is_last_receive {
            faults.push(Self::DiesBefore);
        }
        if request.is_write() {
            faults.extend([Self::AnswerLost, Self::Repeated, Self::CarriedOutLater]);
            if is_last_receive {
                faults.push(Self::DiesAfter);
            }
        }
        if request.is_conditional() && request.is_write() {
            faults.push(Self::Conflict);
        }
        if request.is_delete() {
            faults.push(Self::KeyError);
        }
        faults
    }

    /// Whether its actor must succeed nevertheless, and know what it did.
    pub(crate) fn is_harmless(self) -> bool {
        matches!(self, Self::Repeated | Self::Conflict)
    }
}
