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
    EXECUTE format('GRANT USAGE ON SCHEMA %I TO %I', current_schema(), {role_text});
    IF to_regnamespace('auth') IS NULL THEN
        CREATE SCHEMA auth;
        GRANT USAGE ON SCHEMA auth TO {role};
    END IF;
    IF to_regprocedure('auth.uid()') IS NULL THEN
        CREATE FUNCTION auth.uid() RETURNS uuid LANGUAGE sql STABLE AS $$
            SELECT (nullif(current_setting('request.jwt.claims', true), '')::jsonb ->> 'sub')::uuid
        $$;
    END IF;
END
$do$;

-- the functions see the tables of this schema, whoever calls them
SELECT set_config('search_path', quote_ident(current_schema()) || ', pg_temp', true);

DO $do$
BEGIN
    IF to_regprocedure('get_user_org_id()') IS NULL THEN
        CREATE FUNCTION get_user_org_id() RETURNS uuid
        LANGUAGE sql STABLE SECURITY DEFINER SET search_path FROM CURRENT AS $$
            SELECT org_id FROM users WHERE auth_id = auth.uid()
        $$;
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
    END IF;
END
$do$;
