//! The command line and its environment variables.

#![expect(clippy::doc_markdown, reason = "clap shows it as it is")]

mod bounds;
mod encryption;
mod file;
mod listen;
mod providers;
mod reference;
mod shell;
mod sign_in;
mod tokens;
mod values;
mod watching;
mod wrong_usage;

use std::{path::PathBuf, str::FromStr, time::Duration};

use campaigns_operation::Documents;
use clap::{Args, Parser, Subcommand, ValueEnum, builder::NonEmptyStringValueParser};
use http::HeaderValue;
use uuid::Uuid;

pub(super) use bounds::Bounds;
pub(super) use encryption::Encryption;
pub(super) use file::ConfigFile;
pub(super) use listen::ListenAddress;
use providers::Providers;
pub(super) use reference::{Reference, Table};
pub(super) use shell::{Completions, Man};
use sign_in::SignIn;
pub(super) use tokens::{Claims, KeySource, Keys, Memberships};
use values::{database_url, lifetime};
pub(super) use watching::Watching;
pub(super) use wrong_usage::{WrongUsage, require_postgres};

use crate::{PublicUrl, public_url::origin, secrets::redacted_path};

/// A heading of `--help`. clap would also apply the heading of a struct to the flags after it.
const CLIENTS: &str = "Clients";
/// A heading of `--help`, for the same reason.
const ROW_SECURITY: &str = "Row security";

/// A GraphQL service for the engagement data of e-mail campaigns.
///
/// Without a command, it serves. Without --database-url, it runs in development mode: on an embedded
/// database in the working directory, with demo data and ready-to-use tokens.
#[derive(Debug, Parser)]
#[command(name = "campaigns", version, args_conflicts_with_subcommands = true)]
pub(super) struct Arguments {
    #[command(subcommand)]
    pub(super) command: Option<Command>,
    #[command(flatten)]
    pub(super) serve: Serve,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Serves (the default).
    Serve(Box<Serve>),
    /// Brings the database up to date, lists the migrations, or undoes the last one.
    Migrate(Migrate),
    /// Prints a token.
    Token(Token),
    /// Loads the demo data into a database without campaigns.
    Demo(Demo),
    /// Compares the running counts with a recount, or stores a recount.
    Stats(Stats),
    /// Starts scheduled campaigns at their time, and completes campaigns that have been sent. Any number
    /// of workers can run. Does not deliver messages.
    Worker(Worker),
    /// Lists problems in data from other programs, each with its rows and a remedy. Exits with 1 if
    /// there is one.
    Doctor(Doctor),
    /// Repairs the effects of a restore, replication, or programs that turned triggers off, while
    /// others write: lets all triggers of the service fire, adds the events that they have missed
    /// to the feed, and recounts wrong counts. Connects to the database itself, as the owner of the
    /// tables.
    Repair(Repair),
    /// Encrypts secrets in the database anew, with the first --encryption-key, while others use them. Exits with 1 if
    /// there is a secret that no key opens.
    Secrets(Secrets),
    /// Prints the GraphQL schema in SDL.
    Schema,
    /// Prints each setting of `serve` with its source, as TOML. Secrets are hidden.
    Config(Box<Serve>),
    /// Prints a script that completes commands in a shell.
    Completions(Completions),
    /// Prints a manual page.
    Man(Man),
    /// Prints a table of the documentation, in Markdown.
    #[command(hide = true)]
    Reference(Reference),
}

/// The persisted documents.
#[derive(Debug, Args)]
#[command(next_help_heading = CLIENTS)]
pub(super) struct Persisted {
    /// A JSON file of documents by the SHA-256 of their text, as graphql-codegen and relay-compiler
    /// write it. Clients may send the id as documentId.
    #[arg(long, value_name = "FILE")]
    persisted_documents: Option<PathBuf>,
    /// Executes only the documents of --persisted-documents; the pages at / and /graphiql then do not work.
    #[arg(long, requires = "persisted_documents")]
    persisted_documents_only: bool,
}

impl Persisted {
    pub(super) fn is_given(&self) -> bool {
        self.persisted_documents.is_some()
    }

    /// The documents of the file, if one is given.
    pub(super) fn documents(&self) -> anyhow::Result<Documents> {
        let Some(file) = &self.persisted_documents else { return Ok(Documents::default()) };
        let wrong = |error: &dyn std::error::Error| {
            WrongUsage(format!("--persisted-documents {}: {error}", redacted_path(file)))
        };
        let text = std::fs::read(file).map_err(|error| wrong(&error))?;
        let documents = serde_json::from_slice(&text).map_err(|error| wrong(&error))?;
        Ok(Documents::new(documents, self.persisted_documents_only)
            .map_err(|error| wrong(&error))?)
    }
}

#[derive(Debug, Args)]
pub(super) struct Doctor {
    #[command(flatten)]
    pub(super) file: ConfigFile,
    #[command(flatten)]
    pub(super) database: DatabaseUrl,
    #[command(flatten)]
    pub(super) schema: Schema,
    #[command(flatten)]
    pub(super) encryption: Encryption,
    /// Maximum number of rows to list for each problem.
    #[arg(long, value_name = "NUMBER", default_value_t = 20)]
    pub(super) rows: u32,
}

