//! No row crosses from one organization to another, by any field or argument of the schema.
//!
//! The walk reads the printed schema, so it covers new fields automatically: every argument of
//! every reachable field gets IDs of the other organization. The test fails for an argument that
//! the walk cannot fill.

use std::collections::HashMap;

use async_graphql::parser::{
    parse_schema,
    types::{
        BaseType, FieldDefinition, InputValueDefinition, Type, TypeKind, TypeSystemDefinition,
    },
};
use campaigns_tests::{Fixtures, Organization, TestApp, on_every_database};
use serde_json::{Map, Value as Json, json};
use uuid::Uuid;

struct Schema {
    objects: HashMap<String, Vec<FieldDefinition>>,
    inputs: HashMap<String, Vec<InputValueDefinition>>,
    enums: HashMap<String, String>,
}

impl Schema {
    fn printed() -> Self {
        let mut schema =
            Self { objects: HashMap::new(), inputs: HashMap::new(), enums: HashMap::new() };
        for definition in parse_schema(campaigns_graphql::Api::sdl()).unwrap().definitions {
            let TypeSystemDefinition::Type(definition) = definition else { continue };
            let name = definition.node.name.node.to_string();
            match definition.node.kind {
                TypeKind::Object(of) => {
                    schema
                        .objects
                        .insert(name, of.fields.into_iter().map(|field| field.node).collect());
                }
                TypeKind::Interface(of) => {
                    schema
                        .objects
                        .insert(name, of.fields.into_iter().map(|field| field.node).collect());
                }
                TypeKind::InputObject(of) => {
                    schema
                        .inputs
                        .insert(name, of.fields.into_iter().map(|field| field.node).collect());
                }
                TypeKind::Enum(of) => {
                    schema.enums.insert(name, of.values[0].node.value.node.to_string());
                }
                _ => {}
            }
        }
        schema
    }

    /// The scalars and plain objects of a type, some levels deep, which would show a leaked row.
    fn selection(&self, of: &str, depth: usize) -> String {
        let Some(fields) = self.objects.get(of) else { return String::new() };
        let mut parts = vec!["__typename".to_owned()];
        for field in fields {
            if field.arguments.iter().any(|argument| {
                !argument.node.ty.node.nullable && argument.node.default_value.is_none()
            }) {
                continue;
            }
            let name = &field.name.node;
            let ty = base(&field.ty.node);
            if !self.objects.contains_key(ty) {
                parts.push(name.to_string());
            } else if depth > 0 {
                parts.push(format!("{name} {}", self.selection(ty, depth - 1)));
            }
        }
        format!("{{ {} }}", parts.join(" "))
    }

    /// Values for an argument. Each has an ID of the other organization in one of the places that
    /// accept an ID.
    fn values(&self, ty: &Type, ids: &[Uuid], depth: usize) -> Vec<Json> {
        match &ty.base {
            BaseType::List(of) => {
                self.values(of, ids, depth).into_iter().map(|value| json!([value])).collect()
            }
            BaseType::Named(ty) => match ty.as_str() {
                "ID" => ids.iter().map(|id| json!(id)).collect(),
                "String" => vec![json!("x")],
                "Int" => vec![json!(5)],
                "Float" => vec![json!(0.5)],
                "Boolean" => vec![json!(true)],
                "JSON" => vec![json!({})],
                "DateTime" => vec![json!("2199-01-01T00:00:00Z")],
                of if self.enums.contains_key(of) => vec![json!(self.enums[of])],
                of => self.input_values(of, ids, depth),
            },
        }
    }

    fn input_values(&self, of: &str, ids: &[Uuid], depth: usize) -> Vec<Json> {
        let fields = self.inputs.get(of).unwrap_or_else(|| panic!("the walk cannot fill a {of}"));
        let mut required = Map::new();
        for field in fields {
            if !field.ty.node.nullable && field.default_value.is_none() {
                let name = field.name.node.to_string();
                let value = self.values(&field.ty.node, ids, depth).swap_remove(0);
                required.insert(name, value);
            }
        }
        let mut values = vec![Json::Object(required.clone())];
        for field in fields {
            let name = field.name.node.to_string();
            // `and`, `or` and `not` contain the same input type
            if depth == 0 || base(&field.ty.node) == of {
                continue;
            }
            for value in self.values(&field.ty.node, ids, depth - 1) {
                let mut object = required.clone();
                object.insert(name.clone(), value);
                values.push(Json::Object(object));
            }
        }
        values
    }
}

fn base(ty: &Type) -> &str {
    match &ty.base {
        BaseType::Named(name) => name,
        BaseType::List(of) => base(of),
    }
}

/// An ID of each type of object of an organization, including its own.
fn one_of_each(organization: &Organization, made: &Fixtures) -> Vec<Uuid> {
    let Fixtures { users, contacts, companies, segments, campaigns, entries, sends, events } = made;
    [users, contacts, companies, segments, campaigns, entries, sends, events]
        .into_iter()
        .map(|ids| *ids.last().unwrap())
        .chain([organization.id])
        .collect()
}

