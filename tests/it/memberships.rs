//! Tokens without an organization: the organization and the role come from the user's memberships.

use std::time::{Duration, Instant};

use campaigns_server::Settings;
use campaigns_tests::{Answer, Received, Socket, TestApp, on_both_databases, until};
use chrono::Utc;
use reqwest::{Method, StatusCode};
use serde_json::{Value as Json, json};
use uuid::Uuid;

const WHO: &str = "{ viewer { role organization { id } } }";
const FEED: &str = "subscription { engagementEvents { cursor } }";

fn settings() -> Settings {
    Settings {
        membership_admin_roles: Some(vec!["admin".to_owned(), "owner".to_owned()]),
        socket_check: Duration::from_millis(200),
        ..Settings::default()
    }
}

/// A user with a token that names no organization.
struct User {
    subject: Uuid,
    id: Uuid,
    token: String,
}

async fn user(app: &TestApp, home: Uuid) -> User {
    let (id, subject) = (Uuid::new_v4(), Uuid::new_v4());
    let [user, org, auth] = [id, home, subject].map(|id| app.literal(id));
    app.run(&format!(
        "INSERT INTO users (id, org_id, auth_id, email) VALUES \
         ({user}, {org}, {auth}, '{id}@example.com')"
    ))
    .await;
    User { subject, id, token: token(subject) }
}

fn token(subject: Uuid) -> String {
    // a token of an identity service, whose role is not a role in the organization
    let exp = Utc::now().timestamp() + 60;
    TestApp::sign(&json!({ "sub": subject, "role": "authenticated", "exp": exp }))
}

async fn join(app: &TestApp, user: &User, organization: Uuid, role: &str, status: &str) {
    let [org, user] = [organization, user.id].map(|id| app.literal(id));
    app.run(&format!(
        "INSERT INTO memberships (org_id, user_id, role, status) VALUES \
         ({org}, {user}, '{role}', '{status}')"
    ))
    .await;
}

/// Queries the viewer of a token, with these values of the organization header.
async fn ask(app: &TestApp, token: &str, organizations: &[String]) -> Answer {
    let client = app.client(Some(token.to_owned()));
    let mut request = client
        .request(Method::POST, "/graphql")
        .header("accept", "application/graphql-response+json")
        .json(&json!({ "query": WHO }));
    for organization in organizations {
        request = request.header("X-Organization-Id", organization);
    }
    Answer::of(request).await
}

async fn is_of(app: &TestApp, user: &User, named: Option<Uuid>) -> (Json, Json) {
    let named: Vec<String> = named.iter().map(ToString::to_string).collect();
    let answer = ask(app, &user.token, &named).await;
    let viewer = &answer.body["data"]["viewer"];
    assert!(viewer.is_object(), "{:#}", answer.body);
    (viewer["organization"]["id"].clone(), viewer["role"].clone())
}

async fn refusal(app: &TestApp, token: &str, named: &[String]) -> (StatusCode, String) {
    let answer = ask(app, token, named).await;
    (answer.status, answer.code().to_owned())
}

/// Repeats a request until the response has this status, since look-ups are cached for seconds.
async fn until_status(app: &TestApp, user: &User, named: &[String], status: StatusCode) -> Answer {
    let mut answer = ask(app, &user.token, named).await;
    until(&format!("it is {status}"), Duration::from_mins(2), async || {
        answer = ask(app, &user.token, named).await;
        answer.status == status
    })
    .await;
    answer
}

async fn init(app: &TestApp, payload: Json) -> (Socket, Received) {
    let mut socket = Socket::silent(&app.address).await;
    socket.say(json!({ "type": "connection_init", "payload": payload })).await;
    let received = socket.receive().await;
    (socket, received)
}

fn acknowledged() -> Received {
    Received::Message(json!({ "type": "connection_ack" }))
}

