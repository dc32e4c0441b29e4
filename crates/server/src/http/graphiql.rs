//! `/graphiql`: the page to explore the schema with.

use axum::response::Html;

/// The page. It takes the token from the address' fragment, which no browser sends to a server.
pub(crate) async fn page() -> Html<&'static str> {
    Html(include_str!("graphiql.html"))
}
