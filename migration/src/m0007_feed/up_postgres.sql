-- without a default: the table is not rewritten
ALTER TABLE campaign_events
    ADD COLUMN IF NOT EXISTS feed_position bigint,
    ADD COLUMN IF NOT EXISTS send_campaign_id uuid,
    ADD COLUMN IF NOT EXISTS send_contact_id uuid;

CREATE OR REPLACE TRIGGER campaign_feed_enter BEFORE INSERT ON campaign_events
    FOR EACH ROW EXECUTE FUNCTION campaign_events_enter();
CREATE OR REPLACE TRIGGER campaign_feed_change
    BEFORE UPDATE OF send_id, feed_position, send_campaign_id, send_contact_id ON campaign_events
    FOR EACH ROW WHEN (
        OLD.send_id IS DISTINCT FROM NEW.send_id OR OLD.feed_position IS DISTINCT FROM NEW.feed_position
        OR OLD.send_campaign_id IS DISTINCT FROM NEW.send_campaign_id
        OR OLD.send_contact_id IS DISTINCT FROM NEW.send_contact_id
    ) EXECUTE FUNCTION campaign_events_change();
CREATE OR REPLACE TRIGGER campaign_feed_moves BEFORE UPDATE OF campaign_id, contact_id ON campaign_sends
    FOR EACH ROW WHEN (OLD.campaign_id <> NEW.campaign_id OR OLD.contact_id <> NEW.contact_id)
    EXECUTE FUNCTION campaign_sends_moves();
CREATE OR REPLACE TRIGGER campaign_feed_moved AFTER UPDATE OF campaign_id, contact_id ON campaign_sends
    FOR EACH ROW WHEN (OLD.campaign_id <> NEW.campaign_id OR OLD.contact_id <> NEW.contact_id)
    EXECUTE FUNCTION campaign_sends_moved();

-- in sessions of replication, too
ALTER TABLE campaign_events ENABLE ALWAYS TRIGGER campaign_feed_enter, ENABLE ALWAYS TRIGGER campaign_feed_change;
ALTER TABLE campaign_sends ENABLE ALWAYS TRIGGER campaign_feed_moves, ENABLE ALWAYS TRIGGER campaign_feed_moved;
