-- 20 organizations, the first with 67 campaigns and the others with 7 each; each contact of an
-- organization has one send of each campaign, with three events on average
INSERT INTO organizations (id, name, slug)
    SELECT CAST(md5('organization ' || n) AS uuid), 'o' || n, 'o' || n FROM generate_series(1, 20) n;
INSERT INTO contacts (org_id, first_name, last_name, email)
    SELECT o.id, 'f' || n, 'l' || n * 7919 % 2000, 'c' || n || '@example.com'
    FROM organizations o, generate_series(1, 2000 * {scale}) n;
INSERT INTO campaigns (org_id, name, subject, status, sent_at, created_at)
    SELECT o.id, 'c' || n, 's' || n, 'sent', now() - n * interval '1 day', now() - n * interval '1 day'
    FROM organizations o, LATERAL generate_series(1, CASE o.name WHEN 'o1' THEN 67 ELSE 7 END) n;
INSERT INTO campaign_segments (org_id, name, contact_count)
    SELECT o.id, 's' || n, n FROM organizations o, generate_series(1, 20) n;
INSERT INTO campaign_sends (org_id, campaign_id, contact_id, status, sent_at)
    SELECT c.org_id, c.id, k.id,
        CAST((ARRAY['delivered', 'delivered', 'delivered', 'delivered', 'bounced'])[1 + floor(random() * 5)] AS send_status),
        c.sent_at + random() * interval '1 hour'
    FROM campaigns c JOIN contacts k ON k.org_id = c.org_id;
INSERT INTO campaign_lists (org_id, campaign_id, contact_id, segment_id)
    SELECT s.org_id, s.campaign_id, s.contact_id, g.id
    FROM (SELECT *, 's' || 1 + floor(random() * 20) AS segment FROM campaign_sends OFFSET 0) s
    JOIN campaign_segments g ON g.org_id = s.org_id AND g.name = s.segment;
INSERT INTO campaign_events (org_id, send_id, event_type, url, occurred_at,
        feed_position, send_campaign_id, send_contact_id)
    SELECT org_id, send_id, event_type,
        CASE event_type WHEN 'click' THEN 'https://example.com/' || floor(random() * 10) END, occurred_at,
        nextval('campaign_feed_position'), campaign_id, contact_id
    FROM (
        SELECT s.org_id, s.id AS send_id, s.campaign_id, s.contact_id,
            CAST(CASE WHEN of_type < 0.7 THEN 'open' WHEN of_type < 0.97 THEN 'click' WHEN of_type < 0.995 THEN 'bounce'
                WHEN of_type < 0.998 THEN 'unsubscribe' ELSE 'complaint' END AS campaign_event_type) AS event_type,
            s.sent_at + power(random(), 3) * interval '60 days' AS occurred_at
        FROM campaign_sends s, LATERAL (SELECT random() AS of_type FROM generate_series(1, 3) WHERE s.id IS NOT NULL OFFSET 0) types
        OFFSET 0
    ) events;
