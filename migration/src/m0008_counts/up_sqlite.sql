-- what is inserted into these views is added to the counts at once: there is one writer at a time, so
-- nothing waits to be added, and they are always empty
CREATE VIEW campaign_send_changes AS
    SELECT x'' AS org_id, x'' AS campaign_id, '' AS status, 0 AS number WHERE FALSE;
CREATE VIEW campaign_event_changes AS
    SELECT x'' AS org_id, x'' AS campaign_id, x'' AS contact_id, x'' AS send_id, '' AS event_type,
        FALSE AS suppresses, '' AS url, '' AS link, '' AS hour, 0 AS number WHERE FALSE;

CREATE TRIGGER campaign_send_changes_add INSTEAD OF INSERT ON campaign_send_changes BEGIN
    INSERT INTO campaign_counts (org_id, campaign_id, sends, queued, sent, delivered, bounced, failed)
        VALUES (NEW.org_id, NEW.campaign_id, NEW.number,
            NEW.number * (NEW.status = 'queued'), NEW.number * (NEW.status = 'sent'),
            NEW.number * (NEW.status = 'delivered'), NEW.number * (NEW.status = 'bounced'),
            NEW.number * (NEW.status = 'failed'))
        ON CONFLICT (org_id, campaign_id) DO UPDATE SET
            sends = sends + EXCLUDED.sends, queued = queued + EXCLUDED.queued, sent = sent + EXCLUDED.sent,
            delivered = delivered + EXCLUDED.delivered, bounced = bounced + EXCLUDED.bounced,
            failed = failed + EXCLUDED.failed;
    DELETE FROM campaign_counts WHERE NEW.number < 0 AND org_id = NEW.org_id AND campaign_id = NEW.campaign_id
        AND sends = 0 AND queued = 0 AND sent = 0 AND delivered = 0 AND bounced = 0 AND failed = 0
        AND opens = 0 AND clicks = 0 AND unsubscribes = 0 AND complaints = 0 AND bounces = 0;
END;

