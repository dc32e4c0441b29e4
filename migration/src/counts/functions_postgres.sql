-- the parts in braces are generated from the list of counts (definitions.rs)

-- adds pending changes to the counts, up to a number of each kind. Returns their number, or null if another
-- process is adding them.
CREATE OR REPLACE FUNCTION campaign_counts_fold(most integer DEFAULT 20000) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
DECLARE
    taken_of_sends integer;
    taken_of_events integer;
    emptied_organizations uuid[];
    emptied_campaigns uuid[];
    emptied_contacts uuid[];
    emptied_sends uuid[];
BEGIN
    PERFORM set_config('campaigns.counting', 'on', true);
    IF NOT pg_try_advisory_xact_lock(71::bigint << 56) THEN
        RETURN NULL;
    END IF;

    -- each of the two is one statement, so that all of it sees the same changes
    WITH taken AS (
        DELETE FROM campaign_send_changes
        WHERE id = ANY (ARRAY(SELECT id FROM campaign_send_changes ORDER BY id LIMIT most))
        RETURNING org_id, campaign_id, status, number
    ), added AS (
        INSERT INTO campaign_counts (org_id, campaign_id, {names: statuses})
            SELECT org_id, campaign_id, {sums: statuses}
            FROM taken GROUP BY org_id, campaign_id
        ON CONFLICT (org_id, campaign_id) DO UPDATE SET
            {added: statuses to campaign_counts}
    )
    SELECT count(*), array_agg(DISTINCT org_id) FILTER (WHERE number < 0),
        array_agg(DISTINCT campaign_id) FILTER (WHERE number < 0)
        INTO taken_of_sends, emptied_organizations, emptied_campaigns
        FROM taken;
    DELETE FROM campaign_counts
        WHERE org_id = ANY (emptied_organizations) AND campaign_id = ANY (emptied_campaigns)
        AND {are zero: kept};

    WITH taken AS MATERIALIZED (
        DELETE FROM campaign_event_changes
        WHERE id = ANY (ARRAY(SELECT id FROM campaign_event_changes ORDER BY id LIMIT most))
        RETURNING org_id, campaign_id, contact_id, send_id, event_type, suppresses, url, link, hour, number{facts}
    ), of_sends AS MATERIALIZED (
        SELECT org_id, send_id, campaign_id,
            {named sums: events}
        FROM taken GROUP BY org_id, send_id, campaign_id
    ), of_links AS MATERIALIZED (
        SELECT org_id, send_id, campaign_id, link, max(url) AS url, sum(number) AS clicks
        FROM taken WHERE link IS NOT NULL GROUP BY org_id, send_id, campaign_id, link
    ), campaigns AS (
        INSERT INTO campaign_counts (org_id, campaign_id, {names: engagement})
            -- a send counts once, as soon as it has one
            SELECT org_id, campaign_id,
                {of sends now: engagement}
            FROM of_sends AS now LEFT JOIN campaign_send_counts AS had USING (org_id, send_id, campaign_id)
            GROUP BY org_id, campaign_id
        ON CONFLICT (org_id, campaign_id) DO UPDATE SET
            {added: engagement to campaign_counts}
    ), sends AS (
        INSERT INTO campaign_send_counts
                (org_id, send_id, campaign_id, {names: events})
            SELECT org_id, send_id, campaign_id, {names: events}
            FROM of_sends
        ON CONFLICT (org_id, send_id, campaign_id) DO UPDATE SET
            {added: events to campaign_send_counts}
    ), contacts AS (
        INSERT INTO campaign_contact_counts
                (org_id, contact_id, {names: contacts})
            SELECT org_id, contact_id,
                {sums: contacts}
            FROM taken GROUP BY org_id, contact_id
        ON CONFLICT (org_id, contact_id) DO UPDATE SET
            {added: contacts to campaign_contact_counts}
    ), hours AS (
        INSERT INTO campaign_hour_counts
                (org_id, campaign_id, hour, {names: events})
            SELECT org_id, campaign_id, hour,
                {sums: events}
            FROM taken GROUP BY org_id, campaign_id, hour
        ON CONFLICT (org_id, campaign_id, hour) DO UPDATE SET
            {added: events to campaign_hour_counts}
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
            AND {are zero: kept};
        DELETE FROM campaign_send_counts
            WHERE org_id = ANY (emptied_organizations) AND send_id = ANY (emptied_sends)
            AND {are zero: events};
        DELETE FROM campaign_contact_counts
            WHERE org_id = ANY (emptied_organizations) AND contact_id = ANY (emptied_contacts)
            AND {are zero: contacts};
        DELETE FROM campaign_hour_counts
            WHERE org_id = ANY (emptied_organizations) AND campaign_id = ANY (emptied_campaigns)
            AND {are zero: events};
        DELETE FROM campaign_link_counts
            WHERE org_id = ANY (emptied_organizations) AND campaign_id = ANY (emptied_campaigns)
            AND clicks = 0;
        DELETE FROM campaign_send_link_counts
            WHERE org_id = ANY (emptied_organizations) AND send_id = ANY (emptied_sends) AND clicks = 0;
    END IF;
    RETURN taken_of_sends + taken_of_events;
END
$$;

CREATE OR REPLACE FUNCTION campaign_events_changed() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
BEGIN
    -- rows are counted one by one there
    IF current_setting('session_replication_role') = 'replica' THEN
        RETURN NULL;
    END IF;
    IF TG_OP = 'INSERT' THEN
        INSERT INTO campaign_event_changes
            (org_id, campaign_id, contact_id, send_id, event_type, suppresses, url, link, hour, number{facts})
            SELECT {event: event}, 1{facts: event} FROM new_events AS event WHERE {is counted: event};
    ELSIF TG_OP = 'DELETE' THEN
        INSERT INTO campaign_event_changes
            (org_id, campaign_id, contact_id, send_id, event_type, suppresses, url, link, hour, number{facts})
            SELECT {event: event}, -1{facts: event} FROM old_events AS event WHERE {is counted: event};
    ELSE
        -- what makes no difference cancels out
        INSERT INTO campaign_event_changes
            (org_id, campaign_id, contact_id, send_id, event_type, suppresses, url, link, hour, number{facts})
            SELECT org_id, campaign_id, contact_id, send_id, event_type, suppresses, url,
                campaign_event_link(url), hour, sum(number){facts}
            FROM (
                SELECT org_id, send_campaign_id AS campaign_id, send_contact_id AS contact_id, send_id,
                    event_type, campaign_event_suppresses(event_type, metadata) AS suppresses,
                    campaign_event_url(event_type, url) AS url, campaign_event_hour(occurred_at) AS hour,
                    1 AS number{named facts: event}
                FROM new_events AS event WHERE {is counted: event}
                UNION ALL
                SELECT org_id, send_campaign_id, send_contact_id, send_id,
                    event_type, campaign_event_suppresses(event_type, metadata),
                    campaign_event_url(event_type, url), campaign_event_hour(occurred_at), -1{facts: event}
                FROM old_events AS event WHERE {is counted: event}
            ) AS changes
            GROUP BY org_id, campaign_id, contact_id, send_id, event_type, suppresses, url, hour{facts}
            HAVING sum(number) <> 0;
    END IF;
    RETURN NULL;
END
$$;

CREATE OR REPLACE FUNCTION campaign_events_changed_row() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
BEGIN
    IF TG_OP <> 'INSERT' AND {is counted: OLD} THEN
        INSERT INTO campaign_event_changes
            (org_id, campaign_id, contact_id, send_id, event_type, suppresses, url, link, hour, number{facts})
            VALUES ({event: OLD}, -1{facts: OLD});
    END IF;
    IF TG_OP <> 'DELETE' AND {is counted: NEW} THEN
        INSERT INTO campaign_event_changes
            (org_id, campaign_id, contact_id, send_id, event_type, suppresses, url, link, hour, number{facts})
            VALUES ({event: NEW}, 1{facts: NEW});
    END IF;
    RETURN NULL;
END
$$;

CREATE OR REPLACE FUNCTION campaign_counts_truncated() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
BEGIN
    IF current_setting('transaction_isolation') <> 'read committed' THEN
        RAISE serialization_failure USING
            MESSAGE = 'a table that is counted cannot be truncated under '
                || upper(current_setting('transaction_isolation')) || ', which does not see the latest counts',
            HINT = 'Truncate it under READ COMMITTED.';
    END IF;
    PERFORM campaign_counts_lock();
    IF TG_TABLE_NAME = 'campaign_sends' THEN
        DELETE FROM campaign_send_changes;
        UPDATE campaign_counts SET {zeros: statuses};
        -- a reference has truncated them as well, where there is one
        UPDATE campaign_events SET send_campaign_id = '{none}', send_contact_id = '{none}'
            WHERE send_campaign_id <> '{none}';
    ELSE
        DELETE FROM campaign_event_changes;
        DELETE FROM campaign_send_counts;
        DELETE FROM campaign_contact_counts;
        DELETE FROM campaign_hour_counts;
        DELETE FROM campaign_link_counts;
        DELETE FROM campaign_send_link_counts;
        UPDATE campaign_counts SET {zeros: engagement};
    END IF;
    DELETE FROM campaign_counts WHERE {are zero: kept};
    RETURN NULL;
END
$$;
