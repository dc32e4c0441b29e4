//! Rows that were loaded together, and data that is loaded for all of them at once.
//!
//! **Invariant.** The first row to need data for a field loads it for every row that came with it,
//! in one statement. So the number of statements of an operation depends on its shape, not on the
//! number of rows. (One statement names up to 2,000 IDs; a larger page takes one more for each
//! 2,000.)
//!
//! A loader that collects keys for a moment would usually do the same, but the number of its
//! statements depends on how the executor happens to interleave the fields. A row knows its
//! siblings, so there is nothing to wait for.
//!
//! A row has the columns that were selected or, if it comes from a mutation or the feed, all
//! columns. A field fails if it needs a column that its object does not declare; a test selects
//! each field alone.

use std::{
    any::Any,
    collections::HashMap,
    fmt,
    mem::discriminant,
    sync::{Arc, Mutex},
};

use async_graphql::{Context, SelectionField};
use campaigns_operation::object::{InPlace, Object, write_in_place};
use campaigns_scope::{OrganizationOwned, Scope, Scoped};
use sea_orm::{
    DbErr, EntityTrait, IdenStatic, Iterable, ModelTrait, QueryResult, TryGetable,
    sea_query::ValueType,
};
use tokio::sync::OnceCell;
use uuid::Uuid;

use crate::{context::RequestContext, digest::Digest, error::Error, wire::Wire};

/// The number of siblings in one statement.
const CHUNK: usize = 2_000;

type Shared = Arc<dyn Any + Send + Sync>;
type RowsById<E> = HashMap<Uuid, Row<E>>;

/// The key of data that siblings share: its name, and its columns.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Key {
    Of(&'static str, u64),
    /// Of a field with arguments.
    Field([u8; 32]),
}

/// The keys of the fields of one execution.
///
/// Rows of the feed are shared by subscribers with other operations, so a key is a digest of what
/// distinguishes a field. It takes as long as the arguments are, so it is made once for each selected
/// field, and not for each of its parents.
#[derive(Default)]
pub(crate) struct FieldKeys(Mutex<HashMap<usize, Key>>);

impl Key {
    /// The key of the selected field in a context. `write` writes all that distinguishes it from
    /// other fields of its object, as its name and arguments determine it.
    pub(crate) fn of_field(
        ctx: &Context<'_>,
        write: impl FnOnce(&mut Digest) -> fmt::Result,
    ) -> Self {
        let FieldKeys(keys) = ctx.data_unchecked();
        // the selections outlive the execution, and its variables do not change
        let selected = std::ptr::from_ref(ctx.item).addr();
        let mut keys = keys.lock().expect("no holder of the lock panics");
        keys.entry(selected).or_insert_with(|| Self::Field(Digest::of(write))).clone()
    }
}

impl From<&'static str> for Key {
    fn from(what: &'static str) -> Self {
        Self::Of(what, 0)
    }
}

/// Columns of a table, in the table's order.
pub(crate) struct Columns<E: EntityTrait> {
    /// The positions of the columns in the table, one bit each.
    pub(crate) bits: u64,
    of: std::marker::PhantomData<fn() -> E>,
}

// deriving these would require the same of the table
#[expect(clippy::expl_impl_clone_on_copy, reason = "the table need not be copied")]
impl<E: EntityTrait> Clone for Columns<E> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<E: EntityTrait> Copy for Columns<E> {}

impl<E: OrganizationOwned> Columns<E> {
    /// The columns of these bits.
    pub(crate) const fn of(bits: u64) -> Self {
        Self { bits, of: std::marker::PhantomData }
    }

    /// These columns and the others.
    pub(crate) fn and(self, others: Self) -> Self {
        Self { bits: self.bits | others.bits, ..self }
    }

    /// The columns.
    pub(crate) fn all(self) -> Arc<[E::Column]> {
        let columns = E::Column::iter().enumerate();
        columns.filter(|(place, _)| self.bits & (1 << place) != 0).map(|(_, of)| of).collect()
    }
}

/// Rows of one table that were loaded together.
pub(crate) struct Rows<E: EntityTrait> {
    data: Data<E>,
    shared: Mutex<HashMap<Key, Shared>>,
}

