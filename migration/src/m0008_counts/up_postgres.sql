SELECT set_config('search_path', quote_ident(current_schema()) || ', pg_temp', true);

-- what was written and is not in the counts yet
CREATE TABLE campaign_send_changes (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    org_id uuid NOT NULL,
    campaign_id uuid NOT NULL,
    status send_status NOT NULL,
    number integer NOT NULL
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 20000);
CREATE INDEX campaign_send_changes_campaign ON campaign_send_changes (org_id, campaign_id);

CREATE TABLE campaign_event_changes (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    org_id uuid NOT NULL,
    campaign_id uuid NOT NULL,
    contact_id uuid NOT NULL,
    send_id uuid NOT NULL,
    event_type campaign_event_type NOT NULL,
    suppresses boolean NOT NULL,
    url text,
    link uuid,
    hour timestamptz NOT NULL,
    number integer NOT NULL
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 20000);
CREATE INDEX campaign_event_changes_campaign ON campaign_event_changes (org_id, campaign_id, send_id);
-- not by organization first: where nothing waits, the planner would take it for look-ups by campaign as well
CREATE INDEX campaign_event_changes_contact ON campaign_event_changes (contact_id);

CREATE VIEW campaign_sends_to_count AS
    SELECT org_id, campaign_id, status, 1 AS number FROM campaign_sends
    UNION ALL
    SELECT org_id, campaign_id, status, -number FROM campaign_send_changes;

-- an event as it counts
CREATE FUNCTION campaign_event_suppresses(event_type campaign_event_type, metadata jsonb) RETURNS boolean
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT event_type IN ('unsubscribe', 'complaint')
        OR event_type = 'bounce' AND coalesce(metadata ->> 'bounce_type', 'hard') <> 'soft'
