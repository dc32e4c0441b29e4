//! Each organization's feed settles separately: transactions of other organizations do not delay
//! it, even while they are open.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use campaigns_scope::Bucket;
use campaigns_tests::{
    Backend, Fixtures, Organization, Postgres, Received, Sent, Socket, TestApp, TestDatabase,
    on_both_databases, until,
};
use rand::{
    RngExt, SeedableRng,
    seq::{IndexedRandom, SliceRandom},
};
use rand_chacha::ChaCha8Rng;
use sea_orm::{ConnectionTrait, DatabaseConnection, DatabaseTransaction, TransactionTrait};
use serde_json::{Value as Json, json};
use tokio::{sync::watch, task::JoinSet};
use uuid::Uuid;

const FOLLOW: &str = "subscription ($after: String, $filter: EngagementEventFilter) { \
    engagementEvents(after: $after, filter: $filter) { node { id } } }";
const RECORD: &str = "mutation ($send: ID!) { recordEvents(input: [{ sendId: $send, type: OPEN }]) \
    { events { id } } }";

/// Organizations with sends and without events, each in a different bucket.
async fn organizations(app: &TestApp, count: usize) -> Vec<(Organization, Fixtures)> {
    let mut found: Vec<(Organization, Fixtures)> = Vec::new();
    let mut number = 0;
    while found.len() < count {
        number += 1;
        let organization = app.organization(&format!("o{number}")).await;
        let bucket = Bucket::of(organization.id);
        if found.iter().all(|(other, _)| Bucket::of(other.id) != bucket) {
            let made = organization.populated(4).await;
            found.push((organization, made));
        }
    }
    app.run("DELETE FROM campaign_events").await;
    found
}

/// A socket that follows an organization from now on.
async fn follower(organization: &Organization) -> Socket {
    let after = organization.member.feed_cursor().await;
    let mut socket = Socket::of(&organization.member).await;
    socket.subscribe("1", FOLLOW, json!({ "after": after })).await;
    socket
}

async fn next(socket: &mut Socket) -> Uuid {
    let data = socket.next("1").await;
    data["engagementEvents"]["node"]["id"].as_str().unwrap().parse().unwrap()
}

/// Asserts that nothing arrives within the usual delay.
async fn receives_nothing(socket: &mut Socket) {
    assert_eq!(socket.receive_within(Duration::from_millis(400)).await, None);
}

async fn record(organization: &Organization, send: Uuid) -> Uuid {
    let data = organization.member.data(RECORD, json!({ "send": send })).await;
    data["recordEvents"]["events"][0]["id"].as_str().unwrap().parse().unwrap()
}

/// The IDs of the first page of an organization's events in feed order.
async fn page(organization: &Organization) -> Vec<Uuid> {
    let data = organization.member.data("{ events(first: 500) { nodes { id } } }", json!({})).await;
    let nodes = data["events"]["nodes"].as_array().unwrap();
    nodes.iter().map(|node| node["id"].as_str().unwrap().parse().unwrap()).collect()
}

/// Inserts an event of an organization's send, and returns its ID.
async fn insert(sql: &impl ConnectionTrait, organization: Uuid, send: Uuid) -> Uuid {
    let id = Uuid::new_v4();
    let insert = format!(
        "INSERT INTO campaign_events (id, org_id, send_id, event_type) \
         VALUES ('{id}', '{organization}', '{send}', 'open')"
    );
    sql.execute_unprepared(&insert).await.unwrap();
    id
}

/// The number of the feed's locks that are held.
async fn locks(app: &TestApp) -> i64 {
    app.count(
        "pg_locks JOIN pg_database ON pg_database.oid = database AND datname = current_database() \
         WHERE locktype = 'advisory' AND objsubid = 1 AND classid::bigint >> 24 IN (70, 72)",
    )
    .await
}

#[tokio::test]
async fn an_open_transaction_of_one_organization_delays_no_other() {
    let app = TestApp::on(Backend::Postgres).start().await;
    let all = organizations(&app, 2).await;
    let [(ours, our), (theirs, their)] = all.as_slice() else { panic!("there are two") };
    let (mut our_socket, mut their_socket) = (follower(ours).await, follower(theirs).await);
    let open = app.sql.begin().await.unwrap();
    let first = insert(&open, ours.id, our.sends[0]).await;
    for _ in 0..5 {
        let id = record(theirs, their.sends[0]).await;
        assert_eq!(next(&mut their_socket).await, id);
        assert_eq!(page(theirs).await.last(), Some(&id));
    }
    // its own organization waits, so that no event is missed
    let second = record(ours, our.sends[1]).await;
    assert_eq!(page(ours).await, [] as [Uuid; 0]);
    receives_nothing(&mut our_socket).await;
    open.commit().await.unwrap();
    assert_eq!([next(&mut our_socket).await, next(&mut our_socket).await], [first, second]);
    assert_eq!(page(ours).await, [first, second]);
}

