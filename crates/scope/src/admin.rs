//! Deleting, which is for admins.

use sea_orm::{ColumnTrait, QueryFilter};
use uuid::Uuid;

use crate::{Error, OrganizationOwned, Scope};

/// The right to delete within a scope. [`Scope::admin`] alone makes it, from an admin's claims.
pub struct Admin<'a> {
    scope: &'a Scope,
}

impl<'a> Admin<'a> {
    pub(crate) fn of(scope: &'a Scope) -> Self {
        Self { scope }
    }

    /// Deletes the row of this id, and with it what hangs on it; whether there was one.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn delete<E: OrganizationOwned>(&self, id: Uuid) -> Result<bool, Error> {
        let deleted = E::delete_many()
            .filter(E::ORGANIZATION.eq(self.scope.organization()))
            .filter(E::ID.eq(id))
            .exec(self.scope.executor())
            .await?;
        Ok(deleted.rows_affected > 0)
    }
}
