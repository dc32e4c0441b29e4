-- default privileges may have given these to roles that see one organization alone
DO $$
DECLARE
    given record;
BEGIN
    FOR given IN
        SELECT format('TABLE %s', relations.oid::regclass) AS what, acl.grantee
            FROM pg_class relations, aclexplode(relations.relacl) acl
            WHERE relations.relnamespace = to_regnamespace(quote_ident(current_schema()))
            AND relations.relname = ANY (ARRAY[{relations}]::name[]) AND acl.grantee <> relations.relowner
        UNION
        SELECT format('FUNCTION %s', functions.oid::regprocedure), acl.grantee
            FROM pg_proc functions, aclexplode(coalesce(functions.proacl, acldefault('f', functions.proowner))) acl
            WHERE functions.pronamespace = to_regnamespace(quote_ident(current_schema()))
            AND functions.proname = ANY (ARRAY[{functions}]::name[]) AND acl.grantee <> functions.proowner
    LOOP
        EXECUTE format('REVOKE ALL ON %s FROM %s', given.what,
            CASE given.grantee WHEN 0 THEN 'PUBLIC' ELSE given.grantee::regrole::text END);
    END LOOP;
END
$$;
