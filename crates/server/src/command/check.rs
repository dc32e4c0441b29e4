//! `campaigns serve --check`: whether the service would start.
//!
//! **Invariant.** Nothing is changed: no file is made, no row is written, no journal is switched.

use std::io::ErrorKind;

use anyhow::{Context, bail};
use campaigns_scope::{ClaimRules, Database, Verifier};
use tokio::net::TcpListener;

use super::{
    arguments::{KeySource, Serve},
    database::{not_connected, require_migrated},
    serve::{options, require_row_security, require_triggers},
};
use crate::{KeyServer, Pace};

/// What was found.
#[derive(Default)]
struct Report {
    failures: usize,
}

impl Report {
    /// Prints what a check found, and returns its result if it succeeded.
    fn found<T>(&mut self, what: &str, result: anyhow::Result<T>) -> Option<T> {
        match result {
            Ok(result) => {
                println!("ok      {what}");
                Some(result)
            }
            Err(error) => {
                self.failures += 1;
                println!("failed  {what}: {error:#}");
                None
            }
        }
    }
}

pub(super) async fn run(arguments: &Serve) -> anyhow::Result<()> {
    let mut report = Report::default();
    let url = arguments.database.get()?;
    let source = arguments.keys.source().and_then(|source| match (source, &url) {
        (None, Some(_)) => {
            bail!("none is given: --jwt-secret, --jwt-public-key or --jwks-url")
        }
        (source, _) => Ok(source),
    });
    if let Some(Some(KeySource::Server(address))) = report.found("keys", source) {
        let verifier = Verifier::without_keys(ClaimRules::from(&arguments.claims));
        let server = KeyServer::start(address, verifier, Pace::default()).await;
        if report.found("key server", server).is_some_and(|server| !server.has_keys()) {
            println!("note    the keys cannot be fetched now; until they are, requests get 503");
        }
    }
    match url {
        None => println!("note    without a database URL this is development mode"),
        Some(url) => check_database(arguments, url, &mut report).await,
    }
    for address in [Some(arguments.listen), arguments.watching.metrics_listen].into_iter().flatten()
    {
        match TcpListener::bind(address).await {
            Err(error) if error.kind() == ErrorKind::AddrInUse => {
                println!("note    {address} is in use, by the running service perhaps");
            }
            bound => {
                report.found(&format!("address {address}"), bound.map_err(Into::into));
            }
        }
    }
    if report.failures > 0 {
        bail!("the service would not start");
    }
    println!("the service would start");
    Ok(())
}

async fn check_database(arguments: &Serve, url: String, report: &mut Report) {
    let connected = async {
        let options = options(arguments, url, true)?;
        Database::connect(&options, None).await.map_err(not_connected)
    };
    let Some(database) = report.found("database", connected.await) else {
        return;
    };
    let migrated = require_migrated(&database).await;
    // without the right to look, rights are what is missing
    let may_not_look = migrated.as_ref().is_err_and(anyhow::Error::is::<campaigns_scope::Error>);
    let is_migrated = report.found("migrations", migrated).is_some();
    if is_migrated || may_not_look {
        report.found("rights", require_rights(&database).await);
    }
    if is_migrated {
        report.found("triggers", require_triggers(&database).await);
        if arguments.row_level_security {
            let role = &arguments.row_security.role;
            report.found("row security", require_row_security(&database, role).await);
        }
    }
    database.close().await.ok();
}

/// Refuses a role without a right that the service needs, and names those that are missing.
async fn require_rights(database: &Database) -> anyhow::Result<()> {
    let missing = database.missing_rights().await.context("they cannot be looked up")?;
    if missing.is_empty() {
        return Ok(());
    }
    bail!("the role lacks {}; deploy/grants.sql gives them", missing.join(", "))
}
