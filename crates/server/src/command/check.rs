//! `campaigns serve --check`: whether the service would start.
//!
//! **Invariant.** Nothing is changed: no file is created, no row is written, no journal mode is
//! switched. The same functions as in `serve` read what the service needs
//! ([`start`](super::start)).

use std::io::ErrorKind;

use anyhow::bail;
use campaigns_migration::Error as MigrationError;
use campaigns_scope::{Database, Options, Verifier};

use super::{
    arguments::{KeySource, Serve},
    database::not_connected,
    output,
    start::{Parts, Report, Tokens, require_database},
};
use crate::{KeyServer, Pace, development, traces::Traces};

pub(super) async fn run(arguments: &Serve) -> anyhow::Result<()> {
    let mut report = Report::shown();
    match Traces::check() {
        Ok(false) => {}
        checked => drop(report.record("traces", checked)),
    }
    let Parts { is_development, rules, tokens, options, .. } =
        Parts::read(arguments, &mut report).await;
    match options {
        _ if is_development => {
            report.note("without a database URL this is development mode");
            report.record("development database", check_development().await);
        }
        Some(options) => check_database(&options, &mut report).await,
        None => {}
    }
    if let Some(Tokens::Verified(KeySource::Server(address))) = tokens {
        let verifier = Verifier::without_keys(rules);
        let server = KeyServer::start(address, verifier, Pace::default()).await;
        if report.record("key server", server).is_some_and(|server| !server.has_keys()) {
            report.note("the keys cannot be fetched now; until they are, requests get 503");
        }
    }
    for address in arguments.addresses() {
        match address.bind().await {
            Err(error) if is_in_use(&error) => {
                report.note(&format!("{address} is in use, perhaps by the running service"));
            }
            bound => {
                report.record(&format!("address {address}"), bound);
            }
        }
    }
    if report.has_failures()? {
        bail!("the service would not start");
    }
    Ok(output::line("the service would start")?)
}

fn is_in_use(error: &anyhow::Error) -> bool {
    let io = error.downcast_ref::<std::io::Error>();
    io.is_some_and(|io| io.kind() == ErrorKind::AddrInUse)
}

async fn check_database(options: &Options, report: &mut Report) {
    let options = Options { read_only: true, ..options.clone() };
    let connected = Database::connect(&options, None).await.map_err(not_connected);
    if let Some(database) = report.record("database", connected) {
        require_database(&database, &options, report).await;
        database.close().await.ok();
    }
}

/// Whether the database of development mode can be created or migrated.
async fn check_development() -> anyhow::Result<()> {
    development::require_writable()?;
    match campaigns_migration::plan(development::DATABASE_URL).await {
        // it would be created
        Ok(_) | Err(MigrationError::NoFile(_)) => Ok(()),
        Err(error) => Err(error.into()),
    }
}