#[tokio::test]
async fn a_transaction_over_several_organizations_delays_only_these() {
    let app = TestApp::on(Backend::Postgres).start().await;
    let all = organizations(&app, 3).await;
    let mut sockets = Vec::new();
    for (organization, _) in &all {
        sockets.push(follower(organization).await);
    }
    let open = app.sql.begin().await.unwrap();
    let mut first = Vec::new();
    for (organization, made) in &all[..2] {
        first.push(insert(&open, organization.id, made.sends[0]).await);
        // many statements take one lock
        insert(&open, organization.id, made.sends[1]).await;
    }
    assert_eq!(locks(&app).await, 2);
    let free = record(&all[2].0, all[2].1.sends[0]).await;
    assert_eq!(next(&mut sockets[2]).await, free);
    for index in 0..2 {
        record(&all[index].0, all[index].1.sends[0]).await;
        receives_nothing(&mut sockets[index]).await;
    }
    open.commit().await.unwrap();
    for index in 0..2 {
        assert_eq!(next(&mut sockets[index]).await, first[index]);
        next(&mut sockets[index]).await;
        next(&mut sockets[index]).await;
    }
}

#[tokio::test]
async fn a_transaction_over_many_organizations_takes_few_locks_and_delays_all() {
    let app = TestApp::on(Backend::Postgres).start().await;
    let all = organizations(&app, 21).await;
    let (beside, many) = all.split_first().unwrap();
    let mut socket = follower(&beside.0).await;
    let open = app.sql.begin().await.unwrap();
    for (organization, made) in many {
        insert(&open, organization.id, made.sends[0]).await;
    }
    assert_eq!(locks(&app).await, 9);
    let id = record(&beside.0, beside.1.sends[0]).await;
    receives_nothing(&mut socket).await;
    open.commit().await.unwrap();
    assert_eq!(next(&mut socket).await, id);
    for (organization, _) in many {
        assert_eq!(page(organization).await.len(), 1);
    }
}

#[tokio::test]
async fn a_savepoint_that_is_rolled_back_releases_its_buckets() {
    let app = TestApp::on(Backend::Postgres).start().await;
    let all = organizations(&app, 12).await;
    let open = app.sql.begin().await.unwrap();
    let kept = insert(&open, all[0].0.id, all[0].1.sends[0]).await;
    open.execute_unprepared("SAVEPOINT few").await.unwrap();
    insert(&open, all[1].0.id, all[1].1.sends[0]).await;
    open.execute_unprepared("SAVEPOINT many").await.unwrap();
    for (organization, made) in &all {
        insert(&open, organization.id, made.sends[0]).await;
    }
    assert_eq!(locks(&app).await, 9);
    open.execute_unprepared("ROLLBACK TO SAVEPOINT many").await.unwrap();
    assert_eq!(locks(&app).await, 2);
    open.execute_unprepared("ROLLBACK TO SAVEPOINT few").await.unwrap();
    assert_eq!(locks(&app).await, 1);
    let mut socket = follower(&all[1].0).await;
    let free = record(&all[1].0, all[1].1.sends[1]).await;
    assert_eq!(next(&mut socket).await, free);
    // a later statement takes a lock again and delays its organization again
    let again = insert(&open, all[1].0.id, all[1].1.sends[0]).await;
    assert_eq!(locks(&app).await, 2);
    let behind = record(&all[1].0, all[1].1.sends[1]).await;
    receives_nothing(&mut socket).await;
    open.execute_unprepared("RELEASE SAVEPOINT few").await.unwrap();
    assert_eq!(locks(&app).await, 2);
    open.commit().await.unwrap();
    assert_eq!([next(&mut socket).await, next(&mut socket).await], [again, behind]);
    assert_eq!(page(&all[0].0).await, [kept]);
}

