-- adds what was written to the counts: so many changes of each kind at most. Returns how many they
-- were; null where somebody else is at it.
CREATE FUNCTION campaign_counts_fold(most integer DEFAULT 20000) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
DECLARE
    taken_of_sends integer;
    taken_of_events integer;
    emptied_organizations uuid[];
    emptied_campaigns uuid[];
    emptied_contacts uuid[];
    emptied_sends uuid[];
BEGIN
    IF NOT pg_try_advisory_xact_lock(71::bigint << 56) THEN
        RETURN NULL;
    END IF;

    -- each of the two is one statement, so that all of it sees the same changes
    WITH taken AS (
        DELETE FROM campaign_send_changes
        WHERE id = ANY (ARRAY(SELECT id FROM campaign_send_changes ORDER BY id LIMIT most))
        RETURNING org_id, campaign_id, status, number
    ), added AS (
        INSERT INTO campaign_counts (org_id, campaign_id, sends, queued, sent, delivered, bounced, failed)
            SELECT org_id, campaign_id, sum(number),
                coalesce(sum(number) FILTER (WHERE status = 'queued'), 0),
                coalesce(sum(number) FILTER (WHERE status = 'sent'), 0),
                coalesce(sum(number) FILTER (WHERE status = 'delivered'), 0),
                coalesce(sum(number) FILTER (WHERE status = 'bounced'), 0),
                coalesce(sum(number) FILTER (WHERE status = 'failed'), 0)
            FROM taken GROUP BY org_id, campaign_id
        ON CONFLICT (org_id, campaign_id) DO UPDATE SET
            sends = campaign_counts.sends + EXCLUDED.sends,
            queued = campaign_counts.queued + EXCLUDED.queued,
            sent = campaign_counts.sent + EXCLUDED.sent,
            delivered = campaign_counts.delivered + EXCLUDED.delivered,
            bounced = campaign_counts.bounced + EXCLUDED.bounced,
            failed = campaign_counts.failed + EXCLUDED.failed
    )
    SELECT count(*), array_agg(DISTINCT org_id) FILTER (WHERE number < 0),
        array_agg(DISTINCT campaign_id) FILTER (WHERE number < 0)
        INTO taken_of_sends, emptied_organizations, emptied_campaigns
        FROM taken;
    DELETE FROM campaign_counts
        WHERE org_id = ANY (emptied_organizations) AND campaign_id = ANY (emptied_campaigns)
        AND sends = 0 AND queued = 0 AND sent = 0 AND delivered = 0 AND bounced = 0 AND failed = 0
        AND opens = 0 AND clicks = 0 AND unsubscribes = 0 AND complaints = 0 AND bounces = 0;

    WITH taken AS MATERIALIZED (
        DELETE FROM campaign_event_changes
        WHERE id = ANY (ARRAY(SELECT id FROM campaign_event_changes ORDER BY id LIMIT most))
        RETURNING org_id, campaign_id, contact_id, send_id, event_type, suppresses, url, link, hour, number
    ), of_sends AS MATERIALIZED (
        SELECT org_id, send_id, campaign_id,
            coalesce(sum(number) FILTER (WHERE event_type = 'open'), 0) AS opens,
            coalesce(sum(number) FILTER (WHERE event_type = 'click'), 0) AS clicks,
            coalesce(sum(number) FILTER (WHERE event_type = 'unsubscribe'), 0) AS unsubscribes,
            coalesce(sum(number) FILTER (WHERE event_type = 'complaint'), 0) AS complaints,
            coalesce(sum(number) FILTER (WHERE event_type = 'bounce'), 0) AS bounces
        FROM taken GROUP BY org_id, send_id, campaign_id
    ), of_links AS MATERIALIZED (
        SELECT org_id, send_id, campaign_id, link, max(url) AS url, sum(number) AS clicks
        FROM taken WHERE link IS NOT NULL GROUP BY org_id, send_id, campaign_id, link
    ), campaigns AS (
        INSERT INTO campaign_counts (org_id, campaign_id, opens, clicks, unsubscribes, complaints, bounces,
                unique_opens, unique_clicks, unique_unsubscribes, unique_complaints)
            -- a send counts once, as soon as it has one
            SELECT org_id, campaign_id, sum(now.opens), sum(now.clicks), sum(now.unsubscribes),
                sum(now.complaints), sum(now.bounces),
                sum((coalesce(had.opens, 0) + now.opens > 0)::integer
                    - (coalesce(had.opens, 0) > 0)::integer),
                sum((coalesce(had.clicks, 0) + now.clicks > 0)::integer
                    - (coalesce(had.clicks, 0) > 0)::integer),
                sum((coalesce(had.unsubscribes, 0) + now.unsubscribes > 0)::integer
                    - (coalesce(had.unsubscribes, 0) > 0)::integer),
                sum((coalesce(had.complaints, 0) + now.complaints > 0)::integer
                    - (coalesce(had.complaints, 0) > 0)::integer)
            FROM of_sends AS now LEFT JOIN campaign_send_counts AS had USING (org_id, send_id, campaign_id)
            GROUP BY org_id, campaign_id
        ON CONFLICT (org_id, campaign_id) DO UPDATE SET
            opens = campaign_counts.opens + EXCLUDED.opens,
            clicks = campaign_counts.clicks + EXCLUDED.clicks,
            unsubscribes = campaign_counts.unsubscribes + EXCLUDED.unsubscribes,
            complaints = campaign_counts.complaints + EXCLUDED.complaints,
            bounces = campaign_counts.bounces + EXCLUDED.bounces,
            unique_opens = campaign_counts.unique_opens + EXCLUDED.unique_opens,
            unique_clicks = campaign_counts.unique_clicks + EXCLUDED.unique_clicks,
            unique_unsubscribes = campaign_counts.unique_unsubscribes + EXCLUDED.unique_unsubscribes,
            unique_complaints = campaign_counts.unique_complaints + EXCLUDED.unique_complaints
    ), sends AS (
        INSERT INTO campaign_send_counts
                (org_id, send_id, campaign_id, opens, clicks, unsubscribes, complaints, bounces)
            SELECT org_id, send_id, campaign_id, opens, clicks, unsubscribes, complaints, bounces
            FROM of_sends
        ON CONFLICT (org_id, send_id, campaign_id) DO UPDATE SET
            opens = campaign_send_counts.opens + EXCLUDED.opens,
            clicks = campaign_send_counts.clicks + EXCLUDED.clicks,
            unsubscribes = campaign_send_counts.unsubscribes + EXCLUDED.unsubscribes,
            complaints = campaign_send_counts.complaints + EXCLUDED.complaints,
            bounces = campaign_send_counts.bounces + EXCLUDED.bounces
    ), contacts AS (
        INSERT INTO campaign_contact_counts
                (org_id, contact_id, opens, clicks, unsubscribes, complaints, bounces, suppressing)
            SELECT org_id, contact_id,
                coalesce(sum(number) FILTER (WHERE event_type = 'open'), 0),
                coalesce(sum(number) FILTER (WHERE event_type = 'click'), 0),
                coalesce(sum(number) FILTER (WHERE event_type = 'unsubscribe'), 0),
                coalesce(sum(number) FILTER (WHERE event_type = 'complaint'), 0),
                coalesce(sum(number) FILTER (WHERE event_type = 'bounce'), 0),
                coalesce(sum(number) FILTER (WHERE suppresses), 0)
            FROM taken GROUP BY org_id, contact_id
        ON CONFLICT (org_id, contact_id) DO UPDATE SET
            opens = campaign_contact_counts.opens + EXCLUDED.opens,
            clicks = campaign_contact_counts.clicks + EXCLUDED.clicks,
            unsubscribes = campaign_contact_counts.unsubscribes + EXCLUDED.unsubscribes,
            complaints = campaign_contact_counts.complaints + EXCLUDED.complaints,
            bounces = campaign_contact_counts.bounces + EXCLUDED.bounces,
            suppressing = campaign_contact_counts.suppressing + EXCLUDED.suppressing
    ), hours AS (
        INSERT INTO campaign_hour_counts
                (org_id, campaign_id, hour, opens, clicks, unsubscribes, complaints, bounces)
            SELECT org_id, campaign_id, hour,
                coalesce(sum(number) FILTER (WHERE event_type = 'open'), 0),
                coalesce(sum(number) FILTER (WHERE event_type = 'click'), 0),
                coalesce(sum(number) FILTER (WHERE event_type = 'unsubscribe'), 0),
                coalesce(sum(number) FILTER (WHERE event_type = 'complaint'), 0),
                coalesce(sum(number) FILTER (WHERE event_type = 'bounce'), 0)
            FROM taken GROUP BY org_id, campaign_id, hour
        ON CONFLICT (org_id, campaign_id, hour) DO UPDATE SET
            opens = campaign_hour_counts.opens + EXCLUDED.opens,
            clicks = campaign_hour_counts.clicks + EXCLUDED.clicks,
            unsubscribes = campaign_hour_counts.unsubscribes + EXCLUDED.unsubscribes,
            complaints = campaign_hour_counts.complaints + EXCLUDED.complaints,
            bounces = campaign_hour_counts.bounces + EXCLUDED.bounces
    ), links AS (
        INSERT INTO campaign_link_counts (org_id, campaign_id, link, url, clicks, unique_clicks)
            SELECT org_id, campaign_id, link, max(url), sum(now.clicks),
                sum((coalesce(had.clicks, 0) + now.clicks > 0)::integer
                    - (coalesce(had.clicks, 0) > 0)::integer)
            FROM of_links AS now
            LEFT JOIN campaign_send_link_counts AS had USING (org_id, send_id, campaign_id, link)
            GROUP BY org_id, campaign_id, link
        ON CONFLICT (org_id, campaign_id, link) DO UPDATE SET
            clicks = campaign_link_counts.clicks + EXCLUDED.clicks,
            unique_clicks = campaign_link_counts.unique_clicks + EXCLUDED.unique_clicks
    ), send_links AS (
        INSERT INTO campaign_send_link_counts (org_id, send_id, campaign_id, link, clicks)
            SELECT org_id, send_id, campaign_id, link, clicks FROM of_links
        ON CONFLICT (org_id, send_id, campaign_id, link) DO UPDATE SET
            clicks = campaign_send_link_counts.clicks + EXCLUDED.clicks
    )
    SELECT count(*), array_agg(DISTINCT org_id) FILTER (WHERE number < 0),
        array_agg(DISTINCT campaign_id) FILTER (WHERE number < 0),
        array_agg(DISTINCT contact_id) FILTER (WHERE number < 0),
        array_agg(DISTINCT send_id) FILTER (WHERE number < 0)
        INTO taken_of_events, emptied_organizations, emptied_campaigns, emptied_contacts, emptied_sends
        FROM taken;

    -- what has come to nothing
    IF emptied_organizations IS NOT NULL THEN
        DELETE FROM campaign_counts
            WHERE org_id = ANY (emptied_organizations) AND campaign_id = ANY (emptied_campaigns)
            AND sends = 0 AND queued = 0 AND sent = 0 AND delivered = 0 AND bounced = 0 AND failed = 0
            AND opens = 0 AND clicks = 0 AND unsubscribes = 0 AND complaints = 0 AND bounces = 0;
        DELETE FROM campaign_send_counts
            WHERE org_id = ANY (emptied_organizations) AND send_id = ANY (emptied_sends)
            AND opens = 0 AND clicks = 0 AND unsubscribes = 0 AND complaints = 0 AND bounces = 0;
        DELETE FROM campaign_contact_counts
            WHERE org_id = ANY (emptied_organizations) AND contact_id = ANY (emptied_contacts)
            AND opens = 0 AND clicks = 0 AND unsubscribes = 0 AND complaints = 0 AND bounces = 0
            AND suppressing = 0;
        DELETE FROM campaign_hour_counts
            WHERE org_id = ANY (emptied_organizations) AND campaign_id = ANY (emptied_campaigns)
            AND opens = 0 AND clicks = 0 AND unsubscribes = 0 AND complaints = 0 AND bounces = 0;
        DELETE FROM campaign_link_counts
            WHERE org_id = ANY (emptied_organizations) AND campaign_id = ANY (emptied_campaigns)
            AND clicks = 0;
        DELETE FROM campaign_send_link_counts
            WHERE org_id = ANY (emptied_organizations) AND send_id = ANY (emptied_sends) AND clicks = 0;
    END IF;
    RETURN taken_of_sends + taken_of_events;
END
$$;
