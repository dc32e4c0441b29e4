-- {none} is the ID of nothing; {send: row} is the condition that a send of its own is there for an event;
-- {event: row} are the columns of an event as they count, and {counts: row} is the condition that it does

-- an event is filed under its send, and has a place in the feed, as soon as the send is there
CREATE TRIGGER campaign_events_enter_feed AFTER INSERT ON campaign_events BEGIN
    UPDATE campaign_feed SET last_position = last_position + 1;
    UPDATE campaign_events SET
        feed_position = (SELECT last_position FROM campaign_feed),
        send_campaign_id = (SELECT campaign_id FROM campaign_sends WHERE id = NEW.send_id),
        send_contact_id = (SELECT contact_id FROM campaign_sends WHERE id = NEW.send_id)
        WHERE id = NEW.id AND EXISTS (SELECT 1 FROM campaign_sends WHERE {send: NEW});
END;
-- what a writer says of the columns of the service does not count
CREATE TRIGGER campaign_events_blank AFTER INSERT ON campaign_events
WHEN (NEW.feed_position <> 0 OR NEW.send_campaign_id <> {none} OR NEW.send_contact_id <> {none})
AND NOT EXISTS (SELECT 1 FROM campaign_sends WHERE {send: NEW}) BEGIN
    UPDATE campaign_events SET feed_position = 0, send_campaign_id = {none}, send_contact_id = {none}
        WHERE id = NEW.id;
END;
CREATE TRIGGER campaign_events_change
AFTER UPDATE OF org_id, send_id, send_campaign_id, send_contact_id ON campaign_events
WHEN NOT EXISTS (
    SELECT 1 FROM campaign_sends WHERE {send: NEW}
    AND campaign_id = NEW.send_campaign_id AND contact_id = NEW.send_contact_id
) AND (
    NEW.send_campaign_id <> {none} OR NEW.send_contact_id <> {none}
    OR EXISTS (SELECT 1 FROM campaign_sends WHERE {send: NEW})
) BEGIN
    UPDATE campaign_events SET {file} WHERE id = NEW.id;
END;
CREATE TRIGGER campaign_events_filed AFTER UPDATE OF send_campaign_id ON campaign_events
WHEN NEW.feed_position = 0 AND EXISTS (SELECT 1 FROM campaign_sends WHERE {send: NEW}) BEGIN
    UPDATE campaign_feed SET last_position = last_position + 1;
    UPDATE campaign_events SET feed_position = (SELECT last_position FROM campaign_feed)
        WHERE id = NEW.id AND feed_position = 0;
END;
-- an event that comes to another organization gets a place at the end of its feed, or waits for it
CREATE TRIGGER campaign_events_came AFTER UPDATE OF org_id ON campaign_events WHEN OLD.org_id <> NEW.org_id BEGIN
    UPDATE campaign_feed SET last_position = last_position + 1;
    UPDATE campaign_events SET feed_position = CASE
        WHEN EXISTS (SELECT 1 FROM campaign_sends WHERE {send: NEW}) THEN (SELECT last_position FROM campaign_feed)
        ELSE 0 END
        WHERE id = NEW.id;
END;
-- events that came before their send, and those of a send that has moved, or has gone without them
CREATE TRIGGER campaign_sends_arrived AFTER INSERT ON campaign_sends BEGIN
    UPDATE campaign_events SET {file} WHERE send_id = NEW.id;
END;
CREATE TRIGGER campaign_sends_moved AFTER UPDATE OF id, org_id, campaign_id, contact_id ON campaign_sends
WHEN OLD.id <> NEW.id OR OLD.org_id <> NEW.org_id OR OLD.campaign_id <> NEW.campaign_id
    OR OLD.contact_id <> NEW.contact_id BEGIN
    UPDATE campaign_events SET {file} WHERE send_id IN (OLD.id, NEW.id);
END;
CREATE TRIGGER campaign_sends_gone AFTER DELETE ON campaign_sends BEGIN
    UPDATE campaign_events SET {file} WHERE send_id = OLD.id;
END;

-- an event counts while it is filed; what a trigger changes of it is an update like any other
CREATE VIEW campaign_events_to_count AS
    SELECT campaign_events.org_id, campaign_sends.campaign_id, campaign_sends.contact_id, send_id, event_type,
        {suppresses: campaign_events} AS suppresses, {url: campaign_events} AS url,
        {url: campaign_events} AS link, {hour: campaign_events} AS hour, 1 AS number
    FROM campaign_events JOIN campaign_sends
    ON campaign_sends.id = send_id AND campaign_sends.org_id = campaign_events.org_id
    WHERE event_type IN ({types});

-- REPLACE deletes a row without a trigger, unless triggers are recursive: the rows that a write may
-- replace are noted before it. Those that are gone after it are taken off the counts. A row is known
-- by its number, too, as a write can set that and replace the row that has it
CREATE TABLE campaign_sends_replaced (
    number INTEGER NOT NULL,
    id BLOB NOT NULL,
    org_id BLOB NOT NULL,
    campaign_id BLOB NOT NULL,
    status TEXT NOT NULL
) STRICT;
CREATE TRIGGER campaign_counts_send_replace BEFORE INSERT ON campaign_sends
WHEN EXISTS (SELECT 1 FROM campaign_sends WHERE id = NEW.id)
    OR EXISTS (SELECT 1 FROM campaign_sends WHERE rowid = NEW.rowid) BEGIN
    DELETE FROM campaign_sends_replaced WHERE EXISTS
        (SELECT 1 FROM campaign_sends AS send WHERE send.rowid = number AND send.id = campaign_sends_replaced.id);
    INSERT INTO campaign_sends_replaced SELECT rowid, id, org_id, campaign_id, status
        FROM campaign_sends WHERE id = NEW.id OR rowid = NEW.rowid;