#[tokio::test]
async fn a_prepared_transaction_delays_its_own_organization_and_the_oldest_is_named() {
    let app = TestApp::on(Backend::Postgres).start().await;
    let all = organizations(&app, 2).await;
    let [(ours, our), (theirs, their)] = all.as_slice() else { panic!("there are two") };
    let (mut our_socket, mut their_socket) = (follower(ours).await, follower(theirs).await);
    let names = ["first", "second"].map(|of| format!("{of} {}", Uuid::new_v4()));
    let mut prepared = Vec::new();
    for name in &names {
        let session = app.database.connect_once().await;
        session.execute_unprepared("BEGIN").await.unwrap();
        prepared.push(insert(&session, ours.id, our.sends[0]).await);
        let prepare = format!("PREPARE TRANSACTION '{name}'");
        session.execute_unprepared(&prepare).await.unwrap();
        session.close().await.unwrap();
    }
    let open = app.sql.begin().await.unwrap();
    let last = insert(&open, ours.id, our.sends[0]).await;
    let id = record(theirs, their.sends[0]).await;
    assert_eq!(next(&mut their_socket).await, id);
    assert_eq!(locks(&app).await, 3);
    for name in names {
        receives_nothing(&mut our_socket).await;
        let holder = app.service_database.feed_reader().holder().await.unwrap().unwrap();
        assert_eq!((holder.process, holder.prepared.as_deref()), (None, Some(name.as_str())));
        app.run(&format!("COMMIT PREPARED '{name}'")).await;
        assert_eq!(next(&mut our_socket).await, prepared.remove(0));
    }
    let holder = app.service_database.feed_reader().holder().await.unwrap().unwrap();
    assert!(holder.process.is_some() && holder.prepared.is_none(), "{holder:?}");
    open.commit().await.unwrap();
    assert_eq!(next(&mut our_socket).await, last);
    assert_eq!(app.service_database.feed_reader().holder().await.unwrap(), None);
}

#[tokio::test]
async fn a_replication_session_delays_its_own_organizations() {
    let app = TestApp::on(Backend::Postgres).start().await;
    let all = organizations(&app, 2).await;
    let [(ours, our), (theirs, their)] = all.as_slice() else { panic!("there are two") };
    let (mut our_socket, mut their_socket) = (follower(ours).await, follower(theirs).await);
    let open = app.sql.begin().await.unwrap();
    open.execute_unprepared("SET LOCAL session_replication_role = replica").await.unwrap();
    let first = insert(&open, ours.id, our.sends[0]).await;
    let second = record(ours, our.sends[0]).await;
    let id = record(theirs, their.sends[0]).await;
    assert_eq!(next(&mut their_socket).await, id);
    receives_nothing(&mut our_socket).await;
    open.commit().await.unwrap();
    assert_eq!([next(&mut our_socket).await, next(&mut our_socket).await], [first, second]);
}

#[tokio::test]
async fn a_position_drawn_for_one_organization_is_not_valid_in_another() {
    let app = TestApp::on(Backend::Postgres).start().await;
    let all = organizations(&app, 2).await;
    let [(ours, _), (theirs, their)] = all.as_slice() else { panic!("there are two") };
    let open = app.sql.begin().await.unwrap();
    let draw = format!("SELECT unnest(campaign_feed_draw_for('{}', 3)) AS place", ours.id);
    let draw = sea_orm::Statement::from_string(open.get_database_backend(), draw);
    let drawn = open.query_all_raw(draw).await.unwrap();
    let drawn: i64 = drawn[2].try_get("", "place").unwrap();
    let insert = format!(
        "INSERT INTO campaign_events (org_id, send_id, event_type, feed_position) \
         VALUES ('{}', '{}', 'open', {drawn})",
        theirs.id, their.sends[0]
    );
    open.execute_unprepared(&insert).await.unwrap();
    open.commit().await.unwrap();
    let given = app.rows("SELECT feed_position FROM campaign_events").await;
    assert!(given[0].try_get::<i64>("", "feed_position").unwrap() > drawn);
}

