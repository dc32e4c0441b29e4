//! Row security: PostgreSQL's policies apply in addition to the service's own predicate.

use campaigns_scope::Options;
use campaigns_tests::{
    Answer, Backend, Binary, Client, Postgres, Socket, Statuses, TestApp, TestDatabase, until,
};
use serde_json::{Value as Json, json};
use uuid::Uuid;

const ROLE: &str = "authenticated";

/// Two services on one database, one of them behind row security.
struct Services {
    app: TestApp,
    plain: TestApp,
}

impl Services {
    async fn start() -> Self {
        let database = TestDatabase::new(Backend::Postgres).await;
        campaigns_migration::write_policies(&database.url, ROLE).await.unwrap();
        let again = TestDatabase::at(Backend::Postgres, &database.url);
        let row_security_role = Some(ROLE.to_owned());
        let app = TestApp::on_database(database)
            .options(|options| Options { row_security_role, ..options })
            .start()
            .await;
        Self { app, plain: TestApp::on_database(again).start().await }
    }

    /// A user with a membership, and a token that names the organization.
    async fn user(&self, organization: Uuid, role: &str) -> String {
        let (id, subject) = (Uuid::new_v4(), Uuid::new_v4());
        self.app
            .run(&format!(
                "INSERT INTO users (id, org_id, auth_id, email) VALUES \
                 ('{id}', '{organization}', '{subject}', 'x@example.com'); \
                 INSERT INTO memberships (org_id, user_id, role) VALUES \
                 ('{organization}', '{id}', '{role}')"
            ))
            .await;
        TestApp::token(organization, role, &subject.to_string())
    }
}

/// Queries of a member. Row security does not change their responses.
const QUESTIONS: [&str; 6] = [
    "{ campaigns(first: 100, orderBy: [{ field: OPEN_RATE, direction: DESC }]) { totalCount nodes \
     { id name stats { sends delivered opens uniqueOpens clicks bounced openRate } \
     sends(first: 3) { totalCount nodes { id status contact { id } } } \
     links(first: 3) { url clicks } } } }",
    "{ segments(first: 100) { totalCount nodes { id name contactCount campaignsUsedIn } } }",
    "{ contacts(first: 100, filter: { clicked: true, unsubscribed: false }) { totalCount nodes { \
     id firstName companies { id name } } } }",
    "{ events(first: 100) { totalCount nodes { id type send { id } campaign { id } contact { id } \
     } } }",
    "{ viewer { user { email } organization { id name } } }",
    "{ feedCursor }",
];

async fn data(client: &Client, query: &str) -> Json {
    client.data(query, json!({})).await
}

#[tokio::test]
async fn behind_row_security_the_responses_are_the_same() {
    let services = Services::start().await;
    let (acme, other) =
        (services.app.organization("acme").await, services.app.organization("other").await);
    services.plain.existing_organization(acme.id).await.populated(30).await;
    services.plain.existing_organization(other.id).await.populated(30).await;
    for (organization, role) in [(acme.id, "member"), (other.id, "admin")] {
        let token = services.user(organization, role).await;
        let (restricted, plain) =
            (services.app.client(Some(token.clone())), services.plain.client(Some(token)));
        for question in QUESTIONS {
            let answer = data(&restricted, question).await;
            assert_eq!(answer, data(&plain, question).await, "{question}");
        }
    }
}

