DROP TABLE campaign_cursor_key;
DROP TRIGGER campaign_events_came;
