DROP TRIGGER IF EXISTS campaign_feed_moved ON campaign_sends;
DROP TRIGGER IF EXISTS campaign_feed_moves ON campaign_sends;
DROP TRIGGER IF EXISTS campaign_feed_change ON campaign_events;
DROP TRIGGER IF EXISTS campaign_feed_enter ON campaign_events;
DROP FUNCTION IF EXISTS campaign_sends_moved();
DROP FUNCTION IF EXISTS campaign_sends_moves();
DROP FUNCTION IF EXISTS campaign_events_change();
DROP FUNCTION IF EXISTS campaign_events_enter();
DROP FUNCTION IF EXISTS campaign_feed_draw(integer);
DROP FUNCTION IF EXISTS campaign_feed_enter();
DROP FUNCTION IF EXISTS campaign_feed_incarnation();
DROP FUNCTION IF EXISTS campaign_feed_holder();
DROP FUNCTION IF EXISTS campaign_feed_settled(bigint);
ALTER TABLE campaign_events
    DROP COLUMN IF EXISTS send_contact_id,
    DROP COLUMN IF EXISTS send_campaign_id,
    DROP COLUMN IF EXISTS feed_position;
DROP SEQUENCE IF EXISTS campaign_feed_position;
