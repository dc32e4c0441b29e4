//! The expanded selections of an operation: without fragments that always apply, without `@skip` and
//! `@include`, and with each response key once (GraphQL, section 6.3.2, `CollectFields`).
//!
//! **Invariant.** Expanded selections have one selection for each field of an object in the response, in
//! the order of the response. [`measure`](mod@crate::measure) has bounded their number.

use std::{collections::HashSet, sync::Arc};

use async_graphql::{
    Name, Pos, Positioned, Variables,
    indexmap::IndexMap,
    parser::types::{
        Directive, ExecutableDocument, Field, InlineFragment, OperationDefinition, Selection,
        SelectionSet, TypeCondition,
    },
};
use async_graphql_value::ConstValue;

use crate::{
    cost::{Cost, Prices},
    omit,
    shape::Shape,
    types::{self, Types},
    weigh::Weigh,
};

/// Expanded selections, and the values that depend only on them.
#[derive(Clone)]
pub(crate) struct ExpandedSelections {
    pub(crate) set: Positioned<SelectionSet>,
    pub(crate) shape: Arc<Shape>,
    /// Its cost, if it does not depend on variables.
    pub(crate) cost: Option<Cost>,
}

impl Weigh for ExpandedSelections {
    fn held(&self) -> usize {
        size_of::<Self>() + self.set.held() + self.shape.held()
    }
}

impl ExpandedSelections {
    /// The selections of an operation, without their cost ([`ExpandedSelections::price`]).
    pub(crate) fn of(
        types: &Types,
        document: &ExecutableDocument,
        operation: &OperationDefinition,
        variables: &Variables,
    ) -> Self {
        let root = types::root(operation.ty);
        let expander = Expander { types, document, variables };
        let set = expander.set(root, &[&operation.selection_set.node]);
        let set = Positioned::new(set, operation.selection_set.pos);
        let shape = Shape::of(types, root, &set.node).into();
        Self { set, shape, cost: None }
    }

    /// Computes the cost, if it does not depend on variables.
    pub(crate) fn price(&mut self, prices: Prices<'_>, root: &str) {
        self.cost = prices.fixed(root, &self.set.node);
    }

    /// The same selections without arguments and input fields that are omitted variables.
    pub(crate) fn without(&self, omitted: &HashSet<Name>) -> Self {
        let mut expanded = self.clone();
        omit::omit_from_selections(&mut expanded.set.node, omitted);
        // without an argument such as `first`, a list can be longer
        expanded.cost = None;
        expanded
    }

    /// The same selections without the optional arguments of the root's fields.
    pub(crate) fn without_root_arguments(&self, types: &Types, root: &str) -> Self {
        let mut expanded = self.clone();
        for selection in &mut expanded.set.node.items {
            let Selection::Field(field) = &mut selection.node else { continue };
            let field = &mut field.node;
            let known = types.field(root, &field.name.node);
            field.arguments.retain(|(name, _)| {
                let slot = known.and_then(|known| known.arguments.get(name.node.as_str()));
                slot.is_some_and(|slot| !slot.ty.nullable && !slot.has_default)
            });
        }
        expanded
    }

    /// Whether all fields of the root are `__typename`.
    pub(crate) fn has_only_typenames(&self) -> bool {
        self.names().all(|name| name == "__typename")
    }

    /// Whether the root has an introspection field.
    pub(crate) fn has_introspection(&self) -> bool {
        self.names().any(|name| matches!(name, "__schema" | "__type"))
    }

    /// The names of the fields of the root.
    fn names(&self) -> impl Iterator<Item = &str> {
        self.set.node.items.iter().filter_map(|selection| match &selection.node {
            Selection::Field(field) => Some(field.node.name.node.as_str()),
            _ => None,
        })
    }
}

struct Expander<'a> {
    types: &'a Types,
    document: &'a ExecutableDocument,
    variables: &'a Variables,
}

/// The selections for a response key or a type.
struct SelectionGroup<'a> {
    what: GroupKey<'a>,
    position: Pos,
    sets: Vec<&'a SelectionSet>,
}

