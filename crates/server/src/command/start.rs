//! What `serve` needs to start, read in one place for `serve` itself and for `serve --check`, which prints what is
//! missing.
//!
//! **Invariant.** Nothing here changes anything: no file is created, no row is written.

use std::{path::PathBuf, sync::Arc};

use anyhow::{Context, bail};
use campaigns_providers::MachineAgents;
use campaigns_scope::{ClaimRules, Database, Options, Signer, Writability};
use chrono::{TimeDelta, Utc};
use uuid::Uuid;

use super::{
    arguments::{KeySource, Serve, WrongUsage, require_postgres},
    database::{
        require_feed_order, require_migrated, require_primary, require_rights,
        require_row_security, require_tables, require_triggers, require_usable,
    },
    output::{self, NotWritten},
};
use crate::{Settings, development, secrets::redacted_error};

/// The findings of a start, and what is missing.
pub(super) struct Report {
    is_shown: bool,
    /// Why the service would not start.
    failures: Vec<anyhow::Error>,
    written: Result<(), NotWritten>,
}

impl Report {
    /// A report that prints nothing and logs its notes.
    pub(super) fn silent() -> Self {
        Self { is_shown: false, failures: Vec::new(), written: Ok(()) }
    }

    /// A report that prints everything to standard output.
    pub(super) fn shown() -> Self {
        Self { is_shown: true, ..Self::silent() }
    }

    /// Reports a result, and returns it if it is a success.
    pub(super) fn record<T>(&mut self, what: &str, result: anyhow::Result<T>) -> Option<T> {
        match result {
            Ok(found) => {
                self.say(&format!("ok      {what}"));
                Some(found)
            }
            Err(error) => {
                self.say(&format!("failed  {what}: {error:#}"));
                self.failures.push(error);
                None
            }
        }
    }

    /// Reports a setting, which is worth a line only if it is wrong.
    fn setting<T>(&mut self, result: anyhow::Result<T>) -> Option<T> {
        self.require("settings", result)
    }

    /// Reports a result that is worth a line only if it is wrong.
    fn require<T>(&mut self, what: &str, result: anyhow::Result<T>) -> Option<T> {
        match result {
            Ok(found) => Some(found),
            wrong => self.record(what, wrong),
        }
    }

    /// Reports something that does not prevent the service from starting.
    pub(super) fn note(&mut self, text: &str) {
        if self.is_shown {
            self.say(&format!("note    {text}"));
        } else {
            tracing::warn!("{text}");
        }
    }

    fn say(&mut self, line: &str) {
        if self.is_shown && self.written.is_ok() {
            self.written = output::line(redacted_error(line));
        }
    }

    /// Whether something is missing.
    ///
    /// # Errors
    /// If the report itself could not be written.
    pub(super) fn has_failures(self) -> Result<bool, NotWritten> {
        self.written?;
        Ok(!self.failures.is_empty())
    }

    /// The first thing that is missing, if anything is.
    pub(super) fn first_failure(self) -> anyhow::Result<()> {
        self.failures.into_iter().next().map_or(Ok(()), Err)
    }
}

/// What is known before the database is reached.
pub(super) struct Start<T = Tokens, O = Options, S = Settings> {
    /// Whether no database was given.
    pub(super) is_development: bool,
    pub(super) rules: ClaimRules,
    pub(super) tokens: T,
    /// How to connect to the database.
    pub(super) options: O,
    pub(super) settings: S,
}

/// A [`Start`] that may lack something.
pub(super) type Parts = Start<Option<Tokens>, Option<Options>, Option<Settings>>;

/// How tokens are verified.
pub(super) enum Tokens {
    /// With keys that are given.
    Verified(KeySource),
    /// With the secret that development mode also signs with; `None` if it still has to create one.
    Signed(Option<Vec<u8>>),
}

impl Parts {
    /// Reads the arguments and the files that they name.
    pub(super) async fn read(arguments: &Serve, report: &mut Report) -> Self {
        let url = report.setting(arguments.database.get());
        let is_development = matches!(url, Some(None));
        let url = url.map(|url| url.unwrap_or_else(|| development::DATABASE_URL.to_owned()));
        let rules = ClaimRules::from(&arguments.claims);
        let tokens = report.record("keys", tokens(arguments, &rules, is_development));
        let keyring = url.as_ref().map(|url| arguments.encryption.keyring_for(url));
        let keyring = keyring.and_then(|keyring| report.setting(keyring));
        let options = url.and_then(|url| report.setting(options(arguments, &url)));
        let documents = arguments.persisted.documents();
        let documents = if arguments.persisted.is_given() {
            report.record("documents", documents)
        } else {
            report.setting(documents)
        };
        let is_local = if is_development {
            let is_local = require_local(arguments, report).await;
            report.setting(is_local)
        } else {
            Some(())
        };
        if arguments.trusts_an_issuer() && rules.audience.is_none() {
            report.note(
                "without --jwt-audience, any token of the issuer with these claims is accepted, even one that it issued \
                 for another service",
            );
        }
        let providers = report.setting(providers(arguments));
        let settings = documents.zip(is_local).zip(keyring).zip(providers);
        let settings = settings.map(|(((documents, ()), keyring), (agents, directory))| Settings {
            introspection: !arguments.no_introspection,
            membership_admin_roles: arguments.memberships.admin_roles(),
            documents,
            keyring,
            machine_agents: agents,
            sns_certificates: directory,
            cors_origins: arguments.cors_origin.clone(),
            public_url: arguments.public_url.clone(),
            sign_in: arguments.sign_in.settings(is_development),
            slow_operation: arguments.watching.slow_operation,
            has_metrics: arguments.watching.metrics_listen.is_none()
                && !arguments.watching.no_metrics,
            ..arguments.bounds.settings()
        });
        Self { is_development, rules, tokens, options, settings }
    }

