-- Lets a separate role serve without owning anything: grants what `campaigns serve`, `campaigns worker`
-- and `campaigns stats` need, and no more. Run it as the owner of the tables, after each
-- `campaigns migrate`:
--
--   psql "$DATABASE_URL" -v role=campaigns_service -v schema=public -f deploy/grants.sql
--
-- The role must exist and be able to log in (CREATE ROLE campaigns_service LOGIN PASSWORD '…'). If tables
-- have row security, the service's role gets its own policy beside the existing ones: the service itself
-- puts the organization into every statement. deploy/revoke.sql revokes all of this.
\set ON_ERROR_STOP on
BEGIN;
SET LOCAL search_path = :"schema", public;

GRANT USAGE ON SCHEMA :"schema" TO :"role";

-- the neighbours are read
GRANT SELECT ON organizations, users, memberships, contacts, companies, contact_companies TO :"role";
-- a referenced row is locked while rows that refer to it are written, which requires the right to update;
-- the right for one column is enough
GRANT UPDATE (id) ON users, contacts TO :"role";

GRANT SELECT, INSERT, UPDATE, DELETE
    ON campaigns, campaign_segments, campaign_lists, campaign_sends, campaign_events TO :"role";

-- webhooks of providers, and what comes in by them
GRANT SELECT, INSERT, UPDATE, DELETE ON campaign_provider_webhooks, campaign_provider_paths, campaign_provider_keys,
    campaign_provider_stats, campaign_provider_tokens, campaign_provider_reports, campaign_message_ids,
    campaign_unmatched_events, campaign_awaited_messages TO :"role";

-- counts are kept by triggers and by campaign_counts_fold; `campaigns stats rebuild` stores them
GRANT SELECT, INSERT, UPDATE, DELETE ON campaign_counts, campaign_send_counts, campaign_contact_counts,
    campaign_hour_counts, campaign_link_counts, campaign_send_link_counts TO :"role";
GRANT SELECT ON campaign_send_changes, campaign_event_changes, campaign_sends_to_count, campaign_events_to_count,
    campaign_counts_recounted, campaign_send_counts_recounted, campaign_contact_counts_recounted,
    campaign_hour_counts_recounted, campaign_link_counts_recounted, campaign_send_link_counts_recounted,
    campaign_cursor_key, campaign_triggers, seaql_migrations TO :"role";
GRANT EXECUTE ON FUNCTION campaign_feed_horizon(bigint), campaign_feed_settled_for(uuid), campaign_feed_oldest(),
    campaign_feed_incarnation(), campaign_feed_draw_for(uuid, integer), campaign_counts_fold(integer),
    campaign_counts_lock(), campaign_events_file_waiting(uuid, integer), campaign_events_refile(uuid, integer),
    campaign_counts_forget_changes(uuid) TO :"role";
-- what processes of before call, which may still run during an upgrade
GRANT EXECUTE ON FUNCTION campaign_feed_settled(bigint), campaign_feed_holder(), campaign_feed_draw(integer) TO :"role";

-- the types of statuses may be in another schema
SELECT format('GRANT USAGE ON SCHEMA %I TO %I', nspname, :'role')
    FROM (
        SELECT DISTINCT typnamespace FROM pg_attribute JOIN pg_type ON pg_type.oid = atttypid
        WHERE typtype = 'e' AND attrelid IN ('campaigns'::regclass, 'campaign_sends'::regclass,
            'campaign_events'::regclass, 'contacts'::regclass, 'memberships'::regclass)
    ) AS types JOIN pg_namespace ON pg_namespace.oid = typnamespace
\gexec
SELECT format('CREATE POLICY campaigns_service ON %s TO %I USING (true) WITH CHECK (true)', oid::regclass, :'role')
    FROM pg_class WHERE relrowsecurity AND oid = ANY (ARRAY[
        to_regclass('organizations'), to_regclass('users'), to_regclass('memberships'), to_regclass('contacts'),
        to_regclass('companies'), to_regclass('contact_companies'), to_regclass('campaigns'),
        to_regclass('campaign_segments'), to_regclass('campaign_lists'), to_regclass('campaign_sends'),
        to_regclass('campaign_events'), to_regclass('campaign_provider_webhooks'),
        to_regclass('campaign_provider_paths'), to_regclass('campaign_provider_keys'),
        to_regclass('campaign_provider_stats'), to_regclass('campaign_provider_tokens'),
        to_regclass('campaign_provider_reports'), to_regclass('campaign_message_ids'), to_regclass('campaign_unmatched_events'),
        to_regclass('campaign_awaited_messages')])
    AND NOT EXISTS (SELECT 1 FROM pg_policy WHERE polrelid = pg_class.oid AND polname = 'campaigns_service')
\gexec
COMMIT;
