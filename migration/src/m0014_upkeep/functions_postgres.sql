SELECT set_config('search_path', quote_ident(current_schema()) || ', pg_temp', true);

-- {none} is the ID of nothing; {waits: e} and {counts: e} are conditions of an event e; {event: e} are its
-- columns as they count. {file: e under s} sets the columns of an event e for its send s, always to
-- something else, so that the triggers of the feed fire. Where these are off, it has no place, and waits.

-- the key of a link: 128 bits of the SHA-256 of the URL's bytes. It never fails, whatever the text is,
-- as an index of a table calls it for every writer
CREATE OR REPLACE FUNCTION campaign_event_link(url text) RETURNS uuid
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CAST(encode(substr(sha256(decode(replace(url, E'\\', E'\\\\'), 'escape')), 1, 16), 'hex') AS uuid)
$$;
-- a writer needs it, also where functions belong to their owner alone by default
GRANT EXECUTE ON FUNCTION campaign_event_link(text) TO PUBLIC;

-- what a writer says of the columns of the service does not count
CREATE OR REPLACE FUNCTION campaign_events_blank() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    NEW.send_campaign_id := NULL;
    NEW.send_contact_id := NULL;
    RETURN NEW;
END
$$;

-- an event without a send is not in the feed yet: it gets its place when the send is there
CREATE OR REPLACE FUNCTION campaign_events_wait() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    NEW.feed_position := NULL;
    RETURN NEW;
END
$$;

-- files an event under its send, or under nothing. It comes after campaign_events_change, which has
-- given it a place if it had none
CREATE OR REPLACE FUNCTION campaign_events_file() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
DECLARE
    send record;
BEGIN
    SELECT campaign_id, contact_id INTO send FROM campaign_sends
        WHERE org_id = NEW.org_id AND id = NEW.send_id FOR KEY SHARE;
    NEW.send_campaign_id := coalesce(send.campaign_id, '{none}');
    NEW.send_contact_id := coalesce(send.contact_id, '{none}');
    -- an event that loses its send leaves the feed, and comes back to its place with it. It has none in the
    -- feed of another organization; and 0 is no place
    NEW.feed_position := nullif(
        CASE WHEN send.campaign_id IS NOT NULL THEN abs(NEW.feed_position)
            WHEN NEW.org_id = OLD.org_id THEN -abs(OLD.feed_position) END, 0);
    RETURN NEW;
END
$$;

-- whether the triggers fire that give an event that is filed its place, and count it
CREATE OR REPLACE FUNCTION campaign_events_can_be_filed() RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
BEGIN
    RETURN 3 = (SELECT count(*) FROM pg_trigger WHERE tgrelid = 'campaign_events'::regclass
        AND tgname IN ('campaign_feed_change', 'campaign_feed_file', 'campaign_counts_update')
        AND tgenabled IN ('O', 'A'));
END
$$;

-- files events that wait and have a send: of those of the next sends after one, so many at most. Tells
-- how many it looked at, how many it filed, and the last send; nothing where counts are being stored
CREATE OR REPLACE FUNCTION campaign_events_file_waiting(
    after uuid, most integer, OUT looked integer, OUT filed integer, OUT last uuid
)
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT SET enable_seqscan = off AS $$
DECLARE
    waiting uuid[];
BEGIN
    looked := 0;
    filed := 0;
    IF NOT EXISTS (SELECT 1 FROM campaign_events AS event WHERE {waits: event})
        OR NOT campaign_events_can_be_filed() THEN
        RETURN;
    END IF;
    BEGIN
        -- a recount must see all of it or nothing
        LOCK TABLE campaign_counts IN ROW EXCLUSIVE MODE NOWAIT;
    EXCEPTION WHEN lock_not_available THEN
        RETURN;
    END;
    SELECT count(*), array_agg(found.id), (array_agg(found.send_id ORDER BY found.send_id DESC))[1]
        INTO looked, waiting, last
        FROM (
            SELECT event.id, event.send_id FROM campaign_events AS event
            WHERE {waits: event} AND event.send_id > after ORDER BY event.send_id LIMIT most
        ) AS found;
    -- nobody is waited for, so there is no deadlock
    UPDATE campaign_events AS event SET {file: event under found}
        FROM (
            SELECT event.id, send.campaign_id, send.contact_id
            FROM campaign_events AS event
            JOIN campaign_sends AS send ON send.org_id = event.org_id AND send.id = event.send_id
            WHERE event.id = ANY (waiting) AND {waits: event}
            ORDER BY event.id
            FOR UPDATE OF event SKIP LOCKED FOR KEY SHARE OF send SKIP LOCKED
        ) AS found
        WHERE event.id = found.id;
    GET DIAGNOSTICS filed = ROW_COUNT;
