-- Revokes what deploy/grants.sql granted. Run it before `campaigns migrate down`:
--
--   psql "$DATABASE_URL" -v role=campaigns_service -v schema=public -f deploy/revoke.sql
\set ON_ERROR_STOP on
BEGIN;
SET LOCAL search_path = :"schema", public;
SELECT format('DROP POLICY campaigns_service ON %s', polrelid::regclass)
    FROM pg_policy WHERE polname = 'campaigns_service' AND (SELECT oid FROM pg_roles WHERE rolname = :'role') = ANY (polroles)
\gexec
SELECT DISTINCT format('REVOKE ALL ON %s FROM %I', relations.oid::regclass, :'role')
    FROM pg_class relations, aclexplode(relations.relacl) acl
    WHERE acl.grantee = (SELECT oid FROM pg_roles WHERE rolname = :'role')
\gexec
REVOKE UPDATE (id) ON users, contacts FROM :"role";
SELECT DISTINCT format('REVOKE ALL ON FUNCTION %s FROM %I', functions.oid::regprocedure, :'role')
    FROM pg_proc functions, aclexplode(functions.proacl) acl
    WHERE acl.grantee = (SELECT oid FROM pg_roles WHERE rolname = :'role')
\gexec
SELECT DISTINCT format('REVOKE ALL ON SCHEMA %I FROM %I', nspname, :'role')
    FROM pg_namespace, aclexplode(nspacl) acl
    WHERE acl.grantee = (SELECT oid FROM pg_roles WHERE rolname = :'role')
\gexec
COMMIT;
