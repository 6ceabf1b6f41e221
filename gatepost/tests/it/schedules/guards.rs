//! The guards of the protocol, and what happens without them.
//!
//! Each guard is taken out in the scripted S3, which then does what it would do if the product lacked that guard. The
//! explorer must find a violation; `GUARDS` says which one, and in which scenario. The five interleavings that went wrong
//! before there were tombstones are put back as well, in `ROWS`: each is the absence of some guards.

use super::explore::{Exploration, Search, explore};
use super::scenario::{
    A_SWEEP_BESIDE_A_FAILURE as SWEEP_BESIDE_A_FAILURE,
    A_WORKER_ANOTHER_PICTURE_AND_A_DELETION as ANOTHER_PICTURE_AND_A_DELETION,
    A_WORKER_ON_ITS_LAST_RECEIVE as LAST_RECEIVE, AN_UPLOAD_DELETED_BEFORE_IT_ARRIVES as LATE,
    AN_UPLOAD_IN_A_VERSIONED_BUCKET as VERSIONED, Fault, Scenario,
    TWO_RENDITIONS_AND_A_DELETION as TWO_RENDITIONS, TWO_WORKERS_AND_A_DELETION,
    TWO_WORKERS_AND_ANOTHER_PICTURE,
};

use Guard::{
    AllVersions, ConflictsAreRepeated, ContentNames, DeletedCleansUp, EarlyTombstone,
    FailureIsNotFinal, FinishedCleansUp, IfMatch, IfNoneMatch, KeyErrors, LateWorkerCleansUp,
    LoserCleansUp, ManifestLast, OriginalLast, OwnWriteIsKnown, PublisherCleansUp, Sweep,
    Tombstone, TombstonesAreSwept,
};

/// A guard of the protocol, which can be disabled to show that it is needed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Guard {
    /// `If-None-Match` on the first manifest.
    IfNoneMatch,
    /// `If-Match` where a worker replaces a manifest that says `failed`, and where a tombstone replaces a manifest.
    IfMatch,
    /// A conditional write that S3 answers with 409 is sent again.
    ConflictsAreRepeated,
    /// A worker whose write is answered with 412 recognises its own manifest.
    OwnWriteIsKnown,
    /// The manifest is written after the renditions that it names.
    ManifestLast,
    /// Renditions are named by their content.
    ContentNames,
    /// A deletion leaves a tombstone.
    Tombstone,
    /// So does a deletion before there is a manifest.
    EarlyTombstone,
    /// The worker that publishes removes what the manifest does not name.
    PublisherCleansUp,
    /// A worker that loses against another one does.
    LoserCleansUp,
    /// A redelivery that finds the upload finished does.
    FinishedCleansUp,
    /// A redelivery that finds the upload deleted removes everything.
    DeletedCleansUp,
    /// A worker that loses against the tombstone does.
    LateWorkerCleansUp,
    /// The original is removed after everything else.
    OriginalLast,
    /// All versions of the original are removed.
    AllVersions,
    /// An error of one key within the 200 of `DeleteObjects` is an error.
    KeyErrors,
    /// The sweep cleans up beside tombstones that have no original.
    TombstonesAreSwept,
    /// The sweep leaves alone what is beside a manifest that says `failed`: a worker may publish it at any time.
    FailureIsNotFinal,
    /// The sweep completes what nobody else does.
    Sweep,
}

/// Every absence shows with at most so many switches from an actor that could go on to another one.
const MAX_SWITCHES: usize = 2;

/// Guards that are taken out, and where their absence shows.
#[derive(Clone, Copy)]
struct Missing {
    without: &'static [Guard],
    scenario: Scenario,
    /// The fault with which it shows soonest; others do not happen. Empty where it shows without any.
    faults: &'static [Fault],
    /// A part of the violation.
    symptom: &'static str,
}

impl Missing {
    const fn new(
        without: &'static [Guard],
        scenario: Scenario,
        faults: &'static [Fault],
        symptom: &'static str,
    ) -> Self {
        Self {
            without,
            scenario,
            faults,
            symptom,
        }
    }

    /// Explores with as few switches as possible, and returns the violation.
    fn violation(self) -> Option<String> {
        (0..=MAX_SWITCHES).find_map(|max_switches| {
            let exploration = Exploration::All { max_switches };
            let explored = explore(Search {
                faults: self.faults,
                symptom: self.symptom,
                ..Search::new(self.scenario, self.without, exploration)
            });
            let violation = explored.violation?;
            let n = explored.n_schedules;
            Some(format!(
                "with at most {max_switches} switches, schedule {n}: {violation}"
            ))
        })
    }
}

