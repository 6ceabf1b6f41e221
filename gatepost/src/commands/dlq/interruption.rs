//! The end of a command of `gatepost dlq` by Ctrl-C or SIGTERM.

use crate::stop::Stop;

/// Ctrl-C or SIGTERM came.
#[derive(Debug, thiserror::Error)]
#[error("interrupted")]
pub(super) struct Interrupted;

/// Work that writes nothing, and ends when the process is asked to stop.
pub(super) async fn until_stopped<T>(
    stop: &Stop,
    work: impl Future<Output = anyhow::Result<T>>,
) -> anyhow::Result<T> {
    tokio::select! {
        result = work => result,
        () = stop.wait() => Err(Interrupted.into()),
    }
}
