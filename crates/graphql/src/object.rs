//! The objects of the schema, each described once: its name, what its plain fields show, and the
//! container with the fields that are resolved asynchronously.
//!
//! **Invariant.** One line defines how the schema describes a plain field, which column it reads,
//! and how it is written.

use async_graphql::{
    Context,
    registry::{MetaInputValue, Registry},
};
use campaigns_operation::object::{InPlace, NoFields};
use sea_orm::EntityTrait;

use crate::{error::Error, rows::Row};

/// Writes the objects of a field for a list of parents.
pub(crate) type WriteInPlace<'a, T> = fn(&'a Context<'a>, &'a [T]) -> InPlace<'a>;

/// The asynchronous fields of an object that is a row.
pub(crate) trait AsyncFields<E: EntityTrait> {
    /// The fields of this row.
    fn of(row: &Row<E>) -> Self;
}

impl<E: EntityTrait> AsyncFields<E> for NoFields {
    fn of(_: &Row<E>) -> Self {
        Self
    }
}

/// Defines an object for the rows of a table. Each plain field shows a column. The asynchronous
/// fields are in the named container, and `needs` declares which column of its row each reads. A field
/// with one object for each row, which `in place` writes for all rows of a list, is resolved by the
/// container as well.
macro_rules! object {
    (
        $(#[doc = $doc:literal])*
        $name:ident of $module:ident, async $fields:ident $({ $($async_field:literal needs $column:ident $(and $more:ident)*;)* })?
        $(in place { $($written_field:literal: $written:expr;)* })?
        $(
            $(#[doc = $field_doc:literal])*
            $field:literal: $shown:ty = $shows:ident;
        )*
    ) => {
        $(#[doc = $doc])*
        #[derive(Clone)]
        pub(crate) struct $name(pub(crate) $crate::rows::Row<$module::Entity>);

        impl From<$crate::rows::Row<$module::Entity>> for $name {
            fn from(row: $crate::rows::Row<$module::Entity>) -> Self {
                Self(row)
            }
        }

        impl $crate::rows::RowObject for $name {
            type Entity = $module::Entity;

            fn needs(field: &str) -> $crate::rows::Columns<$module::Entity> {
                // a column's position in the table
                const fn bit(column: $module::Column) -> u64 {
                    1 << column as u64
                }
                let columns = match field {
                    $($field => bit($module::Column::$shows),)*
                    $($($async_field => bit($module::Column::$column)$(| bit($module::Column::$more))*,)*)?
                    _ => 0,
                };
                let chosen = <$module::Entity as campaigns_scope::OrganizationOwned>::CHOSEN_ID;
                $crate::rows::Columns::of(
                    bit($module::Column::Id) | chosen.map_or(0, bit) | columns,
                )
            }
        }

        impl $name {
            /// The row's UUID.
            pub(crate) async fn id(
                &self,
                _: &async_graphql::Context<'_>,
            ) -> Result<async_graphql::ID, $crate::error::Error> {
                Ok(self.0.shown_id()?.into())
            }
        }

        impl campaigns_operation::object::Object for $name {
            type Error = $crate::error::Error;
            type AsyncFields = $fields;

            fn plain(
                field: &async_graphql::Context<'_>,
            ) -> Option<campaigns_operation::object::Plain<Self>> {
                match field.item.node.name.node.as_str() {
                    $($field => Some(Box::new(|object, out| {
                        <$shown as $crate::json_columns::JsonColumn>::write(&object.0, $module::Column::$shows, out)
                    })),)*
                    _ => None,
                }
            }

            fn waiting(&self) -> Self::AsyncFields {
                <$fields as $crate::object::AsyncFields<$module::Entity>>::of(&self.0)
            }

            $(fn in_place<'a>(
                field: &'a async_graphql::Context<'a>,
                parents: &'a [Self],
            ) -> Option<campaigns_operation::object::InPlace<'a>> {
                match field.item.node.name.node.as_str() {
                    $($written_field => {
                        let write: $crate::object::WriteInPlace<'a, Self> = $written;
                        Some(write(field, parents))
                    })*
                    _ => None,
                }
            })?

            fn draw(
                ctx: &async_graphql::ContextSelectionSet<'_>,
                bytes: usize,
            ) -> Result<(), Self::Error> {
                $crate::json_columns::draw(ctx, bytes)
            }
        }

        impl AsRef<$crate::rows::Row<$module::Entity>> for $name {
            fn as_ref(&self) -> &$crate::rows::Row<$module::Entity> {
                &self.0
            }
        }

        $crate::object::output!($name [$($doc),*] { $(($field, [], [$($field_doc),*], <$shown as $crate::json_columns::JsonColumn>::Output),)* });
    };
}
pub(crate) use object;

/// Makes an object with plain fields a type of the schema.
macro_rules! output {
    (
        $name:ident [$($doc:literal),*]
        { $(($field:literal, [$($argument:ty)?], [$($field_doc:literal),*], $output:ty),)* }
    ) => {
        impl async_graphql::ContainerType for $name {
            async fn resolve_field(
                &self,
                ctx: &async_graphql::Context<'_>,
            ) -> async_graphql::ServerResult<Option<async_graphql::Value>> {
                campaigns_operation::object::resolve_field(self, ctx).await
            }
        }

        impl async_graphql::OutputType for $name {
            fn type_name() -> std::borrow::Cow<'static, str> {
                stringify!($name).into()
            }

            fn create_type_info(registry: &mut async_graphql::registry::Registry) -> String {
                campaigns_operation::description::register::<Self>(registry, &[$($doc),*], |registry| {
                    vec![$(campaigns_operation::description::PlainField {
                        name: $field,
                        description: campaigns_operation::description::lines(&[$($field_doc),*]),
                        ty: <$output as async_graphql::OutputType>::create_type_info(registry),
                        arguments: vec![
                            $(<$argument as $crate::object::Argument>::describe(registry))?
                        ],
                    }),*]
                })
            }

            async fn resolve(
                &self,
                ctx: &async_graphql::ContextSelectionSet<'_>,
                _: &async_graphql::Positioned<async_graphql::parser::types::Field>,
            ) -> async_graphql::ServerResult<async_graphql::Value> {
                let objects = std::slice::from_ref(self);
                campaigns_operation::object::resolve(ctx, objects, false).await
            }
        }

        impl async_graphql::ObjectType for $name {}
    };
}
pub(crate) use output;

