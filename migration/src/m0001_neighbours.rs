//! The tables of the neighbours, identity and crm, if they do not exist yet.

use sea_orm_migration::{
    MigrationName, MigrationTrait, SchemaManager, async_trait::async_trait, sea_orm::DbErr,
};

use crate::{
    column::{Enum, Kind, OnDelete, column, reference, text, time},
    made::{self, execute, exists, is_postgres},
    table::{self, Key, Lookup, Table},
};

pub(crate) struct Neighbours;

impl MigrationName for Neighbours {
    fn name(&self) -> &'static str {
        "m0001_neighbours"
    }
}

const MEMBERSHIP_ROLE: Enum =
    Enum { name: "membership_role", values: &["owner", "admin", "member", "guest"] };
const MEMBERSHIP_STATUS: Enum =
    Enum { name: "membership_status", values: &["active", "invited", "suspended"] };
const CONTACT_TYPE: Enum =
    Enum { name: "contact_type", values: &["lead", "prospect", "customer", "partner", "other"] };

const UPDATED_AT_FUNCTION: &str = "set_updated_at()";

#[async_trait]
impl MigrationTrait for Neighbours {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        made::begin(manager).await?;
        if is_postgres(manager)
            && !exists(manager, "SELECT 1 WHERE to_regprocedure('set_updated_at()') IS NOT NULL")
                .await?
        {
            execute(
                manager,
                "CREATE FUNCTION set_updated_at() RETURNS trigger LANGUAGE plpgsql AS \
                 $$ BEGIN NEW.updated_at := now(); RETURN NEW; END $$",
            )
            .await?;
            made::remember(manager, UPDATED_AT_FUNCTION).await?;
        }
        for table in tables() {
            table::make_or_leave(manager, table, Lookup::SearchPath).await?;
        }
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for table in tables().into_iter().rev() {
            table::drop_or_leave(manager, table).await?;
        }
        if made::by_service(manager, UPDATED_AT_FUNCTION).await? {
            execute(manager, "DROP FUNCTION set_updated_at()").await?;
        }
        made::end(manager).await
    }
}

/// The tables, as documented.
pub(crate) fn tables() -> Vec<Table> {
    vec![organizations(), users(), memberships(), contacts(), companies(), contact_companies()]
}

fn organizations() -> Table {
    Table {
        name: "organizations",
        columns: vec![
            text("name").not_null(),
            text("slug").not_null().unique(),
            text("logo_url"),
            text("domain"),
        ],
        unique: &[],
        indexes: vec![],
    }
}

fn users() -> Table {
    Table {
        name: "users",
        columns: vec![
            column("auth_id", Kind::Id).unique(),
            text("email").not_null(),
            text("full_name"),
            text("avatar_url"),
            text("phone"),
            text("timezone").default("'UTC'"),
            column("is_active", Kind::Boolean).not_null().default("TRUE"),
            time("last_sign_in_at"),
        ],
        unique: &[],
        indexes: vec![],
    }
}

fn memberships() -> Table {
    Table {
        name: "memberships",
        columns: vec![
            reference("user_id", "users", OnDelete::Cascade).not_null(),
            column("role", Kind::Enum(&MEMBERSHIP_ROLE)).default("'member'"),
            column("status", Kind::Enum(&MEMBERSHIP_STATUS)).default("'active'"),
        ],
        unique: &[&["org_id", "user_id"]],
        indexes: vec![("user", vec![Key::Plain("user_id"), Key::Plain("org_id")])],
    }
}

fn contacts() -> Table {
    Table {
        name: "contacts",
        columns: vec![
            reference("owner_id", "users", OnDelete::SetNull),
            text("first_name").not_null(),
            text("last_name"),
            text("email"),
            text("phone"),
            column("type", Kind::Enum(&CONTACT_TYPE)).not_null().default("'lead'"),
            text("title"),
            text("source"),
            text("avatar_url"),
            text("address_line1"),
            text("address_line2"),
            text("city"),
            text("state"),
            text("postal_code"),
            text("country"),
        ],
        unique: &[],
        indexes: vec![
            ("owner", vec![Key::Plain("owner_id"), Key::Plain("org_id")]),
            ("created", vec![Key::Plain("org_id"), Key::Plain("created_at"), Key::Plain("id")]),
        ],
    }
}

fn companies() -> Table {
    Table {
        name: "companies",
        columns: vec![
            column("owner_id", Kind::Id),
            text("name").not_null(),
            text("domain"),
            text("industry"),
            text("size"),
            text("website"),
            text("phone"),
            text("address_line1"),
            text("address_line2"),
            text("city"),
            text("state"),
            text("postal_code"),
            text("country"),
            column("annual_revenue", Kind::Numeric),
        ],
        unique: &[],
        indexes: vec![],
    }
}

fn contact_companies() -> Table {
    Table {
        name: "contact_companies",
        columns: vec![
            reference("contact_id", "contacts", OnDelete::Cascade).not_null(),
            reference("company_id", "companies", OnDelete::Cascade).not_null(),
            text("title"),
            column("is_primary", Kind::Boolean).not_null().default("FALSE"),
            column("started_at", Kind::Date),
            column("ended_at", Kind::Date),
        ],
        unique: &[&["contact_id", "company_id"]],
        indexes: vec![("company", vec![Key::Plain("company_id"), Key::Plain("org_id")])],
    }
}