enum Data<E: EntityTrait> {
    /// With all columns.
    Whole(Vec<E::Model>),
    /// With these columns, by position.
    Read(Vec<QueryResult>, Arc<[E::Column]>),
}

/// One of these rows.
pub(crate) struct Row<E: EntityTrait> {
    rows: Arc<Rows<E>>,
    index: usize,
}

impl<E: EntityTrait> Clone for Row<E> {
    fn clone(&self) -> Self {
        Self { rows: Arc::clone(&self.rows), index: self.index }
    }
}

fn rows_of<E: EntityTrait>(data: Data<E>) -> impl Iterator<Item = Row<E>> {
    let count = match &data {
        Data::Whole(models) => models.len(),
        Data::Read(rows, _) => rows.len(),
    };
    let rows = Arc::new(Rows { data, shared: Mutex::default() });
    (0..count).map(move |index| Row { rows: Arc::clone(&rows), index })
}

/// Turns models into rows.
pub(crate) fn from_models<E: EntityTrait>(
    models: impl IntoIterator<Item = E::Model>,
) -> Vec<Row<E>> {
    rows_of(Data::Whole(models.into_iter().collect())).collect()
}

/// Turns query results with these columns, by position, into rows.
pub(crate) fn from_results<E: EntityTrait>(
    rows: Vec<QueryResult>,
    columns: Arc<[E::Column]>,
) -> impl Iterator<Item = Row<E>> {
    rows_of(Data::Read(rows, columns))
}

/// Turns a single model into a row.
pub(crate) fn from_model<E: EntityTrait>(model: E::Model) -> Row<E> {
    let rows = Rows { data: Data::Whole(vec![model]), shared: Mutex::default() };
    Row { rows: Arc::new(rows), index: 0 }
}

/// An object that is a row.
pub(crate) trait RowObject: From<Row<Self::Entity>> {
    /// The table of its rows.
    type Entity: OrganizationOwned;

    /// The columns that a field needs, including the ID.
    fn needs(field: &str) -> Columns<Self::Entity>;

    /// The columns of these objects that the field in a context needs.
    fn columns(ctx: &Context<'_>) -> Columns<Self::Entity> {
        Self::columns_of(ctx.field())
    }

    /// The columns of these objects that a field needs.
    fn columns_of(field: SelectionField<'_>) -> Columns<Self::Entity> {
        let fields = field.selection_set();
        fields.fold(Self::needs(""), |columns, field| columns.and(Self::needs(field.name())))
    }

    /// The same for objects in these nested fields.
    fn columns_at(ctx: &Context<'_>, path: &[&str]) -> Columns<Self::Entity> {
        let mut selected = vec![ctx.field()];
        for name in path {
            let inner = selected.iter().flat_map(SelectionField::selection_set);
            selected = inner.filter(|field| field.name() == *name).collect();
        }
        let columns = selected.into_iter().map(Self::columns_of);
        columns.fold(Self::needs(""), Columns::and)
    }
}

impl<E: EntityTrait> Row<E> {
    /// The value of a column.
    ///
    /// # Errors
    /// If it cannot be read, or was not selected.
    pub(crate) fn get<T: TryGetable + ValueType>(&self, column: E::Column) -> Result<T, Error> {
        match &self.rows.data {
            Data::Whole(models) => {
                let value = models[self.index].get(column);
                <T as ValueType>::try_from(value)
                    .map_err(|error| internal(DbErr::Type(error.to_string())))
            }
            Data::Read(rows, columns) => {
                let Some(position) = position::<E>(columns, column) else {
                    let message = format!("{} was not selected", column.as_str());
                    return Err(internal(DbErr::Custom(message)));
                };
                rows[self.index].try_get_by_index(position).map_err(internal)
            }
        }
    }

