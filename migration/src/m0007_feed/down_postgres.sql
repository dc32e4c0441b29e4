DROP TRIGGER moved ON campaign_sends;
DROP TRIGGER moves ON campaign_sends;
DROP TRIGGER of_send ON campaign_events;
DROP TRIGGER enter_feed ON campaign_events;
DROP FUNCTION campaign_sends_moved();
DROP FUNCTION campaign_sends_moves();
DROP FUNCTION campaign_events_of_send();
DROP FUNCTION campaign_feed_settled();
DROP FUNCTION campaign_events_enter_feed();
ALTER TABLE campaign_events
    DROP COLUMN contact_id,
    DROP COLUMN campaign_id,
    DROP COLUMN feed_position;
