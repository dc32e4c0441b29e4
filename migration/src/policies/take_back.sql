DO $do$
DECLARE
    made text;
BEGIN
    FOR made IN DELETE FROM service_tables WHERE name LIKE 'granted %' RETURNING name LOOP
        EXECUTE 'REVOKE ' || regexp_replace(substr(made, 9), ' TO ', ' FROM ');
    END LOOP;
    -- is_admin and get_user_org_id need auth.uid
    FOR made IN
        WITH dropped AS (DELETE FROM service_tables WHERE name LIKE 'function %' RETURNING name)
        SELECT name FROM dropped ORDER BY name LIKE '%auth.uid%', name
    LOOP
        BEGIN
            EXECUTE 'DROP ' || made;
        EXCEPTION WHEN dependent_objects_still_exist THEN
            -- others have come to use it
            NULL;
        END;
    END LOOP;
    IF EXISTS (SELECT FROM service_tables WHERE name = 'schema auth') THEN
        DELETE FROM service_tables WHERE name = 'schema auth';
        BEGIN
            DROP SCHEMA auth;
        EXCEPTION WHEN dependent_objects_still_exist THEN
            NULL;
        END;
    END IF;
END
$do$;
