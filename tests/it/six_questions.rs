//! The six questions of the documentation, compared with the SQL of the document that specifies the
//! tables, on random rows and after random writes by SQL.

use campaigns_tests::{Backend, Fixtures, Organization, TestApp, on_every_database};
use rand::{RngExt, SeedableRng, seq::IndexedRandom};
use rand_chacha::ChaCha8Rng;
use sea_orm::QueryResult;
use serde_json::{Value as Json, json};
use uuid::Uuid;

const PAGES: [&str; 2] =
    [include_str!("../../docs/queries.md"), include_str!("../../docs/subscriptions.md")];

/// The document in the documentation with this operation: `query Rates`, `subscription Feed`.
pub(crate) fn document(operation: &str) -> &'static str {
    let blocks = PAGES.into_iter().flat_map(|page| page.split("```graphql\n").skip(1));
    let mut blocks = blocks.map(|rest| rest.split("```").next().unwrap());
    blocks.find(|block| block.starts_with(operation)).expect(operation)
}

fn number(row: &QueryResult, name: &str) -> i64 {
    row.try_get("", name).unwrap()
}

fn id(row: &QueryResult) -> Uuid {
    row.try_get("", "id").unwrap()
}

fn text(row: &QueryResult, name: &str) -> Option<String> {
    row.try_get("", name).unwrap()
}

/// `round(100.0 * part / nullif(whole, 0), 1)`, in integers: `SQLite` rounds a binary fraction.
fn rate(part: i64, whole: i64) -> Json {
    if whole == 0 {
        return Json::Null;
    }
    let tenths = (part * 10_000 / whole + 5) / 10;
    json!(format!("{}.{}", tenths / 10, tenths % 10).parse::<f64>().unwrap())
}

struct Asked<'a> {
    app: &'a TestApp,
    organization: &'a Organization,
}

