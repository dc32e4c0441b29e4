//! The hosts in a PostgreSQL URL. There can be several, separated by commas as in libpq
//! (<https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-MULTIPLE-HOSTS>). Connections go to
//! the one that accepts writes.
//!
//! **Invariant.** With several hosts, no connection is opened to a standby.

use std::{
    fs::OpenOptions,
    io::ErrorKind,
    str::FromStr,
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use sea_orm::sqlx::{
    self, ConnectOptions, Connection, Executor, Row,
    postgres::{PgConnectOptions, PgConnection},
    sqlite::SqliteConnectOptions,
};
use tokio::time::timeout;

use super::{Failure, link::MAX_PREPARED};

/// The connect timeout of each of several hosts.
const PATIENCE: Duration = Duration::from_secs(3);
/// The connect timeout of a single host, if none is configured. A suspended host takes seconds to
/// resume.
const ALONE: Duration = Duration::from_secs(10);

/// The parameter of libpq that is ignored, because it always applies here.
const TARGET: &str = "target_session_attrs";

/// The parameters that the driver supports. It would log others, such as `sslpassword`, with their
/// values.
const KNOWN: [&str; 19] = [
    "application_name",
    "dbname",
    "host",
    "hostaddr",
    "options",
    "password",
    "port",
    "ssl-ca",
    "ssl-cert",
    "ssl-key",
    "ssl-mode",
    "ssl-root-cert",
    "sslcert",
    "sslkey",
    "sslmode",
    "sslrootcert",
    "statement-cache-capacity",
    "user",
    TARGET,
];

/// The hosts of a database.
pub(super) struct Hosts {
    options: Vec<PgConnectOptions>,
    /// The index of the host that last accepted writes.
    last: AtomicUsize,
}

/// An established connection, and the process that serves it.
pub(super) struct ServerConnection {
    pub(super) connection: PgConnection,
    pub(super) process: i32,
}

impl Hosts {
    pub(super) fn of(url: &str) -> Result<Self, sqlx::Error> {
        let of_host = |url: &String| {
            let options = PgConnectOptions::from_str(url)?;
            // a pooler refuses extra_float_digits
            let options = options.application_name("campaigns").extra_float_digits(None);
            Ok(options.statement_cache_capacity(MAX_PREPARED).disable_statement_logging())
        };
        let options: Result<_, sqlx::Error> = addresses(url).iter().map(of_host).collect();
        Ok(Self { options: options?, last: AtomicUsize::new(0) })
    }

    /// The same hosts, with changed options.
    pub(super) fn map(&self, change: impl Fn(PgConnectOptions) -> PgConnectOptions) -> Self {
        let options = self.options.iter().cloned().map(change).collect();
        Self { options, last: AtomicUsize::new(self.last.load(Ordering::Relaxed)) }
    }

    /// Connects to the host that accepts writes, if there are several. A single host is not
    /// queried: a pooler would need a server for that.
    pub(super) async fn connect_to_pooler(&self) -> Result<PgConnection, Failure> {
        match &self.options[..] {
            [only] => Ok(PgConnection::connect_with(only).await?),
            _ => Ok(self.connect().await?.connection),
        }
    }

    /// Connects to the host that accepts writes, if there are several.
    pub(super) async fn connect(&self) -> Result<ServerConnection, Failure> {
        let count = self.options.len();
        let first = self.last.load(Ordering::Relaxed);
        let mut why = None;
        for index in (first..first + count).map(|index| index % count) {
            let options = &self.options[index];
            if count == 1 {
                return Ok(connect(options).await?.0);
            }
            match timeout(PATIENCE, connect(options)).await {
                Ok(Ok((connected, false))) => {
                    self.last.store(index, Ordering::Relaxed);
                    return Ok(connected);
                }
                Ok(Ok((connected, true))) => {
                    tokio::spawn(timeout(PATIENCE, connected.connection.close()));
                    why = why.or(Some(std::io::Error::other("it is a standby").into()));
                }
                // an error of another host, such as a wrong password, is more useful
                Ok(Err(error)) => why = Some(error),
                Err(_) => {
                    let late = std::io::Error::from(ErrorKind::TimedOut);
                    why = why.or(Some(late.into()));
                }
            }
        }
        Err(why.unwrap_or(sqlx::Error::PoolClosed).into())
    }
}

/// Connects, and returns whether the host is a standby.
async fn connect(options: &PgConnectOptions) -> Result<(ServerConnection, bool), sqlx::Error> {
    let mut connection = PgConnection::connect_with(options).await?;
    let asked = "SELECT pg_backend_pid(), pg_is_in_recovery()";
    let row = connection.fetch_one(asked).await?;
    Ok((ServerConnection { process: row.try_get(0)?, connection }, row.try_get(1)?))
}

/// The URL of each host in a URL.
fn addresses(url: &str) -> Vec<String> {
    let Some((scheme, rest)) = url.split_once("://") else { return vec![url.to_owned()] };
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    let (user, hosts) = match authority.rsplit_once('@') {
        Some((user, hosts)) => (format!("{user}@"), hosts),
        None => (String::new(), authority),
    };
    let (path, query) = path.split_once('?').unwrap_or((path, ""));
    let mut query: Vec<String> =
        query.split('&').filter(|parameter| is_passed_on(parameter)).map(str::to_owned).collect();
    // libpq accepts a user without a host, which is no valid URL: the host is a parameter, or the
    // local socket
    let user = if hosts.is_empty() {
        query.extend(as_parameters(&user));
        ""
    } else {
        &user
    };
    let mark = if query.is_empty() { "" } else { "?" };
    let end = format!("{path}{mark}{}", query.join("&"));
    hosts.split(',').map(|host| format!("{scheme}://{user}{host}{end}")).collect()
}

/// Whether a parameter is passed to the driver.
fn is_passed_on(parameter: &str) -> bool {
    let name = parameter.split('=').next().unwrap_or_default();
    let is_option = ["options[", "options%5B", "options%5b"];
    let is_option = is_option.iter().any(|start| name.starts_with(start));
    let is_known = KNOWN.contains(&name) || is_option || name.is_empty();
    if !is_known {
        tracing::warn!(parameter = name, "an unknown parameter of the database URL is ignored");
    }
    is_known && !name.is_empty() && name != TARGET
}

/// The user and password before a host, as parameters.
fn as_parameters(user: &str) -> Vec<String> {
    let user = user.strip_suffix('@').unwrap_or(user);
    let (name, password) = match user.split_once(':') {
        Some((name, password)) => (name, Some(password)),
        None => (user, None),
    };
    // characters with a meaning in a query, but not before a host
    let escaped = |text: &str| text.replace('&', "%26").replace('+', "%2B");
    let name = (!name.is_empty()).then(|| format!("user={}", escaped(name)));
    let password = password.map(|password| format!("password={}", escaped(password)));
    name.into_iter().chain(password).collect()
}

/// The address of the host that accepts writes: see [`crate::primary`].
pub(crate) async fn primary(url: &str) -> Result<String, Failure> {
    if !url.starts_with("postgres") {
        return Ok(url.to_owned());
    }
    let hosts = Hosts::of(url).map_err(Failure::from)?;
    let late = |_| Failure::from(sqlx::Error::from(std::io::Error::from(ErrorKind::TimedOut)));
    let all = ALONE.max(PATIENCE * u32::try_from(hosts.options.len()).unwrap_or(u32::MAX));
    let ServerConnection { connection, .. } =
        timeout(all, hosts.connect()).await.map_err(late)??;
    connection.close().await.map_err(Failure::from)?;
    Ok(addresses(url).swap_remove(hosts.last.load(Ordering::Relaxed)))
}

/// What a database accepts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Writability {
    /// Changes.
    Writable,
    /// Only reads, by a setting.
    ReadOnly,
    /// Only reads, and no functions that need transactions: it is a standby of PostgreSQL.
    Standby,
}

