-- no column's own: TRUNCATE … RESTART IDENTITY must not take it back
CREATE SEQUENCE IF NOT EXISTS campaign_feed_position;

-- the functions see the tables of this schema, whatever the writer's search path is
SELECT set_config('search_path', quote_ident(current_schema()) || ', pg_temp', true);

CREATE OR REPLACE FUNCTION campaign_feed_settled(known bigint DEFAULT NULL) RETURNS bigint
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

-- who holds the feed up: the process that entered first and has not ended, and how far the numbers
-- have come since
CREATE OR REPLACE FUNCTION campaign_feed_holder(OUT process integer, OUT entered bigint, OUT drawn bigint)
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
BEGIN
    SELECT last_value INTO drawn FROM campaign_feed_position;
    SELECT pid, (classid::bigint & 16777215) << 32 | objid::bigint INTO process, entered
        FROM pg_locks
        WHERE locktype = 'advisory' AND objsubid = 1 AND classid::bigint >> 24 = 70
        AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
        ORDER BY 2 LIMIT 1;
END
$$;

-- tells this feed from one that a failover, a restore or a copy has made of it: in another one a
-- position may be another event's
CREATE OR REPLACE FUNCTION campaign_feed_incarnation() RETURNS text
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
BEGIN
    RETURN substr(md5(concat_ws(' ',
        (SELECT system_identifier FROM pg_control_system()),
        -- the timeline that is written
        substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8),
        (SELECT oid FROM pg_database WHERE datname = current_database()),
        'campaign_feed_position'::regclass::oid
    )), 1, 8);
EXCEPTION WHEN insufficient_privilege THEN
    RETURN '';
END
$$;

CREATE OR REPLACE FUNCTION campaign_feed_enter() RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
BEGIN
    IF current_setting('campaigns.feed_entered', true) IS DISTINCT FROM pg_current_xact_id()::text THEN
        -- the key's first byte tells these locks from those of other programs
        PERFORM pg_advisory_xact_lock_shared((70::bigint << 56) | nextval('campaign_feed_position'));
        PERFORM set_config('campaigns.feed_entered', pg_current_xact_id()::text, true);
    END IF;
END
$$;

-- positions for rows that are inserted later in this transaction, in another order than theirs
CREATE OR REPLACE FUNCTION campaign_feed_draw(count integer) RETURNS bigint[]
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
DECLARE
    drawn bigint[];
BEGIN
    PERFORM campaign_feed_enter();
    SELECT array_agg(nextval('campaign_feed_position')) INTO drawn FROM generate_series(1, least(count, 10000));
    PERFORM set_config('campaigns.feed_drawn',
        concat_ws(' ', pg_current_xact_id(), drawn[1], drawn[array_upper(drawn, 1)]), true);
    RETURN drawn;
END
$$;

CREATE OR REPLACE FUNCTION campaign_events_enter() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
DECLARE
    send record;
    drawn text[];
BEGIN
    IF current_setting('campaigns.feed_entered', true) IS DISTINCT FROM pg_current_xact_id()::text THEN
        PERFORM campaign_feed_enter();
    END IF;
    IF NEW.feed_position IS NOT NULL THEN
        -- only one that was drawn in this transaction
        drawn := string_to_array(current_setting('campaigns.feed_drawn', true), ' ');
        IF drawn[1] IS DISTINCT FROM pg_current_xact_id()::text
            OR NEW.feed_position NOT BETWEEN drawn[2]::bigint AND drawn[3]::bigint THEN
            NEW.feed_position := NULL;
        END IF;
    END IF;
    NEW.feed_position := coalesce(NEW.feed_position, nextval('campaign_feed_position'));
    -- the lock that the reference takes anyway; see campaign_sends_moves
    SELECT campaign_id, contact_id INTO send FROM campaign_sends
        WHERE org_id = NEW.org_id AND id = NEW.send_id FOR KEY SHARE;
    -- where there is none the reference says so
    NEW.send_campaign_id := coalesce(send.campaign_id, NEW.send_campaign_id, '00000000-0000-0000-0000-000000000000');
    NEW.send_contact_id := coalesce(send.contact_id, NEW.send_contact_id, '00000000-0000-0000-0000-000000000000');
    RETURN NEW;
END
$$;

CREATE OR REPLACE FUNCTION campaign_events_change() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
DECLARE
    send record;
BEGIN
    NEW.feed_position := OLD.feed_position;
    IF NEW.feed_position IS NULL THEN
        -- it was there before the feed was
        PERFORM campaign_feed_enter();
        NEW.feed_position := nextval('campaign_feed_position');
    END IF;
    SELECT campaign_id, contact_id INTO send FROM campaign_sends
        WHERE org_id = NEW.org_id AND id = NEW.send_id FOR KEY SHARE;
    NEW.send_campaign_id := coalesce(send.campaign_id, OLD.send_campaign_id, '00000000-0000-0000-0000-000000000000');
    NEW.send_contact_id := coalesce(send.contact_id, OLD.send_contact_id, '00000000-0000-0000-0000-000000000000');
    RETURN NEW;
END
$$;

-- waits for transactions that have just written events of the send: they read its old campaign
CREATE OR REPLACE FUNCTION campaign_sends_moves() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
BEGIN
    IF current_setting('transaction_isolation') IN ('repeatable read', 'serializable') THEN
        RAISE serialization_failure USING
            MESSAGE = 'a send cannot be moved under ' || upper(current_setting('transaction_isolation'))
                || ', which does not see its latest events',
            HINT = 'Move it under READ COMMITTED.';
    END IF;
    PERFORM 1 FROM campaign_sends WHERE id = OLD.id FOR UPDATE;
    RETURN NEW;
END
$$;

CREATE OR REPLACE FUNCTION campaign_sends_moved() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
BEGIN
    UPDATE campaign_events SET send_campaign_id = NEW.campaign_id, send_contact_id = NEW.contact_id
        WHERE send_id = NEW.id;
    RETURN NULL;
END
$$;
