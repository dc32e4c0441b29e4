//! Checks that fields with the same response key can be merged (GraphQL, section 5.3.2,
//! `FieldsInSetCanMerge`).
//!
//! Comparing each pair of fields takes quadratic time. Here, the fields of a level are grouped by their
//! response key, and each field of a group is compared with the first. This suffices because "same shape"
//! and "same field on objects that can be the same" are equivalence relations. The selections of a group
//! are the next level. (S. Adameit, "GraphQL: Overlapping fields can be merged in linear time", 2016.)

use std::ops::ControlFlow;

use async_graphql::{
    Positioned,
    indexmap::IndexMap,
    parser::types::{BaseType, ExecutableDocument, Field, Selection, SelectionSet, Type},
};

use super::ValidationErrors;
use crate::types::{self, Types};

/// A field at a level, with the type that it is selected on.
#[derive(Clone, Copy)]
struct Entry<'a> {
    parent: &'a str,
    field: &'a Positioned<Field>,
    ty: Option<&'a Type>,
}

/// The fields of a level by response key.
type Level<'a> = IndexMap<&'a str, Vec<Entry<'a>>>;

struct Merge<'a, 'f> {
    types: &'a Types,
    document: &'a ExecutableDocument,
    errors: &'f mut ValidationErrors,
}

pub(super) fn check(
    types: &Types,
    document: &ExecutableDocument,
    errors: &mut ValidationErrors,
) -> ControlFlow<()> {
    let mut merge = Merge { types, document, errors };
    for (_, operation) in document.operations.iter() {
        let operation = &operation.node;
        merge.root(types::root(operation.ty), &operation.selection_set.node)?;
    }
    ControlFlow::Continue(())
}

