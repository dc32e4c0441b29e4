//! Unknown names in a document.
//!
//! For each unknown name, the library's validation compares it with all similar names to make a
//! suggestion. A document can have thousands of unknown names. So a document with more than a few is
//! rejected before validation, with errors for the first ones.

use std::ops::ControlFlow;

use async_graphql::{
    Name, Pos, Positioned, ServerError,
    parser::types::{Directive, ExecutableDocument, Field, Selection, SelectionSet},
};

use crate::{
    error::MAX_VALIDATION_ERRORS,
    types::{self, Types},
};

struct Names<'a> {
    types: &'a Types,
    unknown: Vec<ServerError>,
}

/// Fails if a document has more than [`MAX_VALIDATION_ERRORS`] unknown names of fields, arguments, types and
/// directives.
///
/// # Errors
/// The errors of the first [`MAX_VALIDATION_ERRORS`] names.
pub(crate) fn limit_unknown(
    types: &Types,
    document: &ExecutableDocument,
) -> Result<(), Vec<ServerError>> {
    let mut names = Names { types, unknown: Vec::new() };
    match names.document(document) {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(()) => {
            names.unknown.truncate(MAX_VALIDATION_ERRORS);
            Err(names.unknown)
        }
    }
}

impl Names<'_> {
    fn document(&mut self, document: &ExecutableDocument) -> ControlFlow<()> {
        for (_, operation) in document.operations.iter() {
            self.directives(&operation.node.directives)?;
            self.set(types::root(operation.node.ty), &operation.node.selection_set.node)?;
        }
        for fragment in document.fragments.values() {
            let on = &fragment.node.type_condition.node.on;
            self.of_type(on)?;
            self.set(&on.node, &fragment.node.selection_set.node)?;
        }
        ControlFlow::Continue(())
    }

    /// Records an unknown name. Stops once there are too many.
    fn unknown(&mut self, what: &str, name: &str, place: Pos) -> ControlFlow<()> {
        let message = format!("Unknown {what} \"{name}\".");
        self.unknown.push(ServerError::new(message, Some(place)));
        if self.unknown.len() > MAX_VALIDATION_ERRORS {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    }

    fn of_type(&mut self, name: &Positioned<Name>) -> ControlFlow<()> {
        if self.types.has_fields(&name.node) {
            return ControlFlow::Continue(());
        }
        self.unknown("type", &name.node, name.pos)
    }

    fn set(&mut self, object: &str, set: &SelectionSet) -> ControlFlow<()> {
        for selection in &set.items {
            match &selection.node {
                Selection::Field(field) => self.field(object, field)?,
                Selection::InlineFragment(inline) => {
                    let inline = &inline.node;
                    self.directives(&inline.directives)?;
                    let on = inline.type_condition.as_ref().map(|on| &on.node.on);
                    if let Some(on) = on {
                        self.of_type(on)?;
                    }
                    let object = on.map_or(object, |on| on.node.as_str());
                    self.set(object, &inline.selection_set.node)?;
                }
                Selection::FragmentSpread(spread) => self.directives(&spread.node.directives)?,
            }
        }
        ControlFlow::Continue(())
    }

    fn field(&mut self, object: &str, field: &Positioned<Field>) -> ControlFlow<()> {
        let (place, field) = (field.pos, &field.node);
        self.directives(&field.directives)?;
        let name = field.name.node.as_str();
        let Some(known) = self.types.field(object, name) else {
            // the type of an unknown field is unknown
            if name != "__typename" && self.types.has_fields(object) {
                self.unknown("field", name, place)?;
            }
            return self.set("", &field.selection_set.node);
        };
        for (argument, _) in &field.arguments {
            if !known.arguments.contains_key(argument.node.as_str()) {
                self.unknown("argument", &argument.node, argument.pos)?;
            }
        }
        self.set(known.base(), &field.selection_set.node)
    }

    fn directives(&mut self, directives: &[Positioned<Directive>]) -> ControlFlow<()> {
        for directive in directives {
            let name = &directive.node.name;
            let is_known = matches!(name.node.as_str(), "skip" | "include");
            if !is_known {
                self.unknown("directive", &name.node, name.pos)?;
            }
            for (argument, _) in &directive.node.arguments {
                if is_known && argument.node != "if" {
                    self.unknown("argument", &argument.node, argument.pos)?;
                }
            }
        }
        ControlFlow::Continue(())
    }
}

#[cfg(test)]
mod tests {
    use async_graphql::parser::parse_query;

    use super::*;

    #[test]
    fn a_document_may_have_fifty_unknown_names_of_any_kind() {
        let types =
            Types::of("type Query { a(b: Int): Query c: Int }", None, |_, _, _| None).unwrap();
        let check = |text: &str| limit_unknown(&types, &parse_query(text).unwrap());
        for unknown in ["x", "a(x: 1) { c }", "...on X { c }", "c @x", "c @skip(x: 1)", "a { x }"] {
            let repeated = |count: usize| format!("{{ {} }}", vec![unknown; count].join(" "));
            assert!(check(&repeated(50)).is_ok(), "{unknown}");
            assert_eq!(check(&repeated(500)).unwrap_err().len(), 50, "{unknown}");
        }
        let spread =
            (0..51).map(|at| format!("fragment f{at} on X {{ c }}")).collect::<Vec<_>>().join(" ");
        assert!(check(&format!("{{ c }} {spread}")).is_err());
        assert!(check(&format!("{{ {} }}", "__typename a(b: 1) { c } ".repeat(1_000))).is_ok());
    }
}
