//! `campaigns serve`.

use std::{io::Write, net::SocketAddr, time::Duration};

use anyhow::{Context, bail};
use campaigns_scope::{BrokenTrigger, ClaimRules, Database, Key, Options, Signer, Verifier};
use chrono::{TimeDelta, Utc};
use tokio::{net::TcpListener, sync::watch};

use super::{
    arguments::{KeySource, Serve, WrongUsage, require_postgres},
    check,
    database::{not_connected, require_migrated},
    process,
    waiting::{self, Bound, Waited},
    worker,
};
use crate::{
    App, Clock, KeyServer, Keys, Pace, Settings, demo, development, logs::Log, metrics::Metrics,
};

/// How long requests can take to finish after the service is told to stop.
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
    let rules = ClaimRules::from(&arguments.claims);
    let given = arguments.keys.source()?;
    let url = arguments.database.get()?;
    let is_worker = arguments.worker.unwrap_or(url.is_none());
    let worker_url = url.clone().unwrap_or_else(|| development::DATABASE_URL.to_owned());
    let schema = arguments.schema.of(&worker_url)?;
    if arguments.row_level_security {
        require_postgres("--row-level-security", &worker_url)?;
    }
    let mut told_to_end = std::pin::pin!(process::told_to_end());
    let mut bound = None;
    let metrics = match arguments.watching.metrics_listen {
        Some(address) => Some(Bound::to(address).await?.into_listener()),
        None => None,
    };
    let (database, source, banner) = match (url, given) {
        (Some(_), None) => {
            bail!("no key to verify tokens with; give --jwt-secret, --jwt-public-key or --jwks-url")
        }
        (Some(url), Some(source)) => {
            let options = options(&arguments, url, false)?;
            let waited = waiting::connect(
                arguments.listen,
                |bound| announce(bound.address()?, metrics.as_ref(), None),
                async || Database::connect(&options, None).await,
                told_to_end.as_mut(),
            );
            let database = match waited.await? {
                Waited::Connected(database, listening) => {
                    bound = listening;
                    database
                }
                Waited::Ended => return Ok(()),
            };
            require_migrated(&database).await?;
            require_triggers(&database).await?;
            if arguments.row_level_security {
                require_row_security(&database, &arguments.row_security.role).await?;
            }
            (database, source, None)
        }
        (None, given) => develop(&arguments, given, &rules).await?,
    };

    let worker = if is_worker {
        let options = Options { schema, ..Options::new(worker_url) };
        Some(worker::Running::start(options, arguments.pooler).await?)
    } else {
        None
    };
    let settings = Settings {
        introspection: !arguments.no_introspection,
        membership_admin_roles: arguments.memberships.admin_roles(),
        documents: arguments.persisted.documents()?,
        cors_origins: arguments.cors_origin,
        issuer: arguments.sign_in.issuer(),
        slow_operation: arguments.watching.slow_operation,
        has_metrics: arguments.watching.metrics_listen.is_none() && !arguments.watching.no_metrics,
        ..arguments.bounds.settings()
    };
    let keys = match source {
        KeySource::Given(key) => Keys::Given(Verifier::new(key, rules)),
        KeySource::Server(url) => {
            let verifier = Verifier::without_keys(rules);
            Keys::Server(KeyServer::start(url, verifier, Pace::default()).await?)
        }
    };
    let app = App::new(database.clone(), keys, Clock::system(), settings);
    let bound = if let Some(bound) = bound {
        bound
    } else {
        let bound = Bound::to(arguments.listen).await?;
        announce(bound.address()?, metrics.as_ref(), banner.as_ref())?;
        bound
    };
    serve(bound.into_listener(), metrics, &app, worker, told_to_end).await;
    match tokio::time::timeout(CLOSING, database.close()).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::warn!(%error, "the database was not closed cleanly"),
        Err(_) => tracing::warn!("the database was not closed in time"),
    }
    Ok(())
}

