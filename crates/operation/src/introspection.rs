//! Introspection: queries about the schema itself (GraphQL, section 4).
//!
//! Every type leads to others, so a query of a few hundred bytes can have an answer that grows ninefold
//! with each level of nesting. The schema does not change, so it is read once from the library, as the
//! answer to a query for the whole schema. Later queries are answered from that answer, which also
//! determines their cost.
//!
//! **Invariants.**
//! - The cost of an introspection field is the number of fields in its answer, counted by the same
//!   walk that writes the answer. Counting ends at the limit.
//! - The bytes of an answer are drawn from the operation's budget while it is written.
//! - Lists are nested at most [`MAX_LISTS`] deep, like with graphql-js' `MaxIntrospectionDepthRule`.

use std::collections::HashMap;

use async_graphql::{
    Context, Name, ObjectType, Request, Schema, ServerResult, SubscriptionType, Value, Variables,
    parser::types::{Field, Selection, SelectionSet, Type},
};
use async_graphql_value::ConstValue;
use futures_util::FutureExt;
use serde_json::{Map, Value as Json};

use crate::{
    error::Error,
    json,
    types::{Slot, Types},
};

/// The maximum nesting of lists. The usual queries of tools need three levels: types, fields, arguments.
const MAX_LISTS: usize = 3;
/// The number of bytes that are written before they are drawn.
const DRAW_SIZE: usize = 16 * 1024;

/// The query for the whole schema. References to types are expanded as deep as needed for their names.
const ALL: &str = "{ __schema { description
    queryType { name } mutationType { name } subscriptionType { name }
    types { ...T }
    directives { name description locations isRepeatable args(includeDeprecated: true) { ...A } } } }
  fragment T on __Type { kind name description specifiedByURL isOneOf
    fields(includeDeprecated: true) { name description isDeprecated deprecationReason type { ...R }
      args(includeDeprecated: true) { ...A } }
    interfaces { name } possibleTypes { name }
    enumValues(includeDeprecated: true) { name description isDeprecated deprecationReason }
    inputFields(includeDeprecated: true) { ...A } }
  fragment A on __InputValue { name description defaultValue isDeprecated deprecationReason type { ...R } }
  fragment R on __Type { kind name ofType { kind name ofType { kind name ofType { kind name
    ofType { kind name ofType { kind name } } } } } }";

