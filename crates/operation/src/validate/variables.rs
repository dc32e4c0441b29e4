//! Checks that the type of each variable allows its uses (GraphQL, section 5.8.5,
//! `IsVariableUsageAllowed`).

use std::{
    collections::{HashMap, HashSet},
    ops::ControlFlow,
};

use async_graphql::{
    Name, Pos, Positioned,
    parser::types::{
        BaseType, Directive, ExecutableDocument, OperationDefinition, Selection, SelectionSet,
        Type, VariableDefinition,
    },
};
use async_graphql_value::{ConstValue, Value};

use super::ValidationErrors;
use crate::types::{self, Input, Types};

/// The location of a value: an argument, an input field or a list element.
#[derive(Clone, Copy)]
struct Location<'a> {
    ty: &'a Type,
    has_default: bool,
    position: Pos,
}

/// Walks an operation and its fragments, each once.
struct Uses<'a, 'f, F> {
    types: &'a Types,
    document: &'a ExecutableDocument,
    definitions: HashMap<&'a str, &'a Positioned<VariableDefinition>>,
    read: HashSet<&'a str>,
    condition: &'f Type,
    /// Called with each use of a variable.
    take: F,
}

pub(super) fn check(
    types: &Types,
    document: &ExecutableDocument,
    errors: &mut ValidationErrors,
) -> ControlFlow<()> {
    for (_, operation) in document.operations.iter() {
        each_use(types, document, &operation.node, |definition, place| {
            let ty = &definition.node.var_type.node;
            if is_allowed(&definition.node, place) {
                return ControlFlow::Continue(());
            }
            let name = &definition.node.name.node;
            let message = format!(
                "Variable \"${name}\" of type \"{ty}\" used in position expecting type \"{}\".",
                place.ty
            );
            errors.push(message, vec![definition.pos, place.position])
        })?;
    }
    ControlFlow::Continue(())
}

/// The variables of an operation that are used where null is not allowed. A nullable variable can be used
/// there if the variable or the location has a default, but a request can still send null.
pub(crate) fn never_null(
    types: &Types,
    document: &ExecutableDocument,
    operation: &OperationDefinition,
) -> HashSet<Name> {
    let mut names = HashSet::new();
    let walked = each_use(types, document, operation, |definition, place| {
        if !place.ty.nullable {
            names.insert(definition.node.name.node.clone());
        }
        ControlFlow::Continue(())
    });
    debug_assert!(walked.is_continue(), "the closure never breaks");
    names
}

fn each_use<'a>(
    types: &'a Types,
    document: &'a ExecutableDocument,
    operation: &'a OperationDefinition,
    take: impl FnMut(&'a Positioned<VariableDefinition>, Location<'_>) -> ControlFlow<()>,
) -> ControlFlow<()> {
    let definitions = operation.variable_definitions.iter();
    let condition = Type::new("Boolean!").expect("this is the name of a type");
    let mut uses = Uses {
        types,
        document,
        definitions: definitions.map(|of| (of.node.name.node.as_str(), of)).collect(),
        read: HashSet::new(),
        condition: &condition,
        take,
    };
    uses.directives(&operation.directives)?;
    uses.set(types::root(operation.ty), &operation.selection_set.node)
}

impl<'a, F> Uses<'a, '_, F>
where
    F: FnMut(&'a Positioned<VariableDefinition>, Location<'_>) -> ControlFlow<()>,
{
    fn set(&mut self, object: &str, set: &'a SelectionSet) -> ControlFlow<()> {
        for selection in &set.items {
            match &selection.node {
                Selection::Field(field) => {
                    let field = &field.node;
                    self.directives(&field.directives)?;
                    let known = self.types.field(object, &field.name.node);
                    for (name, value) in &field.arguments {
                        let slot = known.and_then(|of| of.arguments.get(name.node.as_str()));
                        let Some(slot) = slot else { continue };
                        let position = value.pos;
                        let place =
                            Location { ty: &slot.ty, has_default: slot.has_default, position };
                        self.value(place, &value.node)?;
                    }
                    let of = known.map_or("", |known| known.base());
                    self.set(of, &field.selection_set.node)?;
                }
                Selection::InlineFragment(inline) => {
                    let inline = &inline.node;
                    self.directives(&inline.directives)?;
                    let on = inline.type_condition.as_ref();
                    let on = on.map_or(object, |on| on.node.on.node.as_str());
                    self.set(on, &inline.selection_set.node)?;
                }
                Selection::FragmentSpread(spread) => {
                    self.directives(&spread.node.directives)?;
                    let name = spread.node.fragment_name.node.as_str();
                    let Some(fragment) = self.document.fragments.get(name) else { continue };
                    if self.read.insert(name) {
                        let fragment = &fragment.node;
                        self.directives(&fragment.directives)?;
                        let on = fragment.type_condition.node.on.node.as_str();
                        self.set(on, &fragment.selection_set.node)?;
                    }
                }
            }
        }
        ControlFlow::Continue(())
    }

    /// Walks directives. All arguments of the specification's directives are Boolean conditions.
    fn directives(&mut self, directives: &'a [Positioned<Directive>]) -> ControlFlow<()> {
        for (_, value) in directives.iter().flat_map(|directive| &directive.node.arguments) {
            let place = Location { ty: self.condition, has_default: false, position: value.pos };
            self.value(place, &value.node)?;
        }
        ControlFlow::Continue(())
    }

    fn value(&mut self, place: Location<'_>, value: &'a Value) -> ControlFlow<()> {
        match (value, &place.ty.base) {
            (Value::Variable(name), _) => match self.definitions.get(name.as_str()) {
                Some(definition) => (self.take)(definition, place),
                // validation finds undefined variables
                None => ControlFlow::Continue(()),
            },
            (Value::List(values), BaseType::List(of)) => {
                let place = Location { ty: of, has_default: false, ..place };
                values.iter().try_for_each(|value| self.value(place, value))
            }
            (value, BaseType::List(of)) => {
                self.value(Location { ty: of, has_default: false, ..place }, value)
            }
            (Value::Object(values), BaseType::Named(name)) => {
                let types = self.types;
                let Some(Input::Object(fields)) = types.inputs.get(name.as_str()) else {
                    return ControlFlow::Continue(());
                };
                values.iter().try_for_each(|(name, value)| match fields.get(name.as_str()) {
                    Some(slot) => {
                        let (ty, has_default) = (&slot.ty, slot.has_default);
                        self.value(Location { ty, has_default, ..place }, value)
                    }
                    None => ControlFlow::Continue(()),
                })
            }
            _ => ControlFlow::Continue(()),
        }
    }
}

fn is_allowed(definition: &VariableDefinition, place: Location<'_>) -> bool {
    let ty = &definition.var_type.node;
    let default = definition.default_value.as_ref().map(|default| &default.node);
    let has_value = default.is_some_and(|default| *default != ConstValue::Null);
    if !place.ty.nullable && ty.nullable {
        return (has_value || place.has_default) && is_same_base(ty, place.ty);
    }
    is_compatible(ty, place.ty)
}

/// Whether a value of a type can be used where another is expected (`AreTypesCompatible`).
fn is_compatible(ty: &Type, place: &Type) -> bool {
    (place.nullable || !ty.nullable) && is_same_base(ty, place)
}

fn is_same_base(ty: &Type, place: &Type) -> bool {
    match (&ty.base, &place.base) {
        (BaseType::Named(one), BaseType::Named(two)) => one == two,
        (BaseType::List(one), BaseType::List(two)) => is_compatible(one, two),
        _ => false,
    }
}
