DO $do$
DECLARE
    privilege text;
BEGIN
    FOREACH privilege IN ARRAY ARRAY[{privileges}] LOOP
        IF NOT has_table_privilege({role}, '{table}', privilege) THEN
            EXECUTE format('GRANT %s ON {table} TO %I', privilege, {role});
            INSERT INTO service_tables (name) VALUES (format('granted %s ON {table} TO %I', privilege, {role}));
        END IF;
    END LOOP;
END
$do$;
