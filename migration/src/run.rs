//! A run of migrations, one at a time.

use std::time::Duration;

use sea_orm_migration::sea_orm::{
    ConnectionTrait, DatabaseConnection, DatabaseTransaction, DbBackend, DbErr,
    SqliteTransactionMode, Statement, TransactionOptions, TransactionTrait,
};

use crate::{Error, Target};

/// An arbitrary number, the same in every process that migrates.
const LOCK: i64 = 0x6361_6d70_6169_676e;

/// A run, protected from other runs.
pub(crate) struct Run {
    pub(crate) db: DatabaseConnection,
    pub(crate) lock: Lock,
}

/// The lock that keeps other runs out.
pub(crate) enum Lock {
    /// The transaction that contains the whole run.
    All(DatabaseTransaction),
    /// A transaction beside the run, on its own connection.
    Separate(DatabaseConnection, DatabaseTransaction),
}

impl Run {
    pub(crate) async fn begin(target: &Target, create: bool) -> Result<Self, Error> {
        let db = target.connect(create).await?;
        let lock = if db.get_database_backend() == DbBackend::Postgres {
            let connection = target.connect(false).await?;
            let transaction = connection.begin().await?;
            let never = "SET LOCAL idle_in_transaction_session_timeout = 0";
            transaction.execute_unprepared(never).await?;
            wait_for_others(&transaction).await?;
            Lock::Separate(connection, transaction)
        } else {
            let options = TransactionOptions {
                sqlite_transaction_mode: Some(SqliteTransactionMode::Immediate),
                ..TransactionOptions::default()
            };
            Lock::All(db.begin_with_options(options).await?)
        };
        Ok(Self { db, lock })
    }

    /// Ends the run. In SQLite, rolls it back if it failed.
    pub(crate) async fn end<T>(self, done: Result<T, Error>) -> Result<T, Error> {
        match self.lock {
            Lock::All(transaction) if done.is_ok() => transaction.commit().await?,
            Lock::All(transaction) => transaction.rollback().await?,
            Lock::Separate(connection, transaction) => {
                transaction.rollback().await?;
                connection.close().await?;
            }
        }
        self.db.close().await?;
        done
    }
}

/// Waits for the lock by polling: an index is not created while a statement runs, and a statement
/// that waited here would be one.
async fn wait_for_others(transaction: &DatabaseTransaction) -> Result<(), DbErr> {
    loop {
        let statement = Statement::from_string(
            DbBackend::Postgres,
            format!("SELECT pg_try_advisory_xact_lock({LOCK}) AS taken"),
        );
        let row = transaction.query_one_raw(statement).await?;
        if row.map_or(Ok(false), |row| row.try_get("", "taken"))? {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}
