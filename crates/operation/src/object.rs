//! Objects whose plain fields are resolved without futures.
//!
//! async-graphql creates a future and a value for each field of each object. But most fields of a row are
//! plain: they do not wait. An [`Object`] writes its plain fields directly as JSON, and leaves its async
//! fields to a container. A list of objects is resolved field by field: each plain field is looked up
//! once, and each async field is one future for the whole list. Then the text of the list is written, in
//! the order of the document.
//!
//! A field with one object for each parent, such as the contact of a send, is also resolved once for the
//! whole list, if only plain fields of these objects are selected: they are written one after the other
//! ([`InPlace`]), and their texts are copied to their parents.
//!
//! **Invariants.**
//! - Each object is described once: the schema's description of a plain field and its writer are in one
//!   place.
//! - Serialized JSON contains no error. Once an operation has an error, objects are values, so that
//!   [`shape`](mod@crate::shape) can insert nulls.
//! - Each object is resolved and written in the turn of its execution ([`turns`](mod@crate::turns)), so a
//!   list of any length leaves time for other tasks.
//! - The bytes of response keys, plain fields and errors are drawn from the budget, object by object. An
//!   async field draws its own bytes.
//! - Objects are written in place only if none of them has an error. Otherwise the field is resolved for
//!   each parent, so that errors and nulls are where they belong.

use std::{borrow::Cow, ops::Range, pin::Pin};

use async_graphql::{
    ContainerType, Context, ContextSelectionSet, Name, OutputType, Positioned, ServerResult, Value,
    indexmap::IndexMap,
    parser::types::{Field, Selection},
    registry::{MetaTypeId, Registry},
    resolver_utils::resolve_container,
};
use futures_util::future::join_all;

use crate::{
    description::object_type,
    json,
    turns::{AreExpanded, Turns},
};

/// Writes a plain field of an object as JSON. A writer without captured arguments takes no memory.
pub type Plain<T> = Box<dyn Fn(&T, &mut Vec<u8>) -> Result<(), <T as Object>::Error> + Send + Sync>;

/// An object with plain fields.
pub trait Object: ContainerType + Sized {
    /// The error if a field cannot be written.
    type Error: Into<async_graphql::Error> + Send;
    /// The fields with async resolvers.
    type AsyncFields: ContainerType;

    /// The writer of a field, with its arguments, if the field is plain.
    fn plain(field: &Context<'_>) -> Option<Plain<Self>>;

    /// The same object as the container of its async fields.
    fn waiting(&self) -> Self::AsyncFields;

    /// The objects of an async field, one or none for each of these parents, written in place. `None` if
    /// the field has no such objects.
    fn in_place<'a>(field: &'a Context<'a>, parents: &'a [Self]) -> Option<InPlace<'a>> {
        let _ = (field, parents);
        None
    }

    /// Draws bytes of a response from the budget.
    ///
    /// # Errors
    /// If the budget is exhausted.
    fn draw(ctx: &ContextSelectionSet<'_>, bytes: usize) -> Result<(), Self::Error>;
}

/// Writes the objects of a field for a list of parents. `None` if the field has to be resolved for each
/// parent: for async fields of these objects, and for errors.
pub type InPlace<'a> = Pin<Box<dyn Future<Output = Option<Written>> + Send + 'a>>;

/// Objects as JSON, one for each parent.
#[derive(Default)]
pub struct Written {
    text: Vec<u8>,
    /// The part of the text for each parent; `None` is null.
    parts: Vec<Option<Range<usize>>>,
}

impl Written {
    /// The object of a parent, as JSON.
    fn part(&self, index: usize) -> &[u8] {
        match self.parts.get(index) {
            Some(Some(part)) => &self.text[part.clone()],
            _ => b"null",
        }
    }
}

/// The bytes that are reserved for a plain field.
const FIELD_SIZE: usize = 24;
/// The number of bytes that are written before they are drawn.
const DRAW_SIZE: usize = 16 * 1024;

/// The number of copies of written text that exist at once: in the text of an object, and in that of its
/// parent.
const COPIES: usize = 2;
/// The bytes of an error in memory and in the response, in addition to its message.
const ERROR_SIZE: usize = 512;
/// The bytes of a field of an object as a value, in addition to its key.
const VALUE_SIZE: usize = 96;

/// A list of objects.
pub struct Objects<T>(pub Vec<T>);

