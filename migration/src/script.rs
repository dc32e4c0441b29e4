//! Records what a run would do, instead of doing it.
//!
//! **Invariant.** While a run is recorded ([`recorded`]), no statement that writes is sent: each
//! goes through [`crate::made::execute`] or [`crate::steps`], which call [`record`] first.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, PoisonError},
};

/// A statement that a run would send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Planned {
    /// The migration that it belongs to.
    pub migration: String,
    /// Its text.
    pub sql: String,
    /// What it locks, and for how long.
    pub locks: String,
}

/// The effect of a statement on other programs.
pub(crate) enum Effect<'a> {
    /// It creates an object of the service.
    Own,
    /// It locks tables against writers, and gives up if it would have to wait.
    Moment,
    /// It fills rows, a few at a time.
    Batches(&'a str),
    /// It reads a whole table.
    Reads(&'a str),
    /// It creates an index.
    Index(&'a str),
    /// It counts an organization.
    Counts,
}

#[derive(Default)]
struct Script {
    migration: String,
    statements: Vec<Planned>,
    made: BTreeSet<String>,
    /// Whether nothing is remembered in the database yet.
    is_first: bool,
}

tokio::task_local! {
    static SCRIPT: Arc<Mutex<Script>>;
}

/// Records what `run` would do. With `is_first`, nothing was migrated before.
pub(crate) async fn recorded<E>(
    is_first: bool,
    run: impl Future<Output = Result<(), E>>,
) -> Result<Vec<Planned>, E> {
    let script = Arc::new(Mutex::new(Script { is_first, ..Script::default() }));
    SCRIPT.scope(Arc::clone(&script), run).await?;
    let mut script = script.lock().unwrap_or_else(PoisonError::into_inner);
    Ok(std::mem::take(&mut script.statements))
}

fn with<T>(act: impl FnOnce(&mut Script) -> T) -> Option<T> {
    // an actual run records nothing
    SCRIPT.try_with(|script| act(&mut script.lock().unwrap_or_else(PoisonError::into_inner))).ok()
}

/// Whether the run is recorded.
pub(crate) fn is_recording() -> bool {
    with(|_| ()).is_some()
}

/// Sets the migration that the following statements belong to.
pub(crate) fn begin(migration: &str) {
    with(|script| migration.clone_into(&mut script.migration));
}

/// Records a statement, and returns whether the run is recorded.
pub(crate) fn record(sql: &str, effect: Effect<'_>) -> bool {
    let refers = sql.starts_with("CREATE TABLE") && sql.contains("REFERENCES");
    let locks = match effect {
        Effect::Own if refers => {
            "the tables that it refers to against writers, for a few milliseconds; gives up and tries \
             again if it would wait for more than 30 ms"
                .to_owned()
        }
        Effect::Own => "nothing that existed before".to_owned(),
        Effect::Moment => {
            "its tables against writers, for a few milliseconds; gives up and tries again if it would \
             wait for more than 30 ms"
                .to_owned()
        }
        Effect::Batches(table) => format!(
            "a few hundred rows at a time, for about 20 ms, until all of {table} is filled; can be \
             interrupted, and continues where it stopped"
        ),
        Effect::Reads(table) => {
            format!("nothing against readers and writers; reads all of {table}")
        }
        Effect::Index(table) => format!(
            "nothing against readers and writers; reads all of {table} twice, and waits for open \
             transactions"
        ),
        Effect::Counts => {
            "nothing against readers and writers; reads the sends and events of one organization at a time"
                .to_owned()
        }
    };
    with(|script| {
        let (migration, sql) = (script.migration.clone(), sql.to_owned());
        script.statements.push(Planned { migration, sql, locks });
    })
    .is_some()
}

/// Records that the run would create an object with this name.
pub(crate) fn remember(name: &str) {
    with(|script| script.made.insert(name.to_owned()));
}

/// Whether the run would have created this object, or `None` if only the database knows.
pub(crate) fn would_be_made(name: &str) -> Option<bool> {
    with(|script| match script.made.contains(name) {
        true => Some(true),
        false if script.is_first => Some(false),
        false => None,
    })
    .flatten()
}
