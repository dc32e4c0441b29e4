//! The engine with a toy schema that has nothing to do with campaigns.

use async_graphql::{
    Context, Data, Object, Response, Subscription,
    futures_util::{FutureExt, Stream, stream},
};
use campaigns_operation::{
    Charge, Code, Engine, Limits, Operation, Prepared, PricedField, error::code_of, text,
};
use serde_json::{Value as Json, json};
use uuid::Uuid;

/// Who asks.
struct Caller(&'static str);

#[derive(Default)]
struct Query;

#[Object]
impl Query {
    /// A word, as often as you like.
    async fn echo(&self, word: Option<String>, #[graphql(default = 1)] first: i32) -> Vec<Word> {
        let word = word.unwrap_or_else(|| "nothing".to_owned());
        (0..first).map(|_| Word(word.clone())).collect()
    }

    async fn caller(&self, ctx: &Context<'_>) -> String {
        ctx.data_unchecked::<Caller>().0.to_owned()
    }

    async fn secret(&self) -> Result<i32, async_graphql::Error> {
        Err(std::io::Error::other("password=hunter2"))?
    }

    /// Takes so long that later fields are ready first.
    async fn slow(&self) -> i32 {
        tokio::task::yield_now().await;
        1
    }
}

struct Word(String);

#[Object]
impl Word {
    async fn text(&self) -> &str {
        &self.0
    }

    async fn length(&self) -> usize {
        self.0.len()
    }
}

#[derive(Default)]
struct Mutation;

#[Object]
impl Mutation {
    async fn double(&self, number: i32) -> i32 {
        number * 2
    }
}

#[derive(Default)]
struct Numbers;

#[Subscription(name = "Subscription")]
impl Numbers {
    async fn numbers(&self, ctx: &Context<'_>, after: Option<i32>) -> impl Stream<Item = i32> {
        let shown = *ctx.data_unchecked::<i32>() + after.unwrap_or(0);
        stream::once(async move { shown })
    }
}

type Toy = Engine<Query, Mutation, Numbers>;

fn price(field: &PricedField<'_>) -> Charge {
    Charge {
        rows: if field.takes("first") { field.number("first").unwrap_or(1) } else { 1 },
        own: 0,
    }
}

/// A word can have 100 bytes.
fn max_text(object: &str, name: &str, ty: &str) -> Option<usize> {
    (object == "Query" && name == "word" && ty == "String").then_some(100)
}

fn engine() -> Toy {
    Engine::new(true, Limits::default(), price, max_text, |_, _| Ok(()))
}

fn operation(query: &str, variables: Json) -> Operation {
    let Json::Object(variables) = variables else { panic!("variables are an object") };
    Operation { query: query.to_owned(), variables, ..Operation::default() }
}

fn data(caller: &'static str) -> Data {
    let mut data = Data::default();
    data.insert(Caller(caller));
    data
}

async fn executed(engine: &Toy, prepared: Prepared, caller: &'static str) -> Response {
    engine.execute(prepared, data(caller), Uuid::nil()).await.expect("no resolver panics")
}

async fn asked(query: &str, variables: Json) -> String {
    let engine = engine();
    let prepared = engine.prepare(engine.look_up(operation(query, variables))).expect(query);
    text(&executed(&engine, prepared, "you").await)
}

fn refused(query: &str, variables: Json) -> (Code, Option<String>) {
    let engine = engine();
    match engine.prepare(engine.look_up(operation(query, variables))) {
        Ok(_) => panic!("{query} is prepared"),
        Err(error) => (error.code, error.field),
    }
}

#[tokio::test]
async fn fields_are_answered_in_the_order_of_the_document() {
    assert_eq!(
        asked(
            "{ slow caller ...F } fragment F on Query { again: slow echo { length text } }",
            json!({})
        )
        .await,
        r#"{"data":{"slow":1,"caller":"you","again":1,"echo":[{"length":7,"text":"nothing"}]}}"#
    );
}

#[tokio::test]
async fn an_omitted_variable_is_not_null_and_its_default_applies() {
    let query = "query ($word: String = \"hello\", $first: Int) { echo(word: $word, first: $first) { text } }";
    let hello = r#"{"data":{"echo":[{"text":"hello"}]}}"#;
    assert_eq!(asked(query, json!({})).await, hello);
    let nothing = r#"{"data":{"echo":[{"text":"nothing"},{"text":"nothing"}]}}"#;
    assert_eq!(asked(query, json!({ "word": null, "first": 2 })).await, nothing);
}

#[test]
fn faults_are_reported_before_anything_is_executed() {
    assert_eq!(refused("{ echo", json!({})).0, Code::GraphqlParseFailed);
    assert_eq!(
        refused("query ($n: Int!) { echo(first: $n) { text } }", json!({})).0,
        Code::GraphqlValidationFailed
    );
    let query = "query ($n: Int!) { echo(first: $n) { text } }";
    assert_eq!(refused(query, json!({ "n": "x" })), (Code::BadUserInput, Some("first".to_owned())));
    assert_eq!(refused(query, json!({ "n": 1_000_000 })).0, Code::LimitExceeded);
}

#[tokio::test]
async fn a_subscription_has_one_field_at_its_root() {
    for root in ["__typename", "numbers __typename", "a: numbers b: numbers"] {
        let query = format!("subscription {{ {root} }}");
        assert_eq!(refused(&query, json!({})).0, Code::GraphqlValidationFailed, "{root}");
    }
    let spread = "subscription { ...R } fragment R on Subscription { numbers numbers }";
    for query in [
        "subscription { numbers }",
        "subscription { numbers ...on Subscription { numbers } }",
        spread,
    ] {
        let engine = engine();
        let followed = engine
            .follow(engine.prepare(engine.look_up(operation(query, json!({})))).expect(query));
        let mut data = Data::default();
        data.insert(3);
        let response = followed.answer(data, Uuid::nil()).await.expect("an item");
        assert_eq!(text(&response), r#"{"data":{"numbers":3}}"#, "{query}");
    }
}

#[tokio::test]
async fn an_error_without_a_code_shows_nothing_but_a_request_id() {
    let engine = engine();
    let prepared =
        engine.prepare(engine.look_up(operation("{ secret caller }", json!({})))).unwrap();
    let response = executed(&engine, prepared, "you").await;
    assert_eq!(code_of(&response.errors[0]), Some("INTERNAL"));
    let shown = text(&response);
    assert!(!shown.contains("hunter2"), "{shown}");
    assert!(shown.contains(&Uuid::nil().to_string()), "{shown}");
}

#[tokio::test]
async fn a_subscription_is_executed_for_each_thing_that_it_shows() {
    let engine = engine();
    let query = "subscription ($after: Int) { numbers(after: $after) }";
    let prepared = engine.prepare(engine.look_up(operation(query, json!({ "after": 5 })))).unwrap();
    assert!(prepared.is_subscription());
    let followed = engine.follow(prepared);
    for shown in 0..3 {
        let mut data = Data::default();
        data.insert(shown);
        let response = followed.answer(data, Uuid::nil()).await.unwrap();
        assert_eq!(text(&response), format!(r#"{{"data":{{"numbers":{}}}}}"#, shown + 5));
    }
    let other = engine.prepare(engine.look_up(operation(query, json!({ "after": 7 })))).unwrap();
    assert_eq!(followed.prepared().hash_without("after"), other.hash_without("after"));
    assert_ne!(followed.prepared().hash_without("first"), other.hash_without("first"));
}

#[test]
fn preparing_waits_for_nothing() {
    let engine = engine();
    let prepared = engine
        .prepare(engine.look_up(operation("mutation { double(number: 4) }", json!({}))))
        .unwrap();
    assert!(prepared.is_mutation());
    let response =
        engine.execute(prepared, data("you"), Uuid::nil()).now_or_never().unwrap().unwrap();
    assert_eq!(text(&response), r#"{"data":{"double":8}}"#);
}

#[tokio::test]
async fn equal_documents_are_answered_as_if_each_were_the_first() {
    let query = "query Q($word: String, $first: Int = 1, $with: Boolean! = true) {
            caller echo(word: $word, first: $first) { ...W length @include(if: $with) } again: caller @skip(if: $with)
        } fragment W on Word { text }";
    let fixed = "query Q($word: String, $first: Int = 1) {
            caller echo(word: $word, first: $first) { ...W length } } fragment W on Word { text }";
    let requests = [
        (json!({}), "one"),
        (json!({ "word": null, "first": 2 }), "two"),
        (json!({ "word": "hello", "with": false }), "three"),
        (json!({ "first": 3 }), "one"),
        (json!({ "word": "hello", "first": 1, "with": true }), "three"),
    ];
    for query in [query, fixed] {
        let shared = engine();
        for _ in 0..2 {
            for (variables, caller) in &requests {
                let ask = async |engine: &Toy| {
                    let mut variables = variables.clone();
                    if query == fixed {
                        variables.as_object_mut().expect("an object").remove("with");
                    }
                    let prepared =
                        engine.prepare(engine.look_up(operation(query, variables))).expect(query);
                    text(&executed(engine, prepared, caller).await)
                };
                let (again, first) = (ask(&shared).await, ask(&engine()).await);
                assert!(first.contains(caller) && !first.contains("errors"), "{first}");
                assert_eq!(again, first);
            }
        }
        assert!(shared.kept_bytes() > 0);
    }
}

#[tokio::test]
async fn a_query_is_refused_each_time_that_a_variable_is_invalid() {
    let engine = engine();
    let query = "query ($first: Int!) { echo(first: $first) { text } }";
    for _ in 0..2 {
        let refused = |variables| {
            engine.prepare(engine.look_up(operation(query, variables))).err().map(|of| of.code)
        };
        assert_eq!(refused(json!({})), Some(Code::GraphqlValidationFailed));
        assert_eq!(refused(json!({ "first": "x" })), Some(Code::BadUserInput));
        assert_eq!(refused(json!({ "first": 1_000_000 })), Some(Code::LimitExceeded));
        assert_eq!(refused(json!({ "first": 1 })), None);
    }
}

#[tokio::test]
async fn an_invalid_document_is_refused_each_time() {
    let engine = engine();
    for _ in 0..2 {
        let prepared = engine
            .prepare(engine.look_up(operation("{ nothing caller }", json!({}))))
            .expect("kept");
        let response = executed(&engine, prepared, "you").await;
        assert_eq!(code_of(&response.errors[0]), Some("GRAPHQL_VALIDATION_FAILED"));
        assert!(response.errors[0].message.contains("nothing"));
        assert_eq!(response.errors[0].locations[0].column, 3);
    }
}

#[tokio::test]
async fn the_named_operation_of_a_document_is_executed() {
    let engine = engine();
    let query = "query A { caller } query B { echo { text } } mutation C { double(number: 2) }";
    for (name, data) in [
        ("A", r#"{"data":{"caller":"you"}}"#),
        ("B", r#"{"data":{"echo":[{"text":"nothing"}]}}"#),
        ("C", r#"{"data":{"double":4}}"#),
    ] {
        let mut operation = operation(query, json!({}));
        operation.operation_name = Some(name.to_owned());
        let prepared = engine.prepare(engine.look_up(operation)).expect(name);
        assert_eq!(text(&executed(&engine, prepared, "you").await), data);
    }
    let unnamed =
        engine.prepare(engine.look_up(operation(query, json!({})))).err().map(|error| error.code);
    assert_eq!(unnamed, Some(Code::GraphqlValidationFailed));
}

#[tokio::test]
async fn the_schema_is_asked_about_in_between() {
    let query =
        "query ($name: String!) { caller __typename __type(name: $name) { name fields { name } } }";
    let word = r#"{"data":{"caller":"you","__typename":"Query","__type":{"name":"Word","fields":[{"name":"text"},{"name":"length"}]}}}"#;
    assert_eq!(asked(query, json!({ "name": "Word" })).await, word);
    assert_eq!(asked("{ __typename }", json!({})).await, r#"{"data":{"__typename":"Query"}}"#);
}

/// The query that tools send, as graphql-js writes it.
const TOOLS: &str = "query IntrospectionQuery { __schema { description
    queryType { name kind } mutationType { name kind } subscriptionType { name kind }
    types { ...FullType }
    directives { name description isRepeatable locations args(includeDeprecated: true) { ...InputValue } } } }
  fragment FullType on __Type { kind name description specifiedByURL isOneOf
    fields(includeDeprecated: true) { name description args(includeDeprecated: true) { ...InputValue }
      type { ...TypeRef } isDeprecated deprecationReason }
    inputFields(includeDeprecated: true) { ...InputValue }
    interfaces { ...TypeRef }
    enumValues(includeDeprecated: true) { name description isDeprecated deprecationReason }
    possibleTypes { ...TypeRef } }
  fragment InputValue on __InputValue { name description type { ...TypeRef } defaultValue isDeprecated deprecationReason }
  fragment TypeRef on __Type { kind name ofType { kind name ofType { kind name ofType { kind name
    ofType { kind name ofType { kind name ofType { kind name ofType { kind name ofType { kind name } } } } } } } } }";

#[tokio::test]
async fn the_schema_describes_itself_as_the_library_does() {
    let library = async_graphql::Schema::new(Query, Mutation, Numbers);
    for (query, variables) in [
        (TOOLS, json!({})),
        (
            "{ __schema { types { name fields { name } enumValues { name } } __typename } }",
            json!({}),
        ),
        (
            "{ a: __type(name: \"Word\") { b: name __typename fields { __typename type { ofType { name fields { name } } } } } }",
            json!({}),
        ),
        ("{ __type(name: \"Nothing\") { name } }", json!({})),
        (
            "query ($n: String!, $d: Boolean) { __type(name: $n) { fields(includeDeprecated: $d) { name isDeprecated } } }",
            json!({ "n": "Query", "d": true }),
        ),
        (
            "query ($n: String!, $d: Boolean = false) { __type(name: $n) { fields(includeDeprecated: $d) { name } } }",
            json!({ "n": "Query" }),
        ),
        (
            "query ($no: Boolean!) { __schema { types @skip(if: $no) { name } queryType { ...T ... on __Type { kind } } } } fragment T on __Type { name }",
            json!({ "no": true }),
        ),
        (
            "{ __schema { types { inputFields { name } possibleTypes { name } interfaces { name } } } }",
            json!({}),
        ),
        (
            "{ __type(name: \"__Type\") { name fields { name args { name defaultValue } } } }",
            json!({}),
        ),
    ] {
        let request = async_graphql::Request::new(query)
            .variables(async_graphql::Variables::from_json(variables.clone()));
        let expected = library.execute(request).await;
        assert!(expected.errors.is_empty(), "{query}: {:?}", expected.errors);
        let answered: Json = serde_json::from_str(&asked(query, variables).await).expect("JSON");
        assert_eq!(
            answered["data"],
            serde_json::to_value(&expected.data).expect("JSON"),
            "{query}: {answered}"
        );
    }
}

#[test]
fn introspection_is_drawn_from_the_budget_and_limited() {
    fn draw(_: &Context<'_>, bytes: usize) -> Result<(), async_graphql::Error> {
        if bytes > 100 { Err("There is no room.".into()) } else { Ok(()) }
    }
    let engine: Toy =
        Engine::new(true, Limits { complexity: 100, ..Limits::default() }, price, max_text, draw);
    let prepare = |query: &str| engine.prepare(engine.look_up(operation(query, json!({}))));
    let small = prepare("{ __schema { queryType { name } } }").unwrap();
    assert_eq!(small.cost(), 3);
    let small = engine.execute(small, data("you"), Uuid::nil()).now_or_never().unwrap().unwrap();
    assert!(small.errors.is_empty(), "{:?}", small.errors);
    let large = prepare("{ __type(name: \"Word\") { fields { name description } } }").unwrap();
    let large = engine.execute(large, data("you"), Uuid::nil()).now_or_never().unwrap().unwrap();
    assert_eq!(large.errors.len(), 1, "{:?}", large.errors);
    let refused = |query: &str| prepare(query).err().map(|error| error.code);
    let limit = Some(Code::LimitExceeded);
    assert_eq!(refused("{ __schema { types { fields { name type { name } } } } }"), limit);
    let lists = "types { fields { type { fields { args { name } } } } }";
    assert_eq!(refused(&format!("{{ __schema {{ {lists} }} }}")), limit);
    assert_eq!(
        refused(&format!(
            "query ($n: Boolean = true) {{ ...S }} fragment S on Query {{ __schema @include(if: $n) {{ {lists} }} }}"
        )),
        limit
    );
}

#[test]
fn short_documents_that_expand_to_much_take_long() {
    let engine = engine();
    let takes_long = |query: &str| engine.look_up(operation(query, json!({}))).takes_long();
    let doubling: Vec<String> = (0..10)
        .map(|level| format!("fragment f{level} on Query {{ ...f{0} ...f{0} }}", level + 1))
        .collect();
    let doubling = format!("{{ ...f0 }} {} fragment f10 on Query {{ caller }}", doubling.join(" "));
    assert!(takes_long(&doubling));
    let spread =
        format!("{{ {} }} fragment f on Query {{ {} }}", "...f ".repeat(50), "caller ".repeat(100));
    assert!(takes_long(&spread));
    assert!(!takes_long("{ ...f ...f } fragment f on Query { caller }"));
    // their answers are counted, which takes as long as the schema is large
    assert!(takes_long("{ __schema { types { name } } }"));
    assert!(takes_long("{ __typename __type(name: \"Word\") { name } }"));
    assert!(!takes_long("{ __typename caller }"));
}

#[test]
fn long_documents_and_many_values_take_long_until_they_are_kept() {
    let engine = engine();
    let short = operation("{ caller }", json!({}));
    assert!(!engine.look_up(short.clone()).takes_long());
    let long = operation(&format!("{{ caller {} }}", " ".repeat(20_000)), json!({}));
    assert!(engine.look_up(long.clone()).takes_long());
    engine.prepare(engine.look_up(long.clone())).unwrap();
    assert!(!engine.look_up(long.clone()).takes_long());
    // expanded again for each value of its variables
    let conditional =
        format!("query ($c: Boolean!) {{ {} }}", "caller @skip(if: $c) ".repeat(1_100));
    let conditional = operation(&conditional, json!({ "c": true }));
    assert!(engine.look_up(conditional.clone()).takes_long());
    engine.prepare(engine.look_up(conditional.clone())).unwrap();
    assert!(engine.look_up(conditional.clone()).takes_long());
    assert!(!engine.look_up(operation("{ caller }", json!({ "a": vec![0; 4_000] }))).takes_long());
    assert!(
        engine
            .look_up(operation("{ caller }", json!({ "a": vec![json!([0, 1]); 4_000] })))
            .takes_long()
    );
}

#[test]
fn long_names_in_documents_do_not_make_errors_long() {
    let long = "x".repeat(256);
    let names = |count: usize| (0..count).map(|at| format!("{long}{at}")).collect::<Vec<_>>();
    assert_eq!(refused(&format!("query {long}x {{ caller }}"), json!({})).0, Code::LimitExceeded);
    assert_eq!(refused(&names(1)[0], json!({})).0, Code::LimitExceeded);
    let engine = engine();
    let undefined = (0..500).map(|at| format!("a{at}: echo(word: $v{at}) {{ text }}"));
    let query = format!("query {long} {{ {} }}", undefined.collect::<Vec<_>>().join(" "));
    match engine.prepare(engine.look_up(operation(&query, json!({})))) {
        Err(error) => assert!(error.message.len() < 1_000, "{}", error.message),
        Ok(prepared) => {
            let response = engine.execute(prepared, data("you"), Uuid::nil());
            let response = text(&response.now_or_never().unwrap().unwrap());
            assert!(response.len() < 50_000, "{}", response.len());
        }
    }
}