impl<T: Object> OutputType for Objects<T> {
    fn type_name() -> Cow<'static, str> {
        format!("[{}]", T::qualified_type_name()).into()
    }

    fn qualified_type_name() -> String {
        format!("{}!", Self::type_name())
    }

    fn create_type_info(registry: &mut Registry) -> String {
        T::create_type_info(registry);
        Self::qualified_type_name()
    }

    async fn resolve(
        &self,
        ctx: &ContextSelectionSet<'_>,
        _field: &Positioned<Field>,
    ) -> ServerResult<Value> {
        resolve(ctx, &self.0, true).await
    }
}

/// A selected field.
enum Step<'a, T: Object> {
    Typename(&'a Name),
    Plain(&'a Positioned<Field>, Plain<T>),
    /// An async field, with its index among the async fields.
    Async(&'a Positioned<Field>, usize),
}

impl<'a, T: Object> Step<'a, T> {
    fn key(&self) -> &'a Name {
        match self {
            Self::Typename(key) => key,
            Self::Plain(field, _) | Self::Async(field, _) => &field.node.response_key().node,
        }
    }
}

/// The results of an async field, one for each object.
enum AsyncResults {
    Values(Vec<ServerResult<Value>>),
    InPlace(Written),
}

/// Resolves the selections of objects: of a list, or of a single one.
///
/// # Errors
/// Any error of the library.
pub async fn resolve<T: Object>(
    ctx: &ContextSelectionSet<'_>,
    objects: &[T],
    is_list: bool,
) -> ServerResult<Value> {
    let Some((steps, turns)) = steps::<T>(ctx) else {
        return resolve_with_library(ctx, objects, is_list).await;
    };
    let waiting: Vec<_> = steps
        .iter()
        .filter_map(|step| match step {
            Step::Async(field, _) => Some(wait(ctx, turns, objects, is_list, field)),
            _ => None,
        })
        .collect();
    let results: Vec<AsyncResults> = match waiting.len() {
        0 => Vec::new(),
        _ => join_all(waiting).await,
    };
    let has_error = |results: &AsyncResults| match results {
        AsyncResults::Values(values) => values.iter().any(Result::is_err),
        AsyncResults::InPlace(_) => false,
    };
    let has_failed = results.iter().any(has_error)
        || !ctx.query_env.errors.lock().map_or(true, |errors| errors.is_empty());
    if has_failed {
        return values(ctx, turns, objects, is_list, &steps, results).await;
    }
    match write_objects(ctx, turns, objects, is_list, &steps, &results).await? {
        Some(text) => Ok(Value::Binary(text.into())),
        None => values(ctx, turns, objects, is_list, &steps, results).await,
    }
}

/// Draws the bytes of plain fields. An exhausted budget is one error for all objects.
fn draw<T: Object>(ctx: &ContextSelectionSet<'_>, bytes: usize) -> ServerResult<()> {
    T::draw(ctx, COPIES * bytes)
        .map_err(|error| ctx.set_error_path(error.into().into_server_error(ctx.item.pos)))
}

/// The steps for each object, and the turns to take them in, or `None` if the selections are not
/// expanded.
fn steps<'a, T: Object>(ctx: &ContextSelectionSet<'a>) -> Option<(Vec<Step<'a, T>>, &'a Turns)> {
    let AreExpanded(turns) = ctx.data_opt()?;
    let mut waiting = 0;
    let steps = ctx.item.node.items.iter().map(|selection| match &selection.node {
        Selection::Field(field) => Some(match T::plain(&ctx.with_field(field)) {
            Some(plain) => Step::Plain(field, plain),
            None if field.node.name.node == "__typename" => {
                Step::Typename(&field.node.response_key().node)
            }
            None => {
                waiting += 1;
                Step::Async(field, waiting - 1)
            }
        }),
        _ => None,
    });
    Some((steps.collect::<Option<_>>()?, turns))
}

/// Resolves an async field of one object after the other. The data that the first one loads is then
/// available to the others.
fn wait<'a, T: Object>(
    ctx: &'a ContextSelectionSet<'a>,
    turns: &'a Turns,
    objects: &'a [T],
    is_list: bool,
    field: &'a Positioned<Field>,
) -> Pin<Box<dyn Future<Output = AsyncResults> + Send + 'a>> {
    Box::pin(async move {
        if is_list {
            let ctx = ctx.with_field(field);
            let in_place = T::in_place(&ctx, objects);
            if let Some(in_place) = in_place
                && let Some(written) = in_place.await
            {
                return AsyncResults::InPlace(written);
            }
        }
        let mut results = Vec::with_capacity(objects.len());
        for (index, object) in objects.iter().enumerate() {
            turns.pass().await;
            let waiting = object.waiting();
            let of_object = if is_list { ctx.with_index(index) } else { ctx.clone() };
            let ctx = of_object.with_field(field);
            results.push(waiting.resolve_field(&ctx).await.map(Option::unwrap_or_default));
        }
        AsyncResults::Values(results)
    })
}