#[tokio::test]
async fn a_follower_that_is_behind_misses_nothing_if_a_transaction_becomes_visible_late() {
    let app = TestApp::on(Backend::Postgres).start().await;
    let all = organizations(&app, 1).await;
    let (ours, our) = &all[0];
    let start = ours.member.feed_cursor().await;
    let mut live = follower(ours).await;
    // more events than the log keeps
    app.run(&format!(
        "INSERT INTO campaign_events (org_id, send_id, event_type) \
         SELECT '{}', '{}', 'open' FROM generate_series(1, 5000)",
        ours.id, our.sends[0]
    ))
    .await;
    let mut received = Vec::new();
    for _ in 0..5_000 {
        received.push(next(&mut live).await);
    }
    // a transaction that drew its number before these events, but takes its lock only now
    let late = app.sql.begin().await.unwrap();
    let lock = format!(
        "SELECT pg_advisory_xact_lock_shared((72::bigint << 56) \
         | (campaign_feed_bucket('{0}')::bigint << 44) | (min(feed_position) + 10)) \
         FROM campaign_events WHERE org_id = '{0}'",
        ours.id
    );
    late.execute_unprepared(&lock).await.unwrap();
    let mut behind = Socket::of(&ours.member).await;
    behind.subscribe("1", FOLLOW, json!({ "after": start })).await;
    for id in &received {
        assert_eq!(next(&mut behind).await, *id);
    }
    late.rollback().await.unwrap();
}

#[tokio::test]
async fn the_service_and_the_database_agree_on_buckets_and_numbers() {
    let app = TestApp::on(Backend::Postgres).start().await;
    let mut rng = ChaCha8Rng::seed_from_u64(1_200);
    let all = organizations(&app, 2).await;
    for (organization, made) in &all {
        // the key has the lower 44 bits of a number, wherever the sequence is
        for start in [1_i64 << 43, (1 << 44) - 3, (1 << 48) + 17, i64::MAX - 1_000] {
            app.run(&format!("SELECT setval('campaign_feed_position', {start})")).await;
            let open = app.sql.begin().await.unwrap();
            insert(&open, organization.id, made.sends[0]).await;
            let (horizon, _) = app.service_database.feed_reader().horizon().await.unwrap();
            assert_eq!(horizon.drawn(), start + 2);
            assert_eq!(horizon.of(Bucket::of(organization.id)), start + 1);
            let other = if organization.id == all[0].0.id { &all[1].0 } else { &all[0].0 };
            assert_eq!(horizon.of(Bucket::of(other.id)), start + 2);
            assert_eq!(organization.scope.settled().await.unwrap().position, Some(start + 1));
            assert_eq!(other.scope.settled().await.unwrap().position, Some(start + 2));
            open.rollback().await.unwrap();
        }
    }
    let ids: Vec<Uuid> = (0..2_000).map(|_| Uuid::from_u128(rng.random())).collect();
    let list: Vec<String> = ids.iter().map(|id| format!("'{id}'")).collect();
    let sql = format!(
        "SELECT id, campaign_feed_bucket(id) AS bucket FROM unnest(CAST(ARRAY[{}] AS uuid[])) AS \
         id",
        list.join(", ")
    );
    for row in app.rows(&sql).await {
        let (id, bucket): (Uuid, i32) =
            (row.try_get("", "id").unwrap(), row.try_get("", "bucket").unwrap());
        assert_eq!(format!("{:?}", Bucket::of(id)), format!("Bucket({bucket})"));
    }
}

/// A database from before feeds settled separately.
async fn of_before() -> TestDatabase {
    let database = TestDatabase::new(Backend::Postgres).await;
    while campaigns_migration::down(&database.url).await.unwrap().unwrap() != "m0012_horizons" {}
    database
}

/// The rows that a transaction over both organizations needs.
async fn two_organizations(sql: &DatabaseConnection) -> [(Uuid, Uuid); 2] {
    let mut made = Vec::new();
    while made.len() < 2 {
        let [org, send] = [Uuid::new_v4(), Uuid::new_v4()];
        if made.iter().any(|(other, _)| Bucket::of(*other) == Bucket::of(org)) {
            continue;
        }
        let insert = format!(
            "INSERT INTO organizations (id, name, slug) VALUES ('{org}', 'x', '{org}'); \
             INSERT INTO campaigns (id, org_id, name) VALUES ('{org}', '{org}', 'x'); \
             INSERT INTO contacts (id, org_id, first_name) VALUES ('{org}', '{org}', 'x'); \
             INSERT INTO campaign_sends (id, org_id, campaign_id, contact_id) VALUES \
             ('{send}', '{org}', '{org}', '{org}')"
        );
        sql.execute_unprepared(&insert).await.unwrap();
        made.push((org, send));
    }
    [made[0], made[1]]
}