#[on_both_databases(settings = settings())]
async fn organization_and_role_are_those_of_the_active_membership(app: TestApp) {
    let acme = app.organization("acme").await.id;
    let other = app.organization("other").await.id;
    for (role, shown) in
        [("owner", "ADMIN"), ("admin", "ADMIN"), ("member", "MEMBER"), ("guest", "MEMBER")]
    {
        let user = user(&app, acme).await;
        join(&app, &user, acme, role, "active").await;
        // neither membership counts
        join(&app, &user, other, "owner", "invited").await;
        assert_eq!(is_of(&app, &user, None).await, (json!(acme), json!(shown)), "{role}");
        assert_eq!(is_of(&app, &user, Some(acme)).await, (json!(acme), json!(shown)), "{role}");
    }
    let unnamed = user(&app, acme).await;
    let [org, id] = [acme, unnamed.id].map(|id| app.literal(id));
    app.run(&format!("INSERT INTO memberships (org_id, user_id, role) VALUES ({org}, {id}, NULL)"))
        .await;
    assert_eq!(is_of(&app, &unnamed, None).await, (json!(acme), json!("MEMBER")));
}

#[on_both_databases(settings = settings())]
async fn a_user_without_an_active_membership_is_unauthenticated(app: TestApp) {
    let acme = app.organization("acme").await.id;
    let unauthenticated = (StatusCode::UNAUTHORIZED, "UNAUTHENTICATED".to_owned());
    let alone = user(&app, acme).await;
    let invited = user(&app, acme).await;
    join(&app, &invited, acme, "admin", "invited").await;
    let suspended = user(&app, acme).await;
    join(&app, &suspended, acme, "admin", "suspended").await;
    let inactive = user(&app, acme).await;
    join(&app, &inactive, acme, "admin", "active").await;
    app.run(&format!("UPDATE users SET is_active = FALSE WHERE id = {}", app.literal(inactive.id)))
        .await;
    for user in [&alone, &invited, &suspended, &inactive] {
        assert_eq!(refusal(&app, &user.token, &[]).await, unauthenticated);
        assert_eq!(refusal(&app, &user.token, &[acme.to_string()]).await, unauthenticated);
        let (_, received) =
            init(&app, json!({ "Authorization": format!("Bearer {}", user.token) })).await;
        assert!(matches!(received, Received::Closed(4403, _)), "{received:?}");
    }
    // a user's ID or name is not an auth_id
    assert_eq!(refusal(&app, &token(alone.id), &[]).await, unauthenticated);
    let exp = Utc::now().timestamp() + 60;
    let named = TestApp::sign(&json!({ "sub": "ann", "exp": exp }));
    assert_eq!(refusal(&app, &named, &[]).await, unauthenticated);
}

#[on_both_databases(settings = settings())]
async fn of_several_organizations_the_header_names_one(app: TestApp) {
    let acme = app.organization("acme").await.id;
    let other = app.organization("other").await.id;
    let foreign = app.organization("foreign").await.id;
    let user = user(&app, acme).await;
    join(&app, &user, acme, "owner", "active").await;
    join(&app, &user, other, "member", "active").await;
    assert_eq!(is_of(&app, &user, Some(acme)).await, (json!(acme), json!("ADMIN")));
    assert_eq!(is_of(&app, &user, Some(other)).await, (json!(other), json!("MEMBER")));
    for unclear in [
        vec![],
        vec!["acme".to_owned()],
        vec![String::new()],
        vec![acme.to_string(), other.to_string()],
    ] {
        let answer = ask(&app, &user.token, &unclear).await;
        assert_eq!(
            (answer.status, answer.code()),
            (StatusCode::BAD_REQUEST, "BAD_USER_INPUT"),
            "{unclear:?}"
        );
        assert_eq!(answer.field(), "X-Organization-Id");
    }
    // an existing organization and a missing one get the same error
    let forbidden = (StatusCode::FORBIDDEN, "FORBIDDEN".to_owned());
    for unknown in [foreign, Uuid::new_v4()] {
        assert_eq!(refusal(&app, &user.token, &[unknown.to_string()]).await, forbidden);
    }
}

