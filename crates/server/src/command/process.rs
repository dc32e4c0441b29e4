//! The common parts of commands that run until they are stopped.

use tokio::signal;

/// Waits until the process gets a signal to stop. Signals are received from this call on, not only
/// once the future is polled, since a program that reads the printed address may send one at once.
pub(super) fn termination() -> impl Future<Output = ()> {
    #[cfg(unix)]
    let terminate = signal::unix::signal(signal::unix::SignalKind::terminate());
    async move {
        #[cfg(unix)]
        let terminated = async {
            match terminate {
                Ok(mut signals) => {
                    signals.recv().await;
                }
                Err(error) => {
                    tracing::warn!(%error, "SIGTERM cannot be waited for");
                    std::future::pending::<()>().await;
                }
            }
        };
        #[cfg(not(unix))]
        let terminated = std::future::pending::<()>();
        tokio::select! {
            _ = signal::ctrl_c() => {}
            () = terminated => {}
        }
    }
}