#[tokio::test]
async fn a_transaction_that_was_open_across_the_upgrade_delays_all() {
    let database = of_before().await;
    let sql = database.connect().await;
    let [ours, theirs] = two_organizations(&sql).await;
    // it has taken its lock and drawn its positions, but has not locked a table yet
    let open = sql.begin().await.unwrap();
    open.execute_unprepared("SELECT campaign_feed_draw(2)").await.unwrap();
    campaigns_migration::up(&database.url).await.unwrap();
    let app = TestApp::on_database(database).start().await;
    let (ours_again, theirs_again) =
        (app.existing_organization(ours.0).await, app.existing_organization(theirs.0).await);
    let (mut our_socket, mut their_socket) =
        (follower(&ours_again).await, follower(&theirs_again).await);
    let beside = record(&theirs_again, theirs.1).await;
    receives_nothing(&mut their_socket).await;
    // it continues with the new triggers
    let of_ours = insert(&open, ours.0, ours.1).await;
    let of_theirs = insert(&open, theirs.0, theirs.1).await;
    open.commit().await.unwrap();
    assert_eq!(next(&mut our_socket).await, of_ours);
    assert_eq!([next(&mut their_socket).await, next(&mut their_socket).await], [beside, of_theirs]);
}

#[tokio::test]
async fn older_processes_read_and_write_beside_newer_ones() {
    let app = TestApp::on(Backend::Postgres).start().await;
    let all = organizations(&app, 3).await;
    let [(ours, our), (theirs, their), (third, _)] = all.as_slice() else { panic!("three") };
    let settled = async || -> i64 {
        let rows = app.rows("SELECT campaign_feed_settled(NULL) AS settled").await;
        rows[0].try_get("", "settled").unwrap()
    };
    let entered = async |open: &DatabaseTransaction| -> i64 {
        let sql = "SELECT last_value AS number FROM campaign_feed_position";
        let sql = sea_orm::Statement::from_string(open.get_database_backend(), sql);
        open.query_one_raw(sql).await.unwrap().unwrap().try_get("", "number").unwrap()
    };
    // their reader waits for every transaction
    let open = app.sql.begin().await.unwrap();
    insert(&open, ours.id, our.sends[0]).await;
    let first = entered(&open).await - 1;
    assert_eq!(settled().await, first);
    let holder = app.rows("SELECT process, entered FROM campaign_feed_holder()").await;
    assert_eq!(holder[0].try_get::<i64>("", "entered").unwrap(), first);
    record(theirs, their.sends[0]).await;
    assert_eq!(settled().await, first);
    open.commit().await.unwrap();
    assert!(settled().await > first);
    // their writes delay all feeds, because their locks do not name an organization
    let open = app.sql.begin().await.unwrap();
    let draw = sea_orm::Statement::from_string(
        open.get_database_backend(),
        "SELECT unnest(campaign_feed_draw(2)) AS place",
    );
    let places = open.query_all_raw(draw).await.unwrap();
    let places: Vec<i64> = places.iter().map(|row| row.try_get("", "place").unwrap()).collect();
    for (organization, _) in &all {
        assert_eq!(organization.scope.settled().await.unwrap().position, Some(places[0] - 1));
    }
    let mut late = Vec::new();
    for (place, (organization, send)) in
        places.iter().rev().zip([(ours.id, our.sends[0]), (theirs.id, their.sends[0])])
    {
        let id = Uuid::new_v4();
        let insert = format!(
            "INSERT INTO campaign_events (id, org_id, send_id, event_type, feed_position) \
             VALUES ('{id}', '{organization}', '{send}', 'open', {place})"
        );
        open.execute_unprepared(&insert).await.unwrap();
        late.push((id, *place));
    }
    open.commit().await.unwrap();
    for (id, place) in late {
        let sql = format!("SELECT feed_position FROM campaign_events WHERE id = '{id}'");
        assert_eq!(app.rows(&sql).await[0].try_get::<i64>("", "feed_position").unwrap(), place);
    }
    assert!(third.scope.settled().await.unwrap().position.unwrap() >= places[1]);
}

