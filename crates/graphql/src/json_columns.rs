//! How columns and other values are shown as JSON. Text and JSON can be large.
//!
//! **Invariants.**
//! - Each time such a value is put into a response, its weight is drawn from the operation's budget.
//!   Rows are drawn when they are read, but one row can be shown many times. A test fails if a field
//!   of a row shows text in another way.
//! - A value that cannot be shown as it is stored is shown as null or, if its field cannot be null,
//!   as the nearest value that can: it does not keep the rest of the response from being shown.

use std::{borrow::Cow, sync::Arc};

use async_graphql::{
    ContextSelectionSet, ID, OutputType, Positioned, ServerResult, Value, parser::types::Field,
    registry::Registry,
};
use campaigns_entity::{StoredJson, StoredText, StoredTime, event};
use campaigns_operation::json;
use campaigns_scope::{OrganizationOwned, Scope};
use chrono::{DateTime, Utc};
use sea_orm::{ActiveEnum, TryGetable, sea_query::ValueType};
use uuid::Uuid;

use crate::{
    error::Error,
    rows::Row,
    scalars,
    wire::{Wire, uuid},
};

/// Text.
pub(crate) struct Text<T>(pub(crate) T);

/// Draws from the operation's budget.
pub(crate) fn draw(ctx: &ContextSelectionSet<'_>, bytes: usize) -> Result<(), Error> {
    draw_from(ctx.data_unchecked::<Arc<Scope>>(), bytes)
}

/// Draws from the budget of a scope's operation.
pub(crate) fn draw_from(scope: &Scope, bytes: usize) -> Result<(), Error> {
    Ok(scope.drawn_from().draw(bytes)?)
}

/// Draws the bytes of a value that is shown.
fn draw_value(
    ctx: &ContextSelectionSet<'_>,
    field: &Positioned<Field>,
    bytes: usize,
) -> ServerResult<()> {
    draw(ctx, bytes).map_err(|error| ctx.set_error_path(error.at(field.pos)))
}

/// How a column is shown.
pub(crate) trait JsonColumn {
    /// Its type in the schema.
    type Output: OutputType;

    /// Writes a column of a row as JSON.
    ///
    /// # Errors
    /// If it cannot be read.
    fn write<E: OrganizationOwned>(
        row: &Row<E>,
        column: E::Column,
        out: &mut Vec<u8>,
    ) -> Result<(), Error>;
}

/// A value that is shown as it is.
pub(crate) trait JsonValue {
    /// Its type in the schema.
    type Output: OutputType;

    /// Writes it as JSON.
    fn write(self, out: &mut Vec<u8>);
}

macro_rules! json_values {
    ($($ty:ty as $output:ty: $show:expr;)*) => { $(
        impl JsonValue for $ty {
            type Output = $output;

            fn write(self, out: &mut Vec<u8>) {
                let write: fn(Self, &mut Vec<u8>) = $show;
                write(self, out);
            }
        }
    )* };
}

json_values! {
    i64 as i64: |number, out| json::serialize(&number, out);
    Option<f64> as Option<f64>: |number, out| json::serialize(&number, out);
    &str as String: |text, out| json::string(text, out);
    Option<&str> as Option<String>: |text, out| or_null(text, out, json::string);
    DateTime<Utc> as scalars::DateTime: time;
    Option<DateTime<Utc>> as Option<scalars::DateTime>: |at, out| or_null(at, out, time);
}

/// Shows a value as JSON, or null.
fn or_null<T>(value: Option<T>, out: &mut Vec<u8>, show: impl FnOnce(T, &mut Vec<u8>)) {
    match value {
        Some(value) => show(value, out),
        None => out.extend_from_slice(b"null"),
    }
}

fn time(time: DateTime<Utc>, out: &mut Vec<u8>) {
    json::string(&scalars::text(time), out);
}

/// Writes null, or what `write` writes.
fn null_or<'a>(
    wire: Wire<'a>,
    out: &mut Vec<u8>,
    write: impl FnOnce(Wire<'a>, &mut Vec<u8>) -> bool,
) -> bool {
    if wire.is_null() {
        out.extend_from_slice(b"null");
        return true;
    }
    write(wire, out)
}

