-- also for an event that comes to another organization
CREATE OR REPLACE TRIGGER campaign_feed_change
    BEFORE UPDATE OF org_id, send_id, feed_position, send_campaign_id, send_contact_id ON campaign_events
    FOR EACH ROW WHEN (
        OLD.org_id IS DISTINCT FROM NEW.org_id
        OR OLD.send_id IS DISTINCT FROM NEW.send_id OR OLD.feed_position IS DISTINCT FROM NEW.feed_position
        OR OLD.send_campaign_id IS DISTINCT FROM NEW.send_campaign_id
        OR OLD.send_contact_id IS DISTINCT FROM NEW.send_contact_id
    ) EXECUTE FUNCTION campaign_events_change();
ALTER TABLE campaign_events ENABLE ALWAYS TRIGGER campaign_feed_change;