enum GroupKey<'a> {
    Field(&'a Field),
    Of(&'a str),
}

/// Selections by whether they are fields, and their response keys or types.
type SelectionGroups<'a> = IndexMap<(bool, &'a str), SelectionGroup<'a>>;

impl<'a> Expander<'a> {
    fn set(&self, object: &str, sets: &[&'a SelectionSet]) -> SelectionSet {
        let mut all = SelectionGroups::new();
        for set in sets {
            self.collect(object, set, &mut all);
        }
        let items = all.into_values().map(|SelectionGroup { what, position, sets }| {
            let selection = match what {
                GroupKey::Field(field) => {
                    let known = self.types.field(object, &field.name.node);
                    let set = self.set(known.map_or("", |known| known.base()), &sets);
                    let field = Field {
                        alias: field.alias.clone(),
                        name: field.name.clone(),
                        arguments: field.arguments.clone(),
                        directives: Vec::new(),
                        selection_set: Positioned::new(set, field.selection_set.pos),
                    };
                    Selection::Field(Positioned::new(field, position))
                }
                GroupKey::Of(of) => {
                    let on = Positioned::new(Name::new(of), position);
                    let fragment = InlineFragment {
                        type_condition: Some(Positioned::new(TypeCondition { on }, position)),
                        directives: Vec::new(),
                        selection_set: Positioned::new(self.set(of, &sets), position),
                    };
                    Selection::InlineFragment(Positioned::new(fragment, position))
                }
            };
            Positioned::new(selection, position)
        });
        SelectionSet { items: items.collect() }
    }

    fn collect(&self, object: &str, set: &'a SelectionSet, into: &mut SelectionGroups<'a>) {
        for selection in &set.items {
            if self.is_skipped(selection.node.directives()) {
                continue;
            }
            let (condition, set) = match &selection.node {
                Selection::Field(field) => {
                    let key = field.node.response_key().node.as_str();
                    let (what, position) = (GroupKey::Field(&field.node), selection.pos);
                    let new = SelectionGroup { what, position, sets: Vec::new() };
                    let of = into.entry((true, key)).or_insert(new);
                    of.sets.push(&field.node.selection_set.node);
                    continue;
                }
                Selection::InlineFragment(inline) => {
                    (inline.node.type_condition.as_ref(), &inline.node.selection_set.node)
                }
                Selection::FragmentSpread(spread) => {
                    let fragments = &self.document.fragments;
                    let Some(fragment) = fragments.get(&spread.node.fragment_name.node) else {
                        continue;
                    };
                    (Some(&fragment.node.type_condition), &fragment.node.selection_set.node)
                }
            };
            match condition.map(|condition| condition.node.on.node.as_str()) {
                Some(of) if !self.types.is_always(object, of) => {
                    let new = SelectionGroup {
                        what: GroupKey::Of(of),
                        position: selection.pos,
                        sets: Vec::new(),
                    };
                    into.entry((false, of)).or_insert(new).sets.push(set);
                }
                _ => self.collect(object, set, into),
            }
        }
    }

    fn is_skipped(&self, directives: &[Positioned<Directive>]) -> bool {
        directives.iter().any(|directive| {
            let skips = match directive.node.name.node.as_str() {
                "skip" => true,
                "include" => false,
                _ => return false,
            };
            let condition = directive.node.get_argument("if").and_then(|condition| {
                let condition = condition.node.clone();
                condition.into_const_with(|name| self.variables.get(&name).cloned().ok_or(())).ok()
            });
            condition == Some(ConstValue::Boolean(skips))
        })
    }
}

/// Whether any selection of a document has a directive, including those in fragments.
pub(crate) fn has_directives(document: &ExecutableDocument) -> bool {
    fn within(set: &SelectionSet) -> bool {
        set.items.iter().any(|selection| {
            !selection.node.directives().is_empty()
                || match &selection.node {
                    Selection::Field(field) => within(&field.node.selection_set.node),
                    Selection::InlineFragment(inline) => within(&inline.node.selection_set.node),
                    Selection::FragmentSpread(_) => false,
                }
        })
    }
    let operations = document.operations.iter().map(|(_, of)| &of.node.selection_set.node);
    let fragments = document.fragments.values().map(|of| &of.node.selection_set.node);
    operations.chain(fragments).any(within)
}