$$;
CREATE FUNCTION campaign_event_url(event_type campaign_event_type, url text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE WHEN event_type = 'click' THEN url END
$$;
CREATE FUNCTION campaign_event_hour(occurred_at timestamptz) RETURNS timestamptz
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT date_bin('1 hour', occurred_at, '2000-01-01 00:00+00')
$$;

CREATE VIEW campaign_events_to_count AS
    SELECT org_id, send_campaign_id AS campaign_id, send_contact_id AS contact_id, send_id, event_type,
        campaign_event_suppresses(event_type, metadata) AS suppresses,
        campaign_event_url(event_type, url) AS url,
        CAST(md5(campaign_event_url(event_type, url)) AS uuid) AS link,
        campaign_event_hour(occurred_at) AS hour, 1 AS number
    FROM campaign_events
    UNION ALL
    SELECT org_id, campaign_id, contact_id, send_id, event_type, suppresses, url, link, hour, -number
    FROM campaign_event_changes;

CREATE FUNCTION campaign_sends_changed() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        INSERT INTO campaign_send_changes (org_id, campaign_id, status, number)
            SELECT org_id, campaign_id, status, count(*) FROM new_sends GROUP BY 1, 2, 3;
    ELSIF TG_OP = 'DELETE' THEN
        INSERT INTO campaign_send_changes (org_id, campaign_id, status, number)
            SELECT org_id, campaign_id, status, -count(*) FROM old_sends GROUP BY 1, 2, 3;
    ELSE
        INSERT INTO campaign_send_changes (org_id, campaign_id, status, number)
            SELECT org_id, campaign_id, status, sum(number) FROM (
                SELECT org_id, campaign_id, status, 1 AS number FROM new_sends
                UNION ALL
                SELECT org_id, campaign_id, status, -1 FROM old_sends
            ) AS changes GROUP BY 1, 2, 3 HAVING sum(number) <> 0;
    END IF;
    RETURN NULL;
END
$$;

CREATE FUNCTION campaign_sends_changed_row() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
BEGIN
    IF TG_OP <> 'INSERT' THEN
        INSERT INTO campaign_send_changes (org_id, campaign_id, status, number)
            VALUES (OLD.org_id, OLD.campaign_id, OLD.status, -1);
    END IF;
    IF TG_OP <> 'DELETE' THEN
        INSERT INTO campaign_send_changes (org_id, campaign_id, status, number)
            VALUES (NEW.org_id, NEW.campaign_id, NEW.status, 1);
    END IF;
    RETURN NULL;
END
$$;

CREATE FUNCTION campaign_events_changed() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        INSERT INTO campaign_event_changes
            (org_id, campaign_id, contact_id, send_id, event_type, suppresses, url, link, hour, number)
            SELECT org_id, send_campaign_id, send_contact_id, send_id, event_type,
                campaign_event_suppresses(event_type, metadata),
                campaign_event_url(event_type, url), CAST(md5(campaign_event_url(event_type, url)) AS uuid),
                campaign_event_hour(occurred_at), 1
            FROM new_events;
    ELSIF TG_OP = 'DELETE' THEN
        INSERT INTO campaign_event_changes
            (org_id, campaign_id, contact_id, send_id, event_type, suppresses, url, link, hour, number)
            SELECT org_id, send_campaign_id, send_contact_id, send_id, event_type,
                campaign_event_suppresses(event_type, metadata),
                campaign_event_url(event_type, url), CAST(md5(campaign_event_url(event_type, url)) AS uuid),
                campaign_event_hour(occurred_at), -1
            FROM old_events;
    ELSE
        -- what makes no difference cancels out
        INSERT INTO campaign_event_changes
            (org_id, campaign_id, contact_id, send_id, event_type, suppresses, url, link, hour, number)
            SELECT org_id, campaign_id, contact_id, send_id, event_type, suppresses, url,
                CAST(md5(url) AS uuid), hour, sum(number)
            FROM (
                SELECT org_id, send_campaign_id AS campaign_id, send_contact_id AS contact_id, send_id,
                    event_type, campaign_event_suppresses(event_type, metadata) AS suppresses,
                    campaign_event_url(event_type, url) AS url, campaign_event_hour(occurred_at) AS hour,
                    1 AS number
                FROM new_events
                UNION ALL
                SELECT org_id, send_campaign_id, send_contact_id, send_id,
                    event_type, campaign_event_suppresses(event_type, metadata),
                    campaign_event_url(event_type, url), campaign_event_hour(occurred_at), -1
                FROM old_events
            ) AS changes
            GROUP BY org_id, campaign_id, contact_id, send_id, event_type, suppresses, url, hour
            HAVING sum(number) <> 0;
    END IF;
    RETURN NULL;
END
$$;

CREATE FUNCTION campaign_events_changed_row() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
BEGIN
    IF TG_OP <> 'INSERT' THEN
        INSERT INTO campaign_event_changes
            (org_id, campaign_id, contact_id, send_id, event_type, suppresses, url, link, hour, number)
            VALUES (OLD.org_id, OLD.send_campaign_id, OLD.send_contact_id, OLD.send_id, OLD.event_type,
                campaign_event_suppresses(OLD.event_type, OLD.metadata),
                campaign_event_url(OLD.event_type, OLD.url),
                CAST(md5(campaign_event_url(OLD.event_type, OLD.url)) AS uuid),
                campaign_event_hour(OLD.occurred_at), -1);
    END IF;
    IF TG_OP <> 'DELETE' THEN
        INSERT INTO campaign_event_changes
            (org_id, campaign_id, contact_id, send_id, event_type, suppresses, url, link, hour, number)
            VALUES (NEW.org_id, NEW.send_campaign_id, NEW.send_contact_id, NEW.send_id, NEW.event_type,
                campaign_event_suppresses(NEW.event_type, NEW.metadata),
                campaign_event_url(NEW.event_type, NEW.url),
                CAST(md5(campaign_event_url(NEW.event_type, NEW.url)) AS uuid),
                campaign_event_hour(NEW.occurred_at), 1);
    END IF;
    RETURN NULL;
END
$$;

-- keeps others from the counts until the transaction ends
CREATE FUNCTION campaign_counts_lock() RETURNS void
LANGUAGE sql AS $$
    SELECT pg_advisory_xact_lock(71::bigint << 56)
$$;

CREATE FUNCTION campaign_counts_truncated() RETURNS trigger
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
        UPDATE campaign_counts SET sends = 0, queued = 0, sent = 0, delivered = 0, bounced = 0, failed = 0;
    ELSE
        DELETE FROM campaign_event_changes;
        DELETE FROM campaign_send_counts;
        DELETE FROM campaign_contact_counts;
        DELETE FROM campaign_hour_counts;
        DELETE FROM campaign_link_counts;
        DELETE FROM campaign_send_link_counts;
        UPDATE campaign_counts SET opens = 0, clicks = 0, unsubscribes = 0, complaints = 0, bounces = 0,
            unique_opens = 0, unique_clicks = 0, unique_unsubscribes = 0, unique_complaints = 0;
    END IF;
    DELETE FROM campaign_counts WHERE sends = 0 AND queued = 0 AND sent = 0 AND delivered = 0 AND bounced = 0
        AND failed = 0 AND opens = 0 AND clicks = 0 AND unsubscribes = 0 AND complaints = 0 AND bounces = 0;
    RETURN NULL;
END
$$;

CREATE TRIGGER campaign_counts_insert AFTER INSERT ON campaign_sends
    REFERENCING NEW TABLE AS new_sends FOR EACH STATEMENT EXECUTE FUNCTION campaign_sends_changed();
CREATE TRIGGER campaign_counts_update AFTER UPDATE ON campaign_sends
    REFERENCING NEW TABLE AS new_sends OLD TABLE AS old_sends
    FOR EACH STATEMENT EXECUTE FUNCTION campaign_sends_changed();
CREATE TRIGGER campaign_counts_delete AFTER DELETE ON campaign_sends
    REFERENCING OLD TABLE AS old_sends FOR EACH STATEMENT EXECUTE FUNCTION campaign_sends_changed();
CREATE TRIGGER campaign_counts_row AFTER INSERT OR UPDATE OR DELETE ON campaign_sends
    FOR EACH ROW EXECUTE FUNCTION campaign_sends_changed_row();
CREATE TRIGGER campaign_counts_truncate AFTER TRUNCATE ON campaign_sends
    FOR EACH STATEMENT EXECUTE FUNCTION campaign_counts_truncated();

CREATE TRIGGER campaign_counts_insert AFTER INSERT ON campaign_events
    REFERENCING NEW TABLE AS new_events FOR EACH STATEMENT EXECUTE FUNCTION campaign_events_changed();
CREATE TRIGGER campaign_counts_update AFTER UPDATE ON campaign_events
    REFERENCING NEW TABLE AS new_events OLD TABLE AS old_events
    FOR EACH STATEMENT EXECUTE FUNCTION campaign_events_changed();
CREATE TRIGGER campaign_counts_delete AFTER DELETE ON campaign_events
    REFERENCING OLD TABLE AS old_events FOR EACH STATEMENT EXECUTE FUNCTION campaign_events_changed();
CREATE TRIGGER campaign_counts_row AFTER INSERT OR UPDATE OR DELETE ON campaign_events
    FOR EACH ROW EXECUTE FUNCTION campaign_events_changed_row();
CREATE TRIGGER campaign_counts_truncate AFTER TRUNCATE ON campaign_events
    FOR EACH STATEMENT EXECUTE FUNCTION campaign_counts_truncated();

-- the worker of logical replication fires triggers of rows and of TRUNCATE, and no others
ALTER TABLE campaign_sends ENABLE REPLICA TRIGGER campaign_counts_row,
    ENABLE ALWAYS TRIGGER campaign_counts_truncate;
ALTER TABLE campaign_events ENABLE REPLICA TRIGGER campaign_counts_row,
    ENABLE ALWAYS TRIGGER campaign_counts_truncate;
