//! What the commands that run until they are told to end have in common.

use tokio::signal;

use super::arguments::WrongUsage;

/// Refuses a flag for a database that is not PostgreSQL.
pub(super) fn require_postgres(flag: &str, url: &str) -> Result<(), WrongUsage> {
    if url.starts_with("postgres") {
        Ok(())
    } else {
        Err(WrongUsage(format!("{flag} is for PostgreSQL")))
    }
}

/// Waits until the process is told to end. From this call on, and not only once it is waited for, a signal
/// is heard: whoever reads the address may send one at once.
pub(super) fn told_to_end() -> impl Future<Output = ()> {
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
