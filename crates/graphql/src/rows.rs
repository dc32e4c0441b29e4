//! Rows that were loaded together, and what is loaded for all of them at once.
//!
//! **Invariant.** What a field needs of the database is loaded for every row that came with this
//! one, in one statement, by whichever of them is asked first; so the number of statements of an
//! operation depends on its shape, not on how many rows there are. (One statement names 2,000 ids;
//! a page with more takes one more for each 2,000.)
//!
//! A loader that collects keys for a moment would do the same most of the time; how many
//! statements it sends depends on how the executor happens to interleave the fields. A row knows its
//! siblings, so there is nothing to wait for.

use std::{
    any::Any,
    collections::HashMap,
    ops::Deref,
    sync::{Arc, Mutex},
};

use campaigns_scope::{OrganizationOwned, Scope, Scoped};
use sea_orm::{EntityTrait, ModelTrait};
use tokio::sync::OnceCell;
use uuid::Uuid;

use crate::error::Error;

/// How many siblings one statement names.
const CHUNK: usize = 2_000;

type Shared = Arc<dyn Any + Send + Sync>;

/// Rows of one table that were loaded together.
pub(crate) struct Rows<E: EntityTrait> {
    rows: Vec<E::Model>,
    shared: Mutex<HashMap<String, Shared>>,
}

/// One of them.
pub(crate) struct Row<E: EntityTrait> {
    rows: Arc<Rows<E>>,
    index: usize,
}

impl<E: EntityTrait> Clone for Row<E> {
    fn clone(&self) -> Self {
        Self { rows: Arc::clone(&self.rows), index: self.index }
    }
}

impl<E: EntityTrait> Deref for Row<E> {
    type Target = E::Model;

    fn deref(&self) -> &E::Model {
        &self.rows.rows[self.index]
    }
}

/// Makes rows of models.
pub(crate) fn together<E: EntityTrait>(models: impl IntoIterator<Item = E::Model>) -> Vec<Row<E>> {
    let rows: Vec<_> = models.into_iter().collect();
    let rows = Arc::new(Rows { rows, shared: Mutex::default() });
    (0..rows.rows.len()).map(|index| Row { rows: Arc::clone(&rows), index }).collect()
}

/// Makes a row of a model that came alone.
pub(crate) fn alone<E: EntityTrait>(model: E::Model) -> Row<E> {
    Row { rows: Arc::new(Rows { rows: vec![model], shared: Mutex::default() }), index: 0 }
}

/// Makes the objects of rows: newtypes, so that a column stays private until somebody publishes it.
macro_rules! objects {
    ($($(#[$doc:meta])* $name:ident of $module:ident;)*) => { $(
        $(#[$doc])*
        #[derive(Clone)]
        pub(crate) struct $name(pub(crate) $crate::rows::Row<$module::Entity>);

        impl From<$crate::rows::Row<$module::Entity>> for $name {
            fn from(row: $crate::rows::Row<$module::Entity>) -> Self {
                Self(row)
            }
        }
    )* };
}
pub(crate) use objects;

impl<E: EntityTrait> Row<E> {
    /// This row and its siblings.
    pub(crate) fn siblings(&self) -> &[E::Model] {
        &self.rows.rows
    }

    /// What the siblings share under this key; the first who asks makes it.
    pub(crate) fn shared<T: Send + Sync + 'static>(
        &self,
        key: &str,
        make: impl FnOnce() -> T,
    ) -> Arc<T> {
        let mut shared = self.rows.shared.lock().expect("no holder of the lock panics");
        let found = shared.get(key).map(Arc::clone);
        let found = found.unwrap_or_else(|| {
            let new: Shared = Arc::new(make());
            shared.insert(key.to_owned(), Arc::clone(&new));
            new
        });
        found.downcast().expect("a key has one type")
    }

    /// What `load` finds for all siblings together.
    pub(crate) async fn load<T: Send + Sync + 'static>(
        &self,
        key: &str,
        load: impl AsyncFnOnce(&[E::Model]) -> Result<T, Error>,
    ) -> Result<Arc<T>, Error> {
        let cell = self.shared(key, OnceCell::<Result<Arc<T>, Error>>::new);
        cell.get_or_init(async || load(self.siblings()).await.map(Arc::new)).await.clone()
    }

    /// What `load` finds for the siblings, by their ids. It is given a select of so many of them as
    /// one statement takes.
    pub(crate) async fn gather<T, F>(
        &self,
        scope: &Scope,
        key: &str,
        load: impl Fn(Scoped<E>) -> F,
    ) -> Result<Arc<HashMap<Uuid, T>>, Error>
    where
        E: OrganizationOwned,
        T: Send + Sync + 'static,
        F: Future<Output = Result<HashMap<Uuid, T>, Error>>,
    {
        self.load(key, async |siblings| {
            let mut found = HashMap::new();
            for chunk in siblings.chunks(CHUNK) {
                let ids: Vec<Uuid> = chunk.iter().map(id_of::<E>).collect();
                found.extend(load(scope.find_by::<E>(E::ID, &ids)).await?);
            }
            Ok(found)
        })
        .await
    }

    /// The row of another table that this one refers to, if it is there.
    pub(crate) async fn referred<R>(
        &self,
        scope: &Scope,
        key: &str,
        reference: impl Fn(&E::Model) -> Option<Uuid>,
    ) -> Result<Option<Row<R>>, Error>
    where
        R: OrganizationOwned,
    {
        let Some(id) = reference(self) else { return Ok(None) };
        let found = self
            .load(key, async |siblings| {
                let found = scope.by_ids::<R>(siblings.iter().filter_map(&reference)).await?;
                Ok(by_id(together::<R>(found)))
            })
            .await?;
        Ok(found.get(&id).cloned())
    }

    /// The row that this one belongs to, a `what`. Where it is gone, it was deleted since this one
    /// was read, and this one with it.
    pub(crate) async fn owner<R: OrganizationOwned>(
        &self,
        scope: &Scope,
        what: &'static str,
        reference: fn(&E::Model) -> Uuid,
    ) -> Result<Row<R>, Error> {
        let owner = self.referred::<R>(scope, what, |row| Some(reference(row))).await?;
        owner.ok_or_else(|| Error::not_found(what, what))
    }
}

/// Rows by their ids.
pub(crate) fn by_id<E: OrganizationOwned>(rows: Vec<Row<E>>) -> HashMap<Uuid, Row<E>> {
    rows.into_iter().map(|row| (id_of::<E>(&row), row)).collect()
}

/// The id of a row.
pub(crate) fn id_of<E: OrganizationOwned>(row: &E::Model) -> Uuid {
    row.get(E::ID).unwrap()
}