impl Asked<'_> {
    async fn answer(&self, operation: &str, variables: Json, pointer: &str) -> Json {
        let mut data =
            self.organization.member.data(document(&format!("query {operation}")), variables).await;
        data.pointer_mut(pointer).unwrap().take()
    }

    async fn rows(&self, sql: &str) -> Vec<QueryResult> {
        self.app.rows(&sql.replace("$org", &self.app.literal(self.organization.id))).await
    }

    async fn rates_of_a_campaign(&self, campaigns: &[Uuid]) {
        for campaign in campaigns {
            let sql = "SELECT c.name AS campaign,
                 count(DISTINCT cs.id) AS total_sends,
                 count(DISTINCT cs.id) FILTER (WHERE cs.status = 'delivered') AS delivered,
                 count(DISTINCT ce.id) FILTER (WHERE ce.event_type = 'open') AS opens,
                 count(DISTINCT ce.id) FILTER (WHERE ce.event_type = 'click') AS clicks,
                 count(DISTINCT ce.send_id) FILTER (WHERE ce.event_type = 'open') AS opened,
                 count(DISTINCT ce.send_id) FILTER (WHERE ce.event_type = 'click') AS clicked
                 FROM campaigns c
                 LEFT JOIN campaign_sends cs ON cs.campaign_id = c.id
                 LEFT JOIN campaign_events ce ON ce.send_id = cs.id
                 WHERE c.id = $id GROUP BY c.id, c.name";
            let rows = self.rows(&sql.replace("$id", &self.app.literal(*campaign))).await;
            let shown = self.answer("CampaignRates", json!({ "id": campaign }), "/campaign").await;
            let Some(row) = rows.first() else {
                assert_eq!(shown, Json::Null);
                continue;
            };
            assert_eq!(
                shown,
                json!({ "name": text(row, "campaign"), "stats": {
                    "sends": number(row, "total_sends"), "delivered": number(row, "delivered"),
                    "opens": number(row, "opens"), "clicks": number(row, "clicks"),
                    "openRate": rate(number(row, "opened"), number(row, "delivered")),
                    "clickRate": rate(number(row, "clicked"), number(row, "delivered")),
                } })
            );
        }
    }

    async fn bounce_rate_by_campaign(&self) {
        let rows = self
            .rows(
                "SELECT c.id, c.name, count(cs.id) AS total_sends,
                 count(cs.id) FILTER (WHERE cs.status = 'bounced') AS bounced
                 FROM campaigns c JOIN campaign_sends cs ON cs.campaign_id = c.id
                 WHERE c.status = 'sent' AND c.org_id = $org GROUP BY c.id, c.name
                 ORDER BY (2000 * count(cs.id) FILTER (WHERE cs.status = 'bounced') + count(cs.id))
                 / (2 * count(cs.id)) DESC, c.id",
            )
            .await;
        let expected = rows.iter().map(|row| {
            let (sends, bounced) = (number(row, "total_sends"), number(row, "bounced"));
            json!({ "id": id(row), "name": text(row, "name"), "stats": {
                "sends": sends, "bounced": bounced, "bounceRate": rate(bounced, sends),
            } })
        });
        let mut shown = self.answer("BounceRates", json!({}), "/campaigns/nodes").await;
        // the seed's join omits campaigns without sends; the API returns them last, without a rate
        let shown = shown.as_array_mut().unwrap();
        let with_sends = shown.iter().position(|campaign| campaign["stats"]["sends"] == 0);
        let without = shown.split_off(with_sends.unwrap_or(shown.len()));
        assert!(without.iter().all(|campaign| campaign["stats"]["bounceRate"].is_null()));
        assert_eq!(*shown, expected.collect::<Vec<_>>());
    }

    async fn events_of_a_contact(&self, contacts: &[Uuid]) {
        for contact in contacts {
            let sql = "SELECT ce.id, c.name AS campaign, CAST(ce.event_type AS text) AS \
                 event_type, ce.url
                 FROM campaign_events ce
                 JOIN campaign_sends cs ON cs.id = ce.send_id
                 JOIN campaigns c ON c.id = cs.campaign_id
                 WHERE cs.contact_id = $id ORDER BY ce.occurred_at DESC, ce.id";
            let rows = self.rows(&sql.replace("$id", &self.app.literal(*contact))).await;
            let pointer = "/contact/events/nodes";
            let shown = self.answer("ContactEvents", json!({ "id": contact }), pointer).await;
            let shown = shown.as_array().unwrap();
            assert_eq!(shown.len(), rows.len());
            for (row, shown) in rows.iter().zip(shown) {
                assert_eq!(
                    *shown,
                    json!({
                        "id": id(row), "type": text(row, "event_type").unwrap().to_uppercase(),
                        "url": text(row, "url"), "occurredAt": shown["occurredAt"],
                        "campaign": { "name": text(row, "campaign") },
                    })
                );
            }
        }
    }

    async fn segment_sizes(&self) {
        let rows = self
            .rows(
                "SELECT seg.id, seg.name, CAST(coalesce(seg.contact_count, 0) AS bigint) AS \
                 contact_count,
                 count(DISTINCT cl.campaign_id) AS campaigns_used_in
                 FROM campaign_segments seg LEFT JOIN campaign_lists cl ON cl.segment_id = seg.id
                 WHERE seg.org_id = $org GROUP BY seg.id, seg.name, seg.contact_count
                 ORDER BY coalesce(seg.contact_count, 0) DESC, seg.id",
            )
            .await;
        let expected = rows.iter().map(|row| {
            json!({
                "id": id(row), "name": text(row, "name"),
                "contactCount": number(row, "contact_count"),
                "campaignsUsedIn": number(row, "campaigns_used_in"),
            })
        });
        let expected: Json = expected.collect();
        assert_eq!(self.answer("SegmentSizes", json!({}), "/segments/nodes").await, expected);
    }

    async fn delivery_summary(&self) {
        let rows = self
            .rows(
                "SELECT c.id, c.name, CAST(c.status AS text) AS status,
                 count(cs.id) FILTER (WHERE cs.status = 'queued') AS queued,
                 count(cs.id) FILTER (WHERE cs.status = 'sent') AS sent,
                 count(cs.id) FILTER (WHERE cs.status = 'delivered') AS delivered,
                 count(cs.id) FILTER (WHERE cs.status = 'bounced') AS bounced,
                 count(cs.id) FILTER (WHERE cs.status = 'failed') AS failed
                 FROM campaigns c LEFT JOIN campaign_sends cs ON cs.campaign_id = c.id
                 WHERE c.org_id = $org GROUP BY c.id, c.name, c.status, c.sent_at
                 ORDER BY c.sent_at DESC NULLS LAST, c.id",
            )
            .await;
        let shown = self.answer("DeliverySummary", json!({}), "/campaigns/nodes").await;
        let shown = shown.as_array().unwrap();
        assert_eq!(shown.len(), rows.len());
        for (row, shown) in rows.iter().zip(shown) {
            assert_eq!(
                *shown,
                json!({
                    "id": id(row), "name": text(row, "name"),
                    "status": text(row, "status").unwrap().to_uppercase(),
                    "sentAt": shown["sentAt"],
                    "stats": {
                        "queued": number(row, "queued"), "sent": number(row, "sent"),
                        "delivered": number(row, "delivered"), "bounced": number(row, "bounced"),
                        "failed": number(row, "failed"),
                    },
                })
            );
        }
    }

    async fn clicked_and_never_unsubscribed(&self) {
        let collate = match self.app.database.backend {
            Backend::Postgres => " COLLATE \"C\"",
            Backend::Sqlite => "",
        };
        let sql = "SELECT con.* FROM (SELECT DISTINCT con.id, con.first_name, con.last_name, \
             con.email
             FROM contacts con
             JOIN campaign_sends cs ON cs.contact_id = con.id
             JOIN campaign_events ce ON ce.send_id = cs.id AND ce.event_type = 'click'
             WHERE con.org_id = $org AND con.id NOT IN (
               SELECT cs2.contact_id FROM campaign_sends cs2
               JOIN campaign_events ce2 ON ce2.send_id = cs2.id AND ce2.event_type = \
               'unsubscribe')) con
             ORDER BY con.last_name$c ASC NULLS LAST, con.first_name$c, con.id";
        let rows = self.rows(&sql.replace("$c", collate)).await;
        let expected = rows.iter().map(|row| {
            json!({
                "id": id(row), "firstName": text(row, "first_name"),
                "lastName": text(row, "last_name"), "email": text(row, "email"),
            })
        });
        let expected: Json = expected.collect();
        assert_eq!(self.answer("ClickedAndStayed", json!({}), "/contacts/nodes").await, expected);
    }

    async fn all(&self, made: &Fixtures) {
        self.rates_of_a_campaign(&made.campaigns).await;
        self.bounce_rate_by_campaign().await;
        self.events_of_a_contact(&made.contacts).await;
        self.segment_sizes().await;
        self.delivery_summary().await;
        self.clicked_and_never_unsubscribed().await;
    }
}

