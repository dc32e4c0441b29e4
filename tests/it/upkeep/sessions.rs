//! The encoding of a database, and the defaults of its sessions.

use std::time::Duration;

use campaigns_tests::{Backend, Binary, Postgres, TestApp, TestDatabase, serve_arguments};
use sea_orm::DatabaseConnection;
use serde_json::json;
use uuid::Uuid;

use super::{campaigns, check, run};

const PATIENCE: Duration = Duration::from_mins(1);
const DELETE: &str = "mutation ($id: ID!) { deleteCampaign(id: $id) { id } }";

/// The name of the database.
fn name(database: &TestDatabase) -> &str {
    database.url.rsplit('/').next().expect("an address has a slash")
}

/// The errors of all commands that have to refuse a database.
async fn refusals(database: &TestDatabase) -> Vec<String> {
    let mut refusals = Vec::new();
    let secret = ["serve", "--listen", "127.0.0.1:0", "--jwt-secret", super::SECRET];
    for arguments in [&["migrate"][..], &["migrate", "--plan"], &["doctor"], &["repair"], &secret] {
        let done = campaigns(database, arguments).await;
        assert_eq!(done.code, 1, "{arguments:?} {} {}", done.out, done.err);
        refusals.push(done.err);
    }
    let checked = check(database).await;
    assert_eq!(checked.code, 1, "{} {}", checked.out, checked.err);
    refusals.push(checked.out);
    refusals
}

#[tokio::test]
async fn a_database_of_another_encoding_is_refused_by_name() {
    let postgres = Postgres::own_with("fsync=off").await;
    let server = postgres.empty_database("server").await;
    for encoding in ["SQL_ASCII", "LATIN1", "EUC_JP"] {
        let sql = server.connect().await;
        let name = encoding.to_lowercase();
        run(
            &sql,
            &format!(
                "CREATE DATABASE {name} ENCODING '{encoding}' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE \
                 template0"
            ),
        )
        .await;
        sql.close().await.unwrap();
        let url = server.url.replace("/server", &format!("/{name}"));
        let database = TestDatabase::at(Backend::Postgres, &url);
        for refusal in refusals(&database).await {
            assert!(
                refusal.contains(&format!("the encoding of the database is {encoding}")),
                "{refusal}"
            );
        }
    }
}

#[tokio::test]
async fn a_file_of_sqlite_in_utf_16_is_refused_with_what_to_do() {
    for encoding in ["UTF-16", "UTF-16le", "UTF-16be"] {
        let database = TestDatabase::empty(Backend::Sqlite).await;
        let sql = database.connect_once().await;
        for statement in
            [&*format!("PRAGMA encoding = '{encoding}'"), "CREATE TABLE theirs (it TEXT)"]
        {
            run(&sql, statement).await;
        }
        sql.close().await.unwrap();
        for refusal in refusals(&database).await {
            assert!(
                refusal.contains("the encoding of the SQLite file is UTF-16")
                    && refusal.contains("sqlite3 OLD .dump | sqlite3 NEW"),
                "{encoding}: {refusal}"
            );
        }
    }
}

/// What `serve` logs when it starts.
async fn log_of_start(url: &str) -> String {
    let here = tempfile::tempdir().unwrap();
    let mut service = Binary::start(here.path(), &serve_arguments(url)).await;
    service.address().await;
    service.ended_log().await
}

#[tokio::test]
async fn a_read_only_database_is_served_and_says_so() {
    let (_postgres, database) = Postgres::own().await;
    let sql = database.connect().await;
    run(&sql, "ALTER DATABASE campaigns SET default_transaction_read_only = on").await;
    let checked = check(&database).await;
    assert_eq!(checked.code, 0, "{} {}", checked.out, checked.err);
    assert!(checked.out.contains("note    the database is read-only"), "{}", checked.out);
    let log = log_of_start(&database.url).await;
    assert!(log.contains("the database is read-only: reads are served"), "{log}");
}

#[tokio::test]
async fn a_file_of_sqlite_that_is_opened_only_for_reading_is_refused() {
    let file = TestDatabase::new(Backend::Sqlite).await;
    let read_only = TestDatabase::at(Backend::Sqlite, &format!("{}?mode=ro", file.url));
    let checked = check(&read_only).await;
    assert_eq!(checked.code, 1, "{} {}", checked.out, checked.err);
    assert!(checked.out.contains("must be able to write the file"), "{}", checked.out);
}

#[tokio::test]
async fn a_standby_is_refused_by_name() {
    let (primary, database) = Postgres::own().await;
    let standby = primary.standby().await;
    let url = Postgres::address_of_all(&[&standby], "campaigns");
    let standby = TestDatabase::at(Backend::Postgres, &url);
    let secret = ["serve", "--listen", "127.0.0.1:0", "--jwt-secret", super::SECRET];
    let served = campaigns(&standby, &secret).await;
    let checked = check(&standby).await;
    for said in [&served.err, &checked.out] {
        assert!(said.contains("the database is a standby"), "{said}");
        assert!(said.contains("give the address of the primary"), "{said}");
    }
    assert_eq!((served.code, checked.code), (1, 1));
    assert_eq!(check(&database).await.code, 0);
}

