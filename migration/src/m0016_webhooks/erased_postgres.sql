SELECT set_config('search_path', quote_ident(current_schema()) || ', pg_temp', true);

CREATE FUNCTION campaign_provider_erased() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
BEGIN
{deletes}    RETURN NULL;
END
$$;
CREATE TRIGGER campaign_provider_erased AFTER DELETE ON organizations
    REFERENCING OLD TABLE AS deleted
    FOR EACH STATEMENT EXECUTE FUNCTION campaign_provider_erased();
