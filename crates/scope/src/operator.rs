//! Work that is not for one viewer: what a process does for its operator.

use campaigns_entity::{campaign, organization};
use chrono::{DateTime, Utc};
use sea_orm::{
    ActiveValue::Set, ConnectionTrait, EntityTrait, PaginatorTrait, QueryOrder, QuerySelect,
};
use uuid::Uuid;

use crate::{
    Error, Role, Scope,
    budget::Budgets,
    connections::{Lane, Session},
};

/// The right to do what no token allows: to make organizations and to enter any of them. It comes
/// from [`Database::operator`](crate::Database::operator), and no request gets hold of it.
pub struct Operator {
    session: Session,
    budgets: Budgets,
}

impl Operator {
    pub(crate) fn new(session: Session, budgets: Budgets) -> Self {
        Self { session, budgets }
    }

    pub(crate) fn session(&self) -> &Session {
        &self.session
    }

    /// The scope of an organization, without the right to delete.
    #[must_use]
    pub fn scope(&self, organization: Uuid) -> Scope {
        let session = self.session.clone().on(Lane::Organization(organization));
        Scope::of(session, self.budgets.clone(), organization, Role::Member)
    }

    /// Whether there is an organization of this id.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn organization_exists(&self, id: Uuid) -> Result<bool, Error> {
        Ok(organization::Entity::find_by_id(id)
            .select_only()
            .column(organization::Column::Id)
            .into_tuple::<Uuid>()
            .one(&self.session)
            .await?
            .is_some())
    }

    /// Every organization, the oldest first.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn organizations(&self) -> Result<Vec<organization::Model>, Error> {
        Ok(organization::Entity::find()
            .order_by_asc(organization::Column::CreatedAt)
            .order_by_asc(organization::Column::Id)
            .all(&self.session)
            .await?)
    }

    /// Whether any organization has a campaign.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn has_campaigns(&self) -> Result<bool, Error> {
        Ok(campaign::Entity::find().limit(1).count(&self.session).await? > 0)
    }

    /// Does `work` within one new organization, all of it or nothing.
    ///
    /// # Errors
    /// Those of the database and of `work`; the organization is then not there.
    pub async fn found<T, E: From<Error>>(
        &self,
        id: Uuid,
        name: &str,
        slug: &str,
        created_at: DateTime<Utc>,
        work: impl AsyncFnOnce(&Scope) -> Result<T, E>,
    ) -> Result<T, E> {
        let session = self.session.clone().on(Lane::Organization(id));
        let scope = Scope::of(session, self.budgets.clone(), id, Role::Admin);
        let row = organization::ActiveModel {
            id: Set(id),
            name: Set(name.to_owned()),
            slug: Set(slug.to_owned()),
            created_at: Set(created_at),
            updated_at: Set(created_at),
            ..Default::default()
        };
        scope
            .transaction(async |scope| {
                organization::Entity::insert(row)
                    .exec_without_returning(scope.executor())
                    .await
                    .map_err(Error::from)?;
                work(scope).await
            })
            .await
    }

    /// Lets the database gather statistics, as after many rows at once.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn analyze(&self) -> Result<(), Error> {
        self.session.execute_unprepared("ANALYZE").await?;
        Ok(())
    }
}
