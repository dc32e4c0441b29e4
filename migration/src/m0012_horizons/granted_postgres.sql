-- roles that may call the functions of before may call these and read the key
DO $$
DECLARE
    given record;
BEGIN
    FOR given IN
        SELECT DISTINCT additions.privilege, additions.object, acl.grantee
            FROM (VALUES
                ('campaign_feed_settled(bigint)', 'EXECUTE', 'FUNCTION campaign_feed_settled_for(uuid)'),
                ('campaign_feed_draw(integer)', 'EXECUTE', 'FUNCTION campaign_feed_draw_for(uuid, integer)'),
                ('campaign_feed_holder()', 'EXECUTE', 'FUNCTION campaign_feed_horizon(bigint)'),
                ('campaign_feed_holder()', 'EXECUTE', 'FUNCTION campaign_feed_oldest()'),
                ('campaign_feed_holder()', 'SELECT', 'TABLE campaign_cursor_key')
            ) AS additions(function, privilege, object)
            JOIN pg_proc AS functions ON functions.oid = to_regprocedure(additions.function),
            aclexplode(functions.proacl) AS acl
            WHERE acl.grantee NOT IN (0, functions.proowner)
    LOOP
        EXECUTE format('GRANT %s ON %s TO %s', given.privilege, given.object, given.grantee::regrole);
    END LOOP;
END
$$;
