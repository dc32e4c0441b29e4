SELECT set_config('search_path', quote_ident(current_schema()) || ', pg_temp', true);

-- enters for an organization, or for every one if it is null or the transaction has entered for eight
CREATE OR REPLACE FUNCTION campaign_feed_enter_for(organization uuid) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
DECLARE
    transaction text := pg_current_xact_id()::text;
    -- the transaction, and the organizations that it has entered for
    entered text[] := string_to_array(current_setting('campaigns.feed_entered', true), ' ');
    bucket integer := campaign_feed_bucket(organization);
    name text := organization::text;
BEGIN
    IF entered[1] IS DISTINCT FROM transaction THEN
        entered := ARRAY[transaction];
    END IF;
    IF '*' = ANY (entered) OR name = ANY (entered) THEN
        RETURN;
    END IF;
    IF organization IS NULL OR cardinality(entered) > 8 THEN
        bucket := 0;
        name := '*';
    END IF;
    -- the key's first byte tells these locks from those of other programs
    PERFORM pg_advisory_xact_lock_shared(
        (72::bigint << 56) | (bucket::bigint << 44) | (nextval('campaign_feed_position') & 17592186044415));
    PERFORM set_config('campaigns.feed_entered', array_to_string(entered || name, ' '), true);
END
$$;

CREATE OR REPLACE FUNCTION campaign_feed_enter() RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
BEGIN
    PERFORM campaign_feed_enter_for(NULL);
END
$$;

-- positions for rows of an organization, or of any if it is null, that are inserted later in this
-- transaction, in another order than theirs
CREATE OR REPLACE FUNCTION campaign_feed_draw_for(organization uuid, count integer) RETURNS bigint[]
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
DECLARE
    drawn bigint[];
BEGIN
    PERFORM campaign_feed_enter_for(organization);
    SELECT array_agg(nextval('campaign_feed_position')) INTO drawn FROM generate_series(1, least(count, 10000));
    PERFORM set_config('campaigns.feed_drawn', concat_ws(' ', pg_current_xact_id(),
        coalesce(organization::text, '*'), drawn[1], drawn[array_upper(drawn, 1)]), true);
    RETURN drawn;
END
$$;

CREATE OR REPLACE FUNCTION campaign_feed_draw(count integer) RETURNS bigint[]
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
BEGIN
    RETURN campaign_feed_draw_for(NULL, count);
END
$$;

CREATE OR REPLACE FUNCTION campaign_events_enter() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
DECLARE
    entered text := current_setting('campaigns.feed_entered', true);
    send record;
    drawn text[];
BEGIN
    -- the first row of an organization enters
    IF (starts_with(entered, pg_current_xact_id()::text || ' ')
        AND (strpos(entered, NEW.org_id::text) > 0 OR right(entered, 1) = '*')) IS NOT TRUE THEN
        PERFORM campaign_feed_enter_for(NEW.org_id);
    END IF;
    IF NEW.feed_position IS NOT NULL THEN
        -- only one that was drawn in this transaction, for this organization
        drawn := string_to_array(current_setting('campaigns.feed_drawn', true), ' ');
        IF (drawn[1] = pg_current_xact_id()::text AND drawn[2] IN (NEW.org_id::text, '*')
            AND NEW.feed_position BETWEEN drawn[3]::bigint AND drawn[4]::bigint) IS NOT TRUE THEN
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
    -- it was there before the feed was, or comes to another organization
    IF NEW.feed_position IS NULL OR NEW.org_id <> OLD.org_id THEN
        PERFORM campaign_feed_enter_for(NEW.org_id);
        NEW.feed_position := nextval('campaign_feed_position');
    END IF;
    SELECT campaign_id, contact_id INTO send FROM campaign_sends
        WHERE org_id = NEW.org_id AND id = NEW.send_id FOR KEY SHARE;
    NEW.send_campaign_id := coalesce(send.campaign_id, OLD.send_campaign_id, '00000000-0000-0000-0000-000000000000');
    NEW.send_contact_id := coalesce(send.contact_id, OLD.send_contact_id, '00000000-0000-0000-0000-000000000000');
    RETURN NEW;
END
$$;
