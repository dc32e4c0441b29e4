DROP TRIGGER campaign_events_shown_id_changes;
DROP TRIGGER campaign_events_shown_id;
DROP INDEX campaign_events_chosen_id;
ALTER TABLE campaign_events DROP COLUMN chosen_id;
