//! Work that is not for one viewer, such as creating organizations.

use campaigns_entity::{campaign, organization};
use chrono::{DateTime, Utc};
use sea_orm::{
    ActiveValue::Set, ConnectionTrait, EntityTrait, PaginatorTrait, QueryOrder, QuerySelect,
    QueryTrait,
};
use uuid::Uuid;

use crate::{
    Error, Role, Scope,
    budget::Budgets,
    connections::{Lane, Session},
    unreadable::read_rows,
};

/// The right to do what no token allows: to create organizations and to enter any of them. It comes
/// from [`Database::operator`](crate::Database::operator), and no request can get it.
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

    /// Whether an organization with this ID exists.
    ///
    /// # Errors
    /// Any error of the database.
    pub async fn organization_exists(&self, id: Uuid) -> Result<bool, Error> {
        Ok(organization::Entity::find_by_id(id)
            .select_only()
            .column(organization::Column::Id)
            .into_tuple::<Uuid>()
            .one(&self.session.reading())
            .await?
            .is_some())
    }

    /// All organizations, oldest first.
    ///
    /// # Errors
    /// Any error of the database.
    pub async fn organizations(&self) -> Result<Vec<organization::Model>, Error> {
        let session = self.session.reading();
        let select = organization::Entity::find()
            .order_by_asc(organization::Column::CreatedAt)
            .order_by_asc(organization::Column::Id);
        let rows = session.query_all_raw(select.build(session.get_database_backend())).await?;
        read_rows::<organization::Entity>(&rows)
    }

    /// Whether any organization has a campaign.
    ///
    /// # Errors
    /// Any error of the database.
    pub async fn has_campaigns(&self) -> Result<bool, Error> {
        Ok(campaign::Entity::find().limit(1).count(&self.session.reading()).await? > 0)
    }

    /// Creates an organization and runs `work` in it, in one transaction.
    ///
    /// # Errors
    /// The errors of the database and of `work`. The organization does not exist then.
    pub async fn create_organization<T, E: From<Error>>(
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
            name: Set(name.into()),
            slug: Set(slug.into()),
            created_at: Set(created_at.into()),
            updated_at: Set(created_at.into()),
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

    /// Updates the statistics of the query planner, for example after adding many rows.
    ///
    /// # Errors
    /// Any error of the database.
    pub async fn analyze(&self) -> Result<(), Error> {
        self.session.execute_unprepared("ANALYZE").await?;
        Ok(())
    }
}
