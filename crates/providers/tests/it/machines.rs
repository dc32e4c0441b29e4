//! Opens and clicks of machines.

use campaigns_providers::{
    Provider,
    machine::{APPLE_MPP, AgentsError, BURST_LINKS, Engagement, MachineAgents, SCANNER, bursts},
};
use chrono::{DateTime, TimeDelta, Utc};
use proptest::{prelude::*, test_runner::Config};
use serde_json::{Value, json};

use crate::senders::{events, post_events, reports};

const PERSON: &str = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko)";

#[test]
fn user_agents_distinguish_machines_from_persons() {
    let agents = MachineAgents::default();
    for (engagement, agent, reasons) in [
        (Engagement::Open, "Mozilla/5.0", vec![APPLE_MPP]),
        (Engagement::Open, " Mozilla/5.0 ", vec![APPLE_MPP]),
        (Engagement::Open, "Mozilla/5.0 (Macintosh)", vec![]),
        (Engagement::Click, "Mozilla/5.0", vec![]),
        (Engagement::Open, PERSON, vec![]),
        (Engagement::Click, PERSON, vec![]),
        (Engagement::Click, "Mozilla/5.0 (compatible; BARRACUDA/1.0)", vec![SCANNER]),
        (Engagement::Open, "python-requests/2.32", vec![SCANNER]),
        (
            Engagement::Open,
            "Mozilla/5.0 (Windows NT 5.1; rv:11.0) Gecko Firefox/11.0 (via ggpht.com GoogleImageProxy)",
            vec![],
        ),
        (
            Engagement::Open,
            "YahooMailProxy; https://help.yahoo.com/kb/yahoo-mail-proxy-SLN28749.html",
            vec![],
        ),
        (Engagement::Open, "", vec![]),
    ] {
        assert_eq!(agents.reasons(engagement, Some(agent)), reasons, "{engagement:?} {agent}");
    }
    assert!(agents.reasons(Engagement::Open, None).is_empty());
}

#[test]
fn the_list_can_be_extended() {
    let mut agents = MachineAgents::default();
    let agent = Some("Acme-Gateway/3");
    assert!(agents.reasons(Engagement::Click, agent).is_empty());
    agents.extend("# gateways\n\n  acme-gateway \n").expect("a list");
    assert_eq!(agents.reasons(Engagement::Click, agent), [SCANNER]);
    // proxies that stand for persons stay persons
    agents.extend("ImageProxy\nYahooMailProxy").expect("a list");
    assert!(agents.reasons(Engagement::Open, Some("x GoogleImageProxy y")).is_empty());
    assert!(agents.reasons(Engagement::Open, Some("YahooMailProxy; x")).is_empty());
    assert_eq!(agents.extend("fine\nM/5"), Err(AgentsError::Short { line: 2 }));
    assert_eq!(agents.extend(&"a".repeat(600)), Err(AgentsError::Long { line: 1 }));
    let many = vec!["an-agent"; 1_001].join("\n");
    assert_eq!(agents.extend(&many), Err(AgentsError::Many));
}

#[test]
fn the_flag_of_a_provider_marks_its_event() {
    for (provider, name, path, value, reasons) in [
        (Provider::Sendgrid, "open", "/sg_machine_open", json!(true), vec![APPLE_MPP]),
        (Provider::Sendgrid, "open", "/sg_machine_open", json!("true"), vec![APPLE_MPP]),
        (Provider::Mailgun, "opened", "/client-info/bot", json!("apple"), vec![APPLE_MPP]),
        (Provider::Mailgun, "clicked", "/client-info/bot", json!("generic"), vec![SCANNER]),
        (Provider::Mailgun, "opened", "/client-info/bot", json!("gmail"), vec![]),
        (Provider::Brevo, "opened", "/event", json!("unique_proxy_open"), vec![APPLE_MPP]),
        (Provider::Brevo, "opened", "/event", json!("proxy_open"), vec![APPLE_MPP]),
        (Provider::Postmark, "open", "/UserAgent", json!("Mozilla/5.0"), vec![APPLE_MPP]),
        (Provider::Ses, "event-click", "/click/userAgent", json!("proofpoint"), vec![SCANNER]),
        (Provider::Ses, "event-open", "/open/userAgent", json!("Mozilla/5.0"), vec![APPLE_MPP]),
        (Provider::Mailjet, "open", "/agent", json!("Mozilla/5.0"), vec![APPLE_MPP]),
    ] {
        let mut event: Value = events(provider, name).remove(0);
        *event.pointer_mut(path).expect(path) = value;
        let outcomes = post_events(provider, &[event]);
        let report = reports(&outcomes)[0];
        assert_eq!(report.machine_reasons, reasons, "{provider} {path}");
        let marked = report.metadata().get("machine").cloned();
        assert_eq!(marked, (!reasons.is_empty()).then_some(json!(true)), "{provider} {path}");
    }
}

fn at(milliseconds: i64) -> DateTime<Utc> {
    DateTime::UNIX_EPOCH + TimeDelta::milliseconds(milliseconds)
}

#[test]
fn three_links_within_two_seconds_are_a_burst() {
    for (clicks, expected) in [
        (vec![], vec![]),
        (vec![(0, "a"), (1_000, "b"), (2_000, "c")], vec![true, true, true]),
        (vec![(2_000, "c"), (0, "a"), (1_000, "b")], vec![true, true, true]),
        (vec![(0, "a"), (1_000, "b"), (2_001, "c")], vec![false, false, false]),
        (vec![(0, "a"), (1, "a"), (2, "a"), (3, "b")], vec![false; 4]),
        (vec![(0, "a"), (1, "a"), (2, "b"), (3, "c")], vec![true; 4]),
        (vec![(0, "a"), (1_500, "b"), (3_000, "c"), (3_400, "d")], vec![false, true, true, true]),
        (vec![(0, "a"), (10, "b"), (20, "c"), (60_000, "a")], vec![true, true, true, false]),
    ] {
        let clicks: Vec<_> = clicks.into_iter().map(|(time, link)| (at(time), link)).collect();
        assert_eq!(bursts(&clicks), expected, "{clicks:?}");
    }
}

proptest! {
    #![proptest_config(Config { failure_persistence: None, ..Config::default() })]

    #[test]
    fn a_burst_is_a_window_with_enough_links(clicks in prop::collection::vec((0_i64..8_000, "[a-d]"), 0..12)) {
        let clicks: Vec<_> = clicks.iter().map(|(time, link)| (at(*time), link.as_str())).collect();
        // every window that starts at a click
        let expected: Vec<bool> = clicks
            .iter()
            .map(|(this, _)| {
                clicks.iter().any(|(start, _)| {
                    let within = |time: &DateTime<Utc>| time >= start && *time - *start <= TimeDelta::seconds(2);
                    let links: std::collections::HashSet<_> =
                        clicks.iter().filter(|(time, _)| within(time)).map(|(_, link)| link).collect();
                    within(this) && links.len() >= BURST_LINKS
                })
            })
            .collect();
        prop_assert_eq!(bursts(&clicks), expected);
    }
}
