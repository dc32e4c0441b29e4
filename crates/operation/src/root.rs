//! The roots of a schema, which bypass the library's preparation.
//!
//! async-graphql validates a document only when it executes it. So a document is validated by executing
//! it with a [`Probe`] in the context, for which the roots resolve nothing. Later it is executed in the
//! [`Environment`] that a probe has captured, without being parsed or validated again. Introspection
//! fields are answered here ([`introspection`](mod@crate::introspection)).

use std::{
    borrow::Cow,
    pin::Pin,
    sync::{Arc, OnceLock},
};

use async_graphql::{
    ContainerType, Context, ContextSelectionSet, Data, ObjectType, OutputType, Pos, Positioned,
    QueryEnv, QueryEnvInner, Request, Response, Schema, SchemaEnv, ServerResult, SubscriptionType,
    Value, Variables,
    extensions::Extensions,
    parser::types::{Field, OperationDefinition, SelectionSet},
    registry::Registry,
    resolver_utils::resolve_container,
};
use futures_util::{
    FutureExt,
    stream::{self, Stream, StreamExt},
};

use crate::{cache::CachedOperation, introspection::Draw, types::Types};

/// A root that resolves nothing for a probe.
#[derive(Clone, Copy, Default)]
pub(crate) struct Root<T>(pub(crate) T);

/// Marks the context of an execution that only validates.
#[derive(Clone, Default)]
pub(crate) struct Probe(Arc<OnceLock<Environment>>);

/// The data in the context of an operation that answers introspection fields.
pub(crate) struct SchemaIntrospection {
    pub(crate) types: Arc<Types>,
    pub(crate) draw: Draw,
}

impl SchemaIntrospection {
    /// The answer to the context's field, if it is an introspection field.
    fn answer(ctx: &Context<'_>) -> Option<ServerResult<Value>> {
        if !matches!(ctx.item.node.name.node.as_str(), "__schema" | "__type") {
            return None;
        }
        let Self { types, draw } = ctx.data_opt()?;
        types.introspection.as_ref().map(|of| of.answer(types, ctx, *draw))
    }
}

/// The parts of a context that do not depend on the operation: the schema, and its extensions, which are
/// empty.
#[derive(Clone)]
pub(crate) struct Environment {
    schema: SchemaEnv,
    extensions: Extensions,
}

impl Probe {
    /// Returns whether this is the context of a probe, which then captures its environment.
    fn takes(ctx: &Context<'_>) -> bool {
        let probe = ctx.data_opt::<Self>();
        if let Some(Self(seen)) = probe {
            seen.get_or_init(|| Environment {
                schema: ctx.schema_env.clone(),
                extensions: ctx.query_env.extensions.clone(),
            });
        }
        probe.is_some()
    }
}

impl Environment {
    /// The environment of a schema. Any field of the root works, because this schema does not validate.
    pub(crate) fn learn<Q, M, S>(schema: &Schema<Root<Q>, M, S>) -> Self
    where
        Q: ObjectType + 'static,
        M: ObjectType + 'static,
        S: SubscriptionType + 'static,
    {
        let probe = Probe::default();
        schema.execute(Request::new("{ any }").data(probe.clone())).now_or_never();
        probe.0.get().cloned().expect("the root resolves its field")
    }

    /// The schema.
    pub(crate) fn schema(&self) -> &SchemaEnv {
        &self.schema
    }

    /// The environment of one execution of an operation, without its selections.
    pub(crate) fn of(
        &self,
        cached: &CachedOperation,
        variables: Variables,
        data: Data,
    ) -> QueryEnv {
        let operation = OperationDefinition {
            ty: cached.kind,
            variable_definitions: cached.variables.clone(),
            directives: Vec::new(),
            selection_set: Positioned::new(SelectionSet::default(), Pos::default()),
        };
        QueryEnv::new(QueryEnvInner {
            extensions: self.extensions.clone(),
            variables,
            operation_name: cached.key.operation_name.clone(),
            operation: Positioned::new(operation, Pos::default()),
            // fragments are expanded
            fragments: <_>::default(),
            uploads: Vec::new(),
            session_data: <_>::default(),
            query_data: Arc::new(data),
            http_headers: <_>::default(),
            introspection_mode: <_>::default(),
            errors: <_>::default(),
        })
    }
}

impl<T: ObjectType> ContainerType for Root<T> {
    fn is_empty() -> bool {
        T::is_empty()
    }

    async fn resolve_field(&self, ctx: &Context<'_>) -> ServerResult<Option<Value>> {
        if Probe::takes(ctx) {
            return Ok(None);
        }
        match SchemaIntrospection::answer(ctx) {
            Some(answer) => answer.map(Some),
            None => self.0.resolve_field(ctx).await,
        }
    }
}

impl<T: ObjectType> OutputType for Root<T> {
    fn type_name() -> Cow<'static, str> {
        T::type_name()
    }

    fn create_type_info(registry: &mut Registry) -> String {
        T::create_type_info(registry)
    }

    async fn resolve(
        &self,
        ctx: &ContextSelectionSet<'_>,
        _field: &Positioned<Field>,
    ) -> ServerResult<Value> {
        resolve_container(ctx, self).await
    }
}

impl<T: ObjectType> ObjectType for Root<T> {}

impl<T: SubscriptionType> SubscriptionType for Root<T> {
    fn type_name() -> Cow<'static, str> {
        T::type_name()
    }

    fn create_type_info(registry: &mut Registry) -> String {
        T::create_type_info(registry)
    }

    fn is_empty() -> bool {
        T::is_empty()
    }

    fn create_field_stream<'a>(
        &'a self,
        ctx: &'a Context<'_>,
    ) -> Option<Pin<Box<dyn Stream<Item = Response> + Send + 'a>>> {
        if Probe::takes(ctx) {
            Some(stream::empty().boxed())
        } else {
            self.0.create_field_stream(ctx)
        }
    }
}
