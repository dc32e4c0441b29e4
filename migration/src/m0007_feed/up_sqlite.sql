ALTER TABLE campaign_events ADD COLUMN feed_position INTEGER NOT NULL DEFAULT 0;
ALTER TABLE campaign_events ADD COLUMN send_campaign_id BLOB NOT NULL DEFAULT x'00000000000000000000000000000000';
ALTER TABLE campaign_events ADD COLUMN send_contact_id BLOB NOT NULL DEFAULT x'00000000000000000000000000000000';

UPDATE campaign_events SET feed_position = rowid,
    send_campaign_id = coalesce((SELECT campaign_id FROM campaign_sends WHERE id = send_id), send_campaign_id),
    send_contact_id = coalesce((SELECT contact_id FROM campaign_sends WHERE id = send_id), send_contact_id);

CREATE TABLE campaign_feed (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    last_position INTEGER NOT NULL
) STRICT;
INSERT INTO campaign_feed SELECT 1, coalesce(max(feed_position), 0) FROM campaign_events;

CREATE TRIGGER campaign_events_enter_feed AFTER INSERT ON campaign_events BEGIN
    UPDATE campaign_feed SET last_position = last_position + 1;
    UPDATE campaign_events SET
        feed_position = (SELECT last_position FROM campaign_feed),
        send_campaign_id = coalesce((SELECT campaign_id FROM campaign_sends WHERE id = NEW.send_id), send_campaign_id),
        send_contact_id = coalesce((SELECT contact_id FROM campaign_sends WHERE id = NEW.send_id), send_contact_id)
        WHERE id = NEW.id;
END;
CREATE TRIGGER campaign_events_change AFTER UPDATE OF send_id, send_campaign_id, send_contact_id ON campaign_events
WHEN EXISTS (
    SELECT 1 FROM campaign_sends WHERE id = NEW.send_id
    AND (campaign_id <> NEW.send_campaign_id OR contact_id <> NEW.send_contact_id)
) BEGIN
    UPDATE campaign_events SET
        send_campaign_id = coalesce((SELECT campaign_id FROM campaign_sends WHERE id = NEW.send_id), send_campaign_id),
        send_contact_id = coalesce((SELECT contact_id FROM campaign_sends WHERE id = NEW.send_id), send_contact_id)
        WHERE id = NEW.id;
END;
-- events that came before their send, where references are checked at the end of the transaction
CREATE TRIGGER campaign_sends_arrived AFTER INSERT ON campaign_sends BEGIN
    UPDATE campaign_events SET send_campaign_id = NEW.campaign_id, send_contact_id = NEW.contact_id WHERE send_id = NEW.id;
END;
CREATE TRIGGER campaign_sends_moved AFTER UPDATE OF campaign_id, contact_id ON campaign_sends
WHEN OLD.campaign_id <> NEW.campaign_id OR OLD.contact_id <> NEW.contact_id BEGIN
    UPDATE campaign_events SET send_campaign_id = NEW.campaign_id, send_contact_id = NEW.contact_id WHERE send_id = NEW.id;
END;
