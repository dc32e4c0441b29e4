//! What the service does in a second, beside what the database does by itself: each figure is one of
//! a run on this machine, and a ratio is of two figures of the same run.
//!
//! `just bench` builds it and the service in release mode and runs it on a PostgreSQL server of
//! its own. `just bench feed` runs one part of it.

#![expect(clippy::print_stdout, reason = "this is what it is for")]

mod fan_out;
mod feed;
mod follower;
mod intake;
mod service;
mod soak;

use std::{sync::Arc, time::Duration};

use anyhow::bail;
use service::Service;

fn main() -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        // clients have machines of their own elsewhere: what they take is not to count
        .on_thread_start(yield_to_the_service)
        .build()?;
    runtime.block_on(run())
}

/// Gives the current thread the lowest priority.
#[cfg(target_os = "linux")]
fn yield_to_the_service() {
    use rustix::{process::setpriority_process, thread::gettid};

    // to Linux, a thread is a process here
    setpriority_process(Some(gettid()), 19).ok();
}

#[cfg(not(target_os = "linux"))]
fn yield_to_the_service() {}

async fn run() -> anyhow::Result<()> {
    rlimit::increase_nofile_limit(u64::MAX)?;
    let parts: Vec<String> = std::env::args().skip(1).collect();
    for part in &parts {
        if !["feed", "intake", "fan-out", "soak"].contains(&part.as_str()) {
            bail!("there is no part {part}: feed, intake, fan-out, soak");
        }
    }
    let wanted = |part: &str| parts.is_empty() || parts.iter().any(|wanted| wanted == part);
    let service = Arc::new(Service::start().await?);
    if wanted("feed") {
        feed::run(&service).await?;
    }
    if wanted("intake") {
        intake::run(&service).await?;
    }
    if wanted("fan-out") {
        fan_out::run(&service).await?;
    }
    // takes its time, and so is run where it is asked for
    if parts.iter().any(|part| part == "soak") {
        let seconds = std::env::var("SECONDS_OF_SOAK").ok().and_then(|of| of.parse().ok());
        soak::run(&service, Duration::from_secs(seconds.unwrap_or(600))).await?;
    }
    Ok(())
}

/// The value below which so much of the sorted values lies.
fn percentile(sorted: &[f64], share: f64) -> f64 {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "an index"
    )]
    let index = ((sorted.len() as f64 * share) as usize).min(sorted.len().saturating_sub(1));
    sorted.get(index).copied().unwrap_or(f64::NAN)
}

/// A count as a number to reckon with.
#[expect(clippy::cast_precision_loss, reason = "no count here is that large")]
fn number(count: usize) -> f64 {
    count as f64
}
