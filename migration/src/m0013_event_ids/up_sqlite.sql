ALTER TABLE campaign_events ADD COLUMN chosen_id BLOB CHECK (length(chosen_id) = 16);
CREATE UNIQUE INDEX campaign_events_chosen_id ON campaign_events (chosen_id, org_id) WHERE chosen_id IS NOT NULL;
-- one row shows as chosen what is the key of the other
CREATE TRIGGER campaign_events_shown_id BEFORE INSERT ON campaign_events
WHEN EXISTS (SELECT 1 FROM campaign_events WHERE chosen_id = NEW.id AND org_id = NEW.org_id AND NEW.chosen_id IS NULL)
    OR EXISTS (SELECT 1 FROM campaign_events WHERE id = NEW.chosen_id AND org_id = NEW.org_id AND chosen_id IS NULL) BEGIN
    SELECT RAISE(ABORT, 'UNIQUE constraint failed: campaign_events.chosen_id, campaign_events.org_id');
END;
CREATE TRIGGER campaign_events_shown_id_changes BEFORE UPDATE OF id, chosen_id, org_id ON campaign_events
WHEN EXISTS (SELECT 1 FROM campaign_events WHERE chosen_id = NEW.id AND org_id = NEW.org_id
        AND NEW.chosen_id IS NULL AND rowid <> OLD.rowid)
    OR EXISTS (SELECT 1 FROM campaign_events WHERE id = NEW.chosen_id AND org_id = NEW.org_id
        AND chosen_id IS NULL AND rowid <> OLD.rowid) BEGIN
    SELECT RAISE(ABORT, 'UNIQUE constraint failed: campaign_events.chosen_id, campaign_events.org_id');
END;
