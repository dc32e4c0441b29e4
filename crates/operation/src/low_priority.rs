//! Separate threads for work that would block a thread of the runtime.
//!
//! An operation with ten thousand rows runs for tens of milliseconds without yielding. On a thread of
//! the runtime, it would delay all other tasks of that thread, and all tasks if that thread polls the
//! sockets.

use std::{panic::AssertUnwindSafe, thread};

use futures_util::FutureExt;
use tokio::{runtime::Handle, sync::oneshot};

/// The priority of the threads.
const NICE: i32 = 10;

/// The stack of a thread, as large as in the runtime.
const STACK: usize = 8 * 1024 * 1024;

/// Runs work on a separate, low-priority thread. The work ends early if the result is dropped: the
/// next time that it waits, or yields. What it owns, such as a permit, is dropped on its thread when
/// it ends, and not before.
///
/// # Panics
/// If the work panics, or the operating system has no more threads.
pub async fn run_at_low_priority<T: Send + 'static>(
    work: impl Future<Output = T> + Send + 'static,
) -> T {
    let (mut sender, receiver) = oneshot::channel();
    let runtime = Handle::current();
    let run = move || {
        lower_priority(NICE);
        runtime.block_on(async {
            let work = AssertUnwindSafe(work).catch_unwind();
            let done = tokio::select! {
                biased;
                () = sender.closed() => return,
                done = work => done,
            };
            sender.send(done).ok();
        });
    };
    thread::Builder::new()
        .name("expensive".to_owned())
        .stack_size(STACK)
        .spawn(run)
        .expect("the operating system can create a thread");
    match receiver.await.expect("work that is awaited is not canceled") {
        Ok(done) => done,
        Err(panic) => std::panic::resume_unwind(panic),
    }
}

/// Lowers the priority of the current thread on Linux. 0 is the default, and 19 the lowest.
#[cfg(target_os = "linux")]
pub fn lower_priority(nice: i32) {
    use rustix::{process::setpriority_process, thread::gettid};

    // this system call of Linux applies to a single thread
    setpriority_process(Some(gettid()), nice).ok();
}

/// Lowers the priority of the current thread on Linux. 0 is the default, and 19 the lowest.
#[cfg(not(target_os = "linux"))]
pub fn lower_priority(_: i32) {}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn the_result_is_returned() {
        assert_eq!(run_at_low_priority(async { 6 * 7 }).await, 42);
    }

    #[tokio::test]
    async fn abandoned_work_ends() {
        let (sender, receiver) = oneshot::channel::<()>();
        let work = run_at_low_priority(async move {
            let _sender = sender;
            std::future::pending::<()>().await;
        });
        assert!(tokio::time::timeout(Duration::from_millis(20), work).await.is_err());
        assert!(receiver.await.is_err());
    }

    #[tokio::test]
    async fn abandoned_work_keeps_its_values_until_it_ends() {
        let (goes_on, waits) = std::sync::mpsc::channel::<()>();
        let permit = std::sync::Arc::new(());
        let owned = std::sync::Arc::downgrade(&permit);
        let work = run_at_low_priority(async move {
            // it does not wait for anything that would notice
            waits.recv().ok();
            drop(permit);
        });
        assert!(tokio::time::timeout(Duration::from_millis(20), work).await.is_err());
        assert!(owned.upgrade().is_some());
        drop(goes_on);
        while owned.upgrade().is_some() {
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test]
    async fn a_panic_resumes_in_the_waiting_task() {
        let joined = tokio::spawn(run_at_low_priority(async { panic!("by mistake") })).await;
        assert!(joined.is_err_and(|error| error.is_panic()));
    }
}
