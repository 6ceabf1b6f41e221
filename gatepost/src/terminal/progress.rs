//! The progress of a long command: a line on stderr if that is a terminal, otherwise nothing.
//!
//! Results printed in the meantime go through [`Progress::print`], which keeps the line below them.

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

    /// Progress of unknown length.
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
        // A malformed template leaves the default.
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        if !bar.is_hidden() {
            bar.enable_steady_tick(Duration::from_millis(200));
        }
        Self { bar }
    }

    /// Shows the current item.
    pub(crate) fn say(&self, what: &str) {
        self.bar.set_message(printable(what).into_owned());
    }

    /// Shows the step that begins; without a terminal, as a note.
    pub(crate) fn begin(&self, step: &str) {
        if self.bar.is_hidden() {
            output::note(step);
        }
        self.say(step);
    }

    /// Counts one more finished item.
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