/// The whole content of the database, as text.
async fn everything(app: &TestApp) -> String {
    let mut all = String::new();
    for table in [
        "organizations",
        "users",
        "memberships",
        "contacts",
        "companies",
        "contact_companies",
        "campaigns",
        "campaign_segments",
        "campaign_lists",
        "campaign_sends",
        "campaign_events",
    ] {
        let columns =
            if table == "organizations" { "id, updated_at" } else { "id, org_id, updated_at" };
        for row in app.rows(&format!("SELECT {columns} FROM {table} ORDER BY id")).await {
            let id: Uuid = row.try_get("", "id").unwrap();
            let organization: Option<Uuid> = row.try_get("", "org_id").ok();
            let updated: chrono::DateTime<chrono::Utc> = row.try_get("", "updated_at").unwrap();
            all += &format!("{table} {id} {organization:?} {updated}\n");
        }
    }
    all
}

fn declared(ty: &Type) -> String {
    ty.to_string()
}

#[on_every_database]
async fn ids_of_another_organization_have_no_effect_in_any_argument(app: TestApp) {
    let ours = app.organization("ours").await;
    let theirs = app.organization("theirs").await;
    ours.populated(4).await;
    let made = theirs.populated(5).await;
    let schema = Schema::printed();
    let ids = one_of_each(&theirs, &made);
    let of_theirs: Vec<String> = [
        &made.users,
        &made.contacts,
        &made.companies,
        &made.segments,
        &made.campaigns,
        &made.entries,
        &made.sends,
        &made.events,
    ]
    .into_iter()
    .flatten()
    .map(ToString::to_string)
    .collect();
    let before: Vec<String> = everything(&app)
        .await
        .lines()
        .filter(|line| line.contains(&theirs.id.to_string()))
        .map(str::to_owned)
        .collect();

    let mut asked = 0;
    for (root, operation) in [("Query", "query"), ("Mutation", "mutation")] {
        for field in &schema.objects[root] {
            let name = &field.name.node;
            let selection = schema.selection(base(&field.ty.node), 2);
            for (index, argument) in field.arguments.iter().enumerate() {
                let argument = &argument.node;
                let others: Map<String, Json> = field
                    .arguments
                    .iter()
                    .enumerate()
                    .filter(|(other, of)| {
                        *other != index
                            && !of.node.ty.node.nullable
                            && of.node.default_value.is_none()
                    })
                    .map(|(_, of)| {
                        (
                            of.node.name.node.to_string(),
                            schema.values(&of.node.ty.node, &ids, 2).swap_remove(0),
                        )
                    })
                    .collect();
                for value in schema.values(&argument.ty.node, &ids, 3) {
                    let mut variables = others.clone();
                    variables.insert(argument.name.node.to_string(), value.clone());
                    let used: Vec<&InputValueDefinition> = field
                        .arguments
                        .iter()
                        .map(|of| &of.node)
                        .filter(|of| variables.contains_key(of.name.node.as_str()))
                        .collect();
                    let definitions: Vec<String> = used
                        .iter()
                        .map(|of| format!("${}: {}", of.name.node, declared(&of.ty.node)))
                        .collect();
                    let arguments: Vec<String> =
                        used.iter().map(|of| format!("{0}: ${0}", of.name.node)).collect();
                    let document = format!(
                        "{operation} ({}) {{ {name}({}) {selection} }}",
                        definitions.join(", "),
                        arguments.join(", ")
                    );
                    let answer = ours.admin.ask(&document, Json::Object(variables)).await;
                    asked += 1;
                    let shown = answer.body["data"].to_string();
                    for id in &of_theirs {
                        assert!(
                            !shown.contains(id.as_str()),
                            "{name} shows {id} for {value}: {shown}"
                        );
                    }
                    if let Some(errors) = answer.body["errors"].as_array() {
                        for error in errors {
                            let code = error["extensions"]["code"].as_str().unwrap_or("no code");
                            assert!(
                                ["NOT_FOUND", "BAD_USER_INPUT"].contains(&code),
                                "{document} with {value}: {error}"
                            );
                        }
                    }
                    // an ID of the other organization is not found
                    if declared(&argument.ty.node) == "ID!" {
                        if operation == "query" {
                            assert!(
                                answer.body["data"][name.as_str()].is_null(),
                                "{name}: {:#}",
                                answer.body
                            );
                        } else {
                            assert_eq!(answer.code(), "NOT_FOUND", "{name}");
                        }
                    }
                }
            }
        }
    }
    assert!(asked > 100, "the walk has come to {asked} operations");
    let after: Vec<String> = everything(&app)
        .await
        .lines()
        .filter(|line| line.contains(&theirs.id.to_string()))
        .map(str::to_owned)
        .collect();
    assert_eq!(before, after);
}

#[on_every_database]
async fn an_id_of_another_organization_looks_like_one_that_does_not_exist(app: TestApp) {
    let ours = app.organization("ours").await;
    let theirs = app.organization("theirs").await;
    let made = theirs.populated(4).await;
    // the same message for a row of the other organization and for a missing row
    for mutation in [
        "mutation ($id: ID!) { deleteCampaign(id: $id) { id } }",
        "mutation ($id: ID!) { duplicateCampaign(id: $id) { campaign { id } } }",
        "mutation ($id: ID!) { updateCampaign(input: { id: $id, name: \"x\" }) { campaign { id } } \
         }",
    ] {
        let of_theirs = ours.admin.ask(mutation, json!({ "id": made.campaigns[0] })).await;
        let of_nobody = ours.admin.ask(mutation, json!({ "id": Uuid::new_v4() })).await;
        assert_eq!(of_theirs.code(), "NOT_FOUND");
        assert_eq!(of_theirs.body, of_nobody.body);
    }
}