#[tokio::test]
async fn behind_row_security_writes_work_as_before() {
    let services = Services::start().await;
    let acme = services.app.organization("acme").await;
    let token = services.user(acme.id, "admin").await;
    let admin = services.app.client(Some(token));
    services.app.run(&format!(
        "INSERT INTO contacts (org_id, first_name, email, country) SELECT '{}', 'x' || n, 'x' || n \
         || '@example.com', 'DE' FROM generate_series(1, 20) AS n", acme.id
    )).await;
    let mut socket = Socket::of(&admin).await;
    let made = data(
        &admin,
        "mutation { createCampaign(input: { name: \"x\", subject: \"s\", \
         body: \"b\" }) { campaign { id } } }",
    )
    .await;
    let campaign = made["createCampaign"]["campaign"]["id"].clone();
    let made = data(
        &admin,
        "mutation { createSegment(input: { name: \"s\", filterRules: { \
         country: \"DE\" } }) { segment { id } } }",
    )
    .await;
    let segment = made["createSegment"]["segment"]["id"].clone();
    let both = json!({ "campaign": campaign, "segment": segment });
    admin
        .data(
            "mutation ($campaign: ID!, $segment: ID!) { addSegmentToList(campaignId: $campaign, \
             segmentId: $segment) { campaign { id } } }",
            both,
        )
        .await;
    let one = json!({ "id": campaign });
    admin
        .data("mutation ($id: ID!) { startCampaign(id: $id) { campaign { status } } }", one.clone())
        .await;
    admin.data("mutation ($id: ID!) { queueSends(campaignId: $id) { queued } }", one.clone()).await;
    let sends = admin
        .data(
            "query ($id: ID!) { campaign(id: $id) { sends(first: 100) { totalCount \
             nodes { id } } } }",
            one.clone(),
        )
        .await;
    let sends = &sends["campaign"]["sends"];
    assert_eq!(sends["totalCount"], 20);
    let first = &sends["nodes"][0]["id"];
    let cursor = data(&admin, "{ feedCursor }").await["feedCursor"].clone();
    socket
        .subscribe(
            "1",
            "subscription ($after: String!) { engagementEvents(after: $after) { node { type \
             campaign { id } } } }",
            json!({ "after": cursor }),
        )
        .await;
    let reports = json!({ "input": [{ "id": first, "status": "DELIVERED" }] });
    admin
        .data(
            "mutation ($input: [UpdateSendInput!]!) { updateSends(input: $input) { updated } }",
            reports,
        )
        .await;
    let opened = json!({ "input": [{ "sendId": first, "type": "OPEN" }] });
    admin
        .data(
            "mutation ($input: [RecordEventInput!]!) { recordEvents(input: $input) { recorded } }",
            opened,
        )
        .await;
    assert_eq!(socket.next("1").await["engagementEvents"]["node"]["campaign"]["id"], campaign);
    let stats = admin
        .data(
            "query ($id: ID!) { campaign(id: $id) { stats { sends delivered opens openRate } } }",
            one.clone(),
        )
        .await;
    assert_eq!(
        stats["campaign"]["stats"],
        json!({ "sends": 20, "delivered": 1, "opens": 1, "openRate": 100.0 })
    );
    admin
        .data(
            "mutation ($id: ID!) { updateCampaign(input: { id: $id, name: \"y\" }) { campaign { \
             name } } }",
            one.clone(),
        )
        .await;
    admin.data("mutation ($id: ID!) { deleteCampaign(id: $id) { id } }", one).await;
    assert_eq!(services.app.count("campaigns").await, 0);
}

#[tokio::test]
async fn row_security_holds_where_the_services_own_predicate_is_wrong() {
    let services = Services::start().await;
    let (acme, other) =
        (services.app.organization("acme").await, services.app.organization("other").await);
    let foreign = services.plain.existing_organization(other.id).await.populated(30).await;
    let token = services.user(acme.id, "admin").await;
    for app in [&services.app, &services.plain] {
        app.service_database.mislead(acme.id, other.id);
    }
    let (restricted_admin, plain_admin) =
        (services.app.client(Some(token.clone())), services.plain.client(Some(token)));
    let campaign = json!({ "id": foreign.campaigns[0] });
    let lists = ["campaigns", "segments", "contacts", "events"];
    for list in lists {
        let query = format!("{{ {list}(first: 5) {{ totalCount nodes {{ id }} }} }}");
        // without row security, rows of the other organization would be shown
        assert_ne!(data(&plain_admin, &query).await[list]["totalCount"], 0, "{list}");
        assert_eq!(
            data(&restricted_admin, &query).await[list],
            json!({ "totalCount": 0, "nodes": [] }),
            "{list}"
        );
    }
    let stats = "query ($id: ID!) { campaign(id: $id) { name stats { sends opens } } }";
    assert_eq!(restricted_admin.data(stats, campaign.clone()).await["campaign"], Json::Null);
    let before = services.app.count("campaigns").await;
    let update = "mutation ($id: ID!) { updateCampaign(input: { id: $id, name: \"taken\" }) { \
                  campaign { id } } }";
    assert_eq!(restricted_admin.ask(update, campaign.clone()).await.code(), "NOT_FOUND");
    let delete = "mutation ($id: ID!) { deleteCampaign(id: $id) { id } }";
    assert_eq!(restricted_admin.ask(delete, campaign.clone()).await.code(), "NOT_FOUND");
    let create = "mutation { createCampaign(input: { name: \"x\" }) { campaign { id } } }";
    assert!(restricted_admin.ask(create, json!({})).await.body["errors"].is_array());
    let record =
        "mutation ($input: [RecordEventInput!]!) { recordEvents(input: $input) { recorded } }";
    let opened = json!({ "input": [{ "sendId": foreign.sends[0], "type": "OPEN" }] });
    let events = services.app.count("campaign_events").await;
    assert_eq!(restricted_admin.ask(record, opened).await.code(), "NOT_FOUND");
    assert_eq!(services.app.count("campaigns").await, before);
    assert_eq!(services.app.count("campaign_events").await, events);
    let renamed = services.app.rows("SELECT id FROM campaigns WHERE name = 'taken'").await;
    assert!(renamed.is_empty());
    // statements without a viewer run under the service's own role
    let organizations = services.app.service_database.operator().organizations().await.unwrap();
    assert_eq!(organizations.len(), 2);
}

