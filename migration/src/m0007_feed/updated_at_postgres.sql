-- only what is documented counts as an update
CREATE OR REPLACE TRIGGER set_updated_at
    BEFORE UPDATE OF id, org_id, send_id, event_type, url, occurred_at, created_at, updated_at, metadata
    ON campaign_events FOR EACH ROW EXECUTE FUNCTION set_updated_at();
