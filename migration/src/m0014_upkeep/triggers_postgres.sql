CREATE OR REPLACE TRIGGER campaign_feed_moves BEFORE UPDATE OF id, org_id, campaign_id, contact_id ON campaign_sends
    FOR EACH ROW WHEN ((OLD.id, OLD.org_id, OLD.campaign_id, OLD.contact_id)
        IS DISTINCT FROM (NEW.id, NEW.org_id, NEW.campaign_id, NEW.contact_id))
    EXECUTE FUNCTION campaign_sends_moves();
CREATE OR REPLACE TRIGGER campaign_feed_moved AFTER UPDATE OF id, org_id, campaign_id, contact_id ON campaign_sends
    FOR EACH ROW WHEN ((OLD.id, OLD.org_id, OLD.campaign_id, OLD.contact_id)
        IS DISTINCT FROM (NEW.id, NEW.org_id, NEW.campaign_id, NEW.contact_id))
    EXECUTE FUNCTION campaign_sends_moved();

-- these fire in the order of their names: this one before campaign_feed_enter, …
CREATE OR REPLACE TRIGGER campaign_feed_blank BEFORE INSERT ON campaign_events
    FOR EACH ROW WHEN (NEW.send_campaign_id IS NOT NULL)
    EXECUTE FUNCTION campaign_events_blank();
-- … this one after it, …
CREATE OR REPLACE TRIGGER campaign_feed_wait BEFORE INSERT ON campaign_events
    FOR EACH ROW WHEN (NEW.send_campaign_id = '{none}')
    EXECUTE FUNCTION campaign_events_wait();
-- … and this one after campaign_feed_change, which may leave everything as it was
CREATE OR REPLACE TRIGGER campaign_feed_file
    BEFORE UPDATE OF org_id, send_id, feed_position, send_campaign_id, send_contact_id ON campaign_events
    FOR EACH ROW EXECUTE FUNCTION campaign_events_file();

CREATE OR REPLACE TRIGGER campaign_counts_insert AFTER INSERT ON campaign_sends
    REFERENCING NEW TABLE AS new_sends FOR EACH STATEMENT EXECUTE FUNCTION campaign_sends_changed();
CREATE OR REPLACE TRIGGER campaign_counts_update AFTER UPDATE ON campaign_sends
    REFERENCING NEW TABLE AS new_sends OLD TABLE AS old_sends
    FOR EACH STATEMENT EXECUTE FUNCTION campaign_sends_changed();
CREATE OR REPLACE TRIGGER campaign_counts_delete AFTER DELETE ON campaign_sends
    REFERENCING OLD TABLE AS old_sends FOR EACH STATEMENT EXECUTE FUNCTION campaign_sends_changed();
CREATE OR REPLACE TRIGGER campaign_counts_row AFTER INSERT OR UPDATE OR DELETE ON campaign_sends
    FOR EACH ROW WHEN (current_setting('session_replication_role') = 'replica')
    EXECUTE FUNCTION campaign_sends_changed_row();
CREATE OR REPLACE TRIGGER campaign_counts_truncate AFTER TRUNCATE ON campaign_sends
    FOR EACH STATEMENT EXECUTE FUNCTION campaign_counts_truncated();

CREATE OR REPLACE TRIGGER campaign_counts_insert AFTER INSERT ON campaign_events
    REFERENCING NEW TABLE AS new_events FOR EACH STATEMENT EXECUTE FUNCTION campaign_events_changed();
CREATE OR REPLACE TRIGGER campaign_counts_update AFTER UPDATE ON campaign_events
    REFERENCING NEW TABLE AS new_events OLD TABLE AS old_events
    FOR EACH STATEMENT EXECUTE FUNCTION campaign_events_changed();
CREATE OR REPLACE TRIGGER campaign_counts_delete AFTER DELETE ON campaign_events
    REFERENCING OLD TABLE AS old_events FOR EACH STATEMENT EXECUTE FUNCTION campaign_events_changed();
CREATE OR REPLACE TRIGGER campaign_counts_row AFTER INSERT OR UPDATE OR DELETE ON campaign_events
    FOR EACH ROW WHEN (current_setting('session_replication_role') = 'replica')
    EXECUTE FUNCTION campaign_events_changed_row();
CREATE OR REPLACE TRIGGER campaign_counts_truncate AFTER TRUNCATE ON campaign_events
    FOR EACH STATEMENT EXECUTE FUNCTION campaign_counts_truncated();

-- the worker of logical replication fires triggers of rows and of TRUNCATE, and no others. Those that
-- count rows would do nothing in other sessions, which would take time there
ALTER TABLE campaign_sends
    ENABLE ALWAYS TRIGGER campaign_feed_moves,
    ENABLE ALWAYS TRIGGER campaign_feed_moved,
    ENABLE REPLICA TRIGGER campaign_counts_row,
    ENABLE ALWAYS TRIGGER campaign_counts_truncate;
ALTER TABLE campaign_events
    ENABLE ALWAYS TRIGGER campaign_feed_blank,
    ENABLE ALWAYS TRIGGER campaign_feed_wait,
    ENABLE ALWAYS TRIGGER campaign_feed_file,
    ENABLE REPLICA TRIGGER campaign_counts_row,
    ENABLE ALWAYS TRIGGER campaign_counts_truncate;