CREATE TRIGGER campaign_event_changes_add INSTEAD OF INSERT ON campaign_event_changes BEGIN
    INSERT INTO campaign_send_counts
            (org_id, send_id, campaign_id, opens, clicks, unsubscribes, complaints, bounces)
        VALUES (NEW.org_id, NEW.send_id, NEW.campaign_id,
            NEW.number * (NEW.event_type = 'open'), NEW.number * (NEW.event_type = 'click'),
            NEW.number * (NEW.event_type = 'unsubscribe'), NEW.number * (NEW.event_type = 'complaint'),
            NEW.number * (NEW.event_type = 'bounce'))
        ON CONFLICT (org_id, send_id, campaign_id) DO UPDATE SET
            opens = opens + EXCLUDED.opens, clicks = clicks + EXCLUDED.clicks,
            unsubscribes = unsubscribes + EXCLUDED.unsubscribes,
            complaints = complaints + EXCLUDED.complaints, bounces = bounces + EXCLUDED.bounces;
    -- a send counts once, as soon as it has one
    INSERT INTO campaign_counts (org_id, campaign_id, opens, clicks, unsubscribes, complaints, bounces,
            unique_opens, unique_clicks, unique_unsubscribes, unique_complaints)
        SELECT NEW.org_id, NEW.campaign_id,
            NEW.number * (NEW.event_type = 'open'), NEW.number * (NEW.event_type = 'click'),
            NEW.number * (NEW.event_type = 'unsubscribe'), NEW.number * (NEW.event_type = 'complaint'),
            NEW.number * (NEW.event_type = 'bounce'),
            (opens > 0) - (opens - NEW.number * (NEW.event_type = 'open') > 0),
            (clicks > 0) - (clicks - NEW.number * (NEW.event_type = 'click') > 0),
            (unsubscribes > 0) - (unsubscribes - NEW.number * (NEW.event_type = 'unsubscribe') > 0),
            (complaints > 0) - (complaints - NEW.number * (NEW.event_type = 'complaint') > 0)
            FROM campaign_send_counts
            WHERE org_id = NEW.org_id AND send_id = NEW.send_id AND campaign_id = NEW.campaign_id
        ON CONFLICT (org_id, campaign_id) DO UPDATE SET
            opens = opens + EXCLUDED.opens, clicks = clicks + EXCLUDED.clicks,
            unsubscribes = unsubscribes + EXCLUDED.unsubscribes,
            complaints = complaints + EXCLUDED.complaints, bounces = bounces + EXCLUDED.bounces,
            unique_opens = unique_opens + EXCLUDED.unique_opens,
            unique_clicks = unique_clicks + EXCLUDED.unique_clicks,
            unique_unsubscribes = unique_unsubscribes + EXCLUDED.unique_unsubscribes,
            unique_complaints = unique_complaints + EXCLUDED.unique_complaints;
    INSERT INTO campaign_contact_counts
            (org_id, contact_id, opens, clicks, unsubscribes, complaints, bounces, suppressing)
        VALUES (NEW.org_id, NEW.contact_id,
            NEW.number * (NEW.event_type = 'open'), NEW.number * (NEW.event_type = 'click'),
            NEW.number * (NEW.event_type = 'unsubscribe'), NEW.number * (NEW.event_type = 'complaint'),
            NEW.number * (NEW.event_type = 'bounce'), NEW.number * NEW.suppresses)
        ON CONFLICT (org_id, contact_id) DO UPDATE SET
            opens = opens + EXCLUDED.opens, clicks = clicks + EXCLUDED.clicks,
            unsubscribes = unsubscribes + EXCLUDED.unsubscribes,
            complaints = complaints + EXCLUDED.complaints, bounces = bounces + EXCLUDED.bounces,
            suppressing = suppressing + EXCLUDED.suppressing;
    INSERT INTO campaign_hour_counts
            (org_id, campaign_id, hour, opens, clicks, unsubscribes, complaints, bounces)
        VALUES (NEW.org_id, NEW.campaign_id, NEW.hour,
            NEW.number * (NEW.event_type = 'open'), NEW.number * (NEW.event_type = 'click'),
            NEW.number * (NEW.event_type = 'unsubscribe'), NEW.number * (NEW.event_type = 'complaint'),
            NEW.number * (NEW.event_type = 'bounce'))
        ON CONFLICT (org_id, campaign_id, hour) DO UPDATE SET
            opens = opens + EXCLUDED.opens, clicks = clicks + EXCLUDED.clicks,
            unsubscribes = unsubscribes + EXCLUDED.unsubscribes,
            complaints = complaints + EXCLUDED.complaints, bounces = bounces + EXCLUDED.bounces;
    INSERT INTO campaign_send_link_counts (org_id, send_id, campaign_id, link, clicks)
        SELECT NEW.org_id, NEW.send_id, NEW.campaign_id, NEW.link, NEW.number WHERE NEW.link IS NOT NULL
        ON CONFLICT (org_id, send_id, campaign_id, link) DO UPDATE SET clicks = clicks + EXCLUDED.clicks;
    INSERT INTO campaign_link_counts (org_id, campaign_id, link, url, clicks, unique_clicks)
        SELECT NEW.org_id, NEW.campaign_id, NEW.link, NEW.url, NEW.number,
            (clicks > 0) - (clicks - NEW.number > 0)
            FROM campaign_send_link_counts
            WHERE org_id = NEW.org_id AND send_id = NEW.send_id AND campaign_id = NEW.campaign_id
            AND link = NEW.link
        ON CONFLICT (org_id, campaign_id, link) DO UPDATE SET
            clicks = clicks + EXCLUDED.clicks, unique_clicks = unique_clicks + EXCLUDED.unique_clicks;
    -- what has come to nothing
    DELETE FROM campaign_counts WHERE NEW.number < 0 AND org_id = NEW.org_id AND campaign_id = NEW.campaign_id
        AND sends = 0 AND queued = 0 AND sent = 0 AND delivered = 0 AND bounced = 0 AND failed = 0
        AND opens = 0 AND clicks = 0 AND unsubscribes = 0 AND complaints = 0 AND bounces = 0;
    DELETE FROM campaign_send_counts WHERE NEW.number < 0
        AND org_id = NEW.org_id AND send_id = NEW.send_id AND campaign_id = NEW.campaign_id
        AND opens = 0 AND clicks = 0 AND unsubscribes = 0 AND complaints = 0 AND bounces = 0;
    DELETE FROM campaign_contact_counts WHERE NEW.number < 0
        AND org_id = NEW.org_id AND contact_id = NEW.contact_id
        AND opens = 0 AND clicks = 0 AND unsubscribes = 0 AND complaints = 0 AND bounces = 0 AND suppressing = 0;
    DELETE FROM campaign_hour_counts WHERE NEW.number < 0
        AND org_id = NEW.org_id AND campaign_id = NEW.campaign_id AND hour = NEW.hour
        AND opens = 0 AND clicks = 0 AND unsubscribes = 0 AND complaints = 0 AND bounces = 0;
    DELETE FROM campaign_send_link_counts WHERE NEW.number < 0
        AND org_id = NEW.org_id AND send_id = NEW.send_id AND campaign_id = NEW.campaign_id
        AND link = NEW.link AND clicks = 0;
    DELETE FROM campaign_link_counts WHERE NEW.number < 0
        AND org_id = NEW.org_id AND campaign_id = NEW.campaign_id AND link = NEW.link AND clicks = 0;
END;

CREATE VIEW campaign_sends_to_count AS SELECT org_id, campaign_id, status, 1 AS number FROM campaign_sends;

-- an event counts from when it has its campaign, which a trigger of the feed gives to it; what
-- another trigger changes of it afterwards is an update like any other
CREATE VIEW campaign_events_to_count AS
    SELECT org_id, send_campaign_id AS campaign_id, send_contact_id AS contact_id, send_id, event_type,
        {suppresses: campaign_events} AS suppresses, {url: campaign_events} AS url,
        {url: campaign_events} AS link, {hour: campaign_events} AS hour, 1 AS number
    FROM campaign_events WHERE send_campaign_id <> x'00000000000000000000000000000000';

