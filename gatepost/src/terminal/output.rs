//! Writes results to stdout; notes, warnings and errors to stderr.
//!
//! Every command prints through this module, so a closed pipe, a full disk, `--quiet` and `NO_COLOR` have the same effect
//! everywhere. `main` turns an [`OutputError`] into an exit code. The log is not written here.

use std::borrow::Cow;
use std::fmt::Display;
use std::io::Write as _;
use std::sync::atomic::{AtomicBool, Ordering};

use anstream::AutoStream;
use anstream::ColorChoice;
use serde::Serialize;

use super::printable::printable_json;

/// Set once by `main`, before a command runs.
static QUIET: AtomicBool = AtomicBool::new(false);

/// Results that could not be written.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OutputError {
    /// The reader of the results, such as `head`, has closed the pipe.
    #[error("the reader of the results has closed the pipe")]
    Closed,
    /// Such as a full disk.
    #[error("the results cannot be written to stdout and are incomplete: {0}")]
    Failed(std::io::Error),
}

impl From<std::io::Error> for OutputError {
    fn from(error: std::io::Error) -> Self {
        match error.kind() {
            std::io::ErrorKind::BrokenPipe => Self::Closed,
            _ => Self::Failed(error),
        }
    }
}

/// Suppresses notes and progress from now on.
pub(crate) fn set_quiet() {
    QUIET.store(true, Ordering::Relaxed);
}

/// Whether notes and progress are suppressed.
pub(crate) fn is_quiet() -> bool {
    QUIET.load(Ordering::Relaxed)
}

/// Prints a result, and a line break after it.
pub(crate) fn print(result: impl Display) -> Result<(), OutputError> {
    print_bytes(format!("{result}\n").as_bytes())
}

/// Prints a result as it is.
pub(crate) fn print_bytes(result: &[u8]) -> Result<(), OutputError> {
    let mut stdout = std::io::stdout().lock();
    stdout.write_all(result)?;
    stdout.flush()?;
    Ok(())
}

/// Prints a result as one line of JSON, with control characters escaped.
pub(crate) fn print_json(value: &impl Serialize) -> anyhow::Result<()> {
    let json = serde_json::to_string(value)?;
    Ok(print(printable_json(&json))?)
}

/// Prints a note on stderr, unless the command is quiet.
pub(crate) fn note(text: impl Display) {
    if !is_quiet() {
        write_error(text);
    }
}

/// Prints a warning on stderr: something works, but is probably not meant.
pub(crate) fn warn(text: impl Display) {
    write_error(format_args!("warning: {text}"));
}

/// Prints on stderr why a command failed.
pub(crate) fn print_error(text: impl Display) {
    write_error(format_args!("gatepost: {text}"));
}

/// A closed stderr cannot be reported.
fn write_error(text: impl Display) {
    let _ = writeln!(std::io::stderr().lock(), "{text}");
}

/// How a word of a table is emphasised.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Colour {
    Green,
    Red,
}

/// The text in a colour, if stdout is a terminal and neither `NO_COLOR` nor `TERM` asks for none.
pub(crate) fn coloured(text: &str, colour: Colour) -> Cow<'_, str> {
    if AutoStream::choice(&std::io::stdout()) == ColorChoice::Never {
        return text.into();
    }
    let code = match colour {
        Colour::Green => 32,
        Colour::Red => 31,
    };
    format!("\x1b[{code}m{text}\x1b[0m").into()
}

/// A number of things, in words: `1 file`, `2 files`.
pub(crate) fn count<N: Copy + Display + From<u8> + PartialEq>(n: N, noun: &str) -> String {
    let ending = if n == N::from(1) { "" } else { "s" };
    format!("{n} {noun}{ending}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_thing_is_singular() {
        let counted = [0_usize, 1, 2].map(|n| count(n, "file"));
        assert_eq!(counted, ["0 files", "1 file", "2 files"]);
    }

    #[test]
    fn a_closed_pipe_is_told_from_a_failure() {
        use std::io::{Error, ErrorKind};
        let of = |kind: ErrorKind| OutputError::from(Error::from(kind));
        assert!(matches!(of(ErrorKind::BrokenPipe), OutputError::Closed));
        assert!(matches!(of(ErrorKind::StorageFull), OutputError::Failed(_)));
    }
}
