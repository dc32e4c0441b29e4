//! `campaigns serve`.

use std::{fmt::Write, net::SocketAddr, time::Duration};

use anyhow::Context;
use campaigns_scope::{ClaimRules, Database, Key, Options, Verifier};
use chrono::{TimeDelta, Utc};
use tokio::{net::TcpListener, sync::watch};

use super::{
    arguments::{KeySource, Serve},
    check,
    database::not_connected,
    output, process,
    start::{Parts, Report, Start, Tokens, require_database, sign},
    waiting::{self, Bound, WaitOutcome},
    worker,
};
use crate::{
    App, Clock, KeyServer, Keys, Pace, PublicUrl, demo, development, logs::Log, metrics::Metrics,
};

/// How long requests can take to finish once the service stops.
const GRACE: Duration = Duration::from_millis(9_200);
/// How long closing the connections can take after that.
const CLOSING: Duration = Duration::from_millis(500);

pub(super) async fn run(arguments: Serve) -> anyhow::Result<()> {
    if arguments.check {
        return check::run(&arguments).await;
    }
    let _log = Log::start()?;
    // from the first fetch of keys on
    if arguments.watching.no_metrics {
        Metrics::none();
    }
    Metrics::of_process();
    // a socket is a file descriptor, and the usual limit is 1,024
    if let Err(error) = rlimit::increase_nofile_limit(u64::MAX) {
        tracing::warn!(%error, "the limit of open files could not be raised");
    }
    let mut report = Report::silent();
    let Some(start) = Parts::read(&arguments, &mut report).await.complete() else {
        return report.first_failure();
    };
    let Start { is_development, rules, tokens, options, mut settings } = start;
    let mut termination = std::pin::pin!(process::termination());
    let bound;
    let mut is_announced = false;
    let metrics = match &arguments.watching.metrics_listen {
        Some(address) => Some(Bound::to(address).await?.into_listener()),
        None => None,
    };
    let (database, source, banner) = match tokens {
        tokens if is_development => {
            // before the database is created: an address in use leaves nothing behind
            bound = Some(Bound::to(&arguments.listen).await?);
            let started = start_development(&options, tokens, &rules).await?;
            if settings.keyring.is_empty() {
                settings.keyring = [development::encryption_key()?].into_iter().collect();
            }
            started
        }
        Tokens::Signed(_) => unreachable!("only development mode signs"),
        Tokens::Verified(source) => {
            let waited = waiting::connect(
                &arguments.listen,
                &arguments.cors_origin,
                arguments.public_url.as_ref(),
                |bound| announce(bound.address()?, metrics.as_ref(), None, None),
                async || Database::connect(&options, None).await,
                termination.as_mut(),
            );
            let database = match waited.await? {
                WaitOutcome::Connected(database, listening) => {
                    is_announced = listening.is_some();
                    bound = listening;
                    database
                }
                WaitOutcome::Ended => return Ok(()),
            };
            require_database(&database, &options, &mut report).await;
            report.first_failure()?;
            (database, source, None)
        }
    };

    let worker = if arguments.worker.unwrap_or(is_development) {
        let Options { url, schema, .. } = options;
        let options = Options { schema, ..Options::new(url) };
        Some(worker::Running::start(options, arguments.pooler).await?)
    } else {
        None
    };
    let keys = match source {
        KeySource::Given(key) => Keys::Given(Verifier::new(key, rules)),
        KeySource::Server(url) => {
            let verifier = Verifier::without_keys(rules);
            Keys::Server(KeyServer::start(url, verifier, Pace::default()).await?)
        }
    };
    let app = App::new(database.clone(), keys, Clock::system(), settings);
    let bound = match bound {
        Some(bound) => bound,
        None => Bound::to(&arguments.listen).await?,
    };
    if !is_announced {
        let url = arguments.public_url.as_ref();
        announce(bound.address()?, metrics.as_ref(), banner.as_ref(), url)?;
    }
    serve(bound.into_listener(), metrics, &app, worker, termination).await;
    match tokio::time::timeout(CLOSING, database.close()).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::warn!(%error, "the database was not closed cleanly"),
        Err(_) => tracing::warn!("the database was not closed in time"),
    }
    Ok(())
}