/// Draws bytes of a response from the budget of the operation of a context.
pub type Draw = fn(&Context<'_>, usize) -> Result<(), async_graphql::Error>;

/// The data of introspection.
pub(crate) struct Introspection {
    /// The value of `__schema`.
    schema: Map<String, Json>,
    /// The schema's types by name.
    types: HashMap<String, Map<String, Json>>,
}

/// A visitor of an answer.
trait Visitor {
    /// Visits a field.
    fn field(&mut self) -> Result<(), Stop>;
    /// Visits a piece of the answer's text, which `write` appends.
    fn write(&mut self, write: impl FnOnce(&mut Vec<u8>)) -> Result<(), Stop>;
}

/// The reason why a walk ends early.
enum Stop {
    /// There are more fields than allowed.
    Limit,
    /// The budget is exhausted.
    Exhausted(async_graphql::Error),
}

/// Counts fields, up to a limit.
struct Count {
    fields: usize,
    limit: usize,
}

impl Visitor for Count {
    fn field(&mut self) -> Result<(), Stop> {
        self.fields += 1;
        if self.fields > self.limit { Err(Stop::Limit) } else { Ok(()) }
    }

    fn write(&mut self, _: impl FnOnce(&mut Vec<u8>)) -> Result<(), Stop> {
        Ok(())
    }
}

/// Writes the answer.
struct Text<'a, 'c> {
    out: Vec<u8>,
    drawn: usize,
    ctx: &'a Context<'c>,
    draw: Draw,
}

impl Visitor for Text<'_, '_> {
    fn field(&mut self) -> Result<(), Stop> {
        Ok(())
    }

    fn write(&mut self, write: impl FnOnce(&mut Vec<u8>)) -> Result<(), Stop> {
        write(&mut self.out);
        if self.out.len() - self.drawn >= DRAW_SIZE { self.draw() } else { Ok(()) }
    }
}

impl Text<'_, '_> {
    fn draw(&mut self) -> Result<(), Stop> {
        // twice: here, and in the text of the response
        let bytes = 2 * (self.out.len() - self.drawn);
        self.drawn = self.out.len();
        (self.draw)(self.ctx, bytes).map_err(Stop::Exhausted)
    }
}

impl Introspection {
    /// Reads a schema that answers introspection queries.
    pub(crate) fn of<Q, M, S>(schema: &Schema<Q, M, S>) -> Self
    where
        Q: ObjectType + 'static,
        M: ObjectType + 'static,
        S: SubscriptionType + 'static,
    {
        let response = schema.execute(Request::new(ALL)).now_or_never();
        let response = response.expect("a schema does not wait to describe itself");
        assert!(response.errors.is_empty(), "a schema describes itself: {:?}", response.errors);
        let mut data = response.data.into_json().expect("its description is JSON");
        let Json::Object(schema) = data["__schema"].take() else { panic!("there is a schema") };
        let all = schema["types"].as_array().into_iter().flatten();
        let types = all.filter_map(|ty| {
            let ty = ty.as_object()?;
            Some((ty["name"].as_str()?.to_owned(), ty.clone()))
        });
        Self { types: types.collect(), schema }
    }

    /// The introspection types, such as `__Type`: the name of each, and its fields.
    pub(crate) fn own_types(&self) -> impl Iterator<Item = (&str, Vec<OwnField<'_>>)> {
        let own = self.types.iter().filter(|(name, _)| name.starts_with("__"));
        own.filter_map(|(name, ty)| {
            let fields = ty["fields"].as_array()?.iter();
            let fields = fields.map(|field| {
                let arguments = field["args"].as_array().into_iter().flatten();
                let arguments = arguments.map(|of| {
                    let has_default = !of["defaultValue"].is_null();
                    (
                        text(&of["name"]),
                        Slot { ty: type_of(&of["type"]), has_default, max_text: None },
                    )
                });
                (text(&field["name"]), type_of(&field["type"]), arguments.collect())
            });
            Some((name.as_str(), fields.collect()))
        })
    }

    /// The number of fields in the answer to `__schema` or `__type`, counted up to one more than the
    /// limit.
    pub(crate) fn count(
        &self,
        types: &Types,
        field: &Field,
        variables: &Variables,
        limit: usize,
    ) -> usize {
        let mut count = Count { fields: 0, limit };
        let walk = Walk { introspection: self, types, variables };
        // the field that exceeds the limit has been counted
        walk.root(field, &mut count).ok();
        count.fields
    }

    /// The answer to the context's field, `__schema` or `__type`, as JSON.
    pub(crate) fn answer(
        &self,
        types: &Types,
        ctx: &Context<'_>,
        draw: Draw,
    ) -> ServerResult<Value> {
        let mut text = Text { out: Vec::new(), drawn: 0, ctx, draw };
        let walk = Walk { introspection: self, types, variables: &ctx.query_env.variables };
        let written = walk.root(&ctx.item.node, &mut text).and_then(|()| text.draw());
        match written {
            Ok(()) | Err(Stop::Limit) => Ok(Value::Binary(text.out.into())),
            Err(Stop::Exhausted(error)) => {
                Err(ctx.set_error_path(error.into_server_error(ctx.item.pos)))
            }
        }
    }
}

/// A field of an introspection type: its name, its type, and its arguments.
pub(crate) type OwnField<'a> = (&'a str, Type, Vec<(&'a str, Slot)>);

fn text(value: &Json) -> &str {
    value.as_str().unwrap_or_default()
}

/// The type of a type reference.
fn type_of(reference: &Json) -> Type {
    fn sdl(reference: &Json) -> String {
        match text(&reference["kind"]) {
            "NON_NULL" => format!("{}!", sdl(&reference["ofType"])),
            "LIST" => format!("[{}]", sdl(&reference["ofType"])),
            _ => text(&reference["name"]).to_owned(),
        }
    }
    Type::new(&sdl(reference)).expect("the library describes types that exist")
}

/// A walk through the answer to a selection.
struct Walk<'a> {
    introspection: &'a Introspection,
    types: &'a Types,
    variables: &'a Variables,
}

impl Walk<'_> {
    fn root(&self, field: &Field, visitor: &mut impl Visitor) -> Result<(), Stop> {
        let set = &field.selection_set.node;
        if field.name.node == "__schema" {
            return self.object("__Schema", &self.introspection.schema, set, visitor);
        }
        let name = self.argument(field, "name");
        let ty = match &name {
            Some(ConstValue::String(name)) => self.introspection.types.get(name),
            _ => None,
        };
        match ty {
            Some(ty) => self.object("__Type", ty, set, visitor),
            None => visitor.write(|out| out.extend_from_slice(b"null")),
        }
    }

    fn object(
        &self,
        ty: &str,
        value: &Map<String, Json>,
        set: &SelectionSet,
        visitor: &mut impl Visitor,
    ) -> Result<(), Stop> {
        // a reference leads to the type itself
        let named = value.get("name").and_then(Json::as_str).filter(|_| ty == "__Type");
        let value = named.and_then(|name| self.introspection.types.get(name)).unwrap_or(value);
        let fields = set.items.iter().filter_map(|selection| match &selection.node {
            Selection::Field(field) => Some(&field.node),
            // a fragment on another type, which never applies
            _ => None,
        });
        for (place, field) in fields.enumerate() {
            visitor.field()?;
            visitor.write(|out| {
                out.extend_from_slice(if place == 0 { b"{\"" } else { b",\"" });
                out.extend_from_slice(field.response_key().node.as_bytes());
                out.extend_from_slice(b"\":");
            })?;
            self.field(ty, value, field, visitor)?;
        }
        visitor.write(|out| out.extend_from_slice(if set.items.is_empty() { b"{}" } else { b"}" }))
    }

    fn field(
        &self,
        ty: &str,
        value: &Map<String, Json>,
        field: &Field,
        visitor: &mut impl Visitor,
    ) -> Result<(), Stop> {
        let name = field.name.node.as_str();
        if name == "__typename" {
            return visitor.write(|out| json::string(ty, out));
        }
        let set = &field.selection_set.node;
        let inner = self.types.field(ty, name).map_or("", |known| known.base());
        match value.get(name).unwrap_or(&Json::Null) {
            Json::Object(object) => self.object(inner, object, set, visitor),
            Json::Array(elements) => {
                let all = self.argument(field, "includeDeprecated");
                let all = all == Some(ConstValue::Boolean(true));
                let is_shown = |element: &&Json| all || element["isDeprecated"] != true;
                visitor.write(|out| out.push(b'['))?;
                for (index, element) in elements.iter().filter(is_shown).enumerate() {
                    if index > 0 {
                        visitor.write(|out| out.push(b','))?;
                    }
                    match element {
                        Json::Object(object) => self.object(inner, object, set, visitor)?,
                        leaf => visitor.write(|out| json::serialize(leaf, out))?,
                    }
                }
                visitor.write(|out| out.push(b']'))
            }
            leaf => visitor.write(|out| json::serialize(leaf, out)),
        }
    }

    /// The value of an argument, with its variables replaced.
    fn argument(&self, field: &Field, name: &str) -> Option<ConstValue> {
        let value = field.get_argument(name)?.node.clone();
        value.into_const_with(|name: Name| self.variables.get(&name).cloned().ok_or(())).ok()
    }
}

