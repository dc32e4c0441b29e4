//! Secrets in the database: sealed under the operator's keys, found if no key opens them, encrypted anew.

use std::path::Path;

use campaigns_encryption::{EncryptionKey, Keyring};
use campaigns_tests::{Backend, Binary, Finished, TestApp, on_both_databases};
use sea_orm::{ConnectionTrait, Statement};
use uuid::Uuid;

/// Two keys, as `openssl rand -base64 32` prints them.
const OLD: &str = "b2xkIGtleSBvZiB0aGUgdGVzdHMsIDMyIGJ5dGVzIC4=";
const NEW: &str = "bmV3IGtleSBvZiB0aGUgdGVzdHMsIDMyIGJ5dGVzIC4=";

fn keyring(keys: &[&str]) -> Keyring {
    keys.iter().map(|key| EncryptionKey::parse(key).unwrap()).collect()
}

/// Stores a sealed secret, and returns its ID.
async fn store(app: &TestApp, organization: Uuid, keys: &Keyring, secret: &str) -> Uuid {
    let id = Uuid::new_v4();
    let (row, org, webhook) =
        (app.literal(id), app.literal(organization), app.literal(Uuid::new_v4()));
    let placeholder = if app.database.backend == Backend::Postgres { "$1" } else { "?" };
    let sql = format!(
        "INSERT INTO campaign_provider_keys (id, org_id, webhook_id, place, sealed, hint, created_at) VALUES \
         ({row}, {org}, {webhook}, 0, {placeholder}, '…', '2026-01-01T00:00:00+00:00')"
    );
    let sealed = keys.seal(id, secret.as_bytes()).unwrap();
    let statement =
        Statement::from_sql_and_values(app.sql.get_database_backend(), sql, [sealed.into()]);
    app.sql.execute_raw(statement).await.unwrap();
    id
}

async fn stored(app: &TestApp, id: Uuid) -> Vec<u8> {
    let id = app.literal(id);
    let sql = format!("SELECT sealed FROM campaign_provider_keys WHERE id = {id}");
    app.rows(&sql).await[0].try_get("", "sealed").unwrap()
}

async fn run(here: &Path, app: &TestApp, command: &str, keys: &[&str]) -> Finished {
    let mut arguments: Vec<&str> = command.split(' ').collect();
    arguments.extend(["--database-url", &app.database.url]);
    for key in keys {
        arguments.extend(["--encryption-key", key]);
    }
    Binary::run(here, &arguments).await
}

#[on_both_databases]
async fn secrets_are_encrypted_anew_with_the_first_key(app: TestApp) {
    let here = tempfile::tempdir().unwrap();
    let (acme, other) = (app.organization("acme").await, app.organization("other").await);
    let old = keyring(&[OLD]);
    let mut secrets = Vec::new();
    // more than are read at once
    for number in 0..600 {
        let organization = if number % 2 == 0 { acme.id } else { other.id };
        let secret = format!("secret {number}");
        secrets.push((store(&app, organization, &old, &secret).await, secret));
    }
    let rotated = run(here.path(), &app, "secrets rotate", &[NEW, OLD]).await;
    assert_eq!((rotated.code, rotated.err.as_str()), (0, ""), "{}", rotated.out);
    assert_eq!(rotated.out, "600 of 600 secrets were encrypted anew\n");
    let new = keyring(&[NEW]);
    for (id, secret) in &secrets {
        assert_eq!(new.open(*id, &stored(&app, *id).await).unwrap(), secret.as_bytes());
    }
    let again = run(here.path(), &app, "secrets rotate", &[NEW]).await;
    assert_eq!((again.code, again.out.as_str()), (0, "0 of 600 secrets were encrypted anew\n"));
    assert_eq!(run(here.path(), &app, "doctor", &[NEW]).await.code, 0);
}

#[on_both_databases]
async fn a_secret_that_no_key_opens_is_named_and_left_as_it_is(app: TestApp) {
    let here = tempfile::tempdir().unwrap();
    let acme = app.organization("acme").await;
    let kept = store(&app, acme.id, &keyring(&[OLD]), "a").await;
    let lost = store(&app, acme.id, &keyring(&[NEW]), "b").await;
    let before = stored(&app, lost).await;
    let other = "b3RoZXIga2V5IG9mIHRlc3RzLCAzMiBieXRlcyAuLi4=";
    let rotated = run(here.path(), &app, "secrets rotate", &[other, OLD]).await;
    assert_eq!(rotated.code, 1);
    assert!(rotated.err.contains("1 of 2 secrets are not opened"), "{}", rotated.err);
    assert_eq!(stored(&app, lost).await, before);
    assert_eq!(keyring(&[other]).open(kept, &stored(&app, kept).await).unwrap(), b"a");

    let wrong = run(here.path(), &app, "doctor", &[other]).await;
    assert_eq!(wrong.code, 1);
    let named = format!("campaign_provider_keys {lost} of organization {}", acme.id);
    assert!(wrong.out.contains(&named), "{}", wrong.out);
    assert!(!wrong.out.contains(&kept.to_string()), "{}", wrong.out);
    // without a key, no secret can be opened
    let none = run(here.path(), &app, "doctor", &[]).await;
    assert!(none.out.contains("secrets are not opened by any --encryption-key: 2"), "{}", none.out);
    assert_eq!(run(here.path(), &app, "doctor", &[NEW, other]).await.code, 0);
}

#[tokio::test]
async fn an_encryption_key_is_required_to_rotate_and_is_32_bytes() {
    let here = tempfile::tempdir().unwrap();
    let rotate = ["secrets", "rotate", "--database-url", "sqlite://x.db"];
    let missing = Binary::run(here.path(), &rotate).await;
    assert_eq!(missing.code, 2);
    assert!(missing.err.contains("--encryption-key is missing"), "{}", missing.err);
    for wrong in ["short", "", &OLD[..43], &format!("{OLD},{NEW},short")] {
        let key = ["--encryption-key", wrong];
        for command in [&rotate[..], &["serve", "--check"], &["doctor"]] {
            let run = Binary::run(here.path(), &[command, &key].concat()).await;
            assert_eq!(run.code, 2, "{wrong}");
            assert!(run.err.contains("32 random bytes in base64"), "{}", run.err);
        }
    }
}

#[tokio::test]
async fn the_environment_gives_several_keys_separated_by_commas() {
    let here = tempfile::tempdir().unwrap();
    let app = TestApp::on(Backend::Sqlite).start().await;
    let acme = app.organization("acme").await;
    let id = store(&app, acme.id, &keyring(&[OLD]), "secret").await;
    let mut command =
        Binary::command(here.path(), &["secrets", "rotate", "--database-url", &app.database.url])
            .await;
    let run = command.env("CAMPAIGNS_ENCRYPTION_KEY", format!("{NEW},{OLD}")).output();
    let run = Finished::from(run.await.unwrap());
    assert_eq!(run.code, 0, "{}", run.err);
    assert_eq!(keyring(&[NEW]).open(id, &stored(&app, id).await).unwrap(), b"secret");
}