    /// A column as PostgreSQL sent it, if the row is from there.
    pub(crate) fn wire(&self, column: E::Column) -> Option<Wire<'_>> {
        match &self.rows.data {
            Data::Whole(_) => None,
            Data::Read(rows, columns) => {
                Wire::of(&rows[self.index], position::<E>(columns, column)?)
            }
        }
    }

    /// The query result of the row, if there is one.
    pub(crate) fn result(&self) -> Option<&QueryResult> {
        match &self.rows.data {
            Data::Whole(_) => None,
            Data::Read(rows, _) => rows.get(self.index),
        }
    }

    /// The rows that were loaded with it, including itself.
    pub(crate) fn siblings(&self) -> impl Iterator<Item = Self> {
        let count = match &self.rows.data {
            Data::Whole(models) => models.len(),
            Data::Read(rows, _) => rows.len(),
        };
        (0..count).map(|index| Self { rows: Arc::clone(&self.rows), index })
    }

    /// Whether it was loaded with another row.
    pub(crate) fn is_sibling_of(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.rows, &other.rows)
    }

    /// The data that siblings share under this key. The first one to need it creates it.
    pub(crate) fn shared<T: Send + Sync + 'static>(
        &self,
        key: impl Into<Key>,
        make: impl FnOnce() -> T,
    ) -> Arc<T> {
        let key = key.into();
        let mut shared = self.rows.shared.lock().expect("no holder of the lock panics");
        let found = shared.get(&key).map(Arc::clone);
        let found = found.unwrap_or_else(|| {
            let new: Shared = Arc::new(make());
            shared.insert(key, Arc::clone(&new));
            new
        });
        found.downcast().expect("a key has one type")
    }

    async fn load<T: Send + Sync + 'static>(
        &self,
        key: impl Into<Key>,
        load: impl AsyncFnOnce() -> Result<T, Error>,
    ) -> Result<Arc<T>, Error> {
        let cell = self.shared(key, OnceCell::<Result<Arc<T>, Error>>::new);
        cell.get_or_init(async || load().await.map(Arc::new)).await.clone()
    }
}

impl<E: OrganizationOwned> Row<E> {
    /// Its ID, which every row has.
    pub(crate) fn id(&self) -> Uuid {
        self.get(E::ID).expect("every row is read with its ID")
    }

    /// The ID by which the organization knows it.
    ///
    /// # Errors
    /// If it cannot be read.
    pub(crate) fn shown_id(&self) -> Result<Uuid, Error> {
        let chosen = match E::CHOSEN_ID {
            Some(column) => self.get::<Option<Uuid>>(column)?,
            None => None,
        };
        Ok(chosen.unwrap_or_else(|| self.id()))
    }

    /// The IDs of its siblings and its own.
    pub(crate) fn ids(&self) -> Vec<Uuid> {
        self.siblings().map(|row| row.id()).collect()
    }

    /// The results of `load` for the IDs of all siblings together.
    pub(crate) async fn load_for_all<T: Send + Sync + 'static>(
        &self,
        key: impl Into<Key>,
        load: impl AsyncFnOnce(Vec<Uuid>) -> Result<T, Error>,
    ) -> Result<Arc<T>, Error> {
        self.load(key, async || load(self.ids()).await).await
    }

    /// The results of `load` for the siblings, by ID. It gets a select of as many siblings as fit
    /// in one statement.
    pub(crate) async fn gather<T, F>(
        &self,
        scope: &Scope,
        key: impl Into<Key>,
        load: impl Fn(Scoped<E>) -> F,
    ) -> Result<Arc<HashMap<Uuid, T>>, Error>
    where
        T: Send + Sync + 'static,
        F: Future<Output = Result<HashMap<Uuid, T>, Error>>,
    {
        self.load(key, async || {
            let mut found = HashMap::new();
            for chunk in self.ids().chunks(CHUNK) {
                found.extend(load(scope.find_by::<E>(E::ID, chunk)).await?);
            }
            Ok(found)
        })
        .await
    }

    /// The object that this row refers to by a column, if it exists, with the columns that the
    /// field needs. It is loaded for all siblings.
    pub(crate) async fn referred<R: RowObject>(
        &self,
        ctx: &Context<'_>,
        reference: E::Column,
    ) -> Result<Option<R>, Error> {
        let Some(id) = self.get::<Option<Uuid>>(reference)? else { return Ok(None) };
        let found = self.all_referred(ctx, reference, R::columns(ctx)).await?;
        Ok(found.get(&id).cloned().map(R::from))
    }

    /// The rows that this row and its siblings refer to by a column, by their IDs.
    async fn all_referred<R: OrganizationOwned>(
        &self,
        ctx: &Context<'_>,
        reference: E::Column,
        columns: Columns<R>,
    ) -> Result<Arc<RowsById<R>>, Error> {
        self.load(Key::Of(reference.as_str(), columns.bits), async || {
            let ids: Vec<Option<Uuid>> =
                self.siblings().map(|row| row.get(reference)).collect::<Result<_, _>>()?;
            let columns = columns.all();
            let ids = ids.into_iter().flatten();
            let found = ctx.scope().columns_by::<R>(&columns, R::ID, ids).await?;
            Ok(by_id(from_results::<R>(found, columns)))
        })
        .await
    }

    /// The object that this row belongs to, a `what`. If it does not exist, it was deleted after
    /// this row was read, and this row with it.
    pub(crate) async fn owner<R: RowObject>(
        &self,
        ctx: &Context<'_>,
        what: &'static str,
        reference: E::Column,
    ) -> Result<R, Error> {
        let owner = self.referred::<R>(ctx, reference).await?;
        owner.ok_or_else(|| Error::not_found(what, what))
    }
}