#[on_both_databases(settings = settings())]
async fn a_socket_names_the_organization_in_its_first_message(app: TestApp) {
    let acme = app.organization("acme").await.id;
    let other = app.organization("other").await.id;
    let user = user(&app, acme).await;
    join(&app, &user, acme, "owner", "active").await;
    join(&app, &user, other, "member", "active").await;
    let bearer = format!("Bearer {}", user.token);
    for (key, id) in
        [("X-Organization-Id", acme), ("x-organization-id", other), ("X-ORGANIZATION-ID", acme)]
    {
        let (mut socket, received) = init(&app, json!({ "authorization": bearer, key: id })).await;
        assert_eq!(received, acknowledged());
        socket.subscribe("1", WHO, json!({})).await;
        assert_eq!(socket.next("1").await["viewer"]["organization"]["id"], json!(id));
    }
    for (unclear, code) in [
        (
            json!({ "authorization": bearer, "Authorization": bearer, "X-Organization-Id": acme }),
            4403,
        ),
        (json!({ "authorization": [bearer], "X-Organization-Id": acme }), 4403),
        (
            json!({
                "authorization": bearer, "x-organization-id": acme, "X-Organization-Id": acme,
            }),
            4400,
        ),
    ] {
        let (_, received) = init(&app, unclear.clone()).await;
        assert!(
            matches!(received, Received::Closed(closed, _) if closed == code),
            "{unclear} {received:?}"
        );
    }
    for (organization, code) in [
        (json!(null), 4400),
        (json!("acme"), 4400),
        (json!(7), 4400),
        (json!(Uuid::new_v4()), 4403),
    ] {
        let payload = json!({ "authorization": bearer, "X-Organization-Id": organization });
        let (_, received) = init(&app, payload).await;
        assert!(
            matches!(received, Received::Closed(closed, _) if closed == code),
            "{organization} {received:?}"
        );
    }
}

#[on_both_databases(settings = settings())]
async fn the_organization_that_a_token_names_is_used(app: TestApp) {
    let acme = app.organization("acme").await.id;
    let other = app.organization("other").await.id;
    let user = user(&app, acme).await;
    join(&app, &user, acme, "member", "active").await;
    let token = TestApp::token(other, "admin", &user.subject.to_string());
    for named in [vec![], vec![acme.to_string()], vec!["nonsense".to_owned()]] {
        let answer = ask(&app, &token, &named).await;
        assert_eq!(
            answer.body["data"]["viewer"],
            json!({ "role": "ADMIN", "organization": { "id": other } })
        );
    }
    let exp = Utc::now().timestamp() + 60;
    let unusable = TestApp::sign(&json!({ "sub": user.subject, "org_id": "acme", "exp": exp }));
    assert_eq!(refusal(&app, &unusable, &[]).await.0, StatusCode::UNAUTHORIZED);
}

#[on_both_databases(settings = settings())]
async fn changes_of_memberships_take_effect_within_seconds(app: TestApp) {
    let acme = app.organization("acme").await.id;
    let other = app.organization("other").await.id;
    let user = user(&app, acme).await;
    assert_eq!(refusal(&app, &user.token, &[]).await.0, StatusCode::UNAUTHORIZED);
    join(&app, &user, acme, "member", "active").await;
    until_status(&app, &user, &[], StatusCode::OK).await;
    join(&app, &user, other, "member", "active").await;
    assert_eq!(
        until_status(&app, &user, &[], StatusCode::BAD_REQUEST).await.code(),
        "BAD_USER_INPUT"
    );
    app.run(&format!(
        "UPDATE memberships SET status = 'suspended' WHERE org_id = {}",
        app.literal(other)
    ))
    .await;
    until_status(&app, &user, &[other.to_string()], StatusCode::FORBIDDEN).await;
    assert_eq!(is_of(&app, &user, None).await.0, json!(acme));
    app.run(&format!("UPDATE users SET is_active = FALSE WHERE id = {}", app.literal(user.id)))
        .await;
    until_status(&app, &user, &[], StatusCode::UNAUTHORIZED).await;
}

