DROP TRIGGER campaign_sends_moved;
DROP TRIGGER campaign_sends_arrived;
DROP TRIGGER campaign_events_change;
DROP TRIGGER campaign_events_enter_feed;
DROP TABLE campaign_feed;
ALTER TABLE campaign_events DROP COLUMN send_contact_id;
ALTER TABLE campaign_events DROP COLUMN send_campaign_id;
ALTER TABLE campaign_events DROP COLUMN feed_position;
