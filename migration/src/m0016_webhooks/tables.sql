-- the same in both databases, but for the types, which stand in braces
CREATE TABLE campaign_provider_webhooks (
    id {id} NOT NULL PRIMARY KEY,
    org_id {id} NOT NULL,
    name text NOT NULL,
    provider text NOT NULL,
    is_enabled {boolean} NOT NULL,
    topic_arns {json} NOT NULL,
    {time: created_at NOT NULL},
    {time: updated_at NOT NULL}
){options};
CREATE INDEX campaign_provider_webhooks_organization ON campaign_provider_webhooks (org_id, created_at, id);
CREATE TABLE campaign_provider_paths (
    id {id} NOT NULL PRIMARY KEY,
    org_id {id} NOT NULL,
    token text NOT NULL UNIQUE
){options};
CREATE INDEX campaign_provider_paths_organization ON campaign_provider_paths (org_id);
CREATE TABLE campaign_provider_keys (
    id {id} NOT NULL PRIMARY KEY,
    org_id {id} NOT NULL,
    webhook_id {id} NOT NULL,
    place {integer} NOT NULL,
    sealed {bytes} NOT NULL,
    hint text NOT NULL,
    {time: created_at NOT NULL}
){options};
CREATE INDEX campaign_provider_keys_webhook ON campaign_provider_keys (org_id, webhook_id, place);
CREATE TABLE campaign_provider_stats (
    id {id} NOT NULL PRIMARY KEY,
    org_id {id} NOT NULL,
    webhook_id {id} NOT NULL,
    accepted {count},
    refused {count},
    recorded {count},
    repeated {count},
    ignored {count},
    unreadable {count},
    dropped {count},
    {time: last_accepted_at},
    {time: last_refused_at},
    last_refusal text
){options};
CREATE INDEX campaign_provider_stats_webhook ON campaign_provider_stats (org_id, webhook_id);
CREATE TABLE campaign_provider_tokens (
    org_id {id} NOT NULL,
    webhook_id {id} NOT NULL,
    token {bytes} NOT NULL,
    events {bytes} NOT NULL,
    {time: until NOT NULL},
    PRIMARY KEY (org_id, webhook_id, token)
){options};
CREATE INDEX campaign_provider_tokens_until ON campaign_provider_tokens (until);
CREATE TABLE campaign_provider_reports (
    webhook_id {id} NOT NULL,
    id {id} NOT NULL,
    org_id {id} NOT NULL,
    {time: received_at NOT NULL},
    PRIMARY KEY (webhook_id, id)
){options};
CREATE INDEX campaign_provider_reports_received ON campaign_provider_reports (received_at);
CREATE TABLE campaign_message_ids (
    send_id {id} NOT NULL PRIMARY KEY,
    org_id {id} NOT NULL,
    message_id text NOT NULL,
    compared text NOT NULL
){options};
CREATE INDEX campaign_message_ids_compared ON campaign_message_ids (org_id, compared);
CREATE TABLE campaign_unmatched_events (
    webhook_id {id} NOT NULL,
    id {id} NOT NULL,
    org_id {id} NOT NULL,
    send_id {id},
    details {json} NOT NULL,
    {time: received_at NOT NULL},
    PRIMARY KEY (webhook_id, id)
){options};
CREATE INDEX campaign_unmatched_events_received ON campaign_unmatched_events (received_at);
CREATE INDEX campaign_unmatched_events_organization ON campaign_unmatched_events (org_id, webhook_id);
CREATE INDEX campaign_unmatched_events_send ON campaign_unmatched_events (send_id) WHERE send_id IS NOT NULL;
CREATE TABLE campaign_awaited_messages (
    org_id {id} NOT NULL,
    message_id text NOT NULL,
    webhook_id {id} NOT NULL,
    event_id {id} NOT NULL,
    PRIMARY KEY (org_id, message_id, webhook_id, event_id)
){options};
CREATE INDEX campaign_awaited_messages_event ON campaign_awaited_messages (webhook_id, event_id);
