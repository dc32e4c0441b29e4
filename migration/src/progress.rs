//! The progress of a run.

use std::sync::Arc;

/// A step of a run, and its progress if that is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Progress {
    /// The name of the step.
    pub step: String,
    /// How much of the step is done, and its total.
    pub done: Option<(u64, u64)>,
}

/// Receives the progress of a run.
pub(crate) type Listener = Arc<dyn Fn(Progress) + Send + Sync>;

tokio::task_local! {
    /// The listener of this run.
    pub(crate) static LISTENER: Listener;
}

/// Reports that a step begins.
pub(crate) fn say(step: &str) {
    publish(Progress { step: step.to_owned(), done: None });
}

/// Reports how much of a step is done.
pub(crate) fn tell(step: &str, done: u64, of: u64) {
    publish(Progress { step: step.to_owned(), done: Some((done, of)) });
}

fn publish(progress: Progress) {
    // without a listener, there is nothing to report
    LISTENER.try_with(|listener| listener(progress)).ok();
}