/// What the database accepts: see [`crate::writability`].
pub(crate) async fn writability(url: &str) -> Result<Writability, Failure> {
    if !url.starts_with("postgres") {
        let options = SqliteConnectOptions::from_str(url)?;
        let path = options.get_filename();
        // opening it changes nothing
        let is_writable = !path.exists() || OpenOptions::new().write(true).open(path).is_ok();
        // in WAL mode, readers write as well
        return if is_writable && !url.contains("mode=ro") {
            Ok(Writability::Writable)
        } else {
            Err(Failure::NotOpened(path.to_owned()))
        };
    }
    let hosts = Hosts::of(url)?;
    let asked = async {
        let mut connection = hosts.connect_to_pooler().await?;
        let sql = "SELECT pg_is_in_recovery(), current_setting('transaction_read_only') = 'on'";
        let row = connection.fetch_one(sql).await?;
        let (is_standby, is_read_only) = (row.try_get(0)?, row.try_get(1)?);
        connection.close().await?;
        Ok::<_, Failure>(match (is_standby, is_read_only) {
            (true, _) => Writability::Standby,
            (false, true) => Writability::ReadOnly,
            (false, false) => Writability::Writable,
        })
    };
    let late = |_| Failure::from(sqlx::Error::from(std::io::Error::from(ErrorKind::TimedOut)));
    timeout(ALONE, asked).await.map_err(late)?
}

#[cfg(test)]
mod tests {
    use std::str::FromStr;

    use super::addresses;

    #[test]
    fn each_host_has_an_address_of_its_own() {
        assert_eq!(addresses("postgres://db.example/x"), ["postgres://db.example/x"]);
        assert_eq!(
            addresses(
                "postgres://me:a,b@one.example:5433,two.example/x?sslmode=require&target_session_attrs=read-write"
            ),
            [
                "postgres://me:a,b@one.example:5433/x?sslmode=require",
                "postgres://me:a,b@two.example/x?sslmode=require",
            ]
        );
        assert_eq!(
            addresses("postgresql://[::1],[::2]:6000/x?target_session_attrs=primary"),
            ["postgresql://[::1]/x", "postgresql://[::2]:6000/x"]
        );
    }

    #[test]
    fn a_user_without_a_host_is_accepted() {
        for (address, as_url) in [
            ("postgres://u@/db?host=/socket", "postgres:///db?host=/socket&user=u"),
            (
                "postgres://u:p+&%40w@/db?host=/socket",
                "postgres:///db?host=/socket&user=u&password=p%2B%26%40w",
            ),
            ("postgres://u@/db", "postgres:///db?user=u"),
            ("postgres://u:p@@/db", "postgres:///db?user=u&password=p@"),
            ("postgres:///db?host=/socket", "postgres:///db?host=/socket"),
        ] {
            assert_eq!(addresses(address), [as_url]);
            assert!(super::PgConnectOptions::from_str(as_url).is_ok(), "{as_url}");
        }
    }

    #[test]
    fn unknown_parameters_are_not_passed_to_the_driver() {
        assert_eq!(
            addresses(
                "postgres://h/db?sslpassword=hunter2&sslmode=require&options[jit]=off&options%5Bx%5D=y&x"
            ),
            ["postgres://h/db?sslmode=require&options[jit]=off&options%5Bx%5D=y"]
        );
    }
}
