-- the parts in braces are generated from the list of counts (definitions.rs)

CREATE VIEW campaign_event_changes AS
    SELECT x'' AS org_id, x'' AS campaign_id, x'' AS contact_id, x'' AS send_id, '' AS event_type,
        FALSE AS suppresses, '' AS url, '' AS link, '' AS hour, 0 AS number{no facts} WHERE FALSE;

CREATE TRIGGER campaign_send_changes_add INSTEAD OF INSERT ON campaign_send_changes BEGIN
    INSERT INTO campaign_counts (org_id, campaign_id, {names: statuses})
        VALUES (NEW.org_id, NEW.campaign_id, {changes: statuses})
        ON CONFLICT (org_id, campaign_id) DO UPDATE SET
            {added: statuses};
    DELETE FROM campaign_counts WHERE NEW.number < 0 AND org_id = NEW.org_id AND campaign_id = NEW.campaign_id
        AND {are zero: kept};
END;

CREATE TRIGGER campaign_event_changes_add INSTEAD OF INSERT ON campaign_event_changes BEGIN
    INSERT INTO campaign_send_counts
            (org_id, send_id, campaign_id, {names: events})
        VALUES (NEW.org_id, NEW.send_id, NEW.campaign_id,
            {changes: events})
        ON CONFLICT (org_id, send_id, campaign_id) DO UPDATE SET
            {added: events};
    -- a send counts once, as soon as it has one
    INSERT INTO campaign_counts (org_id, campaign_id, {names: engagement})
        SELECT NEW.org_id, NEW.campaign_id,
            {of send now: engagement}
            FROM campaign_send_counts
            WHERE org_id = NEW.org_id AND send_id = NEW.send_id AND campaign_id = NEW.campaign_id
        ON CONFLICT (org_id, campaign_id) DO UPDATE SET
            {added: engagement};
    INSERT INTO campaign_contact_counts
            (org_id, contact_id, {names: contacts})
        VALUES (NEW.org_id, NEW.contact_id,
            {changes: contacts})
        ON CONFLICT (org_id, contact_id) DO UPDATE SET
            {added: contacts};
    INSERT INTO campaign_hour_counts
            (org_id, campaign_id, hour, {names: events})
        VALUES (NEW.org_id, NEW.campaign_id, NEW.hour,
            {changes: events})
        ON CONFLICT (org_id, campaign_id, hour) DO UPDATE SET
            {added: events};
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
        AND {are zero: kept};
    DELETE FROM campaign_send_counts WHERE NEW.number < 0
        AND org_id = NEW.org_id AND send_id = NEW.send_id AND campaign_id = NEW.campaign_id
        AND {are zero: events};
    DELETE FROM campaign_contact_counts WHERE NEW.number < 0
        AND org_id = NEW.org_id AND contact_id = NEW.contact_id
        AND {are zero: contacts};
    DELETE FROM campaign_hour_counts WHERE NEW.number < 0
        AND org_id = NEW.org_id AND campaign_id = NEW.campaign_id AND hour = NEW.hour
        AND {are zero: events};
    DELETE FROM campaign_send_link_counts WHERE NEW.number < 0
        AND org_id = NEW.org_id AND send_id = NEW.send_id AND campaign_id = NEW.campaign_id
        AND link = NEW.link AND clicks = 0;
    DELETE FROM campaign_link_counts WHERE NEW.number < 0
        AND org_id = NEW.org_id AND campaign_id = NEW.campaign_id AND link = NEW.link AND clicks = 0;
END;

-- an event counts while it is filed; what a trigger changes of it is an update like any other
CREATE VIEW campaign_events_to_count AS
    SELECT campaign_events.org_id, campaign_sends.campaign_id, campaign_sends.contact_id, send_id, event_type,
        {suppresses: campaign_events} AS suppresses, {url: campaign_events} AS url,
        {url: campaign_events} AS link, {hour: campaign_events} AS hour, 1 AS number{named facts: campaign_events}
    FROM campaign_events JOIN campaign_sends
    ON campaign_sends.id = send_id AND campaign_sends.org_id = campaign_events.org_id
    WHERE event_type IN ({types});