END
$$;

-- files the events of an organization that are not filed under their send, so many at most. Returns
-- how many they were
CREATE OR REPLACE FUNCTION campaign_events_refile(organization uuid, most integer) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
DECLARE
    filed integer;
BEGIN
    IF NOT campaign_events_can_be_filed() THEN
        RAISE object_not_in_prerequisite_state USING
            MESSAGE = 'triggers of campaign_events are turned off', HINT = 'Run `campaigns repair`.';
    END IF;
    LOCK TABLE campaign_counts IN ROW EXCLUSIVE MODE;
    UPDATE campaign_events AS event SET
            send_campaign_id = CASE
                WHEN event.send_campaign_id = found.campaign_id AND event.send_contact_id = found.contact_id
                THEN '{none}' ELSE coalesce(found.campaign_id, '{none}') END,
            send_contact_id = coalesce(found.contact_id, '{none}')
        FROM (
            SELECT event.id, send.campaign_id, send.contact_id
            FROM campaign_events AS event
            LEFT JOIN campaign_sends AS send ON send.org_id = event.org_id AND send.id = event.send_id
            WHERE event.org_id = organization AND CASE WHEN send.id IS NULL
                THEN event.feed_position > 0
                    OR event.send_campaign_id <> '{none}' OR event.send_contact_id <> '{none}'
                ELSE coalesce(event.feed_position, 0) <= 0
                    OR event.send_campaign_id IS DISTINCT FROM send.campaign_id
                    OR event.send_contact_id IS DISTINCT FROM send.contact_id
                END
            ORDER BY event.id LIMIT most
            FOR UPDATE OF event
        ) AS found
        WHERE event.id = found.id;
    GET DIAGNOSTICS filed = ROW_COUNT;
    RETURN filed;
END
$$;

-- forgets the changes of an organization that wait, as its rows are counted in the same snapshot
CREATE OR REPLACE FUNCTION campaign_counts_forget_changes(organization uuid) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
BEGIN
    DELETE FROM campaign_send_changes WHERE org_id = organization;
    DELETE FROM campaign_event_changes WHERE org_id = organization;
END
$$;

-- a send has moved: its events go with it, and those of its former key stay behind
CREATE OR REPLACE FUNCTION campaign_sends_moved() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT SET enable_seqscan = off AS $$
BEGIN
    IF OLD.id <> NEW.id OR OLD.org_id <> NEW.org_id THEN
        UPDATE campaign_events SET send_campaign_id = '{none}', send_contact_id = '{none}'
            WHERE send_id = OLD.id AND org_id = OLD.org_id;
    END IF;
    UPDATE campaign_events AS event SET {file: event under NEW}
        WHERE send_id = NEW.id AND org_id = NEW.org_id
        AND (feed_position IS NULL OR send_campaign_id IS DISTINCT FROM NEW.campaign_id
            OR send_contact_id IS DISTINCT FROM NEW.contact_id);
    RETURN NULL;
END
$$;

-- an index has the events that wait and no others, whatever the planner knows of the table
CREATE OR REPLACE FUNCTION campaign_sends_changed() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT SET enable_seqscan = off AS $$
BEGIN
    -- rows are counted one by one there
    IF current_setting('session_replication_role') = 'replica' THEN
        RETURN NULL;
    END IF;
    IF TG_OP = 'INSERT' THEN
        INSERT INTO campaign_send_changes (org_id, campaign_id, status, number)
            SELECT org_id, campaign_id, status, count(*) FROM new_sends GROUP BY 1, 2, 3;
        IF EXISTS (SELECT 1 FROM campaign_events AS event WHERE {waits: event}) THEN
            -- planned for as many as there are
            EXECUTE $file$
                UPDATE campaign_events AS event SET {file: event under found}
                    FROM (
                        SELECT event.id, send.campaign_id, send.contact_id
                        FROM new_sends AS send
                        JOIN campaign_events AS event ON event.send_id = send.id AND event.org_id = send.org_id
                        WHERE {waits: event}
                        ORDER BY event.id
                        FOR UPDATE OF event
                    ) AS found
                    WHERE event.id = found.id
            $file$;
        END IF;
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

