//! HTTP clients.

use reqwest::{RequestBuilder, StatusCode};
use serde_json::{Value as Json, json};

/// A client with a token, or without one.
#[derive(Clone)]
pub struct Client {
    pub(crate) http: reqwest::Client,
    /// The address of the service.
    pub address: String,
    /// The token that it sends.
    pub token: Option<String>,
}

/// A response of the service.
#[derive(Debug)]
pub struct Answer {
    /// The status.
    pub status: StatusCode,
    /// The body.
    pub body: Json,
}

impl Client {
    /// A client of the service at an address, with a token.
    #[must_use]
    pub fn new(address: String, token: String) -> Self {
        Self { http: reqwest::Client::new(), address, token: Some(token) }
    }

    /// The same client at another address of the service.
    #[must_use]
    pub fn at(&self, address: String) -> Self {
        Self { address, ..self.clone() }
    }

    /// Sends a query with variables.
    pub async fn ask(&self, query: &str, variables: Json) -> Answer {
        self.post(&json!({ "query": query, "variables": variables })).await
    }

    /// Sends a query, and returns its data.
    ///
    /// # Panics
    /// If there are errors.
    pub async fn data(&self, query: &str, variables: Json) -> Json {
        let mut answer = self.ask(query, variables).await;
        assert!(answer.body.get("errors").is_none(), "{query}\n{:#}", answer.body);
        answer.body["data"].take()
    }

    /// The cursor of the feed's latest event, which comes before all events from now on.
    pub async fn feed_cursor(&self) -> Json {
        self.data("{ feedCursor }", json!({})).await["feedCursor"].take()
    }

    /// Posts a body.
    pub async fn post(&self, body: &Json) -> Answer {
        self.post_text(body.to_string()).await
    }

    /// Posts text as JSON.
    pub async fn post_text(&self, body: impl Into<reqwest::Body>) -> Answer {
        let request = self
            .request(reqwest::Method::POST, "/graphql")
            .header("content-type", "application/json")
            .header("accept", "application/graphql-response+json")
            .body(body);
        Answer::of(request).await
    }

    /// A request with the token.
    pub fn request(&self, method: reqwest::Method, path: &str) -> RequestBuilder {
        let request = self.http.request(method, format!("{}{path}", self.address));
        match &self.token {
            Some(token) => request.bearer_auth(token),
            None => request,
        }
    }
}

impl Answer {
    /// Sends a request, and returns the response.
    pub async fn of(request: RequestBuilder) -> Self {
        let response = request.send().await.unwrap();
        let status = response.status();
        let text = response.text().await.unwrap();
        let body = serde_json::from_str(&text).unwrap_or(Json::String(text));
        Self { status, body }
    }

    /// The code of the only error.
    #[must_use]
    pub fn code(&self) -> &str {
        self.error()["extensions"]["code"].as_str().unwrap_or("no code")
    }

    /// Whether there is no error.
    #[must_use]
    pub fn is_without_errors(&self) -> bool {
        self.body.get("data").is_some() && self.body.get("errors").is_none()
    }

    /// The codes of all errors. There has to be one.
    #[must_use]
    pub fn codes(&self) -> Vec<&str> {
        let errors = self.errors().iter();
        errors.map(|error| error["extensions"]["code"].as_str().unwrap_or("no code")).collect()
    }

    /// The field of the only error.
    #[must_use]
    pub fn field(&self) -> &str {
        self.error()["extensions"]["field"].as_str().unwrap_or("no field")
    }

    /// The only error.
    #[must_use]
    pub fn error(&self) -> &Json {
        let errors = self.errors();
        assert_eq!(errors.len(), 1, "{:#}", self.body);
        &errors[0]
    }

    fn errors(&self) -> &[Json] {
        let errors = self.body["errors"].as_array();
        errors.unwrap_or_else(|| panic!("there is no error in {:#}", self.body))
    }
}
