-- one organization with 200,000 contacts, half of them with a company, two campaigns to all of them, and
-- five events for every two sends
INSERT INTO organizations (id, name, slug) VALUES (CAST(md5('audience') AS uuid), 'o1', 'o1');
INSERT INTO contacts (org_id, first_name, last_name, email, type, country, city, metadata)
    SELECT o.id, 'f' || n, 'l' || n * 7919 % 20000, 'c' || n || '@' || (ARRAY['example.com', 'example.org', 'example.net'])[1 + n % 3],
        CAST((ARRAY['lead', 'prospect', 'customer', 'partner', 'other'])[1 + n % 5] AS contact_type),
        (ARRAY['DE', 'FR', 'IT', 'ES', 'PL', 'AT', 'CH', 'NL', 'BE', 'DK'])[1 + n % 10], 'city ' || n % 500,
        jsonb_build_object('plan', (ARRAY['free', 'team', 'large'])[1 + n % 3], 'seats', n % 40)
    FROM organizations o, generate_series(1, 200000) n;
INSERT INTO companies (org_id, name, industry)
    SELECT o.id, 'k' || n, (ARRAY['Technology', 'Retail', 'Health', 'Energy'])[1 + n % 4] FROM organizations o, generate_series(1, 1000) n;
INSERT INTO contact_companies (org_id, contact_id, company_id)
    SELECT p.org_id, p.id, c.id
    FROM (SELECT org_id, id, row_number() OVER (ORDER BY id) AS place FROM contacts) p
    JOIN (SELECT id, row_number() OVER (ORDER BY id) AS place FROM companies) c ON c.place = 1 + p.place % 1000
    WHERE p.place % 2 = 0;
INSERT INTO campaigns (org_id, name, subject, status, sent_at)
    SELECT o.id, 'c' || n, 's' || n, 'sent', now() - n * interval '20 days' FROM organizations o, generate_series(1, 2) n;
INSERT INTO campaign_sends (org_id, campaign_id, contact_id, status, sent_at)
    SELECT c.org_id, c.id, k.id, 'delivered', c.sent_at + random() * interval '1 hour'
    FROM campaigns c JOIN contacts k ON k.org_id = c.org_id;
INSERT INTO campaign_events (org_id, send_id, event_type, url, occurred_at,
        feed_position, send_campaign_id, send_contact_id)
    SELECT org_id, send_id, event_type,
        CASE event_type WHEN 'click' THEN 'https://example.com/' || floor(random() * 10) END, occurred_at,
        nextval('campaign_feed_position'), campaign_id, contact_id
    FROM (
        SELECT s.org_id, s.id AS send_id, s.campaign_id, s.contact_id,
            CAST(CASE WHEN of_type < 0.7 THEN 'open' WHEN of_type < 0.97 THEN 'click' WHEN of_type < 0.995 THEN 'bounce'
                WHEN of_type < 0.998 THEN 'unsubscribe' ELSE 'complaint' END AS campaign_event_type) AS event_type,
            s.sent_at + power(random(), 3) * interval '19 days' AS occurred_at
        FROM campaign_sends s, LATERAL (SELECT random() AS of_type FROM generate_series(1, 5) n
            WHERE s.id IS NOT NULL AND random() < 0.5 OFFSET 0) types
        OFFSET 0
    ) events;