/// A random write by SQL.
fn write(app: &TestApp, rng: &mut ChaCha8Rng, made: &Fixtures) -> String {
    let some = |ids: &[Uuid], rng: &mut ChaCha8Rng| {
        let count = rng.random_range(1..10);
        let ids: Vec<String> = ids.sample(rng, count).map(|id| app.literal(*id)).collect();
        ids.join(", ")
    };
    let status = ["queued", "sent", "delivered", "bounced", "failed"].choose(rng).unwrap();
    let event = ["open", "click", "unsubscribe", "complaint", "bounce"].choose(rng).unwrap();
    let (sends, events) = (some(&made.sends, rng), some(&made.events, rng));
    let send = app.literal(*made.sends.choose(rng).unwrap());
    let campaign = app.literal(*made.campaigns.choose(rng).unwrap());
    let contact = app.literal(*made.contacts.choose(rng).unwrap());
    match rng.random_range(0..10) {
        0 => format!("UPDATE campaign_sends SET status = '{status}' WHERE id IN ({sends})"),
        1 => format!("UPDATE campaign_sends SET campaign_id = {campaign} WHERE id IN ({sends})"),
        2 => format!("UPDATE campaign_sends SET contact_id = {contact} WHERE id IN ({sends})"),
        3 => format!("UPDATE campaign_events SET event_type = '{event}' WHERE id IN ({events})"),
        4 => format!(
            "UPDATE campaign_events SET send_id = (SELECT id FROM campaign_sends WHERE id = \
             {send}) WHERE id IN ({events}) AND EXISTS \
             (SELECT 1 FROM campaign_sends WHERE id = {send})"
        ),
        5 => format!("DELETE FROM campaign_sends WHERE id IN ({sends})"),
        6 => format!("DELETE FROM campaign_events WHERE id IN ({events})"),
        7 => format!("UPDATE campaigns SET sent_at = NULL, status = 'sent' WHERE id = {campaign}"),
        8 => format!("UPDATE campaign_lists SET segment_id = NULL WHERE campaign_id = {campaign}"),
        _ => format!(
            "INSERT INTO campaign_events (org_id, send_id, event_type) \
             SELECT org_id, id, '{event}' FROM campaign_sends WHERE id IN ({sends})"
        ),
    }
}

#[on_every_database]
async fn the_six_questions_equal_the_seeds_sql_regardless_of_the_writer(app: TestApp) {
    let mut rng = ChaCha8Rng::seed_from_u64(111);
    let acme = app.organization("acme").await;
    let other = app.organization("other").await;
    let of_acme = acme.populated(24).await;
    let of_other = other.populated(9).await;
    for round in 0..12 {
        for (organization, made) in [(&acme, &of_acme), (&other, &of_other)] {
            Asked { app: &app, organization }.all(made).await;
            for _ in 0..round {
                app.run(&write(&app, &mut rng, made)).await;
            }
        }
    }
}
