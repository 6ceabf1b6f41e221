//! How far a long command has come: a line on a terminal's stderr, and nothing where stderr is not a terminal.
//!
//! Results that are printed meanwhile go through [`Progress::print`], which keeps the line below them.

use std::fmt::Display;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::terminal::output::{self, OutputError};
use crate::terminal::printable::printable;

/// A line that shows progress until it is dropped.
pub(crate) struct Progress {
    bar: ProgressBar,
}

impl Progress {
    /// Progress towards a known number of things.
    pub(crate) fn towards(n: usize) -> Self {
        let n = u64::try_from(n).unwrap_or(u64::MAX);
        Self::new(Some(n), "{bar:30} {pos}/{len} {wide_msg}")
    }

    /// Progress of something whose end nobody knows.
    pub(crate) fn open() -> Self {
        Self::new(None, "{spinner} {elapsed} {wide_msg}")
    }

    fn new(length: Option<u64>, template: &str) -> Self {
        let target = if output::is_quiet() {
            ProgressDrawTarget::hidden()
        } else {
            // Hidden by itself where stderr is not a terminal.
            ProgressDrawTarget::stderr()
        };
        let bar = ProgressBar::with_draw_target(length, target);
        // A template that is malformed leaves the default.
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        if !bar.is_hidden() {
            bar.enable_steady_tick(Duration::from_millis(200));
        }
        Self { bar }
    }

    /// Says what is worked on now.
    pub(crate) fn say(&self, what: &str) {
        self.bar.set_message(printable(what).into_owned());
    }

    /// Says which step begins; as a note, where there is no terminal.
    pub(crate) fn begin(&self, step: &str) {
        if self.bar.is_hidden() {
            output::note(step);
        }
        self.say(step);
    }

    /// One thing more is done.
    pub(crate) fn advance(&self) {
        self.bar.inc(1);
    }

    /// Prints a result above the line.
    pub(crate) fn print(&self, result: impl Display) -> Result<(), OutputError> {
        self.bar.suspend(|| output::print(result))
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
