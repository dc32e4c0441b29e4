-- the functions see the tables of this schema, whatever the writer's search path is
SELECT set_config('search_path', quote_ident(current_schema()) || ', pg_temp', true);

-- the bucket of an organization, from 1 to 4095; 0 stands for every organization
CREATE OR REPLACE FUNCTION campaign_feed_bucket(organization uuid) RETURNS integer
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
    SELECT CAST(1 + CAST(CAST('x' || left(encode(sha256(uuid_send(organization)), 'hex'), 8) AS bit(32)) AS bigint) % 4095
        AS integer)
$$;

-- the locks of transactions that have entered the feed, where `drawn` is the last number drawn; a lock's
-- key has the lower 44 bits of the number that was entered with, which is the one nearest to `drawn`
CREATE OR REPLACE FUNCTION campaign_feed_entries(drawn bigint)
RETURNS TABLE (bucket integer, entered bigint, process integer, transaction text)
LANGUAGE sql STABLE AS $$
    SELECT CASE classid::bigint >> 24 WHEN 70 THEN 0 ELSE CAST((classid::bigint >> 12) & 4095 AS integer) END,
        CASE classid::bigint >> 24
            -- before there were buckets
            WHEN 70 THEN ((classid::bigint & 16777215) << 32) | objid::bigint
            ELSE drawn - 8796093022208
                + (((((classid::bigint & 4095) << 32) | objid::bigint) - drawn + 8796093022208) & 17592186044415)
        END,
        pid, virtualtransaction
    FROM pg_locks
    WHERE locktype = 'advisory' AND objsubid = 1 AND classid::bigint >> 24 IN (70, 72)
    AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
$$;

-- how far the feed has settled: up to the last number drawn, but for the organizations of each bucket in
-- which a transaction is open only up to the number that it entered with. No buckets if nothing was drawn
-- since `known`.
CREATE OR REPLACE FUNCTION campaign_feed_horizon(
    known bigint DEFAULT NULL, OUT drawn bigint, OUT buckets integer[], OUT entered bigint[]
)
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
BEGIN
    SELECT last_value INTO drawn FROM campaign_feed_position;
    IF drawn = known THEN
        RETURN;
    END IF;
    SELECT coalesce(array_agg(held.bucket), '{}'), coalesce(array_agg(held.entered), '{}') INTO buckets, entered
        FROM (SELECT e.bucket, min(e.entered) AS entered FROM campaign_feed_entries(drawn) AS e GROUP BY e.bucket) AS held;
END
$$;

-- the same for one organization
CREATE OR REPLACE FUNCTION campaign_feed_settled_for(organization uuid) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
DECLARE
    drawn bigint;
    entered bigint;
BEGIN
    SELECT last_value INTO drawn FROM campaign_feed_position;
    SELECT min(e.entered) INTO entered FROM campaign_feed_entries(drawn) AS e
        WHERE e.bucket IN (0, campaign_feed_bucket(organization));
    RETURN least(drawn, entered);
END
$$;

-- the same for all organizations together, for processes of before
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
    SELECT min(e.entered) INTO entered FROM campaign_feed_entries(drawn) AS e;
    RETURN least(drawn, entered);
END
$$;

-- the transaction that entered first and has not ended: its process, or its name if it was prepared
CREATE OR REPLACE FUNCTION campaign_feed_oldest(
    OUT process integer, OUT prepared text, OUT entered bigint, OUT drawn bigint
)
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
BEGIN
    SELECT last_value INTO drawn FROM campaign_feed_position;
    SELECT e.process, p.gid, e.entered INTO process, prepared, entered
        FROM campaign_feed_entries(drawn) AS e
        -- a transaction holds a lock of its own ID, which a prepared one keeps
        LEFT JOIN pg_locks AS l ON e.process IS NULL AND l.pid IS NULL AND l.virtualtransaction = e.transaction
            AND l.locktype = 'transactionid' AND l.mode = 'ExclusiveLock'
        LEFT JOIN pg_prepared_xacts AS p ON p.transaction = l.transactionid
        ORDER BY e.entered LIMIT 1;
END
$$;

-- the same for processes of before
CREATE OR REPLACE FUNCTION campaign_feed_holder(OUT process integer, OUT entered bigint, OUT drawn bigint)
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
BEGIN
    SELECT oldest.process, oldest.entered, oldest.drawn INTO process, entered, drawn
        FROM campaign_feed_oldest() AS oldest;
END
$$;