#[tokio::test]
async fn existing_policies_apply_to_the_service() {
    let services = Services::start().await;
    let acme = services.app.organization("acme").await;
    let (first, second) =
        (services.user(acme.id, "member").await, services.user(acme.id, "member").await);
    services
        .app
        .run(
            "CREATE POLICY campaigns_own ON campaigns AS RESTRICTIVE FOR SELECT TO authenticated \
             USING (creator_id IS NULL OR creator_id = (SELECT id FROM users WHERE auth_id = \
             auth.uid()))",
        )
        .await;
    let create = "mutation { createCampaign(input: { name: \"mine\" }) { campaign { id } } }";
    data(&services.app.client(Some(first.clone())), create).await;
    for (token, count) in [(&first, 1), (&second, 0)] {
        let client = services.app.client(Some(token.clone()));
        assert_eq!(
            data(&client, "{ campaigns { totalCount } }").await["campaigns"]["totalCount"],
            count
        );
    }
    // a user whose token alone makes an admin is not one for the policies
    let claims = services.user(acme.id, "member").await;
    let subject = services.app.verify(&claims).subject().to_owned();
    let admin = services.app.client(Some(TestApp::token(acme.id, "admin", &subject)));
    services
        .app
        .run(&format!("INSERT INTO campaigns (org_id, name) VALUES ('{}', 'ours')", acme.id))
        .await;
    let query = "{ campaigns(filter: { name: { eq: \"ours\" } }) { nodes { id } } }";
    let id = data(&admin, query).await["campaigns"]["nodes"][0]["id"].clone();
    let delete = "mutation ($id: ID!) { deleteCampaign(id: $id) { id } }";
    assert_eq!(admin.ask(delete, json!({ "id": id })).await.code(), "NOT_FOUND");
    assert_eq!(services.app.count("campaigns").await, 2);
}

#[tokio::test]
async fn everything_that_policies_added_is_removed() {
    for found in [true, false] {
        let database = if found {
            TestDatabase::of_other_program(Statuses::Documented).await
        } else {
            TestDatabase::empty(Backend::Postgres).await
        };
        if found {
            let sql = database.connect().await;
            // a table of another program without row security, which viewers cannot update
            let open = "ALTER TABLE companies DISABLE ROW LEVEL SECURITY; \
                        DROP POLICY members_select ON companies; DROP POLICY members_insert ON \
                        companies; \
                        DROP POLICY members_update ON companies; DROP POLICY admins_delete ON \
                        companies; \
                        REVOKE UPDATE ON companies FROM authenticated";
            sea_orm::ConnectionTrait::execute_unprepared(&sql, open).await.unwrap();
            sql.close().await.unwrap();
        }
        let before = database.schema();
        campaigns_migration::up(&database.url).await.unwrap();
        let migrated = database.schema();
        let written = campaigns_migration::write_policies(&database.url, ROLE).await.unwrap();
        assert_eq!(written.contains(&"campaigns".to_owned()), !found, "{written:?}");
        assert!(written.contains(&"companies".to_owned()), "{written:?}");
        assert!(campaigns_migration::write_policies(&database.url, ROLE).await.unwrap().is_empty());
        assert_ne!(database.schema(), migrated);
        for _ in campaigns_migration::names() {
            campaigns_migration::down(&database.url).await.unwrap().expect("there is one to undo");
        }
        campaigns_tests::assert_same_schema(&before, &database.schema());
    }
}