#[tokio::test]
async fn undoing_the_migration_waits_for_transactions_that_old_readers_do_not_see() {
    let (_postgres, database) = Postgres::own().await;
    let sql = database.connect().await;
    let [ours, _] = two_organizations(&sql).await;
    while campaigns_migration::down(&database.url).await.unwrap().unwrap() != "m0013_event_ids" {}
    // they have taken their locks, but have not locked a table yet
    let draw = format!("SELECT campaign_feed_draw_for('{}', 1)", ours.0);
    let open = sql.begin().await.unwrap();
    open.execute_unprepared(&draw).await.unwrap();
    let url = database.url.clone();
    let down = tokio::spawn(async move { campaigns_migration::down(&url).await.unwrap() });
    // the old functions for writers are restored
    until("writers are replaced", Duration::from_mins(1), async || {
        let source = "SELECT 1 FROM pg_proc WHERE proname = 'campaign_feed_enter_for' AND prosrc \
                      LIKE '%**%'";
        let source = sea_orm::Statement::from_string(sql.get_database_backend(), source);
        sql.query_one_raw(source).await.unwrap().is_some()
    })
    .await;
    // old and new readers see the lock of a transaction that starts now
    let beside = database.connect_once().await;
    let between = beside.begin().await.unwrap();
    between.execute_unprepared(&draw).await.unwrap();
    assert!(!down.is_finished());
    open.commit().await.unwrap();
    assert_eq!(down.await.unwrap().unwrap(), "m0012_horizons");
    let settled = async || -> (i64, i64) {
        let select = "SELECT campaign_feed_settled(NULL) AS settled, last_value AS drawn FROM \
                      campaign_feed_position";
        let select = sea_orm::Statement::from_string(sql.get_database_backend(), select);
        let row = sql.query_one_raw(select).await.unwrap().unwrap();
        (row.try_get("", "settled").unwrap(), row.try_get("", "drawn").unwrap())
    };
    let (position, drawn) = settled().await;
    assert!(position < drawn, "{position} {drawn}");
    between.commit().await.unwrap();
    let (position, drawn) = settled().await;
    assert_eq!(position, drawn);
}

/// The spans that a statement of the feed reader reads, and the number of events of each.
fn spans(sent: &Sent) -> (Json, i64) {
    let text = &sent.values[0];
    let (start, end) = (text.find('[').unwrap(), text.rfind(']').unwrap());
    let spans = text[start..=end].replace("\\\"", "\"");
    (serde_json::from_str(&spans).unwrap(), sent.values[1].parse().unwrap())
}

#[on_both_databases]
async fn a_backlog_of_one_organization_does_not_delay_an_event_of_another(app: TestApp) {
    let all = organizations(&app, 2).await;
    let [(ours, our), (theirs, their)] = all.as_slice() else { panic!("there are two") };
    let (mut our_socket, mut their_socket) = (follower(ours).await, follower(theirs).await);
    let (org, send) = (app.literal(ours.id), app.literal(our.sends[0]));
    app.run(&format!(
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 6000) \
         INSERT INTO campaign_events (org_id, send_id, event_type) SELECT {org}, {send}, 'open' \
         FROM n"
    ))
    .await;
    app.forget_statements();
    next(&mut our_socket).await;
    let id = record(theirs, their.sends[0]).await;
    let is_read = |sent: &Sent| sent.sql.contains("AS listened");
    let before = app.statements().into_iter().filter(is_read).count();
    assert_eq!(next(&mut their_socket).await, id);
    for _ in 1..6_000 {
        next(&mut our_socket).await;
    }
    let position =
        format!("SELECT feed_position FROM campaign_events WHERE id = {}", app.literal(id));
    let position: i64 = app.rows(&position).await[0].try_get("", "feed_position").unwrap();
    let reads: Vec<(Json, i64)> =
        app.statements().iter().filter(|sent| is_read(sent)).map(spans).collect();
    // each read of organizations that are behind is a slice …
    let is_slice = |most: i64| most > 32;
    let slices: Vec<_> = reads.iter().filter(|(_, most)| is_slice(*most)).collect();
    assert!(slices.len() > 10, "{reads:?}");
    for (spans, most) in &slices {
        assert!(*most <= 256 && spans.as_array().unwrap().len() <= 4, "{spans} {most}");
    }
    // … and a committed event of another organization waited for at most one slice
    let has_event = |span: &Json| {
        span["org_id"] == json!(theirs.id) && span["upto"].as_i64().unwrap() >= position
    };
    let read = reads.iter().position(|(spans, most)| {
        !is_slice(*most) && spans.as_array().unwrap().iter().any(has_event)
    });
    let read = read.expect("it was received");
    let waited = reads[before.min(read)..read].iter().filter(|(_, most)| is_slice(*most)).count();
    assert!(waited <= 1, "after {before}: {reads:?}");
}