/// Columns that are written from the bytes of the database where these are as expected, and otherwise read.
macro_rules! json_columns {
    ($($ty:ty as $read:ty: $wire:expr, $show:expr;)*) => { $(
        impl JsonColumn for $ty {
            type Output = Self;

            fn write<E: OrganizationOwned>(
                row: &Row<E>,
                column: E::Column,
                out: &mut Vec<u8>,
            ) -> Result<(), Error> {
                let from_wire: fn(Wire<'_>, &mut Vec<u8>) -> bool = $wire;
                if row.wire(column).is_some_and(|wire| from_wire(wire, out)) {
                    return Ok(());
                }
                let write: fn($read, &mut Vec<u8>) = $show;
                write(row.get::<$read>(column)?, out);
                Ok(())
            }
        }
    )* };
}

json_columns! {
    ID as Uuid: |wire, out| wire.uuid(out), uuid;
    // tables of other programs may allow null where the schema does not
    String as Option<StoredText>: |wire, out| wire.text(out),
        |text, out| json::string(&text.unwrap_or_default().0, out);
    Option<String> as Option<StoredText>: |wire, out| null_or(wire, out, Wire::text),
        |text, out| or_null(text, out, |text, out| json::string(&text.0, out));
    scalars::DateTime as Option<StoredTime>: |wire, out| wire.time(out),
        |at, out| time(at.map_or(StoredTime::EARLIEST, |at| at.nearest()), out);
    Option<scalars::DateTime> as Option<StoredTime>: |wire, out| null_or(wire, out, Wire::time),
        |at, out| or_null(at.and_then(|at| at.get()), out, time);
    i32 as Option<i32>: |wire, out| wire.integer(out),
        |count, out| out.extend_from_slice(count.unwrap_or(0).to_string().as_bytes());
    // null, of the database or of JSON, is shown as an empty object
    scalars::Json as Option<StoredJson>: |_, _| false, |value, out| match value {
        Some(StoredJson(value)) if !value.is_null() => out.extend_from_slice(value.to_string().as_bytes()),
        _ => out.extend_from_slice(b"{}"),
    };
}

/// The ID by which the organization knows a row, in place of its key.
pub(crate) struct ChosenId;

impl JsonColumn for ChosenId {
    type Output = ID;

    fn write<E: OrganizationOwned>(
        row: &Row<E>,
        _: E::Column,
        out: &mut Vec<u8>,
    ) -> Result<(), Error> {
        uuid(row.shown_id()?, out);
        Ok(())
    }
}

/// Whether an event is a machine's, from its metadata.
pub(crate) struct Machine;

impl JsonColumn for Machine {
    type Output = bool;

    fn write<E: OrganizationOwned>(
        row: &Row<E>,
        column: E::Column,
        out: &mut Vec<u8>,
    ) -> Result<(), Error> {
        let metadata = row.get::<Option<StoredJson>>(column)?;
        json::serialize(&metadata.as_ref().is_some_and(event::is_machine), out);
        Ok(())
    }
}

impl<T: AsRef<str> + Send + Sync> OutputType for Text<T> {
    fn type_name() -> Cow<'static, str> {
        <str as OutputType>::type_name()
    }

    fn create_type_info(registry: &mut Registry) -> String {
        <str as OutputType>::create_type_info(registry)
    }

    async fn resolve(
        &self,
        ctx: &ContextSelectionSet<'_>,
        field: &Positioned<Field>,
    ) -> ServerResult<Value> {
        let text = self.0.as_ref();
        // once as a value, once in the text of the response
        draw_value(ctx, field, 2 * text.len())?;
        Ok(Value::String(text.to_owned()))
    }
}

/// The enum of the schema that shows an enum of a table.
pub(crate) struct EnumColumn<G, D>(std::marker::PhantomData<(G, D)>);

impl<G, D> JsonColumn for EnumColumn<G, D>
where
    G: async_graphql::OutputType + async_graphql::resolver_utils::EnumType + From<D> + 'static,
    D: ActiveEnum + TryGetable + ValueType + 'static,
{
    type Output = G;

    fn write<E: OrganizationOwned>(
        row: &Row<E>,
        column: E::Column,
        out: &mut Vec<u8>,
    ) -> Result<(), Error> {
        let from_wire = |wire: Wire<'_>| wire.of_enum(G::items().iter().map(|item| item.name), out);
        if row.wire(column).is_some_and(from_wire) {
            return Ok(());
        }
        let value = G::from(row.get::<D>(column)?);
        let item = G::items().iter().find(|item| item.value == value);
        campaigns_operation::json::string(item.map_or("", |item| item.name), out);
        Ok(())
    }
}
