-- the recount of events, from their sends
{create view} campaign_events_to_count AS
    SELECT event.org_id, send.campaign_id, send.contact_id, event.send_id, event.event_type,
        campaign_event_suppresses(event.event_type, event.metadata) AS suppresses,
        campaign_event_url(event.event_type, event.url) AS url,
        campaign_event_link(campaign_event_url(event.event_type, event.url)) AS link,
        campaign_event_hour(event.occurred_at) AS hour, 1 AS number{named facts: event}
    FROM campaign_events AS event
    JOIN campaign_sends AS send ON send.org_id = event.org_id AND send.id = event.send_id
    WHERE event.event_type IN ({types})
    UNION ALL
    SELECT org_id, campaign_id, contact_id, send_id, event_type, suppresses, url, link, hour, -number{facts}
    FROM campaign_event_changes;
