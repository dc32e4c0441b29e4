//! Queries of dashboards by this version of the service and by another one, on the same database. The two
//! take turns in the order A B B A, so that what changes on the machine meanwhile affects both alike. Of
//! each turn, the requests a second and the CPU time of a request are measured, of the service and of
//! PostgreSQL.

use std::{path::Path, time::Duration};

use anyhow::Context;
use sea_orm::{ConnectionTrait, Statement};

use crate::{
    figures, load,
    reading::{self, Query},
    service::Service,
};

/// The time of a turn.
const TURN: Duration = Duration::from_secs(3);
/// How often the order A B B A is repeated.
const ROUNDS: usize = 3;
/// The numbers of concurrent clients.
const CLIENTS: [usize; 2] = [1, 16];

/// A service that takes turns.
struct Version {
    process: u32,
    address: String,
}

/// The results of the turns of a version.
#[derive(Default)]
struct Turns(Vec<Turn>);

struct Turn {
    per_second: f64,
    /// The CPU time of a request in microseconds, of the service and of PostgreSQL.
    own_cpu: f64,
    database_cpu: f64,
}

impl Turns {
    fn median(&self, of: impl Fn(&Turn) -> f64) -> f64 {
        let mut values: Vec<f64> = self.0.iter().map(of).collect();
        values.sort_by(f64::total_cmp);
        crate::percentile(&values, 0.5)
    }
}

pub(crate) async fn run(other: &Path) -> anyhow::Result<()> {
    println!("  creating a database of 1.2 million events");
    let service = Service::of_scale(1).await?;
    figures::make_sums(&service).await?;
    let (process, address) = service.beside_version(other).await?;
    let versions = [
        Version { process: service.process_id()?, address: service.address.clone() },
        Version { process: process.id().context("it runs")?, address },
    ];
    let postmaster = postmaster(&service).await?;
    println!("this version and {}, in turns", other.display());
    println!(
        "  {:<9} {:>7}   {:>9} {:>9} {:>6}   {:>9} {:>9} {:>6}   {:>9} {:>9} {:>6}",
        "",
        "clients",
        "a second",
        "other",
        "ratio",
        "µs",
        "other",
        "ratio",
        "µs of PG",
        "other",
        "ratio"
    );
    for query in &reading::queries(&service).await? {
        for clients in CLIENTS {
            let mut turns = [Turns::default(), Turns::default()];
            for at in [0, 1] {
                take(&service, &versions[at], query, clients, postmaster).await?;
            }
            for _ in 0..ROUNDS {
                for at in [0, 1, 1, 0] {
                    let turn = take(&service, &versions[at], query, clients, postmaster).await?;
                    turns[at].0.push(turn);
                }
            }
            print(query.name, clients, &turns);
        }
    }
    drop(process);
    Ok(())
}

async fn take(
    service: &Service,
    version: &Version,
    query: &Query,
    clients: usize,
    postmaster: u32,
) -> anyhow::Result<Turn> {
    let requests = reading::requests(&version.address, &service.token, query);
    let before = (cpu_of(version.process)?, cpu_of_children(postmaster)?);
    let load = load::of(&version.address, requests, clients, TURN).await?;
    let after = (cpu_of(version.process)?, cpu_of_children(postmaster)?);
    let count = load.per_second * TURN.as_secs_f64();
    let of_request = |before: Duration, after: Duration| {
        after.saturating_sub(before).as_secs_f64() * 1_000_000.0 / count
    };
    Ok(Turn {
        per_second: load.per_second,
        own_cpu: of_request(before.0, after.0),
        database_cpu: of_request(before.1, after.1),
    })
}

fn print(name: &str, clients: usize, turns: &[Turns; 2]) {
    print!("  {name:<9} {clients:>7}");
    for of in
        [|turn: &Turn| turn.per_second, |turn: &Turn| turn.own_cpu, |turn: &Turn| turn.database_cpu]
    {
        let (this, other) = (turns[0].median(of), turns[1].median(of));
        print!("   {this:>9.0} {other:>9.0} {:>6.2}", this / other);
    }
    println!();
}

/// The process ID of the server of a service's database.
async fn postmaster(service: &Service) -> anyhow::Result<u32> {
    let select = "SELECT pg_backend_pid() AS id";
    let select = Statement::from_string(service.sql.get_database_backend(), select);
    let row = service.sql.query_one_raw(select).await?.context("a row")?;
    let backend: i32 = row.try_get("", "id")?;
    parent_of(u32::try_from(backend)?).context("a backend has a parent")
}

fn parent_of(process: u32) -> Option<u32> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    status.lines().find_map(|line| line.strip_prefix("PPid:"))?.trim().parse().ok()
}

/// The CPU time of the threads of a process.
fn cpu_of(process: u32) -> anyhow::Result<Duration> {
    let mut nanoseconds = 0;
    for task in std::fs::read_dir(format!("/proc/{process}/task"))? {
        // a thread can end meanwhile
        let Ok(statistics) = std::fs::read_to_string(task?.path().join("schedstat")) else {
            continue;
        };
        let on_cpu = statistics.split(' ').next().context("the time on a CPU")?;
        nanoseconds += on_cpu.parse::<u64>()?;
    }
    Ok(Duration::from_nanos(nanoseconds))
}

/// The CPU time of the processes that a process has started.
fn cpu_of_children(process: u32) -> anyhow::Result<Duration> {
    let mut all = Duration::ZERO;
    for entry in std::fs::read_dir("/proc")? {
        let Some(id) = entry?.file_name().to_str().and_then(|name| name.parse().ok()) else {
            continue;
        };
        if parent_of(id) == Some(process) {
            all += cpu_of(id).unwrap_or_default();
        }
    }
    Ok(all)
}
