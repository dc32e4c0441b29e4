//! The descriptions of objects in the schema: their fields, which resolvers would otherwise declare.

use async_graphql::{
    indexmap::IndexMap,
    registry::{Deprecation, MetaField, MetaInputValue, MetaType, MetaTypeId, Registry},
};

use crate::object::Object;

/// The description of a plain field.
pub struct PlainField {
    /// Its name.
    pub name: &'static str,
    /// Its description.
    pub description: String,
    /// Its type, in the syntax of SDL.
    pub ty: String,
    /// Its arguments.
    pub arguments: Vec<MetaInputValue>,
}

/// Registers an object with its plain and async fields.
pub fn register<T: Object>(
    registry: &mut Registry,
    description: &[&str],
    plain: impl Fn(&mut Registry) -> Vec<PlainField>,
) -> String {
    registry.create_output_type::<T, _>(MetaTypeId::Object, |registry| {
        let plain = plain(registry).into_iter();
        let mut fields: IndexMap<String, MetaField> =
            plain.map(|plain| (plain.name.to_owned(), field(plain))).collect();
        let waiting = registry.create_fake_output_type::<T::AsyncFields>();
        if let MetaType::Object { fields: waiting, .. } = waiting {
            fields.extend(waiting);
        }
        object_type::<T>(&T::type_name(), Some(lines(description)), fields)
    })
}

/// The lines of a documentation comment as a description.
#[must_use]
pub fn lines(comment: &[&str]) -> String {
    comment.iter().map(|line| line.trim()).collect::<Vec<_>>().join("\n")
}

/// Describes an argument of a plain field.
#[must_use]
pub fn argument(name: &str, description: &str, ty: String, default: &str) -> MetaInputValue {
    MetaInputValue {
        name: name.to_owned(),
        description: Some(description.to_owned()),
        ty,
        deprecation: Deprecation::NoDeprecated,
        default_value: Some(default.to_owned()),
        visible: None,
        inaccessible: false,
        tags: Vec::new(),
        is_secret: false,
        directive_invocations: Vec::new(),
    }
}

fn field(plain: PlainField) -> MetaField {
    let PlainField { name, description, ty, arguments } = plain;
    MetaField {
        name: name.to_owned(),
        description: Some(description),
        args: arguments.into_iter().map(|of| (of.name.clone(), of)).collect(),
        ty,
        deprecation: Deprecation::NoDeprecated,
        cache_control: <_>::default(),
        external: false,
        requires: None,
        provides: None,
        visible: None,
        shareable: false,
        inaccessible: false,
        tags: Vec::new(),
        override_from: None,
        compute_complexity: None,
        directive_invocations: Vec::new(),
        requires_scopes: Vec::new(),
    }
}

pub(crate) fn object_type<T>(
    name: &str,
    description: Option<String>,
    fields: IndexMap<String, MetaField>,
) -> MetaType {
    MetaType::Object {
        name: name.to_owned(),
        description,
        fields,
        cache_control: <_>::default(),
        extends: false,
        shareable: false,
        resolvable: true,
        keys: None,
        visible: None,
        inaccessible: false,
        interface_object: false,
        tags: Vec::new(),
        is_subscription: false,
        rust_typename: Some(std::any::type_name::<T>()),
        directive_invocations: Vec::new(),
        requires_scopes: Vec::new(),
    }
}