#[on_both_databases]
async fn an_event_that_moves_to_another_organization_is_at_the_end_of_its_feed(app: TestApp) {
    let all = organizations(&app, 2).await;
    let [(ours, our), (theirs, their)] = all.as_slice() else { panic!("there are two") };
    let moved = record(ours, our.sends[0]).await;
    let (mut our_socket, mut their_socket) = (follower(ours).await, follower(theirs).await);
    let first = record(theirs, their.sends[0]).await;
    app.run(&format!(
        "UPDATE campaign_events SET org_id = {}, send_id = {} WHERE id = {}",
        app.literal(theirs.id),
        app.literal(their.sends[1]),
        app.literal(moved)
    ))
    .await;
    assert_eq!([next(&mut their_socket).await, next(&mut their_socket).await], [first, moved]);
    assert_eq!(page(theirs).await, [first, moved]);
    assert_eq!(page(ours).await, [] as [Uuid; 0]);
    let id = record(ours, our.sends[0]).await;
    assert_eq!(next(&mut our_socket).await, id);
}

#[on_both_databases]
async fn an_event_that_moves_without_its_send_waits_for_a_position_in_the_other_feed(app: TestApp) {
    let all = organizations(&app, 2).await;
    let [(ours, our), (theirs, their)] = all.as_slice() else { panic!("there are two") };
    let moved = record(ours, our.sends[0]).await;
    let mut their_socket = follower(theirs).await;
    let sql = app.database.connect_once().await;
    let unchecked = match app.database.backend {
        Backend::Postgres => "SET session_replication_role = replica",
        Backend::Sqlite => "PRAGMA foreign_keys = off",
    };
    sql.execute_unprepared(unchecked).await.unwrap();
    let [org, send, id] = [theirs.id, Uuid::new_v4(), moved].map(|id| app.literal(id));
    let come =
        format!("UPDATE campaign_events SET org_id = {org}, send_id = {send} WHERE id = {id}");
    sql.execute_unprepared(&come).await.unwrap();
    // other transactions draw positions meanwhile
    let first = record(theirs, their.sends[0]).await;
    assert_eq!(next(&mut their_socket).await, first);
    assert_eq!(page(theirs).await, [first]);
    let arrive = format!(
        "INSERT INTO campaign_sends (id, org_id, campaign_id, contact_id) \
         SELECT {send}, org_id, campaign_id, contact_id FROM campaign_sends WHERE id = {}",
        app.literal(their.sends[0])
    );
    sql.execute_unprepared(&arrive).await.unwrap();
    assert_eq!(next(&mut their_socket).await, moved);
    assert_eq!(page(theirs).await, [first, moved]);
    assert_eq!(page(ours).await, [] as [Uuid; 0]);
    sql.close().await.unwrap();
}

/// Inserts events of random organizations in random transactions, which commit late or are rolled
/// back. Returns the committed events.
async fn write(
    db: DatabaseConnection,
    sends: Vec<(Uuid, Vec<Uuid>)>,
    seed: u64,
    transactions: usize,
) -> BTreeSet<Uuid> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut committed = BTreeSet::new();
    for _ in 0..transactions {
        let mut written = Vec::new();
        let open = db.begin().await.unwrap();
        if rng.random_bool(0.1) {
            // as a process of an earlier version does
            open.execute_unprepared("SELECT campaign_feed_enter()").await.unwrap();
        }
        let mut whose: Vec<_> = sends.iter().collect();
        whose.shuffle(&mut rng);
        // most transactions write for one organization, some for many
        whose.truncate(if rng.random_bool(0.6) { 1 } else { rng.random_range(2..=sends.len()) });
        for (organization, sends) in whose {
            let is_undone = rng.random_bool(0.2);
            if is_undone {
                open.execute_unprepared("SAVEPOINT part").await.unwrap();
            }
            for _ in 0..rng.random_range(1..4) {
                let id = insert(&open, *organization, *sends.choose(&mut rng).unwrap()).await;
                if !is_undone {
                    written.push(id);
                }
            }
            if is_undone {
                open.execute_unprepared("ROLLBACK TO SAVEPOINT part").await.unwrap();
            }
            if rng.random_bool(0.3) {
                tokio::time::sleep(Duration::from_millis(rng.random_range(0..20))).await;
            }
        }
        if rng.random_bool(0.3) {
            tokio::time::sleep(Duration::from_millis(rng.random_range(0..150))).await;
        }
        if rng.random_bool(0.1) {
            open.rollback().await.unwrap();
        } else {
            open.commit().await.unwrap();
            committed.extend(written);
        }
    }
    committed
}

