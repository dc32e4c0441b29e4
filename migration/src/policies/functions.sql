DO $do$
BEGIN
    BEGIN
        IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = {role_text}) THEN
            CREATE ROLE {role} NOLOGIN NOINHERIT;
        END IF;
    EXCEPTION WHEN duplicate_object OR unique_violation THEN
        -- roles are of all databases of a server, and another one has just made it
        NULL;
    END;
    IF NOT pg_has_role(current_user, {role_text}, 'MEMBER') THEN
        GRANT {role} TO CURRENT_USER;
    END IF;
END
$do$;

DO $do$
BEGIN
    IF NOT has_schema_privilege({role_text}, current_schema(), 'USAGE') THEN
        EXECUTE format('GRANT USAGE ON SCHEMA %I TO %I', current_schema(), {role_text});
        INSERT INTO service_tables (name)
            VALUES (format('granted USAGE ON SCHEMA %I TO %I', current_schema(), {role_text}));
    END IF;
    IF to_regnamespace('auth') IS NULL THEN
        CREATE SCHEMA auth;
        INSERT INTO service_tables (name) VALUES ('schema auth');
        GRANT USAGE ON SCHEMA auth TO {role};
    END IF;
    IF to_regprocedure('auth.uid()') IS NULL THEN
        INSERT INTO service_tables (name) VALUES ('function auth.uid()') ON CONFLICT DO NOTHING;
    END IF;
    -- made before by this service, it failed where the subject is no UUID
    IF EXISTS (SELECT FROM service_tables WHERE name = 'function auth.uid()')
        AND (to_regprocedure('auth.uid()') IS NULL OR EXISTS (
            SELECT FROM pg_proc WHERE oid = to_regprocedure('auth.uid()') AND btrim(prosrc, E' \n') =
                $$SELECT (nullif(current_setting('request.jwt.claims', true), '')::jsonb ->> 'sub')::uuid$$
        ))
    THEN
        -- null where the subject is no UUID
        CREATE OR REPLACE FUNCTION auth.uid() RETURNS uuid LANGUAGE sql STABLE AS $$
            SELECT substring(
                nullif(current_setting('request.jwt.claims', true), '')::jsonb ->> 'sub'
                FROM '^[0-9a-fA-F]{8}-?(?:[0-9a-fA-F]{4}-?){3}[0-9a-fA-F]{12}$'
            )::uuid
        $$;
    END IF;
END
$do$;

-- the functions use the tables of this schema, with any search path of the caller
SELECT set_config('search_path', quote_ident(current_schema()) || ', public, pg_temp', true);

DO $do$
BEGIN
    IF to_regprocedure('get_user_org_id()') IS NULL THEN
        CREATE FUNCTION get_user_org_id() RETURNS uuid
        LANGUAGE sql STABLE SECURITY DEFINER SET search_path FROM CURRENT AS $$
            SELECT org_id FROM users WHERE auth_id = auth.uid()
        $$;
        INSERT INTO service_tables (name) VALUES ('function get_user_org_id()');
    END IF;
    IF to_regprocedure('is_admin()') IS NULL THEN
        CREATE FUNCTION is_admin() RETURNS boolean
        LANGUAGE sql STABLE SECURITY DEFINER SET search_path FROM CURRENT AS $$
            SELECT EXISTS (
                SELECT FROM memberships JOIN users ON users.id = memberships.user_id
                WHERE users.auth_id = auth.uid() AND memberships.org_id = users.org_id
                AND memberships.status = 'active' AND memberships.role IN ('owner', 'admin')
            )
        $$;
        INSERT INTO service_tables (name) VALUES ('function is_admin()');
    END IF;
END
$do$;

-- the service calls these for the viewer; beside adopted tables, other roles cannot call them
GRANT EXECUTE ON FUNCTION campaign_feed_settled_for(uuid), campaign_feed_incarnation(),
    campaign_feed_draw_for(uuid, integer) TO {role};
-- for processes of earlier versions
GRANT EXECUTE ON FUNCTION campaign_feed_settled(bigint), campaign_feed_draw(integer) TO {role};
