//! Conditions from clients: filters, and the rules of segments.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use campaigns_tests::{Backend, TestApp};
use serde_json::{Value as Json, json};

use super::{ALONE, allocated, settled};

/// The memory of the test's client and of unmeasured parts of the process, in addition to copies of
/// the request.
const BESIDE: usize = 6 << 20;

/// The maximum of additional allocated and drawn bytes while an operation ran.
async fn most_of(
    app: &Arc<TestApp>,
    client: &campaigns_tests::Client,
    body: &Json,
) -> (usize, usize) {
    let (before, ended) = (settled().await, Arc::new(AtomicBool::new(false)));
    let watching = {
        let (app, ended) = (Arc::clone(app), Arc::clone(&ended));
        std::thread::spawn(move || {
            let (mut most, mut drawn) = (0, 0);
            while !ended.load(Ordering::Relaxed) {
                most = most.max(allocated());
                drawn = drawn.max(app.service_database.budgets().process().held());
                // recorded by the test
                app.forget_statements();
                std::thread::sleep(Duration::from_micros(500));
            }
            (most, drawn)
        })
    };
    client.post(body).await;
    ended.store(true, Ordering::Relaxed);
    let (most, drawn) = watching.join().unwrap();
    (most.saturating_sub(before), drawn)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn compiled_conditions_are_drawn_from_the_budget() {
    let _alone = ALONE.lock().await;
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let app = TestApp::on(backend)
            .settings({
                let mut settings = campaigns_server::Settings::default();
                settings.limits.operation.complexity = 100_000_000;
                settings
            })
            .start()
            .await;
        let acme = app.organization("acme").await;
        acme.populated(8).await;
        let org = app.literal(acme.id);
        let rules: Vec<Json> = (0..500)
            .map(|at| json!({ "field": "clicked_url", "operator": "=", "value": format!("u{at}") }))
            .collect();
        let rules = json!({ "combinator": "or", "rules": rules });
        for _ in 0..60 {
            app.run(&format!(
                "INSERT INTO campaign_segments (org_id, name, filter_rules) \
                 VALUES ({org}, 'x', '{rules}')"
            ))
            .await;
        }
        let app = Arc::new(app);
        acme.member.data("{ viewer { subject } }", json!({})).await;
        let aliases =
            |of: &str| (0..50).map(|at| format!("a{at}: {of}")).collect::<Vec<_>>().join(" ");
        let urls: Vec<String> = (0..1_000).map(|at| format!("https://x.example/{at}")).collect();
        let lists: Vec<Json> = (0..30).map(|_| json!({ "url": { "in": urls } })).collect();
        let long: Vec<String> = (0..1_000).map(|at| format!("{at}{}", "x".repeat(2_000))).collect();
        let titles: Vec<String> = (0..1_000).map(|at| format!("title {at}")).collect();
        let of_titles: Vec<Json> = (0..30)
            .map(|_| json!({ "field": "title", "operator": "in", "value": titles }))
            .collect();
        let numbers: Vec<Json> =
            (0..400).map(|at| json!({ "field": "opens", "operator": "=", "value": at })).collect();
        let preview =
            format!("query ($r: JSON!) {{ {} }}", aliases("previewSegment(rules: $r) { count }"));
        for (what, query, variables) in [
            (
                "the contacts of segments",
                "{ segments(first: 60) { nodes { contacts(first: 1) { totalCount nodes { id } } } } }"
                    .to_owned(),
                json!({}),
            ),
            (
                "lists of URLs for each parent",
                format!(
                    "query ($f: EngagementEventFilter) {{ campaigns {{ nodes {{ {} }} }} }}",
                    aliases("events(filter: $f) { totalCount nodes { id } }")
                ),
                json!({ "f": { "or": lists } }),
            ),
            (
                "long texts",
                format!(
                    "query ($f: ContactFilter) {{ {} }}",
                    aliases("contacts(filter: $f) { totalCount nodes { id } }")
                ),
                json!({ "f": { "email": { "in": long } } }),
            ),
            (
                "previews with lists",
                preview.clone(),
                json!({ "r": { "combinator": "or", "rules": of_titles } }),
            ),
            (
                "many small objects",
                "query ($r: JSON!) { previewSegment(rules: $r) { count } }".to_owned(),
                json!({ "r": vec![json!({ "a": 1 }); 50_000] }),
            ),
            (
                "previews with numbers",
                preview,
                json!({ "r": { "combinator": "or", "rules": numbers } }),
            ),
        ] {
            let body = json!({ "query": query, "variables": variables });
            let request = body.to_string().len();
            let (most, drawn) = most_of(&app, &acme.member, &body).await;
            eprintln!(
                "{backend:?}, {what}: {} KiB allocated, {} KiB drawn, a request of {} KiB",
                most >> 10,
                drawn >> 10,
                request >> 10
            );
            assert!(drawn > 2 << 20, "{what}: the test drives too little of it, {drawn} bytes");
            assert!(
                most < 2 * drawn + 4 * request + BESIDE,
                "{backend:?}, {what}: {most} allocated, {drawn} drawn"
            );
        }
    }
}
