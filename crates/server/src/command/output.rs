//! What commands write to standard output and standard error.
//!
//! **Invariant.** Output that cannot be written is an error like any other, never a panic. A full disk is one sentence.
//! If the reader went away, as `head` does, the command ends quietly, as SIGPIPE ends other programs.

use std::{
    fmt::Display,
    io::{self, ErrorKind, Write},
    process::ExitCode,
};

/// The exit code of a program that SIGPIPE ends, as a shell shows it.
const READER_GONE: u8 = 128 + 13;

/// Standard output could not be written.
#[derive(Debug, thiserror::Error)]
#[error("cannot write to standard output")]
pub(super) struct NotWritten(#[from] io::Error);

impl NotWritten {
    /// The exit code, if the reason is that the reader went away.
    pub(super) fn reader_gone(&self) -> Option<ExitCode> {
        (self.0.kind() == ErrorKind::BrokenPipe).then(|| ExitCode::from(READER_GONE))
    }
}

/// Writes a text to standard output.
pub(super) fn text(text: impl Display) -> Result<(), NotWritten> {
    let mut out = io::stdout().lock();
    write!(out, "{text}")?;
    // the last part of a line would be lost without an error
    Ok(out.flush()?)
}

/// Writes a line to standard output.
pub(super) fn line(line: impl Display) -> Result<(), NotWritten> {
    text(format_args!("{line}\n"))
}

/// Writes why the command failed to standard error, if that can be written.
pub(super) fn failure(why: impl Display) {
    writeln!(io::stderr().lock(), "campaigns: {why}").ok();
}
