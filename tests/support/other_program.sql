-- A database as another program has made it: the neighbours and the five tables, with policies, triggers,
-- functions, grants and views of its own. What stands in braces is the types of statuses.
DO $$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['anon', 'authenticated', 'service_role'] LOOP
        BEGIN
            EXECUTE format('CREATE ROLE %I NOLOGIN', name);
        EXCEPTION WHEN duplicate_object OR unique_violation THEN
            NULL;
        END;
    END LOOP;
END
$$;
-- as a hosted PostgreSQL does it
ALTER DEFAULT PRIVILEGES GRANT ALL ON TABLES TO anon, authenticated, service_role;
ALTER DEFAULT PRIVILEGES GRANT ALL ON FUNCTIONS TO anon, authenticated, service_role;
ALTER DEFAULT PRIVILEGES GRANT ALL ON SEQUENCES TO anon, authenticated, service_role;

CREATE SCHEMA auth;
GRANT USAGE ON SCHEMA auth TO anon, authenticated, service_role;
CREATE FUNCTION auth.uid() RETURNS uuid LANGUAGE sql STABLE AS
    $$ SELECT (nullif(current_setting('request.jwt.claims', true), '')::jsonb ->> 'sub')::uuid $$;
-- another table of a name that the service knows
CREATE TABLE auth.users (id uuid PRIMARY KEY, email text);

{types}

CREATE FUNCTION set_updated_at() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN NEW.updated_at = now(); RETURN NEW; END $$;

CREATE TABLE organizations (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(), name text NOT NULL, slug text NOT NULL UNIQUE,
    logo_url text, domain text, created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(), metadata jsonb DEFAULT '{}'
);
CREATE TABLE users (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(), org_id uuid NOT NULL REFERENCES organizations (id) ON DELETE CASCADE,
    auth_id uuid UNIQUE, email text NOT NULL, full_name text, avatar_url text, phone text,
    timezone text DEFAULT 'UTC', is_active boolean NOT NULL DEFAULT true, last_sign_in_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(), updated_at timestamptz NOT NULL DEFAULT now(), metadata jsonb DEFAULT '{}'
);
CREATE TABLE memberships (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(), org_id uuid NOT NULL REFERENCES organizations (id) ON DELETE CASCADE,
    user_id uuid NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    role membership_role DEFAULT 'member', status membership_status DEFAULT 'active',
    created_at timestamptz NOT NULL DEFAULT now(), updated_at timestamptz NOT NULL DEFAULT now(), metadata jsonb DEFAULT '{}',
    UNIQUE (org_id, user_id)
);
CREATE TABLE contacts (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(), org_id uuid NOT NULL REFERENCES organizations (id) ON DELETE CASCADE,
    owner_id uuid REFERENCES users (id) ON DELETE SET NULL, first_name text NOT NULL, last_name text, email text, phone text,
    type {contact_type} NOT NULL DEFAULT 'lead', title text, source text, avatar_url text, address_line1 text,
    address_line2 text, city text, state text, postal_code text, country text,
    created_at timestamptz NOT NULL DEFAULT now(), updated_at timestamptz NOT NULL DEFAULT now(), metadata jsonb DEFAULT '{}',
    favourite_colour text
);
CREATE TABLE companies (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(), org_id uuid NOT NULL REFERENCES organizations (id) ON DELETE CASCADE,
    owner_id uuid, name text NOT NULL, domain text, industry text, size text, website text, phone text,
    address_line1 text, address_line2 text, city text, state text, postal_code text, country text, annual_revenue numeric,
    created_at timestamptz NOT NULL DEFAULT now(), updated_at timestamptz NOT NULL DEFAULT now(), metadata jsonb DEFAULT '{}'
);
CREATE TABLE contact_companies (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(), org_id uuid NOT NULL REFERENCES organizations (id) ON DELETE CASCADE,
    contact_id uuid NOT NULL REFERENCES contacts (id) ON DELETE CASCADE,
    company_id uuid NOT NULL REFERENCES companies (id) ON DELETE CASCADE,
    title text, is_primary boolean NOT NULL DEFAULT false, started_at date, ended_at date,
    created_at timestamptz NOT NULL DEFAULT now(), updated_at timestamptz NOT NULL DEFAULT now(), metadata jsonb DEFAULT '{}',
    UNIQUE (contact_id, company_id)
);
CREATE FUNCTION random_id() RETURNS uuid LANGUAGE sql VOLATILE AS $$ SELECT gen_random_uuid() $$;
CREATE TABLE campaigns (
    id uuid PRIMARY KEY DEFAULT random_id(), org_id uuid NOT NULL REFERENCES organizations (id) ON DELETE CASCADE,
    creator_id uuid REFERENCES users (id) ON DELETE SET NULL, name text NOT NULL, subject text, body text,
    channel text NOT NULL DEFAULT 'email', status {campaign_status} NOT NULL DEFAULT 'draft',
    scheduled_at timestamptz, sent_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(), updated_at timestamptz NOT NULL DEFAULT now(), metadata jsonb DEFAULT '{}'
);
CREATE TABLE campaign_segments (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(), org_id uuid NOT NULL REFERENCES organizations (id) ON DELETE CASCADE,
    name text NOT NULL, description text, filter_rules jsonb NOT NULL DEFAULT '{}', contact_count integer DEFAULT 0,
    created_at timestamptz NOT NULL DEFAULT now(), updated_at timestamptz NOT NULL DEFAULT now(), metadata jsonb DEFAULT '{}'
);
CREATE TABLE campaign_lists (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(), org_id uuid NOT NULL REFERENCES organizations (id) ON DELETE CASCADE,
    campaign_id uuid NOT NULL REFERENCES campaigns (id) ON DELETE CASCADE,
    segment_id uuid REFERENCES campaign_segments (id) ON DELETE SET NULL,
    contact_id uuid NOT NULL REFERENCES contacts (id) ON DELETE CASCADE,
    created_at timestamptz NOT NULL DEFAULT now(), updated_at timestamptz NOT NULL DEFAULT now(), metadata jsonb DEFAULT '{}',
    UNIQUE (campaign_id, contact_id)
);
CREATE TABLE campaign_sends (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(), org_id uuid NOT NULL REFERENCES organizations (id) ON DELETE CASCADE,
    campaign_id uuid NOT NULL REFERENCES campaigns (id) ON DELETE CASCADE,
    contact_id uuid NOT NULL REFERENCES contacts (id) ON DELETE CASCADE,
    status {send_status} NOT NULL DEFAULT 'queued', sent_at timestamptz, delivered_at timestamptz, error text,
    created_at timestamptz NOT NULL DEFAULT now(), updated_at timestamptz NOT NULL DEFAULT now(), metadata jsonb DEFAULT '{}'
);
CREATE TABLE campaign_events (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(), org_id uuid NOT NULL REFERENCES organizations (id) ON DELETE CASCADE,
    send_id uuid NOT NULL REFERENCES campaign_sends (id) ON DELETE CASCADE,
    event_type {event_type} NOT NULL, url text, occurred_at timestamptz NOT NULL DEFAULT now(),
    created_at timestamptz NOT NULL DEFAULT now(), updated_at timestamptz NOT NULL DEFAULT now(), metadata jsonb DEFAULT '{}'
);
CREATE INDEX idx_contacts_org ON contacts (org_id);
CREATE INDEX idx_campaign_sends_campaign ON campaign_sends (campaign_id);
CREATE INDEX idx_campaign_sends_org ON campaign_sends (org_id, id);
-- of a name that the service would give one of its own
CREATE INDEX campaign_events_send ON campaign_events (send_id);

