//! Brings the data of a response into the shape of its document (GraphQL, sections 6.2.2, 6.4.4 and
//! 7.2.2).
//!
//! async-graphql orders fields by the time of their resolution, and leaves out a failed field, even if it
//! is not nullable. **Invariant**: the fields are in the order of the document. A failed field is null or,
//! if it is not nullable, the nearest nullable parent is null.

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
    /// The type. `None` if the schema does not define the field, such as `__typename`.
    ty: Option<Type>,
    /// Whether its values are objects.
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
                // fragments are expanded
                Selection::FragmentSpread(_) => {}
            }
        }
    }

    /// Brings a response's data into this shape.
    pub(crate) fn apply(&self, response: &mut Response) {
        let mut failed = FailedPaths::of(&response.errors);
        if response.data == Value::Null && response.errors.is_empty() {
            // all fields were skipped
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
                    // rather than omitted by a directive or a type condition
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
        // names are shared with the selections
        let entry = 2 * size_of::<Name>() + size_of::<Field>();
        let of_type = |ty: &Option<Type>| ty.as_ref().map_or(0, Weigh::held);
        let fields = self.fields.values().map(|field| of_type(&field.ty) + field.shape.held());
        self.fields.capacity() * entry + fields.sum::<usize>()
    }
}

impl Field {
    /// Whether a null is an object whose fields all failed or were skipped, which async-graphql turns
    /// into null.
    fn is_emptied(&self, ty: &Type, failed: &FailedPaths) -> bool {
        let is_object = matches!(ty.base, BaseType::Named(_)) && self.has_fields;
        is_object && !failed.is_here() && (failed.is_within() || !ty.nullable)
    }

    /// Completes a value of a type.
    ///
    /// # Errors
    /// [`CannotBeNull`] if the value is null but its type is not nullable, so that the parent becomes
    /// null.
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

/// The paths of errors, and the current path of the walk. Paths are hashed, since there can be one error
/// per row.
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

    /// Appends a step to the path during `walk`. Without errors, the path is not tracked.
    fn at<T>(&mut self, step: impl std::fmt::Display, walk: impl FnOnce(&mut Self) -> T) -> T {
        if self.here.is_empty() {
            return walk(self);
        }
        let length = self.path.len();
        write!(self.path, "/{step}").expect("writing to a string never fails");
        let walked = walk(self);
        self.path.truncate(length);
        walked
    }

    /// Whether the value at this path failed.
    fn is_here(&self) -> bool {
        self.here.contains(&self.path)
    }

    /// Whether a value below this path failed.
    fn is_within(&self) -> bool {
        self.within.contains(&self.path)
    }
}

/// The error if a value is null but its type is not nullable.
struct CannotBeNull;