/// What development mode prints: tokens for an admin and a member.
struct Banner {
    organization: String,
    admin: String,
    member: String,
}

/// Loads the demo data if it is missing, on a connection without a time limit.
async fn fill() -> anyhow::Result<()> {
    let database = Database::connect(&Options::new(development::DATABASE_URL), None).await?;
    let organizations = database.operator().organizations().await?;
    // the first one is loaded last: without it, loading was interrupted or never started
    let [main, others @ ..] = &demo::ORGANIZATIONS;
    let is_other = |id| id != main.id && others.iter().any(|other| other.id == id);
    if organizations.iter().all(|organization| is_other(organization.id)) {
        demo::load(&database, Utc::now()).await?;
    }
    database.close().await?;
    Ok(())
}

/// Prepares the database and the keys of development mode.
async fn start_development(
    options: &Options,
    tokens: Tokens,
    rules: &ClaimRules,
) -> anyhow::Result<(Database, KeySource, Option<Banner>)> {
    campaigns_migration::up(development::DATABASE_URL).await?;
    fill().await?;
    let database = Database::connect(options, None).await.map_err(not_connected)?;
    let secret = match tokens {
        Tokens::Verified(source) => return Ok((database, source, None)),
        Tokens::Signed(Some(secret)) => secret,
        Tokens::Signed(None) => development::secret()?,
    };
    let organizations = database.operator().organizations().await?;
    let organization = organizations
        .iter()
        .find(|organization| organization.id == demo::ORGANIZATIONS[0].id)
        .or(organizations.first())
        .context("the database has no organization")?;
    let expires_at = Utc::now() + TimeDelta::days(30);
    let sign = |role, subject| sign(&secret, rules, organization.id, role, subject, expires_at);
    let admin = rules.admin_roles.first().map_or("admin", String::as_str);
    let banner = Banner {
        organization: format!("{}, {}", organization.name, organization.id),
        admin: sign(admin, demo::ADMIN)?,
        member: sign("member", demo::MEMBER)?,
    };
    Ok((database, KeySource::Given(Key::secret(&secret)?), Some(banner)))
}

fn announce(
    address: SocketAddr,
    metrics: Option<&TcpListener>,
    banner: Option<&Banner>,
    url: Option<&PublicUrl>,
) -> anyhow::Result<()> {
    let mut out = format!("listening on http://{address}\n");
    if let Some(metrics) = metrics {
        writeln!(out, "metrics on http://{}/metrics", metrics.local_addr()?)?;
    }
    if let Some(Banner { organization, admin, member }) = banner {
        writeln!(out, "\nDevelopment mode, on campaigns.db ({organization}).")?;
        writeln!(out, "Tokens for 30 days:\n\n  admin   {admin}\n\n  member  {member}\n")?;
        let url = url.map_or_else(|| format!("http://{address}"), PublicUrl::to_string);
        writeln!(out, "Dashboard {url}/#token={admin}\n")?;
        writeln!(out, "GraphiQL  {url}/graphiql#token={admin}\n")?;
    }
    Ok(output::text(out)?)
}

/// Serves until the process is asked to stop and its requests are finished.
async fn serve(
    listener: TcpListener,
    metrics: Option<TcpListener>,
    app: &App,
    worker: Option<worker::Running>,
    termination: impl Future<Output = ()>,
) {
    let (stop, stopped) = watch::channel(false);
    let serving_metrics = async |stopped| {
        if let Some(metrics) = metrics {
            app.serve_metrics(metrics, stopped).await;
        }
    };
    let serving =
        async { tokio::join!(app.serve(listener, stopped.clone()), serving_metrics(stopped)) };
    let mut serving = std::pin::pin!(serving);
    tokio::select! {
        _ = &mut serving => return,
        () = termination => {}
    }
    tracing::info!("ending");
    stop.send_replace(true);
    let ended = async {
        let ended = async { tokio::join!(app.end_sockets(), serving) };
        if tokio::time::timeout(GRACE, ended).await.is_err() {
            tracing::warn!("requests took longer than {GRACE:?} and were cut off");
        }
    };
    let worker_ended = async {
        if let Some(worker) = worker {
            worker.end(GRACE).await;
        }
    };
    tokio::join!(ended, worker_ended);
}