/// Defines the container of the asynchronous fields of an object that is a row.
macro_rules! async_fields {
    ($name:ident of $module:ident) => {
        pub(crate) struct $name($crate::rows::Row<$module::Entity>);

        impl $crate::object::AsyncFields<$module::Entity> for $name {
            fn of(row: &$crate::rows::Row<$module::Entity>) -> Self {
                Self(row.clone())
            }
        }
    };
}
pub(crate) use async_fields;

/// The argument of a plain field.
pub(crate) trait Argument: Copy + Send + Sync + 'static {
    /// Its description in the schema.
    fn describe(registry: &mut Registry) -> MetaInputValue;

    /// Its value for a field.
    ///
    /// # Errors
    /// If the value is invalid.
    fn of(field: &Context<'_>) -> Result<Self, Error>;
}

/// Defines an object for a value. Each field shows a part of the value, computed with the field's
/// argument if it is `given` one.
macro_rules! value_object {
    (@plain $field:ident, $ty:ty, $shown:ty, $part:expr,) => {
        Some(Box::new(|object, out| {
            let part: fn(&$ty) -> $shown = $part;
            $crate::json_columns::JsonValue::write(part(&object.0), out);
            Ok(())
        }))
    };
    (@plain $field:ident, $ty:ty, $shown:ty, $part:expr, $argument:ty) => {{
        let argument = <$argument as $crate::object::Argument>::of($field);
        Some(Box::new(move |object, out| {
            let part: fn(&$ty, $argument) -> $shown = $part;
            $crate::json_columns::JsonValue::write(part(&object.0, argument.clone()?), out);
            Ok(())
        }))
    }};
    (
        $(#[doc = $doc:literal])*
        $name:ident of $ty:ty {
            $(
                $(#[doc = $field_doc:literal])*
                $field:literal $(given $argument:ty)?: $shown:ty = $part:expr;
            )*
        }
    ) => {
        $(#[doc = $doc])*
        #[derive(Clone)]
        pub(crate) struct $name(pub(crate) $ty);

        impl campaigns_operation::object::Object for $name {
            type Error = $crate::error::Error;
            type AsyncFields = campaigns_operation::object::NoFields;

            fn plain(
                field: &async_graphql::Context<'_>,
            ) -> Option<campaigns_operation::object::Plain<Self>> {
                match field.item.node.name.node.as_str() {
                    $($field => $crate::object::value_object!(@plain field, $ty, $shown, $part, $($argument)?),)*
                    _ => None,
                }
            }

            fn waiting(&self) -> Self::AsyncFields {
                campaigns_operation::object::NoFields
            }

            fn draw(
                ctx: &async_graphql::ContextSelectionSet<'_>,
                bytes: usize,
            ) -> Result<(), Self::Error> {
                $crate::json_columns::draw(ctx, bytes)
            }
        }

        $crate::object::output!($name [$($doc),*] {
            $((
                $field,
                [$($argument)?],
                [$($field_doc),*],
                <$shown as $crate::json_columns::JsonValue>::Output
            ),)*
        });
    };
}
pub(crate) use value_object;
