//! The data of a response in the shape of its document (GraphQL, sections 6.2.2, 6.4.4 and 7.2.2).
//!
//! async-graphql orders fields by the time they were resolved, and leaves out a field that failed,
//! even if it cannot be null. **Invariant**: data that leaves here has its fields in the order of
//! the document. A field that failed is null or, if it cannot be null, the nearest nullable parent
//! is.

use std::{collections::HashSet, fmt::Write};

use async_graphql::{
    Name, PathSegment, Positioned, Response, ServerError, Value,
    indexmap::IndexMap,
    parser::types::{BaseType, Selection, SelectionSet, Type},
};

use crate::{types::Types, weigh::Weigh};

/// The shape of an object of the data.
#[derive(Default)]
pub(crate) struct Shape {
    fields: IndexMap<Name, Field>,
}

#[derive(Default)]
struct Field {
    /// `None` if the schema does not define it, as for introspection.
    ty: Option<Type>,
    /// Whether it contains objects.
    has_fields: bool,
    shape: Shape,
}

impl Shape {
    /// The shape of an object with these expanded selections.
    pub(crate) fn of(types: &Types, object: &str, set: &SelectionSet) -> Self {
        let mut shape = Self::default();
        shape.collect(types, object, set);
        shape
    }

    fn collect(&mut self, types: &Types, object: &str, set: &SelectionSet) {
        for selection in &set.items {
            match &selection.node {
                Selection::Field(Positioned { node: field, .. }) => {
                    let known = types.field(object, &field.name.node);
                    let entry = self.fields.entry(field.response_key().node.clone()).or_default();
                    let of = known.map_or("", |known| known.base());
                    if entry.ty.is_none() {
                        entry.ty = known.map(|known| known.ty.clone());
                        entry.has_fields = types.has_fields(of);
                    }
                    entry.shape.collect(types, of, &field.selection_set.node);
                }
                Selection::InlineFragment(Positioned { node: fragment, .. }) => {
                    let of = fragment.type_condition.as_ref();
                    let of = of.map_or(object, |of| of.node.on.node.as_str());
                    self.collect(types, of, &fragment.selection_set.node);
                }
                // expanded
                Selection::FragmentSpread(_) => {}
            }
        }
    }

    /// Brings a response's data into this shape.
    pub(crate) fn apply(&self, response: &mut Response) {
        let mut failed = FailedPaths::of(&response.errors);
        if response.data == Value::Null && response.errors.is_empty() {
            // everything was skipped
            response.data = Value::Object(IndexMap::new());
        }
        if let Value::Object(data) = &mut response.data
            && self.object(data, &mut failed).is_err()
        {
            response.data = Value::Null;
        }
    }

    fn object(
        &self,
        data: &mut IndexMap<Name, Value>,
        failed: &mut FailedPaths,
    ) -> Result<(), CannotBeNull> {
        let in_order = data.keys().eq(self.fields.keys());
        if !in_order {
            let mut ordered = IndexMap::with_capacity(data.len());
            for name in self.fields.keys() {
                if let Some(value) = data.swap_remove(name) {
                    ordered.insert(name.clone(), value);
                } else if failed.at(name, |failed| failed.is_here()) {
                    // and not omitted by a directive or a type condition
                    ordered.insert(name.clone(), Value::Null);
                }
            }
            *data = ordered;
        }
        for (name, value) in data {
            let Some(field) = self.fields.get(name) else { continue };
            let Some(ty) = &field.ty else { continue };
            failed.at(name, |failed| field.value(ty, value, failed))?;
        }
        Ok(())
    }
}

impl Weigh for Shape {
    fn held(&self) -> usize {
        // its names are those of the selections
        let entry = 2 * size_of::<Name>() + size_of::<Field>();
        let of_type = |ty: &Option<Type>| ty.as_ref().map_or(0, Weigh::held);
        let fields = self.fields.values().map(|field| of_type(&field.ty) + field.shape.held());
        self.fields.capacity() * entry + fields.sum::<usize>()
    }
}

impl Field {
    /// Whether a null stands for an object whose fields all failed or were skipped: async-graphql
    /// turns it into null.
    fn is_emptied(&self, ty: &Type, failed: &FailedPaths) -> bool {
        let is_object = matches!(ty.base, BaseType::Named(_)) && self.has_fields;
        is_object && !failed.is_here() && (failed.is_within() || !ty.nullable)
    }

    /// Completes a value of a type. If it is null but cannot be, the parent has to handle that.
    fn value(
        &self,
        ty: &Type,
        value: &mut Value,
        failed: &mut FailedPaths,
    ) -> Result<(), CannotBeNull> {
        if *value == Value::Null && self.is_emptied(ty, failed) {
            *value = Value::Object(IndexMap::new());
        }
        let completed = match (&mut *value, &ty.base) {
            (Value::Null, _) => Err(CannotBeNull),
            (Value::List(values), BaseType::List(of)) => {
                values.iter_mut().enumerate().try_for_each(|(index, value)| {
                    failed.at(index, |failed| self.value(of, value, failed))
                })
            }
            (Value::Object(data), BaseType::Named(_)) if self.has_fields => {
                self.shape.object(data, failed)
            }
            _ => Ok(()),
        };
        if completed.is_err() {
            if !ty.nullable {
                return Err(CannotBeNull);
            }
            *value = Value::Null;
        }
        Ok(())
    }
}

/// The paths of errors, and of the walk. They are looked up, since there can be one error per row.
struct FailedPaths {
    here: HashSet<String>,
    within: HashSet<String>,
    path: String,
}

impl FailedPaths {
    fn of(errors: &[ServerError]) -> Self {
        let mut failed = Self { here: HashSet::new(), within: HashSet::new(), path: String::new() };
        for error in errors {
            let mut path = String::new();
            for segment in &error.path {
                failed.within.insert(path.clone());
                path.push('/');
                match segment {
                    PathSegment::Field(name) => path.push_str(name),
                    PathSegment::Index(index) => path += &index.to_string(),
                }
            }
            failed.here.insert(path);
        }
        failed
    }

    /// Takes one step down for the duration of `walk`. Without errors, the path is not needed.
    fn at<T>(&mut self, step: impl std::fmt::Display, walk: impl FnOnce(&mut Self) -> T) -> T {
        if self.here.is_empty() {
            return walk(self);
        }
        let length = self.path.len();
        write!(self.path, "/{step}").expect("text takes more text");
        let walked = walk(self);
        self.path.truncate(length);
        walked
    }

    /// Whether the value at this path failed.
    fn is_here(&self) -> bool {
        self.here.contains(&self.path)
    }

    /// Whether something within the value at this path failed.
    fn is_within(&self) -> bool {
        self.within.contains(&self.path)
    }
}

/// A value is null that cannot be.
struct CannotBeNull;