CREATE FUNCTION get_user_org_id() RETURNS uuid LANGUAGE sql STABLE SECURITY DEFINER AS
    $$ SELECT org_id FROM users WHERE auth_id = auth.uid() $$;
CREATE FUNCTION is_admin() RETURNS boolean LANGUAGE sql STABLE SECURITY DEFINER AS $$
    SELECT EXISTS (SELECT 1 FROM memberships JOIN users ON users.id = memberships.user_id
        WHERE users.auth_id = auth.uid() AND memberships.status = 'active' AND memberships.role IN ('owner', 'admin'))
$$;

DO $$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['organizations', 'users', 'memberships', 'contacts', 'companies', 'contact_companies',
        'campaigns', 'campaign_segments', 'campaign_lists', 'campaign_sends', 'campaign_events'] LOOP
        EXECUTE format('CREATE TRIGGER set_updated_at BEFORE UPDATE ON %I FOR EACH ROW EXECUTE FUNCTION set_updated_at()', name);
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', name);
        IF name = 'organizations' THEN
            CREATE POLICY members_select ON organizations FOR SELECT TO authenticated USING (id = get_user_org_id());
            CONTINUE;
        END IF;
        EXECUTE format('CREATE POLICY members_select ON %I FOR SELECT TO authenticated USING (org_id = get_user_org_id())', name);
        EXECUTE format('CREATE POLICY members_insert ON %I FOR INSERT TO authenticated WITH CHECK (org_id = get_user_org_id())', name);
        EXECUTE format('CREATE POLICY members_update ON %I FOR UPDATE TO authenticated USING (org_id = get_user_org_id())', name);
        EXECUTE format('CREATE POLICY admins_delete ON %I FOR DELETE TO authenticated USING (org_id = get_user_org_id() AND is_admin())', name);
    END LOOP;
END
$$;

CREATE VIEW clicks AS
    SELECT campaign_id, contact_id, url, occurred_at FROM campaign_events
    JOIN campaign_sends ON campaign_sends.id = send_id WHERE event_type = 'click';
CREATE VIEW every_event AS SELECT * FROM campaign_events;
CREATE FUNCTION events_of(send uuid) RETURNS SETOF campaign_events LANGUAGE sql STABLE AS
    $$ SELECT * FROM campaign_events WHERE send_id = send $$;