-- REPLACE deletes a row without a trigger, unless triggers are recursive: the rows that a write may
-- replace are noted before it. Those that are gone after it are taken off the counts. A row is known
-- by its number, too, as a write can set that and replace the row that has it
CREATE TABLE campaign_events_replaced (
    number INTEGER NOT NULL,
    id BLOB NOT NULL,
    org_id BLOB NOT NULL,
    campaign_id BLOB NOT NULL,
    contact_id BLOB NOT NULL,
    send_id BLOB NOT NULL,
    event_type TEXT NOT NULL,
    suppresses INTEGER NOT NULL,
    url TEXT,
    hour TEXT NOT NULL{typed facts}
) STRICT;
CREATE TRIGGER campaign_counts_event_replace BEFORE INSERT ON campaign_events
WHEN EXISTS (SELECT 1 FROM campaign_events WHERE id = NEW.id)
    OR EXISTS (SELECT 1 FROM campaign_events WHERE rowid = NEW.rowid)
    OR EXISTS (SELECT 1 FROM campaign_events WHERE chosen_id = NEW.chosen_id AND org_id = NEW.org_id) BEGIN
    DELETE FROM campaign_events_replaced WHERE EXISTS
        (SELECT 1 FROM campaign_events AS event WHERE event.rowid = number AND event.id = campaign_events_replaced.id);
    INSERT INTO campaign_events_replaced SELECT {noted event: campaign_events}{facts: campaign_events}
        FROM campaign_events WHERE (id = NEW.id OR rowid = NEW.rowid
            OR chosen_id = NEW.chosen_id AND org_id = NEW.org_id) AND {is counted: campaign_events};
END;
CREATE TRIGGER campaign_counts_event_rekey
BEFORE UPDATE OF id, rowid, _rowid_, oid, chosen_id, org_id ON campaign_events BEGIN
    DELETE FROM campaign_events_replaced WHERE id = OLD.id OR EXISTS
        (SELECT 1 FROM campaign_events AS event WHERE event.rowid = number AND event.id = campaign_events_replaced.id);
    INSERT INTO campaign_events_replaced SELECT {noted event: campaign_events}{facts: campaign_events}
        FROM campaign_events WHERE (id = NEW.id OR rowid = NEW.rowid
            OR chosen_id = NEW.chosen_id AND org_id = NEW.org_id) AND rowid <> OLD.rowid
        AND {is counted: campaign_events};
END;
CREATE TRIGGER campaign_counts_event_replaced AFTER INSERT ON campaign_events
WHEN EXISTS (SELECT 1 FROM campaign_events_replaced) BEGIN
    {replaced events}
END;
CREATE TRIGGER campaign_counts_event_rekeyed
AFTER UPDATE OF id, rowid, _rowid_, oid, chosen_id, org_id ON campaign_events
WHEN EXISTS (SELECT 1 FROM campaign_events_replaced) BEGIN
    {replaced events}
END;

CREATE TRIGGER campaign_counts_event_insert AFTER INSERT ON campaign_events WHEN {is counted: NEW} BEGIN
    INSERT INTO campaign_event_changes VALUES ({event: NEW}, 1{facts: NEW});
END;
CREATE TRIGGER campaign_counts_event_delete AFTER DELETE ON campaign_events BEGIN
    INSERT INTO campaign_event_changes SELECT {event: OLD}, -1{facts: OLD} WHERE {is counted: OLD};
    DELETE FROM campaign_events_replaced WHERE id = OLD.id;
END;
CREATE TRIGGER campaign_counts_event_update
AFTER UPDATE OF org_id, send_id, event_type, url, occurred_at, metadata, send_campaign_id, send_contact_id
ON campaign_events
WHEN OLD.org_id <> NEW.org_id OR OLD.send_id <> NEW.send_id OR OLD.event_type <> NEW.event_type
    OR OLD.url IS NOT NEW.url OR OLD.occurred_at <> NEW.occurred_at OR OLD.metadata IS NOT NEW.metadata
    OR OLD.send_campaign_id <> NEW.send_campaign_id OR OLD.send_contact_id <> NEW.send_contact_id BEGIN
    INSERT INTO campaign_event_changes SELECT {event: OLD}, -1{facts: OLD} WHERE {is counted: OLD};
    INSERT INTO campaign_event_changes SELECT {event: NEW}, 1{facts: NEW} WHERE {is counted: NEW};
END;