#[derive(Debug, Args)]
pub(super) struct Repair {
    #[command(flatten)]
    pub(super) file: ConfigFile,
    #[command(flatten)]
    pub(super) database: DatabaseUrl,
    #[command(flatten)]
    pub(super) schema: Schema,
}

#[derive(Debug, Args)]
pub(super) struct Secrets {
    #[command(flatten)]
    pub(super) file: ConfigFile,
    /// What to do.
    #[arg(value_enum)]
    pub(super) action: SecretsAction,
    #[command(flatten)]
    pub(super) database: DatabaseUrl,
    #[command(flatten)]
    pub(super) schema: Schema,
    #[command(flatten)]
    pub(super) encryption: Encryption,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum SecretsAction {
    /// Encrypt each secret with the first key.
    Rotate,
}

#[derive(Debug, Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag")]
pub(super) struct Serve {
    #[command(flatten)]
    pub(super) file: ConfigFile,
    /// Checks whether the service would start, and changes nothing. Exits with 1 if it would not.
    #[arg(long)]
    pub(super) check: bool,
    /// The address to listen on: an IP address or a name, and a port. Port 0 picks a free port. Development mode
    /// refuses an address that other machines can reach, unless --expose-development-mode is given.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8080")]
    pub(super) listen: ListenAddress,
    /// Lets development mode listen on an address that other machines can reach. Tokens then cross the network in plain
    /// text, and anyone who has a printed one is an admin.
    #[arg(long)]
    pub(super) expose_development_mode: bool,
    #[command(flatten)]
    pub(super) database: DatabaseUrl,
    #[command(flatten)]
    pub(super) schema: Schema,
    /// The database is behind a pooler that serves each transaction on any of its connections.
    /// A pooler that rejects startup parameters, such as PgBouncer, is detected without this flag.
    #[arg(long)]
    pub(super) pooler: bool,
    /// Also does the work of `campaigns worker`, which is the default in development mode only. Turn it off with
    /// --worker=false.
    #[arg(
        long,
        value_name = "BOOL",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "true"
    )]
    pub(super) worker: Option<bool>,
    #[command(flatten)]
    pub(super) keys: Keys,
    #[command(flatten)]
    pub(super) claims: Claims,
    #[command(flatten)]
    pub(super) memberships: Memberships,
    #[command(flatten)]
    pub(super) encryption: Encryption,
    #[command(flatten)]
    pub(super) providers: Providers,
    #[command(flatten)]
    pub(super) sign_in: SignIn,
    /// Runs each statement of a viewer under a PostgreSQL role, with the token's claims in
    /// request.jwt.claims, so that row security policies apply in addition.
    #[arg(long, help_heading = ROW_SECURITY)]
    pub(super) row_level_security: bool,
    #[command(flatten)]
    pub(super) row_security: RowSecurity,
    #[command(flatten)]
    pub(super) persisted: Persisted,
    #[command(flatten)]
    pub(super) bounds: Bounds,
    #[command(flatten)]
    pub(super) watching: Watching,
    /// Turns introspection of the schema off.
    #[arg(long, help_heading = CLIENTS)]
    pub(super) no_introspection: bool,
    /// An origin, such as <https://app.example.com>, that is allowed to send requests from its pages.
    /// Repeatable.
    #[arg(
        long,
        value_name = "URL",
        value_delimiter = ',',
        value_parser = origin,
        help_heading = CLIENTS
    )]
    pub(super) cors_origin: Vec<HeaderValue>,
    /// The address at which users reach the service, such as <https://mail.example.com>, if a proxy
    /// forwards another name or port. With a path, such as <https://example.com/mail>, the service
    /// answers below it as well as at the root, so the proxy can pass the path on or remove it.
    #[arg(
        long,
        value_name = "URL",
        value_parser = PublicUrl::from_str,
        help_heading = CLIENTS
    )]
    pub(super) public_url: Option<PublicUrl>,
}

impl Serve {
    /// The addresses to listen on.
    pub(super) fn addresses(&self) -> impl Iterator<Item = &ListenAddress> {
        [Some(&self.listen), self.watching.metrics_listen.as_ref()].into_iter().flatten()
    }

    /// Whether tokens or people come from an issuer, which may issue tokens for other services as well.
    pub(super) fn trusts_an_issuer(&self) -> bool {
        self.keys.has_server() || self.sign_in.has_issuer()
    }
}

#[derive(Debug, Args)]
pub(super) struct DatabaseUrl {
    /// The address of the database, postgres://HOST/NAME or sqlite://FILE, also read from DATABASE_URL. Of several
    /// hosts, separated by commas, the one that accepts writes is used.
    #[arg(
        long,
        value_name = "URL",
        hide_env_values = true,
        value_parser = database_url
    )]
    database_url: Option<String>,
}

