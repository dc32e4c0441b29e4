-- the same in both databases, but for the types, which stand in braces
CREATE TABLE campaign_counts (
    org_id {id} NOT NULL,
    campaign_id {id} NOT NULL,
    sends {count},
    queued {count},
    sent {count},
    delivered {count},
    bounced {count},
    failed {count},
    opens {count},
    clicks {count},
    unsubscribes {count},
    complaints {count},
    bounces {count},
    unique_opens {count},
    unique_clicks {count},
    unique_unsubscribes {count},
    unique_complaints {count},
    PRIMARY KEY (org_id, campaign_id)
){options};
CREATE TABLE campaign_send_counts (
    org_id {id} NOT NULL,
    send_id {id} NOT NULL,
    campaign_id {id} NOT NULL,
    opens {count},
    clicks {count},
    unsubscribes {count},
    complaints {count},
    bounces {count},
    PRIMARY KEY (org_id, send_id, campaign_id)
){options};
CREATE TABLE campaign_contact_counts (
    org_id {id} NOT NULL,
    contact_id {id} NOT NULL,
    opens {count},
    clicks {count},
    unsubscribes {count},
    complaints {count},
    bounces {count},
    suppressing {count},
    PRIMARY KEY (org_id, contact_id)
){options};
CREATE TABLE campaign_hour_counts (
    org_id {id} NOT NULL,
    campaign_id {id} NOT NULL,
    hour {time} NOT NULL,
    opens {count},
    clicks {count},
    unsubscribes {count},
    complaints {count},
    bounces {count},
    PRIMARY KEY (org_id, campaign_id, hour)
){options};
CREATE INDEX campaign_hour_counts_hour ON campaign_hour_counts (org_id, hour);
CREATE TABLE campaign_link_counts (
    org_id {id} NOT NULL,
    campaign_id {id} NOT NULL,
    link {link} NOT NULL,
    url {text} NOT NULL,
    clicks {count},
    unique_clicks {count},
    PRIMARY KEY (org_id, campaign_id, link)
){options};
CREATE TABLE campaign_send_link_counts (
    org_id {id} NOT NULL,
    send_id {id} NOT NULL,
    campaign_id {id} NOT NULL,
    link {link} NOT NULL,
    clicks {count},
    PRIMARY KEY (org_id, send_id, campaign_id, link)
){options};