#[tokio::test]
async fn a_file_of_sqlite_in_a_directory_without_rights_is_named_with_what_to_do() {
    let file = TestDatabase::new(Backend::Sqlite).await;
    let path = std::path::Path::new(file.url.strip_prefix("sqlite://").unwrap()).to_owned();
    let directory = path.parent().unwrap();
    // a file in WAL mode, without the files that belong to it
    let sql = file.connect_once().await;
    run(&sql, "PRAGMA journal_mode = wal").await;
    sql.close().await.unwrap();
    let rights = |path: &std::path::Path, mode| {
        let rights = std::os::unix::fs::PermissionsExt::from_mode(mode);
        std::fs::set_permissions(path, rights).unwrap();
    };
    rights(&path, 0o444);
    rights(directory, 0o555);
    let here = tempfile::tempdir().unwrap();
    rights(here.path(), 0o755);
    let of_root =
        std::os::unix::fs::MetadataExt::uid(&std::fs::metadata(here.path()).unwrap()) == 0;
    for more in [&["--check"][..], &[]] {
        let arguments = [&serve_arguments(&file.url)[..], more].concat();
        let mut command = Binary::command(here.path(), &arguments).await;
        if of_root {
            // rights do not apply to root
            command.uid(65_534).gid(65_534);
        }
        let ended = tokio::time::timeout(PATIENCE, command.output());
        let ended = ended.await.expect("it does not wait for the file").unwrap();
        let said = String::from_utf8_lossy(&[ended.stdout, ended.stderr].concat()).into_owned();
        assert_eq!(ended.status.code(), Some(1), "{said}");
        assert!(
            said.contains(
                "cannot be opened; the user of the service must be able to write the file"
            ),
            "{said}"
        );
    }
    rights(directory, 0o755);
}

#[tokio::test]
async fn sessions_in_which_triggers_do_not_fire_are_refused_by_name() {
    let database = TestDatabase::new(Backend::Postgres).await;
    let sql = database.connect().await;
    let set =
        format!("ALTER DATABASE \"{}\" SET session_replication_role = replica", name(&database));
    run(&sql, &set).await;
    for refusal in refusals(&database).await {
        assert!(
            refusal.contains("session_replication_role is \"replica\" by default"),
            "{refusal}"
        );
    }
}

/// Sets defaults of sessions that would change the meaning of statements or end them early.
async fn set_defaults(sql: &DatabaseConnection, database: &TestDatabase, isolation: &str) {
    for setting in [
        &format!("default_transaction_isolation = '{isolation}'"),
        "default_transaction_deferrable = on",
        "statement_timeout = '200ms'",
        "lock_timeout = '1ms'",
        "idle_in_transaction_session_timeout = '10s'",
        "standard_conforming_strings = off",
        "transform_null_equals = on",
        "row_security = off",
    ] {
        run(sql, &format!("ALTER DATABASE \"{}\" SET {setting}", name(database))).await;
    }
}

#[tokio::test]
async fn migrations_and_commands_end_with_any_defaults_of_sessions() {
    for isolation in ["repeatable read", "serializable"] {
        let database = TestDatabase::empty(Backend::Postgres).await;
        let sql = database.connect().await;
        set_defaults(&sql, &database, isolation).await;
        for arguments in [&["migrate"][..], &["stats", "rebuild"], &["doctor"], &["repair"]] {
            let done = tokio::time::timeout(PATIENCE, campaigns(&database, arguments)).await;
            let done = done.unwrap_or_else(|_| panic!("{arguments:?} does not end"));
            assert_eq!(done.code, 0, "{arguments:?} {} {}", done.out, done.err);
        }
        let down = async {
            for _ in campaigns_migration::names() {
                campaigns_migration::down(&database.url).await.unwrap().expect("one is left");
            }
        };
        tokio::time::timeout(PATIENCE, down).await.expect("it ends");
    }
}

#[tokio::test]
async fn concurrent_changes_of_a_row_succeed_with_any_default_isolation() {
    let database = TestDatabase::new(Backend::Postgres).await;
    let sql = database.connect().await;
    let isolation = format!(
        "ALTER DATABASE \"{}\" SET default_transaction_isolation = 'repeatable read'",
        name(&database)
    );
    run(&sql, &isolation).await;
    let app = TestApp::on_database(database).start().await;
    let acme = app.organization("acme").await;
    acme.populated(5).await;
    let campaign: Uuid =
        app.rows("SELECT id FROM campaigns LIMIT 1").await[0].try_get("", "id").unwrap();
    let rename = "mutation ($id: ID!, $name: String!) { updateCampaign(input: { id: $id, name: $name }) { campaign { id } } }";
    let mut changes = tokio::task::JoinSet::new();
    for number in 0..20 {
        let member = acme.member.clone();
        changes.spawn(async move {
            let name = format!("{number}");
            member.data(rename, json!({ "id": campaign, "name": name })).await
        });
    }
    changes.join_all().await;
    acme.admin.data(DELETE, json!({ "id": campaign })).await;
}