-- REPLACE deletes a row without a trigger: what an insert is about to replace is noted before it, and
-- taken off the counts if it comes to that
CREATE TABLE campaign_sends_replaced (
    id BLOB NOT NULL PRIMARY KEY,
    org_id BLOB NOT NULL,
    campaign_id BLOB NOT NULL,
    status TEXT NOT NULL
) STRICT;
CREATE TRIGGER campaign_counts_send_replace BEFORE INSERT ON campaign_sends BEGIN
    DELETE FROM campaign_sends_replaced;
    INSERT INTO campaign_sends_replaced
        SELECT id, org_id, campaign_id, status FROM campaign_sends WHERE id = NEW.id;
END;
CREATE TRIGGER campaign_counts_send_replaced AFTER INSERT ON campaign_sends
WHEN EXISTS (SELECT 1 FROM campaign_sends_replaced WHERE id = NEW.id) BEGIN
    INSERT INTO campaign_send_changes
        SELECT org_id, campaign_id, status, -1 FROM campaign_sends_replaced WHERE id = NEW.id;
    DELETE FROM campaign_sends_replaced;
END;
CREATE TABLE campaign_events_replaced (
    id BLOB NOT NULL PRIMARY KEY,
    org_id BLOB NOT NULL,
    campaign_id BLOB NOT NULL,
    contact_id BLOB NOT NULL,
    send_id BLOB NOT NULL,
    event_type TEXT NOT NULL,
    suppresses INTEGER NOT NULL,
    url TEXT,
    hour TEXT NOT NULL
) STRICT;
CREATE TRIGGER campaign_counts_event_replace BEFORE INSERT ON campaign_events BEGIN
    DELETE FROM campaign_events_replaced;
    INSERT INTO campaign_events_replaced
        SELECT id, org_id, send_campaign_id, send_contact_id, send_id, event_type,
            {suppresses: campaign_events}, {url: campaign_events}, {hour: campaign_events}
        FROM campaign_events
        WHERE id = NEW.id AND send_campaign_id <> x'00000000000000000000000000000000';
END;
CREATE TRIGGER campaign_counts_event_replaced AFTER INSERT ON campaign_events
WHEN EXISTS (SELECT 1 FROM campaign_events_replaced WHERE id = NEW.id) BEGIN
    INSERT INTO campaign_event_changes
        SELECT org_id, campaign_id, contact_id, send_id, event_type, suppresses, url, url, hour, -1
        FROM campaign_events_replaced WHERE id = NEW.id;
    DELETE FROM campaign_events_replaced;
END;

CREATE TRIGGER campaign_counts_send_insert AFTER INSERT ON campaign_sends BEGIN
    INSERT INTO campaign_send_changes VALUES (NEW.org_id, NEW.campaign_id, NEW.status, 1);
END;
CREATE TRIGGER campaign_counts_send_delete AFTER DELETE ON campaign_sends BEGIN
    INSERT INTO campaign_send_changes VALUES (OLD.org_id, OLD.campaign_id, OLD.status, -1);
END;
CREATE TRIGGER campaign_counts_send_update AFTER UPDATE OF org_id, campaign_id, status ON campaign_sends
WHEN OLD.org_id <> NEW.org_id OR OLD.campaign_id <> NEW.campaign_id OR OLD.status <> NEW.status BEGIN
    INSERT INTO campaign_send_changes VALUES (OLD.org_id, OLD.campaign_id, OLD.status, -1);
    INSERT INTO campaign_send_changes VALUES (NEW.org_id, NEW.campaign_id, NEW.status, 1);
END;

CREATE TRIGGER campaign_counts_event_insert AFTER INSERT ON campaign_events
WHEN NEW.send_campaign_id <> x'00000000000000000000000000000000' BEGIN
    INSERT INTO campaign_event_changes VALUES ({row: NEW}, 1);
END;
CREATE TRIGGER campaign_counts_event_delete AFTER DELETE ON campaign_events
WHEN OLD.send_campaign_id <> x'00000000000000000000000000000000' BEGIN
    INSERT INTO campaign_event_changes VALUES ({row: OLD}, -1);
END;
CREATE TRIGGER campaign_counts_event_update
AFTER UPDATE OF org_id, send_id, event_type, url, occurred_at, metadata, send_campaign_id, send_contact_id
ON campaign_events
WHEN OLD.org_id <> NEW.org_id OR OLD.send_id <> NEW.send_id OR OLD.event_type <> NEW.event_type
    OR OLD.url IS NOT NEW.url OR OLD.occurred_at <> NEW.occurred_at OR OLD.metadata IS NOT NEW.metadata
    OR OLD.send_campaign_id <> NEW.send_campaign_id OR OLD.send_contact_id <> NEW.send_contact_id BEGIN
    INSERT INTO campaign_event_changes SELECT {row: OLD}, -1
        WHERE OLD.send_campaign_id <> x'00000000000000000000000000000000';
    INSERT INTO campaign_event_changes SELECT {row: NEW}, 1
        WHERE NEW.send_campaign_id <> x'00000000000000000000000000000000';
END;