/// Writes the objects of a field for a list of parents. `None` if they have async fields, or if a field
/// has an error.
pub async fn write_in_place<T: Object>(
    field: &Context<'_>,
    objects: impl ExactSizeIterator<Item = Option<T>>,
) -> Option<Written> {
    let ctx = field.with_selection_set(&field.item.node.selection_set);
    let (steps, turns) = steps::<T>(&ctx)?;
    if steps.iter().any(|step| matches!(step, Step::Async(..))) {
        return None;
    }
    let mut written = Written {
        text: Vec::with_capacity(objects.len() * steps.len() * FIELD_SIZE),
        parts: Vec::with_capacity(objects.len()),
    };
    let mut drawn = 0;
    for object in objects {
        turns.pass().await;
        let start = written.text.len();
        if let Some(object) = &object {
            write_object(object, &steps, &mut written.text)?;
        }
        written.parts.push(object.is_some().then_some(start..written.text.len()));
        if written.text.len() - drawn > DRAW_SIZE {
            draw::<T>(&ctx, written.text.len() - drawn).ok()?;
            drawn = written.text.len();
        }
    }
    draw::<T>(&ctx, written.text.len() - drawn).ok()?;
    Some(written)
}

/// Writes an object without async fields. `None` if a field has an error.
fn write_object<T: Object>(object: &T, steps: &[Step<'_, T>], out: &mut Vec<u8>) -> Option<()> {
    out.push(b'{');
    for (place, step) in steps.iter().enumerate() {
        write_key(place, step.key(), out);
        match step {
            Step::Typename(_) => json::string(&T::type_name(), out),
            Step::Plain(_, plain) => plain(object, out).ok()?,
            Step::Async(..) => return None,
        }
    }
    out.push(b'}');
    Some(())
}

/// Writes the response key of a field, which has only letters, digits and underscores.
fn write_key(place: usize, key: &Name, out: &mut Vec<u8>) {
    out.extend_from_slice(if place > 0 { b",\"" } else { b"\"" });
    out.extend_from_slice(key.as_bytes());
    out.extend_from_slice(b"\":");
}

/// Writes the objects as JSON. Returns `None` if a field has an error.
async fn write_objects<T: Object>(
    ctx: &ContextSelectionSet<'_>,
    turns: &Turns,
    objects: &[T],
    is_list: bool,
    steps: &[Step<'_, T>],
    results: &[AsyncResults],
) -> ServerResult<Option<Vec<u8>>> {
    let in_place = results.iter().map(|results| match results {
        AsyncResults::InPlace(written) => written.text.len(),
        AsyncResults::Values(values) => values.iter().flatten().map(json::serialized).sum(),
    });
    let of_others: usize = in_place.sum();
    let mut out = Vec::with_capacity(objects.len() * steps.len() * FIELD_SIZE + of_others);
    if is_list {
        out.push(b'[');
    }
    // written and not drawn yet, without the bytes of async fields
    let mut own_bytes = 0;
    for (index, object) in objects.iter().enumerate() {
        turns.pass().await;
        let start = out.len();
        let mut of_others = 0;
        if index > 0 {
            out.push(b',');
        }
        out.push(b'{');
        for (place, step) in steps.iter().enumerate() {
            write_key(place, step.key(), &mut out);
            match step {
                Step::Typename(_) => json::string(&T::type_name(), &mut out),
                Step::Plain(_, plain) => {
                    if plain(object, &mut out).is_err() {
                        return Ok(None);
                    }
                }
                Step::Async(_, at) => match &results[*at] {
                    AsyncResults::InPlace(written) => {
                        let part = written.part(index);
                        of_others += part.len();
                        out.extend_from_slice(part);
                    }
                    AsyncResults::Values(values) => match &values[index] {
                        Ok(value) => {
                            of_others += json::serialized(value);
                            json::value(value, &mut out);
                        }
                        Err(_) => return Ok(None),
                    },
                },
            }
        }
        out.push(b'}');
        own_bytes += out.len() - start - of_others;
        if own_bytes > DRAW_SIZE {
            draw::<T>(ctx, own_bytes)?;
            own_bytes = 0;
        }
    }
    draw::<T>(ctx, own_bytes)?;
    if is_list {
        out.push(b']');
    }
    Ok(Some(out))
}

impl AsyncResults {
    /// The results as values, one for each object.
    fn into_values(self) -> std::vec::IntoIter<ServerResult<Value>> {
        match self {
            Self::Values(values) => values.into_iter(),
            Self::InPlace(written) => {
                let parts = written.parts.iter().map(|part| {
                    Ok(match part {
                        Some(part) => Value::Binary(written.text[part.clone()].to_vec().into()),
                        None => Value::Null,
                    })
                });
                parts.collect::<Vec<_>>().into_iter()
            }
        }
    }
}

/// The objects as values. Failed fields are missing, and their errors are added to the context.
async fn values<T: Object>(
    ctx: &ContextSelectionSet<'_>,
    turns: &Turns,
    objects: &[T],
    is_list: bool,
    steps: &[Step<'_, T>],
    results: Vec<AsyncResults>,
) -> ServerResult<Value> {
    let mut results: Vec<_> = results.into_iter().map(AsyncResults::into_values).collect();
    let mut all = Vec::with_capacity(objects.len());
    for (index, object) in objects.iter().enumerate() {
        turns.pass().await;
        let of_object = if is_list { ctx.with_index(index) } else { ctx.clone() };
        let mut fields = IndexMap::with_capacity(steps.len());
        draw::<T>(ctx, steps.iter().map(|step| VALUE_SIZE + step.key().len()).sum())?;
        for step in steps {
            let value = match step {
                Step::Typename(_) => Ok(Value::String(T::type_name().into_owned())),
                Step::Plain(field, plain) => {
                    let mut out = Vec::new();
                    let shown = plain(object, &mut out);
                    draw::<T>(ctx, out.len())?;
                    let ctx = of_object.with_field(field);
                    match shown {
                        Ok(()) => Ok(Value::Binary(out.into())),
                        Err(error) => {
                            Err(ctx.set_error_path(error.into().into_server_error(field.pos)))
                        }
                    }
                }
                Step::Async(_, at) => results[*at].next().unwrap_or(Ok(Value::Null)),
            };
            match value {
                Ok(value) => {
                    fields.insert(step.key().clone(), value);
                }
                Err(error) => {
                    draw::<T>(ctx, ERROR_SIZE + error.message.len())?;
                    ctx.add_error(error);
                }
            }
        }
        all.push(Value::Object(fields));
    }
    Ok(if is_list { Value::List(all) } else { all.pop().unwrap_or_default() })
}

/// Resolves unexpanded selections with the library.
async fn resolve_with_library<T: Object>(
    ctx: &ContextSelectionSet<'_>,
    objects: &[T],
    is_list: bool,
) -> ServerResult<Value> {
    let mut values = Vec::with_capacity(objects.len());
    for (index, object) in objects.iter().enumerate() {
        let of_object = if is_list { ctx.with_index(index) } else { ctx.clone() };
        values.push(resolve_container(&of_object, object).await?);
    }
    Ok(if is_list { Value::List(values) } else { values.pop().unwrap_or_default() })
}

/// Resolves one field of an object, for a container that resolves them one by one.
///
/// # Errors
/// The error of the field.
pub async fn resolve_field<T: Object>(
    object: &T,
    ctx: &Context<'_>,
) -> ServerResult<Option<Value>> {
    let field = ctx.item;
    let Some(plain) = T::plain(ctx) else {
        return object.waiting().resolve_field(ctx).await;
    };
    let mut out = Vec::new();
    let within = ctx.with_selection_set(&field.node.selection_set);
    match plain(object, &mut out).and_then(|()| T::draw(&within, COPIES * out.len())) {
        Ok(()) => Ok(Some(Value::Binary(out.into()))),
        Err(error) => Err(ctx.set_error_path(error.into().into_server_error(field.pos))),
    }
}

/// The async fields of an object without any.
pub struct NoFields;

impl ContainerType for NoFields {
    async fn resolve_field(&self, _: &Context<'_>) -> ServerResult<Option<Value>> {
        Ok(None)
    }
}

impl OutputType for NoFields {
    fn type_name() -> Cow<'static, str> {
        "Nothing".into()
    }

    fn create_type_info(registry: &mut Registry) -> String {
        registry.create_output_type::<Self, _>(MetaTypeId::Object, |_| {
            object_type::<Self>("Nothing", None, IndexMap::new())
        })
    }

    async fn resolve(
        &self,
        _: &ContextSelectionSet<'_>,
        _: &Positioned<Field>,
    ) -> ServerResult<Value> {
        Ok(Value::Null)
    }
}