-- in sessions of replication. No reference cascades there, and an event can come before its send
CREATE OR REPLACE FUNCTION campaign_sends_changed_row() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT SET enable_seqscan = off AS $$
BEGIN
    IF TG_OP <> 'INSERT' THEN
        INSERT INTO campaign_send_changes (org_id, campaign_id, status, number)
            VALUES (OLD.org_id, OLD.campaign_id, OLD.status, -1);
    END IF;
    IF TG_OP <> 'DELETE' THEN
        INSERT INTO campaign_send_changes (org_id, campaign_id, status, number)
            VALUES (NEW.org_id, NEW.campaign_id, NEW.status, 1);
    END IF;
    IF TG_OP = 'INSERT' THEN
        UPDATE campaign_events AS event SET {file: event under NEW}
            WHERE send_id = NEW.id AND org_id = NEW.org_id AND {waits: event};
    ELSIF TG_OP = 'DELETE' THEN
        UPDATE campaign_events SET send_campaign_id = '{none}', send_contact_id = '{none}'
            WHERE send_id = OLD.id AND org_id = OLD.org_id AND send_campaign_id <> '{none}';
    END IF;
    RETURN NULL;
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
            (org_id, campaign_id, contact_id, send_id, event_type, suppresses, url, link, hour, number)
            SELECT {event: event}, 1 FROM new_events AS event WHERE {counts: event};
    ELSIF TG_OP = 'DELETE' THEN
        INSERT INTO campaign_event_changes
            (org_id, campaign_id, contact_id, send_id, event_type, suppresses, url, link, hour, number)
            SELECT {event: event}, -1 FROM old_events AS event WHERE {counts: event};
    ELSE
        -- what makes no difference cancels out
        INSERT INTO campaign_event_changes
            (org_id, campaign_id, contact_id, send_id, event_type, suppresses, url, link, hour, number)
            SELECT org_id, campaign_id, contact_id, send_id, event_type, suppresses, url,
                campaign_event_link(url), hour, sum(number)
            FROM (
                SELECT org_id, send_campaign_id AS campaign_id, send_contact_id AS contact_id, send_id,
                    event_type, campaign_event_suppresses(event_type, metadata) AS suppresses,
                    campaign_event_url(event_type, url) AS url, campaign_event_hour(occurred_at) AS hour,
                    1 AS number
                FROM new_events AS event WHERE {counts: event}
                UNION ALL
                SELECT org_id, send_campaign_id, send_contact_id, send_id,
                    event_type, campaign_event_suppresses(event_type, metadata),
                    campaign_event_url(event_type, url), campaign_event_hour(occurred_at), -1
                FROM old_events AS event WHERE {counts: event}
            ) AS changes
            GROUP BY org_id, campaign_id, contact_id, send_id, event_type, suppresses, url, hour
            HAVING sum(number) <> 0;
    END IF;
    RETURN NULL;
END
$$;

CREATE OR REPLACE FUNCTION campaign_events_changed_row() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
BEGIN
    IF TG_OP <> 'INSERT' AND {counts: OLD} THEN
        INSERT INTO campaign_event_changes
            (org_id, campaign_id, contact_id, send_id, event_type, suppresses, url, link, hour, number)
            VALUES ({event: OLD}, -1);
    END IF;
    IF TG_OP <> 'DELETE' AND {counts: NEW} THEN
        INSERT INTO campaign_event_changes
            (org_id, campaign_id, contact_id, send_id, event_type, suppresses, url, link, hour, number)
            VALUES ({event: NEW}, 1);
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
        UPDATE campaign_counts SET sends = 0, queued = 0, sent = 0, delivered = 0, bounced = 0, failed = 0;
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
        UPDATE campaign_counts SET opens = 0, clicks = 0, unsubscribes = 0, complaints = 0, bounces = 0,
            unique_opens = 0, unique_clicks = 0, unique_unsubscribes = 0, unique_complaints = 0;
    END IF;
    DELETE FROM campaign_counts WHERE sends = 0 AND queued = 0 AND sent = 0 AND delivered = 0 AND bounced = 0
        AND failed = 0 AND opens = 0 AND clicks = 0 AND unsubscribes = 0 AND complaints = 0 AND bounces = 0;
    RETURN NULL;
END
$$;

-- counts come from the service alone: not from a dump whose events are counted as they are loaded, and
-- not from another database whose events are replicated as well
CREATE OR REPLACE FUNCTION campaign_counts_guard() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    IF current_setting('session_replication_role') = 'replica'
        -- a recount stores counts in one snapshot
        OR TG_OP = 'INSERT' AND current_setting('transaction_isolation') = 'read committed' THEN
        RETURN NULL;
    END IF;
    RETURN CASE TG_OP WHEN 'DELETE' THEN OLD ELSE NEW END;
END
$$;