impl<'a> Merge<'a, '_> {
    fn root(&mut self, parent: &'a str, set: &'a SelectionSet) -> ControlFlow<()> {
        let mut level = Level::new();
        self.collect(parent, set, &mut level);
        self.same_shape(&level)?;
        self.same_fields(&level)
    }

    /// Adds the fields of a set, with those of its fragments.
    fn collect(&self, parent: &'a str, set: &'a SelectionSet, level: &mut Level<'a>) {
        for selection in &set.items {
            match &selection.node {
                Selection::Field(field) => {
                    let known = self.types.field(parent, &field.node.name.node);
                    let entry = Entry { parent, field, ty: known.map(|known| &known.ty) };
                    level.entry(field.node.response_key().node.as_str()).or_default().push(entry);
                }
                Selection::InlineFragment(inline) => {
                    let on = inline.node.type_condition.as_ref();
                    let on = on.map_or(parent, |on| on.node.on.node.as_str());
                    self.collect(on, &inline.node.selection_set.node, level);
                }
                Selection::FragmentSpread(spread) => {
                    let fragments = &self.document.fragments;
                    let Some(fragment) = fragments.get(&spread.node.fragment_name.node) else {
                        continue;
                    };
                    let on = fragment.node.type_condition.node.on.node.as_str();
                    self.collect(on, &fragment.node.selection_set.node, level);
                }
            }
        }
    }

    /// The level of the selections of some fields.
    fn below(&self, entries: &[Entry<'a>]) -> Level<'a> {
        let mut level = Level::new();
        for entry in entries {
            let of = entry.ty.map_or("", types::base);
            self.collect(of, &entry.field.node.selection_set.node, &mut level);
        }
        level
    }

    /// Checks that all values under a key have the same shape, on any objects (`SameResponseShape`).
    fn same_shape(&mut self, level: &Level<'a>) -> ControlFlow<()> {
        for (key, entries) in level {
            let (first, others) = entries.split_first().expect("a key has a field");
            for other in others {
                if let (Some(one), Some(two)) = (first.ty, other.ty)
                    && !self.has_shape_of(one, two)
                {
                    let reason = format!("they return conflicting types \"{one}\" and \"{two}\"");
                    self.conflict(key, &reason, first, other)?;
                }
            }
            let below = self.below(entries);
            self.same_shape(&below)?;
        }
        ControlFlow::Continue(())
    }

    fn has_shape_of(&self, one: &Type, two: &Type) -> bool {
        if one.nullable != two.nullable {
            return false;
        }
        match (&one.base, &two.base) {
            (BaseType::List(one), BaseType::List(two)) => self.has_shape_of(one, two),
            (BaseType::Named(one), BaseType::Named(two)) => {
                let has_fields = |name| self.types.has_fields(name);
                one == two || has_fields(one) && has_fields(two)
            }
            _ => false,
        }
    }

    /// Checks that all fields under a key that can be on the same object are the same field with the
    /// same arguments.
    fn same_fields(&mut self, level: &Level<'a>) -> ControlFlow<()> {
        for (key, entries) in level {
            // a field of an interface can belong to any object
            let is_interface = |entry: &&Entry<'_>| self.types.is_interface(entry.parent);
            let of_interface = entries.iter().any(|entry| is_interface(&entry));
            let mut groups: IndexMap<&str, Vec<Entry<'a>>> = IndexMap::new();
            for entry in entries {
                let group = if of_interface { "" } else { entry.parent };
                groups.entry(group).or_default().push(*entry);
            }
            for group in groups.into_values() {
                let (first, others) = group.split_first().expect("a group has a field");
                for other in others {
                    let (one, two) = (&first.field.node, &other.field.node);
                    if one.name.node != two.name.node {
                        let (one, two) = (&one.name.node, &two.name.node);
                        let reason = format!("\"{one}\" and \"{two}\" are different fields");
                        self.conflict(key, &reason, first, other)?;
                    } else if !has_arguments_of(one, two) {
                        self.conflict(key, "they have differing arguments", first, other)?;
                    }
                }
                let below = self.below(&group);
                self.same_fields(&below)?;
            }
        }
        ControlFlow::Continue(())
    }

    fn conflict(
        &mut self,
        key: &str,
        reason: &str,
        one: &Entry<'_>,
        two: &Entry<'_>,
    ) -> ControlFlow<()> {
        let message = format!(
            "Fields \"{key}\" conflict because {reason}. Use different aliases on the fields to \
             fetch both if this was intentional."
        );
        self.errors.push(message, vec![one.field.pos, two.field.pos])
    }
}

fn has_arguments_of(one: &Field, two: &Field) -> bool {
    one.arguments.len() == two.arguments.len()
        && one.arguments.iter().all(|(name, value)| {
            two.get_argument(&name.node).is_some_and(|other| other.node == value.node)
        })
}

#[cfg(test)]
mod tests {
    use async_graphql::parser::parse_query;

    use super::*;

    const SDL: &str = "interface Node { id: ID! } type Query { a(n: Int): A b: B! node: Node n: Int s: String }
        type A implements Node { id: ID! x: Int y: String! b(n: Int): B } type B implements Node { id: ID! x: Int y: String z: [B!] }";

    fn errors(query: &str) -> usize {
        let types = Types::of(SDL, None, |_, _, _| None).unwrap();
        let document = parse_query(query).unwrap();
        let mut errors = ValidationErrors::default();
        let _ = check(&types, &document, &mut errors);
        errors.0.len()
    }

    #[test]
    fn conflicting_fields_are_found_at_any_level() {
        for fine in [
            "{ n n a { x } a { y x } }",
            "{ a(n: 1) { x } ... { a(n: 1) { y } } ...F } fragment F on Query { a(n: 1) { id } }",
            "{ node { ... on A { v: x } ... on B { v: x } } }",
            "{ node { ... on A { b(n: 1) { x } } ... on B { b: z { x } } } }",
        ] {
            let expected = usize::from(fine.contains("b: z"));
            assert_eq!(errors(fine), expected, "{fine}");
        }
        for wrong in [
            "{ v: n v: s }",
            "{ a(n: 1) { x } a(n: 2) { x } }",
            "{ a { v: x } a { v: id } }",
            "{ a { b { v: x } } ...F } fragment F on Query { a { ... { b { v: id } } } }",
            "{ a { b(n: 1) { x } } a { b { x } } }",
            "{ node { ... on A { v: y } ... on B { v: y } } }",
            "{ node { ... on A { v: x } ... on B { v: id } } }",
            "{ node { v: id ... on A { v: x } } }",
        ] {
            assert!(errors(wrong) > 0, "{wrong}");
        }
    }

    #[test]
    fn many_fields_under_one_key_take_linear_time() {
        let wide = format!("{{ {} }}", "a { b { x id z: x } } ".repeat(1_500));
        assert_eq!(errors(&wide), 0);
        let many = (0..3_000).map(|at| format!("v: a(n: {at}) {{ x }}")).collect::<Vec<_>>();
        assert_eq!(
            errors(&format!("{{ {} }}", many.join(" "))),
            crate::error::MAX_VALIDATION_ERRORS
        );
    }
}