/// Follows an organization, reconnecting after the last event from time to time, until it has
/// received exactly as many events as are stored.
async fn follow(
    organization: Organization,
    mut after: Json,
    stored: watch::Receiver<Option<BTreeMap<Uuid, Vec<Uuid>>>>,
    seed: u64,
) -> Vec<Uuid> {
    const WITH_CURSOR: &str =
        "subscription ($after: String) { engagementEvents(after: $after) { cursor node { id } } }";
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut received = Vec::new();
    let mut silence = 0;
    loop {
        let mut socket = Socket::of(&organization.member).await;
        socket.subscribe("1", WITH_CURSOR, json!({ "after": after })).await;
        for _ in 0..rng.random_range(1..60) {
            let Some(message) = socket.receive_within(Duration::from_millis(500)).await else {
                let all = stored.borrow().as_ref().map(|stored| stored[&organization.id].len());
                silence += usize::from(all.is_some());
                if all.is_some_and(|all| received.len() >= all) || silence > 60 {
                    return received;
                }
                continue;
            };
            silence = 0;
            let Received::Message(mut message) = message else { panic!("{message:?}") };
            let mut edge = message["payload"]["data"]["engagementEvents"].take();
            received.push(edge["node"]["id"].as_str().unwrap().parse().unwrap());
            after = edge["cursor"].take();
        }
    }
}

#[tokio::test]
async fn many_writers_over_many_organizations_lose_repeat_and_reorder_nothing() {
    let app = TestApp::on(Backend::Postgres).start().await;
    let all = organizations(&app, 12).await;
    let sends: Vec<_> = all.iter().map(|(of, made)| (of.id, made.sends.clone())).collect();
    let (stored, is_stored) = watch::channel(None);
    let mut followers = JoinSet::new();
    for (index, (organization, _)) in all.iter().take(5).enumerate() {
        let organization = app.existing_organization(organization.id).await;
        let id = organization.id;
        // before the first event
        let start = organization.member.feed_cursor().await;
        let follow = follow(organization, start, is_stored.clone(), index as u64);
        followers.spawn(async move { (id, follow.await) });
    }
    let mut writers = JoinSet::new();
    for seed in 0..8 {
        writers.spawn(write(app.database.connect_once().await, sends.clone(), seed, 60));
    }
    // and large calls meanwhile, of an organization that is followed and of one that is not
    for (organization, made) in [&all[4], &all[11]] {
        let (client, sends) = (organization.member.clone(), made.sends.clone());
        writers.spawn(async move {
            let mut recorded = BTreeSet::new();
            for _ in 0..4 {
                let ids: Vec<Uuid> = (0..300).map(|_| Uuid::new_v4()).collect();
                let input: Vec<Json> = ids
                    .iter()
                    .map(|id| json!({ "id": id, "sendId": sends[0], "type": "OPEN" }))
                    .collect();
                let record = "mutation ($input: [RecordEventInput!]!) { \
                              recordEvents(input: $input) { recorded } }";
                let data = client.data(record, json!({ "input": input })).await;
                assert_eq!(data["recordEvents"]["recorded"], 300);
                recorded.extend(ids);
            }
            recorded
        });
    }
    let mut committed = BTreeSet::new();
    while let Some(ids) = writers.join_next().await {
        committed.extend(ids.unwrap());
    }
    let mut in_order: BTreeMap<Uuid, Vec<Uuid>> = BTreeMap::new();
    let rows = app.rows("SELECT org_id, id FROM campaign_events ORDER BY feed_position").await;
    for row in &rows {
        let organization = row.try_get("", "org_id").unwrap();
        in_order.entry(organization).or_default().push(row.try_get("", "id").unwrap());
    }
    stored.send_replace(Some(in_order.clone()));
    assert_eq!(in_order.values().flatten().copied().collect::<BTreeSet<_>>(), committed);
    while let Some(done) = followers.join_next().await {
        let (organization, received) = done.unwrap();
        let all = &in_order[&organization];
        let same =
            received.iter().zip(all).take_while(|(received, stored)| received == stored).count();
        assert_eq!((same, received.len()), (all.len(), all.len()));
    }
    until("nothing is held any more", Duration::from_secs(5), async || locks(&app).await == 0)
        .await;
}
