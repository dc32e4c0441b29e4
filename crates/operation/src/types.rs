//! The types of the schema, for checking values and selections.

use std::collections::{HashMap, HashSet};

use async_graphql::parser::{
    parse_schema,
    types::{BaseType, InputValueDefinition, OperationType, Type, TypeKind, TypeSystemDefinition},
};

use crate::introspection::Introspection;

/// The maximum number of bytes of a text in an argument or an input field, if that is known before
/// it is executed: by the object that it belongs to, its name, and the name of its type.
pub type MaxText = fn(object: &str, name: &str, ty: &str) -> Option<usize>;

/// An argument or a field of an input object.
pub(crate) struct Slot {
    pub(crate) ty: Type,
    pub(crate) has_default: bool,
    /// The maximum number of bytes of each text in it.
    pub(crate) max_text: Option<usize>,
}

/// The type of an input value.
pub(crate) enum Input {
    Scalar,
    Enum(HashSet<String>),
    Object(HashMap<String, Slot>),
}

/// A field of an object: its type, and its arguments.
pub(crate) struct Field {
    pub(crate) ty: Type,
    pub(crate) arguments: HashMap<String, Slot>,
}

impl Field {
    /// The name of its type, without lists.
    pub(crate) fn base(&self) -> &str {
        base(&self.ty)
    }

    /// Whether its values are lists.
    pub(crate) fn is_list(&self) -> bool {
        matches!(self.ty.base, BaseType::List(_))
    }
}

/// The types of a schema.
pub(crate) struct Types {
    pub(crate) inputs: HashMap<String, Input>,
    objects: HashMap<String, HashMap<String, Field>>,
    /// The interfaces of each object.
    interfaces: HashMap<String, HashSet<String>>,
    /// The data of introspection, if it is on.
    pub(crate) introspection: Option<Introspection>,
}

impl Types {
    /// The types of a schema in SDL, and the introspection types if introspection is on.
    pub(crate) fn of(
        sdl: &str,
        introspection: Option<Introspection>,
        max_text: MaxText,
    ) -> Result<Self, async_graphql::parser::Error> {
        let mut types = Self {
            inputs: HashMap::new(),
            objects: HashMap::new(),
            interfaces: HashMap::new(),
            introspection: None,
        };
        for scalar in ["Int", "Float", "String", "Boolean", "ID"] {
            types.inputs.insert(scalar.to_owned(), Input::Scalar);
        }
        for definition in parse_schema(sdl)?.definitions {
            let TypeSystemDefinition::Type(definition) = definition else { continue };
            let name = definition.node.name.node.to_string();
            let fields = match definition.node.kind {
                TypeKind::Scalar => {
                    types.inputs.insert(name, Input::Scalar);
                    continue;
                }
                TypeKind::Enum(of) => {
                    let values = of.values.iter().map(|value| value.node.value.node.to_string());
                    types.inputs.insert(name, Input::Enum(values.collect()));
                    continue;
                }
                TypeKind::InputObject(of) => {
                    let slots = slots(&name, of.fields, max_text);
                    types.inputs.insert(name, Input::Object(slots));
                    continue;
                }
                TypeKind::Object(of) => {
                    let interfaces = of.implements.iter().map(|of| of.node.to_string());
                    types.interfaces.insert(name.clone(), interfaces.collect());
                    of.fields
                }
                TypeKind::Interface(of) => of.fields,
                TypeKind::Union(_) => continue,
            };
            let fields = fields.into_iter().map(|field| {
                let field = field.node;
                let arguments = slots(&name, field.arguments, max_text);
                (field.name.node.to_string(), Field { ty: field.ty.node, arguments })
            });
            let fields = fields.collect();
            types.objects.insert(name, fields);
        }
        if let Some(introspection) = introspection {
            types.describe_itself(introspection);
        }
        Ok(types)
    }

    /// Adds the introspection types, which SDL does not contain.
    fn describe_itself(&mut self, introspection: Introspection) {
        let field = |ty: Type, arguments: Vec<(&str, Slot)>| {
            let slots = arguments.into_iter().map(|(name, slot)| (name.to_owned(), slot));
            Field { ty, arguments: slots.collect() }
        };
        for (name, fields) in introspection.own_types() {
            let fields = fields
                .into_iter()
                .map(|(name, ty, arguments)| (name.to_owned(), field(ty, arguments)));
            self.interfaces.insert(name.to_owned(), HashSet::new());
            self.objects.insert(name.to_owned(), fields.collect());
        }
        let ty = |text| Type::new(text).expect("this is the name of a type");
        let name = Slot { ty: ty("String!"), has_default: false, max_text: None };
        let root = self.objects.entry(root(OperationType::Query).to_owned()).or_default();
        root.insert("__schema".to_owned(), field(ty("__Schema!"), Vec::new()));
        root.insert("__type".to_owned(), field(ty("__Type"), vec![("name", name)]));
        self.introspection = Some(introspection);
    }

    /// Whether there is an object or interface with this name.
    pub(crate) fn has_fields(&self, name: &str) -> bool {
        self.objects.contains_key(name)
    }

    /// Whether this is the name of an interface.
    pub(crate) fn is_interface(&self, name: &str) -> bool {
        self.has_fields(name) && !self.interfaces.contains_key(name)
    }

    /// Whether every value of type `object` is also a value of type `of`.
    pub(crate) fn is_always(&self, object: &str, of: &str) -> bool {
        let interfaces = self.interfaces.get(object);
        object == of || interfaces.is_some_and(|interfaces| interfaces.contains(of))
    }

    /// A field of an object or interface.
    pub(crate) fn field(&self, object: &str, field: &str) -> Option<&Field> {
        self.objects.get(object)?.get(field)
    }
}

/// The object at the root of an operation of this kind.
pub(crate) fn root(kind: OperationType) -> &'static str {
    match kind {
        OperationType::Query => "Query",
        OperationType::Mutation => "Mutation",
        OperationType::Subscription => "Subscription",
    }
}

fn slots(
    object: &str,
    definitions: Vec<async_graphql::Positioned<InputValueDefinition>>,
    max_text: MaxText,
) -> HashMap<String, Slot> {
    let slots = definitions.into_iter().map(|definition| {
        let definition = definition.node;
        let (name, ty) = (definition.name.node.to_string(), definition.ty.node);
        let max_text = max_text(object, &name, base(&ty));
        (name, Slot { ty, has_default: definition.default_value.is_some(), max_text })
    });
    slots.collect()
}

/// The name of a type, without lists.
pub(crate) fn base(ty: &Type) -> &str {
    match &ty.base {
        BaseType::Named(name) => name,
        BaseType::List(of) => base(of),
    }
}
