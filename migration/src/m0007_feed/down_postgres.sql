DROP TRIGGER moved ON campaign_sends;
DROP TRIGGER moves ON campaign_sends;
DROP TRIGGER change ON campaign_events;
DROP TRIGGER enter ON campaign_events;
DROP FUNCTION campaign_sends_moved();
DROP FUNCTION campaign_sends_moves();
DROP FUNCTION campaign_events_change();
DROP FUNCTION campaign_events_enter();
DROP FUNCTION campaign_feed_settled(bigint);
DROP TRIGGER set_updated_at ON campaign_events;
CREATE TRIGGER set_updated_at BEFORE UPDATE ON campaign_events
    FOR EACH ROW EXECUTE FUNCTION set_updated_at();
ALTER TABLE campaign_events
    DROP COLUMN contact_id,
    DROP COLUMN campaign_id,
    DROP COLUMN feed_position;
DROP SEQUENCE campaign_feed_position;