impl DatabaseUrl {
    /// The address, if one is given.
    pub(super) fn get(&self) -> anyhow::Result<Option<String>> {
        match (&self.database_url, std::env::var("DATABASE_URL")) {
            (Some(url), _) => Ok(Some(url.clone())),
            // an unset variable of a deployment's own must not start the development mode
            (None, Ok(url)) if url.is_empty() => Err(WrongUsage(
                "DATABASE_URL is empty; set it to an address, or unset it".to_owned(),
            )
            .into()),
            (None, Ok(url)) => match database_url(&url) {
                Ok(url) => Ok(Some(url)),
                Err(why) => Err(WrongUsage(format!("DATABASE_URL: {why}")).into()),
            },
            _ => Ok(None),
        }
    }

    /// The address, which must be given.
    pub(super) fn require(&self) -> anyhow::Result<String> {
        self.get()?.ok_or_else(|| WrongUsage("--database-url is missing".to_owned()).into())
    }
}

/// The role that policies apply to.
#[derive(Debug, Args)]
pub(super) struct RowSecurity {
    /// The PostgreSQL role that row security policies apply to.
    #[arg(
        long = "row-level-security-role",
        value_name = "ROLE",
        default_value = "authenticated",
        help_heading = ROW_SECURITY
    )]
    pub(super) role: String,
}

#[derive(Debug, Args)]
pub(super) struct Migrate {
    #[command(flatten)]
    pub(super) file: ConfigFile,
    /// What to do.
    #[arg(value_enum, default_value_t = MigrateAction::Up)]
    pub(super) action: MigrateAction,
    /// Also turns on row security, with policies for members and admins, on tables that have none.
    #[arg(long)]
    pub(super) with_policies: bool,
    #[command(flatten)]
    pub(super) row_security: RowSecurity,
    #[command(flatten)]
    pub(super) database: DatabaseUrl,
    #[command(flatten)]
    pub(super) schema: Schema,
    /// Prints the SQL that would be run and what it locks, and changes nothing.
    #[arg(long)]
    pub(super) plan: bool,
    /// Adopts tables from another program without asking first.
    #[arg(long)]
    pub(super) yes: bool,
}

/// The schema of the tables in the database.
#[derive(Debug, Args)]
pub(super) struct Schema {
    /// The PostgreSQL schema that contains the tables, instead of the first one on the search path.
    /// Tables of organizations, users and contacts can also be in public.
    #[arg(long, value_name = "NAME")]
    schema: Option<String>,
}

impl Schema {
    /// The configured schema of this database, if any.
    pub(super) fn of(&self, url: &str) -> Result<Option<String>, WrongUsage> {
        match &self.schema {
            Some(_) => require_postgres("--schema", url).map(|()| self.schema.clone()),
            None => Ok(None),
        }
    }
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum MigrateAction {
    /// Bring the database up to date.
    Up,
    /// List the applied and the pending migrations.
    Status,
    /// Undo the last migration.
    Down,
}

#[derive(Debug, Args)]
pub(super) struct Token {
    #[command(flatten)]
    pub(super) file: ConfigFile,
    /// The organization's ID.
    #[arg(long, value_name = "UUID")]
    pub(super) org: Uuid,
    /// The role: admin and owner can delete, any other is a member.
    #[arg(long, default_value = "member")]
    pub(super) role: String,
    /// The subject: a user's auth_id or ID, or any name.
    #[arg(
        long,
        value_name = "ID",
        default_value = "campaigns-token",
        value_parser = NonEmptyStringValueParser::new()
    )]
    pub(super) subject: String,
    /// The time until the token expires.
    #[arg(
        long,
        value_name = "DURATION",
        default_value = "1h",
        value_parser = lifetime
    )]
    pub(super) ttl: Duration,
    /// The secret to sign with. The default is the development secret.
    #[arg(long, value_name = "SECRET", hide_env_values = true)]
    pub(super) jwt_secret: Option<String>,
    #[command(flatten)]
    pub(super) claims: Claims,
}

#[derive(Debug, Args)]
pub(super) struct Demo {
    #[command(flatten)]
    pub(super) file: ConfigFile,
    #[command(flatten)]
    pub(super) database: DatabaseUrl,
    #[command(flatten)]
    pub(super) schema: Schema,
}

#[derive(Debug, Args)]
pub(super) struct Worker {
    #[command(flatten)]
    pub(super) file: ConfigFile,
    #[command(flatten)]
    pub(super) database: DatabaseUrl,
    #[command(flatten)]
    pub(super) schema: Schema,
    /// The database is behind a pooler, as with `campaigns serve`.
    #[arg(long)]
    pub(super) pooler: bool,
}

#[derive(Debug, Args)]
pub(super) struct Stats {
    #[command(flatten)]
    pub(super) file: ConfigFile,
    /// What to do.
    #[arg(value_enum)]
    pub(super) action: StatsAction,
    #[command(flatten)]
    pub(super) database: DatabaseUrl,
    #[command(flatten)]
    pub(super) schema: Schema,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum StatsAction {
    /// Recount everything and print each count that differs. Exits with 1 if there is one.
    Check,
    /// Recount everything and store the result, while others write.
    Rebuild,
}
