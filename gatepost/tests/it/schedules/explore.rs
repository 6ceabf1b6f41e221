//! The explorer: it runs schedules, all or a sample, until one shows a violation.
//!
//! It forgets about schedules that lead to a state which was already explored. A state is all objects, what every actor
//! has seen, and what is still to happen; actors are deterministic, so it decides everything that follows.

use std::collections::HashMap;
use std::fmt::Write as _;

use test_support::SeededRng;

use super::guards::Guard;
use super::rendered;
use super::run::{Run, Step};
use super::scenario::{Fault, Scenario};

/// Which schedules are run.
#[derive(Clone, Copy, Debug)]
pub(super) enum Exploration {
    /// So many, drawn at random, the same ones each time.
    Sample(usize),
    /// All in which another actor goes on at most so often although the last one could.
    All { max_switches: usize },
}

impl Exploration {
    /// `GATEPOST_SCHEDULES` is the number of switches, or `all`. That takes long, and is meant for an optimised build.
    pub(super) fn chosen() -> Option<Self> {
        let max_switches = match std::env::var("GATEPOST_SCHEDULES").ok()?.as_str() {
            "all" => usize::MAX,
            number => number.parse().unwrap(),
        };
        Some(Self::All { max_switches })
    }
}

/// The bounds of an exploration.
#[derive(Clone, Copy)]
pub(super) struct Search {
    pub(super) scenario: Scenario,
    /// The guards that are taken out.
    pub(super) without: &'static [Guard],
    pub(super) exploration: Exploration,
    /// The faults that may happen.
    pub(super) faults: &'static [Fault],
    /// A part of the violation that is looked for.
    pub(super) symptom: &'static str,
}

impl Search {
    /// For any violation, with any fault.
    pub(super) fn new(
        scenario: Scenario,
        without: &'static [Guard],
        exploration: Exploration,
    ) -> Self {
        Self {
            scenario,
            without,
            exploration,
            faults: &Fault::ALL,
            symptom: "",
        }
    }
}

/// The result of an exploration.
#[derive(Debug, Default)]
pub(super) struct Explored {
    pub(super) n_schedules: usize,
    pub(super) n_steps: usize,
    pub(super) n_states: usize,
    pub(super) violation: Option<String>,
}

/// Runs schedules until one shows the violation that is looked for.
pub(super) fn explore(search: Search) -> Explored {
    // A runtime of its own makes it, and there can be only one at a time.
    rendered(0);
    let mut explored = Explored::default();
    // With how few switches each was reached: with more, no more follows.
    let mut states: HashMap<u64, usize> = HashMap::new();
    match search.exploration {
        Exploration::Sample(n) => {
            let mut rng = SeededRng::new(0x9e37_79b9_7f4a_7c15);
            while explored.n_schedules < n && explored.violation.is_none() {
                run(search, &mut explored, |run, steps| {
                    states.insert(run.hashed(), run.n_switches);
                    let n_faults = steps
                        .iter()
                        .filter(|step| matches!(step, Step::Fault(..)))
                        .count();
                    // One step in a dozen fails, so that faults come early and late.
                    Some(match rng.below(12) {
                        0 if n_faults > 0 => steps.len() - 1 - rng.below(n_faults),
                        _ => rng.below(steps.len() - n_faults),
                    })
                });
            }
        }
        Exploration::All { max_switches } => {
            let is_bounded = max_switches < usize::MAX;
            // The choices that led to the schedule, each with the number of choices there were.
            let mut path: Vec<(usize, usize)> = Vec::new();
            loop {
                let mut depth = 0;
                run(search, &mut explored, |run, steps| {
                    if depth == path.len() {
                        let n_switches = if is_bounded { run.n_switches } else { 0 };
                        let fewest = states.entry(run.hashed()).or_insert(usize::MAX);
                        if *fewest <= n_switches {
                            return None;
                        }
                        *fewest = n_switches;
                        path.push((0, steps.len()));
                    }
                    let (choice, n_choices) = path[depth];
                    assert_eq!(n_choices, steps.len(), "a schedule cannot be repeated");
                    depth += 1;
                    Some(choice)
                });
                if explored.n_schedules.is_multiple_of(10_000) {
                    let (n, n_states) = (explored.n_schedules, states.len());
                    println!("{}: {n} schedules, {n_states} states", search.scenario.name);
                }
                while path.last().is_some_and(|(choice, n)| choice + 1 == *n) {
                    path.pop();
                }
                match path.last_mut() {
                    Some((choice, _)) if explored.violation.is_none() => *choice += 1,
                    _ => break,
                }
            }
        }
    }
    explored.n_states = states.len();
    explored
}

/// Runs one schedule; `choose` picks the next of the possible steps, or gives up.
fn run(
    search: Search,
    explored: &mut Explored,
    mut choose: impl FnMut(&Run, &[Step]) -> Option<usize>,
) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .unwrap();
    explored.n_schedules += 1;
    explored.violation = runtime.block_on(async {
        let mut run = Run::new(search);
        let mut trace = String::new();
        loop {
            run.settle().await;
            let mut steps = run.steps();
            if steps.is_empty() {
                break;
            }
            let step = steps.swap_remove(choose(&run, &steps)?);
            let _ = write!(trace, "\n  {}", step.shown());
            run.take(step);
            explored.n_steps += 1;
        }
        let mut violations = Vec::new();
        if !run.needs_sweep {
            violations.extend(run.violations());
        }
        if !search.without.contains(&Guard::Sweep) {
            run.sweep().await;
        }
        violations.extend(run.violations());
        let mut violations = violations.into_iter();
        let violation = violations.find(|violation| violation.contains(search.symptom))?;
        Some(format!("{}: {violation}{trace}", search.scenario.name))
    });
}
