-- the expected rows of each table: a recount of sends and events, minus the pending changes. The same in both
-- databases
{create view} campaign_send_counts_recounted AS
    SELECT org_id, send_id, campaign_id, {names: events}
    FROM (
        SELECT org_id, send_id, campaign_id,
            {named sums: events}
        FROM campaign_events_to_count GROUP BY org_id, send_id, campaign_id
    ) AS counted
    WHERE {are not zero: events};

{create view} campaign_counts_recounted AS
    SELECT org_id, campaign_id,
        {cast sums: campaigns}
    FROM (
        SELECT org_id, campaign_id,
            {parts of sends: campaigns}
        FROM campaign_sends_to_count GROUP BY org_id, campaign_id
        UNION ALL
        SELECT org_id, campaign_id,
            {parts of events: campaigns}
        FROM campaign_send_counts_recounted GROUP BY org_id, campaign_id
    ) AS parts
    GROUP BY org_id, campaign_id
    HAVING {amount: kept} <> 0;

{create view} campaign_contact_counts_recounted AS
    SELECT org_id, contact_id, {names: contacts}
    FROM (
        SELECT org_id, contact_id,
            {named sums: contacts}
        FROM campaign_events_to_count GROUP BY org_id, contact_id
    ) AS counted
    WHERE {are not zero: contacts};

{create view} campaign_hour_counts_recounted AS
    SELECT org_id, campaign_id, hour, {names: events}
    FROM (
        SELECT org_id, campaign_id, hour,
            {named sums: events}
        FROM campaign_events_to_count GROUP BY org_id, campaign_id, hour
    ) AS counted
    WHERE {are not zero: events};

{create view} campaign_send_link_counts_recounted AS
    SELECT org_id, send_id, campaign_id, link, clicks
    FROM (
        SELECT org_id, send_id, campaign_id, link, sum(number) AS clicks
        FROM campaign_events_to_count WHERE link IS NOT NULL GROUP BY org_id, send_id, campaign_id, link
    ) AS counted
    WHERE clicks <> 0;

{create view} campaign_link_counts_recounted AS
    SELECT org_id, campaign_id, link, url, clicks, unique_clicks
    FROM (
        SELECT org_id, campaign_id, link, max(url) AS url, CAST(sum(clicks) AS bigint) AS clicks,
            sum(CASE WHEN clicks > 0 THEN 1 ELSE 0 END) AS unique_clicks
        FROM (
            SELECT org_id, send_id, campaign_id, link, max(url) AS url, sum(number) AS clicks
            FROM campaign_events_to_count WHERE link IS NOT NULL GROUP BY org_id, send_id, campaign_id, link
        ) AS of_sends
        GROUP BY org_id, campaign_id, link
    ) AS counted
    WHERE clicks <> 0;