/// Writes the objects that the rows of a list refer to by a column ([`Row::referred`]).
pub(crate) fn referred_in_place<'a, P, E, R>(
    ctx: &'a Context<'a>,
    parents: &'a [P],
    reference: E::Column,
) -> InPlace<'a>
where
    P: AsRef<Row<E>> + Sync,
    E: OrganizationOwned,
    R: RowObject + Object,
{
    Box::pin(async move {
        let children = all_referred::<P, E, R>(ctx, parents, reference).await?;
        write_in_place(ctx, children.into_iter()).await
    })
}

/// Writes the objects that the rows of a list belong to ([`Row::owner`]).
pub(crate) fn owners_in_place<'a, P, E, R>(
    ctx: &'a Context<'a>,
    parents: &'a [P],
    reference: E::Column,
) -> InPlace<'a>
where
    P: AsRef<Row<E>> + Sync,
    E: OrganizationOwned,
    R: RowObject + Object,
{
    Box::pin(async move {
        let owners = all_referred::<P, E, R>(ctx, parents, reference).await?;
        if owners.iter().any(Option::is_none) {
            return None;
        }
        write_in_place(ctx, owners.into_iter()).await
    })
}

/// The objects that rows refer to by a column. `None` for an error.
async fn all_referred<P, E, R>(
    ctx: &Context<'_>,
    parents: &[P],
    reference: E::Column,
) -> Option<Vec<Option<R>>>
where
    P: AsRef<Row<E>>,
    E: OrganizationOwned,
    R: RowObject,
{
    let columns = R::columns(ctx);
    let mut objects = Vec::with_capacity(parents.len());
    // of the last parent and its siblings
    let (mut last, mut found): (Option<&Row<E>>, _) = (None, Arc::<RowsById<R::Entity>>::default());
    for row in parents.iter().map(AsRef::as_ref) {
        if last.is_none_or(|last| !row.is_sibling_of(last)) {
            found = row.all_referred(ctx, reference, columns).await.ok()?;
            last = Some(row);
        }
        let id = row.get::<Option<Uuid>>(reference).ok()?;
        objects.push(id.and_then(|id| found.get(&id).cloned()).map(R::from));
    }
    Some(objects)
}

/// Rows by their IDs.
pub(crate) fn by_id<E: OrganizationOwned>(rows: impl IntoIterator<Item = Row<E>>) -> RowsById<E> {
    rows.into_iter().map(|row| (row.id(), row)).collect()
}

/// Rows by the IDs by which the organization knows them.
///
/// # Errors
/// If these cannot be read.
pub(crate) fn by_shown_id<E: OrganizationOwned>(
    rows: impl IntoIterator<Item = Row<E>>,
) -> Result<HashMap<Uuid, Row<E>>, Error> {
    rows.into_iter().map(|row| Ok((row.shown_id()?, row))).collect()
}

/// The position of a column among those that were selected.
fn position<E: EntityTrait>(columns: &[E::Column], column: E::Column) -> Option<usize> {
    columns.iter().position(|of| discriminant(of) == discriminant(&column))
}

fn internal(error: DbErr) -> Error {
    Error::Internal(Arc::new(error))
}
