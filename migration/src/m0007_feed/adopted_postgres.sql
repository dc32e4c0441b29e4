-- what the service keeps in its own columns is no update: this comes behind the triggers of others
CREATE OR REPLACE TRIGGER zz_campaign_feed_keep
    BEFORE UPDATE OF feed_position, send_campaign_id, send_contact_id ON campaign_events
    FOR EACH ROW WHEN (
        (OLD.id, OLD.org_id, OLD.send_id, OLD.event_type, OLD.url, OLD.occurred_at, OLD.created_at, OLD.metadata)
        IS NOT DISTINCT FROM
        (NEW.id, NEW.org_id, NEW.send_id, NEW.event_type, NEW.url, NEW.occurred_at, NEW.created_at, NEW.metadata)
    ) EXECUTE FUNCTION campaign_events_keep();
