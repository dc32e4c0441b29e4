//! The engine with a schema of its own: nothing of it is about campaigns.

use async_graphql::{
    Context, Data, EmptySubscription, Object, Response, Schema, Subscription,
    futures_util::{FutureExt, Stream, stream},
};
use campaigns_operation::{Code, Engine, Limits, List, Operation, Prepared, error::code_of, text};
use serde_json::{Value as Json, json};
use uuid::Uuid;

/// Who asks.
struct Caller(&'static str);

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

    /// Takes so long that fields after it are ready before.
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

struct Mutation;

#[Object]
impl Mutation {
    async fn double(&self, number: i32) -> i32 {
        number * 2
    }
}

struct Numbers;

#[Subscription]
impl Numbers {
    async fn numbers(&self, ctx: &Context<'_>, after: Option<i32>) -> impl Stream<Item = i32> {
        let shown = *ctx.data_unchecked::<i32>() + after.unwrap_or(0);
        stream::once(async move { shown })
    }
}

type Toy = Engine<Query, Mutation, Numbers>;

fn rows(list: &List<'_>) -> usize {
    if list.takes("first") { list.number("first").unwrap_or(1) } else { 1 }
}

fn engine() -> Toy {
    let schema = Schema::new(Query, Mutation, Numbers);
    let sdl = schema.sdl();
    Engine::new(schema, &sdl, Limits::default(), rows)
}

fn operation(query: &str, variables: Json) -> Operation {
    let Json::Object(variables) = variables else { panic!("variables are an object") };
    Operation { query: query.to_owned(), operation_name: None, variables }
}

fn data(caller: &'static str) -> Data {
    let mut data = Data::default();
    data.insert(Caller(caller));
    data
}

async fn executed(engine: &Toy, prepared: Prepared, caller: &'static str) -> Response {
    engine.execute(prepared, data(caller), Uuid::nil()).await
}

async fn asked(query: &str, variables: Json) -> String {
    let engine = engine();
    let prepared = engine.prepare(operation(query, variables)).expect(query);
    text(&executed(&engine, prepared, "you").await)
}

fn refused(query: &str, variables: Json) -> (Code, Option<String>) {
    match engine().prepare(operation(query, variables)) {
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
fn what_is_wrong_is_known_before_anything_is_executed() {
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
async fn an_error_without_a_code_shows_nothing_but_a_request_id() {
    let engine = engine();
    let prepared = engine.prepare(operation("{ secret caller }", json!({}))).unwrap();
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
    let prepared = engine.prepare(operation(query, json!({ "after": 5 }))).unwrap();
    assert!(prepared.is_subscription());
    let followed = engine.follow(prepared);
    for shown in 0..3 {
        let mut data = Data::default();
        data.insert(shown);
        let response = followed.answer(data, Uuid::nil()).await.unwrap();
        assert_eq!(text(&response), format!(r#"{{"data":{{"numbers":{}}}}}"#, shown + 5));
    }
    let other = engine.prepare(operation(query, json!({ "after": 7 }))).unwrap();
    assert_eq!(followed.prepared().key_without("after"), other.key_without("after"));
    assert_ne!(followed.prepared().key_without("first"), other.key_without("first"));
}

#[test]
fn preparing_waits_for_nothing() {
    let schema = Schema::new(Query, Mutation, EmptySubscription);
    let sdl = schema.sdl();
    let engine = Engine::new(schema, &sdl, Limits::default(), rows);
    let prepared = engine.prepare(operation("mutation { double(number: 4) }", json!({}))).unwrap();
    assert!(prepared.is_mutation());
    let response = engine.execute(prepared, data("you"), Uuid::nil()).now_or_never().unwrap();
    assert_eq!(text(&response), r#"{"data":{"double":8}}"#);
}