#[tokio::test]
async fn serving_behind_row_security_requires_its_policies() {
    const SECRET: &str = "a secret of thirty-two bytes or more";
    let directory = tempfile::tempdir().unwrap();
    let here = directory.path();
    let run = async |arguments: &[&str]| Binary::run(here, arguments).await;
    let flags = ["--row-level-security", "--jwt-secret", SECRET];
    for arguments in [
        &["serve", "--row-level-security"][..],
        &[&["serve", "--database-url", "sqlite://x.db"][..], &flags].concat(),
        &["migrate", "--with-policies", "--database-url", "sqlite://x.db"],
    ] {
        let wrong = run(arguments).await;
        assert_eq!(wrong.code, 2, "{arguments:?} {}", wrong.err);
        assert!(wrong.err.contains("PostgreSQL"), "{}", wrong.err);
    }
    let _server = Postgres::get().await;
    let database = TestDatabase::new(Backend::Postgres).await;
    let serve = ["serve", "--listen", "127.0.0.1:0", "--database-url", &database.url];
    let serve = [&serve[..], &flags].concat();
    let refused = run(&serve).await;
    assert_eq!(refused.code, 1);
    assert!(refused.err.contains("migrate --with-policies"), "{}", refused.err);
    for (time, written) in [("first", true), ("second", false)] {
        let migrated = run(&["migrate", "--with-policies", "--database-url", &database.url]).await;
        assert_eq!(migrated.code, 0, "{}", migrated.err);
        assert_eq!(
            migrated.out.contains("policies campaigns"),
            written,
            "{time}: {}",
            migrated.out
        );
    }
    let mut service = Binary::start(here, &serve).await;
    let address = service.address().await;
    let ready = reqwest::get(format!("{address}/readyz")).await.unwrap();
    assert_eq!(ready.status(), 200);
    let sql = database.connect().await;
    sea_orm::ConnectionTrait::execute_unprepared(
        &sql,
        "ALTER TABLE campaign_sends DISABLE ROW LEVEL SECURITY",
    )
    .await
    .unwrap();
    let refused = run(&serve).await;
    assert_eq!(refused.code, 1);
    assert!(refused.err.contains("campaign_sends"), "{}", refused.err);
    drop(Answer::of(reqwest::Client::new().get(format!("{address}/healthz"))).await);
    assert_eq!(service.terminate().await, 0);
}

#[tokio::test]
async fn a_subject_that_is_no_uuid_sees_nothing_and_fails_nowhere() {
    let services = Services::start().await;
    let (acme, other) =
        (services.app.organization("acme").await, services.app.organization("other").await);
    services.plain.existing_organization(acme.id).await.populated(8).await;
    services.plain.existing_organization(other.id).await.populated(8).await;
    for subject in
        ["alice", "auth0|5f7c8ec7c33c6c004bbafe82", "", "00000000-0000-0000-0000-00000000000g"]
    {
        let client = services.app.client(Some(TestApp::token(acme.id, "admin", subject)));
        if subject.is_empty() {
            assert_eq!(client.ask("{ feedCursor }", json!({})).await.code(), "UNAUTHENTICATED");
            continue;
        }
        for list in ["campaigns", "segments", "contacts", "events", "sends"] {
            let query = format!("{{ {list} {{ totalCount nodes {{ id }} }} }}");
            assert_eq!(
                data(&client, &query).await[list],
                json!({ "totalCount": 0, "nodes": [] }),
                "{subject} {list}"
            );
        }
        let user = data(&client, "{ viewer { subject user { id } } }").await;
        assert_eq!(user["viewer"], json!({ "subject": subject, "user": null }));
        let mut socket = Socket::of(&client).await;
        socket.subscribe("1", "{ campaigns { totalCount } }", json!({})).await;
        assert_eq!(socket.next("1").await["campaigns"]["totalCount"], 0);
    }
}