#[on_both_databases(settings = settings())]
async fn an_open_socket_ends_with_the_membership_or_the_organization(app: TestApp) {
    let acme = app.organization("acme").await.id;
    let other = app.organization("other").await.id;
    let user = user(&app, acme).await;
    join(&app, &user, acme, "member", "active").await;
    let bearer = format!("Bearer {}", user.token);
    let (mut of_acme, received) = init(&app, json!({ "authorization": bearer })).await;
    assert_eq!(received, acknowledged());
    of_acme.subscribe("1", FEED, json!({})).await;
    // a second membership does not close the socket of the first
    join(&app, &user, other, "member", "active").await;
    let named = json!({ "authorization": bearer, "X-Organization-Id": other });
    let start = Instant::now();
    let mut of_other = loop {
        let (socket, received) = init(&app, named.clone()).await;
        if received == acknowledged() {
            break socket;
        }
        assert!(start.elapsed() < Duration::from_secs(20), "{received:?}");
    };
    app.run(&format!("DELETE FROM memberships WHERE org_id = {}", app.literal(other))).await;
    assert_eq!(of_other.closed().await, 4403);
    of_acme.subscribe("2", "{ campaigns { totalCount } }", json!({})).await;
    assert_eq!(of_acme.next("2").await["campaigns"]["totalCount"], 0);
    // with any token
    let claimed = app.client(Some(TestApp::token(acme, "member", "x")));
    let mut claimed = Socket::of(&claimed).await;
    app.run(&format!("DELETE FROM organizations WHERE id = {}", app.literal(acme))).await;
    assert_eq!(claimed.closed().await, 4403);
    let mut received = of_acme.receive().await;
    while let Received::Message(_) = received {
        received = of_acme.receive().await;
    }
    assert!(matches!(received, Received::Closed(4403, _)), "{received:?}");
}

#[on_both_databases(settings = settings())]
async fn a_user_is_looked_up_once_however_many_organizations_a_flood_names(app: TestApp) {
    let acme = app.organization("acme").await.id;
    let user = user(&app, acme).await;
    join(&app, &user, acme, "member", "active").await;
    app.forget_statements();
    let requests = (0..64).map(|_| {
        let (app, token) = (&app, &user.token);
        async move { refusal(app, token, &[Uuid::new_v4().to_string()]).await.0 }
    });
    let statuses = async_graphql::futures_util::future::join_all(requests).await;
    assert!(statuses.iter().all(|status| *status == StatusCode::FORBIDDEN));
    let look_ups = app
        .statements()
        .iter()
        .filter(|sent| sent.sql.contains("FROM users JOIN memberships"))
        .count();
    // the cache can expire on a busy machine
    assert!((1..=3).contains(&look_ups), "{look_ups}");
}

#[on_both_databases(settings = settings())]
async fn a_user_of_very_many_organizations_may_name_each(app: TestApp) {
    let user = {
        let home = app.organization("home").await.id;
        user(&app, home).await
    };
    let mut all = Vec::new();
    for number in 0..103 {
        let id = Uuid::new_v4();
        let org = app.literal(id);
        app.run(&format!(
            "INSERT INTO organizations (id, name, slug) VALUES ({org}, 'o', 'o{number}')"
        ))
        .await;
        join(&app, &user, id, "member", "active").await;
        all.push(id);
    }
    for id in [all[0], all[51], all[102]] {
        assert_eq!(is_of(&app, &user, Some(id)).await, (json!(id), json!("MEMBER")));
    }
    assert_eq!(
        refusal(&app, &user.token, &[Uuid::new_v4().to_string()]).await.0,
        StatusCode::FORBIDDEN
    );
    assert_eq!(refusal(&app, &user.token, &[]).await.1, "BAD_USER_INPUT");
}

#[tokio::test]
async fn without_the_setting_a_token_has_to_name_the_organization() {
    let app = TestApp::on(campaigns_tests::Backend::Sqlite).start().await;
    let acme = app.organization("acme").await.id;
    let user = user(&app, acme).await;
    join(&app, &user, acme, "admin", "active").await;
    let named = [acme.to_string()];
    assert_eq!(refusal(&app, &user.token, &named).await.0, StatusCode::UNAUTHORIZED);
}