    /// All of it, if nothing is missing.
    pub(super) fn complete(self) -> Option<Start> {
        let Self { is_development, rules, tokens, options, settings } = self;
        Some(Start {
            is_development,
            rules,
            tokens: tokens?,
            options: options?,
            settings: settings?,
        })
    }
}

/// What webhooks of providers need: user agents of machines, and a directory of certificates.
fn providers(arguments: &Serve) -> anyhow::Result<(Arc<MachineAgents>, Option<PathBuf>)> {
    Ok((arguments.providers.agents()?, arguments.providers.certificates()?))
}

/// The source of keys, which must be given in production.
fn tokens(arguments: &Serve, rules: &ClaimRules, is_development: bool) -> anyhow::Result<Tokens> {
    let secret = match (arguments.keys.source()?, &arguments.keys.jwt_secret) {
        (Some(source), _) if !is_development => return Ok(Tokens::Verified(source)),
        (None, _) if !is_development => {
            bail!("no key to verify tokens with; give --jwt-secret, --jwt-public-key or --jwks-url")
        }
        (_, Some(secret)) => Some(secret.clone().into_bytes()),
        // a public key cannot sign tokens
        (Some(source), None) => return Ok(Tokens::Verified(source)),
        (None, None) => development::existing_secret()?,
    };
    if let Some(secret) = &secret {
        // fails now rather than when the tokens are printed
        let now = Utc::now();
        sign(secret, rules, Uuid::nil(), "member", Uuid::nil(), now + TimeDelta::days(1))?;
    }
    Ok(Tokens::Signed(secret))
}

/// A token of development mode.
pub(super) fn sign(
    secret: &[u8],
    rules: &ClaimRules,
    organization: Uuid,
    role: &str,
    subject: Uuid,
    expires_at: chrono::DateTime<Utc>,
) -> anyhow::Result<String> {
    let signer = Signer::new(secret, rules.clone()).context("the secret cannot sign tokens")?;
    let token = signer.sign(organization, role, &subject.to_string(), Utc::now(), expires_at);
    Ok(token.map_err(|error| WrongUsage(error.to_string()))?)
}

/// The options of the connection to this address.
fn options(arguments: &Serve, url: &str) -> anyhow::Result<Options> {
    if arguments.row_level_security {
        require_postgres("--row-level-security", url)?;
    }
    let role = arguments.row_level_security.then(|| arguments.row_security.role.clone());
    Ok(Options {
        pooler: arguments.pooler,
        schema: arguments.schema.of(url)?,
        row_security_role: role,
        ..arguments.bounds.options(url.to_owned())
    })
}

/// Refuses to expose development mode to other machines, unless that is intended.
async fn require_local(arguments: &Serve, report: &mut Report) -> anyhow::Result<()> {
    for address in arguments.addresses() {
        if address.is_local().await? {
            continue;
        }
        if !arguments.expose_development_mode {
            return Err(WrongUsage(format!(
                "without --database-url this is development mode, which listens on local addresses only, and other \
                 machines can reach {address}; give --database-url, or --expose-development-mode if that is meant"
            ))
            .into());
        }
        report.note(&format!(
            "development mode listens on {address}, which other machines can reach; tokens cross the network as plain \
             text, and a printed one makes anyone who has it an admin"
        ));
    }
    Ok(())
}

/// Reports whether a database has what the service needs.
pub(super) async fn require_database(database: &Database, options: &Options, report: &mut Report) {
    report.require("sessions", require_usable(database).await);
    if report.require("database", require_primary(&options.url).await)
        == Some(Writability::ReadOnly)
    {
        report.note(
            "the database is read-only: reads are served, and changes are refused until it accepts them",
        );
    }
    let migrated = require_migrated(database).await;
    // without permission to look, permissions are what is missing
    let may_not_look = migrated.as_ref().is_err_and(anyhow::Error::is::<campaigns_scope::Error>);
    let is_migrated = report.record("migrations", migrated).is_some();
    // a service without them fails when it needs them
    if report.is_shown && (is_migrated || may_not_look) {
        report.record("rights", require_rights(database).await);
    }
    if is_migrated {
        report.record("tables", require_tables(database).await);
        let switched = report.record("triggers", require_triggers(database).await);
        // while the service runs, its log says so
        if report.is_shown && switched.is_some_and(|switched| !switched.is_empty()) {
            report.note(
                "triggers were turned off for a time, or recreated, as by a restore: rows that were written meanwhile \
                 may not be counted; `campaigns repair` compares and corrects the counts",
            );
        }
        report.record("feed", require_feed_order(database).await);
        if let Some(role) = &options.row_security_role {
            report.record("row security", require_row_security(database, role).await);
        }
    }
}