/// Fails if introspection nests more than [`MAX_LISTS`] lists.
///
/// # Errors
/// `LIMIT_EXCEEDED`.
pub(crate) fn limit_lists(types: &Types, root: &SelectionSet) -> Result<(), Error> {
    fn depth(types: &Types, object: &str, set: &SelectionSet) -> usize {
        let depths = set.items.iter().map(|selection| match &selection.node {
            Selection::Field(field) => {
                let known = types.field(object, &field.node.name.node);
                let inner = &field.node.selection_set.node;
                let below = depth(types, known.map_or("", |known| known.base()), inner);
                // a list of leaves, such as the locations of a directive, does not count
                below + usize::from(known.is_some_and(|of| of.is_list() && !inner.items.is_empty()))
            }
            _ => 0,
        });
        depths.max().unwrap_or(0)
    }
    for selection in &root.items {
        let Selection::Field(field) = &selection.node else { continue };
        let object = match field.node.name.node.as_str() {
            "__schema" => "__Schema",
            "__type" => "__Type",
            _ => continue,
        };
        if depth(types, object, &field.node.selection_set.node) > MAX_LISTS {
            let message = format!("Introspection can nest lists at most {MAX_LISTS} levels deep.");
            return Err(Error::limit("query", message));
        }
    }
    Ok(())
}

/// The error for an introspection field if introspection is off.
pub(crate) fn introspection_off() -> Error {
    Error::invalid("Introspection is turned off.")
}
