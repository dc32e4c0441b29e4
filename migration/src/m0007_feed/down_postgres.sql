DROP TRIGGER campaign_feed_moved ON campaign_sends;
DROP TRIGGER campaign_feed_moves ON campaign_sends;
DROP TRIGGER campaign_feed_change ON campaign_events;
DROP TRIGGER campaign_feed_enter ON campaign_events;
DROP FUNCTION campaign_sends_moved();
DROP FUNCTION campaign_sends_moves();
DROP FUNCTION campaign_events_change();
DROP FUNCTION campaign_events_enter();
DROP FUNCTION campaign_feed_draw(integer);
DROP FUNCTION campaign_feed_enter();
DROP FUNCTION campaign_feed_incarnation();
DROP FUNCTION campaign_feed_holder();
DROP FUNCTION campaign_feed_settled(bigint);
ALTER TABLE campaign_events
    DROP COLUMN send_contact_id,
    DROP COLUMN send_campaign_id,
    DROP COLUMN feed_position;
DROP SEQUENCE campaign_feed_position;