/// The options of the connection to this address.
pub(super) fn options(
    arguments: &Serve,
    url: String,
    read_only: bool,
) -> Result<Options, WrongUsage> {
    let role = arguments.row_level_security.then(|| arguments.row_security.role.clone());
    Ok(Options {
        pooler: arguments.pooler,
        schema: arguments.schema.of(&url)?,
        row_security_role: role,
        read_only,
        ..arguments.bounds.options(url)
    })
}

/// Rejects a database in which triggers of the feed are missing or turned off, and logs those that
/// a restore has turned into ordinary ones.
pub(super) async fn require_triggers(database: &Database) -> anyhow::Result<()> {
    let broken = database.feed_reader().broken_triggers().await?;
    for BrokenTrigger { table, trigger, fires } in &broken {
        let remedy = format!("ALTER TABLE {table} ENABLE ALWAYS TRIGGER {trigger}");
        if !fires {
            bail!("the trigger {trigger} on {table} is missing or disabled: {remedy}");
        }
        tracing::warn!(
            "the trigger {trigger} on {table} does not fire in replication sessions, as after \
             a restore with --disable-triggers: {remedy}"
        );
    }
    Ok(())
}

/// Rejects a database in which policies would not apply to a role, with the reasons.
pub(super) async fn require_row_security(database: &Database, role: &str) -> anyhow::Result<()> {
    let gaps = database.gaps_in_row_security(role).await?;
    if gaps.is_empty() {
        return Ok(());
    }
    bail!(
        "row security would not apply; `campaigns migrate --with-policies` creates policies where \
         there are none:\n  {}",
        gaps.join("\n  ")
    )
}

/// The output of development mode: tokens for an admin and a member.
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

/// The defaults of development mode.
async fn develop(
    arguments: &Serve,
    given: Option<KeySource>,
    rules: &ClaimRules,
) -> anyhow::Result<(Database, KeySource, Option<Banner>)> {
    campaigns_migration::up(development::DATABASE_URL).await?;
    fill().await?;
    let options = options(arguments, development::DATABASE_URL.to_owned(), false)?;
    let database = Database::connect(&options, None).await.map_err(not_connected)?;
    let secret = match (&arguments.keys.jwt_secret, given) {
        // a public key cannot sign tokens
        (None, Some(source)) => return Ok((database, source, None)),
        (Some(secret), _) => secret.clone().into_bytes(),
        (None, None) => development::secret()?,
    };
    let organizations = database.operator().organizations().await?;
    let organization = organizations
        .iter()
        .find(|organization| organization.id == demo::ORGANIZATIONS[0].id)
        .or(organizations.first())
        .context("the database has no organization")?;
    let signer = Signer::new(&secret, rules.clone())?;
    let now = Utc::now();
    let sign = |role, subject: uuid::Uuid| {
        let expires_at = now + TimeDelta::days(30);
        signer
            .sign(organization.id, role, &subject.to_string(), now, expires_at)
            .map_err(|error| WrongUsage(error.to_string()))
    };
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
) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "listening on http://{address}")?;
    if let Some(metrics) = metrics {
        writeln!(out, "metrics on http://{}/metrics", metrics.local_addr()?)?;
    }
    if let Some(Banner { organization, admin, member }) = banner {
        writeln!(out, "\nDevelopment mode, on campaigns.db ({organization}).")?;
        writeln!(out, "Tokens for 30 days:\n\n  admin   {admin}\n\n  member  {member}\n")?;
        writeln!(out, "Dashboard http://{address}/#token={admin}\n")?;
        writeln!(out, "GraphiQL  http://{address}/graphiql#token={admin}\n")?;
    }
    out.flush()?;
    Ok(())
}

/// Serves until the process is told to stop and its requests are finished.
async fn serve(
    listener: TcpListener,
    metrics: Option<TcpListener>,
    app: &App,
    worker: Option<worker::Running>,
    told_to_end: impl Future<Output = ()>,
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
        () = told_to_end => {}
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
