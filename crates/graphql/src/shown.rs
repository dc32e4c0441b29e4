//! What is shown of a row and may be large: text and JSON.
//!
//! **Invariant.** Each time such a value is put into a response, its weight is drawn from the budget
//! of the operation. Rows are drawn when they are read, but one row may be shown many times. A
//! test fails where a field of a row shows text in another way.

use std::{borrow::Cow, sync::Arc};

use async_graphql::{
    ContextSelectionSet, OutputType, Positioned, ServerResult, Value, parser::types::Field,
    registry::Registry,
};
use campaigns_scope::Scope;
use serde_json::Value as JsonValue;

use crate::{error::Error, scalars};

/// What a value in JSON takes in a response beside its text.
const JSON_VALUE: usize = 96;

/// Text.
pub(crate) struct Text<T>(pub(crate) T);

/// A metadata column or the like: null, the database's or JSON's, is shown as an empty object.
pub(crate) struct Json<'a>(pub(crate) Option<&'a JsonValue>);

/// Draws from the budget of the operation.
fn draw(
    ctx: &ContextSelectionSet<'_>,
    field: &Positioned<Field>,
    bytes: usize,
) -> ServerResult<()> {
    ctx.data_unchecked::<Arc<Scope>>()
        .drawn_from()
        .draw(bytes)
        .map_err(|exhausted| ctx.set_error_path(Error::from(exhausted).at(field.pos)))
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
        draw(ctx, field, 2 * text.len())?;
        Ok(Value::String(text.to_owned()))
    }
}

impl OutputType for Json<'_> {
    fn type_name() -> Cow<'static, str> {
        <scalars::Json as OutputType>::type_name()
    }

    fn create_type_info(registry: &mut Registry) -> String {
        <scalars::Json as OutputType>::create_type_info(registry)
    }

    async fn resolve(
        &self,
        ctx: &ContextSelectionSet<'_>,
        field: &Positioned<Field>,
    ) -> ServerResult<Value> {
        let Some(value) = self.0.filter(|value| !value.is_null()) else {
            return Ok(Value::Object(<_>::default()));
        };
        draw(ctx, field, weight(value))?;
        // every JSON value is a GraphQL value
        Ok(Value::from_json(value.clone()).unwrap_or(Value::Null))
    }
}

/// What JSON takes in a response: as a value and in its text.
fn weight(value: &JsonValue) -> usize {
    JSON_VALUE
        + match value {
            JsonValue::String(text) => 2 * text.len(),
            JsonValue::Array(values) => values.iter().map(weight).sum(),
            JsonValue::Object(values) => {
                values.iter().map(|(key, value)| 2 * key.len() + weight(value)).sum()
            }
            _ => 0,
        }
}
