-- what each table has to hold: a recount of sends and events, but for the changes that are not
-- added to the tables yet
CREATE VIEW campaign_send_counts_recounted AS
    SELECT org_id, send_id, campaign_id, opens, clicks, unsubscribes, complaints, bounces
    FROM (
        SELECT org_id, send_id, campaign_id,
            coalesce(sum(number) FILTER (WHERE event_type = 'open'), 0) AS opens,
            coalesce(sum(number) FILTER (WHERE event_type = 'click'), 0) AS clicks,
            coalesce(sum(number) FILTER (WHERE event_type = 'unsubscribe'), 0) AS unsubscribes,
            coalesce(sum(number) FILTER (WHERE event_type = 'complaint'), 0) AS complaints,
            coalesce(sum(number) FILTER (WHERE event_type = 'bounce'), 0) AS bounces
        FROM campaign_events_to_count GROUP BY org_id, send_id, campaign_id
    ) AS counted
    WHERE opens <> 0 OR clicks <> 0 OR unsubscribes <> 0 OR complaints <> 0 OR bounces <> 0;

CREATE VIEW campaign_counts_recounted AS
    SELECT org_id, campaign_id,
        CAST(sum(sends) AS bigint) AS sends,
        CAST(sum(queued) AS bigint) AS queued,
        CAST(sum(sent) AS bigint) AS sent,
        CAST(sum(delivered) AS bigint) AS delivered,
        CAST(sum(bounced) AS bigint) AS bounced,
        CAST(sum(failed) AS bigint) AS failed,
        CAST(sum(opens) AS bigint) AS opens,
        CAST(sum(clicks) AS bigint) AS clicks,
        CAST(sum(unsubscribes) AS bigint) AS unsubscribes,
        CAST(sum(complaints) AS bigint) AS complaints,
        CAST(sum(bounces) AS bigint) AS bounces,
        CAST(sum(unique_opens) AS bigint) AS unique_opens,
        CAST(sum(unique_clicks) AS bigint) AS unique_clicks,
        CAST(sum(unique_unsubscribes) AS bigint) AS unique_unsubscribes,
        CAST(sum(unique_complaints) AS bigint) AS unique_complaints
    FROM (
        SELECT org_id, campaign_id, sum(number) AS sends,
            coalesce(sum(number) FILTER (WHERE status = 'queued'), 0) AS queued,
            coalesce(sum(number) FILTER (WHERE status = 'sent'), 0) AS sent,
            coalesce(sum(number) FILTER (WHERE status = 'delivered'), 0) AS delivered,
            coalesce(sum(number) FILTER (WHERE status = 'bounced'), 0) AS bounced,
            coalesce(sum(number) FILTER (WHERE status = 'failed'), 0) AS failed,
            0 AS opens, 0 AS clicks, 0 AS unsubscribes, 0 AS complaints, 0 AS bounces,
            0 AS unique_opens, 0 AS unique_clicks, 0 AS unique_unsubscribes, 0 AS unique_complaints
        FROM campaign_sends_to_count GROUP BY org_id, campaign_id
        UNION ALL
        SELECT org_id, campaign_id, 0, 0, 0, 0, 0, 0,
            sum(opens), sum(clicks), sum(unsubscribes), sum(complaints), sum(bounces),
            sum(CASE WHEN opens > 0 THEN 1 ELSE 0 END),
            sum(CASE WHEN clicks > 0 THEN 1 ELSE 0 END),
            sum(CASE WHEN unsubscribes > 0 THEN 1 ELSE 0 END),
            sum(CASE WHEN complaints > 0 THEN 1 ELSE 0 END)
        FROM campaign_send_counts_recounted GROUP BY org_id, campaign_id
    ) AS parts
    GROUP BY org_id, campaign_id
    HAVING sum(abs(sends)) + sum(abs(queued)) + sum(abs(sent)) + sum(abs(delivered)) + sum(abs(bounced))
        + sum(abs(failed)) + sum(abs(opens)) + sum(abs(clicks)) + sum(abs(unsubscribes))
        + sum(abs(complaints)) + sum(abs(bounces)) <> 0;

CREATE VIEW campaign_contact_counts_recounted AS
    SELECT org_id, contact_id, opens, clicks, unsubscribes, complaints, bounces, suppressing
    FROM (
        SELECT org_id, contact_id,
            coalesce(sum(number) FILTER (WHERE event_type = 'open'), 0) AS opens,
            coalesce(sum(number) FILTER (WHERE event_type = 'click'), 0) AS clicks,
            coalesce(sum(number) FILTER (WHERE event_type = 'unsubscribe'), 0) AS unsubscribes,
            coalesce(sum(number) FILTER (WHERE event_type = 'complaint'), 0) AS complaints,
            coalesce(sum(number) FILTER (WHERE event_type = 'bounce'), 0) AS bounces,
            coalesce(sum(number) FILTER (WHERE suppresses), 0) AS suppressing
        FROM campaign_events_to_count GROUP BY org_id, contact_id
    ) AS counted
    WHERE opens <> 0 OR clicks <> 0 OR unsubscribes <> 0 OR complaints <> 0 OR bounces <> 0
        OR suppressing <> 0;

CREATE VIEW campaign_hour_counts_recounted AS
    SELECT org_id, campaign_id, hour, opens, clicks, unsubscribes, complaints, bounces
    FROM (
        SELECT org_id, campaign_id, hour,
            coalesce(sum(number) FILTER (WHERE event_type = 'open'), 0) AS opens,
            coalesce(sum(number) FILTER (WHERE event_type = 'click'), 0) AS clicks,
            coalesce(sum(number) FILTER (WHERE event_type = 'unsubscribe'), 0) AS unsubscribes,
            coalesce(sum(number) FILTER (WHERE event_type = 'complaint'), 0) AS complaints,
            coalesce(sum(number) FILTER (WHERE event_type = 'bounce'), 0) AS bounces
        FROM campaign_events_to_count GROUP BY org_id, campaign_id, hour
    ) AS counted
    WHERE opens <> 0 OR clicks <> 0 OR unsubscribes <> 0 OR complaints <> 0 OR bounces <> 0;

CREATE VIEW campaign_send_link_counts_recounted AS
    SELECT org_id, send_id, campaign_id, link, clicks
    FROM (
        SELECT org_id, send_id, campaign_id, link, sum(number) AS clicks
        FROM campaign_events_to_count WHERE link IS NOT NULL GROUP BY org_id, send_id, campaign_id, link
    ) AS counted
    WHERE clicks <> 0;

CREATE VIEW campaign_link_counts_recounted AS
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