END;
CREATE TRIGGER campaign_counts_send_rekey BEFORE UPDATE OF id, rowid, _rowid_, oid ON campaign_sends BEGIN
    DELETE FROM campaign_sends_replaced WHERE id = OLD.id OR EXISTS
        (SELECT 1 FROM campaign_sends AS send WHERE send.rowid = number AND send.id = campaign_sends_replaced.id);
    INSERT INTO campaign_sends_replaced SELECT rowid, id, org_id, campaign_id, status
        FROM campaign_sends WHERE (id = NEW.id OR rowid = NEW.rowid) AND rowid <> OLD.rowid;
END;
CREATE TRIGGER campaign_counts_send_replaced AFTER INSERT ON campaign_sends
WHEN EXISTS (SELECT 1 FROM campaign_sends_replaced) BEGIN
    {replaced sends}
END;
CREATE TRIGGER campaign_counts_send_rekeyed AFTER UPDATE OF id, rowid, _rowid_, oid ON campaign_sends
WHEN EXISTS (SELECT 1 FROM campaign_sends_replaced) BEGIN
    {replaced sends}
END;
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
    hour TEXT NOT NULL
) STRICT;
CREATE TRIGGER campaign_counts_event_replace BEFORE INSERT ON campaign_events
WHEN EXISTS (SELECT 1 FROM campaign_events WHERE id = NEW.id)
    OR EXISTS (SELECT 1 FROM campaign_events WHERE rowid = NEW.rowid)
    OR EXISTS (SELECT 1 FROM campaign_events WHERE chosen_id = NEW.chosen_id AND org_id = NEW.org_id) BEGIN
    DELETE FROM campaign_events_replaced WHERE EXISTS
        (SELECT 1 FROM campaign_events AS event WHERE event.rowid = number AND event.id = campaign_events_replaced.id);
    INSERT INTO campaign_events_replaced SELECT {noted event}
        FROM campaign_events WHERE (id = NEW.id OR rowid = NEW.rowid
            OR chosen_id = NEW.chosen_id AND org_id = NEW.org_id) AND {counts: campaign_events};
END;
CREATE TRIGGER campaign_counts_event_rekey
BEFORE UPDATE OF id, rowid, _rowid_, oid, chosen_id, org_id ON campaign_events BEGIN
    DELETE FROM campaign_events_replaced WHERE id = OLD.id OR EXISTS
        (SELECT 1 FROM campaign_events AS event WHERE event.rowid = number AND event.id = campaign_events_replaced.id);
    INSERT INTO campaign_events_replaced SELECT {noted event}
        FROM campaign_events WHERE (id = NEW.id OR rowid = NEW.rowid
            OR chosen_id = NEW.chosen_id AND org_id = NEW.org_id) AND rowid <> OLD.rowid
        AND {counts: campaign_events};
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

CREATE TRIGGER campaign_counts_send_insert AFTER INSERT ON campaign_sends BEGIN
    INSERT INTO campaign_send_changes VALUES (NEW.org_id, NEW.campaign_id, NEW.status, 1);
END;
CREATE TRIGGER campaign_counts_send_delete AFTER DELETE ON campaign_sends BEGIN
    INSERT INTO campaign_send_changes VALUES (OLD.org_id, OLD.campaign_id, OLD.status, -1);
    DELETE FROM campaign_sends_replaced WHERE id = OLD.id;
END;
CREATE TRIGGER campaign_counts_send_update AFTER UPDATE OF org_id, campaign_id, status ON campaign_sends
WHEN OLD.org_id <> NEW.org_id OR OLD.campaign_id <> NEW.campaign_id OR OLD.status <> NEW.status BEGIN
    INSERT INTO campaign_send_changes VALUES (OLD.org_id, OLD.campaign_id, OLD.status, -1);
    INSERT INTO campaign_send_changes VALUES (NEW.org_id, NEW.campaign_id, NEW.status, 1);
END;

CREATE TRIGGER campaign_counts_event_insert AFTER INSERT ON campaign_events WHEN {counts: NEW} BEGIN
    INSERT INTO campaign_event_changes VALUES ({event: NEW}, 1);
END;
CREATE TRIGGER campaign_counts_event_delete AFTER DELETE ON campaign_events BEGIN
    INSERT INTO campaign_event_changes SELECT {event: OLD}, -1 WHERE {counts: OLD};
    DELETE FROM campaign_events_replaced WHERE id = OLD.id;
END;
CREATE TRIGGER campaign_counts_event_update
AFTER UPDATE OF org_id, send_id, event_type, url, occurred_at, metadata, send_campaign_id, send_contact_id
ON campaign_events
WHEN OLD.org_id <> NEW.org_id OR OLD.send_id <> NEW.send_id OR OLD.event_type <> NEW.event_type
    OR OLD.url IS NOT NEW.url OR OLD.occurred_at <> NEW.occurred_at OR OLD.metadata IS NOT NEW.metadata
    OR OLD.send_campaign_id <> NEW.send_campaign_id OR OLD.send_contact_id <> NEW.send_contact_id BEGIN
    INSERT INTO campaign_event_changes SELECT {event: OLD}, -1 WHERE {counts: OLD};
    INSERT INTO campaign_event_changes SELECT {event: NEW}, 1 WHERE {counts: NEW};
END;
