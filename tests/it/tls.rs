//! Connections to PostgreSQL over TLS.

use std::time::Duration;

use campaigns_scope::{Database, Options};
use campaigns_tests::{Backend, Postgres, TestApp, TestDatabase, until};
use sea_orm::{ConnectionTrait, DatabaseConnection, Statement};
use serde_json::json;

const PATIENCE: Duration = Duration::from_mins(2);

/// A certificate of this address, and its key, in PEM.
fn certificate(address: &str) -> (String, String) {
    let made = rcgen::generate_simple_self_signed([address.to_owned()]).unwrap();
    (made.cert.pem(), made.signing_key.serialize_pem())
}

/// Makes a server accept TLS with a certificate.
async fn turn_on_tls(sql: &DatabaseConnection, (certificate, key): &(String, String)) {
    for (file, text) in [("server.crt", certificate), ("server.key", key)] {
        // written by the server itself, whose key no one else can read
        let write = format!(
            "COPY (SELECT line FROM unnest(string_to_array('{text}', E'\\n')) AS line) \
             TO PROGRAM 'umask 077; cat > {file}'"
        );
        sql.execute_unprepared(&write).await.unwrap();
    }
    sql.execute_unprepared("ALTER SYSTEM SET ssl = on").await.unwrap();
    sql.execute_unprepared("SELECT pg_reload_conf()").await.unwrap();
}

async fn count(sql: &DatabaseConnection, rows: &str) -> i64 {
    let select = format!("SELECT count(*) AS count FROM {rows}");
    let select = Statement::from_string(sql.get_database_backend(), select);
    sql.query_one_raw(select).await.unwrap().unwrap().try_get("", "count").unwrap()
}

#[tokio::test]
async fn the_database_is_reached_over_tls_if_its_certificate_is_the_expected_one() {
    let (_postgres, database) = Postgres::own().await;
    let sql = database.connect().await;
    let own = certificate("127.0.0.1");
    turn_on_tls(&sql, &own).await;
    let is_on = async || count(&sql, "pg_settings WHERE name = 'ssl' AND setting = 'on'").await;
    until("TLS is on", PATIENCE, async || is_on().await == 1).await;

    let directory = tempfile::tempdir().unwrap();
    let verifying = |name: &str, certificate: &str| {
        let file = directory.path().join(name);
        std::fs::write(&file, certificate).unwrap();
        format!("{}?sslmode=verify-full&sslrootcert={}", database.url, file.display())
    };
    let (expected, other) =
        (verifying("own.pem", &own.0), verifying("other.pem", &certificate("127.0.0.1").0));
    let refused = Database::connect(&Options::new(&other), None).await;
    let refused = refused.err().map(|error| error.to_string()).unwrap_or_default();
    assert!(refused.to_lowercase().contains("certificate"), "{refused}");

    let app = TestApp::on_database(TestDatabase::at(Backend::Postgres, &expected)).start().await;
    let acme = app.organization("acme").await;
    acme.member.data("{ feedCursor }", json!({})).await;
    let secured = "pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE ssl";
    assert!(count(&sql, secured).await > 0);
}
