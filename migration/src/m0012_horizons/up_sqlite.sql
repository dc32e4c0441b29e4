CREATE TRIGGER campaign_events_came AFTER UPDATE OF org_id ON campaign_events WHEN OLD.org_id <> NEW.org_id BEGIN
    UPDATE campaign_feed SET last_position = last_position + 1;
    UPDATE campaign_events SET feed_position = (SELECT last_position FROM campaign_feed) WHERE id = NEW.id;
END;
CREATE TABLE campaign_cursor_key (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    key BLOB NOT NULL CHECK (length(key) = 32)
) STRICT;
INSERT INTO campaign_cursor_key VALUES (1, randomblob(32));
