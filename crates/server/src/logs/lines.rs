//! Lines on their way to standard error.
//!
//! **Invariant.** Nothing waits for the reader of standard error: lines are added to a buffer of
//! bounded size, and if it is full, they are dropped and counted. No line shows the password of an
//! address.
//!
//! A thread writes the lines so far, and then rests for a moment. If it wrote each line at once, it
//! would be woken for each, which costs more than writing it.

use std::{
    convert::Infallible,
    io::{self, Write},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread,
    time::Duration,
};

use campaigns_tasks::Task;
use tracing_subscriber::fmt::MakeWriter;

use crate::secrets::redacted;

/// The maximum number of bytes that wait to be written.
const MAX_BYTES: usize = 4 << 20;
/// How long the thread rests after it has written.
const REST: Duration = Duration::from_millis(10);
/// How long the process waits for the reader when it ends.
const PATIENCE: Duration = Duration::from_secs(1);

/// Lines that wait to be written. Clones share them.
#[derive(Clone, Default)]
pub(super) struct Lines(Arc<Shared>);

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    /// There is a first line.
    came: Condvar,
    /// All lines are written.
    gone: Condvar,
}

#[derive(Default)]
struct State {
    waiting: Vec<u8>,
    /// Whether the thread writes or rests, so that it looks again without being woken.
    is_awake: bool,
    dropped: usize,
}

impl Lines {
    /// Starts the thread that writes them.
    pub(super) fn start() -> io::Result<Self> {
        let lines = Self::default();
        let written = lines.clone();
        Task::new("log").run_on_thread(move || written.write_to(io::stderr()))?;
        Ok(lines)
    }

    /// How many lines were dropped.
    pub(super) fn dropped(&self) -> usize {
        self.state().dropped
    }

    /// Adds a line, if there is room.
    fn add(&self, line: &[u8]) {
        // lines of libraries may contain addresses; lines about operations have no slash
        if line.contains(&b'/') {
            self.push(redacted(&String::from_utf8_lossy(line)).as_bytes());
        } else {
            self.push(line);
        }
    }

    fn push(&self, line: &[u8]) {
        let mut state = self.state();
        if state.waiting.len() + line.len() > MAX_BYTES {
            state.dropped += 1;
            return;
        }
        state.waiting.extend_from_slice(line);
        if !state.is_awake {
            state.is_awake = true;
            self.0.came.notify_one();
        }
    }

    fn write_to(&self, mut to: impl Write) -> Infallible {
        let mut lines = Vec::new();
        loop {
            {
                let mut state = self.state();
                if state.waiting.is_empty() {
                    state.is_awake = false;
                    self.0.gone.notify_all();
                }
                let came = self.0.came.wait_while(state, |state| state.waiting.is_empty());
                let mut state = came.unwrap_or_else(PoisonError::into_inner);
                std::mem::swap(&mut lines, &mut state.waiting);
            }
            // a line that cannot be written now would not be written later either
            to.write_all(&lines).ok();
            lines.clear();
            thread::sleep(REST);
        }
    }

    /// Waits until the lines so far are written, unless they are not read.
    pub(super) fn written(&self) {
        let state = self.state();
        drop(self.0.gone.wait_timeout_while(state, PATIENCE, |state| state.is_awake));
    }

    /// The lines that wait.
    #[cfg(test)]
    pub(super) fn waiting(&self) -> Vec<u8> {
        self.state().waiting.clone()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<'a> MakeWriter<'a> for Lines {
    type Writer = &'a Self;

    fn make_writer(&'a self) -> Self::Writer {
        self
    }
}

/// Takes a line at a time.
impl Write for &Lines {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.add(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
