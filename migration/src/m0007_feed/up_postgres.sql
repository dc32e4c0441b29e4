ALTER TABLE campaign_events
    ADD COLUMN feed_position bigint GENERATED ALWAYS AS IDENTITY,
    ADD COLUMN campaign_id uuid,
    ADD COLUMN contact_id uuid;

-- updated_at stays as it is
ALTER TABLE campaign_events DISABLE TRIGGER set_updated_at;
UPDATE campaign_events AS event
    SET campaign_id = send.campaign_id, contact_id = send.contact_id
    FROM campaign_sends AS send WHERE send.id = event.send_id;
ALTER TABLE campaign_events ENABLE TRIGGER set_updated_at;

ALTER TABLE campaign_events
    ALTER COLUMN campaign_id SET NOT NULL,
    ALTER COLUMN contact_id SET NOT NULL;

-- the functions see the tables of this schema, whatever the writer's search path is
SELECT set_config('search_path', quote_ident(current_schema()) || ', pg_temp', true);

CREATE FUNCTION campaign_events_enter_feed() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
BEGIN
    IF current_setting('campaigns.feed_entered', true) IS DISTINCT FROM pg_current_xact_id()::text THEN
        -- the key's first byte tells these locks from those of other programs
        PERFORM pg_advisory_xact_lock_shared(
            (70::bigint << 56) | nextval('campaign_events_feed_position_seq')
        );
        PERFORM set_config('campaigns.feed_entered', pg_current_xact_id()::text, true);
    END IF;
    RETURN NULL;
END
$$;

CREATE FUNCTION campaign_feed_settled() RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
DECLARE
    drawn bigint;
    entered bigint;
BEGIN
    SELECT last_value INTO drawn FROM campaign_events_feed_position_seq;
    SELECT min((classid::bigint & 16777215) << 32 | objid::bigint) INTO entered
        FROM pg_locks
        WHERE locktype = 'advisory' AND objsubid = 1 AND classid::bigint >> 24 = 70
        AND database = (SELECT oid FROM pg_database WHERE datname = current_database());
    RETURN least(drawn, entered);
END
$$;

CREATE FUNCTION campaign_events_of_send() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
DECLARE
    send record;
BEGIN
    -- the lock that the reference takes anyway; see campaign_sends_moves
    SELECT campaign_id, contact_id INTO send FROM campaign_sends
        WHERE org_id = NEW.org_id AND id = NEW.send_id FOR KEY SHARE;
    IF FOUND THEN
        NEW.campaign_id := send.campaign_id;
        NEW.contact_id := send.contact_id;
    ELSIF NEW.campaign_id IS NULL OR NEW.contact_id IS NULL THEN
        RAISE foreign_key_violation USING
            MESSAGE = 'insert or update on table "campaign_events" violates foreign key constraint '
                '"campaign_events_org_id_send_id_fkey"',
            TABLE = 'campaign_events', CONSTRAINT = 'campaign_events_org_id_send_id_fkey';
    END IF;
    RETURN NEW;
END
$$;

-- waits for transactions that have just written events of the send: they read its old campaign
CREATE FUNCTION campaign_sends_moves() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
BEGIN
    PERFORM 1 FROM campaign_sends WHERE id = OLD.id FOR UPDATE;
    RETURN NEW;
END
$$;

CREATE FUNCTION campaign_sends_moved() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
BEGIN
    UPDATE campaign_events SET send_id = send_id WHERE send_id = NEW.id;
    RETURN NULL;
END
$$;

CREATE TRIGGER enter_feed BEFORE INSERT ON campaign_events
    FOR EACH STATEMENT EXECUTE FUNCTION campaign_events_enter_feed();
CREATE TRIGGER of_send BEFORE INSERT OR UPDATE OF send_id, campaign_id, contact_id ON campaign_events
    FOR EACH ROW EXECUTE FUNCTION campaign_events_of_send();
CREATE TRIGGER moves BEFORE UPDATE OF campaign_id, contact_id ON campaign_sends
    FOR EACH ROW WHEN (OLD.campaign_id <> NEW.campaign_id OR OLD.contact_id <> NEW.contact_id)
    EXECUTE FUNCTION campaign_sends_moves();
CREATE TRIGGER moved AFTER UPDATE OF campaign_id, contact_id ON campaign_sends
    FOR EACH ROW WHEN (OLD.campaign_id <> NEW.campaign_id OR OLD.contact_id <> NEW.contact_id)
    EXECUTE FUNCTION campaign_sends_moved();

ALTER TABLE campaign_events
    ENABLE ALWAYS TRIGGER enter_feed,
    ENABLE ALWAYS TRIGGER of_send;
