//! Ending in order: the first Ctrl-C or SIGTERM tells everybody, the second ends the process at once.

use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

/// Whether the process has been asked to stop.
#[derive(Clone)]
pub(crate) struct Stop {
    stopped: watch::Receiver<bool>,
}

impl Stop {
    /// Listens for the signals from now on.
    pub(crate) fn on_signal() -> Self {
        let (sender, stopped) = watch::channel(false);
        tokio::spawn(async move {
            let (Ok(mut interrupt), Ok(mut terminate)) = (
                signal(SignalKind::interrupt()),
                signal(SignalKind::terminate()),
            ) else {
                // Without handlers the signals end the process, as they do by default.
                std::future::pending::<()>().await;
                return;
            };
            let () = next(&mut interrupt, &mut terminate).await;
            // Nobody may be waiting; then there is nothing to tell.
            let _ = sender.send(true);
            next(&mut interrupt, &mut terminate).await;
            std::process::exit(130);
        });
        Self { stopped }
    }

    /// Whether the process has been asked to stop.
    pub(crate) fn is_asked(&self) -> bool {
        *self.stopped.borrow()
    }

    /// Waits until the process is asked to stop.
    pub(crate) async fn wait(&self) {
        let mut stopped = self.stopped.clone();
        if stopped.wait_for(|stopped| *stopped).await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// Waits until then and a while longer.
    pub(crate) async fn wait_and(&self, grace: Duration) {
        self.wait().await;
        tokio::time::sleep(grace).await;
    }
}

async fn next(
    interrupt: &mut tokio::signal::unix::Signal,
    terminate: &mut tokio::signal::unix::Signal,
) {
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
}
