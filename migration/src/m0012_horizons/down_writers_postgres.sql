SELECT set_config('search_path', quote_ident(current_schema()) || ', pg_temp', true);

-- enters for every organization, with a lock of before there were buckets
CREATE OR REPLACE FUNCTION campaign_feed_enter_for(organization uuid) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
DECLARE
    entered text := pg_current_xact_id()::text || ' **';
BEGIN
    IF current_setting('campaigns.feed_entered', true) IS DISTINCT FROM entered THEN
        PERFORM pg_advisory_xact_lock_shared((70::bigint << 56) | nextval('campaign_feed_position'));
        PERFORM set_config('campaigns.feed_entered', entered, true);
    END IF;
END
$$;
