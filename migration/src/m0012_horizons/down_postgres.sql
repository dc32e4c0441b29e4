DROP TABLE IF EXISTS campaign_cursor_key;
DROP FUNCTION IF EXISTS campaign_feed_draw_for(uuid, integer);
DROP FUNCTION IF EXISTS campaign_feed_enter_for(uuid);
DROP FUNCTION IF EXISTS campaign_feed_oldest();
DROP FUNCTION IF EXISTS campaign_feed_settled_for(uuid);
DROP FUNCTION IF EXISTS campaign_feed_horizon(bigint);
DROP FUNCTION IF EXISTS campaign_feed_entries(bigint);
DROP FUNCTION IF EXISTS campaign_feed_bucket(uuid);
