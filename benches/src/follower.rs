//! A follower of the feed.

use std::time::Instant;

use anyhow::Context;
use async_graphql::futures_util::{SinkExt, StreamExt};
use reqwest::header::{HeaderValue, SEC_WEBSOCKET_PROTOCOL};
use serde_json::{Value as Json, json};
use tokio::net::TcpStream;
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream, connect_async,
    tungstenite::{Message, client::IntoClientRequest},
};
use uuid::Uuid;

use crate::service::Service;

/// A socket with one subscription.
pub(crate) struct Follower(WebSocketStream<MaybeTlsStream<TcpStream>>);

impl Follower {
    /// Opens a socket without sending a message.
    pub(crate) async fn silent(address: &str) -> anyhow::Result<Self> {
        let url = format!("{}/graphql", address.replacen("http", "ws", 1));
        let mut request = url.into_client_request()?;
        let protocol = HeaderValue::from_static("graphql-transport-ws");
        request.headers_mut().insert(SEC_WEBSOCKET_PROTOCOL, protocol);
        let (stream, _) = connect_async(request).await?;
        Ok(Self(stream))
    }

    /// Sends `connection_init` with a token.
    pub(crate) async fn authenticate(&mut self, token: &str) -> anyhow::Result<()> {
        let authorization = format!("Bearer {token}");
        self.send(
            &json!({ "type": "connection_init", "payload": { "Authorization": authorization } }),
        )
        .await
    }

    /// Subscribes to all events, and waits until the subscription is active.
    pub(crate) async fn subscribe(service: &Service) -> anyhow::Result<Self> {
        Self::subscribe_to(service, json!({})).await
    }

    /// Subscribes to the events that a filter selects, and waits until the subscription is active.
    pub(crate) async fn subscribe_to(service: &Service, filter: Json) -> anyhow::Result<Self> {
        Self::of_token(service, &service.token, filter).await
    }

    /// Like [`Self::subscribe_to`], with another token.
    pub(crate) async fn of_token(
        service: &Service,
        token: &str,
        filter: Json,
    ) -> anyhow::Result<Self> {
        let mut follower = Self::silent(&service.address).await?;
        follower.authenticate(token).await?;
        let query = "subscription ($filter: EngagementEventFilter) {
            engagementEvents(filter: $filter) { cursor node { id type occurredAt } }
        }";
        let payload = json!({ "query": query, "variables": { "filter": filter } });
        follower.send(&json!({ "id": "1", "type": "subscribe", "payload": payload })).await?;
        // a response to a later message means that it was processed
        follower.send(&json!({ "id": "2", "type": "subscribe", "payload": { "query": "{ feedCursor }" } })).await?;
        while follower.message().await?["type"] != "complete" {}
        Ok(follower)
    }

    pub(crate) async fn send(&mut self, message: &Json) -> anyhow::Result<()> {
        Ok(self.0.send(Message::Text(message.to_string().into())).await?)
    }

    /// The next message other than a ping.
    pub(crate) async fn message(&mut self) -> anyhow::Result<Json> {
        loop {
            if let Message::Text(text) = self.0.next().await.context("the socket ended")?? {
                let message: Json = serde_json::from_str(&text)?;
                if message["type"] != "ping" {
                    return Ok(message);
                }
            }
        }
    }

    /// Waits for the end of an operation, and discards the messages before it.
    pub(crate) async fn ended(&mut self) -> anyhow::Result<()> {
        loop {
            if let Message::Text(text) = self.0.next().await.context("the socket ended")??
                && (text.ends_with("\"complete\"}") || text.contains("\"type\":\"error\""))
            {
                return Ok(());
            }
        }
    }

    /// The TCP stream, for a peer that violates the protocol.
    pub(crate) fn stream(&mut self) -> &mut MaybeTlsStream<TcpStream> {
        self.0.get_mut()
    }

    /// The ID of the next event, and the time of its arrival.
    pub(crate) async fn event(&mut self) -> anyhow::Result<(Uuid, Instant)> {
        let message = self.message().await?;
        let came = Instant::now();
        let id = message.pointer("/payload/data/engagementEvents/node/id").and_then(Json::as_str);
        Ok((id.with_context(|| message.to_string())?.parse()?, came))
    }

    /// Receives `count` messages without parsing them.
    pub(crate) async fn take(&mut self, count: usize) -> anyhow::Result<()> {
        let mut taken = 0;
        while taken < count {
            match self.0.next().await.context("the socket ended")?? {
                Message::Text(text) => taken += usize::from(text.contains("\"next\"")),
                Message::Close(frame) => anyhow::bail!("closed: {frame:?}"),
                _ => {}
            }
        }
        Ok(())
    }
}