#[tokio::test]
async fn where_policies_of_others_fail_at_a_subject_its_token_is_refused() {
    // with the other program's own function
    let app = TestApp::adopted().row_security().start().await;
    let acme = app.organization("acme").await;
    data(&acme.member, "{ campaigns { totalCount } }").await;
    let client = app.client(Some(TestApp::token(acme.id, "admin", "alice")));
    for _ in 0..3 {
        let answer = client.ask("{ campaigns { totalCount } }", json!({})).await;
        assert_eq!((answer.status.as_u16(), answer.code()), (401, "UNAUTHENTICATED"));
        let message = answer.error()["message"].as_str().unwrap();
        assert!(message.contains("its subject is not a UUID"), "{message}");
    }
    let mut socket = Socket::silent(&app.address).await;
    let payload = json!({ "Authorization": format!("Bearer {}", client.token.as_ref().unwrap()) });
    socket.say(json!({ "type": "connection_init", "payload": payload })).await;
    assert_eq!(socket.closed().await, 4403);
    // once the function can read such a subject, the token is accepted
    app.run(
        "CREATE OR REPLACE FUNCTION auth.uid() RETURNS uuid LANGUAGE sql STABLE AS \
         $$ SELECT NULLIF(current_setting('request.jwt.claims', true)::jsonb ->> 'sub', \
         'alice')::uuid $$",
    )
    .await;
    until("it is let in", std::time::Duration::from_secs(20), async || {
        client.ask("{ campaigns { totalCount } }", json!({})).await.body.get("errors").is_none()
    })
    .await;
}

#[tokio::test]
async fn a_claim_that_postgresql_cannot_store_is_refused_before_any_statement() {
    let services = Services::start().await;
    let acme = services.app.organization("acme").await;
    let token = services.user(acme.id, "member").await;
    let subject = services.app.verify(&token).subject().to_owned();
    let claims = |more: Json| {
        let mut claims = json!({
            "sub": subject, "org_id": acme.id, "exp": chrono::Utc::now().timestamp() + 60,
        });
        claims.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        TestApp::sign(&claims)
    };
    for odd in [
        json!({ "name": "a\0b" }),
        json!({ "app_metadata": { "teams": ["x", { "y": "\0" }] } }),
        json!({ "a\0b": true }),
        json!({ "sub": "alice\0" }),
    ] {
        let client = services.app.client(Some(claims(odd.clone())));
        services.app.forget_statements();
        let answer = client.ask("{ campaigns { totalCount } }", json!({})).await;
        assert_eq!((answer.status.as_u16(), answer.code()), (401, "UNAUTHENTICATED"), "{odd}");
        let message = answer.error()["message"].as_str().unwrap();
        assert!(message.contains("a claim contains a NUL character"), "{message}");
        assert!(services.app.statements().is_empty(), "{:?}", services.app.statements());
        // without row security, the claims do not matter
        let plain = services.plain.client(client.token.clone());
        data(&plain, "{ campaigns { totalCount } }").await;
    }
    let client = services.app.client(Some(claims(json!({ "name": "\u{1}\u{7f}\u{10ffff}" }))));
    data(&client, "{ campaigns { totalCount } }").await;
}

#[tokio::test]
async fn an_older_function_of_the_service_is_replaced_and_others_are_not() {
    let body =
        "SELECT (nullif(current_setting('request.jwt.claims', true), '')::jsonb ->> 'sub')::uuid";
    let other = "SELECT gen_random_uuid()";
    for (old, made_by_service, is_replaced) in
        [(body, true, true), (other, true, false), (body, false, false)]
    {
        let database = TestDatabase::new(Backend::Postgres).await;
        campaigns_migration::write_policies(&database.url, ROLE).await.unwrap();
        let sql = database.connect().await;
        let run = async |text: &str| {
            sea_orm::ConnectionTrait::execute_unprepared(&sql, text).await.unwrap();
        };
        run(&format!(
            "CREATE OR REPLACE FUNCTION auth.uid() RETURNS uuid LANGUAGE sql STABLE AS \
             $$\n            {old}\n        $$"
        ))
        .await;
        if !made_by_service {
            run("DELETE FROM service_tables WHERE name = 'function auth.uid()'").await;
        }
        campaigns_migration::write_policies(&database.url, ROLE).await.unwrap();
        let now = sea_orm::Statement::from_string(
            sea_orm::DbBackend::Postgres,
            "SELECT prosrc FROM pg_proc WHERE oid = to_regprocedure('auth.uid()')",
        );
        let row = sea_orm::ConnectionTrait::query_one_raw(&sql, now).await.unwrap().unwrap();
        let now: String = row.try_get("", "prosrc").unwrap();
        assert_eq!(!now.contains(old), is_replaced, "{now}");
        sql.close().await.unwrap();
    }
}