#[rustfmt::skip]
const GUARDS: [Missing; 18] = [
    Missing::new(&[ManifestLast], LATE, &[], "a manifest is written before"),
    Missing::new(&[IfNoneMatch], TWO_WORKERS_AND_A_DELETION, &[], "a tombstone is replaced"),
    // A worker works on, past the manifest in which the attempt before it said that it had failed.
    Missing::new(&[IfMatch], LAST_RECEIVE, &[Fault::Lost], "a tombstone is replaced"),
    // Without it nothing is lost: a message comes again, and a person asks again. It spares them that.
    Missing::new(&[ConflictsAreRepeated], TWO_WORKERS_AND_A_DELETION, &[Fault::Conflict], "somebody failed, and nothing was lost"),
    // Without it nothing is lost either: the worker takes its own manifest for that of another one, and tells no timings.
    Missing::new(&[OwnWriteIsKnown], TWO_WORKERS_AND_ANOTHER_PICTURE, &[Fault::Repeated], "nobody says that it published"),
    Missing::new(&[ContentNames], TWO_WORKERS_AND_ANOTHER_PICTURE, &[], "is of another picture"),
    Missing::new(&[Tombstone], TWO_WORKERS_AND_A_DELETION, &[], "deleted, and ready again"),
    Missing::new(&[EarlyTombstone], LATE, &[], "deleted, and ready again"),
    Missing::new(&[PublisherCleansUp], TWO_WORKERS_AND_ANOTHER_PICTURE, &[Fault::Lost], "not named by the manifest"),
    Missing::new(&[LoserCleansUp], TWO_WORKERS_AND_ANOTHER_PICTURE, &[], "not named by the manifest"),
    Missing::new(&[FinishedCleansUp], TWO_WORKERS_AND_ANOTHER_PICTURE, &[Fault::Lost], "not named by the manifest"),
    Missing::new(&[DeletedCleansUp], LATE, &[], "the original is still there"),
    Missing::new(&[LateWorkerCleansUp], TWO_WORKERS_AND_A_DELETION, &[], "deleted, and readable"),
    Missing::new(&[AllVersions], VERSIONED, &[], "the original is still there"),
    Missing::new(&[KeyErrors], LATE, &[Fault::KeyError], "deleted, and readable"),
    Missing::new(&[TombstonesAreSwept], LATE, &[Fault::CarriedOutLater], "deleted, and readable"),
    Missing::new(&[FailureIsNotFinal], SWEEP_BESIDE_A_FAILURE, &[Fault::Lost], "is not there"),
    Missing::new(&[Sweep], LATE, &[Fault::Lost], "the original is still there"),
];

/// Interleavings that once went wrong (see docs/past-disasters.md), each as the guards that were missing. The sweep was
/// missing, too.
#[rustfmt::skip]
const ROWS: [(&str, Missing); 5] = [
    (
        "a worker writes renditions and manifest after the deletion: the picture is public again",
        Missing::new(&[Tombstone, IfNoneMatch, IfMatch, Sweep], TWO_WORKERS_AND_A_DELETION, &[Fault::Lost], "deleted, and ready again"),
    ),
    (
        "the manifest's PUT fails after a deletion, or the removal fails half way: renditions without a manifest stay",
        Missing::new(&[Tombstone, Sweep], TWO_WORKERS_AND_A_DELETION, &[Fault::Lost], "readable without a manifest"),
    ),
    (
        "posted again after the deletion, while a worker is slow: the deleted picture is in the new one's place",
        Missing::new(&[Tombstone, ContentNames, Sweep], ANOTHER_PICTURE_AND_A_DELETION, &[], "the deleted picture is in the new one's place"),
    ),
    (
        "deleted while it is on a slow line: it is published when it arrives",
        Missing::new(&[EarlyTombstone, Sweep], LATE, &[], "deleted, and ready again"),
    ),
    (
        "posted again before the removal ends: an upload without manifest, message or tombstone",
        Missing::new(&[Tombstone, Sweep], ANOTHER_PICTURE_AND_A_DELETION, &[], "posted after the deletion, and neither published nor deleted"),
    ),
];

#[test]
fn removing_any_guard_breaks_the_protocol() {
    for missing in GUARDS {
        let without = missing.without;
        let violation = missing
            .violation()
            .unwrap_or_else(|| panic!("nobody misses {without:?}"));
        println!("without {without:?}, {violation}\n");
    }
}

/// While the original exists, the sweep has the removal finished; and it cleans beside tombstones without an original.
/// Either is enough where no rendition is written late, so only the absence of both shows.
#[test]
fn the_original_goes_last_or_the_sweep_looks_beside_tombstones() {
    const WITHOUT_LATE_WRITES: [Fault; 3] = [Fault::Lost, Fault::AnswerLost, Fault::KeyError];
    const BOTH: &[Guard] = &[OriginalLast, TombstonesAreSwept];
    for (without, exploration, is_missed) in [
        (&BOTH[..1], Exploration::All { max_switches: 0 }, false),
        (&BOTH[1..], Exploration::All { max_switches: 0 }, false),
        (BOTH, Exploration::All { max_switches: 0 }, true),
    ] {
        let search = Search {
            faults: &WITHOUT_LATE_WRITES,
            ..Search::new(TWO_RENDITIONS, without, exploration)
        };
        let explored = explore(search);
        assert_eq!(
            explored.violation.is_some(),
            is_missed,
            "{without:?}: {explored:?}"
        );
        println!("without {without:?}: {explored:?}\n");
    }
}

#[test]
fn each_interleaving_that_once_went_wrong_goes_wrong_without_its_guards() {
    for (row, missing) in ROWS {
        let violation = missing
            .violation()
            .unwrap_or_else(|| panic!("not found: {row}"));
        println!("{row}, {violation}\n");
    }
}
