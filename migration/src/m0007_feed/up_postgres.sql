-- no column's own: TRUNCATE … RESTART IDENTITY must not take it back
CREATE SEQUENCE campaign_feed_position;

ALTER TABLE campaign_events
    ADD COLUMN feed_position bigint,
    ADD COLUMN campaign_id uuid,
    ADD COLUMN contact_id uuid;

-- only what is documented counts as an update
DROP TRIGGER set_updated_at ON campaign_events;
UPDATE campaign_events AS event
    SET feed_position = nextval('campaign_feed_position'),
        campaign_id = send.campaign_id, contact_id = send.contact_id
    FROM campaign_sends AS send WHERE send.id = event.send_id;
CREATE TRIGGER set_updated_at
    BEFORE UPDATE OF id, org_id, send_id, event_type, url, occurred_at, created_at, updated_at, metadata
    ON campaign_events FOR EACH ROW EXECUTE FUNCTION set_updated_at();

ALTER TABLE campaign_events
    ALTER COLUMN feed_position SET NOT NULL,
    ALTER COLUMN campaign_id SET NOT NULL,
    ALTER COLUMN contact_id SET NOT NULL;

-- the functions see the tables of this schema, whatever the writer's search path is
SELECT set_config('search_path', quote_ident(current_schema()) || ', pg_temp', true);

CREATE FUNCTION campaign_feed_settled(known bigint DEFAULT NULL) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
DECLARE
    drawn bigint;
    entered bigint;
BEGIN
    SELECT last_value INTO drawn FROM campaign_feed_position;
    -- settled as far as it was drawn then, and nothing was drawn since
    IF drawn = known THEN
        RETURN known;
    END IF;
    SELECT min((classid::bigint & 16777215) << 32 | objid::bigint) INTO entered
        FROM pg_locks
        WHERE locktype = 'advisory' AND objsubid = 1 AND classid::bigint >> 24 = 70
        AND database = (SELECT oid FROM pg_database WHERE datname = current_database());
    RETURN least(drawn, entered);
END
$$;

CREATE FUNCTION campaign_events_enter() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
DECLARE
    send record;
BEGIN
    IF current_setting('campaigns.feed_entered', true) IS DISTINCT FROM pg_current_xact_id()::text THEN
        -- the key's first byte tells these locks from those of other programs
        PERFORM pg_advisory_xact_lock_shared((70::bigint << 56) | nextval('campaign_feed_position'));
        PERFORM set_config('campaigns.feed_entered', pg_current_xact_id()::text, true);
    END IF;
    NEW.feed_position := nextval('campaign_feed_position');
    -- the lock that the reference takes anyway; see campaign_sends_moves
    SELECT campaign_id, contact_id INTO send FROM campaign_sends
        WHERE org_id = NEW.org_id AND id = NEW.send_id FOR KEY SHARE;
    -- where there is none the reference says so
    NEW.campaign_id := coalesce(send.campaign_id, NEW.campaign_id, '00000000-0000-0000-0000-000000000000');
    NEW.contact_id := coalesce(send.contact_id, NEW.contact_id, '00000000-0000-0000-0000-000000000000');
    RETURN NEW;
END
$$;

CREATE FUNCTION campaign_events_change() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
DECLARE
    send record;
BEGIN
    NEW.feed_position := OLD.feed_position;
    SELECT campaign_id, contact_id INTO send FROM campaign_sends
        WHERE org_id = NEW.org_id AND id = NEW.send_id FOR KEY SHARE;
    NEW.campaign_id := coalesce(send.campaign_id, OLD.campaign_id);
    NEW.contact_id := coalesce(send.contact_id, OLD.contact_id);
    RETURN NEW;
END
$$;

-- waits for transactions that have just written events of the send: they read its old campaign
CREATE FUNCTION campaign_sends_moves() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
BEGIN
    IF current_setting('transaction_isolation') = 'repeatable read' THEN
        RAISE serialization_failure USING
            MESSAGE = 'a send cannot be moved under REPEATABLE READ, which does not see its latest events';
    END IF;
    PERFORM 1 FROM campaign_sends WHERE id = OLD.id FOR UPDATE;
    RETURN NEW;
END
$$;

CREATE FUNCTION campaign_sends_moved() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
BEGIN
    UPDATE campaign_events SET campaign_id = NEW.campaign_id, contact_id = NEW.contact_id
        WHERE send_id = NEW.id;
    RETURN NULL;
END
$$;

CREATE TRIGGER enter BEFORE INSERT ON campaign_events
    FOR EACH ROW EXECUTE FUNCTION campaign_events_enter();
CREATE TRIGGER change BEFORE UPDATE OF send_id, feed_position, campaign_id, contact_id ON campaign_events
    FOR EACH ROW WHEN (
        OLD.send_id IS DISTINCT FROM NEW.send_id OR OLD.feed_position IS DISTINCT FROM NEW.feed_position
        OR OLD.campaign_id IS DISTINCT FROM NEW.campaign_id OR OLD.contact_id IS DISTINCT FROM NEW.contact_id
    ) EXECUTE FUNCTION campaign_events_change();
CREATE TRIGGER moves BEFORE UPDATE OF campaign_id, contact_id ON campaign_sends
    FOR EACH ROW WHEN (OLD.campaign_id <> NEW.campaign_id OR OLD.contact_id <> NEW.contact_id)
    EXECUTE FUNCTION campaign_sends_moves();
CREATE TRIGGER moved AFTER UPDATE OF campaign_id, contact_id ON campaign_sends
    FOR EACH ROW WHEN (OLD.campaign_id <> NEW.campaign_id OR OLD.contact_id <> NEW.contact_id)
    EXECUTE FUNCTION campaign_sends_moved();

ALTER TABLE campaign_events ENABLE ALWAYS TRIGGER enter, ENABLE ALWAYS TRIGGER change;
ALTER TABLE campaign_sends ENABLE ALWAYS TRIGGER moves, ENABLE ALWAYS TRIGGER moved;
