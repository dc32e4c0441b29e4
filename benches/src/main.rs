//! Benchmarks of the service, compared with the database alone. Ratios compare two figures of the
//! same run on the same machine.
//!
//! `just bench` builds this program and the service in release mode, and starts a PostgreSQL server.
//! `just bench feed` runs one part. `--scale` sets how many times larger the second database of
//! `figures` is than the first, and `--seconds` the length of `soak` or `faults`. `versions` compares this
//! version of the service with the program of another one that `--against` names. `--attack` selects
//! the attacks of the soak whose description contains these words, and can be repeated.

#![expect(clippy::print_stdout, reason = "the program prints its results")]

mod audience;
mod bystander;
mod data;
mod fan_out;
mod faults;
mod feed;
mod figures;
mod follower;
mod intake;
mod load;
mod overload;
mod peer;
mod pgbench;
mod providers;
mod reading;
mod service;
mod soak;
mod versions;
mod watching;

use std::{path::PathBuf, sync::Arc, time::Duration};

use anyhow::{Context, bail};
use service::Service;
use tokio::runtime::Builder;

/// The parts that can be run separately.
const PARTS: [&str; 13] = [
    "reading",
    "versions",
    "figures",
    "audience",
    "intake",
    "providers",
    "watching",
    "feed",
    "fan-out",
    "bystander",
    "overload",
    "soak",
    "faults",
];

/// A key of webhooks' secrets: 32 bytes.
const ENCRYPTION_KEY: &str = "YSBrZXkgb2YgdGhlIGJlbmNobWFya3MsIDMyIGJ5dGU=";

fn main() -> anyhow::Result<()> {
    rlimit::increase_nofile_limit(u64::MAX)?;
    let arguments = Arguments::read(std::env::args().skip(1))?;
    // with the same priority as pgbench, with which these parts are compared
    Builder::new_multi_thread().enable_all().build()?.block_on(throughput(&arguments))?;
    // in production, clients run on other machines, so these should not take time from the service
    let clients =
        Builder::new_multi_thread().enable_all().on_thread_start(yield_to_the_service).build()?;
    clients.block_on(followers(&arguments))
}

/// Gives the current thread the lowest priority.
fn yield_to_the_service() {
    campaigns_operation::lower_priority(19);
}

/// The arguments of the command line.
struct Arguments {
    parts: Vec<String>,
    scale: usize,
    seconds: Option<u64>,
    attacks: Vec<String>,
    against: Option<PathBuf>,
}

impl Arguments {
    fn read(mut given: impl Iterator<Item = String>) -> anyhow::Result<Self> {
        let (mut parts, mut scale, mut seconds) = (Vec::new(), 10, None);
        let (mut attacks, mut against) = (Vec::new(), None);
        while let Some(argument) = given.next() {
            if argument == "--scale" {
                let number = given.next().context("--scale takes a number")?;
                scale = number.parse().context("--scale takes a number")?;
            } else if argument == "--seconds" {
                let number = given.next().context("--seconds takes a number")?;
                seconds = Some(number.parse().context("--seconds takes a number")?);
            } else if argument == "--attack" {
                attacks.push(given.next().context("--attack takes words of its description")?);
            } else if argument == "--against" {
                against = Some(given.next().context("--against takes a program")?.into());
            } else if PARTS.contains(&argument.as_str()) {
                parts.push(argument);
            } else {
                bail!("there is no part {argument}: {}", PARTS.join(", "));
            }
        }
        Ok(Self { parts, scale, seconds, attacks, against })
    }

    fn names(&self, part: &str) -> bool {
        self.parts.iter().any(|named| named == part)
    }

    /// Whether to run a part: all parts if none is named.
    fn wants(&self, part: &str) -> bool {
        self.parts.is_empty() || self.names(part)
    }
}

async fn throughput(arguments: &Arguments) -> anyhow::Result<()> {
    if arguments.wants("reading") {
        reading::run().await?;
    }
    // compares two programs, so it runs only on request
    if arguments.names("versions") {
        let other = arguments.against.as_ref();
        versions::run(other.context("versions needs --against PROGRAM")?).await?;
    }
    if arguments.wants("figures") {
        figures::run(arguments.scale).await?;
    }
    if arguments.wants("audience") {
        audience::run().await?;
    }
    if arguments.wants("intake") {
        intake::run(&Service::start().await?).await?;
    }
    if arguments.wants("providers") {
        providers::run(&Service::start_with(&["--encryption-key", ENCRYPTION_KEY]).await?).await?;
    }
    if arguments.wants("watching") {
        watching::run(&Service::start().await?).await?;
    }
    // fails if a request of the other organization is refused, so it runs only on request
    if arguments.names("overload") {
        overload::run(&Service::start().await?).await?;
    }
    // takes long, so it runs only on request
    if arguments.names("faults") {
        let length = Duration::from_secs(arguments.seconds.unwrap_or(3_600));
        faults::run(Service::start().await?, length).await?;
    }
    Ok(())
}

async fn followers(arguments: &Arguments) -> anyhow::Result<()> {
    let parts = ["feed", "fan-out", "bystander", "soak"];
    if !arguments.parts.is_empty() && !parts.iter().any(|part| arguments.names(part)) {
        return Ok(());
    }
    // takes long, so it runs only on request
    if arguments.names("soak") {
        let service = Service::start_with(&["--max-memory", soak::MEMORY]).await?;
        let length = Duration::from_secs(arguments.seconds.unwrap_or(600));
        soak::run(&Arc::new(service), length, &arguments.attacks).await?;
    }
    if !arguments.wants("feed") && !arguments.wants("fan-out") {
        return Ok(());
    }
    let service = Arc::new(Service::start().await?);
    if arguments.wants("feed") {
        feed::run(&service).await?;
    }
    if arguments.wants("fan-out") {
        fan_out::run(&service).await?;
    }
    if arguments.wants("bystander") {
        bystander::run(&service).await?;
    }
    Ok(())
}

/// The value below which this share of the sorted values lies.
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

/// A count as a float.
#[expect(clippy::cast_precision_loss, reason = "no count here is that large")]
fn number(count: usize) -> f64 {
    count as f64
}
